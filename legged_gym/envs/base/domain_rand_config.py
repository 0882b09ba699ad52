"""Configuration of randomisation: how robots differ, and what disturbs them.

Everything is SI. Ranges are (low, high) and drawn uniformly.
"""

from dataclasses import dataclass

from legged_gym.utils.config import Config, Range, bounded, check_ranges


@dataclass
class DomainRandCfg(Config):
    """Differences between robots and between episodes, drawn at every reset.

    The ranges are those at difficulty 1; the curriculum shrinks them towards the nominal values.
    """

    off_level_ground: float = bounded(1.0, ge=0, le=1)
    """Factor on kicks, shoves and trips, and on how far friction and load are drawn from their nominal values, for
    robots whose tiles are not level: there the ground is the challenge."""
    randomize_friction: bool = True
    """Draw the friction coefficient."""
    friction_range: Range = bounded((0.1, 1.6), ge=0)
    """Friction coefficient between robot and ground."""
    randomize_foot_friction: bool = True
    """Draw a factor on the friction of each foot."""
    foot_friction_range: Range = bounded((0.6, 1.0), ge=0)
    """Factor on the friction of each foot."""
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
