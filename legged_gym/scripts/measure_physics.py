"""Measures the cost and the errors of MuJoCo's options on this robot: the figures behind `legged_gym.sim.mujoco.spec`.

Random targets drive robots from standing until they lie on the ground. Every variant steps the same start states. Its
speed is policy steps per second of one thread's processor time (which other processes hardly disturb). Its errors are
against steps of 0.25 ms solved to convergence (integration) and against the same step solved to convergence (solver).
Sliding friction is measured along the ground's axes and between them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import mujoco
import numpy as np
from mujoco import rollout
from numpy.typing import NDArray

from legged_gym.evaluation import results
from legged_gym.evaluation.report import check_writable
from legged_gym.options.cli import Parser, run_main
from legged_gym.sim.mujoco.spec import build_spec
from legged_gym.sim.robot_model import RobotModel, robot_urdf
from legged_gym.sim.sim_options import SimOptions
from legged_gym.utils.errors import UserError

STATE = mujoco.mjtState.mjSTATE_FULLPHYSICS
STAND = np.array([0.0, 0.25, 0.5, 0.0, -0.25, -0.5])
"""Joint angles the targets wander about [rad]."""
PERIOD = 0.02
"""Policy period [s]."""
JUDGED_AT = 0.2
"""Time at which the solver's error is measured [s]."""
SEED = 0
"""Seed of the targets and the start states."""
COLUMNS = {
    "speed": ("steps/s", 0),
    "integration": ("mrad", 2),
    "integration, 95 %": ("mrad", 2),
    "solver": ("mrad", 3),
    "solver, 95 %": ("mrad", 3),
    "friction at 0 deg": ("", 3),
    "friction at 45 deg": ("", 3),
}
"""Figures of a variant: unit and number of digits. Errors are the robots' median and their 95 % quantile."""
Array = NDArray[np.float64]


@dataclass(frozen=True)
class Variant:
    """A way to step the robot; `set_options` changes what `build_spec` chose."""

    name: str
    set_options: Callable[[mujoco.MjOption], None] = lambda option: None
    visuals: bool = False

    def build(self, robot: RobotModel, timestep: float = 0.005, converged: bool = False) -> mujoco.MjModel:
        """Compile the robot with these options."""
        model = build_spec(robot, SimOptions(timestep=timestep), visuals=self.visuals).compile()
        self.set_options(model.opt)
        if converged:
            model.opt.iterations, model.opt.ls_iterations, model.opt.tolerance = 100, 50, 1e-12
        return model


def _setter(**values: float) -> Callable[[mujoco.MjOption], None]:
    """Return a function that sets options by name."""

    def set_options(option: mujoco.MjOption) -> None:
        for name, value in values.items():
            setattr(option, name, value)

    return set_options


PYRAMIDAL = int(mujoco.mjtCone.mjCONE_PYRAMIDAL)
VARIANTS = (
    Variant("as built"),
    Variant("with visuals", visuals=True),
    Variant("pyramidal cone", _setter(cone=PYRAMIDAL)),
    Variant("Euler", _setter(integrator=int(mujoco.mjtIntegrator.mjINT_EULER))),
    Variant("discrete", _setter(integrator=int(mujoco.mjtIntegrator.mjINT_DISCRETE))),
    Variant("sparse Jacobian", _setter(jacobian=int(mujoco.mjtJacobian.mjJAC_SPARSE))),
    Variant("CG solver", _setter(solver=int(mujoco.mjtSolver.mjSOL_CG), iterations=100)),
    Variant("no contact sensors", _setter(disableflags=int(mujoco.mjtDisableBit.mjDSBL_SENSOR))),
    Variant("100 / 50 iterations", _setter(iterations=100, ls_iterations=50)),
    Variant("5 / 10 iterations", _setter(iterations=5, ls_iterations=10)),
    Variant("3 / 5 iterations", _setter(iterations=3, ls_iterations=5)),
    Variant("impratio 10", _setter(impratio=10.0)),
    Variant("impratio 10, 100 / 50", _setter(impratio=10.0, iterations=100, ls_iterations=50)),
    Variant("impratio 10, 100 / 10", _setter(impratio=10.0, iterations=100, ls_iterations=10)),
)


def start_states(robot: RobotModel, model: mujoco.MjModel, count: int, rng: np.random.Generator) -> Array:
    """Return `count` states of robots about to touch down or standing, moving a little, shape (count, state)."""
    data, states = mujoco.MjData(model), np.empty((count, mujoco.mj_stateSize(model, STATE)))
    for state in states:
        mujoco.mj_resetData(model, data)
        data.qpos[7:] = STAND + rng.uniform(-0.1, 0.1, 6)
        data.qpos[4:7] = rng.normal(0.0, 0.05, 3)
        data.qvel[:6] = rng.uniform(-0.5, 0.5, 6)
        mujoco.mj_kinematics(model, data)
        lowest = min(data.body(name).xpos[2] for name in robot.foot_names) - robot.foot_radius
        data.qpos[2] += rng.uniform(0.0, 0.03) - lowest
        mujoco.mj_getState(model, data, state, STATE)
    return states


def roll(model: mujoco.MjModel, states: Array, targets: Array) -> tuple[Array, float]:
    """Step all robots; return the states after every policy step, shape (N, T, state), and processor time [s]."""
    substeps = round(PERIOD / model.opt.timestep)
    with rollout.Rollout(nthread=0) as runner:
        begin = time.thread_time()
        path, _ = runner.rollout(
            [model] * len(states), [mujoco.MjData(model)], states, np.repeat(targets, substeps, axis=1)
        )
        return path[:, substeps - 1 :: substeps], time.thread_time() - begin


