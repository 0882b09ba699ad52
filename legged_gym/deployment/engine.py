"""Interface of a physics engine that runs one robot by the contract, and its reports."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

import numpy as np

from legged_gym.deployment.contract import KD, KP, TORQUE_LIMIT, Sensors

NUM_FEET = 2
"""Left and right foot."""
FRICTION = 0.6
"""Friction coefficient of the maker's scene."""
TOUCH_FORCE = 1.0
"""Least contact force that counts as a touch [N]."""


@dataclass(frozen=True)
class Physics:
    """Figures of the scene: those of the maker's own scene, unless a row of the evaluation changes them."""

    timestep: float = 0.001
    """Physics step [s]."""
    friction: tuple[float, ...] = (FRICTION,)
    """Coefficient for every body against every other, or else those of the left and the right foot on the ground."""
    contact_time_constant: float = 0.02
    """Time constant of contacts [s]."""
    armature: float = 0.01
    """Reflected rotor inertia of each joint [kg m^2]."""
    joint_damping: float = 0.01
    """Passive damping of each joint [N m s/rad]."""
    kp: float = KP
    """Stiffness of the servos [N m/rad]."""
    kd: float = KD
    """Damping of the servos [N m s/rad]; the controller's clamp goes on to use the contract's."""
    base_mass_added: float = 0.0
    """Payload at the base link's centre of mass [kg]."""
    lane: str = ""
    """Lane of `legged_gym.terrain.lanes` as the ground; a plane if empty."""
    changed: tuple[str, ...] = ()
    """Fields that a row sets. Only these change a user's own scene, which has its own values for the rest."""

    @property
    def body_friction(self) -> float:
        """Friction of all bodies but the feet."""
        return self.friction[0] if len(self.friction) == 1 else FRICTION

    def foot_friction(self) -> tuple[float, float]:
        """Return the friction of the left and of the right foot on the ground."""
        return self.friction[0], self.friction[-1]

    def torque(self, target: np.ndarray, joint_pos: np.ndarray, joint_vel: np.ndarray) -> np.ndarray:
        """Return the servos' torque [N m]. Targets and positions [rad], velocities [rad/s], all of shape (6,)."""
        return np.clip(self.kp * (target - joint_pos) - self.kd * joint_vel, -TORQUE_LIMIT, TORQUE_LIMIT)


@dataclass
class State:
    """The robot's pose and motion."""

    base_pos_w: np.ndarray
    """Origin of the base link [m]. Shape (3,)."""
    base_rot: np.ndarray
    """Base axes as columns, world frame. Shape (3, 3)."""
    base_lin_vel_w: np.ndarray
    """Velocity of the base link's origin [m/s]. Shape (3,)."""
    base_ang_vel_w: np.ndarray
    """Angular velocity of the base [rad/s]. Shape (3,)."""
    joint_pos: np.ndarray
    """Joint angles [rad]. Shape (6,)."""
    joint_vel: np.ndarray
    """Joint velocities [rad/s]. Shape (6,)."""
    torque: np.ndarray
    """Torque of the servos in the last physics step [N m]. Shape (6,)."""
    feet_pos_w: np.ndarray
    """Centres of the feet [m]. Shape (2, 3)."""
    feet_vel_w: np.ndarray
    """Velocities of the feet's centres [m/s]. Shape (2, 3)."""
    ground: float
    """Height of the ground below the base [m]."""


class Part(NamedTuple):
    """The part of the scene that a collision shape belongs to."""

    ground: bool = False
    foot: int = -1
    """0 for the left foot, 1 for the right one, -1 for anything else."""
    side: int = -1
    """0 for the left leg, foot included, 1 for the right one, -1 for anything else."""
    vital: bool = False
    """Whether it is the base or an abad link: a robot that touches anything with these has fallen."""


Contact = tuple[Part, Part, np.ndarray]
"""Two parts in either order, and the force of one on the other [N, world frame]."""


