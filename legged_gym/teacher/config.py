"""Parameters of the DCM stepping teacher, with units."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from legged_gym.utils.config import Config, ConfigError, bounded


@dataclass
class ControlCfg(Config):
    """The joint servo that the teacher's action is meant for: the environment's, never the user's to set here."""

    kp: float = bounded(42.0, gt=0.0)
    """Proportional gain K_p [N m/rad]."""
    kd: float = bounded(3.5, ge=0.0)
    """Derivative gain K_d [N m s/rad]."""
    torque_limit: float = bounded(80.0, gt=0.0)
    """Largest joint torque [N m]."""
    action_scale: float = bounded(0.25, gt=0.0)
    """Radians per unit of action: target = default + scale * action [rad]."""
    default_angles: tuple[float, ...] = (0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
    """Joint angles at zero action, in joint order [rad]."""
    dt: float = bounded(0.02, gt=0.0)
    """Time between two teacher evaluations [s]."""
    gravity: float = bounded(9.81, gt=0.0)
    """Gravitational acceleration [m/s^2]."""


@dataclass
class SteppingCfg(Config):
    """The choice of the next foothold."""

    law: Literal["dcm", "raibert"] = "dcm"
    """Foothold law: "dcm" (preview of the divergent component) or "raibert" (velocity heuristic)."""
    stance_width: float = bounded(0.13, gt=0.0)
    """Nominal lateral distance between the feet W_s [m]."""
    dv: float = bounded(0.5, ge=0.0)
    """Largest change of the gait's velocity in one step [m/s]."""
    command_phase: float = bounded(0.85, gt=0.0, le=1.0)
    """Phase of a step from which on a new command waits for the next one: the swing foot could not follow any more
    [1]."""
    reach_forward: float = bounded(0.45, gt=0.0)
    """Farthest foothold ahead of the stance foot [m]."""
    reach_backward: float = bounded(0.40, gt=0.0)
    """Farthest foothold behind the stance foot [m]."""
    reach_lateral: float = bounded(0.45, gt=0.0)
    """Farthest foothold to the swing side of the stance foot [m]."""
    keep_out: float = bounded(0.07, ge=0.0)
    """Closest lateral foothold to the stance foot: feet are 64 mm wide, and legs are solid [m]."""
    pivot_shift: float = 0.005
    """Distance behind the stance foot of the point that the DCM diverges from: the forward pull that the LIP leaves out
    (heavy legs, landing impacts, attitude torques), measured by the velocity error left at zero DCM error [m]."""
    landing_kick: float = 0.0103
    """Shift of the DCM by every touchdown; the preview takes it as a further shift of the pivot [m]."""
    drift_gain: float = bounded(0.9, ge=0.0)
    """Velocity asked for in addition per distance that the robot lags behind its command [1/s]."""
    drift_limit: float = bounded(0.1, ge=0.0)
    """Largest lag that is remembered [m]."""
    drift_memory: float = bounded(5.0, gt=0.0)
    """Time constant with which it is forgotten [s]."""
    drift_gate: float = bounded(0.14, ge=0.0)
    """Lag counts only while the gait is this close to the command: what a new command or a push causes does not
    [m/s]."""
    yaw_in_preview: bool = True
    """Whether the DCM preview knows the yaw force, which moves the effective stance point."""
    min_height: float = bounded(0.3, gt=0.0)
    """Lower clamp on the CoM height over the stance foot inside omega [m]."""
    raibert_gain: float = bounded(0.2, ge=0.0)
    """Gain of the Raibert law on the velocity error [s]."""


@dataclass
class SwingCfg(Config):
    """The motion of the swing foot."""

    lead: float = bounded(0.0, ge=0.0)
    """Time ahead of the clock at which the swing foot's motion is sampled: the delay of actions [s]."""
    measured: float = bounded(0.3, ge=0.0, le=1.0)
    """Start of the swing foot's planned motion: 0 its own reference, 1 the measured foot [1]."""
    horizon: float = bounded(0.04, gt=0.0)
    """Time ahead at which the foot's height aims for the arc [s]."""
    last: float = bounded(0.04, gt=0.0)
    """Least time in which the foot may be asked to get to its foothold [s]."""
    inertia: float = bounded(0.5, ge=0.0)
    """Share of the leg's inertia that is fed forward: less than all, for the base is light and yields [1]."""
    height: float = bounded(0.5, gt=0.0)
    """Apex by the gait's swing height, in a step that is not hurried: the lower, the calmer the base [1]."""
    true_base: float = bounded(0.5, ge=0.0, le=1.0)
    """Against which base the swing foot is placed: 0 an upright one (steady), 1 the tilted one (exact) [1]."""
    lift: float = bounded(0.091, ge=0.0)
    """Extra apex per length of the swing: long swings are fast and sag [m/m]."""
    landing: float = bounded(1.16, gt=0.0)
    """Phase of the step at which the swing foot would come to rest over its foothold; beyond 1 it lands in motion and
    the ground stops it, which turns the base less [1]."""
    hurry: tuple[float, float] = (0.5, 0.8)
    """Difference between the present gait and the command up to which a step is an ordinary one, and from which on it
    is there to recover [m/s]: then the foot is over its foothold when it lands, and rises to the gait's swing height.
    """
    hurried_landing: float = bounded(0.978, gt=0.0)
    """`landing` of such a step [1]."""
    depth: float = bounded(0.016, ge=0.0)
    """Depth under the terrain that the swing aims at in the end, so that contact is made [m]."""


@dataclass
class BodyCfg(Config):
    """Control of the base by the stance leg."""

    hip_height: float = bounded(0.474, gt=0.0)
    """Height of the abad axes over the stance ground; the base frame is higher by what the robot model says [m]."""
    height_lag: float = bounded(0.25, ge=0.0, le=1.0)
    """Share of the difference in height between the last stance foot and the present one that the base makes up for
    during the step, and not at its beginning; on a map of the ground only [1]."""
    attitude_kp: float = bounded(71.0, ge=0.0)
    """Base pitch and roll stiffness through stance hip and abad [N m/rad]."""
    attitude_kd: float = bounded(10.5, ge=0.0)
    """Base pitch and roll damping [N m s/rad]."""
    yaw_gain: float = bounded(11.0, ge=0.0)
    """Fore-aft foot force per yaw-rate error k_psi [N s/rad]."""
    heading_gain: float = bounded(5.7, ge=0.0)
    """The same per heading error, the integral of the yaw-rate error [N/rad]."""
    heading_limit: float = bounded(0.2, ge=0.0)
    """Largest heading error that is remembered [rad]."""
    swing_reaction: float = 0.0
    """Share of the torques that swing the leg, taken up by the stance leg instead of the base [1]."""
    swing_roll: float = bounded(0.05, ge=0.0)
    """Roll torque of the stance leg against a swing leg that is lifted, by the foot's acceleration upwards [kg m]."""
    swing_pitch: float = bounded(0.2, ge=0.0)
    """Pitch torque against one that swings, by the foot's acceleration forward [kg m]."""
    swing_yaw: float = bounded(0.0, ge=0.0)
    """Fore-aft ground force against the yaw that such a leg gives the base, by the same acceleration [kg]."""
    lead: float = bounded(0.0295, ge=0.0)
    """Time ahead of the clock at which the stance leg's reference is sampled [s]."""
    follow: float = bounded(0.0, ge=0.0, le=1.0)
    """Share of the planned acceleration omega^2 (c - r) with which base references move ahead; 0 keeps the present
    velocity constant, as the other parameters were tuned [1]."""
    pitch_inertia: float = bounded(0.36, gt=0.0)
    """Pitch inertia of the robot about its CoM: how it nods under the yaw force [kg m^2]."""
    yaw_filter: float = bounded(0.2, ge=0.0)
    """Time constant of the low-pass filter on the yaw rate, less than half a gait cycle [s]."""
    yaw_force_limit: float = bounded(24.5, ge=0.0)
    """Largest fore-aft yaw force, and largest one against the swing leg [N]."""


@dataclass
class TimingCfg(Config):
    """When the foot lands: step time and foothold chosen together (Khadiv et al., 2020)."""

    enabled: bool = True
    """Whether the teacher asks for clock shifts."""
    min_step: float = bounded(0.12, gt=0.0)
    """Shortest step, lift-off to touchdown [s]."""
    max_step: float = bounded(0.3, gt=0.0)
    """Longest step [s]."""
    min_left: float = bounded(0.01, gt=0.0)
    """Least time to touchdown of a step that is over its shortest time [s]."""
    candidates: int = bounded(16, ge=2, le=1000)
    """Step times that are compared."""
    swing_accel: float = bounded(150.0, gt=0.0)
    """Acceleration of the swing foot that its motors can give in a step, along each axis [m/s^2]."""
    swing_speed: float = bounded(4.0, gt=0.0)
    """Mean speed that the swing foot can reach, along each axis [m/s]."""
    tolerance: float = bounded(0.02, ge=0.0)
    """DCM offset error, along each axis, for which the step time is not changed [m]."""
    w_outward: float = bounded(1.0, ge=0.0)
    """Additional weight of a DCM offset error to the outside of the landing foot [1]."""
    w_viable: float = bounded(10.0, ge=0.0)
    """Weight of the slack on viability [1]."""
    w_time: float = bounded(0.6, ge=0.0)
    """Weight of a step time that is not the nominal one [m^2/s^2]."""


@dataclass
class OffsetCfg(Config):
    """The learned DCM offset and its training."""

    enabled: bool = False
    """Whether the network's offset is applied."""
    max_offset: float = bounded(0.05, gt=0.0)
    """Bound of each component of the offset [m]."""
    constant: tuple[float, float] = (0.0, 0.0)
    """Hand-set offset added to the network's, forward and towards the stance side [m]."""
    hidden_dims: tuple[int, ...] = bounded((64, 64), ge=1, le=4096)
    """Widths of the hidden layers."""
    learning_rate: float = bounded(1e-3, gt=0.0, le=1.0)
    """Adam step size."""
    epochs: int = bounded(2, ge=1, le=1000)
    """Passes over a rollout per update."""
    num_mini_batches: int = bounded(4, ge=1, le=10_000)
    """Optimiser steps per pass."""
    batch_size: int = bounded(16384, ge=1)
    """Most samples per optimiser step: of a larger rollout a pass sees a random part."""
    max_grad_norm: float = bounded(1.0, gt=0.0)
    """Gradient clipping (norm)."""
    preview_steps: int = bounded(2, ge=0, le=20)
    """Steps H that the differentiable preview looks ahead."""
    w_track: float = bounded(1.0, ge=0.0)
    """Weight of the touchdown DCM error."""
    w_mag: float = bounded(0.01, ge=0.0)
    """Weight of the offset's magnitude."""
    w_preview: float = bounded(0.1, ge=0.0)
    """Weight of the previewed DCM errors."""
    w_vstab: float = bounded(0.0, ge=0.0)
    """Weight of the capture-margin hinge on previewed steps."""
    w_stability: float = bounded(0.0, ge=0.0)
    """Weight of J, what landings cost: the recorded one, and those previewed from there. Pushed robots count in it like
    all others."""
    discount: float = bounded(0.8, ge=0.0, le=1.0)
    """Of a landing in J against the one before it [1]."""
    w_speed: float = bounded(0.0, ge=0.0)
    """Weight in J of the squared velocity error of a step [s^2]."""
    w_viable: float = bounded(0.01, ge=0.0)
    """Weight in J of softplus(h / viable_width), h how far the DCM is outside the bounds of viability [m^2]."""
    viable_width: float = bounded(0.03, gt=0.0)
    """How far inside the bounds that begins to count [m]."""
    outlier: float = bounded(0.1, gt=0.0)
    """Errors beyond this cost in proportion, not by their square, and residuals of previewed landings are cut here
    [m]."""
    follow_scale: float = bounded(0.5, gt=0.0)
    """Distance of the executed action from a_ref at which a sample's weight is 1/e [action units, rms]."""


@dataclass
class StepChangeCfg(Config):
    """The learned change of a step's time and swing height, and its training by `train_teacher.py --learn_steps`."""

    max_time: float = bounded(0.08, gt=0.0)
    """By how much a step may be shorter than the timing has it [s]."""
    max_height: float = bounded(0.04, gt=0.0)
    """Bound of the change of the swing height [m]."""
    hidden_dims: tuple[int, ...] = bounded((64, 64), ge=1, le=4096)
    """Widths of the hidden layers."""
    horizon: float = bounded(1.0, gt=0.0)
    """Within this time of its beginning a fall is put down to a step [s]."""
    exploration: float = bounded(0.5, ge=0.0)
    """Standard deviation of what is added in training, by the bounds [1]."""
    learning_rate: float = bounded(1e-3, gt=0.0, le=1.0)
    """Adam step size."""
    updates: int = bounded(200, ge=1)
    """Optimiser steps per rollout."""
    batch_size: int = bounded(2048, ge=1)
    """Steps of robots per optimiser step."""
    kept: int = bounded(400_000, ge=1)
    """Steps of robots that are remembered."""
    w_effort: float = bounded(0.05, ge=0.0)
    """Weight of a change by its bound, squared, against the chance of a fall [1]."""


INDICATORS = ("tilt", "height_rate", "slip", "mismatch", "clamp", "push")
"""Indicators of trust in the reference: each has its thresholds in `ValidityCfg`."""


@dataclass
class ValidityCfg(Config):
    """Thresholds (good, bad) between which the weight of the reference falls from 1 to 0."""

    tilt: tuple[float, float] = (0.35, 0.7)
    """Angle of the base from upright [rad]."""
    height_rate: tuple[float, float] = (0.5, 1.2)
    """Vertical CoM speed [m/s]."""
    slip: tuple[float, float] = (0.4, 1.0)
    """Horizontal speed of a loaded stance foot [m/s]."""
    mismatch: tuple[float, float] = (0.08, 0.2)
    """Time that the stance foot has been without contact against the clock [s]."""
    clamp: tuple[float, float] = (0.03, 0.15)
    """Distance by which the foothold was clamped into the reachable box [m]."""
    push: tuple[float, float] = (0.4, 1.2)
    """Unexplained jump of the CoM velocity, remembered with a decay [m/s]."""
    push_memory: float = bounded(0.3, gt=0.0)
    """Decay time of the remembered jump [s]."""
    contact_force: float = bounded(5.0, ge=0.0)
    """Foot force that counts as contact [N]."""

    def validate(self) -> None:
        """Check that the weight falls between the thresholds."""
        for name in INDICATORS:
            good, bad = getattr(self, name)
            if bad - good < 1e-6 * max(1.0, abs(bad)):  # in single precision they are the same
                raise ConfigError(f"ValidityCfg.{name}: got {(good, bad)}, expected (good, bad) with good below bad")


@dataclass
class DcmCfg(Config):
    """The teacher's tunable parameters: part of a training config."""

    stepping: SteppingCfg = field(default_factory=SteppingCfg)
    """Foothold law."""
    swing: SwingCfg = field(default_factory=SwingCfg)
    """Swing trajectory."""
    body: BodyCfg = field(default_factory=BodyCfg)
    """Base height, attitude and yaw."""
    timing: TimingCfg = field(default_factory=TimingCfg)
    """Step-timing adaptation."""
    offset: OffsetCfg = field(default_factory=OffsetCfg)
    """Learned DCM offset."""
    step_change: StepChangeCfg = field(default_factory=StepChangeCfg)
    """Learned step time and swing height."""
    validity: ValidityCfg = field(default_factory=ValidityCfg)
    """Limits of trust in the reference."""


@dataclass
class TeacherCfg(DcmCfg):
    """All parameters of a teacher: what is tuned, and the servo of the environment that it walks in."""

    control: ControlCfg = field(default_factory=ControlCfg)
    """Joint servo; no part of a training config, where it would be a second place to set the environment's gains."""
