"""Shows an agent: `python legged_gym/scripts/play.py --task=pointfoot_flat`, in a window or, without one, as a video.

Also writes state plots and, for a checkpoint, exports the policy.
"""

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from legged_gym.deployment.robot_log import write_log
from legged_gym.evaluation.agents import Agent, PolicyAgent
from legged_gym.evaluation.loading import make_agent
from legged_gym.evaluation.plots import plot_states
from legged_gym.evaluation.recording import FilmRecorder, GifRecorder, LogRecorder, StateRecorder, VideoRecorder
from legged_gym.evaluation.report import check_writable
from legged_gym.evaluation.shipping import export_agent
from legged_gym.evaluation.suites import nominal_cfg
from legged_gym.evaluation.tour import TOUR_DURATION, Tour, tour_cfg
from legged_gym.options import cli, runs
from legged_gym.options.cli import Parser, run_main
from legged_gym.options.request import make_parser, parse_args
from legged_gym.options.resolve import resolve
from legged_gym.options.setup import make_env
from legged_gym.options.spec import RunSpec
from legged_gym.utils.errors import UserError
from legged_gym.utils.machine import prefer_egl, require_display

DURATION = 10.0
"""Simulated time without a window [s]."""
VIDEO_FPS, GIF_FPS = 50.0, 16.7
"""Pictures per second [1/s]."""
MAX_PLOTTED = 30.0
"""Time at the start that is plotted [s]."""


def make_play_parser() -> Parser:
    """Build the parser of this script."""
    parser = make_parser(
        "Show an agent on nominal physics; any randomisation can be switched on again by --env.", agent=True
    )
    add = parser.add_argument
    add("--video", type=cli.path, metavar="FILE", help="record an mp4 (default without a window: video.mp4 in --out)")
    add(
        "--gif",
        type=cli.path,
        metavar="FILE",
        help="record a small GIF instead: forward, sideways, a turn, a push, back",
    )
    add("--fps", type=float, help=f"pictures per second (default: {VIDEO_FPS:g}, of a GIF {GIF_FPS:g})")
    add("--duration", type=float, metavar="S", help=f"simulated seconds (default: {DURATION:g}; in a window: endless)")
    add("--log", type=cli.path, metavar="FILE", help="log the robot as CSV, in the columns of a real robot's log")
    add("--out", type=cli.path, metavar="DIR", help="where plots, video and export go (default: in the run's folder)")
    parser.set_defaults(num_envs=1)
    return parser


@dataclass(frozen=True)
class Show:
    """What is made of the playing."""

    video: Path | None = None
    """An mp4."""
    gif: Path | None = None
    """A GIF, of a tour."""
    fps: float | None = None
    """Pictures per second [1/s]; None for the film's own."""
    duration: float | None = None
    """Simulated time [s]; None for the film's own, or without end in a window."""
    out: Path | None = None
    """Folder of plots, video and export; None for the run's."""
    log: Path | None = None
    """A CSV of the robot."""

    def check(self) -> None:
        """Refuse what cannot be done, before anything takes time.

        Raises:
            UserError: A value is not usable.
        """
        for name in ("fps", "duration"):
            value = getattr(self, name)
            if value is not None and not (math.isfinite(value) and value > 0.0):
                raise UserError(f"--{name}: got {value}, expected a number > 0")
        for name, suffix in (("video", ".mp4"), ("gif", ".gif")):
            path = getattr(self, name)
            if path is not None:
                if path.suffix != suffix:
                    raise UserError(f"--{name}: got '{path}', expected a file name that ends with {suffix}")
                check_writable(path)
        if self.log is not None:
            check_writable(self.log)
        if self.video is not None and self.gif is not None:
            raise UserError("--video and --gif: give one of them, a GIF shows commands of its own")


def choose_window(headless: bool) -> bool:
    """Decide between window and video, and how MuJoCo draws the video; returns whether there is no window."""
    if not headless:
        try:
            require_display()
        except UserError:
            headless = True
    prefer_egl()  # which does not get into the way of a window
    return headless


