"""Turns a robot's motion and its commands into the arrows, balls and lines that show them.

layer            what is drawn                                                           colour
--------------   ---------------------------------------------------------------------   ----------------------
velocity         commanded and actual velocity over the base; arcs for the yaw rate      green, blue
capture point    xi = c + c_dot / omega now, and xi_T predicted for the touchdown        orange, yellow
foothold         p* of the stepping teacher, where it would be without dxi, and later    green; white, see-through;
                 footholds                                                               green, small
planned path     of CoM and DCM over the rest of this step and some more                 violet, yellow
contact forces   on the feet                                                             red
pushes           external forces on base and feet; a velocity kick for a moment          magenta
"""

import math
from dataclasses import dataclass, field

import numpy as np

from legged_gym.viewer.primitives import Arrow, Ball, Color, Layers, Path, Primitive

LAYERS = ("velocity", "capture point", "foothold", "planned path", "contact forces", "pushes")
"""All names that `draw_overlays` uses."""
COMMAND: Color = (0.15, 0.75, 0.25)
ACTUAL: Color = (0.15, 0.45, 0.95)
CAPTURE_POINT: Color = (1.0, 0.45, 0.0)
PREDICTED: Color = (1.0, 0.85, 0.1)
FOOTHOLD: Color = (0.1, 0.8, 0.35)
WITHOUT_OFFSET: Color = (0.95, 0.95, 0.95)
COM_PATH: Color = (0.6, 0.3, 0.9)
FORCE: Color = (0.9, 0.15, 0.1)
PUSH: Color = (0.95, 0.1, 0.75)

OVER_BASE = 0.16
"""Height of the velocity arrows above the base's origin [m]."""
METRES_PER_VELOCITY = 0.6
"""Length of an arrow for 1 m/s [s]."""
METRES_PER_NEWTON = 1.0 / 500.0
"""Length of an arrow for 1 N [m/N]."""
METRES_PER_KICK = 0.6
"""Length of an arrow for a velocity kick of 1 m/s [s]."""
TURN_RADIUS = 0.22
"""Radius of the arc that shows the yaw rate [m]. The arc spans the angle that the robot turns in a second."""
SHORTEST = 0.02
"""Shorter arrows are left out [m]."""
GRAVITY = 9.81
"""[m/s^2]"""
LEAST_HEIGHT = 0.2
"""Least height of the CoM above its foot in the capture point, for a robot that lies on the ground [m]."""


@dataclass(frozen=True)
class StepSketch:
    """The stepping teacher's plan for the present step."""

    stance_w: np.ndarray
    """Point that the robot steps from, its stance foot [m]. Shape (3,)."""
    xi_end_w: np.ndarray
    """DCM predicted at touchdown [m]. Shape (3,)."""
    foothold_w: np.ndarray
    """p* [m]. Shape (3,)."""
    without_offset_w: np.ndarray
    """p* without the learned offset dxi [m]. Shape (3,)."""
    com_path_w: np.ndarray
    """Path of the CoM, at its present height [m]. Shape (S, 3)."""
    dcm_path_w: np.ndarray
    """Path of the DCM on the ground [m]. Shape (S, 3)."""
    later_footholds_w: np.ndarray
    """Footholds of the steps after this one [m]. Shape (H, 3)."""
    time_left: float
    """Time until touchdown [s]."""
    duration: float
    """Duration of a step [s]."""


@dataclass(frozen=True)
class Motion:
    """A robot's motion, in the world frame, and its commands."""

    base_pos_w: np.ndarray
    """Position of the base [m]. Shape (3,)."""
    yaw: float
    """Heading [rad]."""
    command: np.ndarray
    """v_x, v_y [m/s] and w_z [rad/s], heading frame. Shape (3,)."""
    velocity: np.ndarray
    """Velocity of the base, in the same units and frame. Shape (3,)."""
    com_w: np.ndarray
    """Centre of mass [m]. Shape (3,)."""
    com_vel_w: np.ndarray
    """Its velocity [m/s]. Shape (3,)."""
    feet_w: np.ndarray
    """Contact points of the feet [m]. Shape (F, 3)."""
    feet_force_w: np.ndarray
    """Contact forces on the feet [N]. Shape (F, 3)."""
    external_force_w: np.ndarray
    """External forces on the base and on each foot [N]. Shape (1 + F, 3)."""
    ground: float
    """Height of the ground under the robot [m]."""
    kick_w: np.ndarray = field(default_factory=lambda: np.zeros(3))
    """Velocity kick of a moment ago, zero if there was none [m/s]. Shape (3,)."""
    step: StepSketch | None = None


