"""State of the robots: the simulator's state, and quantities derived from it."""

from collections.abc import Sequence
from dataclasses import fields

import torch

from legged_gym.envs.base.ground import Plane
from legged_gym.sim.sim_state import SimState
from legged_gym.sim.simulator import Simulator
from legged_gym.utils.math import quat_rotate_inverse, rotate_yaw, yaw_from_quat

CONTACT_FORCE = 1.0
"""Vertical force from which on a foot is said to touch the ground [N]."""


class RobotState(SimState):
    """The simulator's tensors, which keep their memory, and further views of them in other frames.

    Frames: `_w` world, `_b` base, `_y` heading (the world turned by the base's yaw).
    """

    def __init__(self, sim: Simulator, ground: Plane) -> None:
        """Share the simulator's memory.

        Args:
            sim: The simulator; its state is valid.
            ground: What robots stand on.
        """
        super().__init__(**{f.name: getattr(sim.state, f.name) for f in fields(SimState)})
        self._ground, self._foot_radius = ground, sim.robot.foot_radius
        self._feet = bodies_named(sim, ("foot",))
        self._down = torch.tensor((0.0, 0.0, -1.0), device=sim.device).expand(sim.num_envs, 3)
        self.last_joint_vel = self.joint_vel.clone()
        """Joint velocity at the end of the last policy step [rad/s]. Shape (N, J)."""
        self.refresh()

    def refresh(self) -> None:
        """Compute what several terms share; call it whenever the simulator has changed its state."""
        vectors_w = torch.stack((self.root_lin_vel_w, self.root_ang_vel_w, self._down))  # (3, N, 3)
        vectors_b = quat_rotate_inverse(self.root_quat_xyzw.unsqueeze(0), vectors_w)
        self.base_lin_vel_b, self.base_ang_vel_b, self.projected_gravity_b = vectors_b.unbind()
        self.yaw = yaw_from_quat(self.root_quat_xyzw)
        """Heading of the base [rad]. Shape (N,)."""
        self.base_lin_vel_y = rotate_yaw(-self.yaw, self.root_lin_vel_w)
        """Velocity of the base [m/s]. Shape (N, 3)."""
        self.feet_force_w = self.contact_force_w.index_select(1, self._feet)  # (N, F, 3)
        self._ground.look(self)

    def end_step(self) -> None:
        """Keep what the next step is compared with; call it after resets and pushes."""
        self.last_joint_vel.copy_(self.joint_vel)
        self.refresh()

    @property
    def velocity_y(self) -> torch.Tensor:
        """Velocities that commands set: v_x, v_y [m/s] and w_z [rad/s]. Shape (N, 3)."""
        return torch.cat((self.base_lin_vel_y[:, :2], self.root_ang_vel_w[:, 2:]), dim=-1)

    @property
    def base_height(self) -> torch.Tensor:
        """Height of the base's origin over the ground around it [m]. Shape (N,)."""
        return self.root_pos_w[:, 2] - self._ground.under_base

    @property
    def feet_pos_y(self) -> torch.Tensor:
        """Feet relative to the base [m]. Shape (N, F, 3)."""
        return rotate_yaw(-self.yaw.unsqueeze(1), self.feet_pos_w - self.root_pos_w.unsqueeze(1))

    @property
    def feet_height(self) -> torch.Tensor:
        """Gap between the feet and the ground [m]. Shape (N, F)."""
        return self.feet_pos_w[..., 2] - self._foot_radius - self._ground.under_feet

    @property
    def feet_contact(self) -> torch.Tensor:
        """The foot touches the ground. Shape (N, F)."""
        return self.feet_force_w[..., 2] > CONTACT_FORCE


def bodies_named(sim: Simulator, patterns: Sequence[str]) -> torch.Tensor:
    """Indices of the bodies whose name contains one of the patterns, on the device. Shape (K,)."""
    names = sim.robot.body_names
    rows = [i for i, name in enumerate(names) if any(pattern in name for pattern in patterns)]
    return torch.tensor(rows, dtype=torch.long, device=sim.device)
