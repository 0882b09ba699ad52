"""Walks the rows of the evaluation in an environment.

Every row starts at rest, without randomisation, pushes of the task or time-outs. Deployed physics has the gait, gains
and
clamp of the maker's controller, and the robot's delay, noise, motors that lose torque and friction 0.6. Ideal physics
has none of these. Legs are solid in both.

Errors count from 2 s on, in the heading frame, against the command of the instant. A robot that fell does not count
from then on, and a robot that does not end upright has fallen. A row's commands and disturbances depend on the seed and
its name, not on the other rows. Where rows are walked side by side, the headings and clocks that its robots start with
depend on those rows, too.
"""

import copy
import functools
import math
import operator
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields
from typing import Any

import torch

from legged_gym.envs.base.commands_config import GaitNominalCfg
from legged_gym.envs.base.legged_robot_config import EventsCfg
from legged_gym.envs.base.observations_config import NoiseCfg
from legged_gym.evaluation.agents import Agent, TeacherAgent
from legged_gym.evaluation.lanes import LaneRows
from legged_gym.evaluation.metrics import Result, RowMetrics, Sample
from legged_gym.evaluation.rows import ALL_ROWS, GATE, GATE_SURVIVAL, STAND, Row, Script, row_seed
from legged_gym.evaluation.touchdowns import TouchdownErrors
from legged_gym.terrain.config import LANES_PROFILE
from legged_gym.utils.config import check, set_by_path
from legged_gym.utils.errors import UserError
from legged_gym.utils.math import quat_rotate, yaw_from_quat
from legged_gym.utils.progress import Bar, progress_bar

_CHECK_INTERVAL = 50
"""Policy steps between two checks whether to give up."""
GiveUp = Callable[[Result, float], bool]
"""Takes the result of an unfinished row so far, and how long it has been walked [s]."""
Tick = Callable[[float], None]
PHYSICS = ("deployed", "ideal")
"""Kinds of physics that a policy is judged under, see `evaluation_cfg`."""

HOPELESS = 1.25
"""Multiple of the gate's errors above which a policy is far from walking."""
DOUBT = 3.0
"""Standard deviations by which the errors of an unfinished row must miss the gate for it to be given up."""
FIXED_SECTIONS: dict[str, tuple[str, ...]] = {
    "ideal": (
        *(
            "commands",
            "domain_rand",
            "events",
            "noise",
            "init_state",
            "env.episode_length_s",
            "gait.nominal",
            "sim.armature",
        ),
        *("control.action_delay", "control.clamp_targets", "control.motor_curve"),
        *("terrain.mesh_type", "terrain.profile", "terrain.static_friction", "rewards.scales"),
    ),
}
FIXED_SECTIONS["deployed"] = (
    *FIXED_SECTIONS["ideal"],
    *("control.stiffness", "control.damping", "gait", "asset.self_collisions", "sim.joint_damping"),
)
"""Parts of the environment's config that the suites set, not the user, by physics."""


def nominal_cfg(cfg: Any, physics: str = "ideal") -> Any:
    """Copy an environment config with all randomisation, pushes and events off and a start at rest.

    Args:
        cfg: The config.
        physics: "ideal": motors without limits of speed, no delay, no noise, friction 1 and the middle of the
            configured gaits. "deployed": what the maker's controller and the robot do.
    """
    cfg = copy.deepcopy(cfg)
    for name in vars(cfg.domain_rand):
        if name.startswith("randomize_"):
            setattr(cfg.domain_rand, name, False)
    rand = cfg.domain_rand
    rand.push_robots = rand.shove_robots = rand.trip_robots = False
    cfg.curriculum.enabled = False
    cfg.events = EventsCfg()
    cfg.noise = NoiseCfg()
    for name in ("lin_vel", "ang_vel", "joint_pos"):
        setattr(cfg.init_state, name, (0.0, 0.0))
    if physics == "ideal":
        cfg.noise.add_noise = cfg.control.clamp_targets = cfg.control.motor_curve = False
        cfg.control.action_delay = cfg.sim.armature = 0.0
        cfg.terrain.static_friction = 1.0
        middle = {f.name: sum(getattr(cfg.gait.ranges, f.name)) / 2.0 for f in fields(cfg.gait.ranges)}
        cfg.gait.nominal = GaitNominalCfg(**middle)
    else:
        cfg.asset.self_collisions = cfg.control.clamp_targets = cfg.control.motor_curve = True
        cfg.control.stiffness, cfg.control.damping, cfg.control.action_delay = 42.0, 3.5, 0.01
        cfg.terrain.static_friction, cfg.sim.armature, cfg.sim.joint_damping = 0.6, 0.01, 0.01
        cfg.gait.nominal = GaitNominalCfg()
    for name, value in vars(cfg.gait.nominal).items():
        setattr(cfg.gait.ranges, name, (value, value))
    return cfg


