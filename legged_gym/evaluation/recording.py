"""Recordings of one robot, step by step: as arrays for plots, as a log, and as a film."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from legged_gym.utils.errors import UserError
from legged_gym.utils.progress import Bar, progress_bar
from legged_gym.viewer.primitives import Layers

VIDEO_SIZE = (1280, 720)
"""Width and height of an mp4 [pixels]."""
GIF_SIZE = (400, 300)
"""Width and height of a GIF [pixels]."""
GIF_VIEW = (80, 102, 880, 702)
"""Part of a picture of 960 x 720 that a GIF shows: left, top, right, bottom [pixels]; halved, for smooth edges."""
GIF_COLORS = 64
EPISODE_GAP = 1.0
"""Gap between two episodes in a log [s]: the robot has been placed anew, so the rows are not continuous."""
Look = Callable[[], Layers]
"""Returns overlays."""


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
        target = env.joint_zero + env.cfg.control.action_scale * env.actions.now
        velocity = (s.base_lin_vel_y[:, 0], s.base_lin_vel_y[:, 1], s.root_ang_vel_w[:, 2])
        values = {
            "joint_target": target,
            "joint_pos": s.joint_pos,
            "joint_torque": s.joint_torque,
            "command": env.commands.command,
            "feet_force": s.feet_force_w[..., 2],
            "clock": env.gait.clock,
            "desired_contact": env.rewards.desired_contact,
        }
        step = {name: value[self.robot].cpu().numpy().copy() for name, value in values.items()}
        self._steps.append(step | {"velocity": np.array([component[self.robot].item() for component in velocity])})

    @property
    def steps(self) -> int:
        """Steps recorded."""
        return len(self._steps)

    def arrays(self) -> dict[str, np.ndarray]:
        """Return everything recorded, by name, with the steps along the first axis, and `time` [s]."""
        arrays = {name: np.stack([step[name] for step in self._steps]) for name in self._steps[0]}
        return arrays | {"time": self.env.dt * np.arange(1, len(self._steps) + 1)}


class LogRecorder:
    """Records one robot as a real robot's log would, one row a policy step."""

    def __init__(self, env: Any, robot: int = 0) -> None:
        """Start with nothing recorded."""
        self.env, self.robot = env, robot
        self.rows: list[dict[str, Any]] = []
        """Values by name, as in a robot's log; see `robot_log.collect`."""
        self._time, self._episode = 0.0, 0

    def add(self) -> None:
        """Record the environment's current state, and the target that led to it."""
        env, s = self.env, self.env.state
        velocity = s.base_lin_vel_y[:, :2]
        values = {
            "joint_pos": s.joint_pos,
            "joint_vel": s.joint_vel,
            "target": env.joint_zero + env.cfg.control.action_scale * env.actions.applied,
            "torque": s.joint_torque,
            "quat": s.root_quat_xyzw[:, [3, 0, 1, 2]],
            "body_rates": s.base_ang_vel_b,
            "command": env.commands.command,
            "velocity": velocity,
            "contact": s.feet_contact,
        }
        row = {name: value[self.robot].cpu().numpy().astype(float) for name, value in values.items()}
        age = int(env.episode_length_buf[self.robot])
        self._time += env.dt if age > self._episode else EPISODE_GAP
        self._episode = age
        self.rows.append(row | {"time": self._time})


