"""Shows an agent: `python legged_gym/scripts/play.py --task=pointfoot_flat`, in a window or, without one, as a video.

Also writes state plots and, for a checkpoint, exports the policy.
"""

import argparse
import math
from pathlib import Path
from typing import Any

import torch

import legged_gym.envs  # noqa: F401  registers the tasks
from legged_gym.evaluation.agents import Agent, PolicyAgent
from legged_gym.evaluation.loading import Session, make_agent, make_agent_parser, open_session
from legged_gym.evaluation.plots import plot_states
from legged_gym.evaluation.recording import FilmRecorder, GifRecorder, StateRecorder, VideoRecorder
from legged_gym.evaluation.report import check_writable
from legged_gym.evaluation.shipping import export_agent
from legged_gym.evaluation.suites import nominal_cfg
from legged_gym.evaluation.tour import TOUR_DURATION, Tour, tour_cfg
from legged_gym.utils import runs
from legged_gym.utils.cli import Parser, parse_args, run_main
from legged_gym.utils.errors import UserError
from legged_gym.utils.machine import prefer_egl, require_display
from legged_gym.utils.task_registry import task_registry

DURATION = 10.0
"""Simulated time without a window [s]."""
VIDEO_FPS, GIF_FPS = 50.0, 16.7
"""Pictures per second [1/s]."""
MAX_PLOTTED = 30.0
"""Time at the start that is plotted [s]."""


def make_play_parser() -> Parser:
    """Build the parser of this script."""
    parser = make_agent_parser("Show an agent on nominal physics; any randomisation can be switched on again by --env.")
    add = parser.add_argument
    add("--video", type=Path, metavar="FILE", help="record an mp4 (default without a window: video.mp4 in --out)")
    add("--gif", type=Path, metavar="FILE", help="record a small GIF instead: forward, sideways, a turn, a push, back")
    add("--fps", type=float, help=f"pictures per second (default: {VIDEO_FPS:g}, of a GIF {GIF_FPS:g})")
    add("--duration", type=float, metavar="S", help=f"simulated seconds (default: {DURATION:g}; in a window: endless)")
    add("--out", type=Path, metavar="DIR", help="where plots, video and export go (default: in the run's folder)")
    parser.set_defaults(num_envs=1)
    return parser


def check_args(args: argparse.Namespace) -> None:
    """Check this script's own options.

    Raises:
        UserError: A value is not usable.
    """
    for name in ("fps", "duration"):
        value = getattr(args, name)
        if value is not None and not (math.isfinite(value) and value > 0.0):
            raise UserError(f"--{name}: got {value}, expected a number > 0")
    for name, suffix in (("video", ".mp4"), ("gif", ".gif")):
        path = getattr(args, name)
        if path is not None:
            if path.suffix != suffix:
                raise UserError(f"--{name}: got '{path}', expected a file name that ends with {suffix}")
            check_writable(path)
    if args.video is not None and args.gif is not None:
        raise UserError("--video and --gif: give one of them, a GIF shows commands of its own")


def choose_window(args: argparse.Namespace) -> None:
    """Decide between window and video: sets `args.headless`, and how MuJoCo draws the video."""
    if not args.headless:
        try:
            require_display()
        except UserError:
            args.headless = True
    prefer_egl()  # which does not get into the way of a window


def output_dir(args: argparse.Namespace, session: Session) -> Path:
    """Return the folder for what this script writes, which need not be there."""
    if args.out is not None:
        return args.out
    if session.agent == "checkpoint" and session.checkpoint is not None:
        return session.checkpoint.parent / "play"
    return runs.logs_root() / "play" / session.agent


@torch.inference_mode()
def play(
    env: Any, agent: Agent, duration: float, states: StateRecorder, film: FilmRecorder | None, tour: Tour | None = None
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
            if film is not None:
                film.add(tour.caption if tour is not None else "")
    except KeyboardInterrupt:  # also the viewer's, once it is closed
        pass


def open_film(args: argparse.Namespace, env: Any, folder: Path) -> FilmRecorder | None:
    """Begin the film that is asked for, or without a window one in any case."""
    if args.gif is not None:
        return GifRecorder(env, args.gif, args.fps or GIF_FPS)
    path = args.video or (folder / "video.mp4" if args.headless else None)
    return None if path is None else VideoRecorder(env, path, args.fps or VIDEO_FPS)


def run(args: argparse.Namespace) -> None:
    """Play what the command line asks for."""
    check_args(args)
    session = open_session(args)
    choose_window(args)
    cfg = nominal_cfg(session.env_cfg, "deployed")
    env, _ = task_registry.make_env(args.task, args, cfg if args.gif is None else tour_cfg(cfg))
    agent = make_agent(session, args, env)
    folder = runs.make_folder(output_dir(args, session))  # once nothing can be missing any more
    print(f"{session.title} on {env.sim.robot.name}")
    if session.agent == "checkpoint" and isinstance(agent, PolicyAgent):
        target = folder / "exported" if args.out else folder.parent / "exported"
        print("\n".join(export_agent(agent, env, target)))
    film, states = open_film(args, env, folder), StateRecorder(env)
    tour = None if args.gif is None else Tour(env)
    duration = args.duration or (math.inf if not args.headless else DURATION if tour is None else TOUR_DURATION)
    if env.viewer is not None:
        env.viewer.realtime = True
        print("window: v switches drawing off and on, Esc quits")
    play(env, agent, duration, states, film, tour)
    if film is not None:
        film.close()
        print(f"video: {film.path} ({film.path.stat().st_size / 1e6:.1f} MB)")
    plot_states(states.arrays(), env.sim.robot.joint_names, folder / "states.png", session.title)
    print(f"plots: {folder / 'states.png'}")
    if env.viewer is not None:
        env.viewer.close()
    env.sim.close()


def main() -> None:
    """Play from the command line."""
    run(parse_args(make_play_parser()))


if __name__ == "__main__":
    run_main(main)
