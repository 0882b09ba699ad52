"""From where a kick throws an agent: survival of one row by the direction of the kick.

Directions are seen from the robot as it is kicked, mirrored so that the left foot stands: to the left is then away from
the swinging leg, which has to cross over; to the right is where it can step.

    python benchmarks/push_directions.py --row=push_1.0 --agent=teacher [--result FILE] [OPTIONS OF evaluate.py]
"""

import math
from typing import Any

import torch
from torch import Tensor

from legged_gym.evaluation import results
from legged_gym.evaluation.loading import make_agent
from legged_gym.evaluation.rows import DIRECTIONS, Script, select_rows
from legged_gym.evaluation.suites import PHYSICS, evaluation_cfg, varied_cfg, walk_rows
from legged_gym.options.cli import run_main
from legged_gym.options.request import make_parser, parse_args
from legged_gym.options.resolve import resolve
from legged_gym.options.setup import make_env
from legged_gym.utils.errors import UserError

SECTORS = (
    *("forward", "forward_and_across", "across", "backward_and_across"),
    *("backward", "backward_and_open", "open", "forward_and_open"),
)
"""Directions of the kick, 45 degrees each, anticlockwise from straight ahead: across the standing foot, or to the open
side."""


class Watched:
    """An agent, with heading [rad], standing foot and falls so far of each robot before each policy step."""

    def __init__(self, agent: Any, env: Any) -> None:
        self.agent, self.env = agent, env
        self.yaw: list[Tensor] = []
        self.left_stands: list[Tensor] = []
        self.fallen: list[Tensor] = []

    def reset(self, seed: int) -> None:
        """See `Agent.reset`."""
        self.agent.reset(seed)

    def act(self, obs: Any) -> Tensor:
        """See `Agent.act`."""
        fell = self.env.episodes.fell.cpu()
        self.fallen.append(fell | self.fallen[-1] if self.fallen else torch.zeros_like(fell))
        self.yaw.append(self.env.state.yaw.cpu())
        self.left_stands.append(self.env.gait.clock.cpu() < 0.5)
        return self.agent.act(obs)

    def kicked(self, script: Script) -> tuple[Tensor, Tensor]:
        """Return into which of `SECTORS` each robot was kicked, and whether it stood until then. Shape (N,) each."""
        robots, start = torch.arange(len(script.start)), script.start.clamp(max=len(self.yaw) - 1)
        yaw, left, fallen = (torch.stack(seen)[start, robots] for seen in (self.yaw, self.left_stands, self.fallen))
        return sector(script.direction, yaw, left), ~fallen


def sector(direction: Tensor, yaw: Tensor, left_stands: Tensor) -> Tensor:
    """Number the directions by `SECTORS`.

    Args:
        direction: Unit vectors of the kicks, world frame. Shape (N, 3).
        yaw: Headings [rad]. Shape (N,).
        left_stands: Whether the left foot stands, bool. Shape (N,).

    Returns:
        Integers, 0 to 7. Shape (N,).
    """
    angle = torch.atan2(direction[:, 1], direction[:, 0]) - yaw
    angle = torch.where(left_stands, angle, -angle)
    return (angle * len(SECTORS) / (2.0 * math.pi)).round().long() % len(SECTORS)


def by_sector(survived: Tensor, where: Tensor, stood: Tensor) -> dict[str, dict[str, results.Figure]]:
    """Return the survival of the robots that stood, all of them and by `SECTORS`; sectors without any are absent."""
    groups = {"all": stood} | {name: stood & (where == number) for number, name in enumerate(SECTORS)}
    return {
        name: {"survival": results.survival(float(survived[group].float().mean()), int(group.sum()))}
        for name, group in groups.items()
        if bool(group.any())
    }


def main() -> None:
    """Measure from the command line."""
    parser = make_parser("Survival of a row by the direction of the kick.", agent=True)
    parser.add_argument("--row", default="push_1.0", help="a row with kicks or shoves (default: %(default)s)")
    parser.add_argument("--physics", default=PHYSICS[0], choices=PHYSICS, help="see evaluate.py")
    results.add_option(parser)
    parser.set_defaults(headless=True, num_envs=512, seed=0)
    args = parse_args(parser)
    rows = select_rows([args.row])
    if len(rows) != 1 or not (rows[0].push or rows[0].shove):
        raise UserError(f"--row={args.row}: is no row with kicks or shoves, such as push_1.0 or shove_18")
    spec = resolve(args.request)
    robots, seed = spec.env_cfg.env.num_envs, spec.env_cfg.seed
    if robots < DIRECTIONS:
        raise UserError(f"--num_envs={robots}: expected {DIRECTIONS} or more, one for each direction")
    env = make_env(spec, varied_cfg(evaluation_cfg(spec.env_cfg, robots, seed, args.physics), rows[0].cfg))
    watched = Watched(make_agent(spec, env), env)
    survived = walk_rows(env, watched, rows, seed).survived.flatten().cpu()
    where, stood = watched.kicked(Script(rows[0], robots, env.dt, float(env.gait.params[:, 0].min()), seed))
    figures = by_sector(survived, where, stood)
    print(f"{spec.title}, {args.row}, {args.physics}: {int(stood.sum())} of {robots} robots stood until the kick")
    for name, cells in figures.items():
        print(f"{name:20s} {cells['survival']['value']:.2f} ± {cells['survival']['spread']:.2f}")
    if args.result is not None:
        title = f"{spec.title}: {args.row} by direction, {args.physics}"
        spread = "standard error of the robots kicked so"
        columns = {"survival": results.ROW_COLUMNS["survival"]}
        results.save(args.result, title, "Teacher", columns, figures, spread, [seed])


if __name__ == "__main__":
    run_main(main)
