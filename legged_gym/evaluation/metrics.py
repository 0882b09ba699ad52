"""Metrics of the evaluation's rows, summed up step by step on the device and read once at the end."""

import math
from dataclasses import dataclass
from typing import Any

import torch

Result = dict[str, float | None]
COMPONENTS = ("vx", "vy", "wz")
"""Tracked velocities: forward and left [m/s], yaw rate [rad/s]; heading frame."""
STANDING_SHARE = 0.84
"""Height of a robot that walks, as a share of its height with all joints at zero: 0.68 of 0.81 m."""
UPRIGHT_TIME, UPRIGHT_SHARE, UPRIGHT_TILT = 1.0, 0.85, math.radians(20.0)
"""A survivor ends upright: for the last second [s] its base is above this share of the height of a robot that walks, it
tilts by less than this [rad], and nothing but feet touches anything."""
ENDINGS = ("ended_low", "ended_tilted", "ended_touching")
"""What a robot can lack that has not fallen, and still does not end upright: height, an upright base, feet alone."""
LEAST_FORCE = 1.0
"""Least force that counts as contact [N]."""


@dataclass
class Sample:
    """N robots at the end of one policy step, with peaks over its physics steps."""

    velocity_y: torch.Tensor
    """v_x, v_y [m/s] and w_z [rad/s], heading frame. Shape (N, 3)."""
    command: torch.Tensor
    """Commanded velocities, same units. Shape (N, 3)."""
    action: torch.Tensor
    """After the controller's clamp. Shape (N, J)."""
    torque: torch.Tensor
    """[N m]. Shape (N, J)."""
    power: torch.Tensor
    """Largest sum over the joints of |torque x velocity| [W]. Shape (N,)."""
    contact: torch.Tensor
    """The foot is on the ground. Shape (N, F), bool."""
    foot_speed: torch.Tensor
    """Horizontal speed of the feet [m/s]. Shape (N, F)."""
    landing_speed: torch.Tensor
    """Downward speed of feet that began to touch the ground in the step, 0 else [m/s]. Shape (N, F)."""
    foot_force: torch.Tensor
    """Largest contact force on each foot [N]. Shape (N, F)."""
    other_contact: torch.Tensor
    """Something else than a foot touches something. Shape (N,), bool."""
    legs_touch: torch.Tensor
    """The legs touched each other. Shape (N,), bool."""
    base_height: torch.Tensor
    """Base over ground [m]. Shape (N,)."""
    height_share: torch.Tensor
    """The same as a share of the height of a robot that walks. Shape (N,)."""
    tilt: torch.Tensor
    """Angle between the base's z axis and the vertical [rad]. Shape (N,)."""
    position_w: torch.Tensor
    """x and y of the base [m]. Shape (N, 2)."""
    yaw: torch.Tensor
    """Heading of the base [rad]. Shape (N,)."""

    @classmethod
    def of(cls, env: Any) -> "Sample":
        """Read an environment; the tensors may be views."""
        s, robot = env.state, env.sim.robot
        others = [i for i, name in enumerate(robot.body_names) if name not in robot.foot_names]
        return cls(
            velocity_y=torch.cat((s.base_lin_vel_y[:, :2], s.root_ang_vel_w[:, 2:]), dim=-1),
            command=env.commands.command,
            action=env.actions.applied,
            torque=s.joint_torque,
            power=s.peak_power,
            contact=s.feet_contact,
            foot_speed=s.feet_lin_vel_w[..., :2].norm(dim=-1),
            landing_speed=s.landing_speed,
            foot_force=s.peak_foot_force,
            other_contact=(s.contact_force_w[:, others].square().sum(-1) > LEAST_FORCE**2).any(-1),
            legs_touch=s.peak_leg_force > LEAST_FORCE,
            base_height=s.base_height,
            height_share=s.base_height / (STANDING_SHARE * robot.zero_pose_height),
            tilt=torch.acos((-s.projected_gravity_b[:, 2]).clamp(-1.0, 1.0)),
            position_w=s.root_pos_w[:, :2],
            yaw=s.yaw,
        )


class Histogram:
    """Counts values of R rows in bins, to find medians without storing the values."""

    def __init__(self, num_rows: int, bins: int, width: float, device: torch.device | str) -> None:
        """Allocate bins from 0 up, the last one open; `width` in the values' unit."""
        self._width = width
        self._counts = torch.zeros(num_rows, bins, dtype=torch.float64, device=device)

    def add(self, values: torch.Tensor, mask: torch.Tensor) -> None:
        """Count the values (R, n) in `mask` (R, n)."""
        bins = (values.nan_to_num(0.0) / self._width).long().clamp(0, self._counts.shape[1] - 1)
        self._counts.scatter_add_(1, bins, mask.to(self._counts.dtype))

    def medians(self) -> list[float | None]:
        """Median of each row, to half a bin; None without values."""
        total = self._counts.sum(-1, keepdim=True)
        bins = (self._counts.cumsum(-1) < 0.5 * total).sum(-1)
        middles = ((bins + 0.5) * self._width).tolist()
        return [middle if count else None for middle, count in zip(middles, total.squeeze(-1).tolist(), strict=True)]


