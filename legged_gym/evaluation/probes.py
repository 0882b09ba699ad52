"""Maps of an agent's abilities for the report: pushes by direction and strength, commands, clock and friction."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch

from legged_gym.evaluation.agents import Agent
from legged_gym.evaluation.metrics import Result
from legged_gym.evaluation.rows import DIRECTIONS, FORWARD, FULL_BOX, Row
from legged_gym.evaluation.suites import batch_tick, evaluation_cfg, walk_rows, warn_of_overflows
from legged_gym.utils.progress import Bar, progress_bar

PUSHES: dict[str, tuple[str, tuple[float, ...]]] = {
    "kick": ("m/s", (0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0)),
    "shove": ("N s", (9.0, 18.0, 27.0, 36.0, 45.0, 54.0, 63.0, 72.0)),
    "shove on the lid": ("N s", (5.0, 10.0, 15.0, 20.0, 25.0, 30.0, 35.0, 40.0)),
}
"""Kind of push -> unit and strengths. A kick changes the velocity of the whole robot at once, a shove lasts 0.1 s."""
SPEEDS = (-0.75, -0.5, -0.25, 0.0, 0.25, 0.5, 0.75, 1.0)
"""Commanded v_x of the tracking map [m/s]."""
TURNS = (-0.9, -0.6, -0.3, 0.0, 0.3, 0.6, 0.9)
"""Commanded w_z of the tracking map [rad/s]."""
FREQUENCIES = (1.2, 1.5, 1.8, 2.0, 2.2, 2.5, 2.8, 3.2)
"""Frequencies of the gait clock [Hz]."""
FRICTIONS = (0.1, 0.15, 0.2, 0.3, 0.4, 0.6, 0.8, 1.0)
"""Frictions of the ground under both feet."""
BATCH = 8
"""Rows side by side."""
MOST_ROBOTS = {"cpu": 64, "cuda": 256}
"""Most robots of a row, by kind of device."""
TIMELINE = (2.0, 5.0)
"""Start and end of the shown gait [s]."""


@dataclass
class Probes:
    """The measured maps, as lists for JSON."""

    pushes: dict[str, list[list[float]]]
    """Kind of push -> survival, strength by strength; `DIRECTIONS` of them, counterclockwise from a push forward."""
    tracking: dict[str, list[list[float | None]]]
    """`rmse_vx`, `rmse_wz` and `survival`, by `TURNS`, then by `SPEEDS`."""
    frequency: list[Result]
    """Result at each of `FREQUENCIES`."""
    friction: list[Result]
    """Result at each of `FRICTIONS`."""
    timeline: dict[str, list[Any]]
    """Step by step: `time` [s], `contact` and `asked` of left and right foot, `velocity` and `command`."""

    def as_json(self) -> dict[str, Any]:
        """Return the maps with the values they were measured at."""
        axes = {"speeds": SPEEDS, "turns": TURNS, "frequencies": FREQUENCIES, "frictions": FRICTIONS}
        return asdict(self) | {"strengths": {kind: sizes for kind, (_, sizes) in PUSHES.items()}, **axes}


def robots_of(num_envs: int, device: str) -> int:
    """Return how many robots a row of the maps has: a multiple of the directions they are pushed in."""
    most = min(num_envs, MOST_ROBOTS[torch.device(device).type])
    return DIRECTIONS * max(1, most // DIRECTIONS)


def push_rows(kind: str) -> list[Row]:
    """Return a row for each strength of a kind of push."""
    rows = []
    for size in PUSHES[kind][1]:
        row = Row(f"map_{kind}_{size:g}".replace(" ", "_"), 4.0, FORWARD)
        if kind == "kick":
            rows.append(replace(row, push=size))
        else:
            rows.append(replace(row, shove=size, at_lid=kind.endswith("lid")))
    return rows


def tracking_rows() -> list[Row]:
    """Return a row for each command of the tracking map, turn by turn."""
    return [
        Row(f"map_{speed:g}_{turn:g}", 6.0, ((speed, speed), (0.0, 0.0), (turn, turn)))
        for turn in TURNS
        for speed in SPEEDS
    ]


def frequency_rows() -> list[Row]:
    """Return a row for each frequency of the clock; all ask for the same velocities."""
    return [Row(f"map_gait_{f:g}", 10.0, FULL_BOX, "", 5.0, frequency=f, draws="gait") for f in FREQUENCIES]


def friction_rows() -> list[Row]:
    """Return a row for each friction; all ask for the same velocities."""
    return [
        Row(f"map_mu_{mu:g}", 10.0, FULL_BOX, "", 5.0, parameters=(("friction", (mu,)),), draws="gait")
        for mu in FRICTIONS
    ]


def padded(rows: Sequence[Row]) -> list[Row]:
    """Repeat the first rows until there are a multiple of `BATCH` squared, which the environment's robots are."""
    missing = -len(rows) % BATCH**2
    return [*rows, *rows[:missing]]


