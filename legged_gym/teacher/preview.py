"""Differentiable preview: the stepping law rolled ahead over several steps with the network in the loop."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from legged_gym.teacher import lipm
from legged_gym.teacher.offset_network import OffsetNetwork
from legged_gym.teacher.predictor import DcmPredictor, reference_gait


@dataclass(frozen=True)
class PreviewedStep:
    """One previewed touchdown, in the frame M of the step that leads to it."""

    error: Tensor
    """DCM offset error e = (xi - p) - b (2, B) [m]."""
    landed: Tensor
    """DCM relative to the landing foot (2, B) [m]."""
    capture_radius: Tensor
    """d_cap (B,) [m]."""


def preview_steps(
    network: OffsetNetwork, inputs: Tensor, disturbance: Tensor, predictor: DcmPredictor, steps: int
) -> Iterator[PreviewedStep]:
    """Rolls the map xi_T -> p* -> xi of the next step ahead; differentiable in the network's parameters.

    The real landing differs from the LIP's by a disturbance (model and tracking error): what the touchdown error would
    be without any offset, e_n + dxi_k. It is taken as given and the same, in M, at every previewed step.

    Args:
        network: the offset network.
        inputs: its inputs at the current state (B, num_inputs).
        disturbance: e_n + dxi_k (2, B) [m].
        predictor: the stepping law.
        steps: how many touchdowns to preview.

    Yields:
        The previewed touchdowns, the current step's first.
    """
    parts = network.unpack(inputs)
    reach = (predictor.high - predictor.low).norm() * 0.5
    for _ in range(steps):
        offset = network(network.pack(parts)).t()
        omega, duration = parts["omega"], parts["duration"]
        gait = predictor.gaits(omega, duration)
        b = gait.offset(parts["velocity"])
        foothold = (parts["plan"] + offset).clamp(predictor.low, predictor.high)
        landed = parts["plan"] + b - foothold + disturbance
        yield PreviewedStep(landed - b, landed, lipm.capture_radius(reach, omega, duration))
        parts = _next_step(parts, landed, predictor.cfg.stepping.dv, gait)


def _next_step(parts: dict[str, Tensor], landed: Tensor, dv: float, gait: lipm.PeriodicGait) -> dict[str, Tensor]:
    """The network's inputs at the start of the next step; the new frame M has y the other way round."""
    xi, command = _mirror(landed), _mirror(parts["command"])
    xi_end = lipm.propagate_dcm(xi, gait.pivot, parts["omega"], parts["duration"])
    _, velocity, b = reference_gait(dv, command[:2], xi_end, gait)
    changed = {"xi": xi, "plan": xi_end - b, "velocity": velocity, "command": command}
    return parts | changed | {"yaw_force": -parts["yaw_force"]}


def _mirror(vector: Tensor) -> Tensor:
    """(x, -y) of (2, B), (x, -y, -z) of (3, B): vectors, and commands (v_x, v_y, w_z), in the other foot's frame."""
    return torch.cat((vector[:1], -vector[1:]))
