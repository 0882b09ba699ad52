"""Resets, pushes and new masses at the trainer's end: noted for the worker, and shown in the state at once."""

from collections.abc import Mapping
from dataclasses import replace

import torch

from legged_gym.sim.kinematics import LegKinematics
from legged_gym.sim.process.protocol import PLACEMENT
from legged_gym.sim.robot_model import RobotModel
from legged_gym.sim.sim_state import Placement, SimState, forget_forces
from legged_gym.utils.math import overwrite, quat_rotate_inverse


class Interventions:
    """Resets, pushes and new masses between two steps, in plain tensor operations."""

    def __init__(
        self,
        robot: RobotModel,
        state: SimState,
        parameters: Mapping[str, torch.Tensor],
        shared: Mapping[str, torch.Tensor],
    ) -> None:
        """Take the geometry and the masses in force.

        Args:
            robot: The robot.
            state: Shows them.
            parameters: Those in force.
            shared: The worker reads them here, see `wire_fields`.
        """
        self._state, self._parameters, self._shared = state, parameters, shared
        self._device = state.root_pos_w.device
        self._kinematics = LegKinematics(robot, self._device)
        masses = [robot.base_mass, *robot.link_masses.flatten()]
        self._nominal_masses = torch.tensor(masses, dtype=torch.float32, device=self._device)
        self._nominal_base_com = torch.as_tensor(robot.base_com, dtype=torch.float32, device=self._device)
        self._mass_share = torch.empty_like(parameters["link_mass_scale"])  # (N, B)
        self._base_com = torch.empty_like(parameters["base_com_offset"])  # (N, 3)
        self.follow_masses()

    def follow_masses(self) -> None:
        """Derive from the parameters the masses that the centre of mass is computed from."""
        p = self._parameters
        masses = self._nominal_masses * p["link_mass_scale"]
        masses[:, 0] += p["base_mass_added"]
        torch.div(masses, masses.sum(-1, keepdim=True), out=self._mass_share)
        torch.add(self._nominal_base_com, p["base_com_offset"], out=self._base_com)

    def reset(self, mask: torch.Tensor, placement: Placement) -> None:
        """See `Simulator.reset`."""
        shared, s = self._shared, self._state
        placed = replace(placement, root_quat_xyzw=torch.nn.functional.normalize(placement.root_quat_xyzw, dim=-1))
        for name in PLACEMENT:
            value = getattr(placed, name)
            overwrite(shared[f"reset.{name}"], mask, value)
            overwrite(getattr(s, name), mask, value)
        # A push before a reset is forgotten with the state that it changed; the worker applies resets first.
        shared["reset_mask"].masked_fill_(mask, True)
        shared["push_delta_w"].masked_fill_(mask.unsqueeze(-1), 0.0)
        forget_forces(s, mask, placed.joint_pos)
        self._derive(mask)

    def _derive(self, mask: torch.Tensor) -> None:
        """Compute feet and centre of mass of the robots in `mask` (N,)."""
        # On the CPU for these robots alone; on a GPU, finding them would mean to wait.
        rows = mask.nonzero().squeeze(-1) if self._device.type == "cpu" else slice(None)
        s = self._state
        quat = s.root_quat_xyzw[rows]
        motion = self._kinematics.forward(
            s.root_pos_w[rows],
            quat,
            s.root_lin_vel_w[rows],
            quat_rotate_inverse(quat, s.root_ang_vel_w[rows]),
            s.joint_pos[rows],
            s.joint_vel[rows],
            self._mass_share[rows],
            self._base_com[rows],
        )
        for name in ("feet_pos_w", "feet_lin_vel_w", "com_pos_w", "com_lin_vel_w"):
            tensor, value = getattr(s, name), getattr(motion, name)
            if isinstance(rows, slice):
                overwrite(tensor, mask, value)
            else:
                tensor[rows] = value

    def push(self, mask: torch.Tensor, delta_vel_w: torch.Tensor) -> None:
        """See `Simulator.push`. The whole robot gets the same change of velocity."""
        s = self._state
        delta = torch.where(mask.unsqueeze(-1), delta_vel_w, 0.0)
        self._shared["push_delta_w"] += delta
        s.root_lin_vel_w += delta
        s.com_lin_vel_w += delta
        s.feet_lin_vel_w += delta.unsqueeze(1)