def evaluation_cfg(cfg: Any, num_envs: int, seed: int, physics: str = "deployed") -> Any:
    """Derive the config of the suites from a task's: `nominal_cfg`, no time-outs, one reward, commands by the rows.

    The ground is the lanes of the terrain suite, or else a plane, whatever ground the policy was trained on.
    """
    cfg = nominal_cfg(cfg, physics)
    cfg.seed = seed
    cfg.env.num_envs = num_envs
    cfg.env.episode_length_s = 1e6
    cfg.commands.resampling_time, cfg.commands.reversing_share = 1e6, 0.0
    rewarded = [term for term, weight in vars(cfg.rewards.scales).items() if weight]
    for term in rewarded[1:]:  # an environment needs one; nobody learns here, and they take an eighth of the time
        setattr(cfg.rewards.scales, term, 0.0)
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
    physics: str = "deployed",
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
        physics: One of `PHYSICS`.

    Returns:
        Results by row name.
    """
    groups: dict[str, tuple[Any, list[Row]]] = {}
    judged = evaluation_cfg(cfg, num_envs, seed, physics)
    for row in rows:
        varied = varied_cfg(judged, row.cfg)
        groups.setdefault(repr(varied), (varied, []))[1].append(row)
    results: dict[str, Result] = {}
    with progress_bar("evaluation", len(rows)) as bar:
        for varied, group in groups.values():
            batches = [group] if at_once else [[row] for row in group]
            varied.env.num_envs = num_envs * len(batches[0])
            env, agent = build(varied)
            for batch in batches:
                bar.set(len(results), batch[0].name if len(batch) == 1 else f"{len(batch)} rows")
                walked = walk_rows(env, agent, batch, seed, tick=batch_tick(bar, len(batch)))
                for row, result in zip(batch, walked.results, strict=True):
                    results[row.name] = result
                    if report is not None:
                        report(row.name, result)
            warn_of_overflows(env)
            env.sim.close()
    return {row.name: results[row.name] for row in rows}


def batch_tick(bar: Bar, size: int) -> Tick:
    """Return a function that moves a bar on while `size` rows are walked side by side."""
    start = bar.done
    return lambda share: bar.set(start + share * size)


def warn_of_overflows(env: Any) -> None:
    """Report buffers of the simulator that overflowed."""
    overflows = env.sim.overflow_counts()
    if overflows:
        lost = ", ".join(f"{name} {count:,}" for name, count in overflows.items())
        print(f"warning: buffers of the simulator overflowed, so it left something out: {lost}", flush=True)


def all_have_fallen(row: Result, seconds: float) -> bool:
    """Tell whether all robots of an unfinished row have fallen."""
    return row["survival"] == 0.0


def far_from_walking(row: Result) -> bool:
    """Tell whether a `track` row, finished or not, is far from the walking gate."""
    return _misses(row, HOPELESS)


def cannot_walk(row: Result, seconds: float) -> bool:
    """Tell whether an unfinished `track` row will not pass the walking gate, beyond reasonable doubt.

    Let the errors of the time between two commands, τ, be drawn independently, their squares as widely spread as they
    are large. After the time t the error of n robots then differs from that at the end, T, by a standard deviation of
    sqrt(τ / n (1/t - 1/T)) / 2 of itself. Errors are largest just after a change of command, so they are compared only
    once that change has had its share of the time; before, only a policy that is far from walking is lost.

    Args:
        row: Its result so far.
        seconds: How long it has been walked [s].
    """
    track = ALL_ROWS["track"]
    measured, whole = max(seconds - track.warm_up, 1.0), track.duration - track.warm_up
    changes, of_all = (math.ceil(time / track.resampling_time) - 1 for time in (seconds, track.duration))
    if changes * whole > of_all * measured:
        return far_from_walking(row)
    left = max(1.0 / measured - 1.0 / whole, 0.0)
    deviation = 0.5 * math.sqrt(track.resampling_time / (row["n"] or 1.0) * left)
    return _misses(row, 1.0 + DOUBT * deviation)


def _misses(row: Result, factor: float) -> bool:
    """Tell whether too many robots have fallen, or an error is above this multiple of the gate's."""
    errors = {name: row[name] for name in GATE}
    missed = any(error is not None and error > factor * GATE[name] for name, error in errors.items())
    return missed or (row["survival"] or 0.0) < GATE_SURVIVAL


