"""Shows an agent, and lets the user drive it: `python legged_gym/scripts/play.py --task=pointfoot_flat`.

It opens a web page or a window, or writes a video without either. It also writes state plots and, for a checkpoint,
exports the policy.
"""

import argparse
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from legged_gym.deployment.robot_log import collect, write_log
from legged_gym.evaluation.agents import Agent, PolicyAgent
from legged_gym.evaluation.driving import drivable_cfg
from legged_gym.evaluation.loading import make_agent
from legged_gym.evaluation.plots import plot_states
from legged_gym.evaluation.policies import Policies
from legged_gym.evaluation.recording import (
    VIDEO_SIZE,
    FilmRecorder,
    GifRecorder,
    LogRecorder,
    StateRecorder,
    VideoRecorder,
    filming,
)
from legged_gym.evaluation.report import check_writable
from legged_gym.evaluation.shipping import export_agent
from legged_gym.evaluation.showing import make_planner, open_playing
from legged_gym.evaluation.spectator import Spectator
from legged_gym.evaluation.suites import nominal_cfg
from legged_gym.evaluation.tour import TOUR_DURATION, Tour, tour_cfg
from legged_gym.options import cli, runs
from legged_gym.options.cli import Parser, run_main
from legged_gym.options.request import make_parser, parse_args
from legged_gym.options.resolve import resolve
from legged_gym.options.setup import make_env
from legged_gym.options.spec import RunSpec
from legged_gym.options.viewing import Viewing, add_viewer_options, choose_viewer, read_viewing
from legged_gym.utils.errors import UserError
from legged_gym.utils.machine import detect, prefer_egl
from legged_gym.viewer.viewer import Viewer

DURATION = 10.0
"""Simulated time without a viewer [s]."""
VIDEO_FPS, SOFTWARE_FPS, GIF_FPS = 50.0, 25.0, 16.7
"""Pictures per second [1/s]: of an mp4, of an mp4 that is drawn without a GPU, of a GIF."""
MAX_PLOTTED = 30.0
"""Length of the plots, from the start [s]."""


def make_play_parser() -> Parser:
    """Build the parser of this script."""
    parser = make_parser(
        "Show an agent on nominal physics, and drive it; any randomisation can be switched on again by --env.",
        agent=True,
    )
    add_viewer_options(parser, "a window; without a display, a page from a terminal, else a video")
    add = parser.add_argument
    add("--video", type=cli.path, metavar="FILE", help="record an mp4 (default without a viewer: video.mp4 in --out)")
    add(
        "--gif",
        type=cli.path,
        metavar="FILE",
        help="record a small GIF instead: forward, sideways, a turn, a push, back",
    )
    fps = f"{VIDEO_FPS:g}, without a GPU {SOFTWARE_FPS:g}, of a GIF {GIF_FPS:g}"
    add("--fps", type=float, help=f"pictures per second (default: {fps})")
    add("--size", metavar="WxH", help="size of an mp4 [pixels] (default: {}x{})".format(*VIDEO_SIZE))
    add("--overlays", action=argparse.BooleanOptionalAction, help="draw velocities, capture point, footholds, forces")
    add("--duration", type=float, metavar="S", help=f"simulated seconds (default: {DURATION:g}; in a viewer: endless)")
    add("--log", type=cli.path, metavar="FILE", help="log the robot as CSV, in the columns of a real robot's log")
    add("--out", type=cli.path, metavar="DIR", help="where plots, video and export go (default: in the run's folder)")
    parser.set_defaults(num_envs=1)
    return parser


@dataclass(frozen=True)
class Show:
    """Output of playing: video, plots and log."""

    video: Path | None = None
    """File of an mp4."""
    gif: Path | None = None
    """File of a GIF, which shows a tour."""
    fps: float | None = None
    """Pictures per second [1/s]; None for the film's own."""
    size: tuple[int, int] = VIDEO_SIZE
    """Width and height of an mp4 [pixels]."""
    overlays: bool = True
    """Whether the film shows the robot's commands and plans."""
    duration: float | None = None
    """Simulated time [s]; None for the film's own, or for no end in a viewer."""
    out: Path | None = None
    """Folder of plots, video and export; None for the run's."""
    log: Path | None = None
    """CSV file for a log of the robot."""

    def check(self) -> None:
        """Refuse impossible options before anything takes time.

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


def parse_size(text: str | None) -> tuple[int, int]:
    """Read `--size`.

    Raises:
        UserError: It is not two even numbers, which the video's codec needs.
    """
    if text is None:
        return VIDEO_SIZE
    width, _, height = text.partition("x")
    if not (width.isdecimal() and height.isdecimal()) or not all(
        16 <= int(side) <= most and int(side) % 2 == 0 for side, most in ((width, 3840), (height, 2160))
    ):
        raise UserError(f"--size: got '{text}', expected two even numbers up to 3840x2160, as in --size=640x360")
    return int(width), int(height)


def played_cfg(cfg: Any) -> Any:
    """Return an environment's config for watching."""
    return nominal_cfg(cfg, "deployed")


