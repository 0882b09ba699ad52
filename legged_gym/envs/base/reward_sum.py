"""Weighs the reward terms and adds them up; quantities that several terms share are computed here once a step."""

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

import torch

from legged_gym.envs.base.episodes import EpisodeLog
from legged_gym.envs.base.legged_robot_config import LeggedRobotCfg
from legged_gym.envs.base.rewards import TERMS, RewardTerm, find_terms
from legged_gym.envs.base.robot_state import bodies_named
from legged_gym.sim.simulator import Simulator
from legged_gym.utils.config import ConfigError, to_dict
from legged_gym.utils.cuda_graph import Queues
from legged_gym.utils.math import known_empty

if TYPE_CHECKING:
    from legged_gym.envs.base.legged_robot import LeggedRobot

QUEUES = 4
"""Queues of a GPU that terms are computed on."""


def weighed_terms(env_class: type, cfg: LeggedRobotCfg) -> dict[str, tuple[RewardTerm, float]]:
    """Return the terms whose scale is not zero, by name, each with its weight per policy step.

    Raises:
        ConfigError: A scale has no term, a listed term no scale, or all scales are zero.
    """
    scales = to_dict(cfg.rewards.scales)
    terms = find_terms(env_class, cfg.rewards)
    if not any(scales.values()):
        raise ConfigError("rewards.scales: all are 0, so nothing is rewarded; give a weight to one at least")
    return {name: (term, scales[name] * cfg.policy_dt) for name, term in terms.items() if scales[name]}


def dealt(terms: Sequence[RewardTerm]) -> list[list[int]]:
    """Deal terms, by their places, to queues: evenly, or all to one if any is the user's.

    The package's do not depend on each other; a user's may keep something for another one.
    """
    places = list(range(len(terms)))
    return [places[i::QUEUES] for i in range(QUEUES)] if all(term in TERMS for term in terms) else [places]


class RewardSum:
    """The reward of a step, and the quantities that its terms need besides the robots' state."""

    def __init__(
        self, terms: Sequence[tuple[RewardTerm, float]], cfg: LeggedRobotCfg, sim: Simulator, log: EpisodeLog
    ) -> None:
        """Allocate.

        Args:
            terms: From `weighed_terms`, in the order in which they are added.
            cfg: The configuration.
            sim: Robot and sizes.
            log: Takes each term's sum over the episode.
        """
        self.cfg, self._log, device = cfg.rewards, log, sim.device
        self.terms = terms
        """The terms in use and their weights per policy step."""
        self._queues = Queues(device, QUEUES)
        self._dealt = dealt([term for term, _ in terms])
        self._weights = torch.tensor([weight for _, weight in self.terms], device=device).unsqueeze(-1)  # (R, 1)
        self.desired_contact = torch.zeros(sim.num_envs, len(sim.robot.foot_names), device=device)
        """Contact that the clock asked for in the last step, 1 stance, 0 swing. Shape (N, F)."""
        self.gait_active = torch.ones(sim.num_envs, device=device)
        """1 where the terms of the gait apply. Shape (N,)."""
        self.penalized_bodies = bodies_named(sim, cfg.asset.penalize_contacts_on)
        """Bodies whose contacts are penalised. Shape (K,)."""
        limits = torch.as_tensor(sim.robot.joint_limits, dtype=torch.float32, device=device)  # (J, 2)
        middle, half = limits.mean(-1), 0.5 * (limits[:, 1] - limits[:, 0]) * cfg.rewards.soft_dof_pos_limit
        self.soft_joint_limits = (middle - half, middle + half)
        """Joint angles between which there is no cost [rad]. Shapes (J,)."""

    def compute(self, env: "LeggedRobot") -> torch.Tensor:
        """Add up the weighted terms of the last step, and note them in the log.

        A robot whose simulation broke earns nothing; one whose reward is not finite breaks.

        Returns:
            The rewards. Shape (N,).
        """
        self._update_gait(env)
        parts = self._queues.run(*(partial(self._compute, env, rows) for rows in self._dealt))
        values = {k: value for part in parts for k, value in part.items()}
        terms = torch.stack([values[k] for k in range(len(values))]) * self._weights  # (R, N)
        terms.masked_fill_(env.episodes.broke, 0.0)
        total = terms.sum(0)
        bad = ~total.isfinite()
        if not known_empty(bad):
            self._log.not_finite += (~terms.isfinite()).sum(-1)
            terms.masked_fill_(bad, 0.0)
            env.episodes.break_off(bad)
            total = terms.sum(0)
        self._log.sums += terms
        return total.clamp(min=0.0) if self.cfg.only_positive_rewards else total

    def _compute(self, env: "LeggedRobot", rows: Sequence[int]) -> dict[int, torch.Tensor]:
        """Compute some terms (N,), by their places in `terms`."""
        return {k: self.terms[k][0](env) for k in rows}

    def _update_gait(self, env: "LeggedRobot") -> None:
        """Compute the contacts that the clock asks for, and the robots that it asks."""
        self.desired_contact = env.gait.desired_contact(self.cfg.gait_kappa)
        undisturbed = env.disturbances.undisturbed
        self.gait_active = undisturbed if self.cfg.gait_when_standing else ~env.commands.standing * undisturbed
