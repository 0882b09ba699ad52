"""Configuration of the task `pointfoot_flat`."""

from dataclasses import dataclass, field

from legged_gym.algorithms.config import AlgorithmCfg, ImitationCfg, PolicyCfg
from legged_gym.envs.base.legged_robot_config import GaitCfg, GaitRangesCfg, LeggedRobotCfg
from legged_gym.runners.config import LeggedRobotCfgPPO, TeacherInLoopCfg
from legged_gym.teacher.config import OffsetCfg, TeacherCfg


@dataclass
class PointFootFlatCfg(LeggedRobotCfg):
    """The point-foot biped on flat ground."""

    gait: GaitCfg = field(
        default_factory=lambda: GaitCfg(ranges=GaitRangesCfg(frequency=(2.0, 2.8), swing_height=(0.06, 0.1)))
    )


@dataclass
class PointFootFlatCfgPPO(LeggedRobotCfgPPO):
    """How the task is learned."""

    teacher: TeacherInLoopCfg = field(
        default_factory=lambda: TeacherInLoopCfg(dcm=TeacherCfg(offset=OffsetCfg(enabled=True, follow_scale=0.15)))
    )
    """Of a student that falls the offset learns nothing: only robots that follow the reference closely count."""

    policy: PolicyCfg = field(default_factory=lambda: PolicyCfg(init_noise_std=0.1, noise_std_range=(0.05, 0.2)))
    """With a teacher there is little to find by chance, and noise makes the robot fall: it stays small."""
    algorithm: AlgorithmCfg = field(
        default_factory=lambda: AlgorithmCfg(
            learning_rate=3e-3,
            entropy_coef=0.0,
            num_mini_batches=8,
            imitation=ImitationCfg(initial=10.0, final=0.1, decay_steps=200),
        )
    )
