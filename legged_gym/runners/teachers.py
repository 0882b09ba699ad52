"""The teacher of an environment's robots."""

from typing import Any

from legged_gym.teacher.config import TeacherCfg
from legged_gym.teacher.dcm_teacher import DcmTeacher
from legged_gym.teacher.kinematics import LegGeometry


def make_teacher(cfg: TeacherCfg, env: Any, device: str) -> DcmTeacher:
    """Build the teacher for the robots of an environment, which observes them and looks up the ground under them.

    Args:
        cfg: Parameters.
        env: The environments.
        device: Where the teacher lives.
    """
    geometry = LegGeometry.from_model(env.sim.robot, device)
    terms, ground = env.observation_terms["teacher"], env.ground.lookup(device)
    return DcmTeacher(cfg, geometry, env.num_envs, terms, ground)
