"""Metrics of the policy's own robots in training, without those that the teacher drives."""

import math

import torch

from legged_gym.utils.distributed import ALONE, Group

VELOCITIES = ("vel_x", "vel_y", "vel_yaw")
"""Tracked velocities: forward, left [m/s], yaw rate [rad/s]; heading frame."""


class OwnSums:
    """Sums over the policy's own robots, kept on the device and read once an iteration."""

    WIDTHS = {"steps": 1, "falls": 1, "ended": 1, "return": 1, "length": 1, "measured": 1, "square": 3}
    """Robot-steps; falls; whole episodes that ended, their returns and lengths [steps]; robot-steps with a velocity
    error, and its squares."""

    def __init__(self, device: torch.device | str) -> None:
        """Begin at zero."""
        self.total = torch.zeros(sum(self.WIDTHS.values()), device=device)
        """Sums since the last `read`. Shape (9,)."""

    def add(self, own: torch.Tensor, whole: torch.Tensor, ended: dict[str, torch.Tensor]) -> None:
        """Add a step.

        Args:
            own: 1 for the robots that the policy drives. Shape (N,).
            whole: 1 for those whose episode the policy has driven from its start. Shape (N,).
            ended: `done` and `fell`, 0 or 1, `return` and `length` [steps] so far, shapes (N,), and, if known,
                `velocity_error`. Shape (N, 3).
        """
        done = ended["done"] * whole
        rows = [own, ended["fell"] * own, done, done * ended["return"], done * ended["length"]]
        error = ended.get("velocity_error")
        if error is None:
            rows += [torch.zeros_like(own)] * 4
        else:  # without steps that end an episode: a fall may have any velocity
            counts = (own > 0.0) & (ended["done"] == 0.0) & error.isfinite().all(-1)
            squares = torch.where(counts.unsqueeze(-1), error, 0.0).square()
            rows += [counts.float(), *squares.unbind(-1)]
        self.total += torch.stack(rows).sum(-1)

    def read(self, group: Group = ALONE) -> list[float]:
        """Return the sums over the robots of all processes, and clear them. Waits for the device."""
        values = group.sum(self.total).tolist()
        self.total.zero_()
        return values


def own_metrics(sums: list[float], step_dt: float, episode_steps: int) -> dict[str, float]:
    """Turn sums over the policy's own robots into logged scalars, by tag; those without data are absent.

    Args:
        sums: From `OwnSums.read`, or several of them added up.
        step_dt: Duration of a policy step [s].
        episode_steps: Longest episode [policy steps].
    """
    steps, falls, ended, earned, length, measured, *squares = sums
    metrics: dict[str, float] = {}
    if measured:
        rms = (math.sqrt(square / measured) for square in squares)
        metrics |= {f"Metrics/error_{name}": error for name, error in zip(VELOCITIES, rms, strict=True)}
    if steps:
        # Not the share of episodes that end by time: while robots fall early, most that end are short ones.
        metrics["Metrics/survival"] = math.exp(-falls / (steps * step_dt) * episode_steps * step_dt)
    if ended:
        metrics |= {"Train/mean_reward": earned / ended, "Train/mean_episode_length": length / ended}
    return metrics
