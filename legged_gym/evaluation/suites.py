"""Robustness suites: rows of the evaluation, each on nominal physics but for the one thing it varies.

Every row starts at rest, on the nominal gait (the middle of the configured gait ranges), without noise, randomisation
or time-outs. Errors count from 2 s on, in the heading frame, against the command of the instant; a robot that fell
counts no more from there on. A row's commands and kicks depend on the seed and its name, not on the other rows; where
rows are walked side by side, the headings and clocks that its robots start with depend on these, too.
"""

import copy
import functools
import math
import operator
import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from legged_gym.evaluation.agents import Agent, TeacherAgent
from legged_gym.evaluation.lanes import LANE_CFG, LaneRows
from legged_gym.evaluation.metrics import Result, RowMetrics, Sample
from legged_gym.evaluation.touchdowns import TouchdownErrors
from legged_gym.terrain.config import LANES_PROFILE
from legged_gym.terrain.lanes import LANES
from legged_gym.utils.config import check, set_by_path
from legged_gym.utils.errors import UserError, unknown_name

_CHECK_INTERVAL = 50
"""Policy steps between two looks whether to give up."""
GiveUp = Callable[[Result], bool]
Box = tuple[tuple[float, float], tuple[float, float], tuple[float, float]]
FULL_BOX: Box = ((-0.5, 1.0), (-0.3, 0.3), (-0.5, 0.5))
"""v_x, v_y [m/s], w_z [rad/s] of `track`."""
SLOW_BOX: Box = ((-0.5, 0.5), (-0.2, 0.2), (-0.5, 0.5))
"""The same of `track_slow`, payload and friction."""
FORWARD: Box = ((0.4, 0.4), (0.0, 0.0), (0.0, 0.0))
"""The same of the pushes."""
UP_THE_LANE: Box = ((0.5, 0.5), (0.0, 0.0), (0.0, 0.0))
"""The same on terrain, but for the yaw rate, which keeps the robots on their lanes."""


@dataclass(frozen=True)
class Row:
    """One row of the evaluation."""

    name: str
    duration: float
    """How long the robots must last [s]; with a push, counted from the push on."""
    box: Box
    """Ranges of the commands."""
    resampling_time: float = math.inf
    """Time between two commands [s]."""
    push: float = 0.0
    """Velocity kick in a random horizontal direction [m/s]."""
    push_time: float = 3.0
    """Earliest time of the kick [s]; it comes at a random point of the gait cycle that follows."""
    warm_up: float = 2.0
    """Time at the start during which no error counts [s]."""
    parameter: str = ""
    """Physical parameter of the simulator that the row changes, if any."""
    value: float = 0.0
    """Its value."""
    cfg: tuple[tuple[str, str], ...] = ()
    """Fields of the environment's config that the row changes, as (path, text): it needs an environment of its own."""
    lane: str = ""
    """Lane of the terrain that the row walks on, steered straight along it; on a plane if empty."""
    draws: str = ""
    """Rows of one word here draw the same commands and kicks; by default each row draws its own."""


def _physics(name: str, path: str = "", text: str = "", **more: Any) -> Row:
    return Row(name, 10.0, FULL_BOX, 5.0, cfg=((path, text),) if path else (), draws="physics", **more)


SUITES: dict[str, tuple[Row, ...]] = {
    "track": (
        Row("track", 20.0, FULL_BOX, resampling_time=5.0),
        Row("track_slow", 10.0, SLOW_BOX, resampling_time=5.0),
    ),
    "push": tuple(Row(f"push_{speed}", 4.0, FORWARD, push=speed) for speed in (0.5, 1.0, 1.5, 2.0, 2.5)),
    "payload": tuple(
        Row(f"payload_{mass}", 10.0, SLOW_BOX, 5.0, parameter="base_mass_added", value=mass) for mass in (2, 5, 10)
    ),
    "friction": tuple(
        Row(f"friction_{mu}", 10.0, SLOW_BOX, 5.0, parameter="friction", value=mu) for mu in (0.15, 0.25, 0.4, 1.0)
    ),
    "physics": (
        *(_physics(f"step_{ms}ms", "sim.dt", f"{ms / 1000}") for ms in (1, 2)),
        *(_physics(f"kd_{kd}", parameter="kd", value=kd) for kd in (2.5, 3.5)),
        *(_physics(f"armature_{value}", "sim.armature", f"{value}") for value in (0, 0.01)),
        *(_physics(f"damping_{value}", "sim.joint_damping", f"{value}") for value in (0, 0.01)),
    ),
    "terrain": tuple(Row(lane, 10.0, UP_THE_LANE, cfg=LANE_CFG, lane=lane) for lane in LANES),
}
"""Suite -> its rows. Payload and friction rows are walked like `track_slow`, physics rows with the commands of `track`.

Terrain rows are named after their lanes, see `legged_gym.terrain.lanes`, and also say how far robots got in 10 s at
0.5 m/s. A sturdy policy does not care for the physics rows: step of the engine [ms], K_d of the servos [N m s/rad],
rotor inertia [kg m^2] and passive damping [N m s/rad] of the joints. They are given the same commands.
"""
STANDARD_SUITES = ("track", "push", "payload", "friction")
"""What is walked where nothing else is asked for."""

