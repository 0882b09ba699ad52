"""The stepping teacher's plan for a robot, to be drawn, whichever agent controls it."""

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
from legged_gym.teacher.step_network import StepNetwork
from legged_gym.teacher.trajectory import planned_trajectory
from legged_gym.viewer.overlays import StepSketch

STEPS_AHEAD = 3
"""Steps of the planned path that are drawn beyond the present one."""
SAMPLES = 12
"""Samples of the path in each step."""


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
            moves_clock: The robots' controller moves the gait clock as this teacher asks.
        """
        self._cfg, self._env, self._moves_clock = copy.deepcopy(cfg), env, moves_clock
        self._cfg.offset.enabled = False
        self._network: OffsetNetwork | None = None
        self._steps: StepNetwork | None = None
        self._robot = 0
        self._planned: tuple[StepFrame, StepPlan] | None = None
        self._share = torch.linspace(0.0, 1.0, SAMPLES, device=env.device).unsqueeze(-1)
        self._teacher = self._make_teacher()

    def _make_teacher(self) -> DcmTeacher:
        """A teacher without memories."""
        with torch.random.fork_rng(devices=[]):  # a network's first weights are drawn: not at the expense of the run
            teacher = make_teacher(self._cfg, _OneRobot(self._env), self._env.device)
        if self._network is not None:
            teacher.network = self._network
        teacher.step_network = self._steps
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

    def follow_offset(self, network: OffsetNetwork, steps: StepNetwork | None = None) -> None:
        """Add the offset of this network, which may keep learning, and the step changes of another one."""
        self._cfg.offset.enabled, self._network, self._steps = True, network, steps
        self._teacher = self._make_teacher()

    def _keep(self, frame: StepFrame, plan: StepPlan) -> None:
        self._planned = frame, plan

    @torch.no_grad()
    def step(self, robot: int) -> None:
        """Evaluate the teacher on a robot's present observation; call it after every policy step."""
        if robot != self._robot:
            self._robot, self._teacher = robot, self._make_teacher()
        self._teacher.step(self._env.get_observations()["teacher"][robot : robot + 1])

    def sketch(self) -> StepSketch | None:
        """Return the last plan, on the ground under the stance foot; None if it is not finite."""
        if self._planned is None:
            return None
        frame, plan = self._planned
        ahead = planned_trajectory(frame, plan, self._teacher.predictor, STEPS_AHEAD)
        steps = zip(ahead.begin[:-1], ahead.begin[1:], strict=True)
        com, xi = ahead.at(torch.cat([begin + self._share * (end - begin) for begin, end in steps]))
        stance, ground = frame.stance_w[:, 0], frame.ground_w[:, 0]

        def placed(points: torch.Tensor, height: torch.Tensor) -> np.ndarray:
            """Points in M (2, S, 1) in the world at one height (S, 3)."""
            horizontal = frame.to_world(points.transpose(0, 1))[..., 0] + stance[:2]
            return torch.cat((horizontal, height.expand(len(horizontal), 1)), dim=-1).cpu().numpy().astype(float)

        now = torch.stack((plan.xi_end, plan.foothold, plan.foothold - plan.correction), dim=1)
        xi_end, foothold, without = placed(now, ground)
        sketch = StepSketch(
            stance_w=stance.cpu().numpy().astype(float),
            xi_end_w=xi_end,
            foothold_w=foothold,
            without_offset_w=without,
            com_path_w=placed(com, frame.com[2] + stance[2:]),
            dcm_path_w=placed(xi, ground),
            later_footholds_w=placed(ahead.feet[:, 2:], ground),
            time_left=float(plan.time_left[0]),
            duration=float(frame.duration[0]),
        )
        return sketch if all(np.isfinite(values).all() for values in vars(sketch).values()) else None
