"""The tasks. Importing this package registers them."""

from legged_gym.envs.pointfoot.pointfoot_flat import PointFootFlat
from legged_gym.envs.pointfoot.pointfoot_flat_config import (
    PointFootFlatCfg,
    PointFootFlatCfgPPO,
    rough_cfg,
    rough_cfg_ppo,
)
from legged_gym.utils.task_registry import task_registry

task_registry.register("pointfoot_flat", PointFootFlat, PointFootFlatCfg, PointFootFlatCfgPPO)
task_registry.register("pointfoot_rough", PointFootFlat, rough_cfg, rough_cfg_ppo)