GATE = {"rmse_vx": 0.20, "rmse_vy": 0.20, "rmse_wz": 0.30}
"""Largest errors of the walking gate [m/s, m/s, rad/s]."""
GATE_SURVIVAL = 0.95
HOPELESS = 1.25
"""Multiple of the gate's errors from which on an unfinished row is given up; most come down by less in what is left."""
FIXED_SECTIONS = (
    *("commands", "domain_rand", "noise", "init_state", "env.episode_length_s"),
    *("terrain.mesh_type", "terrain.profile"),
)
"""Parts of the environment's config that the suites decide, not the user."""


def passes_walking_gate(row: Result) -> bool:
    """Tell whether a `track` row is walking: survival >= 0.95 and errors within `GATE`."""
    errors = {name: row[name] for name in GATE}
    within = all(error is not None and error <= GATE[name] for name, error in errors.items())
    return within and (row["survival"] or 0.0) >= GATE_SURVIVAL


def select_rows(suites: Iterable[str], time_scale: float = 1.0) -> list[Row]:
    """Collect the rows of some suites.

    Args:
        suites: Names of `SUITES`, or "all".
        time_scale: Factor on all times of the rows, for tests; below 1 the numbers mean little.

    Raises:
        UserError: A suite is unknown, or the factor is no number > 0.
    """
    if not (math.isfinite(time_scale) and time_scale > 0.0):
        raise UserError(f"--time_scale: got {time_scale}, expected a number > 0")
    rows: list[Row] = []
    for suite in map(str.strip, suites):
        if suite != "all" and suite not in SUITES:
            raise UserError(unknown_name("suite", suite, ["all", *SUITES]))
        wanted = [row for name in SUITES for row in SUITES[name] if suite in ("all", name)]
        rows += [row for row in wanted if row not in rows]
    times = ("duration", "resampling_time", "push_time", "warm_up")
    return [replace(row, **{name: getattr(row, name) * time_scale for name in times}) for row in rows]


def nominal_cfg(cfg: Any) -> Any:
    """Copy an environment config with all randomisation, noise and pushes off, a nominal gait and a start at rest."""
    cfg = copy.deepcopy(cfg)
    for name in vars(cfg.domain_rand):
        if name.startswith("randomize_"):
            setattr(cfg.domain_rand, name, False)
    cfg.domain_rand.push_robots = False
    cfg.noise.add_noise = False
    cfg.curriculum.enabled = False
    for name in ("frequency", "offset", "duration", "swing_height"):
        middle = sum(getattr(cfg.gait.ranges, name)) / 2.0
        setattr(cfg.gait.ranges, name, (middle, middle))
    for name in ("lin_vel", "ang_vel", "joint_pos"):
        setattr(cfg.init_state, name, (0.0, 0.0))
    return cfg


def evaluation_cfg(cfg: Any, num_envs: int, seed: int) -> Any:
    """Derive the config of the suites from a task's: `nominal_cfg`, no time-outs, commands left to the rows.

    The ground is the lanes of the terrain suite, or else a plane, wherever the policy has learned to walk.
    """
    cfg = nominal_cfg(cfg)
    cfg.seed = seed
    cfg.env.num_envs = num_envs
    cfg.env.episode_length_s = 1e6
    cfg.commands.resampling_time = 1e6
    if cfg.terrain.profile != LANES_PROFILE:
        cfg.terrain.mesh_type = "plane"
    return cfg


