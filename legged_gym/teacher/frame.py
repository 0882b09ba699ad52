"""The state as the stance foot sees it: the mirrored heading frame M in which steps are planned.

Frame M has its origin at the centre of the stance foot, x along the base's heading, z up, and y to the stance side
(left when the left foot is stance, right when the right one is). In M every step looks like a step from the left foot
to the right one, so one stepping law and one network serve both feet, and left/right symmetry holds by construction.

Components come first, robots last: a batch of vectors is (3, N), a batch of numbers (N,).
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from legged_gym.teacher.state import NUM_LEG_ROWS, TeacherState


class StepFrame(NamedTuple):
    """State relative to the stance foot, in M unless named otherwise. Vectors (3, N), numbers (N,)."""

    signs: Tensor
    """(1, s, s), s = +1 where the left foot is stance, -1 where the right one is: what (v_x, v_y, w_z) is multiplied by
    between M and the heading frame (3, N)."""
    reflection: Tensor
    """(1, s, 1), the same of a vector (3, N)."""
    mirror: Tensor
    """(1, s), the same of a horizontal vector (2, N)."""
    backwards: Tensor
    """(-1, -s) (2, N)."""
    stance: Tensor
    """1 for the foot that is stance, 0 for the other: left, right (2, N)."""
    load_shares: Tensor
    """Factors on each foot's loads, left and right: of its leg's weight (1, 1), of a force (`stance`), and of a cross
    product (s times `stance`, as M is a mirrored frame) (6, N)."""
    swing_joints: Tensor
    """1 for the joints of the swing leg, 0 for the others (6, N)."""
    mass: Tensor
    """Mass of the robot with its payload (N,) [kg]."""
    phase: Tensor
    """phi in [0, 1) within the step (N,)."""
    frequency: Tensor
    """Cycles of two steps per second f (N,) [Hz]."""
    duration: Tensor
    """Step duration T = 1 / (2 f) (N,) [s]."""
    elapsed: Tensor
    """Time since the step began phi T (N,) [s]."""
    axes: Tensor
    """Horizontal axes of M in W: x axis, then y axis (2, 2, N)."""
    base_axes: Tensor
    """The base's x, y and z axes (axis, component, N): v in M is R^T v in the base frame."""
    up_b: Tensor
    """World z axis in the base frame (3, N)."""
    stance_w: Tensor
    """Stance foot centre in W (3, N) [m]."""
    swing_w: Tensor
    """Swing foot centre in W (3, N) [m]."""
    com: Tensor
    """CoM (3, N) [m]."""
    com_xy: Tensor
    """The same from above (2, N)."""
    com_xy_w: Tensor
    """The same in W, from the stance foot (2, N)."""
    com_vel: Tensor
    """CoM velocity (3, N) [m/s]."""
    com_vel_xy: Tensor
    """The same from above (2, N)."""
    base: Tensor
    """Base origin (3, N) [m]."""
    swing: Tensor
    """Swing foot centre (3, N) [m]."""
    swing_vel: Tensor
    """Its velocity (3, N) [m/s]."""
    points: tuple[Tensor, ...]
    """Further points that were asked for (3, N) [m]."""
    stance_vel_w: Tensor
    """Horizontal velocity of the stance foot in W (2, N) [m/s]."""
    force: Tensor
    """Vertical contact forces of stance and swing foot (2, N) [N]."""
    ground_w: Tensor
    """Terrain height under the stance foot (1, N) [m]."""
    swing_ground_w: Tensor
    """Terrain height under the swing foot (1, N) [m]."""

    @property
    def side(self) -> Tensor:
        """+1 where the left foot is stance, -1 where the right one is (N,)."""
        return self.signs[1]

    def to_world(self, vectors: Tensor) -> Tensor:
        """Turns vectors from M to W: (2, N) horizontal, (3, N) or (K, 3, N)."""
        return turn(self.axes.transpose(0, 1), vectors)


def turn(axes: Tensor, vectors: Tensor) -> Tensor:
    """Turns vectors about z.

    Args:
        axes: horizontal axes of the new frame in the old one (2, 2, N).
        vectors: (2, N), (3, N), or many at once (K, 3, N).

    Returns:
        Their components along the axes, z as it was; same shape.
    """
    x, y, *z = vectors.split(1, dim=-2)
    along_x, along_y = axes.unbind(1)
    turned = x * along_x + y * along_y
    return torch.cat((turned, *z), dim=-2) if z else turned


