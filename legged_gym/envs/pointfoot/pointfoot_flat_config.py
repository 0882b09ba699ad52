"""Configuration of the task `pointfoot_flat`."""

from dataclasses import dataclass, field, replace

from legged_gym.algorithms.config import AlgorithmCfg, ImitationCfg, PolicyCfg
from legged_gym.envs.base.legged_robot_config import (
    DomainRandCfg,
    GaitCfg,
    GaitRangesCfg,
    LeggedRobotCfg,
    RewardScalesCfg,
    RewardsCfg,
)
from legged_gym.runners.config import LeggedRobotCfgPPO, TeacherInLoopCfg
from legged_gym.teacher.config import OffsetCfg, TeacherCfg


@dataclass
class PointFootFlatCfg(LeggedRobotCfg):
    """The point-foot biped, on flat ground unless `terrain.mesh_type` says otherwise."""

    gait: GaitCfg = field(
        default_factory=lambda: GaitCfg(ranges=GaitRangesCfg(frequency=(1.6, 3.2), swing_height=(0.06, 0.12)))
    )
    domain_rand: DomainRandCfg = field(
        default_factory=lambda: DomainRandCfg(
            friction_range=(0.1, 1.2), added_mass_range=(-1.0, 11.0), push_interval_s=5.0, max_push_vel_xy=2.5
        )
    )
    rewards: RewardsCfg = field(
        default_factory=lambda: RewardsCfg(
            tracking_sigma=0.1,
            ang_tracking_sigma=0.1,
            scales=RewardScalesCfg(tracking_lin_vel=2.0, tracking_ang_vel=1.5, termination=-300.0),
        )
    )

    def settle(self) -> None:
        """On terrain it is the ground that robots are to fall on: randomisation is milder, and rises all the same. Feet
        swing higher, also where nobody shows them how, and what an error of the velocity costs does not level off.
        """
        if self.terrain.mesh_type == "plane":
            return
        self.gait.ranges.swing_height = (0.1, 0.18)
        self.commands.ranges = replace(self.commands.initial_ranges)
        self.curriculum.fall_rate_up, self.curriculum.fall_rate_down = (0.12, 0.12), (0.3, 0.3)
        rand, scales = self.domain_rand, self.rewards.scales
        rand.max_push_vel_xy, rand.friction_range, rand.added_mass_range = 0.7, (0.4, 1.2), (-1.0, 5.0)
        scales.feet_clearance = -100.0
        scales.keep_balance, scales.tracking_lin_vel, scales.tracking_ang_vel = 6.0, 6.0, 3.0
        scales.lin_vel_error, scales.ang_vel_error = -6.0, -2.0


@dataclass
class PointFootFlatCfgPPO(LeggedRobotCfgPPO):
    """How the task is learned."""

    teacher: TeacherInLoopCfg = field(
        default_factory=lambda: TeacherInLoopCfg(dcm=TeacherCfg(offset=OffsetCfg(enabled=True, follow_scale=0.15)))
    )
    """Of a student that falls the offset learns nothing: only robots that follow the reference closely count."""

    policy: PolicyCfg = field(default_factory=lambda: PolicyCfg(init_noise_std=0.1, noise_std_range=(0.05, 1.0)))
    """With a teacher there is little to find by chance, and noise makes the robot fall: it starts small."""
    algorithm: AlgorithmCfg = field(
        default_factory=lambda: AlgorithmCfg(
            learning_rate=3e-3,
            entropy_coef=0.005,
            gamma=0.98,
            num_mini_batches=8,
            imitation=ImitationCfg(initial=10.0, final=0.01, decay_steps=150),
        )
    )
