"""Measures how true MuJoCo's height fields are to a step of 10 cm: `python legged_gym/scripts/measure_terrain.py`.

A ball of the foot's size stands for the foot. It is dropped onto a step's edge with half of the robot's weight on it,
or swung into the riser as a leg's servos do it, on height fields of several cell widths and on a box, which is the step
itself. On a field a riser leans over one cell, and the question is whether a foot feels a ramp. The ball is stamped
onto level ground, too, with contacts of MuJoCo's default time constant and with ours. If it sinks too deep between the
cells of a field, which the engine takes for separate bodies, it is held from all sides. Last comes the cost of
`env.step` on the terrain `mixed`, in processor time, which other processes disturb less; robots twitch around their
stand and fall. There feet mostly touch boxes and not the field, see `legged_gym/sim/mujoco/treads.py`.
"""

import time
from pathlib import Path
from typing import Any

import mujoco
import numpy as np
import torch

from legged_gym.envs.pointfoot.pointfoot_flat import PointFootFlat
from legged_gym.envs.pointfoot.pointfoot_flat_config import PointFootFlatCfg
from legged_gym.evaluation import results
from legged_gym.evaluation.report import check_writable
from legged_gym.options.cli import Parser, run_main
from legged_gym.sim.mujoco.terrain import HeightField
from legged_gym.sim.robot_model import RobotModel, robot_urdf
from legged_gym.sim.sim_options import CONTACT_TIME_CONSTANT
from legged_gym.terrain.terrain import Terrain

RISE = 0.1
"""Height of the step, which begins at x = 0 and goes up towards +x [m]."""
TIMESTEP = 0.005
CELLS = (0.1, 0.05, 0.025)
"""Widths of the cells [m]; None is the box."""
SPEED = 0.5
"""Speed of the foot that meets the riser [m/s]."""
CLEARANCES = (0.02, 0.05, 0.08)
"""Heights above the lower ground at which it meets the riser [m]."""
OFFSETS = (-0.04, -0.03, -0.02, -0.01, 0.0, 0.01, 0.02)
"""Places of the foot that is dropped, from the edge towards the upper ground [m]."""
STIFFNESS, DAMPING, LEG_MASS = 470.0, 28.0, 1.5
"""Stiffness, damping and moving mass of a leg of 0.3 m with K_p 42 N m/rad, K_d 2.5 N m s/rad [N/m, N s/m, kg]."""

STAMP_SPEED, LOAD = 4.0, 400.0
"""Speed of a foot that is stamped onto level ground [m/s], and the force that then presses it down [N]."""
TIME_CONSTANTS = (0.02, CONTACT_TIME_CONSTANT)
"""Time constants of contacts: MuJoCo's default, and ours [s]."""

COSTED_ROBOTS, COSTED_BLOCKS, COSTED_STEPS = 512, 20, 6
"""In each block so many steps are taken on one ground after the other, so that other processes disturb all alike."""

Figures = dict[str, dict[str, results.Figure]]
"""Row -> column of `COLUMNS` -> figure."""
COLUMNS = {name: ("cm", 1) for name in ("sideways", "height", "front", "lifted", "sinks")}
COLUMNS |= {"held": ("", 0), "cost": ("us", 0), "against the plane": ("times", 2)}


def step_terrain(cell: float) -> Terrain:
    """A step along y in the middle of 4 m x 4 m; its top begins at x = 0, and its foot one cell before that."""
    n = round(4.0 / cell) + 1
    x = (np.arange(n) - 0.5 * (n - 1)) * cell
    heights = np.repeat(np.where(x > -1e-6, RISE, 0.0)[:, None], n, axis=1).astype(np.float32)
    return Terrain("heightfield", heights, cell, 1e-3, 1.0, np.zeros((1, 1, 3), np.float32), ("step",), np.zeros(1))


def build(robot: RobotModel, cell: float | None, mass: float, constant: float = TIME_CONSTANTS[1]) -> mujoco.MjModel:
    """A ball of this mass [kg] that slides along x and z, and the step as a field of this cell width or as a box."""
    spec = mujoco.MjSpec()
    spec.option.timestep = TIMESTEP
    spec.option.integrator = mujoco.mjtIntegrator.mjINT_IMPLICITFAST
    spec.option.cone = mujoco.mjtCone.mjCONE_ELLIPTIC
    spec.add_material(name="ground")
    body = spec.worldbody.add_body(name="foot")
    for axis in ([1, 0, 0], [0, 0, 1]):
        body.add_joint(type=mujoco.mjtJoint.mjJNT_SLIDE, axis=axis)
    body.add_geom(type=mujoco.mjtGeom.mjGEOM_SPHERE, size=[robot.foot_radius, 0, 0], mass=mass)
    field = None
    if cell is None:
        for height, x in ((0.0, 0.0), (RISE, 1.0)):
            size = [1.0 if height else 2.0, 2.0, 0.5]
            spec.worldbody.add_geom(type=mujoco.mjtGeom.mjGEOM_BOX, size=size, pos=[x, 0.0, height - 0.5])
    else:
        field = HeightField(step_terrain(cell), "ground")
        field.add_to(spec)
    for geom in spec.geoms:
        geom.solref[0] = constant
    model = spec.compile()
    if field is not None:
        field.place(model)
    return model