def varied_cfg(cfg: Any, fields: Iterable[tuple[str, str]]) -> Any:
    """Copy an environment config with some fields changed, given as (path, text); the policy keeps its rate."""
    cfg, policy_dt = copy.deepcopy(cfg), cfg.policy_dt
    for path, text in fields:
        set_by_path(cfg, path, text)
    cfg.control.decimation = round(policy_dt / cfg.sim.dt)
    check(cfg)
    return cfg


def evaluate(
    build: Callable[[Any], tuple[Any, Agent]],
    cfg: Any,
    rows: Sequence[Row],
    num_envs: int,
    seed: int,
    at_once: bool,
    report: Callable[[str, Result], None] | None = None,
) -> dict[str, Result]:
    """Walk rows; those that share an environment's config share one environment.

    Args:
        build: Makes environment and agent from a config.
        cfg: The environment's config, before `evaluation_cfg`.
        rows: From `select_rows`.
        num_envs: Robots of each row.
        seed: The same seed gives the same result.
        at_once: Walk the rows of an environment side by side, as suits a GPU, and not one after the other.
        report: Called with each row's name and result as it is there.

    Returns:
        Results by row name.
    """
    groups: dict[str, tuple[Any, list[Row]]] = {}
    for row in rows:
        varied = varied_cfg(cfg, row.cfg)
        groups.setdefault(repr(varied), (varied, []))[1].append(row)
    results = {}
    for varied, group in groups.values():
        batches = [group] if at_once else [[row] for row in group]
        env, agent = build(evaluation_cfg(varied, num_envs * len(batches[0]), seed))
        for batch in batches:
            for row, result in zip(batch, run_rows(env, agent, batch, seed), strict=True):
                results[row.name] = result
                if report is not None:
                    report(row.name, result)
        overflows = env.sim.overflow_counts()
        if overflows:
            lost = ", ".join(f"{name} {count:,}" for name, count in overflows.items())
            print(f"warning: the simulator ran out of room: {lost}", flush=True)
        env.sim.close()
    return {row.name: results[row.name] for row in rows}


def nobody_stands(row: Result) -> bool:
    """Tell whether nothing is left to be measured in an unfinished row."""
    return row["survival"] == 0.0


def cannot_walk(row: Result) -> bool:
    """Tell whether an unfinished `track` row is not going to pass the walking gate."""
    errors = {name: row[name] for name in GATE}
    hopeless = any(error is not None and error > HOPELESS * GATE[name] for name, error in errors.items())
    return hopeless or (row["survival"] or 0.0) < GATE_SURVIVAL


def run_row(env: Any, agent: Agent, row: Row, seed: int, give_up: GiveUp = nobody_stands) -> Result:
    """Run one row on all robots of an environment; see `run_rows`."""
    return run_rows(env, agent, [row], seed, give_up)[0]


@torch.inference_mode()
def run_rows(env: Any, agent: Agent, rows: Sequence[Row], seed: int, give_up: GiveUp = nobody_stands) -> list[Result]:
    """Run rows side by side, each on its share of an environment's robots, and put the physics back to nominal.

    Args:
        env: Environment built from `evaluation_cfg`, its robots a multiple of the rows.
        agent: What controls the robots.
        rows: The rows; what they want of the config is there already.
        seed: The same seed gives the same result.
        give_up: Looks at what an unfinished row has given so far; the rows end early once it is true of all of them.
    """
    nominal = {row.parameter: env.sim.parameters[row.parameter].clone() for row in rows if row.parameter}
    for name, values in nominal.items():
        changed = values.clone()
        for row, share in zip(rows, changed.chunk(len(rows)), strict=True):
            if row.parameter == name:
                share.fill_(row.value)
        env.sim.set_parameter(name, changed)
    try:
        return _walk(env, agent, rows, seed, give_up)
    finally:
        for name, values in nominal.items():
            env.sim.set_parameter(name, values)