def draw_overlays(motion: Motion) -> Layers:
    """Return all layers for one robot."""
    return {
        "velocity": [
            *_velocity(motion, motion.command, COMMAND, OVER_BASE),
            *_velocity(motion, motion.velocity, ACTUAL, OVER_BASE + 0.04),
        ],
        "capture point": _capture_point(motion),
        "foothold": [] if motion.step is None else _foothold(motion.step),
        "planned path": [] if motion.step is None else _planned_path(motion.step),
        "contact forces": [
            arrow
            for foot, force in zip(motion.feet_w, motion.feet_force_w, strict=True)
            for arrow in _arrow(foot, METRES_PER_NEWTON * force, FORCE)
        ],
        "pushes": _pushes(motion),
    }


def _arrow(start: np.ndarray, vector: np.ndarray, color: Color, radius: float = 0.012) -> list[Primitive]:
    """An arrow, or nothing if it is too short to be seen or not finite."""
    length = float(np.linalg.norm(vector))
    return [Arrow(start, start + vector, color, radius)] if SHORTEST < length < math.inf else []


def _velocity(motion: Motion, velocity: np.ndarray, color: Color, height: float) -> list[Primitive]:
    """An arrow along the velocity over the base, and an arc that begins ahead and turns with the yaw rate."""
    v_x, v_y, w_z = velocity
    middle = motion.base_pos_w + np.array([0.0, 0.0, height])
    cos, sin = math.cos(motion.yaw), math.sin(motion.yaw)
    along = METRES_PER_VELOCITY * np.array([cos * v_x - sin * v_y, sin * v_x + cos * v_y, 0.0])
    drawn = _arrow(middle, along, color)
    if abs(w_z) * TURN_RADIUS > SHORTEST:
        angles = motion.yaw + np.linspace(0.0, float(w_z), 16)
        arc = np.stack((np.cos(angles), np.sin(angles), np.zeros_like(angles)), axis=-1)
        drawn.append(Path(middle + TURN_RADIUS * arc, color))
    return drawn


def capture_point(motion: Motion) -> np.ndarray:
    """xi = c + c_dot sqrt(z / g) on the ground, z the height of the CoM over it (Pratt et al. 2006) [m]. Shape (3,)."""
    height = max(float(motion.com_w[2]) - motion.ground, LEAST_HEIGHT)
    xi = motion.com_w + motion.com_vel_w * math.sqrt(height / GRAVITY)
    return np.array([xi[0], xi[1], motion.ground])


def _capture_point(motion: Motion) -> list[Primitive]:
    xi: list[Primitive] = [Ball(capture_point(motion), 0.03, CAPTURE_POINT)]
    return xi if motion.step is None else [*xi, Ball(motion.step.xi_end_w, 0.025, PREDICTED)]


def _foothold(step: StepSketch) -> list[Primitive]:
    return [
        Ball(step.foothold_w, 0.035, FOOTHOLD),
        Ball(step.without_offset_w, 0.035, WITHOUT_OFFSET, opacity=0.45),
        *_arrow(step.without_offset_w, step.foothold_w - step.without_offset_w, FOOTHOLD, 0.006),
        *(Ball(foothold, 0.02, FOOTHOLD, opacity=0.45) for foothold in step.later_footholds_w),
    ]


def _planned_path(step: StepSketch) -> list[Primitive]:
    return [Path(step.com_path_w, COM_PATH), Path(step.dcm_path_w, PREDICTED, 0.004)]


def _pushes(motion: Motion) -> list[Primitive]:
    """Arrows that end at the points where the forces act."""
    places = [motion.base_pos_w, *motion.feet_w]
    pushes = [(place, METRES_PER_NEWTON * f) for place, f in zip(places, motion.external_force_w, strict=True)]
    pushes.append((motion.base_pos_w, METRES_PER_KICK * motion.kick_w))
    return [arrow for place, vector in pushes for arrow in _arrow(place - vector, vector, PUSH, 0.02)]
