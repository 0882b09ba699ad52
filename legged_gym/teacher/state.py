"""The state that the teacher reads, parsed from one flat observation by an ordered, named layout."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor


class TeacherState(NamedTuple):
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
    legs: Tensor
    """`LEG_ROWS` of the left foot, then of the right one (16, N)."""
    legs_right_left: Tensor
    """The same, the right foot's first (16, N)."""
    command: Tensor
    """v_x, v_y [m/s] and w_z [rad/s] in the heading frame (3, N)."""
    clock: Tensor
    """Gait clock g in [0, 1) (N,)."""
    gait_frequency: Tensor
    """Cycles of two steps per second (N,) [Hz]."""
    swing_height: Tensor
    """Apex of the swing foot over the line from lift-off to landing (N,) [m]."""
    ground_ahead: Tensor
    """Terrain height at a few points ahead in the heading frame (K, N) [m]."""
    episode_time: Tensor
    """Time since the reset, 0 right after it (N,) [s]."""
    standing: Tensor
    """1 where the command is a stand (N,)."""
    mass: Tensor
    """Mass of the whole robot with its payload (N,) [kg]."""

    @property
    def feet_pos_w(self) -> Tensor:
        """Centres of the foot spheres, left and right (2, 3, N) [m]."""
        return self.legs.unflatten(0, (2, -1))[:, :3]

    @property
    def feet_load(self) -> Tensor:
        """Vertical contact force on the left and the right foot (2, N) [N]."""
        return self.legs.unflatten(0, (2, -1))[:, 6]


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
    ("swing_height", 1),
    ("feet_ground_height", 2),
    ("ground_ahead", 4),
    ("episode_time", 1),
    ("standing", 1),
    ("mass", 1),
)
"""The default layout: (name, width) in order; the width of `ground_ahead` is free."""


LEG_ROWS: tuple[tuple[str, tuple[int, ...]], ...] = (
    ("feet_pos_w", (0, 1, 2)),
    ("feet_lin_vel_w", (0, 1, 2)),
    ("feet_force_w", (2,)),
    ("feet_ground_height", (0,)),
)
"""Rows of each foot: x, y, z [m], v_x, v_y, v_z [m/s], vertical contact force [N], height of the ground [m]."""
NUM_LEG_ROWS = sum(len(parts) for _, parts in LEG_ROWS)


class TeacherLayout:
    """Turns the flat `teacher` observation into a TeacherState.

    Args:
        terms: (name, width) in the order in which they lie in the observation. Terms the teacher does not know are
            skipped; a missing one or a wrong width raises ValueError.
    """

    def __init__(self, terms: Sequence[tuple[str, int]] = TEACHER_TERMS) -> None:
        self.terms = tuple((str(name), int(width)) for name, width in terms)
        self.num_obs = sum(width for _, width in self.terms)
        given = dict(self.terms)
        wanted = dict(TEACHER_TERMS)
        missing = [name for name in wanted if name not in given]
        if missing:
            raise ValueError(f"teacher observation lacks {missing}; it has {list(given)}")
        wrong = [n for n, w in wanted.items() if n != "ground_ahead" and given[n] != w]
        if wrong:
            raise ValueError(f"teacher observation has wrong widths: {[(n, given[n], wanted[n]) for n in wrong]}")
        self.num_ahead = given["ground_ahead"]
        known = [name for name in TeacherState._fields if not name.startswith("legs")]
        self._scalars = [name for name in known if wanted[name] == 1]
        self._vectors = [name for name in known if wanted[name] > 1]
        columns = self._columns(given)
        self._widths = [len(part) for part in columns]
        self._order = torch.tensor([column for part in columns for column in part])

    def _columns(self, given: dict[str, int]) -> list[list[int]]:
        """Columns of the observation that make up legs, legs the other way round, scalars, and each vector."""
        ends = dict(zip(given, itertools.accumulate(given.values()), strict=True))
        start = {name: ends[name] - width for name, width in given.items()}
        left, right = (
            [start[name] + side * given[name] // 2 + part for name, parts in LEG_ROWS for part in parts]
            for side in (0, 1)
        )
        vectors = [list(range(start[name], ends[name])) for name in self._vectors]
        return [left + right, right + left, [start[name] for name in self._scalars], *vectors]

    def check(self, obs: Tensor) -> None:
        """Raises ValueError if `obs` (N, num_obs) has another number of columns."""
        if obs.shape[-1] != self.num_obs:
            raise ValueError(f"teacher observation has {obs.shape[-1]} columns, its layout {self.num_obs}")

    def parse(self, obs: Tensor) -> TeacherState:
        """Turns `obs` (N, num_obs) into named tensors, components first: one copy makes every component contiguous."""
        self.check(obs)
        if self._order.device != obs.device:
            with torch.inference_mode(False):
                self._order = self._order.to(obs.device)
        rows = obs.t().index_select(0, self._order)
        legs, legs_right_left, scalars, *vectors = torch.split_with_sizes(rows, self._widths)
        named = dict(zip(self._scalars, scalars.unbind(), strict=True)) | dict(zip(self._vectors, vectors, strict=True))
        return TeacherState(legs=legs, legs_right_left=legs_right_left, **named)
