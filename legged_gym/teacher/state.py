"""What the teacher reads, parsed from one flat observation by an ordered, named layout."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

from torch import Tensor


@dataclass(frozen=True)
class TeacherState:
    """Privileged state of N robots, components first, SI units, world frame W unless named otherwise."""

    base_pos_w: Tensor
    """Base frame origin (3, N) [m]."""
    base_quat_xyzw: Tensor
    """Base orientation, base to W (4, N)."""
    base_lin_vel_w: Tensor
    """(3, N) [m/s]."""
    base_ang_vel_b: Tensor
    """In the base frame (3, N) [rad/s]."""
    com_pos_w: Tensor
    """CoM of the whole robot (3, N) [m]."""
    com_lin_vel_w: Tensor
    """(3, N) [m/s]."""
    joint_pos: Tensor
    """(6, N) [rad]."""
    joint_vel: Tensor
    """(6, N) [rad/s]."""
    feet_pos_w: Tensor
    """Centres of the foot spheres, left xyz then right xyz (6, N) [m]."""
    feet_lin_vel_w: Tensor
    """(6, N) [m/s]."""
    feet_force_w: Tensor
    """Net contact force on each foot (6, N) [N]."""
    command: Tensor
    """v_x, v_y [m/s] and w_z [rad/s] in the heading frame (3, N)."""
    clock: Tensor
    """Gait clock g in [0, 1) (N,)."""
    gait_frequency: Tensor
    """Cycles of two steps per second (N,) [Hz]."""
    gait_offset: Tensor
    """Phase between the feet (N,)."""
    gait_duration: Tensor
    """Duty factor (N,)."""
    swing_height: Tensor
    """Apex of the swing foot over the line from lift-off to landing (N,) [m]."""
    feet_ground_height: Tensor
    """Terrain height under each foot (2, N) [m]."""
    ground_ahead: Tensor
    """Terrain height at a few points ahead in the heading frame (K, N) [m]."""
    episode_time: Tensor
    """Time since the reset, 0 right after it (N,) [s]."""
    standing: Tensor
    """1 where the command is a stand (N,)."""


TEACHER_TERMS: tuple[tuple[str, int], ...] = (
    ("base_pos_w", 3),
    ("base_quat_xyzw", 4),
    ("base_lin_vel_w", 3),
    ("base_ang_vel_b", 3),
    ("com_pos_w", 3),
    ("com_lin_vel_w", 3),
    ("joint_pos", 6),
    ("joint_vel", 6),
    ("feet_pos_w", 6),
    ("feet_lin_vel_w", 6),
    ("feet_force_w", 6),
    ("command", 3),
    ("clock", 1),
    ("gait_frequency", 1),
    ("gait_offset", 1),
    ("gait_duration", 1),
    ("swing_height", 1),
    ("feet_ground_height", 2),
    ("ground_ahead", 4),
    ("episode_time", 1),
    ("standing", 1),
)
"""The default layout: (name, width) in order; the width of `ground_ahead` is free."""


class TeacherLayout:
    """Turns the flat `teacher` observation into a TeacherState.

    Args:
        terms: (name, width) in the order in which they lie in the observation. Terms the teacher does not know are
            skipped; a missing one or a wrong width raises ValueError.
    """

    def __init__(self, terms: Sequence[tuple[str, int]] = TEACHER_TERMS) -> None:
        self.terms = tuple((str(name), int(width)) for name, width in terms)
        self.widths = [width for _, width in self.terms]
        self.num_obs = sum(self.widths)
        given = dict(self.terms)
        wanted = dict(TEACHER_TERMS)
        missing = [name for name in wanted if name not in given]
        if missing:
            raise ValueError(f"teacher observation lacks {missing}; it has {list(given)}")
        wrong = [n for n, w in wanted.items() if n != "ground_ahead" and given[n] != w]
        if wrong:
            raise ValueError(f"teacher observation has wrong widths: {[(n, given[n], wanted[n]) for n in wrong]}")
        self.num_ahead = given["ground_ahead"]
        self._names = [name for name, _ in self.terms]
        self._known = [f.name for f in fields(TeacherState)]
        self._scalars = {name for name, width in wanted.items() if width == 1}

    def parse(self, obs: Tensor) -> TeacherState:
        """Turns `obs` (N, num_obs) into named tensors, components first: one copy makes every component contiguous."""
        if obs.shape[-1] != self.num_obs:
            raise ValueError(f"teacher observation has {obs.shape[-1]} columns, its layout {self.num_obs}")
        rows = obs.t().contiguous()
        parts = dict(zip(self._names, rows.split(self.widths), strict=True))
        return TeacherState(**{n: parts[n].squeeze(0) if n in self._scalars else parts[n] for n in self._known})
