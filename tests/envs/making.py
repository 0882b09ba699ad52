"""Small environments, built from the task's config with fields set by their dotted path."""

from collections.abc import Callable
from typing import Any

import torch

from legged_gym.envs.base.legged_robot import LeggedRobot
from legged_gym.envs.pointfoot.pointfoot_flat import PointFootFlat
from legged_gym.envs.pointfoot.pointfoot_flat_config import PointFootFlatCfg
from legged_gym.utils.config import check

CLEAN: dict[str, Any] = {
    "curriculum.enabled": False,
    "noise.add_noise": False,
    "domain_rand.push_robots": False,
    "domain_rand.shove_robots": False,
    "domain_rand.trip_robots": False,
    "control.action_delay": 0.0,
    "init_state.yaw": (0.0, 0.0),
    "init_state.lin_vel": (0.0, 0.0),
    "init_state.ang_vel": (0.0, 0.0),
    "init_state.joint_pos": (0.0, 0.0),
    **{
        f"domain_rand.randomize_{what}": False
        for what in ("friction", "base_mass", "base_com", "link_mass", "link_inertia", "gains")
    },
    **{f"domain_rand.randomize_{what}": False for what in ("default_pose", "action_delay", "observation_delay", "imu")},
    **{f"domain_rand.randomize_{what}": False for what in ("foot_friction", "contact_stiffness", "armature")},
}
"""Nothing is randomised, nothing is noisy, nobody pushes."""

IN_THE_AIR: dict[str, Any] = {"init_state.pos": (0.0, 0.0, 50.0)}
"""So high that no robot lands within a test."""

MakeEnv = Callable[..., LeggedRobot]


def build(num_envs: int, *settings: dict[str, Any]) -> LeggedRobot:
    """Build the task's environment with some fields changed; later settings win."""
    cfg = PointFootFlatCfg()
    merged: dict[str, Any] = {"env.num_envs": num_envs, "asset.robot_type": "PF_TRON1A", "sim.num_threads": 1}
    for setting in settings:
        merged |= setting
    for path, value in merged.items():
        *sections, name = path.split(".")
        section: Any = cfg
        for part in sections:
            section = getattr(section, part)
        setattr(section, name, value)
    check(cfg)
    return PointFootFlat(cfg)


def stand(env: LeggedRobot, steps: int = 1) -> tuple[torch.Tensor, torch.Tensor]:
    """Step with zero actions; returns the last dones and time-outs."""
    for _ in range(steps):
        _, _, done, extras = env.step(torch.zeros(env.num_envs, 6))
    return done, extras["time_outs"]