@dataclass
class Walk:
    """Outcome of rows that were walked side by side."""

    results: list[Result]
    """Result of each row."""
    survived: torch.Tensor
    """Robots that ended upright. Shape (R, n), bool."""


def run_row(env: Any, agent: Agent, row: Row, seed: int, give_up: GiveUp = all_have_fallen) -> Result:
    """Run one row on all robots of an environment; see `run_rows`."""
    return run_rows(env, agent, [row], seed, give_up)[0]


def run_rows(env: Any, agent: Agent, rows: Sequence[Row], seed: int, give_up: GiveUp = all_have_fallen) -> list[Result]:
    """Run rows side by side; returns their results, see `walk_rows`."""
    return walk_rows(env, agent, rows, seed, give_up).results


@torch.inference_mode()
def walk_rows(
    env: Any,
    agent: Agent,
    rows: Sequence[Row],
    seed: int,
    give_up: GiveUp = all_have_fallen,
    tick: Tick = lambda share: None,
) -> Walk:
    """Run rows side by side, each on its share of an environment's robots, and put the physics back to nominal.

    Args:
        env: Environment built from `evaluation_cfg`, its robots a multiple of the rows.
        agent: The robots' agent.
        rows: The rows; the environment's config has their changes already.
        seed: The same seed gives the same result.
        give_up: See `GiveUp`; once it is true of all rows, they end early.
        tick: Called after each step with the share of them that is done.
    """
    changed = {name for row in rows for name, _ in row.parameters}
    nominal = {name: env.sim.parameters[name].clone() for name in changed}
    for name, values in nominal.items():
        varied = values.clone()
        for row, share in zip(rows, varied.chunk(len(rows)), strict=True):
            for changes, columns in row.parameters:
                if changes == name:
                    share.copy_(share.new_tensor(columns).expand_as(share))
        env.sim.set_parameter(name, varied)
    try:
        return _walk(env, agent, rows, seed, give_up, tick)
    finally:
        env.sim.wrench_w.zero_()
        for name, values in nominal.items():
            env.sim.set_parameter(name, values)


def _walk(env: Any, agent: Agent, rows: Sequence[Row], seed: int, give_up: GiveUp, tick: Tick) -> Walk:
    start = row_seed(seed, *rows)
    torch.manual_seed(start)
    agent.reset(start)
    shape = len(rows), env.num_envs // len(rows)
    metrics, touchdowns = RowMetrics(*shape, env.device), TouchdownErrors(*shape, env.device)
    lanes = LaneRows(env, [row.lane for row in rows]) if any(row.lane for row in rows) else None
    obs = env.reset()
    scripts = _Scripts(env, rows, seed)  # after the reset: the row before may have left a gait of its own behind
    obs = scripts.begin(obs)
    broken = torch.zeros((), dtype=torch.bool, device=env.device)
    for step in range(scripts.num_steps):
        scripts.before(step)
        if lanes is not None:
            lanes.steer()
        actions, counting = agent.act(obs), scripts.counting(step)
        broken |= ~actions.isfinite().all()
        if isinstance(agent, TeacherAgent) and agent.output is not None:
            standing = metrics.alive & counting.view_as(metrics.alive) & scripts.tracking(step)
            touchdowns.add(agent.output, standing)
        obs, *_ = env.step(actions)
        metrics.add(Sample.of(env), env.episodes.fell, scripts.tracking(step), counting)
        if lanes is not None:
            lanes.add(metrics.alive.flatten() & counting)
        tick((step + 1) / scripts.num_steps)
        if (step + 1) % _CHECK_INTERVAL == 0:
            _refuse_broken(broken)
            if all(give_up(row, (step + 1) * env.dt) for row in metrics.results(env.dt, finished=False)):
                break
    _refuse_broken(broken)
    parts = [metrics.results(env.dt)]
    parts += [[drift if row.box == STAND else {} for row, drift in zip(rows, metrics.drifts(), strict=True)]]
    parts += [lanes.results()] if lanes is not None else []
    parts += [touchdowns.results()] if isinstance(agent, TeacherAgent) else []
    results = [functools.reduce(operator.or_, of_row) for of_row in zip(*parts, strict=True)]
    return Walk(results, metrics.survived(env.dt))


