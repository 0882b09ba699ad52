"""Robustness suites: rows of the evaluation, each on nominal physics but for the one thing it varies.

Every row starts at rest, on the nominal gait (the middle of the configured gait ranges), without noise, randomisation
or time-outs. Errors count from 2 s on, in the heading frame, against the command of the instant; a robot that fell
counts no more from there on. A row's random numbers depend on the seed and its name, not on the rows before it.
"""

import copy
import math
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

import torch

from legged_gym.evaluation.agents import Agent
from legged_gym.evaluation.metrics import RowMetrics, Sample
from legged_gym.utils.errors import UserError, unknown_name

_CHECK_INTERVAL = 50
"""Policy steps between two looks whether anybody still stands."""
Result = dict[str, float | None]
Box = tuple[tuple[float, float], tuple[float, float], tuple[float, float]]
FULL_BOX: Box = ((-0.5, 1.0), (-0.3, 0.3), (-0.5, 0.5))
"""v_x, v_y [m/s], w_z [rad/s] of `track`."""
SLOW_BOX: Box = ((-0.5, 0.5), (-0.2, 0.2), (-0.5, 0.5))
"""The same of `track_slow`, payload and friction."""
FORWARD: Box = ((0.4, 0.4), (0.0, 0.0), (0.0, 0.0))
"""The same of the pushes."""


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
}
"""Suite -> its rows. Payload and friction rows are walked like `track_slow`."""

GATE = {"rmse_vx": 0.20, "rmse_vy": 0.20, "rmse_wz": 0.30}
"""Largest errors of the walking gate [m/s, m/s, rad/s]."""
GATE_SURVIVAL = 0.95
FIXED_SECTIONS = ("commands", "domain_rand", "noise", "init_state", "env.episode_length_s")
"""Parts of the environment's config that the suites decide, not the user."""


def passes_walking_gate(row: Result) -> bool:
    """Tell whether a `track` row is walking: survival >= 0.95 and errors within `GATE`."""
    errors = {name: row[name] for name in GATE}
    within = all(error is not None and error <= GATE[name] for name, error in errors.items())
    return within and (row["survival"] or 0.0) >= GATE_SURVIVAL


def select_rows(suites: Iterable[str], time_scale: float = 1.0) -> list[Row]:
    """Collect the rows of some suites.

    Args:
        suites: Names of `SUITES`.
        time_scale: Factor on all times of the rows, for tests; below 1 the numbers mean little.

    Raises:
        UserError: A suite is unknown.
    """
    rows: list[Row] = []
    for suite in suites:
        if suite not in SUITES:
            raise UserError(unknown_name("suite", suite, SUITES))
        rows += [row for row in SUITES[suite] if row not in rows]
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
    """Derive the config of the suites from a task's: `nominal_cfg`, no time-outs, commands left to the rows."""
    cfg = nominal_cfg(cfg)
    cfg.seed = seed
    cfg.env.num_envs = num_envs
    cfg.env.episode_length_s = 1e6
    cfg.commands.resampling_time = 1e6
    return cfg


def evaluate(
    env: Any, agent: Agent, rows: Iterable[Row], seed: int, report: Callable[[str, Result], None] | None = None
) -> dict[str, Result]:
    """Run rows one after the other.

    Args:
        env: Environment built from `evaluation_cfg`.
        agent: What controls the robots.
        rows: From `select_rows`.
        seed: The same seed gives the same result.
        report: Called with each row's name and result as it is there.

    Returns:
        Results by row name.
    """
    results = {}
    for row in rows:
        results[row.name] = run_row(env, agent, row, seed)
        if report is not None:
            report(row.name, results[row.name])
    return results


@torch.inference_mode()
def run_row(env: Any, agent: Agent, row: Row, seed: int, give_up: float = 0.0) -> Result:
    """Run one row on all robots of an environment and put its physics back to nominal.

    Args:
        env: See `evaluate`.
        agent: What controls the robots.
        row: The row.
        seed: The same seed gives the same result.
        give_up: End the row early once the share of robots still up is at or below this.
    """
    if not row.parameter:
        return _walk(env, agent, row, seed, give_up)
    nominal = env.sim.parameters[row.parameter].clone()
    env.sim.set_parameter(row.parameter, torch.full_like(nominal, row.value))
    try:
        return _walk(env, agent, row, seed, give_up)
    finally:
        env.sim.set_parameter(row.parameter, nominal)


def _walk(env: Any, agent: Agent, row: Row, seed: int, give_up: float) -> Result:
    seed = zlib.crc32(f"{seed}/{row.name}".encode())
    generator = torch.Generator().manual_seed(seed)  # on the CPU: the same draws on every device
    torch.manual_seed(seed)
    agent.reset(seed)
    script = _Script(env, row, generator)
    metrics = RowMetrics(env.num_envs, env.device)
    obs = env.reset()
    for step in range(script.num_steps):
        script.before(step)
        obs, *_ = env.step(agent.act(obs))
        metrics.add(Sample.of(env), env.fell, (step + 1) * env.dt > row.warm_up, script.counting(step))
        if step % _CHECK_INTERVAL == 0 and metrics.alive.float().mean() <= give_up:
            break
    return metrics.result(env.dt)


class _Script:
    """What happens to the robots in the course of a row: commands and kicks, drawn beforehand."""

    def __init__(self, env: Any, row: Row, generator: torch.Generator) -> None:
        self.env, n = env, env.num_envs
        cycle = round(1.0 / (float(env.gait.params[:, 0].min()) * env.dt)) if row.push else 0  # [policy steps]
        start = round(row.push_time / env.dt) if row.push else 0
        lasts = round(row.duration / env.dt)
        self.num_steps = start + cycle + lasts
        self._interval = round(min(row.resampling_time, row.duration + row.push_time + 1e3) / env.dt)
        low, high = torch.tensor(row.box).unbind(-1)
        draws = torch.rand(self.num_steps // self._interval + 1, n, 3, generator=generator)
        self._commands = (low + (high - low) * draws).to(env.device)
        self._kick_step = (start + torch.randint(0, max(cycle, 1), (n,), generator=generator)).to(env.device)
        angle = 2.0 * math.pi * torch.rand(n, generator=generator)
        kick = torch.stack((torch.cos(angle), torch.sin(angle), torch.zeros(n)), dim=-1)
        self._kick = (row.push * kick).to(env.device)
        self._end = self._kick_step + lasts if row.push else torch.full_like(self._kick_step, lasts)
        self._kicks_from = start if row.push else self.num_steps
        self._kicks_to = start + cycle

    def before(self, step: int) -> None:
        """Do what is due before policy step `step`."""
        if step % self._interval == 0:
            everyone = torch.ones(self.env.num_envs, dtype=torch.bool, device=self.env.device)
            self.env.commands.set(self._commands[step // self._interval], everyone)
        if self._kicks_from <= step < self._kicks_to:
            self.env.sim.push(self._kick_step == step, self._kick)

    def counting(self, step: int) -> torch.Tensor:
        """Robots whose row is not over at policy step `step`. Shape (N,)."""
        return self._end > step
