"""What a row of the evaluation measures, summed up step by step on the device and read once at the end."""

from dataclasses import dataclass
from typing import Any

import torch

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
    """Sums of one row. Robots count while they stand; what they do after a fall is ignored."""

    def __init__(self, num_envs: int, device: torch.device | str) -> None:
        """Allocate zero sums."""
        self.alive = torch.ones(num_envs, dtype=torch.bool, device=device)
        """Has not fallen while it counted. Shape (N,)."""
        self._sums: dict[str, torch.Tensor] = {}
        self._peak_power = torch.zeros(num_envs, device=device)
        self._last: tuple[torch.Tensor, torch.Tensor] | None = None

    def add(self, sample: Sample, fell: torch.Tensor, tracking: bool, counting: torch.Tensor | None = None) -> None:
        """Add one policy step.

        Args:
            sample: Robots after the step.
            fell: Robots that fell in the step; their sample is of the next episode. Shape (N,).
            tracking: Whether the step counts for the errors and the effort, or is part of the warm-up.
            counting: Robots whose row is not over yet; all if None. Shape (N,).
        """
        counting = torch.ones_like(self.alive) if counting is None else counting
        self.alive &= ~(fell & counting)
        if tracking:
            self._add_step(sample, (self.alive & counting))
        self._last = (sample.action.clone(), sample.contact.clone())

    def _add_step(self, sample: Sample, rows: torch.Tensor) -> None:
        error = sample.velocity_y - sample.command  # (N, 3)
        power = (sample.torque * sample.joint_vel).abs().sum(-1)
        self._peak_power = torch.where(rows, torch.maximum(self._peak_power, power), self._peak_power)
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
        for name, value in terms.items():
            mask = rows.view(-1, *[1] * (value.ndim - 1))
            total = torch.where(mask, value, 0.0).sum(0, dtype=torch.float64)
            self._sums[name] = self._sums.get(name, torch.zeros_like(total)) + total

    def result(self, dt: float) -> dict[str, float | None]:
        """Read the row.

        Args:
            dt: Policy step [s].

        Returns:
            `n`, `survival`, `rmse_*`, `bias_*` and effort by name; None if no robot stood long enough to be measured.
        """
        survival = self.alive.float().mean().item()
        row: dict[str, float | None] = {"n": len(self.alive), "survival": survival}
        sums: dict[str, Any] = {name: value.tolist() for name, value in self._sums.items()}
        samples: float = sums.get("samples", 0.0)
        if not samples:
            return row | dict.fromkeys(_MEASURED)
        row |= {f"rmse_{name}": (sums["square"][i] / samples) ** 0.5 for i, name in enumerate(COMPONENTS)}
        row |= {f"bias_{name}": sums["bias"][i] / samples for i, name in enumerate(COMPONENTS)}
        measured = self._peak_power > 0.0
        return row | {
            "mean_abs_daction": sums["mean_abs_daction"] / samples,
            "torque_rms": (sums["torque_square"] / samples) ** 0.5,
            "peak_power": self._peak_power[measured].mean().item() if bool(measured.any()) else 0.0,
            "foot_slip": sums["slip"] / sums["contacts"] if sums["contacts"] else 0.0,
            "base_height": sums["base_height"] / samples,
            "step_rate": sums["touchdowns"] / (samples * dt),
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
