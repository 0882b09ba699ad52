"""Batched forward kinematics of a two-legged robot: feet and centre of mass at the very state an engine has stepped to.

MuJoCo evaluates its sensors before it integrates, so after a step they lag by one physics step. This computes the same
quantities from the new joint state for all robots at once.
"""

import torch

from legged_gym.sim.robot_model import RobotModel


def cross(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Cross product over the last dimension with broadcasting (`torch.linalg.cross` is slower on small batches)."""
    return a.roll(-1, -1) * b.roll(-2, -1) - a.roll(-2, -1) * b.roll(-1, -1)


def matrix_from_quat(quat_xyzw: torch.Tensor) -> torch.Tensor:
    """Rotation matrices of unit quaternions. Shape (..., 4) -> (..., 3, 3)."""
    x, y, z, w = quat_xyzw.unbind(-1)
    rows = (
        *(1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)),
        *(2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)),
        *(2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)),
    )
    return torch.stack(rows, dim=-1).unflatten(-1, (3, 3))


class LegKinematics:
    """Positions and velocities of both legs' links, left and right as one batch dimension."""

    def __init__(self, robot: RobotModel, device: torch.device) -> None:
        """Read the geometry. Joint frames of the robot are unrotated at zero joint angles."""

        def constant(array: object) -> torch.Tensor:
            return torch.as_tensor(array, dtype=torch.float32, device=device)

        self.offsets = [constant(x) for x in (robot.abad_pos_b, robot.hip_pos, robot.thigh, robot.shank)]  # 4 x (2, 3)
        self.axes = constant(robot.joint_axes).view(2, 3, 3)  # leg, joint, xyz
        skew = torch.zeros(2, 3, 3, 3, device=device)
        ax, ay, az = self.axes.unbind(-1)
        skew[..., 0, 1], skew[..., 0, 2], skew[..., 1, 2] = -az, ay, -ax
        self.skew = skew - skew.mT
        self.skew_squared = self.skew @ self.skew
        self.eye = torch.eye(3, device=device)
        self.link_com = constant(robot.link_coms)  # (2, 4, 3): abad, hip, knee, foot, each in its own frame

    def forward(
        self,
        root_pos_w: torch.Tensor,
        root_quat_xyzw: torch.Tensor,
        root_lin_vel_w: torch.Tensor,
        root_ang_vel_w: torch.Tensor,
        joint_pos: torch.Tensor,
        joint_vel: torch.Tensor,
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
        """Propagate poses and twists from the base to the feet.

        Args:
            root_pos_w: Base origin [m]. Shape (N, 3).
            root_quat_xyzw: Base orientation. Shape (N, 4).
            root_lin_vel_w: Velocity of the base origin [m/s]. Shape (N, 3).
            root_ang_vel_w: Base angular velocity [rad/s]. Shape (N, 3).
            joint_pos: [rad]. Shape (N, 6).
            joint_vel: [rad/s]. Shape (N, 6).

        Returns:
            Base rotation (N, 3, 3); feet position [m] and velocity [m/s] (N, 2, 3); position [m] and velocity [m/s] of the
            links' centres of mass (N, 2, 4, 3), world frame.
        """
        q = joint_pos.view(-1, 2, 3, 1, 1)
        joint_rot = self.eye + torch.sin(q) * self.skew + (1 - torch.cos(q)) * self.skew_squared  # (N, 2, 3, 3, 3)
        rates = joint_vel.view(-1, 2, 3, 1) * self.axes  # (N, 2, 3, 3) in each joint's own frame
        base_rot = matrix_from_quat(root_quat_xyzw)
        rot = base_rot.unsqueeze(1)  # (N, 1 or 2, 3, 3)
        pos, vel, omega = root_pos_w.unsqueeze(1), root_lin_vel_w.unsqueeze(1), root_ang_vel_w.unsqueeze(1)
        com_pos, com_vel = [], []
        for link in range(4):
            arm = (rot @ self.offsets[link].unsqueeze(-1)).squeeze(-1)  # (N, 2, 3)
            pos, vel = pos + arm, vel + cross(omega, arm)
            if link < 3:  # the foot is fixed to the shank
                rot = rot @ joint_rot[:, :, link]
                omega = omega + (rot @ rates[:, :, link].unsqueeze(-1)).squeeze(-1)
            lever = (rot @ self.link_com[:, link].unsqueeze(-1)).squeeze(-1)
            com_pos.append(pos + lever)
            com_vel.append(vel + cross(omega, lever))
        return base_rot, pos, vel, torch.stack(com_pos, 2), torch.stack(com_vel, 2)