@dataclass(frozen=True)
class _Constants:
    """Constant tensors of one dtype on one device."""

    one: Tensor
    half: Tensor
    tiny: Tensor
    """Added under roots, to keep them differentiable at zero."""
    left: Tensor
    """`signs`, `reflection`, `mirror`, `backwards`, `swing_joints`, `bears` (22, 1)."""
    right: Tensor
    """The same where the right foot is stance."""
    rotation: tuple[Tensor, Tensor]
    """Constants of `rotation_rows`, and factors on the rows of q q^T in it (13, 1), (13, 16)."""


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
    axes = [matrix[3 * row + column] for column in range(3) for row in range(3)]
    heading = [matrix[0], matrix[3], (0, -2, x, y, -2, z, w), matrix[0]]  # the x axis and its left, from above
    factors = [[0.0] * 16 for _ in (*axes, *heading)]
    for row, (_, first, i, j, second, k, m) in zip(factors, (*axes, *heading), strict=True):
        row[4 * i + j], row[4 * k + m] = first, second
    return _Constants(
        one=tensor([[1.0]]).view(()),
        half=tensor([[0.5]]).view(()),
        tiny=tensor([[1e-16]]).view(()),
        left=tensor([[1, 1, 1, 1, 1, 1, 1, 1, -1, -1, 0, 0, 0, 1, 1, 1, 1, 1, 1, 0, 1, 0]]).t(),
        right=tensor([[1, -1, -1, 1, -1, 1, 1, -1, -1, 1, 1, 1, 1, 0, 0, 0, 1, 1, 0, 1, 0, -1]]).t(),
        rotation=(tensor([[entry[0]] for entry in (*axes, *heading)]), tensor(factors)),
    )


def rotation_rows(quat_xyzw: Tensor) -> Tensor:
    """Axes of rotated frames, one after the other, then (x, y) of the x axis and of its left (13, N).

    Args:
        quat_xyzw: unit quaternions (4, N).
    """
    constant, factors = _constants(quat_xyzw.dtype, quat_xyzw.device).rotation
    return torch.addmm(constant, factors, (quat_xyzw.unsqueeze(1) * quat_xyzw).flatten(0, 1))


def observe(state: TeacherState, *points_w: Tensor) -> StepFrame:
    """Builds the stance-foot view of the state. Stance foot and phase come from the clock that the policy observes.

    Args:
        state: the state.
        points_w: points in W that are wanted in M, too (3, N) [m].
    """
    k = _constants(state.clock.dtype, state.clock.device)
    steps = state.clock + state.clock
    rows = torch.where(steps < k.one, k.left, k.right)  # (22, N)
    signs, reflection, mirror, backwards, swing_joints, load_shares = rows.split_with_sizes((3, 3, 2, 2, 6, 6))
    stance = load_shares[2:4]
    legs = torch.lerp(state.legs_right_left, state.legs, stance[0])
    stance_w, stance_vel_w, _, _, ground, swing_w, swing_vel_w, _, swing_ground = legs.split_with_sizes(
        (3, 2, 1, 1, 1, 3, 3, 1, 1)
    )
    phase, frequency = steps.frac(), state.gait_frequency.clamp(min=0.1)
    duration = k.half / frequency
    rotation, heading = rotation_rows(state.base_quat_xyzw).split_with_sizes((9, 4))
    axes = _heading_axes(heading, mirror)
    points = (state.com_pos_w, state.base_pos_w, swing_w, *points_w)
    vectors = torch.cat((*points, state.com_lin_vel_w, swing_vel_w, rotation)).view(len(points) + 5, 3, -1)
    vectors[: len(points)].sub_(stance_w)
    turned = turn(axes, vectors)
    com, base, swing, *others, com_vel, swing_vel, _, _, _ = turned.unbind()
    base_axes = turned[-3:]
    return StepFrame(
        signs=signs,
        reflection=reflection,
        mirror=mirror,
        backwards=backwards,
        stance=stance,
        load_shares=load_shares,
        swing_joints=swing_joints,
        mass=state.mass,
        phase=phase,
        frequency=frequency,
        duration=duration,
        elapsed=phase * duration,
        axes=axes,
        base_axes=base_axes,
        up_b=base_axes[:, 2],
        stance_w=stance_w,
        swing_w=swing_w,
        com=com,
        com_xy=com[:2],
        com_xy_w=vectors[0, :2],
        com_vel=com_vel,
        com_vel_xy=com_vel[:2],
        base=base,
        swing=swing,
        swing_vel=swing_vel,
        points=tuple(others),
        stance_vel_w=stance_vel_w,
        force=legs[6::NUM_LEG_ROWS],
        ground_w=ground,
        swing_ground_w=swing_ground,
    )


def _heading_axes(forward_left: Tensor, mirror: Tensor) -> Tensor:
    """Axes of M in W (2, 2, N) from x, y of the base's x axis and of its left (4, N); 0 for a base on its back."""
    k = _constants(mirror.dtype, mirror.device)
    x, y, _, _ = forward_left.unbind()
    square = k.tiny + x * x + y * y
    return forward_left.view(2, 2, -1) * (mirror * square.rsqrt()).unsqueeze(1)
