"""The robots' sensors: an IMU with mounting error and bias, joint encoders with an error of their zero."""

import torch

from legged_gym.envs.base.domain_rand import DomainRandomizer
from legged_gym.envs.base.robot_state import RobotState
from legged_gym.utils.math import quat_rotate


class Sensors:
    """Measurements without noise, which observations add."""

    def __init__(self, randomizer: DomainRandomizer, dt: float, num_envs: int, num_joints: int) -> None:
        """Allocate; `measure` fills in.

        Args:
            randomizer: Has the sensors' errors.
            dt: Policy step [s].
            num_envs: Number of robots N.
            num_joints: Number of joints J.
        """
        self._errors, self._dt = randomizer, dt
        self._widths = (3, 3, num_joints, num_joints)
        self._before = torch.zeros(num_envs, sum(self._widths), device=randomizer.gyro_bias.device)

    def measure(self, state: RobotState, joint_zero: torch.Tensor, fresh: torch.Tensor) -> None:
        """Set `ang_vel` [rad/s], `gravity` (N, 3), `joint_pos` [rad] and `joint_vel` [rad/s] (N, J).

        Measurements are some milliseconds old: interpolated between the last policy step and this one. The robots in
        `fresh` (N,) have no last step.

        Args:
            state: The true state.
            joint_zero: Joint angles where the robots measure their default pose [rad]. Shape (N, J).
            fresh: Robots whose episode begins.
        """
        vectors_b = torch.stack((state.base_ang_vel_b, state.projected_gravity_b))  # (2, N, 3)
        ang_vel, gravity = quat_rotate(self._errors.imu_quat.unsqueeze(0), vectors_b).unbind()
        joint_pos = state.joint_pos - joint_zero
        now = torch.cat((ang_vel + self._errors.gyro_bias, gravity, joint_pos, state.joint_vel), dim=-1)
        shown = now
        if self._errors.cfg.randomize_observation_delay:
            age = (self._errors.observation_age / self._dt).masked_fill(fresh, 0.0)
            shown = torch.lerp(now, self._before, age.unsqueeze(-1))
            self._before.copy_(now)
        self.ang_vel, self.gravity, self.joint_pos, self.joint_vel = (
            part.contiguous() for part in shown.split(self._widths, dim=-1)
        )

    def forget(self, mask: torch.Tensor) -> None:
        """Clear the last measurement of the robots in `mask` (N,): values that get zero weight later must be finite."""
        self._before.masked_fill_(mask.view(-1, 1), 0.0)
