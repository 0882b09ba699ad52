"""What the teacher remembers per robot, in preallocated tensors."""

from __future__ import annotations

from dataclasses import dataclass, fields

import torch
from torch import Tensor


@dataclass
class TeacherMemory:
    """Memory of N robots; fixed shapes, updated in place, so that a whole evaluation can be captured in a graph."""

    stance_left: Tensor
    """1 where the left foot was stance at the last evaluation (N,)."""
    liftoff_w: Tensor
    """Where the swing foot left the ground, W (3, N) [m]."""
    liftoff_phase: Tensor
    """Phase of the step at that instant: 0, or the phase after a reset in the middle of a step (N,)."""
    yaw_rate: Tensor
    """Low-pass filtered yaw rate (N,) [rad/s]."""
    predicted_vel: Tensor
    """CoM velocity in W that the LIP predicted for this evaluation (2, N) [m/s]."""
    push: Tensor
    """Decaying memory of unexplained velocity jumps (N,) [m/s]."""
    no_contact: Tensor
    """Time that the stance foot has been without contact (N,) [s]."""
    offset_b: Tensor
    """Nominal DCM offset b planned last, in the frame M of that step (2, N) [m]."""
    foothold_w: Tensor
    """Foothold planned last, W (2, N) [m]."""

    @classmethod
    def allocate(cls, num_envs: int, like: Tensor) -> TeacherMemory:
        """Zeroed memory with the device and dtype of `like`."""
        heights = {"liftoff_w": (3,), "predicted_vel": (2,), "offset_b": (2,), "foothold_w": (2,)}
        return cls(**{f.name: like.new_zeros(*heights.get(f.name, ()), num_envs) for f in fields(cls)})

    def store(self, new: TeacherMemory) -> None:
        """Copies new values in place."""
        for f in fields(self):
            getattr(self, f.name).copy_(getattr(new, f.name))

    def clone(self) -> TeacherMemory:
        """An independent copy."""
        return TeacherMemory(**{f.name: torch.clone(getattr(self, f.name)) for f in fields(self)})