class RowMetrics:
    """Sums of R rows side by side, n robots each.

    Robots count until they fall.
    """

    def __init__(self, num_rows: int, num_robots: int, device: torch.device | str) -> None:
        """Allocate zero sums."""
        shape = num_rows, num_robots
        self.alive = torch.ones(shape, dtype=torch.bool, device=device)
        """Robots that have not fallen while they counted. Shape (R, n)."""
        self._widths: dict[str, int] = {}
        self._sums = torch.zeros(())
        """Columns of these names and widths, once a step was added. Shape (R, C)."""
        self._peak_power = torch.zeros(shape, device=device)
        self._counted = torch.zeros(shape, device=device)  # policy steps
        self._upright = torch.zeros(*shape, len(ENDINGS), device=device)
        """For each of `ENDINGS` the policy steps without it, up to the last one. Shape (R, n, 3)."""
        self._touchdown_speed = Histogram(num_rows, 500, 0.01, device)
        self._stance_force = Histogram(num_rows, 1000, 5.0, device)
        self._stance_peak: torch.Tensor | None = None
        self._first: tuple[torch.Tensor, torch.Tensor] | None = None
        self._drift = torch.zeros(*shape, 2, device=device)
        self._last: Sample | None = None

    def add(self, sample: Sample, fell: torch.Tensor, tracking: torch.Tensor, counting: torch.Tensor) -> None:
        """Add one policy step.

        Args:
            sample: Robots after the step, row by row (N = R n).
            fell: Robots that fell in the step; their sample is of the next episode. Shape (N,).
            tracking: Rows past their warm-up, whose step counts for the errors and the effort. Shape (R, 1).
            counting: Robots whose row is not over yet. Shape (N,).
        """
        counting = counting.view_as(self.alive)
        self.alive &= ~(fell.view_as(self.alive) & counting)
        self._note_posture(sample, counting)
        last = self._last if self._last is not None else sample
        mask = self.alive & counting & tracking
        self._add_step(sample, last, mask)
        self._add_landings(sample, last, mask)
        self._last = Sample(**{name: value.clone() for name, value in vars(sample).items()})

    def _note_posture(self, sample: Sample, counting: torch.Tensor) -> None:
        """Keep how long each robot has been upright, and how far it has got from where it began."""
        upright = (sample.height_share > UPRIGHT_SHARE, sample.tilt < UPRIGHT_TILT, ~sample.other_contact)
        streak = torch.where(torch.stack(upright, dim=-1).view_as(self._upright), self._upright + 1.0, 0.0)
        self._upright = torch.where(counting.unsqueeze(-1), streak, self._upright)
        self._counted += counting
        if self._first is None:
            self._first = sample.position_w.clone(), sample.yaw.clone()
        turned = sample.yaw - self._first[1]
        turned = torch.atan2(torch.sin(turned), torch.cos(turned)).abs()
        moved = torch.stack(((sample.position_w - self._first[0]).norm(dim=-1), turned), dim=-1).view_as(self._drift)
        self._drift = torch.where((counting & self.alive).unsqueeze(-1), moved, self._drift)

    def _add_step(self, sample: Sample, last: Sample, mask: torch.Tensor) -> None:
        error = sample.velocity_y - sample.command  # (N, 3)
        peak = torch.maximum(self._peak_power, sample.power.view_as(mask))
        self._peak_power = torch.where(mask, peak, self._peak_power)
        terms = {
            "samples": torch.ones_like(sample.power),
            "bias": error,
            "square": error.square(),
            "mean_abs_daction": (sample.action - last.action).abs().mean(-1),
            "torque_square": sample.torque.square().mean(-1),
            "base_height": sample.base_height,
            "slip": (sample.contact * sample.foot_speed).sum(-1),
            "contacts": sample.contact.float().sum(-1),
            "touchdowns": (sample.contact & ~last.contact).float().sum(-1),
            "other_contacts": sample.other_contact.float(),
            "legs_touch": sample.legs_touch.float(),
        }
        self._widths = {name: value[0].numel() for name, value in terms.items()}
        columns = torch.cat([value.view(*mask.shape, -1) for value in terms.values()], dim=-1)  # (R, n, C)
        totals = torch.where(mask.unsqueeze(-1), columns, 0.0).sum(1, dtype=torch.float64)
        self._sums = self._sums.to(totals) + totals

    def _add_landings(self, sample: Sample, last: Sample, mask: torch.Tensor) -> None:
        """Count how fast feet landed, and how hard each stance was that ended."""
        peak = self._stance_peak if self._stance_peak is not None else torch.zeros_like(sample.foot_force)
        landed, left = sample.contact & ~last.contact, last.contact & ~sample.contact
        rows, feet = self.alive.shape[0], sample.contact.shape[-1]
        wide = mask.unsqueeze(-1).expand(*mask.shape, feet).reshape(rows, -1)
        # A foot may land again while it still counts as standing: its bounces are no touchdowns.
        speed = sample.landing_speed.reshape(rows, -1)
        self._touchdown_speed.add(speed, landed.view(rows, -1) & (speed > 0.0) & wide)
        self._stance_force.add(peak.view(rows, -1), left.view(rows, -1) & wide)
        self._stance_peak = torch.where(sample.contact, torch.maximum(peak, sample.foot_force), 0.0)

    def survived(self, dt: float) -> torch.Tensor:
        """Robots that never fell and stand upright now that the rows are over; dt: policy step [s]. Shape (R, n)."""
        return self.alive & self._last_second(dt).all(-1)

    def _last_second(self, dt: float) -> torch.Tensor:
        """For each of `ENDINGS`, robots that were without it in the last second. Shape (R, n, 3)."""
        return self._upright >= self._counted.clamp(max=round(UPRIGHT_TIME / dt)).unsqueeze(-1)

    def results(self, dt: float, finished: bool = True) -> list[Result]:
        """Read the rows.

        Args:
            dt: Policy step [s].
            finished: The rows are over, so that survivors must have ended upright.

        Returns:
            For each row `n`, `survival`, the share that `fell`, `rmse_*`, `bias_*`, effort and contacts by name; None
            if no robot stood long enough to be measured. If finished, also the shares of `ENDINGS`, of all robots: who
            has not fallen and does not end upright has one or several.
        """
        measured = self._peak_power > 0.0
        peak_power = (self._peak_power.sum(-1) / measured.sum(-1).clamp(min=1)).tolist()
        survived = self.survived(dt) if finished else self.alive
        survival = survived.float().mean(-1).tolist()
        fell = (~self.alive).float().mean(-1).tolist()
        lacks = (self.alive.unsqueeze(-1) & ~self._last_second(dt)).float().mean(1).tolist()
        sums = [row.split(list(self._widths.values())) for row in self._sums.cpu()]
        rows = [{name: part.tolist() for name, part in zip(self._widths, parts, strict=True)} for parts in sums]
        landings = zip(self._touchdown_speed.medians(), self._stance_force.medians(), strict=True)
        results: list[Result] = []
        for i, (row, peak, (speed, force)) in enumerate(zip(rows, peak_power, landings, strict=True)):
            lasted: Result = {"n": self.alive.shape[1], "survival": survival[i], "fell": fell[i]}
            lasted |= dict(zip(ENDINGS, lacks[i], strict=True)) if finished else {}
            results.append(lasted | _measured(row, peak, dt) | {"touchdown_speed": speed, "foot_force": force})
        return results

    def drifts(self) -> list[Result]:
        """Return for each row the mean `drift` [m] and `turned` [rad] from the start, of robots that never fell."""
        rows: list[Result] = []
        for drift, alive in zip(self._drift, self.alive, strict=True):
            moved, turned = drift[alive].mean(0).tolist()
            rows.append({"drift": moved, "turned": turned} if bool(alive.any()) else {"drift": None, "turned": None})
        return rows


