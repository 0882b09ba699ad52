"""The task `pointfoot_hop`: importing this package registers it."""

from hop_task.config import HopCfg, HopCfgPPO
from hop_task.env import Hop
from legged_gym.utils.task_registry import task_registry

task_registry.register("pointfoot_hop", Hop, HopCfg, HopCfgPPO)