def drop(model: mujoco.MjModel, robot: RobotModel, x: float) -> tuple[float, float]:
    """Drop the foot from 1 cm over the upper ground, its middle at x from the edge [m].

    Returns:
        Its sideways motion after 0.15 s, and its lowest point then, above the lower ground [m].
    """
    data = mujoco.MjData(model)
    data.qpos[:] = x, RISE + robot.foot_radius + 0.01
    for _ in range(round(0.15 / TIMESTEP)):
        mujoco.mj_step(model, data)
    return float(data.qpos[0] - x), float(data.qpos[1] - robot.foot_radius)


def swing(model: mujoco.MjModel, robot: RobotModel, clearance: float) -> tuple[float, float]:
    """Swing the foot at the riser, to 15 cm behind it.

    Returns:
        Distance from the foot's front to the edge, positive if beyond it, and the height by which it is lifted [m].
    """
    data = mujoco.MjData(model)
    start = np.array([-0.25, clearance + robot.foot_radius])
    data.qpos[:] = start
    front, lifted = -np.inf, 0.0
    for k in range(round(0.8 / TIMESTEP)):
        target = start + np.array([min(SPEED * k * TIMESTEP, 0.4), 0.0])
        data.qfrc_applied[:] = STIFFNESS * (target - data.qpos) - DAMPING * data.qvel
        data.qfrc_applied[0] += DAMPING * SPEED
        data.qfrc_applied[1] += LEG_MASS * 9.81
        mujoco.mj_step(model, data)
        front = max(front, float(data.qpos[0] + robot.foot_radius))
        lifted = max(lifted, float(data.qpos[1] - start[1]))
    return front, lifted


def stamp(model: mujoco.MjModel, robot: RobotModel) -> tuple[float, bool]:
    """Stamp the foot onto the lower ground at nine places within two cells, press it, then pull it with the same force.

    Returns:
        Its deepest sinking [m], and whether it came off everywhere within 0.3 s of pulling.
    """
    deepest, lowest = 0.0, np.inf
    for x in np.linspace(-1.0, -0.9, 9):
        data = mujoco.MjData(model)
        data.qpos[:] = x, robot.foot_radius + 0.008
        data.qvel[1] = -STAMP_SPEED
        for k in range(round(0.5 / TIMESTEP)):
            data.qfrc_applied[1] = -LOAD if k * TIMESTEP < 0.2 else LOAD
            mujoco.mj_step(model, data)
            deepest = min(deepest, float(data.qpos[1]) - robot.foot_radius)
        lowest = min(lowest, float(data.qpos[1]) - robot.foot_radius)
    return -deepest, lowest > 0.0


def make_env(cell: float | None, robot: str) -> Any:
    """Make robots on a terrain with these cells, or on a plane."""
    cfg = PointFootFlatCfg()
    cfg.asset.robot_type, cfg.env.num_envs = robot, COSTED_ROBOTS
    cfg.sim.backend, cfg.sim.num_threads = "mujoco", 1
    if cell is not None:
        cfg.terrain.profile, cfg.terrain.horizontal_scale = "mixed", cell
    return PointFootFlat(cfg)


@torch.inference_mode()
def step_costs(robot: str) -> np.ndarray:
    """Return the cost of a robot's policy step, measured in turns on the plane and on each of the fields.

    Returns:
        Processor time [s]. Shape (blocks, 1 + fields).
    """
    envs = [make_env(cell, robot) for cell in (None, *CELLS)]
    costs = np.zeros((1 + COSTED_BLOCKS, len(envs)))
    for costs_now in costs:
        for k, env in enumerate(envs):
            start = time.process_time()
            for _ in range(COSTED_STEPS):
                env.step(0.3 * torch.randn(COSTED_ROBOTS, 6))
            costs_now[k] = (time.process_time() - start) / (COSTED_STEPS * COSTED_ROBOTS)
    for env in envs:
        env.sim.close()
    return costs[1:]


