"""Draws the terrain of a task: `python legged_gym/scripts/show_terrain.py --out=terrain --env.terrain.profile=mixed`.

Writes `map.png`, the map from above with its levels and types, and `robots.png`, a part of it with a few robots on
each tile.
"""

import copy
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.colors import LightSource
from PIL import Image

from legged_gym.evaluation.agents import TeacherAgent
from legged_gym.evaluation.suites import nominal_cfg
from legged_gym.options import cli, runs
from legged_gym.options.cli import Parser, run_main
from legged_gym.options.request import make_parser, parse_args
from legged_gym.options.resolve import resolve
from legged_gym.options.setup import make_env
from legged_gym.options.spec import RunSpec
from legged_gym.terrain.terrain import Terrain
from legged_gym.utils import machine
from legged_gym.utils.errors import UserError

VIEW = 24.0
"""Side of the part of the map that `robots.png` shows [m]."""
SIZE = (1280, 720)
"""Width and height of `robots.png` [pixels]."""
ROBOTS_PER_TILE = 3
MAX_SHADED = 1600
"""Largest number of samples along an axis in the picture of the map."""


def make_show_parser() -> Parser:
    """Build the parser of this script."""
    parser = make_parser("Draw the terrain of a task, and robots on it.")
    parser.add_argument(
        "--out", type=cli.path, default=Path("terrain"), metavar="DIR", help="folder (default: %(default)s)"
    )
    parser.add_argument("--at", default="0.75,0.6", metavar="X,Y", help="centre of robots.png, as fractions of the map")
    parser.set_defaults(headless=True, task="pointfoot_rough")
    return parser


def parse_at(text: str) -> tuple[float, float]:
    """Read `--at`.

    Raises:
        UserError: It is not two numbers from 0 to 1.
    """
    try:
        x, y = (float(part) for part in text.split(","))
    except ValueError:
        x = y = -1.0
    if not (0.0 <= x <= 1.0 and 0.0 <= y <= 1.0):
        raise UserError(f"--at: got '{text}', expected two numbers from 0 to 1, as in --at=0.5,0.5")
    return x, y


def draw_map(terrain: Terrain, path: Path) -> None:
    """Write the map as seen from above: levels along x, types along y."""
    step = max(1, max(terrain.heights.shape) // MAX_SHADED)
    heights = terrain.heights[::step, ::step].T
    half_x, half_y = terrain.half_size
    rows, cols = terrain.origins.shape[:2]
    figure, axes = plt.subplots(
        figsize=(3.0 + 9.0 * half_x / max(half_x, half_y), 1.5 + 9.0 * half_y / max(half_x, half_y))
    )
    span = max(float(np.abs(heights).max()), 0.05)
    cell = step * terrain.horizontal_scale
    shaded = LightSource(315, 50).shade(
        heights, plt.get_cmap("gist_earth"), vert_exag=2.0, dx=cell, dy=cell, vmin=-span, vmax=span, blend_mode="soft"
    )
    axes.imshow(shaded, origin="lower", extent=(-half_x, half_x, -half_y, half_y), interpolation="nearest")
    axes.set_xticks(terrain.origins[:, 0, 0], [f"{row}\n{level:.2f}" for row, level in enumerate(terrain.levels)])
    axes.set_yticks(terrain.origins[0, :, 1], terrain.types, fontsize=8)
    axes.set_xlabel("level, difficulty")
    axes.plot(terrain.origins[..., 0], terrain.origins[..., 1], "+", color="white", markersize=3, markeredgewidth=0.7)
    axes.set_title(f"{rows} x {cols} tiles, cells of {100 * terrain.horizontal_scale:g} cm; + where robots start")
    scale = plt.cm.ScalarMappable(plt.Normalize(-span, span), "gist_earth")
    figure.colorbar(scale, ax=axes, label="height [m]", fraction=0.03, pad=0.02)
    figure.savefig(path, dpi=110, bbox_inches="tight")
    plt.close(figure)


@torch.inference_mode()
def draw_robots(env: Any, teacher_cfg: Any, at: tuple[float, float], path: Path) -> None:
    """Let all robots step for half a second, driven by the teacher, and write a picture of those around a point.

    Args:
        env: The environment.
        teacher_cfg: The teacher's configuration.
        at: The point, as shares of the map along x and y.
        path: The PNG.

    Raises:
        UserError: Nothing can be drawn here; the text says what to install.
    """
    import mujoco  # not before `prefer_egl`

    from legged_gym.sim.mujoco.scene import Scene

    agent, obs = TeacherAgent(env, teacher_cfg), env.get_observations()
    for _ in range(round(0.5 / env.dt)):
        obs, *_ = env.step(agent.act(obs))
    terrain = env.sim.options.terrain
    middle = torch.tensor([(2.0 * share - 1.0) * half for share, half in zip(at, terrain.half_size, strict=True)])
    distance = (env.state.root_pos_w[:, :2].cpu() - middle).abs().amax(-1)
    robots = [int(i) for i in distance.argsort() if distance[i] < 0.5 * VIEW]
    scene = Scene(env.sim.robot, terrain, extent=VIEW)
    scene.model.light("sun").castshadow[:] = 0  # on ground this wide, shadows turn into stripes
    camera = mujoco.MjvCamera()
    camera.lookat[:] = env.state.root_pos_w[robots[0]].cpu() - torch.tensor([0.0, 0.0, 1.0])
    camera.distance, camera.azimuth, camera.elevation = 0.55 * VIEW, 140.0, -28.0
    try:
        Image.fromarray(scene.image(env.sim.poses(robots), *SIZE, camera)).save(path)
    except RuntimeError as error:  # no off-screen rendering
        raise UserError(str(error)) from None
    finally:
        scene.close()


def shown_cfg(cfg: Any) -> Any:
    """Return an environment's config with ground of all levels and undisturbed robots."""
    cfg = nominal_cfg(cfg)
    cfg.terrain.curriculum = False
    cfg.terrain.spawn_spread = 0.45 * cfg.terrain.platform_size
    return cfg


def env_cfg_of(spec: RunSpec) -> Any:
    """Return the environment's config, with some robots on each tile unless the user sets their number.

    Raises:
        UserError: The ground is a plane, which shows nothing.
    """
    cfg = copy.deepcopy(spec.env_cfg)
    if cfg.terrain.is_plane:
        raise UserError(f"--task={spec.task}: level ground looks the same everywhere; try --env.terrain.profile=mixed")
    if "env.env.num_envs" not in spec.said:
        rows, cols = cfg.terrain.grid
        cfg.env.num_envs = ROBOTS_PER_TILE * rows * cols
    return cfg


def main() -> None:
    """Draw from the command line."""
    args = parse_args(make_show_parser())
    machine.prefer_egl()
    at = parse_at(args.at)
    spec = resolve(args.request, shown_cfg)
    env = make_env(spec, env_cfg_of(spec))
    runs.make_folder(args.out)
    draw_map(env.sim.options.terrain, args.out / "map.png")
    print(f"wrote {args.out / 'map.png'}")
    draw_robots(env, spec.train_cfg.teacher.dcm, at, args.out / "robots.png")
    print(f"wrote {args.out / 'robots.png'}")
    env.sim.close()


if __name__ == "__main__":
    run_main(main)
