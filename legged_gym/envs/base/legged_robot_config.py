"""Configuration of the legged robot environment, with legged_gym's section and field names.

Everything is SI. Ranges are (low, high) and drawn uniformly.
"""

from dataclasses import dataclass, field

from legged_gym.sim.isaacgym.config import IsaacGymCfg
from legged_gym.sim.process.config import ProcessCfg
from legged_gym.terrain.config import TerrainCfg
from legged_gym.utils.config import Config, ConfigError, Range, bounded, check_ranges


@dataclass
class EnvCfg(Config):
    """Size and length of the batch of environments."""

    num_envs: int = bounded(4096, ge=1)
    """Robots simulated side by side."""
    episode_length_s: float = bounded(20.0, gt=0, le=1e6)
    """Time after which an episode ends as a time-out [s]."""
    history_length: int = bounded(10, ge=1)
    """Policy observations kept in the history group, the newest last."""


@dataclass
class CommandRangesCfg(Config):
    """Velocity commands, in the heading frame."""

    lin_vel_x: Range = (-1.0, 1.0)
    """Forward velocity [m/s]."""
    lin_vel_y: Range = (-0.6, 0.6)
    """Velocity to the left [m/s]."""
    ang_vel_yaw: Range = (-1.0, 1.0)
    """Yaw rate [rad/s]."""

    def validate(self) -> None:
        """Check that ranges are ordered."""
        check_ranges(self, "lin_vel_x", "lin_vel_y", "ang_vel_yaw")


@dataclass
class CommandsCfg(Config):
    """When and how velocity commands are drawn."""

    resampling_time: float = bounded(5.0, gt=0, le=1e6)
    """Time between two commands [s]."""
    standing_share: float = bounded(0.1, ge=0, le=1)
    """Share of the commands that ask to stand: all zero."""
    initial_ranges: CommandRangesCfg = field(
        default_factory=lambda: CommandRangesCfg(lin_vel_x=(-0.5, 1.0), lin_vel_y=(-0.3, 0.3), ang_vel_yaw=(-0.5, 0.5))
    )
    """Ranges at difficulty 0 of the curriculum."""
    ranges: CommandRangesCfg = field(default_factory=CommandRangesCfg)
    """Ranges at difficulty 1."""


@dataclass
class GaitNominalCfg(Config):
    """The gait of the maker's controller, which shows a policy these constants."""

    frequency: float = bounded(2.0, gt=0)
    """[Hz]"""
    offset: float = bounded(0.5, ge=0, le=1)
    """[cycles]"""
    duration: float = bounded(0.5, gt=0, lt=1)
    """Share of the cycle."""
    swing_height: float = bounded(0.1, ge=0)
    """[m]"""


@dataclass
class GaitRangesCfg(Config):
    """Gait parameters, drawn with each command and shown to the policy: the nominal ones at difficulty 0, all at 1."""

    frequency: Range = bounded((1.5, 2.5), gt=0)
    """Gait cycles per second, two steps each [Hz]."""
    offset: Range = bounded((0.5, 0.5), ge=0, le=1)
    """Phase of the right foot's contact after the left one's [cycles]."""
    duration: Range = bounded((0.5, 0.5), gt=0, lt=1)
    """Share of the cycle a foot is on the ground."""
    swing_height: Range = bounded((0.0, 0.1), ge=0)
    """Height of the swing foot [m]."""

    def validate(self) -> None:
        """Check that ranges are ordered."""
        check_ranges(self, "frequency", "offset", "duration", "swing_height")


@dataclass
class GaitCfg(Config):
    """The gait clock."""

    nominal: GaitNominalCfg = field(default_factory=GaitNominalCfg)
    ranges: GaitRangesCfg = field(default_factory=GaitRangesCfg)


