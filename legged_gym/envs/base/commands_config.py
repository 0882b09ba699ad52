"""Configuration of velocity commands and the gait, which are drawn together.

Everything is SI. Ranges are (low, high) and drawn uniformly.
"""

from dataclasses import dataclass, field

from legged_gym.utils.config import Config, ConfigError, Range, bounded, check_ranges


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

    FORMER = {"straight_share": 0.0, "reversing_share": 0.0}
    resampling_time: float = bounded(5.0, gt=0, le=1e6)
    """Time between two commands [s]."""
    standing_share: float = bounded(0.1, ge=0, le=1)
    """Share of the commands that ask to stand: all zero."""
    straight_share: float = bounded(0.0, ge=0, le=1)
    """Share of the commands that ask not to turn. Robots that always turn hardly get off the middle of their tile."""
    reversing_share: float = bounded(0.0, ge=0, le=1)
    """Share of the commands that change their sign every `reversing_time`, as if a driver threw the stick about. On a
    map, robots that turn back do not get to harder tiles."""
    reversing_time: float = bounded(1.0, gt=0, le=1e6)
    """Time between two such changes, counted from the beginning of the episode [s]."""
    reversing_lin_vel: float = bounded(1.0, ge=0, le=1)
    """Factor on the linear velocities of such commands: nobody turns round from full speed within a second."""
    initial_ranges: CommandRangesCfg = field(
        default_factory=lambda: CommandRangesCfg(lin_vel_x=(-0.5, 1.0), lin_vel_y=(-0.3, 0.3), ang_vel_yaw=(-0.5, 0.5))
    )
    """Ranges at difficulty 0 of the curriculum."""
    ranges: CommandRangesCfg = field(default_factory=CommandRangesCfg)
    """Ranges at difficulty 1."""

    def validate(self) -> None:
        """Check that no command is of two kinds."""
        if self.standing_share + self.reversing_share + self.straight_share > 1.0:
            raise ConfigError(
                f"CommandsCfg: standing_share {self.standing_share}, reversing_share {self.reversing_share} and "
                f"straight_share {self.straight_share} are more than 1 together; lower one of them"
            )


@dataclass
class GaitNominalCfg(Config):
    """The gait of the maker's controller, which gives these constants to every policy."""

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
    """Gait parameters, drawn with each command and observed by the policy: nominal at difficulty 0, all at 1."""

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

    FORMER = {"nominal_share": 0.0}
    nominal: GaitNominalCfg = field(default_factory=GaitNominalCfg)
    nominal_share: float = bounded(0.0, ge=0, le=1)
    """Share of the draws that are the nominal gait: the one that a policy is deployed with."""
    ranges: GaitRangesCfg = field(default_factory=GaitRangesCfg)
