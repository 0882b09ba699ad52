"""The state as the stance foot sees it: the mirrored heading frame M in which steps are planned.

Frame M has its origin at the centre of the stance foot, x along the base's heading, z up, and y to the stance side
(left when the left foot is stance, right when the right one is). In M every step looks like a step from the left foot
to the right one, so one stepping law and one network serve both feet, and left/right symmetry holds by construction.

Components come first, robots last: a batch of vectors is (3, N), a batch of numbers (N,).
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import torch
from torch import Tensor

from legged_gym.teacher.state import NUM_LEG_ROWS, TeacherState


@dataclass(frozen=True)
class StepFrame:
    """State relative to the stance foot, in M unless named otherwise. Vectors (3, N), numbers (N,)."""

    signs: Tensor
    """(1, s, s), s = +1 where the left foot is stance, -1 where the right one is: what (x, y) or (v_x, v_y, w_z) are
    multiplied by between M and the heading frame (3, N)."""
    reflection: Tensor
    """(1, s, 1): the same of a vector (3, N)."""
    stance: Tensor
    """1 for the foot that is stance, 0 for the other: left, right (2, N)."""
    swing_leg: Tensor
    """The opposite (2, N)."""
    phase: Tensor
    """phi in [0, 1) within the step (N,)."""
    duration: Tensor
    """Step duration T = 1 / (2 f) (N,) [s]."""
    axes: Tensor
    """Horizontal axes of M in W: x axis, then y axis (2, 2, N)."""
    base_axes: Tensor
    """Components of the base's x, y and z axes (component, axis, N): v in M is R^T v in the base frame."""
    stance_w: Tensor
    """Stance foot centre in W (3, N) [m]."""
    swing_w: Tensor
    """Swing foot centre in W (3, N) [m]."""
    com: Tensor
    """CoM (3, N) [m]."""
    com_vel: Tensor
    """CoM velocity (3, N) [m/s]."""
    base: Tensor
    """Base origin (3, N) [m]."""
    swing: Tensor
    """Swing foot centre (3, N) [m]."""
    points: tuple[Tensor, ...]
    """Further points that were asked for (3, N) [m]."""
    stance_vel_w: Tensor
    """Horizontal velocity of the stance foot in W (2, N) [m/s]."""
    command: Tensor
    """v_x, v_y [m/s], w_z [rad/s] (3, N)."""
    force: Tensor
    """Vertical contact forces of stance and swing foot (2, N) [N]."""
    ground: Tensor
    """Terrain under stance and swing foot, z relative to the stance foot's centre (2, N) [m]."""

    @property
    def side(self) -> Tensor:
        """+1 where the left foot is stance, -1 where the right one is (N,)."""
        return self.signs[1]

    @property
    def up_b(self) -> Tensor:
        """World z axis in the base frame (3, N)."""
        return self.base_axes[2]

    def to_frame(self, vectors_w: Tensor) -> Tensor:
        """Turns vectors from W to M: (2, N) horizontal or (3, ..., N)."""
        return turn(self.axes, vectors_w)

    def to_world(self, vectors: Tensor) -> Tensor:
        """Turns vectors from M to W: (2, N) horizontal or (3, ..., N)."""
        return turn(self.axes.transpose(0, 1), vectors)


def turn(axes: Tensor, vectors: Tensor) -> Tensor:
    """Turns vectors about z.

    Args:
        axes: horizontal axes of the new frame in the old one (2, 2, N).
        vectors: (2, N) or (3, ..., N).

    Returns:
        Their components along the axes, z as it was; same shape.
    """
    between = [1] * (vectors.dim() - 2)
    planar = (axes.view(2, 2, *between, -1) * vectors[:2]).sum(dim=1)
    return planar if len(vectors) == 2 else torch.cat((planar, vectors[2:]))


@dataclass(frozen=True)
class _Constants:
    """Constant tensors of one dtype on one device."""

    one: Tensor
    half: Tensor
    left: Tensor
    """`signs`, `reflection`, and 1 for stance feet: left, right, left again (9, 1)."""
    right: Tensor
    """The same where the right foot is stance."""
    products: Tensor
    """Rows of q q^T (16 of them) that make up each rotation matrix entry: firsts, then seconds (26,)."""
    entries: Tensor
    """That entry's constant, and factors of first and second product (3, 13, 1)."""


