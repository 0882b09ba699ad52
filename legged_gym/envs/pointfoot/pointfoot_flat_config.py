"""Configuration of the task `pointfoot_flat`."""

from dataclasses import dataclass

from legged_gym.envs.base.legged_robot_config import LeggedRobotCfg
from legged_gym.runners.config import LeggedRobotCfgPPO


@dataclass
class PointFootFlatCfg(LeggedRobotCfg):
    """The point-foot biped on flat ground."""


@dataclass
class PointFootFlatCfgPPO(LeggedRobotCfgPPO):
    """How the task is learned."""