def scaled(rows: Sequence[Row], factor: float) -> list[Row]:
    """Return rows with all times multiplied by a factor, for a quick look."""
    times = ("duration", "resampling_time", "push_time", "warm_up")
    return [replace(row, **{name: getattr(row, name) * factor for name in times}) for row in rows]


def by_direction(survived: torch.Tensor) -> list[list[float]]:
    """Turn survivors (R, n), robot i pushed in direction i mod `DIRECTIONS`, into shares (R, DIRECTIONS)."""
    return survived.float().view(len(survived), -1, DIRECTIONS).mean(1).tolist()


class _Prober:
    """An environment for all maps, and the bar that shows progress."""

    def __init__(self, env: Any, agent: Agent, seed: int, time_scale: float, bar: Bar) -> None:
        self.env, self.agent, self.seed, self.time_scale, self.bar = env, agent, seed, time_scale, bar

    def walk(self, rows: list[Row]) -> tuple[list[Result], torch.Tensor]:
        """Walk rows side by side; returns their results, and the survivors. Shape (R, n)."""
        rows = scaled(rows, self.time_scale)
        walked = walk_rows(self.env, self.agent, rows, self.seed, tick=batch_tick(self.bar, 1))
        return walked.results, walked.survived

    @torch.inference_mode()
    def timeline(self) -> dict[str, list[Any]]:
        """Let the robots walk straight ahead, and record the steps of the first one, until it falls."""
        env, agent = self.env, self.agent
        torch.manual_seed(self.seed)
        agent.reset(self.seed)
        obs = env.reset()
        command = torch.tensor([low for low, _ in FORWARD], device=env.device).expand(env.num_envs, 3)
        env.commands.set(command, torch.ones_like(env.episodes.fell))
        steps: dict[str, list[Any]] = {name: [] for name in ("time", "contact", "asked", "velocity", "command")}
        start, stop = (round(time * self.time_scale / env.dt) for time in TIMELINE)
        for step in range(stop):
            obs, *_ = env.step(agent.act(obs))
            if bool(env.episodes.fell[0]):
                break
            if step >= start:
                state = env.state
                steps["time"].append((step + 1) * env.dt)
                steps["contact"].append(state.feet_contact[0].tolist())
                steps["asked"].append((env.gait.desired_contact(1e-6)[0] > 0.5).tolist())
                steps["velocity"].append(state.velocity_y[0].tolist())
                steps["command"].append(env.commands.command[0].tolist())
        return steps


def probe(
    build: Callable[[Any], tuple[Any, Agent]],
    cfg: Any,
    num_envs: int,
    seed: int,
    device: str,
    physics: str = "deployed",
    time_scale: float = 1.0,
) -> Probes:
    """Measure all maps of an agent.

    Args:
        build: Makes environment and agent from a config.
        cfg: The environment's config, before `evaluation_cfg`.
        num_envs: Most robots of each row.
        seed: The same seed gives the same result.
        device: Where physics runs.
        physics: One of `suites.PHYSICS`.
        time_scale: Factor on all times, for a quick look.
    """
    env, agent = build(evaluation_cfg(cfg, BATCH * robots_of(num_envs, device), seed, physics))
    with progress_bar("maps", len(PUSHES) + 3) as bar:
        prober = _Prober(env, agent, seed, time_scale, bar)
        pushes = {}
        for kind in PUSHES:
            bar.set(bar.done, f"map: {kind}")
            pushes[kind] = by_direction(prober.walk(push_rows(kind))[1])
        bar.set(bar.done, "map: tracking")
        cells = prober.walk(padded(tracking_rows()))[0][: len(TURNS) * len(SPEEDS)]
        bar.set(bar.done, "map: gait and friction")
        frequency, friction = (prober.walk(rows)[0] for rows in (frequency_rows(), friction_rows()))
        timeline = prober.timeline()
    warn_of_overflows(env)
    env.sim.close()
    width = len(SPEEDS)
    tracking = {
        name: [[cell[name] for cell in cells[i : i + width]] for i in range(0, len(cells), width)]
        for name in ("rmse_vx", "rmse_wz", "survival")
    }
    return Probes(pushes, tracking, frequency, friction, timeline)
