"""What the teacher remembers per robot, in preallocated tensors."""

from __future__ import annotations

from dataclasses import dataclass, fields

import torch
from torch import Tensor


@dataclass
class TeacherMemory:
    """Memory of N robots; fixed shapes, updated in place, so that a whole evaluation can be captured in a graph."""

    stance_left: Tensor
    """1 where the left foot was stance at the last evaluation (N, 1)."""
    liftoff_w: Tensor
    """Where the swing foot left the ground, W (N, 3) [m]."""
    liftoff_phase: Tensor
    """Phase of the step at that instant: 0, or the phase after a reset in the middle of a step (N, 1)."""
    yaw_rate: Tensor
    """Low-pass filtered yaw rate (N, 1) [rad/s]."""
    predicted_vel: Tensor
    """CoM velocity in W that the LIP predicted for this evaluation (N, 2) [m/s]."""
    push: Tensor
    """Decaying memory of unexplained velocity jumps (N, 1) [m/s]."""
    no_contact: Tensor
    """Time that the stance foot has been without contact (N, 1) [s]."""
    offset_b: Tensor
    """Nominal DCM offset b planned last, in the frame M of that step (N, 2) [m]."""
    foothold_w: Tensor
    """Foothold planned last, W (N, 2) [m]."""

    @classmethod
    def allocate(cls, num_envs: int, device: torch.device | str, dtype: torch.dtype) -> TeacherMemory:
        """Zeroed memory."""
        widths = {"liftoff_w": 3, "predicted_vel": 2, "offset_b": 2, "foothold_w": 2}
        make = {f.name: torch.zeros(num_envs, widths.get(f.name, 1), device=device, dtype=dtype) for f in fields(cls)}
        return cls(**make)

    def store(self, new: TeacherMemory) -> None:
        """Copies new values in place."""
        for f in fields(self):
            getattr(self, f.name).copy_(getattr(new, f.name))

    def clone(self) -> TeacherMemory:
        """An independent copy."""
        return TeacherMemory(**{f.name: getattr(self, f.name).clone() for f in fields(self)})