def _walk(env: Any, agent: Agent, rows: Sequence[Row], seed: int, give_up: GiveUp) -> list[Result]:
    start = _row_seed(seed, *rows)
    torch.manual_seed(start)
    agent.reset(start)
    scripts = _Scripts(env, rows, seed)
    shape = len(rows), env.num_envs // len(rows)
    metrics, touchdowns = RowMetrics(*shape, env.device), TouchdownErrors(*shape, env.device)
    lanes = LaneRows(env, [row.lane for row in rows]) if any(row.lane for row in rows) else None
    obs = env.reset()
    for step in range(scripts.num_steps):
        scripts.before(step)
        if lanes is not None:
            lanes.steer()
        actions, counting = agent.act(obs), scripts.counting(step)
        if isinstance(agent, TeacherAgent) and agent.output is not None:
            standing = metrics.alive & counting.view_as(metrics.alive) & scripts.tracking(step)
            touchdowns.add(agent.output, standing)
        obs, *_ = env.step(actions)
        metrics.add(Sample.of(env), env.fell, scripts.tracking(step), counting)
        if lanes is not None:
            lanes.add(metrics.alive.flatten() & counting)
        if (step + 1) % _CHECK_INTERVAL == 0 and all(map(give_up, metrics.results(env.dt))):
            break
    parts = [metrics.results(env.dt)]
    parts += [lanes.results()] if lanes is not None else []
    parts += [touchdowns.results()] if isinstance(agent, TeacherAgent) else []
    return [functools.reduce(operator.or_, results) for results in zip(*parts, strict=True)]


def _row_seed(seed: int, *rows: Row) -> int:
    return zlib.crc32(f"{seed}/{'+'.join(row.draws or row.name for row in rows)}".encode())


class _Script:
    """What happens to the robots of one row, drawn beforehand, on the CPU: the same draws on every device."""

    def __init__(self, row: Row, robots: int, dt: float, cycle: float, seed: int) -> None:
        """Draw.

        Args:
            row: The row.
            robots: Number of its robots n.
            dt: Policy step [s].
            cycle: Gait cycle [s].
            seed: Of the evaluation.
        """
        generator = torch.Generator().manual_seed(_row_seed(seed, row))
        window = round(cycle / dt) if row.push else 0  # [policy steps]
        self.kicks_from = round(row.push_time / dt) if row.push else 0
        self.kicks_to = self.kicks_from + window
        lasts = round(row.duration / dt)
        self.num_steps = self.kicks_to + lasts
        self.interval = round(min(row.resampling_time, row.duration + row.push_time + 1e3) / dt)
        low, high = torch.tensor(row.box).unbind(-1)
        draws = torch.rand(self.num_steps // self.interval + 1, robots, 3, generator=generator)
        self.commands = low + (high - low) * draws  # (K, n, 3)
        self.kick_step = self.kicks_from + torch.randint(0, max(window, 1), (robots,), generator=generator)
        angle = 2.0 * math.pi * torch.rand(robots, generator=generator)
        kick = torch.stack((torch.cos(angle), torch.sin(angle), torch.zeros(robots)), dim=-1)
        self.kick = row.push * kick
        self.end = self.kick_step + lasts if row.push else torch.full_like(self.kick_step, lasts)

    def command(self, step: int) -> torch.Tensor:
        """Command from policy step `step` on; the last one stays once the row is over. Shape (n, 3)."""
        return self.commands[min(step // self.interval, len(self.commands) - 1)]


class _Scripts:
    """The scripts of rows side by side, done to an environment's robots."""

    def __init__(self, env: Any, rows: Sequence[Row], seed: int) -> None:
        robots, cycle = env.num_envs // len(rows), 1.0 / float(env.gait.params[:, 0].min())
        self.env, self._scripts = env, [_Script(row, robots, env.dt, cycle, seed) for row in rows]
        self.num_steps = max(script.num_steps for script in self._scripts)
        self._kick_step, self._kick, self._end = (
            torch.cat([getattr(script, name) for script in self._scripts]).to(env.device)
            for name in ("kick_step", "kick", "end")
        )
        self._warm_up = torch.tensor([[row.warm_up] for row in rows], dtype=torch.float64).to(env.device)
        self._everyone = torch.ones(env.num_envs, dtype=torch.bool, device=env.device)

    def before(self, step: int) -> None:
        """Do what is due before policy step `step`."""
        if any(step % script.interval == 0 for script in self._scripts):
            commands = torch.cat([script.command(step) for script in self._scripts])
            self.env.commands.set(commands.to(self.env.device), self._everyone)
        if any(script.kicks_from <= step < script.kicks_to for script in self._scripts):
            self.env.sim.push(self._kick_step == step, self._kick)

    def tracking(self, step: int) -> torch.Tensor:
        """Rows past their warm-up at policy step `step`. Shape (R, 1)."""
        return self._warm_up < (step + 1) * self.env.dt

    def counting(self, step: int) -> torch.Tensor:
        """Robots whose row is not over at policy step `step`. Shape (N,)."""
        return self._end > step