class FilmRecorder(ABC):
    """Draws one robot in real time; the file is written whole or not at all."""

    def __init__(self, env: Any, path: Path, fps: float, look: Look = dict, robot: int = 0) -> None:
        """Begin with nothing drawn.

        Args:
            env: The environment that is drawn.
            path: The file.
            fps: Pictures per second [1/s]; at most one per policy step is drawn.
            look: Returns the overlays of the moment.
            robot: Index of the robot.
        """
        self.env, self.path, self.look, self.robot = env, path, look, robot
        self._every = max(1, round(1.0 / (fps * env.dt)))
        self._step = 0
        self.bar: Bar | None = None
        """Shows the filmed time [s]."""
        self._temporary = path.with_name(f".{path.stem}.tmp{path.suffix}")

    @property
    def interval(self) -> float:
        """Time between two pictures [s]."""
        return self._every * self.env.dt

    def add(self, caption: str = "") -> None:
        """Draw the current state, if a picture is due.

        Args:
            caption: Text in the picture, for films that have captions.

        Raises:
            UserError: Nothing can be drawn here; the text says what to install.
        """
        if self._step % self._every == 0:
            try:
                picture = self.env.sim.render(self.robot, *self.render_size, layers=self.look())
            except RuntimeError as error:
                self.discard()
                raise UserError(str(error)) from None
            self._append(picture, caption)
        self._step += 1
        if self.bar is not None:
            self.bar.set(self._step * self.env.dt)

    def close(self) -> None:
        """Finish the file."""
        self._finish()
        self._temporary.replace(self.path)

    def discard(self) -> None:
        """Give up the file."""
        self._temporary.unlink(missing_ok=True)

    render_size: tuple[int, int]
    """Width and height of the drawn pictures [pixels]."""

    @abstractmethod
    def _append(self, picture: np.ndarray, caption: str) -> None:
        """Take a picture. Shape (height, width, 3)."""

    @abstractmethod
    def _finish(self) -> None:
        """Write the temporary file to its end."""


@contextmanager
def filming(film: FilmRecorder | None, duration: float) -> Iterator[None]:
    """Show on a terminal how much of a film is done while the body makes it; drawing without a GPU takes long.

    Args:
        film: The film, if there is one.
        duration: Its length [s].
    """
    if film is None or not math.isfinite(duration):
        yield
        return
    with progress_bar("film", duration) as film.bar:
        yield


class VideoRecorder(FilmRecorder):
    """Writes an mp4."""

    def __init__(
        self, env: Any, path: Path, fps: float, look: Look = dict, size: tuple[int, int] = VIDEO_SIZE, robot: int = 0
    ) -> None:
        """Open the file; see `FilmRecorder`."""
        import imageio

        super().__init__(env, path, fps, look, robot)
        self.render_size = size
        self._writer = imageio.get_writer(
            self._temporary, fps=1.0 / self.interval, codec="libx264", quality=8, macro_block_size=1
        )

    def _append(self, picture: np.ndarray, caption: str) -> None:
        self._writer.append_data(picture)

    def _finish(self) -> None:
        self._writer.close()

    def discard(self) -> None:
        """See `FilmRecorder.discard`."""
        self._writer.close()
        super().discard()


class GifRecorder(FilmRecorder):
    """Writes a small GIF with captions."""

    render_size = (960, 720)

    def __init__(self, env: Any, path: Path, fps: float, look: Look = dict, robot: int = 0) -> None:
        """See `FilmRecorder`."""
        super().__init__(env, path, fps, look, robot)
        self._pictures: list[Image.Image] = []

    def _append(self, picture: np.ndarray, caption: str) -> None:
        small = Image.fromarray(picture).resize(GIF_SIZE, Image.Resampling.LANCZOS, box=GIF_VIEW)
        ImageDraw.Draw(small).text((10, 8), caption, fill=(35, 45, 55), font=ImageFont.load_default(size=15))
        self._pictures.append(small)

    def _finish(self) -> None:
        """One set of colours serves the whole film, without dithering: parts that do not change then cost nothing."""
        samples = self._pictures[:: max(1, len(self._pictures) // 8)]
        column = Image.new("RGB", (GIF_SIZE[0], GIF_SIZE[1] * len(samples)))
        for i, sample in enumerate(samples):
            column.paste(sample, (0, i * GIF_SIZE[1]))
        palette = column.quantize(GIF_COLORS, method=Image.Quantize.MAXCOVERAGE, kmeans=2)  # rare colours, too
        first, *rest = (p.quantize(palette=palette, dither=Image.Dither.NONE) for p in self._pictures)
        milliseconds = round(1000.0 * self.interval)
        first.save(self._temporary, save_all=True, append_images=rest, duration=milliseconds, loop=0, optimize=True)
