"""The second judge: walks rows of the evaluation in another simulator, and measures them as the first judge does."""

import dataclasses
import math
import multiprocessing
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch

from legged_gym.deployment.contract import GAIT, POLICY_DT
from legged_gym.deployment.engine import Engine, Physics
from legged_gym.deployment.joint_parameters import JointParameters
from legged_gym.deployment.networks import OnnxNetworks
from legged_gym.deployment.recorder import Recorder
from legged_gym.deployment.robot_log import RobotLog
from legged_gym.deployment.rollout import ACTION_DELAY, Job, Series, walk
from legged_gym.evaluation.metrics import STANDING_SHARE, Result, RowMetrics, Sample
from legged_gym.evaluation.rows import STAND, Row, Script, row_seed
from legged_gym.utils.errors import UserError, unknown_name

ENGINES = ("mujoco", "drake")
FIELDS = {"sim.dt": "timestep", "sim.joint_damping": "joint_damping"}
"""Fields of the environment's config that rows change -> those of `Physics`."""
GROUND_FIELDS = ("terrain.", "init_state.")
"""Further fields that rows on lanes change; here `lane` replaces them."""
Part = tuple[Physics, list[Job]]
"""Some robots of a row, and their scene."""
AT_ONCE = 2.0
"""A robot that falls within this time [s] never walked."""


@dataclass(frozen=True)
class Setup:
    """The policy that is judged, and the scene."""

    onnx: Path
    """Folder of the exported policy."""
    engine: str
    """One of `ENGINES`."""
    model: Path
    """URDF or MJCF."""
    joint_order: str = "legged_gym"
    """One of `legged_gym.deployment.contract.JOINT_ORDERS`."""
    noisy: bool = True
    """Whether sensors have noise and actions a delay; if not, the contract in a perfect world."""
    joints: JointParameters | None = None
    """Joint parameters identified on a robot; None for the maker's. A row's own changes override them."""


@dataclass
class Verdict:
    """Results of a judgement."""

    rows: dict[str, Result] = field(default_factory=dict)
    """Results by row name."""
    left_out: dict[str, str] = field(default_factory=dict)
    """Row name -> reason why this engine cannot do it."""
    fell_at_once: bool = True
    """Whether no robot of any row lasted for `AT_ONCE`."""


def engine_module(name: str) -> ModuleType:
    """Import an engine's module.

    Raises:
        UserError: The name is unknown, or the engine is not installed.
    """
    if name == "mujoco":
        from legged_gym.deployment import mujoco_engine

        return mujoco_engine
    if name == "drake":
        from legged_gym.deployment import drake_engine

        return drake_engine
    raise UserError(unknown_name("engine", name, ENGINES))


def make_engine(setup: Setup, physics: Physics) -> Engine:
    """Build a scene with one robot.

    Raises:
        UserError: The engine is not installed, or the model cannot be used.
    """
    module = engine_module(setup.engine)
    if setup.engine == "drake":
        if setup.joints is not None:
            raise UserError("--joints: only --engine mujoco takes joints with friction of their own")
        return module.DrakeEngine(setup.model, physics)
    engine = module.MujocoEngine(setup.model, physics)
    if setup.joints is not None:
        engine.set_joints(_with_changes(setup.joints, physics))
    return engine


def _with_changes(joints: JointParameters, physics: Physics) -> JointParameters:
    """Override the joints' parameters by a row's figures."""
    if "armature" in physics.changed:
        joints = dataclasses.replace(joints, armature=np.full_like(joints.armature, physics.armature))
    if "joint_damping" in physics.changed:
        joints = dataclasses.replace(joints, damping=np.full_like(joints.damping, physics.joint_damping))
    return joints


