"""State of the robots in a simulator, and the placement of robots that are reset.

All tensors are batched over N robots, float32, SI units, on one device. Frames are named by suffix: ``_w`` world
(z up), ``_b`` base. Quaternions are x, y, z, w. Joints follow `RobotModel.joint_names`, bodies `RobotModel.body_names`,
feet are left then right.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import torch

from legged_gym.sim.robot_model import RobotModel
from legged_gym.utils.math import overwrite

PEAKS = ("peak_power", "peak_foot_force", "landing_speed", "peak_leg_force")
"""Fields of the state that cover all physics steps of a policy step."""


@dataclass
class SimState:
    """State of N robots after a policy step or a reset. Tensors keep their memory for the simulator's lifetime."""

    root_pos_w: torch.Tensor
    """Origin of the base link [m]. Shape (N, 3)."""
    root_quat_xyzw: torch.Tensor
    """Rotation base -> world. Shape (N, 4)."""
    root_lin_vel_w: torch.Tensor
    """Velocity of the base link's origin [m/s]. Shape (N, 3)."""
    root_ang_vel_w: torch.Tensor
    """Angular velocity of the base [rad/s]. Shape (N, 3)."""
    joint_pos: torch.Tensor
    """[rad]. Shape (N, J)."""
    joint_vel: torch.Tensor
    """[rad/s]. Shape (N, J)."""
    joint_torque: torch.Tensor
    """Torque applied during the last physics step, after the limit [N m]. Shape (N, J)."""
    feet_pos_w: torch.Tensor
    """Origin of the foot links, the centre of the foot sphere [m]. Shape (N, F, 3)."""
    feet_lin_vel_w: torch.Tensor
    """[m/s]. Shape (N, F, 3)."""
    contact_force_w: torch.Tensor
    """Net contact force on each body during the last physics step [N]. Shape (N, B, 3)."""
    com_pos_w: torch.Tensor
    """Centre of mass of the whole robot, with its randomised masses [m]. Shape (N, 3)."""
    com_lin_vel_w: torch.Tensor
    """[m/s]. Shape (N, 3)."""
    joint_target: torch.Tensor
    """Target in force at the end of the step, after the controller's clamp [rad]. Shape (N, J)."""
    peak_power: torch.Tensor
    """Largest sum over the joints of |torque x velocity| of the step's physics steps [W]. Shape (N,)."""
    peak_foot_force: torch.Tensor
    """Largest contact force on each foot of the step's physics steps [N]. Shape (N, F)."""
    landing_speed: torch.Tensor
    """Downward speed with which each foot began to touch something in one of the step's physics steps, the largest if
    it did so repeatedly; 0 if it did not [m/s]. Shape (N, F)."""
    peak_leg_force: torch.Tensor
    """Largest force between the two legs of the step's physics steps [N]. Shape (N,)."""

    @classmethod
    def zeros(cls, num_envs: int, robot: RobotModel, device: str | torch.device) -> SimState:
        """Allocate a state of zeros with identity orientations."""
        joints, feet, bodies = len(robot.joint_names), len(robot.foot_names), len(robot.body_names)
        shapes: dict[str, tuple[int, ...]] = {
            "root_quat_xyzw": (4,),
            "joint_pos": (joints,),
            "joint_vel": (joints,),
            "joint_torque": (joints,),
            "feet_pos_w": (feet, 3),
            "feet_lin_vel_w": (feet, 3),
            "contact_force_w": (bodies, 3),
            "joint_target": (joints,),
            "peak_power": (),
            "peak_foot_force": (feet,),
            "landing_speed": (feet,),
            "peak_leg_force": (),
        }
        state = cls(**{f.name: torch.zeros(num_envs, *shapes.get(f.name, (3,)), device=device) for f in fields(cls)})
        state.root_quat_xyzw[:, 3] = 1.0
        return state


@dataclass(frozen=True)
class Placement:
    """Poses and velocities for `Simulator.reset`; rows of robots that are not reset are ignored."""

    root_pos_w: torch.Tensor
    """Origin of the base link [m]. Shape (N, 3)."""
    root_quat_xyzw: torch.Tensor
    """Rotation base -> world; it is normalised. Shape (N, 4)."""
    root_lin_vel_w: torch.Tensor
    """Velocity of the base link's origin [m/s]. Shape (N, 3)."""
    root_ang_vel_w: torch.Tensor
    """Angular velocity of the base [rad/s]. Shape (N, 3)."""
    joint_pos: torch.Tensor
    """[rad]. Shape (N, J)."""
    joint_vel: torch.Tensor
    """[rad/s]. Shape (N, J)."""

    @classmethod
    def of(cls, state: SimState) -> Placement:
        """Return the placement of a state, without a copy."""
        return cls(**{f.name: getattr(state, f.name) for f in fields(cls)})

    @classmethod
    def at_rest(cls, root_pos_w: torch.Tensor, num_joints: int) -> Placement:
        """Upright, heading along x, with all joint angles and velocities zero.

        Args:
            root_pos_w: Origin of the base link [m]. Shape (N, 3).
            num_joints: Joints J of a robot.
        """
        n = len(root_pos_w)
        upright = root_pos_w.new_tensor((0.0, 0.0, 0.0, 1.0)).repeat(n, 1)
        # A tensor for each field, so that the caller may write to it.
        zeros = [root_pos_w.new_zeros(n, width) for width in (3, 3, num_joints, num_joints)]
        return cls(root_pos_w, upright, *zeros)

    def tensors(self) -> tuple[torch.Tensor, ...]:
        """The fields in their order."""
        return tuple(getattr(self, f.name) for f in fields(self))


def forget_forces(state: SimState, mask: torch.Tensor, joint_pos: torch.Tensor) -> None:
    """Show no torque, contact or peak for the robots in `mask` (N,), which were placed at `joint_pos` (N, J) [rad]."""
    for name in ("contact_force_w", "joint_torque", *PEAKS):
        tensor = getattr(state, name)
        tensor.masked_fill_(mask.view(-1, *[1] * (tensor.ndim - 1)), 0.0)
    overwrite(state.joint_target, mask, joint_pos)
