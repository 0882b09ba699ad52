"""The teacher inside the rollout: references for imitation as data, and robots that it drives itself."""

import torch
from rsl_rl.env import VecEnv
from tensordict import TensorDict

from legged_gym.algorithms.losses import scheduled_weight
from legged_gym.runners.config import TeacherInLoopCfg
from legged_gym.teacher.dcm_teacher import DcmTeacher
from legged_gym.teacher.kinematics import LegGeometry


class TeacherInLoop:
    """Evaluates the teacher once per policy step on the observation group `teacher`."""

    def __init__(self, cfg: TeacherInLoopCfg, env: VecEnv, device: str) -> None:
        """Build the teacher for the environment's robot."""
        self.cfg = cfg
        self.env = env
        geometry = LegGeometry.from_model(env.sim.robot, device)
        self.teacher = DcmTeacher(cfg.dcm, geometry, env.num_envs, env.observation_terms["teacher"])
        self.driven = torch.zeros(env.num_envs, 1, device=device)
        """1 for the robots that the teacher drives. Shape (N, 1)."""
        self._rank = (torch.arange(env.num_envs, device=device) + 0.5).unsqueeze(-1) / env.num_envs
        self._sums = torch.zeros(4, device=device)
        self.set_progress(0)

    def set_progress(self, iteration: int) -> None:
        """Set the share of robots that the teacher drives in this iteration."""
        c = self.cfg
        self.share = scheduled_weight("linear", c.driven_initial, c.driven_final, iteration / c.driven_decay_steps)
        self.driven.copy_((self._rank < self.share).float())

    def add_reference(self, obs: TensorDict) -> None:
        """Evaluate the teacher and add the groups `reference`, `reference_weight` and `teacher_driven`."""
        output = self.teacher.step(obs["teacher"])
        obs["reference"] = output.action
        obs["reference_weight"] = output.weight.view(-1, 1)
        obs["teacher_driven"] = self.driven.clone()
        touchdown = output.touchdown
        error = torch.stack(
            (
                touchdown.sum(),
                (touchdown * output.touchdown_error.square().sum(-1)).sum(),
                (touchdown * output.foothold_error.square().sum(-1)).sum(),
                output.weight.mean(),
            )
        )
        self._sums += error

    def act(self, actions: torch.Tensor, obs: TensorDict) -> torch.Tensor:
        """Replace the driven robots' actions (N, A) by the reference."""
        return torch.where(self.driven > 0.0, obs["reference"], actions)

    def log(self, steps: int) -> dict[str, float]:
        """Means since the last call, by tensorboard tag."""
        touchdowns, dcm, foothold, weight = self._sums.tolist()
        self._sums.zero_()
        touchdowns = max(touchdowns, 1.0)
        return {
            "Teacher/dcm_offset_error_rms": (dcm / touchdowns) ** 0.5,
            "Teacher/foothold_error_rms": (foothold / touchdowns) ** 0.5,
            "Teacher/weight": weight / steps,
            "Teacher/driven_share": self.share,
        }