@dataclass
class InitStateCfg(Config):
    """Where a robot starts an episode; velocities and joint deviations are those at difficulty 1 of the curriculum."""

    pos: tuple[float, float, float] = (0.0, 0.0, 0.01)
    """Base position [m, world]; z counts from where the feet of the robot with all joints at zero touch the ground."""
    yaw: Range = (-3.14159, 3.14159)
    """Base heading [rad]."""
    lin_vel: Range = (-0.5, 0.5)
    """Each component of the base velocity [m/s]."""
    ang_vel: Range = (-0.5, 0.5)
    """Each component of the base angular velocity [rad/s]."""
    joint_pos: Range = (-0.1, 0.1)
    """Deviation of each joint from its default angle [rad]."""
    default_joint_angles: tuple[float, ...] = (0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
    """Joint angles at zero action, in the order of the joints [rad]."""

    def validate(self) -> None:
        """Check that ranges are ordered."""
        check_ranges(self, "yaw", "lin_vel", "ang_vel", "joint_pos")


@dataclass
class ControlCfg(Config):
    """From action to torque: target = default + action_scale * action, then a PD law."""

    stiffness: float = bounded(42.0, gt=0)
    """K_p [N m/rad]."""
    damping: float = bounded(3.5, ge=0)
    """K_d [N m s/rad]."""
    action_scale: float = bounded(0.25, gt=0)
    """[rad] per unit of action."""
    decimation: int = bounded(4, ge=1, le=1000)
    """Physics steps per policy step."""
    action_delay: float = bounded(0.01, ge=0)
    """Nominal time from an observation to its action taking effect [s], rounded to physics steps."""
    clamp_targets: bool = True
    """The controller clamps each target so that the PD torque stays within the limit, as the maker's does."""
    motor_curve: bool = True
    """Motors lose torque with speed (`motor` in robot.yaml); otherwise they give all of it at any speed."""


@dataclass
class AssetCfg(Config):
    """The robot."""

    robot_type: str | None = None
    """Name of a robot in resources/robots, or the path of another one's folder or URDF; None takes the environment
    variable ROBOT_TYPE."""
    file: str | None = None
    """Path of a URDF; goes before `robot_type`, which says the same. Runs are saved with `robot_type` alone."""
    self_collisions: bool = True
    """The legs touch each other, and shins and feet touch the base."""
    penalize_contacts_on: tuple[str, ...] = ("abad", "hip", "knee", "base")
    """Bodies whose contacts are penalised, by part of their name."""
    terminate_after_contacts_on: tuple[str, ...] = ("abad", "base")
    """Bodies whose contacts end the episode, by part of their name."""


@dataclass
class TerminationCfg(Config):
    """What counts as a fall."""

    contact_force: float = bounded(1.0, gt=0)
    """Force on a terminating body that ends the episode [N]."""
    max_tilt: float = bounded(1.466, gt=0, le=3.1416)
    """Angle between the base's z axis and the vertical [rad]."""
    tilt_time: float = bounded(0.5, ge=0)
    """How long the tilt must last [s]."""
    max_speed: float = bounded(20.0, gt=0)
    """Speed of base or feet at which the simulation is taken for broken: no robot of this kind gets there [m/s]."""


@dataclass
class CurriculumCfg(Config):
    """Difficulty: one number, 0 to 1, that scales randomisation, pushes, gait and command ranges, and the start.

    It rises while robots rarely fall and sinks while they fall often; the harder the task, the more falls are
    in order. Without the curriculum it is 1.
    """

    enabled: bool = True
    """Without it, the difficulty is 1 throughout."""
    initial: float = bounded(0.0, ge=0, le=1)
    """Difficulty at the start."""
    speed: float = bounded(0.1, ge=0)
    """Change per million robot-steps."""
    fall_rate_up: Range = bounded((0.02, 0.08), ge=0)
    """Falls per second and robot below which the difficulty rises, at difficulty 0 and at 1 [1/s]."""
    fall_rate_down: Range = bounded((0.06, 0.2), ge=0)
    """Falls per second and robot above which it sinks, at difficulty 0 and at 1 [1/s]."""

    def validate(self) -> None:
        """Check that the two thresholds are ordered."""
        if any(up > down for up, down in zip(self.fall_rate_up, self.fall_rate_down, strict=True)):
            raise ConfigError(
                f"CurriculumCfg.fall_rate_up: {self.fall_rate_up} is above fall_rate_down, {self.fall_rate_down}"
            )


@dataclass
class DomainRandCfg(Config):
    """What differs from robot to robot and from episode to episode: drawn at every reset.

    The ranges are those at difficulty 1; the curriculum shrinks them towards the nominal values.
    """

    randomize_friction: bool = True
    """Draw the friction coefficient."""
    friction_range: Range = bounded((0.1, 1.6), ge=0)
    """Friction coefficient between robot and ground."""
    randomize_foot_friction: bool = True
    """Draw a factor on it for each foot."""
    foot_friction_range: Range = bounded((0.6, 1.0), ge=0)
    """Factor on it for each foot."""
    randomize_contact_stiffness: bool = True
    """Draw how stiff the ground is."""
    contact_time_constant_range: Range = bounded((0.0, 0.03), ge=0)
    """Time constant of contacts with the ground [s]; none is shorter than two physics steps."""
    randomize_armature: bool = True
    """Draw the rotor inertia."""
    armature_range: Range = bounded((0.0, 0.03), ge=0)
    """Rotor inertia seen by each joint [kg m^2]."""
    randomize_base_mass: bool = True
    """Draw a mass to add to the base."""
    added_mass_range: Range = (-0.5, 5.0)
    """Mass added to the base [kg]."""
    randomize_base_com: bool = True
    """Draw a shift of the base's centre of mass."""
    base_com_range: tuple[float, float, float] = bounded((0.03, 0.02, 0.03), ge=0)
    """Largest shift of the base's centre of mass along x, y, z [m]."""
    randomize_link_mass: bool = True
    """Draw a factor on each link's mass."""
    link_mass_range: Range = bounded((0.8, 1.2), gt=0)
    """Factor on each link's mass."""
    randomize_link_inertia: bool = True
    """Draw a factor on each link's inertia."""
    link_inertia_range: Range = bounded((0.8, 1.2), gt=0)
    """Factor on each link's rotational inertia."""
    randomize_gains: bool = True
    """Draw factors on K_p, K_d and strength."""
    stiffness_range: Range = bounded((0.8, 1.2), gt=0)
    """Factor on K_p."""
    damping_range: Range = bounded((0.6, 1.2), gt=0)
    """Factor on K_d."""
    strength_range: Range = bounded((0.8, 1.2), gt=0)
    """Factor on the PD torque."""
    randomize_default_pose: bool = True
    """Draw an error of each joint's zero."""
    default_pose_range: Range = (-0.05, 0.05)
    """Error of each joint's zero [rad]."""
    randomize_action_delay: bool = True
    """Draw the delay of the action."""
    action_delay_range: Range = bounded((0.0, 0.02), ge=0)
    """Delay of the action [s], rounded to physics steps."""
    randomize_observation_delay: bool = True
    """Draw the age of what is measured."""
    observation_delay_range: Range = bounded((0.0, 0.01), ge=0)
    """Age of what is measured when it is shown [s], up to a policy step; interpolated between policy steps."""
    delay_jitter: float = bounded(0.003, ge=0)
    """Largest change of both delays from one policy step to another [s]."""
    randomize_imu: bool = True
    """Draw mounting error and bias of the IMU."""
    imu_tilt_range: Range = (-0.021, 0.021)
    """Mounting error of the IMU in roll and in pitch [rad]."""
    gyro_bias_range: Range = (-0.04, 0.04)
    """Bias of each component of the gyroscope [rad/s]."""
    push_robots: bool = True
    """Change the velocity of the base from time to time."""
    push_interval_s: float = bounded(7.0, gt=0, le=1e6)
    """Time between two pushes of a robot [s]."""
    max_push_vel_xy: float = bounded(1.5, ge=0)
    """Largest change of the base velocity by a push, in a random horizontal direction [m/s]."""
    shove_robots: bool = True
    """Push and hold the base from time to time."""
    shove_interval_s: float = bounded(5.0, gt=0, le=1e6)
    """Time between two shoves of a robot [s]: forces on its base, in a random horizontal direction."""
    max_shove_impulse: float = bounded(40.0, ge=0)
    """Largest impulse of a shove [N s]."""
    shove_duration_range: Range = bounded((0.02, 0.3), gt=0)
    """How long a shove lasts [s], rounded to policy steps. It acts at a point between centre of mass and lid."""
    trip_robots: bool = True
    """Hold back the swing foot from time to time."""
    trip_interval_s: float = bounded(7.0, gt=0, le=1e6)
    """Time between two trips of a robot [s]: forces on the swing foot, against its motion."""
    max_trip_force: float = bounded(150.0, ge=0)
    """Largest force of a trip [N]."""
    trip_duration_range: Range = bounded((0.02, 0.15), gt=0)
    """How long a trip lasts [s], rounded to policy steps."""

    def validate(self) -> None:
        """Check that ranges are ordered."""
        check_ranges(
            self, "friction_range", "added_mass_range", "link_mass_range", "link_inertia_range", "stiffness_range"
        )
        check_ranges(
            self, "damping_range", "strength_range", "default_pose_range", "action_delay_range", "imu_tilt_range"
        )
        check_ranges(self, "foot_friction_range", "contact_time_constant_range", "armature_range", "gyro_bias_range")
        check_ranges(self, "observation_delay_range", "shove_duration_range", "trip_duration_range")


@dataclass
class RewardScalesCfg(Config):
    """Weight of each reward term per second; 0 switches a term off. The terms are the functions in rewards.py."""

    keep_balance: float = 1.0
    tracking_lin_vel: float = 1.0
    tracking_ang_vel: float = 0.5
    lin_vel_error: float = 0.0
    ang_vel_error: float = 0.0
    base_height: float = -2.0
    orientation: float = -10.0
    lin_vel_z: float = -0.5
    ang_vel_xy: float = -0.05
    feet_distance: float = -100.0
    tracking_contacts_shaped_force: float = -2.0
    tracking_contacts_shaped_vel: float = -2.0
    torques: float = -8e-5
    dof_acc: float = -2.5e-7
    action_rate: float = -0.01
    action_smooth: float = -0.01
    collision: float = -1.0
    dof_pos_limits: float = -2.0
    foot_landing_vel: float = -0.15
    feet_regulation: float = -0.05
    feet_clearance: float = 0.0
    feet_air_standing: float = 0.0
    touchdown_speed: float = 0.0
    landing_force: float = 0.0
    termination: float = -100.0


@dataclass
class RewardsCfg(Config):
    """Parameters of the reward terms."""

    only_positive_rewards: bool = False
    """Clip the sum of a step's rewards at zero."""
    tracking_sigma: float = bounded(0.2, gt=0)
    """Width of the linear-velocity kernel exp(-error^2/sigma) [m^2/s^2]."""
    ang_tracking_sigma: float = bounded(0.25, gt=0)
    """Width of the yaw-rate kernel [rad^2/s^2]."""
    base_height_target: float = bounded(0.68, gt=0)
    """Height of the base over the ground [m]."""
    min_feet_distance: float = bounded(0.115, ge=0)
    """Horizontal distance of the feet below which `feet_distance` acts [m]."""
    gait_force_sigma: float = bounded(25.0, gt=0)
    """Width of the contact-force kernel 1 - exp(-F^2/sigma) [N^2]."""
    gait_vel_sigma: float = bounded(0.25, gt=0)
    """Width of the foot-velocity kernel [m^2/s^2]."""
    gait_kappa: float = bounded(0.05, gt=0)
    """Width of the switch between swing and stance in the clock's desired contact [cycles]."""
    recovery_time: float = bounded(1.0, ge=0)
    """How long after a push, shove or trip the terms that ask for velocity and gait are off [s]: who yields to a push
    and steps as it must survives it."""
    gait_when_standing: bool = True
    """Gait terms act for standing commands too: on point feet, to stand is to step in place."""
    soft_dof_pos_limit: float = bounded(0.95, gt=0, le=1)
    """Share of the joint range that costs nothing."""
    about_landing_threshold: float = bounded(0.08, gt=0)
    """Height of a foot over the ground below which its downward velocity is penalised [m]."""
    scales: RewardScalesCfg = field(default_factory=RewardScalesCfg)
    terms: tuple[str, ...] = ()
    """Further terms as `package.module:function`, functions of the environment that return (N,); each has the scale of
    its name, in a class derived from that of `scales`."""


@dataclass
class ObservationsCfg(Config):
    """Further observation terms as `package.module:function`, functions of the environment that return (N, width)."""

    policy: tuple[str, ...] = ()
    """At the end of what the policy sees, which then is not what the robot maker's controller gives."""
    critic: tuple[str, ...] = ()
    """At the end of what the critic sees."""


@dataclass
class EventsCfg(Config):
    """What else happens, as `package.module:function`; see docs/add_a_task.md for what these may do on a GPU."""

    reset: tuple[str, ...] = ()
    """Called as `function(env, mask)` once the robots in `mask` (N,) are placed and have their commands."""
    step: tuple[str, ...] = ()
    """Called as `function(env)` in each policy step, before what it leads to is observed."""


@dataclass
class ObsScalesCfg(Config):
    """Factors on the observed quantities."""

    lin_vel: float = bounded(2.0, gt=0)
    """On linear velocities [s/m]."""
    ang_vel: float = bounded(0.25, gt=0)
    """On angular velocities [s/rad]."""
    dof_pos: float = bounded(1.0, gt=0)
    """On joint angles [1/rad]."""
    dof_vel: float = bounded(0.05, gt=0)
    """On joint velocities [s/rad]."""


@dataclass
class NormalizationCfg(Config):
    """Scales and clips of observations and actions."""

    obs_scales: ObsScalesCfg = field(default_factory=ObsScalesCfg)
    clip_observations: float = bounded(100.0, gt=0, le=1e6)
    """Largest magnitude of what policy and critic see."""
    clip_actions: float = bounded(100.0, gt=0, le=1e6)
    """Largest magnitude of an action."""


@dataclass
class NoiseScalesCfg(Config):
    """Half-width of the uniform noise on what the robot measures, before scaling."""

    ang_vel: float = bounded(0.2, ge=0)
    """[rad/s]"""
    gravity: float = bounded(0.05, ge=0)
    """On each component of the unit vector."""
    dof_pos: float = bounded(0.01, ge=0)
    """[rad]"""
    dof_vel: float = bounded(1.5, ge=0)
    """[rad/s]"""


@dataclass
class NoiseCfg(Config):
    """Observation noise."""

    add_noise: bool = True
    """Add noise to what the policy sees."""
    noise_level: float = bounded(1.0, ge=0)
    """Factor on all noise scales."""
    noise_scales: NoiseScalesCfg = field(default_factory=NoiseScalesCfg)


@dataclass
class SimCfg(Config):
    """The physics engine."""

    backend: str = "auto"
    """Name of a simulator, or auto."""
    dt: float = bounded(0.005, gt=0, le=0.05)
    """Physics step [s]."""
    num_threads: int = bounded(0, ge=0)
    """Physics threads on the CPU; 0 takes the cores there are."""
    armature: float = bounded(0.01, ge=0)
    """Nominal rotor inertia seen by each joint [kg m^2]."""
    joint_damping: float = bounded(0.0, ge=0)
    """Passive damping of each joint [N m s/rad]."""
    process: ProcessCfg = field(default_factory=ProcessCfg)
    """A process of its own for the simulator."""
    isaacgym: IsaacGymCfg = field(default_factory=IsaacGymCfg)
    """What only Isaac Gym has."""


@dataclass
class LeggedRobotCfg(Config):
    """Everything about an environment."""

    seed: int = bounded(1, ge=0, le=2**32 - 1)
    """Of the random numbers of all robots."""
    env: EnvCfg = field(default_factory=EnvCfg)
    terrain: TerrainCfg = field(default_factory=TerrainCfg)
    commands: CommandsCfg = field(default_factory=CommandsCfg)
    gait: GaitCfg = field(default_factory=GaitCfg)
    init_state: InitStateCfg = field(default_factory=InitStateCfg)
    control: ControlCfg = field(default_factory=ControlCfg)
    asset: AssetCfg = field(default_factory=AssetCfg)
    termination: TerminationCfg = field(default_factory=TerminationCfg)
    curriculum: CurriculumCfg = field(default_factory=CurriculumCfg)
    domain_rand: DomainRandCfg = field(default_factory=DomainRandCfg)
    rewards: RewardsCfg = field(default_factory=RewardsCfg)
    observations: ObservationsCfg = field(default_factory=ObservationsCfg)
    events: EventsCfg = field(default_factory=EventsCfg)
    normalization: NormalizationCfg = field(default_factory=NormalizationCfg)
    noise: NoiseCfg = field(default_factory=NoiseCfg)
    sim: SimCfg = field(default_factory=SimCfg)

    @property
    def policy_dt(self) -> float:
        """Duration of a policy step [s]."""
        return self.sim.dt * self.control.decimation

    def validate(self) -> None:
        """Check values that depend on each other."""
        if self.env.episode_length_s < 2.0 * self.policy_dt:
            raise ConfigError(
                f"env.episode_length_s: {self.env.episode_length_s} s is less than two policy steps of "
                f"{self.policy_dt:g} s"
            )
        rand = self.domain_rand
        delays = {
            "control.action_delay": self.control.action_delay,
            "domain_rand.action_delay_range": rand.action_delay_range[1],
            "domain_rand.observation_delay_range": rand.observation_delay_range[1],
        }
        for name, longest in delays.items():
            if longest > self.policy_dt + 1e-9:
                raise ConfigError(f"{name}: {longest} s is longer than a policy step, {self.policy_dt:g} s")
