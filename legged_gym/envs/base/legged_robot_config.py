"""Configuration of the legged robot environment, with legged_gym's section and field names.

Everything is SI. Ranges are (low, high) and drawn uniformly.
"""

from dataclasses import dataclass, field

from legged_gym.envs.base.commands_config import CommandsCfg, GaitCfg
from legged_gym.envs.base.domain_rand_config import DomainRandCfg
from legged_gym.envs.base.observations_config import NoiseCfg, NormalizationCfg, ObservationsCfg
from legged_gym.envs.base.rewards_config import RewardsCfg
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
class InitStateCfg(Config):
    """Start of an episode; velocities and joint deviations are those at difficulty 1 of the curriculum."""

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
    """Path of a URDF, instead of `robot_type`. Runs are saved with `robot_type` alone."""
    self_collisions: bool = True
    """The legs touch each other, and shins and feet touch the base."""
    penalize_contacts_on: tuple[str, ...] = ("abad", "hip", "knee", "base")
    """Bodies whose contacts are penalised, by part of their name."""
    terminate_after_contacts_on: tuple[str, ...] = ("abad", "base")
    """Bodies whose contacts end the episode, by part of their name."""


@dataclass
class TerminationCfg(Config):
    """Definition of a fall."""

    contact_force: float = bounded(1.0, gt=0)
    """Force on a terminating body that ends the episode [N]."""
    max_tilt: float = bounded(1.466, gt=0, le=3.1416)
    """Angle between the base's z axis and the vertical [rad]."""
    tilt_time: float = bounded(0.5, ge=0)
    """Time that the tilt must last [s]."""
    max_speed: float = bounded(20.0, gt=0)
    """Speed of base or feet above which the simulation counts as broken: no such robot gets there [m/s]."""


@dataclass
class CurriculumCfg(Config):
    """Difficulty: one number, 0 to 1, that scales randomisation, pushes, gait and command ranges, and the start.

    It rises while robots rarely fall and sinks while they fall often; the harder the task, the more falls are accepted.
    Without the curriculum it is 1.
    """

    enabled: bool = True
    """Without it, the difficulty is 1 throughout."""
    initial: float = bounded(0.0, ge=0, le=1)
    """Difficulty at the start."""
    pace: float = bounded(0.002, ge=0)
    """Change per second that each robot walks [1/s]: policies learn by iterations, however many robots there are."""
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
class EventsCfg(Config):
    """Your own events, as `package.module:function`; docs/add_a_task.md says what they may do on a GPU."""

    reset: tuple[str, ...] = ()
    """Called as `function(env, mask)` once the robots in `mask` (N,) are placed and have their commands."""
    step: tuple[str, ...] = ()
    """Called as `function(env)` in each policy step, before observations are taken."""


@dataclass
class SimCfg(Config):
    """The physics engine."""

    backend: str = "auto"
    """Name of a simulator, or auto."""
    dt: float = bounded(0.005, gt=0, le=0.05)
    """Physics step [s]."""
    num_threads: int = bounded(0, ge=0)
    """Physics threads on the CPU; 0 takes one for each core."""
    armature: float = bounded(0.01, ge=0)
    """Nominal rotor inertia seen by each joint [kg m^2]."""
    joint_damping: float = bounded(0.0, ge=0)
    """Passive damping of each joint [N m s/rad]."""
    process: ProcessCfg = field(default_factory=ProcessCfg)
    """A process of its own for the simulator."""
    isaacgym: IsaacGymCfg = field(default_factory=IsaacGymCfg)
    """Options of Isaac Gym alone."""


@dataclass
class LeggedRobotCfg(Config):
    """Everything about an environment."""

    seed: int = bounded(1, ge=0, le=2**32 - 1)
    """Seed of the random numbers of all robots."""
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
