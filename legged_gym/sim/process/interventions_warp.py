"""The interventions of `interventions` in four kernels instead of some sixty, to save the trainer's GPU time."""

from collections.abc import Mapping
from typing import Any

import torch
import warp as wp

from legged_gym.sim.mujoco_warp import kernels as motion_kernels
from legged_gym.sim.mujoco_warp.graph import TorchStream, launch, wrap_placement, wrap_vectors
from legged_gym.sim.process import kernels
from legged_gym.sim.process.interventions import Interventions
from legged_gym.sim.process.protocol import PLACEMENT
from legged_gym.sim.robot_model import RobotModel
from legged_gym.sim.sim_state import PEAKS, Placement, SimState


class WarpInterventions(Interventions):
    """Uses the kernels that place and show robots in MuJoCo Warp, on a `qpos` and a `qvel` of its own."""

    def __init__(
        self,
        robot: RobotModel,
        state: SimState,
        parameters: Mapping[str, torch.Tensor],
        shared: Mapping[str, torch.Tensor],
    ) -> None:
        """See `Interventions`."""
        super().__init__(robot, state, parameters, shared)
        self._on_stream = TorchStream(self._device)
        device, s, (n, joints) = self._device, state, state.joint_pos.shape
        links = robot.link_coms.shape[1]

        def array(values: Any, dtype: Any = torch.float32) -> torch.Tensor:
            return torch.as_tensor(values, dtype=dtype, device=device).contiguous()

        def scratch(*shape: int) -> Any:
            return wp.from_torch(torch.zeros(n, *shape, device=device))

        self._qpos, self._qvel = scratch(7 + joints), scratch(6 + joints)
        self._ignored = [scratch(0), scratch(0), scratch(joints)]  # accelerations, warm start, last target
        self._ignored_time = scratch()
        origins = torch.stack([array(x) for x in (robot.abad_pos_b, robot.hip_pos, robot.thigh, robot.shank)], 1)
        body_pos = torch.cat((torch.zeros(1, 3, device=device), origins.flatten(0, 1))).unsqueeze(0)  # (1, B, 3)
        axes = torch.cat((torch.zeros(1, 3, device=device), array(robot.joint_axes))).unsqueeze(0)  # (1, 1 + J, 3)
        legs = 1 + torch.arange(2 * links, dtype=torch.int32, device=device).view(2, links)
        link_coms = array(robot.link_coms).flatten(0, 1).expand(n, -1, 3)
        body_com = torch.cat((self._base_com.unsqueeze(1), link_coms), 1)  # (N, B, 3)
        self._base_com = body_com[:, 0]  # from now on written there
        self._geometry = [
            *(0, wp.from_torch(legs), wp.from_torch(body_pos, dtype=wp.vec3), wp.from_torch(axes, dtype=wp.vec3)),
            *(wp.from_torch(self._mass_share), wp.from_torch(body_com, dtype=wp.vec3)),
        ]
        self._placement = wrap_placement(Placement(*(shared[f"reset.{name}"] for name in PLACEMENT)))
        self._mask, self._push = wp.from_torch(shared["reset_mask"]), wrap_vectors(shared["push_delta_w"])
        peaks = [wp.from_torch(getattr(s, name)) for name in PEAKS]
        self._forces = [
            wp.from_torch(s.joint_target),
            wp.from_torch(s.joint_torque),
            wrap_vectors(s.contact_force_w),
            *peaks,
        ]
        derived = [wrap_vectors(x) for x in (s.feet_pos_w, s.feet_lin_vel_w, s.com_pos_w, s.com_lin_vel_w)]
        self._motion = [*wrap_placement(Placement.of(s)), *derived]
        self._pushed = [wrap_vectors(x) for x in (s.root_lin_vel_w, s.com_lin_vel_w, s.feet_lin_vel_w)]

    def reset(self, mask: torch.Tensor, placement: Placement) -> None:
        """See `Interventions.reset`."""
        with self._on_stream():
            n, wp_mask, given = len(mask), wp.from_torch(mask), wrap_placement(placement)
            launch(kernels.note_reset, n, [wp_mask, *given, *self._placement, self._mask, self._push])
            engine = [self._ignored_time, self._qpos, self._qvel, *self._ignored]
            launch(motion_kernels.place_robots, n, [wp_mask, *given, *engine, *self._forces])
            launch(motion_kernels.read_motion, n, [wp_mask, *self._geometry, self._qpos, self._qvel, *self._motion])

    def push(self, mask: torch.Tensor, delta_vel_w: torch.Tensor) -> None:
        """See `Interventions.push`."""
        with self._on_stream():
            arguments = [wp.from_torch(mask), wrap_vectors(delta_vel_w), self._push, *self._pushed]
            launch(kernels.push_all, len(mask), arguments)