def _refuse_broken(broken: torch.Tensor) -> None:
    """Raise if an agent's action is not a number, which MuJoCo would take for zero.

    Raises:
        UserError: It is not.
    """
    if bool(broken):
        raise UserError("the policy returns NaN or infinite actions: it is broken and cannot be judged")


class _Scripts:
    """Applies the scripts of rows side by side to an environment's robots."""

    def __init__(self, env: Any, rows: Sequence[Row], seed: int) -> None:
        robots, device = env.num_envs // len(rows), env.device
        nominal = float(env.gait.params[:, 0].min())
        self.env = env
        self._scripts = [Script(row, robots, env.dt, row.frequency or nominal, seed) for row in rows]
        self.num_steps = max(script.num_steps for script in self._scripts)

        def column(name: str) -> torch.Tensor:
            return torch.cat([getattr(script, name) for script in self._scripts]).to(device)

        self._start, self._stop, self._end = column("start"), column("stop"), column("end")
        self._kick, self._force = column("kick"), column("force")

        def each(values: Sequence[float]) -> torch.Tensor:
            return torch.tensor(values, device=device).repeat_interleave(robots).unsqueeze(-1)

        self._at_lid = each([float(row.at_lid) for row in rows])
        self._trip = each([row.trip for row in rows])
        self._frequency = each([row.frequency or nominal for row in rows]).squeeze(-1)
        self._foot = torch.zeros(env.num_envs, 2, device=device)
        """1 for the foot that is tripped. Shape (N, F)."""
        self._warm_up = torch.tensor([[row.warm_up] for row in rows], dtype=torch.float64).to(device)
        self._everyone = torch.ones(env.num_envs, dtype=torch.bool, device=device)
        self._lid_b = torch.tensor([0.0, 0.0, env.sim.robot.lid_height], device=device)

    def begin(self, obs: Any) -> Any:
        """Set the gaits of the rows after a reset; returns the observations that show them."""
        if bool((self._frequency == self.env.gait.params[:, 0]).all()):
            return obs
        self.env.gait.params[:, 0] = self._frequency
        return self.env.observe_anew()

    def before(self, step: int) -> None:
        """Do what is due before policy step `step`."""
        if any(step % script.interval == 0 for script in self._scripts):
            commands = torch.cat([script.command(step) for script in self._scripts])
            self.env.commands.set(commands.to(self.env.device), self._everyone)
        due = [script.row for script in self._scripts if script.begins <= step <= script.ends]
        if any(row.push for row in due):
            self.env.sim.push(self._start == step, self._kick)
        if any(row.shove or row.trip for row in due):
            self._push_and_hold(step)

    def _push_and_hold(self, step: int) -> None:
        """Set the external forces of shoves and trips."""
        state, gait, wrench = self.env.state, self.env.gait, self.env.sim.wrench_w
        lasting = ((self._start <= step) & (step < self._stop)).unsqueeze(-1)
        force = torch.where(lasting, self._force, 0.0)
        wrench[:, 0, :3] = force
        lever = quat_rotate(state.root_quat_xyzw, self._at_lid * self._lid_b)
        wrench[:, 0, 3:] = torch.linalg.cross(lever, force)
        left_swings = (gait.clock >= 0.5).float()
        swing = torch.stack((left_swings, 1.0 - left_swings), dim=-1)
        self._foot = torch.where((self._start == step).unsqueeze(-1), swing, self._foot)
        yaw = yaw_from_quat(state.root_quat_xyzw)
        back = torch.stack((-torch.cos(yaw), -torch.sin(yaw), torch.zeros_like(yaw)), dim=-1)
        hold = torch.where(lasting, self._trip * back, 0.0)
        wrench[:, 1:, :3] = self._foot.unsqueeze(-1) * hold.unsqueeze(1)

    def tracking(self, step: int) -> torch.Tensor:
        """Rows past their warm-up at policy step `step`. Shape (R, 1)."""
        return self._warm_up < (step + 1) * self.env.dt

    def counting(self, step: int) -> torch.Tensor:
        """Robots whose row is not over at policy step `step`. Shape (N,)."""
        return self._end > step
