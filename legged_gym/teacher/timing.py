"""Step-timing adaptation: land earlier when the foothold would leave the reachable box."""

from __future__ import annotations

import torch
from torch import Tensor

from legged_gym.teacher.config import TimingCfg


def adapted_time_left(
    xi: Tensor, offset: Tensor, low: Tensor, high: Tensor, omega: Tensor, time_left: Tensor, shortest: Tensor
) -> Tensor:
    """Largest time to touchdown, not above the nominal one, at which the foothold is inside the box.

    With tau = e^(omega T_r), the foothold p* - p = tau (xi - p) - b is linear in tau (Khadiv et al., T-RO 2020, where
    the same bound is a constraint of the QP). Each axis bounds tau by (bound + b) / (xi - p) on the side towards which
    the DCM runs; the smallest bound holds for the step.

    Args:
        xi: DCM relative to the stance point, mirrored heading frame (2, N) [m].
        offset: b minus the correction (2, N) [m].
        low: lower corner of the box relative to the stance point (2, 1) [m].
        high: upper corner (2, 1) [m].
        omega: (N,) [rad/s].
        time_left: nominal T_r (N,) [s].
        shortest: least time left that the swing foot needs (N,) [s].

    Returns:
        Time left (N,) [s], in [min(shortest, time_left), time_left].
    """
    bound = torch.where(xi > 0.0, high, low) + offset
    runs = xi.abs() > 1e-3
    tau = torch.where(runs, bound / torch.where(runs, xi, 1.0), 1e3).amin(dim=0)
    wanted = tau.clamp(1.0, 1e3).log() / omega
    return torch.minimum(torch.maximum(wanted, shortest), time_left)


def clock_shift(cfg: TimingCfg, time_left: Tensor, adapted: Tensor, duration: Tensor) -> Tensor:
    """Clock shift [cycles] (N,) that makes the time left the adapted one: dg = (T_r - T_r') / (2 T), bounded."""
    return ((time_left - adapted) / (2.0 * duration)).clamp(0.0, cfg.max_shift)
