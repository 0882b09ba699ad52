"""What a row of the evaluation measures, summed up step by step on the device and read once at the end."""

from dataclasses import dataclass
from typing import Any

import torch

Result = dict[str, float | None]
COMPONENTS = ("vx", "vy", "wz")
"""Tracked velocities: forward and left [m/s], yaw rate [rad/s]; heading frame."""


@dataclass
class Sample:
    """N robots at the end of one policy step."""

    velocity_y: torch.Tensor
    """v_x, v_y [m/s] and w_z [rad/s], heading frame. Shape (N, 3)."""
    command: torch.Tensor
    """What was asked, same units. Shape (N, 3)."""
    action: torch.Tensor
    """Shape (N, J)."""
    torque: torch.Tensor
    """[N m]. Shape (N, J)."""
    joint_vel: torch.Tensor
    """[rad/s]. Shape (N, J)."""
    contact: torch.Tensor
    """The foot is on the ground. Shape (N, F), bool."""
    foot_speed: torch.Tensor
    """Horizontal speed of the feet [m/s]. Shape (N, F)."""
    base_height: torch.Tensor
    """Base over ground [m]. Shape (N,)."""

    @classmethod
    def of(cls, env: Any) -> "Sample":
        """Read an environment; the tensors may be views."""
        s = env.state
        return cls(
            velocity_y=torch.cat((env.base_lin_vel_y[:, :2], s.root_ang_vel_w[:, 2:]), dim=-1),
            command=env.commands.command,
            action=env.actions,
            torque=s.joint_torque,
            joint_vel=s.joint_vel,
            contact=env.feet_contact,
            foot_speed=s.feet_lin_vel_w[..., :2].norm(dim=-1),
            base_height=env.base_height,
        )


class RowMetrics:
    """Sums of R rows side by side, n robots each.

    Robots count while they stand; what they do after a fall is ignored.
    """

    def __init__(self, num_rows: int, num_robots: int, device: torch.device | str) -> None:
        """Allocate zero sums."""
        self.alive = torch.ones(num_rows, num_robots, dtype=torch.bool, device=device)
        """Has not fallen while it counted. Shape (R, n)."""
        self._widths: dict[str, int] = {}
        self._sums = torch.zeros(())
        """Columns of these names and widths, once a step was added. Shape (R, C)."""
        self._peak_power = torch.zeros(num_rows, num_robots, device=device)
        self._last: tuple[torch.Tensor, torch.Tensor] | None = None

    def add(self, sample: Sample, fell: torch.Tensor, tracking: torch.Tensor, counting: torch.Tensor) -> None:
        """Add one policy step.

        Args:
            sample: Robots after the step, row by row (N = R n).
            fell: Robots that fell in the step; their sample is of the next episode. Shape (N,).
            tracking: Rows whose step counts for the errors and the effort, and is no warm-up. Shape (R, 1).
            counting: Robots whose row is not over yet. Shape (N,).
        """
        counting = counting.view_as(self.alive)
        self.alive &= ~(fell.view_as(self.alive) & counting)
        self._add_step(sample, self.alive & counting & tracking)
        self._last = (sample.action.clone(), sample.contact.clone())

    def _add_step(self, sample: Sample, mask: torch.Tensor) -> None:
        error = sample.velocity_y - sample.command  # (N, 3)
        power = (sample.torque * sample.joint_vel).abs().sum(-1)
        peak = torch.maximum(self._peak_power, power.view_as(mask))
        self._peak_power = torch.where(mask, peak, self._peak_power)
        last_action, last_contact = self._last or (sample.action, sample.contact)
        terms = {
            "samples": torch.ones_like(power),
            "bias": error,
            "square": error.square(),
            "mean_abs_daction": (sample.action - last_action).abs().mean(-1),
            "torque_square": sample.torque.square().mean(-1),
            "base_height": sample.base_height,
            "slip": (sample.contact * sample.foot_speed).sum(-1),
            "contacts": sample.contact.float().sum(-1),
            "touchdowns": (sample.contact & ~last_contact).float().sum(-1),
        }
        self._widths = {name: value[0].numel() for name, value in terms.items()}
        columns = torch.cat([value.view(*mask.shape, -1) for value in terms.values()], dim=-1)  # (R, n, C)
        totals = torch.where(mask.unsqueeze(-1), columns, 0.0).sum(1, dtype=torch.float64)
        self._sums = self._sums.to(totals) + totals

    def results(self, dt: float) -> list[Result]:
        """Read the rows.

        Args:
            dt: Policy step [s].

        Returns:
            For each row `n`, `survival`, `rmse_*`, `bias_*` and effort by name; None if no robot stood long enough to
            be measured.
        """
        measured = self._peak_power > 0.0
        peak_power = (self._peak_power.sum(-1) / measured.sum(-1).clamp(min=1)).tolist()
        survival = self.alive.float().mean(-1).tolist()
        sums = [row.split(list(self._widths.values())) for row in self._sums.cpu()]
        rows = [{name: part.tolist() for name, part in zip(self._widths, parts, strict=True)} for parts in sums]
        heads: list[Result] = [{"n": self.alive.shape[1], "survival": share} for share in survival]
        return [head | _measured(row, peak, dt) for head, row, peak in zip(heads, rows, peak_power, strict=True)]


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
    }


_MEASURED = (
    *(f"rmse_{name}" for name in COMPONENTS),
    *(f"bias_{name}" for name in COMPONENTS),
    "mean_abs_daction",
    "torque_rms",
    "peak_power",
    "foot_slip",
    "base_height",
    "step_rate",
)