@functools.cache
@torch.inference_mode(False)
def _constants(dtype: torch.dtype, device: torch.device) -> _Constants:
    def tensor(values: list[list[float]]) -> Tensor:
        return torch.tensor(values, dtype=dtype, device=device)

    x, y, z, w = range(4)
    matrix = (  # 2 v v^T + 2 w [v]_x + (1 - 2 |v|^2) I: a constant and two products, each with its factor
        *((1, -2, y, y, -2, z, z), (0, 2, x, y, -2, z, w), (0, 2, x, z, 2, y, w)),
        *((0, 2, x, y, 2, z, w), (1, -2, x, x, -2, z, z), (0, 2, y, z, -2, x, w)),
        *((0, 2, x, z, -2, y, w), (0, 2, y, z, 2, x, w), (1, -2, x, x, -2, y, y)),
    )
    heading = (matrix[0], matrix[3], (0, -2, x, y, -2, z, w), matrix[0])  # the x axis and its left, from above
    constant, first, i, j, second, k, m = zip(*matrix, *heading, strict=True)
    pairs = zip(i + k, j + m, strict=True)
    return _Constants(
        one=tensor([[1.0]]).view(()),
        half=tensor([[0.5]]).view(()),
        left=tensor([[1, 1, 1, 1, 1, 1, 1, 0, 1]]).t(),
        right=tensor([[1, -1, -1, 1, -1, 1, 0, 1, 0]]).t(),
        products=torch.tensor([4 * a + b for a, b in pairs], device=device),
        entries=tensor([list(constant), list(first), list(second)]).unsqueeze(-1),
    )


def rotation_rows(quat_xyzw: Tensor) -> Tensor:
    """Rotation matrices of unit quaternions (4, N), row by row, then (x, y) of the x axis and of its left (13, N)."""
    k = _constants(quat_xyzw.dtype, quat_xyzw.device)
    products = (quat_xyzw.unsqueeze(1) * quat_xyzw).flatten(0, 1).index_select(0, k.products)
    constant, first, second = k.entries
    return torch.addcmul(torch.addcmul(constant, first, products[:13]), second, products[13:])


def observe(state: TeacherState, *points_w: Tensor) -> StepFrame:
    """Builds the stance-foot view of the state. Stance foot and phase come from the clock that the policy observes.

    Args:
        state: the state.
        points_w: points in W that are wanted in M, too (3, N) [m].
    """
    k = _constants(state.clock.dtype, state.clock.device)
    steps = state.clock + state.clock
    signs = torch.where(steps < k.one, k.left, k.right)  # (9, N)
    n = NUM_LEG_ROWS
    legs = torch.lerp(state.legs[n:], state.legs[: 2 * n], signs[6]).unflatten(0, (2, n))  # stance, swing
    stance_w, swing_w = legs[0, :3], legs[1, :3]
    rotation = rotation_rows(state.base_quat_xyzw)
    axes = _heading_axes(rotation[9:], signs)
    points = torch.stack((state.com_pos_w, state.base_pos_w, swing_w, *points_w), dim=1) - stance_w.unsqueeze(1)
    vectors = torch.cat((points, state.com_lin_vel_w.unsqueeze(1), rotation[:9].unflatten(0, (3, 3))), dim=1)
    turned = turn(axes, vectors)
    com, base, swing, *others, com_vel = turned[:, :-3].unbind(1)
    return StepFrame(
        signs=signs[:3],
        reflection=signs[3:6],
        stance=signs[6:8],
        swing_leg=signs[7:],
        phase=steps.frac(),
        duration=k.half / state.gait_frequency.clamp(min=0.1),
        axes=axes,
        base_axes=turned[:, -3:],
        stance_w=stance_w,
        swing_w=swing_w,
        com=com,
        com_vel=com_vel,
        base=base,
        swing=swing,
        points=tuple(others),
        stance_vel_w=legs[0, 3:5],
        command=state.command * signs[:3],
        force=legs[:, 5],
        ground=legs[:, 6] - stance_w[2],
    )


def _heading_axes(forward_left: Tensor, signs: Tensor) -> Tensor:
    """Axes of M in W (2, 2, N) from the base's x axis and its left seen from above (4, N); 0 for a base on its back."""
    x, y = forward_left[:2].unbind()
    length = torch.addcmul(x * x, y, y).clamp(min=1e-8).sqrt()
    return forward_left.unflatten(0, (2, 2)) * (signs[:2] / length).unsqueeze(1)
