"""The stepping teacher beside whoever controls a robot: what it would do now, to be drawn."""

import copy
from typing import Any

import numpy as np
import torch

from legged_gym.runners.teachers import make_teacher
from legged_gym.teacher.config import DcmCfg
from legged_gym.teacher.dcm_teacher import DcmTeacher
from legged_gym.teacher.frame import StepFrame
from legged_gym.teacher.offset_network import OffsetNetwork
from legged_gym.teacher.predictor import StepPlan
from legged_gym.viewer.overlays import StepSketch


class _OneRobot:
    """An environment, but for its number of robots."""

    num_envs = 1

    def __init__(self, env: Any) -> None:
        self._env = env

    def __getattr__(self, name: str) -> Any:
        return getattr(self._env, name)


class StepPlanner:
    """Evaluates a teacher of its own on one robot of an environment, step by step, and changes nothing in it."""

    def __init__(self, cfg: DcmCfg, env: Any, moves_clock: bool = False) -> None:
        """Build the teacher, without a learned offset yet.

        Args:
            cfg: Its parameters.
            env: The environment, which observes the group `teacher`.
            moves_clock: Whoever controls the robots moves the gait clock as this teacher asks.
        """
        self._cfg, self._env, self._moves_clock = copy.deepcopy(cfg), env, moves_clock
        self._cfg.offset.enabled = False
        self._network: OffsetNetwork | None = None
        self._robot = 0
        self._planned: tuple[StepFrame, StepPlan] | None = None
        self._teacher = self._make_teacher()

    def _make_teacher(self) -> DcmTeacher:
        """A teacher without memories."""
        with torch.random.fork_rng(devices=[]):  # a network's first weights are drawn: not at the expense of the run
            teacher = make_teacher(self._cfg, _OneRobot(self._env), self._env.device)
        if self._network is not None:
            teacher.network = self._network
        teacher.on_plan = self._keep
        if not self._moves_clock:
            teacher.memory.adapts.zero_()
        return teacher

    def use_offset(self, weights: dict[str, torch.Tensor] | None) -> None:
        """Add the learned offset of these weights, if they fit this teacher's network."""
        network = copy.deepcopy(self._teacher.network)
        try:
            network.load_state_dict(weights or {})
        except RuntimeError:
            return
        self.follow_offset(network)

    def follow_offset(self, network: OffsetNetwork) -> None:
        """Add the offset of this network, which may go on learning."""
        self._cfg.offset.enabled, self._network = True, network
        self._teacher = self._make_teacher()

    def _keep(self, frame: StepFrame, plan: StepPlan) -> None:
        self._planned = frame, plan

    @torch.no_grad()
    def step(self, robot: int) -> None:
        """Evaluate the teacher on a robot's present observation; due after every policy step."""
        if robot != self._robot:
            self._robot, self._teacher = robot, self._make_teacher()
        self._teacher.step(self._env.get_observations()["teacher"][robot : robot + 1])

    def sketch(self) -> StepSketch | None:
        """Return the last plan, on the ground under the stance foot; None if it is not finite."""
        if self._planned is None:
            return None
        frame, plan = self._planned
        stance = frame.stance_w[:, 0]
        points = torch.stack((plan.xi_end, plan.foothold, plan.foothold - plan.correction))  # (3, 2, N)
        horizontal = torch.stack([frame.to_world(point)[:, 0] for point in points]) + stance[:2]
        numbers = torch.stack((plan.omega, plan.time_left, frame.duration))[:, 0]
        ground = frame.ground_w[:, 0]
        everything = torch.cat((horizontal.flatten(), stance, ground.flatten(), numbers)).cpu().numpy().astype(float)
        if not np.isfinite(everything).all():
            return None
        xi_end, foothold, without = (np.append(everything[2 * i : 2 * i + 2], everything[9]) for i in range(3))
        omega, time_left, duration = everything[10:].tolist()
        return StepSketch(everything[6:9], xi_end, foothold, without, omega, time_left, duration)