def _measured(sums: dict[str, list[float]], peak_power: float, dt: float) -> Result:
    """Turn the sums of one row into means."""
    (samples,) = sums["samples"]
    if not samples:
        return dict.fromkeys(_MEASURED)
    means = {name: [value / samples for value in values] for name, values in sums.items()}
    errors = {f"rmse_{name}": square**0.5 for name, square in zip(COMPONENTS, means["square"], strict=True)}
    errors |= {f"bias_{name}": bias for name, bias in zip(COMPONENTS, means["bias"], strict=True)}
    contacts = sums["contacts"][0]
    return errors | {
        "mean_abs_daction": means["mean_abs_daction"][0],
        "torque_rms": means["torque_square"][0] ** 0.5,
        "peak_power": peak_power,
        "foot_slip": sums["slip"][0] / contacts if contacts else 0.0,
        "base_height": means["base_height"][0],
        "step_rate": means["touchdowns"][0] / dt,
        "other_contacts": means["other_contacts"][0],
        "legs_touch": means["legs_touch"][0],
    }


_MEASURED = (
    *(f"rmse_{name}" for name in COMPONENTS),
    *(f"bias_{name}" for name in COMPONENTS),
    *("mean_abs_daction", "torque_rms", "peak_power", "foot_slip", "base_height", "step_rate"),
    *("other_contacts", "legs_touch"),
)
