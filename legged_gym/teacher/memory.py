"""The teacher's memory of each robot, in preallocated tensors."""

from __future__ import annotations

from dataclasses import dataclass, fields

import torch
from torch import Tensor

WIDTHS = {
    "command": 3,
    "liftoff": 5,
    "heading": 2,
    "drift": 2,
    "predicted_vel": 2,
    "offset_b": 2,
    "foothold_w": 3,
    "swing": 6,
    "change": 2,
}
"""Number of rows of fields with more than one number per robot."""


def _rows(name: str) -> int:
    return WIDTHS.get(name, 1)


@dataclass
class TeacherMemory:
    """Memory of N robots; fixed shapes, updated in place, so that a whole evaluation can be captured in a graph."""

    stance_left: Tensor
    """1 where the left foot was stance at the last evaluation (N,)."""
    command: Tensor
    """v_x, v_y [m/s], w_z [rad/s] that were walked with, heading frame (3, N)."""
    liftoff: Tensor
    """At lift-off of the swing foot: its position, W [m]; v_x, v_y walked with, heading frame [m/s] (5, N)."""
    heading: Tensor
    """Low-pass filtered yaw rate [rad/s], and integral of the yaw-rate error, bounded [rad] (2, N)."""
    drift: Tensor
    """Integral of the velocity error, leaky and bounded, heading frame (2, N) [m]."""
    predicted_vel: Tensor
    """CoM velocity in W that the LIP predicted for this evaluation (2, N) [m/s]."""
    push: Tensor
    """Decaying memory of unexplained velocity jumps (N,) [m/s]."""
    no_contact: Tensor
    """Time that the stance foot has been without contact (N,) [s]."""
    offset_b: Tensor
    """Nominal DCM offset b planned last, in the frame M of that step (2, N) [m]."""
    foothold_w: Tensor
    """Foothold planned last, at the height of the stance foot, W (3, N) [m]."""

    step_time: Tensor
    """Time since the step began, by time and not by the clock (N,) [s]."""
    swing: Tensor
    """The swing foot's reference position now, W [m], and its velocity [m/s] (6, N)."""
    adapts: Tensor
    """1 where the clock follows the teacher, so that it may plan with another step time (N,)."""
    change: Tensor
    """Learned change of the present step's time [s] and swing height [m] (2, N)."""

    def __post_init__(self) -> None:
        """Begin without a buffer; see `allocate`."""
        self._buffer: Tensor | None = None

    @classmethod
    def allocate(cls, num_envs: int, template: Tensor) -> TeacherMemory:
        """Zeroed memory with the device and dtype of `template`: views of one buffer, so that `store` is one copy."""
        return cls.of(template.new_zeros(sum(_rows(f.name) for f in fields(cls)), num_envs))

    @classmethod
    def of(cls, buffer: Tensor) -> TeacherMemory:
        """Memory made of views of a buffer (rows, N)."""
        names = [f.name for f in fields(cls)]
        rows = buffer.split([_rows(name) for name in names])
        memory = cls(**{n: row if n in WIDTHS else row.squeeze(0) for n, row in zip(names, rows, strict=True)})
        memory._buffer = buffer
        return memory

    @property
    def buffer(self) -> Tensor:
        """All values (rows, N), in place."""
        if self._buffer is None:
            raise RuntimeError("this memory was not made by TeacherMemory.allocate")
        return self._buffer

    def store(self, new: TeacherMemory) -> None:
        """Copies new values in place, into a memory that was allocated."""
        values = (getattr(new, f.name) for f in fields(self))
        torch.cat([value if value.dim() == 2 else value.unsqueeze(0) for value in values], out=self.buffer)

    def clone(self) -> TeacherMemory:
        """An independent copy."""
        return TeacherMemory(**{f.name: torch.clone(getattr(self, f.name)) for f in fields(self)})
