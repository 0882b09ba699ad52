"""Configuration of the task `pointfoot_flat`."""

from dataclasses import dataclass, field

from legged_gym.algorithms.config import AlgorithmCfg, ImitationCfg, PolicyCfg
from legged_gym.envs.base.legged_robot_config import GaitCfg, GaitRangesCfg, LeggedRobotCfg
from legged_gym.runners.config import LeggedRobotCfgPPO


@dataclass
class PointFootFlatCfg(LeggedRobotCfg):
    """The point-foot biped on flat ground."""

    gait: GaitCfg = field(default_factory=lambda: GaitCfg(ranges=GaitRangesCfg(swing_height=(0.06, 0.1))))


@dataclass
class PointFootFlatCfgPPO(LeggedRobotCfgPPO):
    """How the task is learned."""

    policy: PolicyCfg = field(default_factory=lambda: PolicyCfg(init_noise_std=0.1))
    """With a teacher there is little to find by chance: the noise starts small."""
    algorithm: AlgorithmCfg = field(
        default_factory=lambda: AlgorithmCfg(
            learning_rate=3e-3, imitation=ImitationCfg(initial=10.0, final=0.1, decay_steps=200)
        )
    )
