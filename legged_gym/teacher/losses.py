"""Losses of the learned offset: pure functions of plain tensors, called by the update and by the tests.

No simulator here differentiates through contact. The touchdown errors are therefore data; gradients reach the network
through the analytic stepping law, and only there: the landing foot moves one-to-one with the offset, so had the network
given dxi instead of the applied dxi_k at step k, the error at the touchdown that followed would have been, to first
order, e(dxi) = e_n - (dxi - dxi_k).
"""

from __future__ import annotations

import torch
from torch import Tensor

from legged_gym.teacher.config import OffsetCfg


def weighted_mean(values: Tensor, weight: Tensor) -> Tensor:
    """sum(w x) / sum(w) over (B,) samples; 0 if no sample has weight."""
    return (weight * values).sum() / weight.sum().clamp(min=1e-6)


def tracking_loss(offset: Tensor, applied: Tensor, error: Tensor, weight: Tensor) -> Tensor:
    """Mean of |e_n - (dxi - dxi_k)|^2: the touchdown error the network's offset would have left.

    Args:
        offset: the network's dxi now (B, 2) [m].
        applied: dxi_k as it was applied (B, 2) [m].
        error: e_n of the touchdown that followed (B, 2) [m].
        weight: of each sample (B,).

    Returns:
        Scalar [m^2].
    """
    return weighted_mean((error - (offset - applied)).square().sum(dim=-1), weight)


def magnitude_loss(offset: Tensor, weight: Tensor) -> Tensor:
    """Mean of |dxi|^2 of offsets (B, 2) [m]; scalar [m^2]."""
    return weighted_mean(offset.square().sum(dim=-1), weight)


def stability_loss(landed: Tensor, capture_radius: Tensor, weight: Tensor) -> Tensor:
    """V_stab: mean of max(0, |xi_TD - p_TD| - d_cap)^2.

    Args:
        landed: DCM relative to the landing foot (B, 2) [m].
        capture_radius: d_cap (B,) [m].
        weight: of each sample (B,).

    Returns:
        Scalar [m^2].
    """
    distance = (landed.square().sum(dim=-1) + 1e-12).sqrt()
    return weighted_mean((distance - capture_radius).clamp(min=0.0).square(), weight)


def landing_cost(delta: Tensor, velocity_error: Tensor, distance: Tensor, cfg: OffsetCfg) -> Tensor:
    """What a landing costs (B,) [m^2]: rho(|delta|^2 + w_speed |dv|^2) + w_viable softplus(h / viable_width).

    rho(x) = 2 s^2 (sqrt(1 + x / s^2) - 1) with s = `outlier` is x for small errors, and grows with its root beyond s:
    a robot that falls is far off, and an offset of some centimetres does not change that.

    Args:
        delta: DCM relative to the landing foot minus b of the velocity to walk with (B, 2) [m].
        velocity_error: of the step, dv (B, 2) [m/s].
        distance: signed distance h to the bounds of viability, negative inside (B,) [m].
        cfg: weights and widths.
    """
    square = delta.square().sum(dim=-1) + cfg.w_speed * velocity_error.square().sum(dim=-1)
    tame = 2.0 * cfg.outlier**2 * ((1.0 + square / cfg.outlier**2).sqrt() - 1.0)
    return tame + cfg.w_viable * torch.nn.functional.softplus(distance / cfg.viable_width)


def follow_weight(executed: Tensor, reference: Tensor, scale: float) -> Tensor:
    """exp(-(rms distance / scale)^2): how closely executed actions (B, A) followed a_ref; (B,) in (0, 1].

    A policy that does not do what the teacher asked says nothing about the teacher's own landing error.
    """
    return (-(executed - reference).square().mean(dim=-1) / (scale * scale)).exp()


def assign_touchdowns(error: Tensor, touchdown: Tensor, fresh: Tensor, trust: Tensor) -> tuple[Tensor, Tensor]:
    """Gives every step of a rollout the error of the touchdown that it led to.

    Args:
        error: e_n where a touchdown was seen (T, N, 2) [m].
        touchdown: 1 where a step ended since the last evaluation (T, N).
        fresh: 1 where an episode has just begun (T, N).
        trust: how far the state at each step may be trusted, w_k (T, N).

    Returns:
        The first later touchdown's error in the same episode (T, N, 2) [m], and the trust in it, 0 where there is none
        (T, N).
    """
    target, found = torch.zeros_like(error), torch.zeros_like(touchdown)
    next_error, next_found = torch.zeros_like(error[0]), torch.zeros_like(touchdown[0])
    for k in reversed(range(len(error))):
        target[k], found[k] = next_error, next_found
        landed = touchdown[k].unsqueeze(-1)
        next_error = torch.where(landed > 0.0, error[k], next_error)
        next_found = torch.where(touchdown[k] > 0.0, trust[k], next_found) * (1.0 - fresh[k])
    return target, found
