"""Differentiable preview: the stepping law rolled ahead over several steps, each from where the last one landed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from legged_gym.teacher import lipm
from legged_gym.teacher.predictor import DcmPredictor, Offset, reference_gait


@dataclass(frozen=True)
class PreviewedStep:
    """One previewed step, in its own frame M, whose heading is that of the step's beginning."""

    parts: dict[str, Tensor]
    """What it starts from: the network's named inputs, and of all steps but the first the pivot r (2, B) [m] and the
    time to touchdown (B,) [s]."""
    foothold: Tensor
    """Where it lands (2, B) [m]."""
    error: Tensor
    """DCM offset error e = (xi - p) - b (2, B) [m]."""
    landed: Tensor
    """DCM relative to the landing foot (2, B) [m]."""
    capture_radius: Tensor
    """d_cap (B,) [m]."""


def preview_steps(
    parts: dict[str, Tensor], offset: Offset, disturbances: Iterable[Tensor | float], predictor: DcmPredictor
) -> Iterator[PreviewedStep]:
    """Rolls the map xi_T -> p* -> xi of the next step ahead; differentiable in the start and in the offsets.

    The real landing differs from the LIP's by a disturbance (model and tracking error): what the touchdown error would
    be without any offset, e_n + dxi_k.

    Args:
        parts: what the first step starts from: named inputs of the offset network (width, B) or (B,), and the velocity
            `wanted` (2, B) [m/s]. `velocity` and `plan` = xi_T - b say where the step would land. A robot that turns
            needs its `turn_rate` in M (B,) [rad/s] and the `time` to touchdown (B,) [s], too. `yaw_shift`, if there,
            moves the pivot (2, B) [m].
        offset: learned offset as a function of such parts.
        disturbances: that of each step, in its M (2, B) [m]; as many steps are previewed.
        predictor: the stepping law.

    Yields:
        The previewed steps, the current one first.
    """
    reach = (predictor.high - predictor.low).norm() * 0.5
    omega, duration = parts["omega"], parts["duration"]
    gait = predictor.gaits(omega, duration)
    capture_radius = lipm.capture_radius(reach, omega, duration)
    for disturbance in disturbances:
        b = _turned(gait.offset(parts["velocity"]), parts, 1.0)
        foothold = predictor.reach.box(parts["plan"] + offset(parts))
        landed = parts["plan"] + b - foothold + disturbance
        yield PreviewedStep(parts, foothold, landed - b, landed, capture_radius)
        parts = _next_step(parts, landed, predictor.cfg.stepping.dv, gait)


def _turned(vector: Tensor, parts: dict[str, Tensor], sense: float) -> Tensor:
    """Turns a vector (2, B) by the angle that the robot turns within a step, or back."""
    return lipm.rotate(vector, sense * parts["turn_rate"] * parts["time"]) if "turn_rate" in parts else vector


def _next_step(parts: dict[str, Tensor], landed: Tensor, dv: float, gait: lipm.PeriodicGait) -> dict[str, Tensor]:
    """What the next step starts from; its frame M is that at the touchdown, with y the other way round than before."""
    xi, wanted = _mirror(_turned(landed, parts, -1.0)), _mirror(parts["wanted"])
    changed = {"command": _mirror(parts["command"]), "wanted": wanted, "time": parts["duration"]}
    changed |= {"yaw_force": -parts["yaw_force"]}
    changed |= {name: -parts[name] for name in ("turn_rate", "yaw_shift") if name in parts}
    pivot = gait.pivot + changed.get("yaw_shift", 0.0)
    xi_end = lipm.propagate_dcm(xi, pivot, parts["omega"], parts["duration"])
    _, velocity, b = reference_gait(dv, wanted, xi_end, gait)
    next_parts = parts | changed | {"xi": xi, "pivot": pivot, "velocity": velocity}
    return next_parts | {"plan": xi_end - _turned(b, next_parts, 1.0)}


def _mirror(vector: Tensor) -> Tensor:
    """(x, -y) of (2, B), (x, -y, -z) of (3, B): vectors, and commands (v_x, v_y, w_z), in the other foot's frame."""
    return torch.cat((vector[:1], -vector[1:]))