def physics_of(row: Row, usual_delay: float = ACTION_DELAY) -> tuple[Physics, float]:
    """Translate the changes of a row.

    Args:
        row: The row.
        usual_delay: Delay of targets where the row does not set it [s].

    Returns:
        The figures of the scene, and the delay of targets [s].

    Raises:
        UserError: The row changes something that the judge does not know.
    """
    known = {entry.name for entry in dataclasses.fields(Physics)} - {"changed", "lane"}
    changes: dict[str, tuple[float, ...]] = dict(row.parameters)
    for path, text in row.cfg:
        if path in FIELDS:
            changes[FIELDS[path]] = (float(text),)
        elif not (row.lane and path.startswith(GROUND_FIELDS)):
            raise UserError(f"this simulator has nothing like {path}")
    (delay,) = changes.pop("action_delay", (usual_delay,))
    for name in changes:
        if name not in known:
            raise UserError(f"this simulator has nothing like {name}")
    single: dict[str, Any] = {name: values if name == "friction" else values[0] for name, values in changes.items()}
    scene = Physics(lane=row.lane, changed=tuple(changes))
    return dataclasses.replace(scene, **single), delay


def make_jobs(row: Row, robots: int, seed: int, delay: float, noisy: bool = True) -> tuple[list[Job], Script]:
    """Write down the commands and disturbances of each robot of a row."""
    frequency = row.frequency or GAIT[0]
    script = Script(row, robots, POLICY_DT, frequency, seed)
    commands = np.stack([script.command(step).numpy() for step in range(script.num_steps)])  # (T, n, 3)
    jobs = []
    for robot in range(robots):
        job = Job(
            commands=commands[: int(script.end[robot]), robot].astype(np.float64),
            seed=(row_seed(seed, row), robot),
            frequency=frequency,
            delay=delay if noisy or delay != ACTION_DELAY else 0.0,
            noisy=noisy,
            steered=bool(row.lane),
        )
        if row.disturbed:
            kick, force = script.kick[robot].tolist(), script.force[robot].tolist()
            start, stop = int(script.start[robot]), int(script.stop[robot])
            job = dataclasses.replace(job, start=start, stop=stop, kick=tuple(kick), force=tuple(force))
            job = dataclasses.replace(job, at_lid=row.at_lid, trip=row.trip)
        jobs.append(job)
    return jobs, script


def measure(row: Row, script: Script, series: Sequence[Series]) -> Result:
    """Compute a row's result from its robots' motions.

    Args:
        row: The row.
        script: The row's draws.
        series: Series of each robot.
    """
    metrics = RowMetrics(1, len(series), "cpu")
    steps = max(len(one["fell"]) for one in series)
    padded = {name: torch.from_numpy(np.stack([_pad(one[name], steps) for one in series], 1)) for name in series[0]}
    padded["height_share"] /= STANDING_SHARE  # to a share of a walking robot's height
    names = [entry.name for entry in dataclasses.fields(Sample)]
    for step in range(steps):
        sample = Sample(**{name: padded[name][step] for name in names})
        tracking = torch.tensor([[row.warm_up < (step + 1) * POLICY_DT]])
        metrics.add(sample, padded["fell"][step], tracking, script.end > step)
    (result,) = metrics.results(POLICY_DT)
    if row.box == STAND:
        result |= metrics.drifts()[0]
    if row.lane:
        result["distance"] = float(np.mean([one["position_w"][-1, 0] for one in series]))
    return result


def _pad(values: np.ndarray, steps: int) -> np.ndarray:
    """Lengthen a series with zeros; numbers become single precision."""
    values = values if values.dtype == bool else values.astype(np.float32)
    return np.concatenate((values, np.zeros((steps - len(values), *values.shape[1:]), values.dtype)))


