"""What happens to one robot, step by step: as arrays for plots and as a video."""

from pathlib import Path
from typing import Any

import numpy as np

from legged_gym.utils.errors import UserError

VIDEO_SIZE = (1280, 720)
"""Width and height [pixels]."""


class StateRecorder:
    """Keeps the states of one robot."""

    def __init__(self, env: Any, robot: int = 0) -> None:
        """Start with nothing recorded."""
        self.env = env
        self.robot = robot
        self._steps: list[dict[str, np.ndarray]] = []

    def add(self) -> None:
        """Record the environment's current state."""
        env, s = self.env, self.env.state
        target = env.joint_zero + env.cfg.control.action_scale * env.actions
        velocity = (env.base_lin_vel_y[:, 0], env.base_lin_vel_y[:, 1], s.root_ang_vel_w[:, 2])
        values = {
            "joint_target": target,
            "joint_pos": s.joint_pos,
            "joint_torque": s.joint_torque,
            "command": env.commands.command,
            "feet_force": env.feet_force_w[..., 2],
            "clock": env.gait.clock,
            "desired_contact": env.desired_contact,
        }
        step = {name: value[self.robot].cpu().numpy().copy() for name, value in values.items()}
        self._steps.append(step | {"velocity": np.array([component[self.robot].item() for component in velocity])})

    def arrays(self) -> dict[str, np.ndarray]:
        """Return everything recorded, by name, with the steps along the first axis, and `time` [s]."""
        arrays = {name: np.stack([step[name] for step in self._steps]) for name in self._steps[0]}
        return arrays | {"time": self.env.dt * np.arange(1, len(self._steps) + 1)}


class VideoRecorder:
    """Writes an mp4 of one robot, in real time, whole or not at all."""

    def __init__(self, env: Any, path: Path, fps: float, robot: int = 0) -> None:
        """Open the file.

        Args:
            env: The environment that is drawn.
            path: The mp4.
            fps: Pictures per second, at most one per policy step [1/s].
            robot: Which robot.
        """
        import imageio

        self.env, self.path, self.robot = env, path, robot
        self._every = max(1, round(1.0 / (fps * env.dt)))
        self._step = 0
        self._temporary = path.with_name(f".{path.stem}.tmp.mp4")
        self._writer = imageio.get_writer(
            self._temporary, fps=1.0 / (self._every * env.dt), codec="libx264", quality=8, macro_block_size=1
        )

    def add(self) -> None:
        """Draw the current state, if a picture is due.

        Raises:
            UserError: Nothing can be drawn here; says what to install.
        """
        if self._step % self._every == 0:
            try:
                picture = self.env.sim.render(self.robot, *VIDEO_SIZE)
            except RuntimeError as error:
                self.discard()
                raise UserError(str(error)) from None
            self._writer.append_data(picture)
        self._step += 1

    def close(self) -> None:
        """Finish the file."""
        self._writer.close()
        self._temporary.replace(self.path)

    def discard(self) -> None:
        """Give up the file."""
        self._writer.close()
        self._temporary.unlink(missing_ok=True)
