"""The state as the stance foot sees it: the mirrored heading frame M in which steps are planned.

Frame M has its origin at the centre of the stance foot, x along the base's heading, z up, and y to the stance side
(left when the left foot is stance, right when the right one is). In M every step looks like a step from the left foot
to the right one, so one stepping law and one network serve both feet, and left/right symmetry holds by construction.

Components come first, robots last: a batch of vectors is (3, N), a batch of numbers (N,).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from legged_gym.teacher.state import TeacherState


@dataclass(frozen=True)
class StepFrame:
    """State relative to the stance foot, in M unless named otherwise. Vectors (3, N), numbers (N,)."""

    left: Tensor
    """Whether the left foot is stance (N,), bool."""
    side: Tensor
    """+1 where the left foot is stance, -1 where the right one is (N,)."""
    phase: Tensor
    """phi in [0, 1) within the step (N,)."""
    duration: Tensor
    """Step duration T = 1 / (2 f) (N,) [s]."""
    heading: Tensor
    """cos and sin of the base yaw (2, N)."""
    base_to_w: Tensor
    """Rotation matrix of the base, row by row (9, N); the last row is the world z axis in the base frame."""
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
    stance_vel: Tensor
    """Velocity of the stance foot (3, N) [m/s]."""
    command: Tensor
    """v_x, v_y [m/s], w_z [rad/s] (3, N)."""
    force: Tensor
    """Vertical contact forces of stance and swing foot (2, N) [N]."""
    ground: Tensor
    """Terrain under stance and swing foot, z relative to the stance foot's centre (2, N) [m]."""

    @property
    def up_b(self) -> Tensor:
        """World z axis in the base frame (3, N)."""
        return self.base_to_w[6:]

    def to_frame(self, vectors_w: Tensor) -> Tensor:
        """Turns vectors from W to M, (3, ..., N)."""
        return turn(vectors_w, self.heading, self.side)

    def to_world(self, vectors: Tensor) -> Tensor:
        """Turns vectors from M to W, (3, ..., N)."""
        cos, sin = self.heading.unbind()
        x, y, z = vectors.unbind()
        y = y * self.side
        return torch.stack((cos * x - sin * y, sin * x + cos * y, z))


def turn(vectors_w: Tensor, heading: Tensor, side: Tensor) -> Tensor:
    """Turns vectors from W to the heading frame and mirrors y for right stance.

    Args:
        vectors_w: (3, ..., N).
        heading: cos and sin of the yaw (2, N).
        side: +1 or -1 (N,).

    Returns:
        (3, ..., N).
    """
    x, y, z = vectors_w.unbind()
    cos, sin = heading.unbind()
    return torch.stack((cos * x + sin * y, side * (cos * y - sin * x), z))


def rotation_matrix(quat_xyzw: Tensor) -> Tensor:
    """Rotation matrices, row by row (9, N), of unit quaternions (4, N), x, y, z, w."""
    twice = 2.0 * quat_xyzw
    xx, yy, zz, _ = (quat_xyzw * twice).unbind()
    x, y, _, w = quat_xyzw.unbind()
    x2, y2, z2, _ = twice.unbind()
    xy, xz, yz = x * y2, x * z2, y * z2
    wx, wy, wz = w * x2, w * y2, w * z2
    diagonal = 1.0 - torch.stack((yy + zz, xx + zz, xx + yy))
    d0, d1, d2 = diagonal.unbind()
    return torch.stack((d0, xy - wz, xz + wy, xy + wz, d1, yz - wx, xz - wy, yz + wx, d2))


def yaw_heading(base_to_w: Tensor) -> Tensor:
    """Unit vector of the base's x axis in the horizontal plane (2, N); (1, 0) where the base points straight up."""
    x, y = base_to_w[0], base_to_w[3]
    square = x * x + y * y
    scale = square.clamp(min=1e-8).rsqrt()
    return torch.stack((torch.where(square > 1e-8, x * scale, 1.0), y * scale))


def observe(state: TeacherState) -> StepFrame:
    """Builds the stance-foot view of the state. Stance foot and phase come from the clock that the policy observes."""
    left = state.clock < 0.5
    right = (~left).to(state.clock.dtype)
    side = 1.0 - 2.0 * right
    base_to_w = rotation_matrix(state.base_quat_xyzw)
    heading = yaw_heading(base_to_w)
    stance, swing = _by_side(left, state.feet_pos_w)
    stance_vel = torch.where(left, state.feet_lin_vel_w[:3], state.feet_lin_vel_w[3:])
    positions = torch.stack((state.com_pos_w, state.base_pos_w, swing), dim=1) - stance.unsqueeze(1)  # (3, 3, N)
    velocities = torch.stack((state.com_lin_vel_w, stance_vel), dim=1)  # (3, 2, N)
    com, base, swing_m, com_vel, stance_vel = turn(torch.cat((positions, velocities), dim=1), heading, side).unbind(1)
    forces = state.feet_force_w[2::3]
    ground = state.feet_ground_height
    return StepFrame(
        left=left,
        side=side,
        phase=2.0 * state.clock - right,
        duration=0.5 / state.gait_frequency.clamp(min=0.1),
        heading=heading,
        base_to_w=base_to_w,
        stance_w=stance,
        swing_w=swing,
        com=com,
        com_vel=com_vel,
        base=base,
        swing=swing_m,
        stance_vel=stance_vel,
        command=mirror_command(state.command, side),
        force=torch.where(left, forces, forces.flip(0)),
        ground=torch.where(left, ground, ground.flip(0)) - stance[2],
    )


def mirror_command(command: Tensor, side: Tensor) -> Tensor:
    """(v_x, v_y, w_z) in M: sideways and turning change sign for right stance. (3, N) -> (3, N)."""
    x, y, yaw = command.unbind()
    return torch.stack((x, y * side, yaw * side))


def _by_side(left: Tensor, feet: Tensor) -> tuple[Tensor, Tensor]:
    """Splits left-right pairs (6, N) into stance and swing (3, N) each."""
    first, second = feet[:3], feet[3:]
    return torch.where(left, first, second), torch.where(left, second, first)
