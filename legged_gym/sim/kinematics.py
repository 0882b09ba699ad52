"""Batched forward kinematics of a two-legged robot: feet and centre of mass at the very state an engine has stepped to.

MuJoCo evaluates its sensors before it integrates, so after a step they lag by one physics step. This computes the same
quantities from the new joint state, for all robots at once and in few operations: inside, robots are the last
dimension, so that vectors that are constant in a link's frame turn for all robots in one matrix product.
"""

from typing import NamedTuple

import torch

from legged_gym.sim.robot_model import RobotModel

# Vectors are kept as x, y, z, x, y: a cross product then needs no copies, see `_cross`.
_WRAPPED = (0, 1, 2, 0, 1)


class Motion(NamedTuple):
    """What follows from the base's and the joints' state. World frame."""

    root_ang_vel_w: torch.Tensor
    """[rad/s]. Shape (N, 3)."""
    feet_pos_w: torch.Tensor
    """Origin of the foot links [m]. Shape (N, 2, 3)."""
    feet_lin_vel_w: torch.Tensor
    """[m/s]. Shape (N, 2, 3)."""
    com_pos_w: torch.Tensor
    """Centre of mass of the whole robot [m]. Shape (N, 3)."""
    com_lin_vel_w: torch.Tensor
    """[m/s]. Shape (N, 3)."""


