"""The tasks `pointfoot_flat` and `pointfoot_rough`: switches, commands, rewards and training, to read and to edit.

Values that are not here are those of `LeggedRobotCfg` and `LeggedRobotCfgPPO`. A robot's own values (`teacher.yaml` in
its folder) and the machine's (number of robots) go before these, the command line before all.
"""

from dataclasses import dataclass, field

from legged_gym.algorithms.config import AlgorithmCfg, ImitationCfg, PolicyCfg
from legged_gym.envs.base.commands_config import CommandRangesCfg, CommandsCfg, GaitCfg, GaitRangesCfg
from legged_gym.envs.base.domain_rand_config import DomainRandCfg
from legged_gym.envs.base.legged_robot_config import CurriculumCfg, LeggedRobotCfg, SimCfg
from legged_gym.envs.base.rewards_config import RewardScalesCfg, RewardsCfg
from legged_gym.runners.config import LeggedRobotCfgPPO, RunnerCfg, TeacherInLoopCfg
from legged_gym.teacher.config import DcmCfg, OffsetCfg
from legged_gym.terrain.config import TerrainCfg
from legged_gym.utils.config import bounded


@dataclass
class PointFootRewardScalesCfg(RewardScalesCfg):
    """Weights of the reward terms per second, those of `PointFootFlat` included; 0 switches a term off."""

    # What the robot is asked to do.
    keep_balance: float = 6.0
    tracking_lin_vel: float = 4.0
    tracking_ang_vel: float = 3.0
    lin_vel_error: float = -10.0  # does not level off, as the two before do
    ang_vel_error: float = -6.0
    termination: float = -300.0
    # How it carries itself.
    base_height: float = -2.0
    orientation: float = -10.0
    lin_vel_z: float = -0.5
    ang_vel_xy: float = -0.05
    v_stab: float = 0.0
    # What its feet do.
    feet_distance: float = -100.0
    tracking_contacts_shaped_force: float = -2.0
    tracking_contacts_shaped_vel: float = -2.0
    foot_landing_vel: float = -0.15
    feet_regulation: float = -0.05
    feet_clearance: float = -50.0
    feet_air_standing: float = 0.0
    touchdown_speed: float = -1.5
    landing_force: float = -1.0
    # What it costs.
    torques: float = -8e-5
    dof_acc: float = -2.5e-7
    action_rate: float = -0.03
    action_smooth: float = -0.02
    collision: float = -30.0
    dof_pos_limits: float = -2.0


@dataclass
class PointFootRewardsCfg(RewardsCfg):
    """Parameters of the reward terms."""

    capture_reach: float = bounded(0.45, gt=0)
    """Longest step that V_stab counts on [m]."""
    scales: PointFootRewardScalesCfg = field(default_factory=PointFootRewardScalesCfg)


