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
    stance: Tensor
    """1 for the foot that is stance, 0 for the other: left, right (2, N)."""
    phase: Tensor
    """phi in [0, 1) within the step (N,)."""
    duration: Tensor
    """Step duration T = 1 / (2 f) (N,) [s]."""
    axes: Tensor
    """Horizontal axes of M in W: x axis, then y axis (2, 2, N)."""
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
        """Turns vectors from W to M: (2, N) horizontal or (3, ..., N)."""
        return turn(self.axes, vectors_w)

    def to_world(self, vectors: Tensor) -> Tensor:
        """Turns vectors from M to W: (2, N) horizontal or (3, ..., N)."""
        return turn(self.axes.transpose(0, 1), vectors)

    def mirror(self, vector: Tensor) -> Tensor:
        """(x, y) between M and the heading frame: y changes sign for right stance. (2, N)."""
        x, y = vector.unbind()
        return torch.stack((x, y * self.side))


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


def rotation_matrix(quat_xyzw: Tensor) -> Tensor:
    """Rotation matrices, row by row (9, N), of unit quaternions (4, N): 2 v v^T + 2 w [v]_x + (1 - 2 |v|^2) I."""
    products = quat_xyzw.unsqueeze(1) * (2.0 * quat_xyzw)  # (4, 4, N)
    x, y, z = products[3, :3].unbind()
    minus_x, minus_y, minus_z = (-products[3, :3]).unbind()
    rest = 1.0 - (products[0, 0] + products[1, 1] + products[2, 2])
    others = torch.stack((rest, minus_z, y, z, rest, minus_x, minus_y, x, rest))
    return products[:3, :3].flatten(0, 1) + others


def yaw_heading(base_to_w: Tensor) -> Tensor:
    """Unit vector of the base's x axis in the horizontal plane (2, N); (1, 0) where the base points straight up."""
    forward = base_to_w[0:4:3]
    square = forward.square().sum(dim=0)
    level = square > 1e-8
    x, y = (forward * torch.where(level, square, 1.0).rsqrt()).unbind()
    return torch.stack((torch.where(level, x, 1.0), y))


def observe(state: TeacherState) -> StepFrame:
    """Builds the stance-foot view of the state. Stance foot and phase come from the clock that the policy observes."""
    left = state.clock < 0.5
    side = torch.where(left, 1.0, -1.0).to(state.clock.dtype)
    base_to_w = rotation_matrix(state.base_quat_xyzw)
    forward = yaw_heading(base_to_w)
    sideways_x, sideways_y = (forward * side).unbind()
    axes = torch.stack((*forward.unbind(), -sideways_y, sideways_x)).unflatten(0, (2, 2))
    feet = torch.cat(
        [
            part.unflatten(0, (2, -1))
            for part in (state.feet_pos_w, state.feet_lin_vel_w, state.feet_force_w, state.feet_ground_height)
        ],
        dim=1,
    )  # left and right: position, velocity, force, ground (2, 10, N)
    feet = torch.where(left, feet, feet.flip(0))  # stance and swing
    stance, swing = feet[0, :3], feet[1, :3]
    positions = torch.stack((state.com_pos_w, state.base_pos_w, swing), dim=1) - stance.unsqueeze(1)  # (3, 3, N)
    velocities = torch.stack((state.com_lin_vel_w, feet[0, 3:6]), dim=1)  # (3, 2, N)
    com, base, swing_m, com_vel, stance_vel = turn(axes, torch.cat((positions, velocities), dim=1)).unbind(1)
    return StepFrame(
        left=left,
        side=side,
        stance=torch.stack((left, ~left)).to(side.dtype),
        phase=(2.0 * state.clock).frac(),
        duration=0.5 / state.gait_frequency.clamp(min=0.1),
        axes=axes,
        base_to_w=base_to_w,
        stance_w=stance,
        swing_w=swing,
        com=com,
        com_vel=com_vel,
        base=base,
        swing=swing_m,
        stance_vel=stance_vel,
        command=torch.cat((state.command[:1], state.command[1:] * side)),
        force=feet[:, 8],
        ground=feet[:, 9] - stance[2],
    )