def _cross(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Cross product of wrapped vectors, x y z x y in the last dimension but one. Shape (..., 5, N) -> (..., 3, N)."""
    return a[..., 1:4, :] * b[..., 2:5, :] - a[..., 2:5, :] * b[..., 1:4, :]


def _turning(axes: torch.Tensor) -> torch.Tensor:
    """The constants of a turn about an axis: R(q) = 1 + sin(q) K + (1 - cos(q)) K^2 with K = [axis]x.

    Args:
        axes: Unit axes. Shape (2, 3).

    Returns:
        The axis, the columns of K and those of K^2. Shape (2, 7, 3).
    """
    unit_vectors = torch.eye(3, device=axes.device).expand(2, 3, 3)
    columns = torch.linalg.cross(axes.unsqueeze(1), unit_vectors)  # (2, 3 columns, 3)
    return torch.cat((axes.unsqueeze(1), columns, columns @ columns), 1)


def _quat_map() -> torch.Tensor:
    """A rotation matrix is linear in its quaternion's products q_i q_j: wrapped columns from those. Shape (15, 16)."""
    table = torch.zeros(3, 3, 4, 4)  # row, column of the matrix, i, j
    for a in range(3):
        table[a, a, range(4), range(4)] += torch.tensor([-1.0, -1.0, -1.0, 1.0])  # w^2 - x^2 - y^2 - z^2
        b, c = (a + 1) % 3, (a + 2) % 3
        table[c, b, a, 3], table[b, c, a, 3] = 2.0, -2.0  # 2 w [v]x
        for k in range(3):
            table[a, k, a, k] += 2.0  # 2 v v^T
    return table.transpose(0, 1)[:, list(_WRAPPED)].reshape(15, 16)


class LegKinematics:
    """Positions and velocities of both legs' links, left and right as one batch dimension."""

    def __init__(self, robot: RobotModel, device: torch.device) -> None:
        """Read the geometry. Joint frames of the robot are unrotated at zero joint angles."""

        def constant(array: object) -> torch.Tensor:
            return torch.as_tensor(array, dtype=torch.float32, device=device)

        offsets = [constant(x) for x in (robot.abad_pos_b, robot.hip_pos, robot.thigh, robot.shank)]  # 4 x (2, 3)
        com = constant(robot.link_coms)  # (2, 4, 3): abad, hip, knee, foot, each in its own frame
        # In the frames of base, abad, hip and knee: centres of mass fixed in it and, last, the next link's origin.
        points = (
            offsets[0].unsqueeze(1),
            torch.stack((com[:, 0], offsets[1]), 1),
            torch.stack((com[:, 1], offsets[2]), 1),
            torch.stack((com[:, 2], offsets[3] + com[:, 3], offsets[3]), 1),
        )
        axes = constant(robot.joint_axes).view(2, 3, 3)  # leg, joint, xyz
        self._num_points = [p.shape[1] for p in points]
        self._constants = [torch.cat((p, _turning(axes[:, i])), 1) if i < 3 else p for i, p in enumerate(points)]
        self._quat_map = _quat_map().to(device)
        # Bodies in the order in which `forward` meets them: base, abads, hips, left knee and foot, right knee and foot.
        self._mass_order = torch.tensor((0, 1, 5, 2, 6, 3, 4, 7, 8), device=device)

    def forward(
        self,
        root_pos_w: torch.Tensor,
        root_quat_xyzw: torch.Tensor,
        root_lin_vel_w: torch.Tensor,
        root_ang_vel_b: torch.Tensor,
        joint_pos: torch.Tensor,
        joint_vel: torch.Tensor,
        body_mass: torch.Tensor,
        base_com: torch.Tensor,
    ) -> Motion:
        """Propagate poses and twists from the base to the feet.

        Args:
            root_pos_w: Base origin [m]. Shape (N, 3).
            root_quat_xyzw: Base orientation. Shape (N, 4).
            root_lin_vel_w: Velocity of the base origin [m/s]. Shape (N, 3).
            root_ang_vel_b: Base angular velocity in the base frame [rad/s]. Shape (N, 3).
            joint_pos: [rad]. Shape (N, 6).
            joint_vel: [rad/s]. Shape (N, 6).
            body_mass: Masses in the order of `RobotModel.body_names` [kg]. Shape (N, 9).
            base_com: Centre of mass of the base in its frame [m]. Shape (N, 3).
        """
        n = len(root_pos_w)
        quat = root_quat_xyzw.t()
        base_rot = (self._quat_map @ (quat.unsqueeze(1) * quat).view(16, n)).view(3, 5, n)  # columns, each x y z x y
        root_omega = (base_rot * root_ang_vel_b.t().unsqueeze(1)).sum(0)  # (5, N)
        base_lever = (base_rot * base_com.t().unsqueeze(1)).sum(0)
        q, rates = joint_pos.t().reshape(2, 3, 1, 1, n), joint_vel.t().reshape(2, 3, 1, n)
        sines, versines = torch.sin(q), 1.0 - torch.cos(q)
        rot, omega = base_rot.expand(2, 3, 5, n), root_omega.view(1, 1, 5, n)
        pos, vel = root_pos_w.t().view(1, 1, 3, n), root_lin_vel_w.t().view(1, 1, 3, n)
        com_pos = [pos[:, 0] + base_lever[:3]]
        com_vel = [vel[:, 0] + _cross(root_omega, base_lever)]
        for i, (points, constants) in enumerate(zip(self._num_points, self._constants, strict=True)):
            turned = torch.bmm(constants, rot.reshape(2, 3, 5 * n)).view(2, -1, 5, n)  # the constants in the world
            arms = turned[:, :points]
            pos, vel = pos + arms[:, :, :3], vel + _cross(omega, arms)
            com_pos.append(pos[:, :-1].flatten(0, 1))
            com_vel.append(vel[:, :-1].flatten(0, 1))
            pos, vel = pos[:, -1:], vel[:, -1:]
            if i < 3:
                axis, axis_cross, axis_cross_twice = turned[:, points:].split((1, 3, 3), 1)
                rot = torch.addcmul(torch.addcmul(rot, sines[:, i], axis_cross), versines[:, i], axis_cross_twice)
                omega = torch.addcmul(omega, rates[:, i : i + 1], axis)
        weight = (body_mass / body_mass.sum(-1, keepdim=True)).t()[self._mass_order].unsqueeze(1)
        return Motion(
            root_omega[:3].t(),
            pos[:, 0].permute(2, 0, 1),
            vel[:, 0].permute(2, 0, 1),
            (weight * torch.cat(com_pos)).sum(0).t(),
            (weight * torch.cat(com_vel)).sum(0).t(),
        )