@dataclass
class PointFootFlatCfg(LeggedRobotCfg):
    """A point-foot biped on level ground; `terrain.profile` puts it on any other."""

    sim: SimCfg = field(
        default_factory=lambda: SimCfg(
            backend="auto",  # mujoco (CPU), mujoco_warp (GPU) or isaacgym; auto: what the machine is best at
        )
    )
    terrain: TerrainCfg = field(
        default_factory=lambda: TerrainCfg(
            mesh_type="trimesh",  # plane, heightfield or trimesh; a flat trimesh is the plane, and as fast
            profile="flat",  # mixed: slopes, stairs, blocks and rough ground in levels
            measure_heights=True,  # off level ground the critic sees the heights around the robot; the actor is blind
        )
    )
    commands: CommandsCfg = field(
        default_factory=lambda: CommandsCfg(
            resampling_time=4.0,
            reversing_share=0.04,  # without any, a stick that is thrown about leaves the robot tilted
            reversing_lin_vel=0.5,
            initial_ranges=CommandRangesCfg(lin_vel_x=(-0.5, 1.0), lin_vel_y=(-0.3, 0.3), ang_vel_yaw=(-0.5, 0.5)),
            ranges=CommandRangesCfg(lin_vel_x=(-1.0, 1.0), lin_vel_y=(-0.6, 0.6), ang_vel_yaw=(-1.0, 1.0)),
        )
    )
    gait: GaitCfg = field(
        default_factory=lambda: GaitCfg(
            nominal_share=0.5,  # the maker's controller gives policies this one alone
            ranges=GaitRangesCfg(frequency=(1.6, 3.2), swing_height=(0.05, 0.15)),
        )
    )
    curriculum: CurriculumCfg = field(
        default_factory=lambda: CurriculumCfg(fall_rate_up=(0.02, 0.12), fall_rate_down=(0.06, 0.3))
    )
    domain_rand: DomainRandCfg = field(
        default_factory=lambda: DomainRandCfg(
            friction_range=(0.3, 0.9),
            foot_friction_range=(0.35, 1.0),
            added_mass_range=(-1.0, 11.0),
            max_push_vel_xy=2.5,
            shove_interval_s=7.0,
            trip_interval_s=8.0,
            max_trip_force=200.0,
        )
    )
    rewards: PointFootRewardsCfg = field(
        default_factory=lambda: PointFootRewardsCfg(tracking_sigma=0.1, ang_tracking_sigma=0.1)
    )


@dataclass
class PointFootFlatCfgPPO(LeggedRobotCfgPPO):
    """How the task is learned."""

    runner: RunnerCfg = field(default_factory=lambda: RunnerCfg(experiment_name="pointfoot_flat", max_iterations=3600))
    """A quarter of an hour on a GPU."""
    policy: PolicyCfg = field(default_factory=lambda: PolicyCfg(init_noise_std=0.1, noise_std_range=(0.1, 0.7)))
    """With a teacher there is little to find by chance, and noise makes the robot fall: it starts small."""
    algorithm: AlgorithmCfg = field(
        default_factory=lambda: AlgorithmCfg(
            learning_rate=3e-3,
            entropy_coef=0.005,
            gamma=0.98,
            num_mini_batches=8,
            polish_share=0.25,
            imitation=ImitationCfg(initial=10.0, final=0.01, decay_steps=80),  # λ, from the teacher to the reward
        )
    )
    teacher: TeacherInLoopCfg = field(
        default_factory=lambda: TeacherInLoopCfg(
            driven_decay_steps=20,
            last_iteration=500,  # by then it has nothing more to show
            dcm=DcmCfg(
                offset=OffsetCfg(
                    enabled=True,  # Δξ is learned; False leaves the teacher in closed form
                    w_vstab=0.0,  # V_stab in the loss of Δξ: previewed steps beyond what the next one can capture
                    # Of a student that falls the offset learns nothing: only robots that follow the reference count.
                    follow_scale=0.15,
                )
            ),
        )
    )


def rough_cfg() -> PointFootFlatCfg:
    """Make the environment's config of `pointfoot_rough`: one policy for level ground and for terrain.

    Two in five robots walk on level tiles and are disturbed as in `pointfoot_flat`; for the others the ground is the
    challenge, and they are disturbed by a fifth of that. Feet swing higher, and more commands lead straight on.
    """
    cfg = PointFootFlatCfg()
    cfg.terrain.profile = "mixed"
    share = cfg.terrain.proportions
    share.flat, share.stairs_up, share.stairs_down = 0.4, 0.25, 0.25
    cfg.commands.straight_share = 0.4
    cfg.gait.ranges.swing_height = (0.08, 0.16)
    cfg.domain_rand.off_level_ground = 0.2
    return cfg


def rough_cfg_ppo() -> PointFootFlatCfgPPO:
    """Make the training config of `pointfoot_rough`."""
    cfg = PointFootFlatCfgPPO()
    cfg.runner.experiment_name = "pointfoot_rough"
    return cfg
