"""The state as the stance foot sees it: the mirrored heading frame M in which steps are planned.

Frame M has its origin at the centre of the stance foot, x along the base's heading, z up, and y to the stance side
(left when the left foot is stance, right when the right one is). In M every step looks like a step from the left foot
to the right one, so one stepping law and one network serve both feet, and left/right symmetry holds by construction.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from legged_gym.teacher.state import TeacherState


@dataclass(frozen=True)
class StepFrame:
    """State relative to the stance foot, in M unless named otherwise. Columns (N, 1), vectors (N, 3)."""

    left: Tensor
    """Whether the left foot is stance (N, 1), bool."""
    side: Tensor
    """+1 where the left foot is stance, -1 where the right one is (N, 1)."""
    phase: Tensor
    """phi in [0, 1) within the step (N, 1)."""
    duration: Tensor
    """Step duration T = 1 / (2 f) (N, 1) [s]."""
    heading: Tensor
    """cos and sin of the base yaw (N, 2)."""
    up_b: Tensor
    """World z axis in the base frame (N, 3)."""
    base_to_w: Tensor
    """Rotation matrix of the base (N, 3, 3)."""
    stance_w: Tensor
    """Stance foot centre in W (N, 3) [m]."""
    com: Tensor
    """CoM (N, 3) [m]."""
    com_vel: Tensor
    """CoM velocity (N, 3) [m/s]."""
    base: Tensor
    """Base origin (N, 3) [m]."""
    swing: Tensor
    """Swing foot centre (N, 3) [m]."""
    stance_vel: Tensor
    """Velocity of the stance foot (N, 3) [m/s]."""
    command: Tensor
    """v_x, v_y [m/s], w_z [rad/s] (N, 3)."""
    stance_force: Tensor
    """Vertical contact force of the stance foot (N, 1) [N]."""
    swing_force: Tensor
    """Vertical contact force of the swing foot (N, 1) [N]."""
    stance_ground: Tensor
    """Terrain under the stance foot, z relative to its centre (N, 1) [m]."""
    swing_ground: Tensor
    """Terrain under the swing foot, z relative to the stance foot's centre (N, 1) [m]."""

    def to_frame(self, vectors_w: Tensor) -> Tensor:
        """Turns vectors from W to M. (N, K, 3) -> (N, K, 3)."""
        return turn(vectors_w, self.heading, self.side)

    def to_world(self, vectors: Tensor) -> Tensor:
        """Turns a vector from M to W. (N, 3) -> (N, 3)."""
        x, y, z = vectors.unbind(-1)
        cos, sin = self.heading.unbind(-1)
        y = y * self.side.squeeze(-1)
        return torch.stack((cos * x - sin * y, sin * x + cos * y, z), dim=-1)


def turn(vectors_w: Tensor, heading: Tensor, side: Tensor) -> Tensor:
    """Turns vectors from W to the heading frame and mirrors y for right stance.

    Args:
        vectors_w: (N, K, 3).
        heading: cos and sin of the yaw (N, 2).
        side: +1 or -1 (N, 1).

    Returns:
        (N, K, 3).
    """
    x, y, z = vectors_w.unbind(-1)
    cos, sin = heading.split(1, dim=-1)
    along = torch.addcmul(cos * x, sin, y)
    across = torch.addcmul((side * cos) * y, side * sin, x, value=-1.0)
    return torch.stack((along, across, z), dim=-1)


def rotation_matrix(quat_xyzw: Tensor) -> Tensor:
    """Rotation matrix (N, 3, 3) of unit quaternions (N, 4), x, y, z, w."""
    x, y, z, w = quat_xyzw.unbind(-1)
    x2, y2, z2 = x + x, y + y, z + z
    xx, yy, zz = x * x2, y * y2, z * z2
    xy, xz, yz = x * y2, x * z2, y * z2
    wx, wy, wz = w * x2, w * y2, w * z2
    rows = (1 - yy - zz, xy - wz, xz + wy, xy + wz, 1 - xx - zz, yz - wx, xz - wy, yz + wx, 1 - xx - yy)
    return torch.stack(rows, dim=-1).view(-1, 3, 3)


def yaw_heading(base_to_w: Tensor) -> Tensor:
    """Unit vector of the base's x axis in the horizontal plane (N, 2); (1, 0) where the base points straight up."""
    forward = base_to_w[:, :2, 0]
    norm = (forward * forward).sum(-1, keepdim=True)
    level = torch.tensor((1.0, 0.0), dtype=forward.dtype, device=forward.device)
    return torch.where(norm > 1e-8, forward * norm.clamp(min=1e-8).rsqrt(), level)


def observe(state: TeacherState) -> StepFrame:
    """Builds the stance-foot view of the state. Stance foot and phase come from the clock that the policy observes."""
    left = state.clock < 0.5
    side = torch.where(left, 1.0, -1.0).to(state.clock.dtype)
    phase = 2.0 * state.clock - torch.where(left, 0.0, 1.0)
    base_to_w = rotation_matrix(state.base_quat_xyzw)
    heading = yaw_heading(base_to_w)
    stance, swing = _by_side(left, state.feet_pos_w)
    stance_vel, _ = _by_side(left, state.feet_lin_vel_w)
    force_left, force_right = state.feet_force_w[:, 2:3], state.feet_force_w[:, 5:6]
    ground_left, ground_right = state.feet_ground_height.split(1, dim=-1)
    positions = torch.stack((state.com_pos_w, state.base_pos_w, swing), dim=1) - stance.unsqueeze(1)
    velocities = torch.stack((state.com_lin_vel_w, stance_vel), dim=1)
    com, base, swing_m, com_vel, stance_vel = turn(torch.cat((positions, velocities), dim=1), heading, side).unbind(1)
    height = stance[:, 2:]
    return StepFrame(
        left=left,
        side=side,
        phase=phase,
        duration=0.5 / state.gait_frequency.clamp(min=0.1),
        heading=heading,
        up_b=base_to_w[:, 2],
        base_to_w=base_to_w,
        stance_w=stance,
        com=com,
        com_vel=com_vel,
        base=base,
        swing=swing_m,
        stance_vel=stance_vel,
        command=mirror_command(state.command, side),
        stance_force=torch.where(left, force_left, force_right),
        swing_force=torch.where(left, force_right, force_left),
        stance_ground=torch.where(left, ground_left, ground_right) - height,
        swing_ground=torch.where(left, ground_right, ground_left) - height,
    )


def mirror_command(command: Tensor, side: Tensor) -> Tensor:
    """(v_x, v_y, w_z) in M: sideways and turning change sign for right stance. (N, 3) -> (N, 3)."""
    return torch.cat((command[:, :1], command[:, 1:] * side), dim=-1)


def _by_side(left: Tensor, feet: Tensor) -> tuple[Tensor, Tensor]:
    """Splits left-right pairs (N, 6) into stance and swing (N, 3) each."""
    first, second = feet.split(3, dim=-1)
    return torch.where(left, first, second), torch.where(left, second, first)