@dataclass
class Tally:
    """Events since the tally was last cleared, so that nothing between two policy steps is lost."""

    contact: np.ndarray = field(default_factory=lambda: np.zeros(NUM_FEET, bool))
    """Whether the foot stood on the ground in the last physics step; `cleared` keeps it. Shape (2,)."""
    landing_speed: np.ndarray = field(default_factory=lambda: np.zeros(NUM_FEET))
    """Downward speed of a foot that began to touch the ground, 0 else [m/s]. Shape (2,)."""
    foot_force: np.ndarray = field(default_factory=lambda: np.zeros(NUM_FEET))
    """Largest contact force on each foot [N]. Shape (2,)."""
    peak_power: float = 0.0
    """Largest mechanical power of the servos: the sum of the joints' magnitudes [W]."""
    fallen: bool = False
    """Whether the base or an abad link touched something."""
    others_touch: bool = False
    """Whether something besides the feet touched something in the last physics step."""
    legs_touch: bool = False
    """Whether the legs touched each other."""

    def cleared(self) -> "Tally":
        """Return an empty tally that goes on from here."""
        return Tally(contact=self.contact)

    def add(self, contacts: Iterable[Contact], power: float, descent: Callable[[int], float]) -> None:
        """Add one physics step.

        Args:
            contacts: Contacts of this step.
            power: Power of the servos in this step [W].
            descent: Gives a foot's downward speed from before this step [m/s]; asked only for feet that land.
        """
        self.peak_power = max(self.peak_power, power)
        on_foot, lift, self.others_touch = np.zeros((NUM_FEET, 3)), np.zeros(NUM_FEET), False
        for first, second, force in contacts:
            if first.ground:
                first, second = second, first
            size = float(np.sqrt(force @ force))
            for part, sign in ((first, 1.0), (second, -1.0)):
                if part.foot >= 0:
                    on_foot[part.foot] += sign * force
                elif not part.ground and size > TOUCH_FORCE:
                    self.others_touch = True
                    self.fallen |= part.vital
            if first.foot >= 0 and second.ground:
                lift[first.foot] += abs(force[2])
            self.legs_touch |= size > TOUCH_FORCE and {first.side, second.side} == {0, 1}
        self.foot_force = np.maximum(self.foot_force, np.sqrt((on_foot * on_foot).sum(-1)))
        for foot in np.flatnonzero((lift > TOUCH_FORCE) & ~self.contact):
            self.landing_speed[foot] = max(self.landing_speed[foot], descent(int(foot)))
        self.contact = lift > TOUCH_FORCE


class Engine(Protocol):
    """One robot in a scene. The engine holds the servos: it computes their torque anew in every physics step."""

    title: str
    """Name and version of the engine."""
    tally: Tally
    """The events so far. The caller replaces it by its `cleared()`."""
    figures: dict[str, object]
    """Settings of the physics, for the record."""
    lid: float | None
    """Height of the top of the base's collision box, base frame [m]; None if it has no box."""

    def place(self, lift: float = 0.0) -> None:
        """Put the robot at the start, at rest, its joints at zero, facing +x, and hold its base as a hoist does.

        Args:
            lift: Height of the feet above the ground [m].
        """

    def release(self) -> None:
        """Let go of the base."""

    def step(self, target: np.ndarray) -> None:
        """Go on by 2 ms, one pass of the control loop.

        Args:
            target: Joint targets [rad] in force. Shape (6,).
        """

    def sensors(self) -> Sensors:
        """Return the robot's own measurements now, without noise."""

    def state(self) -> State:
        """Return the robot's state now; NaN where the physics broke down."""

    def kick(self, velocity: np.ndarray) -> None:
        """Change the whole robot's velocity at once.

        Args:
            velocity: [m/s], world frame. Shape (3,).
        """

    def push(self, force: np.ndarray | None, where: str = "base") -> None:
        """Apply a force from now on; None ends it.

        Args:
            force: [N], world frame. Shape (3,).
            where: "base" for the base link's centre of mass, "lid" for the top of its collision box above that,
                "foot_0" and "foot_1" for the feet.
        """

    def close(self) -> None:
        """Free the engine's resources."""