def driven_cfg(cfg: Any) -> Any:
    """Return an environment's config for driving."""
    return drivable_cfg(played_cfg(cfg))


def touring_cfg(cfg: Any) -> Any:
    """Return an environment's config for a tour."""
    return tour_cfg(played_cfg(cfg))


def output_dir(out: Path | None, spec: RunSpec) -> Path:
    """Return the folder for this script's files, which need not exist."""
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
    spectator: Spectator,
    tour: Tour | None = None,
    policies: Policies | None = None,
    log: LogRecorder | None = None,
) -> None:
    """Run an agent for `duration` [s], or until the user closes the viewer or presses Ctrl-C."""
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
                if env.viewer is None:  # else the viewer has taken care of it
                    spectator.after_step()
                film.add(tour.caption if tour is not None else "")
            if env.viewer is not None:
                obs = obey(env.viewer, env, agent, policies, obs)
    except KeyboardInterrupt:  # also the viewer's, once it is closed
        pass


def obey(viewer: Viewer, env: Any, agent: Agent, policies: Policies | None, obs: Any) -> Any:
    """Fulfil the user's wishes between two steps; return the observations."""
    controls = viewer.controls
    if controls is None:
        return obs
    if policies is not None:
        chosen = controls.pop_wish("checkpoint")
        if chosen is not None:
            policies.switch(chosen)
        panel = getattr(viewer.screen, "panel", None)
        if panel is not None and policies.due() and policies.names:
            panel.offer(policies.names)
    if controls.pop_wish("reset") is not None:
        agent.reset(env.cfg.seed)
        obs = env.reset()
    return obs


def open_film(show: Show, env: Any, spectator: Spectator, folder: Path) -> FilmRecorder | None:
    """Begin the film that the user asked for; without a viewer, begin one in any case."""
    look = spectator.layers if show.overlays else dict
    if show.gif is not None:
        return GifRecorder(env, show.gif, show.fps or GIF_FPS, look)
    path = show.video or (folder / "video.mp4" if env.viewer is None else None)
    fps = show.fps or (VIDEO_FPS if detect().cuda_devices else SOFTWARE_FPS)
    return None if path is None else VideoRecorder(env, path, fps, look, show.size)


def run(spec: RunSpec, show: Show, viewer: str, viewing: Viewing) -> None:
    """Play as the command line asks."""
    env = make_env(spec, headless=True)
    agent = make_agent(spec, env)
    folder = runs.make_folder(output_dir(show.out, spec))  # not before: errors above leave no folder
    print(f"{spec.title} on {env.sim.robot.name}")
    if spec.agent is not None and spec.agent.kind == "checkpoint" and isinstance(agent, PolicyAgent):
        target = folder / "exported" if show.out else folder.parent / "exported"
        print("\n".join(export_agent(agent, env, target)))
    spectator, policies = Spectator(env, make_planner(spec, env, agent)), Policies(spec, env, agent)
    if viewer != "none":
        title = f"{spec.title} on {env.sim.robot.name}"
        open_playing(viewer, viewing, env, spectator, title, policies.names, policies.present)
    film, states = open_film(show, env, spectator, folder), StateRecorder(env)
    tour = None if show.gif is None else Tour(env)
    film_duration = DURATION if tour is None else TOUR_DURATION
    duration = show.duration or (film_duration if env.viewer is None else math.inf)
    log = None if show.log is None else LogRecorder(env)
    with filming(film, duration):
        play(env, agent, duration, states, film, spectator, tour, policies, log)
    if log is not None and show.log is not None:
        write_log(show.log, collect(log.rows))
        print(f"log: {show.log}")
    if film is not None:
        film.close()
        print(f"video: {film.path} ({film.path.stat().st_size / 1e6:.1f} MB)")
    if states.steps:
        plot_states(states.arrays(), env.sim.robot.joint_names, folder / "states.png", spec.title)
        print(f"plots: {folder / 'states.png'}")
    if env.viewer is not None:
        env.viewer.close()
    env.sim.close()


def main() -> None:
    """Play from the command line."""
    args = parse_args(make_play_parser())
    overlays = args.gif is None if args.overlays is None else args.overlays
    show = Show(args.video, args.gif, args.fps, parse_size(args.size), overlays, args.duration, args.out, args.log)
    show.check()
    # Several threads would only wait for each other on such small networks, and slow down film and browser.
    torch.set_num_threads(1)
    viewing, films = read_viewing(args), show.video is not None or show.gif is not None
    viewer = choose_viewer(viewing, args.request.headless, required=False, films=films)
    prefer_egl()  # for the video; windows still work
    preset = touring_cfg if show.gif is not None else driven_cfg if viewer != "none" else played_cfg
    run(resolve(args.request, preset), show, viewer, viewing)


if __name__ == "__main__":
    run_main(main)