def joint_error(path: Array, reference: Array, seconds: float) -> Array:
    """Return the largest joint deviation [mrad] of every robot at one time, shape (N,)."""
    deviation = path[:, round(seconds / PERIOD) - 1, 8:14] - reference[:, round(seconds / PERIOD) - 1, 8:14]
    return 1e3 * np.abs(deviation).max(1)


def sliding_friction(model: mujoco.MjModel, robot: RobotModel, degrees: float, friction: float = 0.5) -> float:
    """Return tangential over normal force of a foot that slides in one direction, with that friction set on it."""
    friction_before = model.geom_friction.copy()
    model.geom_friction[:, 0] = friction
    data = mujoco.MjData(model)
    data.qpos[7:] = STAND
    mujoco.mj_kinematics(model, data)
    data.qpos[2] += robot.foot_radius - 2e-4 - min(data.body(name).xpos[2] for name in robot.foot_names)
    data.qvel[:2] = 3.0 * np.cos(np.radians(degrees)), 3.0 * np.sin(np.radians(degrees))
    mujoco.mj_forward(model, data)
    force = data.sensor(f"contact_{robot.foot_names[0]}").data
    model.geom_friction[:] = friction_before
    return float(np.hypot(force[0], force[1]) / force[2]) if force[2] else float("nan")


def measure(robot: RobotModel, num_envs: int, steps: int, repeats: int) -> Iterator[tuple[str, dict[str, float]]]:
    """Yield the name and the figures of each variant, by column of `COLUMNS`."""
    rng = np.random.default_rng(SEED)
    wander = np.cumsum(rng.normal(0.0, 0.06, (num_envs, steps, 6)), axis=1)
    targets = STAND + np.clip(wander, -0.5, 0.5)
    states = start_states(robot, VARIANTS[0].build(robot), num_envs, rng)
    models = [variant.build(robot) for variant in VARIANTS]
    best = [np.inf] * len(models)
    for _ in range(repeats):  # interleaved, so that a busy moment of the machine hits all
        best = [min(before, roll(model, states, targets)[1]) for before, model in zip(best, models, strict=True)]
    for variant, model, seconds in zip(VARIANTS, models, best, strict=True):
        path, _ = roll(model, states, targets[:, :10])
        fine, _ = roll(variant.build(robot, 0.00025, converged=True), states, targets[:, :5])
        exact, _ = roll(variant.build(robot, converged=True), states, targets[:, :10])
        integration = np.quantile(joint_error(path, fine, 0.1), [0.5, 0.95])
        solver = np.quantile(joint_error(path, exact, JUDGED_AT), [0.5, 0.95])
        grip = [sliding_friction(model, robot, degrees) for degrees in (0.0, 45.0)]
        row = (num_envs * steps / seconds, *integration, *solver, *grip)
        yield variant.name, dict(zip(COLUMNS, map(float, row), strict=True))


def line(name: str, row: dict[str, float]) -> str:
    """Return a variant's line of the printed table."""
    speed, integration, integration_95, solver, solver_95, along, across = row.values()
    errors = f"{integration:8.2f} / {integration_95:6.2f}  {solver:8.3f} / {solver_95:7.3f}"
    return f"{name:24}{speed:7.0f}  {errors}   {along:.3f} {across:.3f}"


def save_result(path: Path, robot: str, num_envs: int, rows: dict[str, dict[str, float]]) -> None:
    """Write the variants as figures for the results page; friction is left out where no sensor measures it."""
    figures = {
        name: {column: {"value": value} for column, value in row.items() if not np.isnan(value)}
        for name, row in rows.items()
    }
    title = f"What MuJoCo's options cost and change, {robot}"
    note = (
        f"{num_envs} robots, MuJoCo {mujoco.__version__}. Speed is policy steps of one core. Errors are those of the "
        f"joints: integration after 0.1 s, solver after {JUDGED_AT} s; the median and the 95 % quantile of the robots. "
        "A foot slides with friction 0.5 along an axis of the ground and between two."
    )
    results.save(path, title, "Physics", COLUMNS, figures, "", [SEED], note=note)


def main() -> None:
    """Print one line per variant."""
    parser = Parser(description="What MuJoCo's options cost and change on this robot.")
    parser.add_argument("--num_envs", type=int, default=128, help="robots (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=1.2, help="simulated seconds per robot (default: %(default)s)")
    parser.add_argument(
        "--repeats", type=int, default=5, help="runs, the fastest of which counts (default: %(default)s)"
    )
    results.add_option(parser)
    args = parser.parse_args()
    if min(args.num_envs, args.repeats) < 1 or args.seconds < JUDGED_AT:
        raise UserError(f"--num_envs and --repeats are 1 or more, --seconds {JUDGED_AT} or more")
    if args.result is not None:
        check_writable(args.result)
    robot = RobotModel.from_urdf(robot_urdf())
    print(f"{robot.name}, MuJoCo {mujoco.__version__}, {args.num_envs} robots, {args.seconds} s, errors median / 95 %")
    print(f"{'':24}steps/s  integration [mrad]  solver [mrad]   friction 0.5 at 0, 45 deg")
    rows = {}
    for name, row in measure(robot, args.num_envs, round(args.seconds / PERIOD), args.repeats):
        print(line(name, row), flush=True)
        rows[name] = row
    if args.result is not None:
        save_result(args.result, robot.name, args.num_envs, rows)


if __name__ == "__main__":
    run_main(main)