def print_edges(robot: RobotModel) -> Figures:
    """Print and return the effects of a step's edge and its riser on a foot."""
    print(f"step of {100 * RISE:g} cm, foot of {100 * robot.foot_radius:g} cm radius; all in cm")
    print("drop at x from the edge: moved sideways / height; swing at a height: front beyond the edge / lifted by")
    print_line("ground", [f"drop {100 * x:+g}" for x in OFFSETS] + [f"swing at {100 * z:g}" for z in CLEARANCES])
    figures: Figures = {}
    for cell in (None, *CELLS):
        ground = ground_name(cell, "box")
        heavy, light = build(robot, cell, 0.5 * robot.total_mass), build(robot, cell, LEG_MASS)
        drops, swings = [drop(heavy, robot, x) for x in OFFSETS], [swing(light, robot, z) for z in CLEARANCES]
        print_line(ground, [f"{100 * a:+.1f} /{100 * b:5.1f}" for a, b in drops + swings])
        for x, (sideways, height) in zip(OFFSETS, drops, strict=True):
            figures[f"{ground}, drop at {100 * x:+g} cm"] = as_figures(sideways=100 * sideways, height=100 * height)
        for z, (front, lifted) in zip(CLEARANCES, swings, strict=True):
            figures[f"{ground}, swing at {100 * z:g} cm"] = as_figures(front=100 * front, lifted=100 * lifted)
    return figures


def print_stamps(robot: RobotModel) -> Figures:
    """Print and return how deep a stamped foot sinks."""
    print(f"stamped at {STAMP_SPEED:g} m/s, pressed and pulled with {LOAD:g} N, by time constant of contact: sinks by")
    print_line("ground", [f"{1000 * t:g} ms" for t in TIME_CONSTANTS])
    figures: Figures = {}
    for cell in (None, *CELLS):
        ground = ground_name(cell, "box")
        stamps = [stamp(build(robot, cell, LEG_MASS, constant), robot) for constant in TIME_CONSTANTS]
        print_line(ground, [f"{100 * deep:.1f} {'' if free else 'HELD'}" for deep, free in stamps])
        for constant, (deep, free) in zip(TIME_CONSTANTS, stamps, strict=True):
            figures[f"{ground}, stamp with {1000 * constant:g} ms"] = as_figures(sinks=100 * deep, held=not free)
    return figures


def print_costs(robot: str) -> Figures:
    """Print and return the cost of a policy step on each ground."""
    print(f"env.step of {COSTED_ROBOTS} robots: processor time per robot [us], steps/s per core, times the plane's")
    costs = step_costs(robot)
    figures: Figures = {}
    for k, cell in enumerate((None, *CELLS)):
        ground = ground_name(cell, "plane")
        cost, ratios = float(np.median(costs[:, k])), costs[:, k] / costs[:, 0]
        spread = f"{np.median(ratios):.2f} ({ratios.min():.2f}-{ratios.max():.2f})"
        print_line(ground, [f"{1e6 * cost:.0f}", f"{1.0 / cost:,.0f}", f"   {spread}"])
        low, median, high = np.quantile(ratios, [0.25, 0.5, 0.75]).tolist()
        against_plane = {"value": median, "spread": 0.5 * (high - low)}
        figures[f"{ground}, env.step"] = as_figures(cost=1e6 * cost) | {"against the plane": against_plane}
    return figures


def as_figures(**values: float) -> dict[str, results.Figure]:
    """Return plain figures of a row."""
    return {column: {"value": float(value)} for column, value in values.items()}


def ground_name(cell: float | None, without: str) -> str:
    """Name a ground by its cells."""
    return without if cell is None else f"{100 * cell:g} cm cells"


def print_line(name: str, cells: list[str]) -> None:
    """Print a line of a table."""
    print(f"{name:<13}" + "".join(f"{cell:>14}" for cell in cells))


def save_result(path: Path, robot: str, figures: Figures) -> None:
    """Write all tables as figures for the results page."""
    note = (
        "Drop: how far the foot moves sideways, and its height after. Swing: how far its front comes beyond the edge, "
        "and by how much it is lifted. Stamp: how deep it sinks, and 1 if the ground held it."
    )
    title, spread = f"The foot of {robot} on a step of 10 cm", "half of what lies between the quartiles of blocks"
    results.save(path, title, "Terrain", COLUMNS, figures, spread, [PointFootFlatCfg().seed], note=note)


def main() -> None:
    """Print the tables."""
    parser = Parser(description=__doc__.splitlines()[0])
    parser.add_argument("--robot", default="PF_TRON1A", help="robot whose foot is tested (default: %(default)s)")
    results.add_option(parser)
    args = parser.parse_args()
    if args.result is not None:
        check_writable(args.result)
    robot = RobotModel.from_urdf(robot_urdf(args.robot))
    figures = print_edges(robot) | print_stamps(robot) | print_costs(args.robot)
    if args.result is not None:
        save_result(args.result, args.robot, figures)


if __name__ == "__main__":
    run_main(main)
