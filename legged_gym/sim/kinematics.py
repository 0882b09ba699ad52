"""Batched forward kinematics of a two-legged robot: feet and centre of mass at the state after an engine's step.

MuJoCo evaluates its sensors before it integrates, so after a step they lag by one physics step. This computes the same
quantities from the new joint state, for all robots at once and in few operations: robots are the last dimension, and
a turn about a joint's axis is linear in 1, sin q and cos q, so that a leg's points are linear in the 27 products of
these over its three joints.
"""

from typing import NamedTuple

import torch

from legged_gym.sim.robot_model import RobotModel


class Motion(NamedTuple):
    """Feet and centre of mass, computed from the state of base and joints. World frame."""

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


def _turn(axes: torch.Tensor) -> torch.Tensor:
    """A turn is R(q) = (1 + K^2) + sin(q) K - cos(q) K^2 with K = [axis]x: the matrices by 1, sin q and cos q.

    Args:
        axes: Unit axes. Shape (2, 3).

    Returns:
        Shape (2, 3 matrices, 3, 3).
    """
    unit = torch.eye(3, dtype=axes.dtype).expand(2, 3, 3)
    cross = torch.linalg.cross(axes.unsqueeze(1), unit).transpose(1, 2)  # its columns are axis x unit vector
    return torch.stack((unit + cross @ cross, cross, -cross @ cross), 1)


def _quat_map() -> torch.Tensor:
    """A rotation matrix is linear in its quaternion's products q_i q_j: its columns from those. Shape (9, 16)."""
    table = torch.zeros(3, 3, 4, 4)  # row, column of the matrix, i, j
    for a in range(3):
        table[a, a, range(4), range(4)] += torch.tensor([-1.0, -1.0, -1.0, 1.0])  # w^2 - x^2 - y^2 - z^2
        b, c = (a + 1) % 3, (a + 2) % 3
        table[c, b, a, 3], table[b, c, a, 3] = 2.0, -2.0  # 2 w [v]x
        for k in range(3):
            table[a, k, a, k] += 2.0  # 2 v v^T
    return table.transpose(0, 1).reshape(9, 16)


def _leg_table(robot: RobotModel) -> torch.Tensor:
    """Points of a leg in the base frame, and their derivatives, from the products of 1, sin q and cos q of its joints.

    Returns:
        Rows: a point's position and its derivatives by the three joints; points: centres of mass of abad, hip, knee and
        foot link, origin of the foot; x, y, z. Columns: products. Shape (2 legs, 4 * 5 * 3, 27).
    """
    constants = (robot.abad_pos_b, robot.hip_pos, robot.thigh, robot.shank, robot.link_coms, robot.joint_axes)
    *origins, shank, com, axes = (torch.as_tensor(x, dtype=torch.float64) for x in constants)
    points = torch.stack((com[:, 2], shank + com[:, 3], shank), 1)  # in the knee's frame: (2, P, 3)
    for joint in (2, 1, 0):  # on to the frame before the joint, which gives the products an axis
        turn = _turn(axes.view(2, 3, 3)[:, joint])
        points = torch.einsum("laij,lp...j->lpa...i", turn, points).contiguous()
        if joint > 0:  # the centre of mass of the link before the joint
            points = torch.cat((torch.zeros_like(points[:, :1]), points), 1)
            points[:, 0].view(2, -1, 3)[:, 0] = com[:, joint - 1] - origins[joint]
        points.flatten(2, -2)[:, :, 0] += origins[joint].unsqueeze(1)  # by the product 1
    derivative = torch.tensor(((0.0, 0.0, 0.0), (0.0, 0.0, 1.0), (0.0, -1.0, 0.0)), dtype=torch.float64)
    rates = [torch.tensordot(points, derivative, ([2 + j], [0])).movedim(-1, 2 + j) for j in range(3)]
    table = torch.stack((points, *rates), 1).movedim(-1, 3)  # (2, 4, 5, xyz, 3, 3, 3)
    return table.reshape(2, 60, 27).float()


class LegKinematics:
    """Positions and velocities of both legs' links, left and right as one batch dimension."""

    def __init__(self, robot: RobotModel, device: torch.device) -> None:
        """Read the geometry. Joint frames of the robot are unrotated at zero joint angles."""
        self._table = _leg_table(robot).to(device)
        self._quat_map = _quat_map().to(device)

    def forward(
        self,
        root_pos_w: torch.Tensor,
        root_quat_xyzw: torch.Tensor,
        root_lin_vel_w: torch.Tensor,
        root_ang_vel_b: torch.Tensor,
        joint_pos: torch.Tensor,
        joint_vel: torch.Tensor,
        mass_share: torch.Tensor,
        base_com: torch.Tensor,
    ) -> Motion:
        """Compute feet and centre of mass in the base frame, then turn all vectors to the world at once.

        Args:
            root_pos_w: Base origin [m]. Shape (N, 3).
            root_quat_xyzw: Base orientation. Shape (N, 4).
            root_lin_vel_w: Velocity of the base origin [m/s]. Shape (N, 3).
            root_ang_vel_b: Base angular velocity in the base frame [rad/s]. Shape (N, 3).
            joint_pos: [rad]. Shape (N, 6).
            joint_vel: [rad/s]. Shape (N, 6).
            mass_share: Each body's share of the robot's mass, in the order of `RobotModel.body_names`. Shape (N, 9).
            base_com: Centre of mass of the base in its frame [m]. Shape (N, 3).
        """
        n = len(root_pos_w)
        q, share, omega = joint_pos.t().view(2, 3, n), mass_share.t(), root_ang_vel_b.t()
        first, second, third = torch.stack((torch.ones_like(q), torch.sin(q), torch.cos(q)), 2).unbind(1)  # (2, 3, N)
        products = (first.unsqueeze(2) * second.unsqueeze(1)).view(2, 9, 1, n) * third.unsqueeze(1)
        table = torch.bmm(self._table, products.view(2, 27, n)).view(2, 4, 5, 3, n)
        rates = joint_vel.t().view(2, 3, 1, 1, n)
        points = torch.stack((table[:, 0], (table[:, 1:] * rates).sum(1)))  # position and velocity, leg, point, xyz, N
        com = (points[:, :, :4] * share[1:].view(2, 4, 1, n)).sum((1, 2))
        com[0] += share[0] * base_com.t()
        pos, vel = torch.cat((points[:, :, 4], com.unsqueeze(1)), 1)  # left foot, right foot, centre of mass: (3, 3, N)
        vel += torch.linalg.cross(omega.expand_as(pos), pos, dim=1)
        vectors_b = torch.cat((pos, vel, omega.unsqueeze(0))).transpose(0, 1)  # (xyz, 7, N)
        quat = root_quat_xyzw.t()
        columns = (self._quat_map @ (quat.unsqueeze(1) * quat).view(16, n)).view(3, 1, 3, n)
        vectors_w = (columns * vectors_b.unsqueeze(2)).sum(0)  # (7, xyz, N)
        vectors_w[:3] += root_pos_w.t()
        vectors_w[3:6] += root_lin_vel_w.t()
        rows = vectors_w.permute(2, 0, 1)  # (N, 7, 3)
        return Motion(rows[:, 6], rows[:, :2], rows[:, 3:5], rows[:, 2], rows[:, 5])