def played_cfg(cfg: Any) -> Any:
    """Return the config of an environment that is to be looked at."""
    return nominal_cfg(cfg, "deployed")


def touring_cfg(cfg: Any) -> Any:
    """Return the same for a tour."""
    return tour_cfg(played_cfg(cfg))


def output_dir(out: Path | None, spec: RunSpec) -> Path:
    """Return the folder for what this script writes, which need not be there."""
    if out is not None:
        return out
    kind = "" if spec.agent is None else spec.agent.kind
    if kind == "checkpoint" and spec.run is not None:
        return spec.run / "play"
    return runs.logs_root() / "play" / kind


@torch.inference_mode()
def play(
    env: Any,
    agent: Agent,
    duration: float,
    states: StateRecorder,
    film: FilmRecorder | None,
    tour: Tour | None = None,
    log: LogRecorder | None = None,
) -> None:
    """Run an agent for `duration` [s], or until the user closes the window or presses Ctrl-C."""
    agent.reset(env.cfg.seed)
    obs = env.reset()
    plotted = round(MAX_PLOTTED / env.dt)
    steps = 0
    try:
        while steps * env.dt < duration - 1e-9:
            if tour is not None:
                tour.before(steps)
            obs, *_ = env.step(agent.act(obs))
            steps += 1
            if steps <= plotted:
                states.add()
            if log is not None:
                log.add()
            if film is not None:
                film.add(tour.caption if tour is not None else "")
    except KeyboardInterrupt:  # also the viewer's, once it is closed
        pass


def open_film(show: Show, env: Any, folder: Path) -> FilmRecorder | None:
    """Begin the film that is asked for, or without a window one in any case."""
    if show.gif is not None:
        return GifRecorder(env, show.gif, show.fps or GIF_FPS)
    path = show.video or (folder / "video.mp4" if env.viewer is None else None)
    return None if path is None else VideoRecorder(env, path, show.fps or VIDEO_FPS)


def run(spec: RunSpec, show: Show) -> None:
    """Play what the command line asks for."""
    env = make_env(spec)
    agent = make_agent(spec, env)
    folder = runs.make_folder(output_dir(show.out, spec))  # once nothing can be missing any more
    print(f"{spec.title} on {env.sim.robot.name}")
    if spec.agent is not None and spec.agent.kind == "checkpoint" and isinstance(agent, PolicyAgent):
        target = folder / "exported" if show.out else folder.parent / "exported"
        print("\n".join(export_agent(agent, env, target)))
    film, states = open_film(show, env, folder), StateRecorder(env)
    tour = None if show.gif is None else Tour(env)
    duration = show.duration or (math.inf if not spec.headless else DURATION if tour is None else TOUR_DURATION)
    if env.viewer is not None:
        env.viewer.realtime = True
        print("window: v switches drawing off and on, Esc quits")
    log = None if show.log is None else LogRecorder(env)
    play(env, agent, duration, states, film, tour, log)
    if log is not None and show.log is not None:
        write_log(show.log, log.log())
        print(f"log: {show.log}")
    if film is not None:
        film.close()
        print(f"video: {film.path} ({film.path.stat().st_size / 1e6:.1f} MB)")
    plot_states(states.arrays(), env.sim.robot.joint_names, folder / "states.png", spec.title)
    print(f"plots: {folder / 'states.png'}")
    if env.viewer is not None:
        env.viewer.close()
    env.sim.close()


def main() -> None:
    """Play from the command line."""
    args = parse_args(make_play_parser())
    show = Show(args.video, args.gif, args.fps, args.duration, args.out, args.log)
    show.check()
    spec = resolve(args.request, played_cfg if show.gif is None else touring_cfg)
    run(replace(spec, headless=choose_window(spec.headless)), show)


if __name__ == "__main__":
    run_main(main)