def judge(
    rows: Sequence[Row],
    setup: Setup,
    robots: int,
    seed: int,
    num_procs: int,
    report: Callable[[str, Result | str], None] | None = None,
) -> Verdict:
    """Walk rows, with the robots spread over processes.

    Args:
        rows: From `select_rows`.
        setup: The policy that is judged, and the scene.
        robots: Number of robots in each row.
        seed: The same seed gives the same result with any number of processes.
        num_procs: Number of processes; 1 stays in this one.
        report: Called with each row's name, and with its result or the reason why it is left out.

    Raises:
        UserError: The policy answers with NaN, or a process died.
    """
    verdict = Verdict()
    done = report or (lambda name, result: None)
    plans: list[tuple[Row, Script, list[Part]]] = []
    for row in rows:
        why, physics, delay = plan(row, setup)
        if why:
            verdict.left_out[row.name] = why
            done(row.name, why)
        else:
            jobs, script = make_jobs(row, robots, seed, delay, setup.noisy)
            plans.append((row, script, _split(physics, jobs, num_procs)))
    results = _walk_all(setup, [part for _, _, parts in plans for part in parts], num_procs)
    for row, script, _ in plans:
        series: list[Series] = []
        while len(series) < robots:
            series += next(results)
        verdict.fell_at_once &= all(one["fell"][-1] and len(one["fell"]) * POLICY_DT < AT_ONCE for one in series)
        result = verdict.rows[row.name] = measure(row, script, series)
        done(row.name, result)
    verdict.fell_at_once &= bool(verdict.rows)
    return verdict


def plan(row: Row, setup: Setup) -> tuple[str, Physics, float]:
    """Return why a row must be left out (or an empty string), its figures and its delay."""
    try:
        physics, delay = physics_of(row, ACTION_DELAY if setup.joints is None else setup.joints.delay)
    except UserError as error:
        return str(error), Physics(), 0.0
    why = engine_module(setup.engine).refusal(physics, setup.model)
    if not why and row.at_lid and make_engine(setup, physics).lid is None:
        why = "the model's base has no box, so there is no lid to shove"
    return why, physics, delay


def record(row: Row, setup: Setup, seed: int, lift: float = 0.0) -> RobotLog:
    """Walk the first robot of a row alone, and log it pass by pass.

    Args:
        row: The row.
        setup: The policy and the scene.
        seed: Seed of all draws.
        lift: Height of the feet above the ground [m] for a robot that hangs on the hoist all the time.

    Raises:
        UserError: The engine cannot do the row.
    """
    why, physics, delay = plan(row, setup)
    if why:
        raise UserError(f"{row.name}: {why}")
    (job, *_), _ = make_jobs(row, 1, seed, delay, setup.noisy)
    engine, recorder = make_engine(setup, physics), Recorder()
    try:
        walk(engine, _networks(setup.onnx), job, setup.joint_order, recorder, lift)
    finally:
        engine.close()
    return recorder.log()


def _split(physics: Physics, jobs: list[Job], num_procs: int) -> list[Part]:
    """Distribute the robots of a row over processes."""
    share = math.ceil(len(jobs) / num_procs)
    return [(physics, jobs[first : first + share]) for first in range(0, len(jobs), share)]


def _walk_all(setup: Setup, parts: Sequence[Part], num_procs: int) -> Iterator[list[Series]]:
    """Walk parts of rows, and yield their series in order."""
    if num_procs == 1 or len(parts) < 2:
        for part in parts:
            yield _walk_part(setup, part)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(num_procs, len(parts)), context, _start_worker) as pool:
        futures: list[Future[list[Series]]] = [pool.submit(_walk_part, setup, part) for part in parts]
        try:
            for waiting in futures:
                yield waiting.result()
        except BrokenProcessPool:
            raise UserError("a worker process died, perhaps for lack of memory; try a smaller --num_procs") from None
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _start_worker() -> None:
    """End quietly on Ctrl-C: the parent prints the message."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@lru_cache(maxsize=1)
def _networks(folder: Path) -> OnnxNetworks:
    return OnnxNetworks(folder)


def _walk_part(setup: Setup, part: Part) -> list[Series]:
    physics, jobs = part
    engine = make_engine(setup, physics)
    try:
        return [walk(engine, _networks(setup.onnx), job, setup.joint_order) for job in jobs]
    finally:
        engine.close()
