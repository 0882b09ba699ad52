"""Makes pictures of an environment: a `View` of one robot, with the others as ghosts."""

import math
from typing import Any

import numpy as np
import torch

from legged_gym.evaluation.planning import StepPlanner
from legged_gym.terrain.mesh import triangulate
from legged_gym.utils.math import yaw_from_quat
from legged_gym.viewer.overlays import Motion, draw_overlays
from legged_gym.viewer.primitives import Layers
from legged_gym.viewer.view import Ground, Readings, View

MAX_GHOSTS = 16
"""Most robots that are drawn besides the one in view: the nearest ones."""
GROUND_SIZE = 12.0
"""Side of the part of a terrain that is drawn [m]."""
FREE_WALK = 3.0
"""How far from the middle of that part the robot may be [m]."""
SMOOTHING = 0.3
"""Time constant of the filter on shown velocities and rewards [s]."""
KICK_SHOWN = 0.4
"""How long a velocity kick is drawn [s]."""
CONTACT_SWITCH = 1e-6
"""Width of the clock's switch between stance and swing [cycles]: so small that contacts are 0 or 1."""


class Spectator:
    """Looks at one robot of an environment after every step."""

    def __init__(self, env: Any, planner: StepPlanner | None = None, robot: int = 0) -> None:
        """Begin with a robot.

        Args:
            env: The environment.
            planner: Draws what the stepping teacher would do.
            robot: Its index.
        """
        self.env, self.planner, self.robot = env, planner, robot
        self.falls = 0
        self._keep = math.exp(-env.dt / SMOOTHING)
        self._forget()
        self._ground_middle: tuple[float, float] | None = None

    def _forget(self) -> None:
        self.falls, self._kick_left = 0, 0.0
        self._kick = np.zeros(3)
        self._velocity: np.ndarray | None = None
        self._rewards = np.zeros(len(self.env.log.names))
        self._sums = self._read(self.env.log.sums.t())

    def _read(self, values: torch.Tensor) -> np.ndarray:
        """Row of the robot."""
        return values[self.robot].cpu().numpy().astype(float)

    def follow(self, robot: int) -> None:
        """Look at another robot."""
        if robot != self.robot:
            self.robot = robot
            self._forget()

    def note_kick(self, velocity_w: np.ndarray) -> None:
        """Draw a velocity kick (3,) [m/s] that the robot has just got, for a moment."""
        self._kick, self._kick_left = velocity_w, KICK_SHOWN

    def after_step(self) -> None:
        """Read the robot's state; call it after every policy step."""
        env = self.env
        if self.planner is not None:
            self.planner.step(self.robot)
        done = bool(env.episodes.done[self.robot])
        self.falls += int(env.episodes.fell[self.robot])
        sums = self._read(env.log.sums.t())
        earned = sums if done else sums - self._sums
        self._sums = sums
        self._rewards = self._keep * self._rewards + (1.0 - self._keep) * earned / env.dt
        velocity = self._read_velocity()
        if not done and self._velocity is not None:
            velocity = self._keep * self._velocity + (1.0 - self._keep) * velocity
        self._velocity = velocity
        kick = self._read(env.disturbances.kick_w)
        if kick.any():
            self.note_kick(kick)
        elif self._kick_left > 0.0:
            self._kick_left -= env.dt

    def _read_velocity(self) -> np.ndarray:
        """v_x, v_y [m/s] and w_z [rad/s] of the base, heading frame. Shape (3,)."""
        s = self.env.state
        velocity = torch.cat((s.base_lin_vel_y[:, :2], s.root_ang_vel_w[:, 2:]), dim=-1)
        return np.nan_to_num(self._read(velocity))

    def motion(self) -> Motion:
        """Return the robot's motion and its command."""
        env, s = self.env, self.env.state
        feet = self._read(s.feet_pos_w)
        feet[:, 2] -= env.sim.robot.foot_radius
        yaw = yaw_from_quat(s.root_quat_xyzw[self.robot : self.robot + 1])
        return Motion(
            base_pos_w=self._read(s.root_pos_w),
            yaw=float(yaw),
            command=self._read(env.commands.command),
            velocity=self._read_velocity() if self._velocity is None else self._velocity,
            com_w=self._read(s.com_pos_w),
            com_vel_w=self._read(s.com_lin_vel_w),
            feet_w=feet,
            feet_force_w=self._read(s.feet_force_w),
            external_force_w=self._read(env.sim.wrench_w)[:, :3],
            ground=float(self._read(s.root_pos_w)[2] - s.base_height[self.robot]),
            kick_w=self._kick if self._kick_left > 0.0 else np.zeros(3),
            step=None if self.planner is None else self.planner.sketch(),
        )

    def layers(self) -> Layers:
        """Return the overlays; none while the robot's state is not finite."""
        if not np.isfinite(self.env.sim.poses([self.robot])).all():
            return {}
        return draw_overlays(self.motion())

    def ghosts(self) -> list[int]:
        """Return the robots nearest to the one in view."""
        env = self.env
        distance = (env.state.root_pos_w - env.state.root_pos_w[self.robot]).norm(dim=-1).nan_to_num(torch.inf)
        distance[self.robot] = torch.inf
        count = min(MAX_GHOSTS, env.num_envs - 1)
        nearest = distance.topk(count, largest=False)
        return [int(i) for i, d in zip(nearest.indices.tolist(), nearest.values.tolist(), strict=True) if d < math.inf]

    def readings(self) -> Readings:
        """Return the readings for the panels."""
        env = self.env
        velocity = self._read_velocity() if self._velocity is None else self._velocity
        asked = env.gait.desired_contact(CONTACT_SWITCH)[self.robot] > 0.5
        names = (name.removeprefix("rew_") for name in env.log.names)
        return Readings(
            time=float(env.episodes.length[self.robot]) * env.dt,
            command=tuple(self._read(env.commands.command).tolist()),
            velocity=tuple(velocity.tolist()),
            clock=float(env.gait.clock[self.robot]),
            contact=tuple(env.state.feet_contact[self.robot].tolist()),
            asked_contact=tuple(asked.tolist()),
            rewards={name: float(value) for name, value in zip(names, self._rewards, strict=True)},
            falls=self.falls,
            standing=bool(env.commands.standing[self.robot]),
        )

    def view(self) -> View:
        """Take a picture."""
        poses = self.env.sim.poses([self.robot, *self.ghosts()])
        finite = np.isfinite(poses).all(-1)
        finite[0] = True  # a broken robot begins anew at once
        poses = np.nan_to_num(poses[finite])
        return View(poses, self.layers(), self.readings(), self._moved_ground(*poses[0, :2]))

    def _moved_ground(self, x: float, y: float) -> Ground | None:
        """Return the ground around a point, if the robot has left the middle of the last one."""
        terrain, middle = self.env.sim.options.terrain, self._ground_middle
        if terrain is None or (middle is not None and max(abs(x - middle[0]), abs(y - middle[1])) <= FREE_WALK):
            return None
        self._ground_middle = (x, y)
        scale, half = terrain.horizontal_scale, round(0.5 * GROUND_SIZE / terrain.horizontal_scale)
        heights, corner = terrain.heights, []
        for axis, position in ((0, x), (1, y)):
            centre = round(position / scale + 0.5 * (heights.shape[axis] - 1))
            low = min(max(centre - half, 0), max(heights.shape[axis] - 2 * half - 1, 0))
            heights = np.take(heights, range(low, min(low + 2 * half + 1, heights.shape[axis])), axis)
            corner.append(low + 0.5 * (heights.shape[axis] - 1) - 0.5 * (terrain.heights.shape[axis] - 1))
        vertices, faces = triangulate(heights, scale, terrain.slope_threshold)
        vertices[:, :2] += np.array(corner, dtype=np.float32) * scale
        return Ground(vertices, faces)
