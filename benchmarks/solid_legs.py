"""How deep legs sink into each other when motors drive them together: `python benchmarks/solid_legs.py`.

In the air, legs spread by up to 80 degrees are driven together with all that the motors give at their speed. The table
has the deepest overlap by closing speed, for some margins and physics steps. Plain MuJoCo, one robot after the other.
"""

import argparse
import itertools
from typing import NamedTuple

import mujoco
import numpy as np
import torch

from legged_gym.evaluation import results
from legged_gym.sim.mujoco.spec import LEG_SHAPES, SELF_TIME_CONSTANT, build_spec
from legged_gym.sim.robot_model import RobotModel, robot_urdf
from legged_gym.sim.servo import Servo, clamp_target, limit_torque
from legged_gym.sim.sim_options import SimOptions

TRIALS = 60
SPEEDS = ((4, 8), (8, 10), (10, 12), (12, 14), (14, 18))
"""Classes of closing speeds [m/s]."""
DURATION = 0.8
"""[s]"""


class Slam(NamedTuple):
    """What came of one trial."""

    closing: float
    """Largest closing speed before the contact [m/s]."""
    overlap: float
    """Deepest overlap [m]."""
    rest: float
    """Distance at the end [m]."""


def make_servo(robot: RobotModel, kp: float, kd: float) -> Servo:
    """The controller and motors of a robot."""
    limit, corner, no_load = (
        torch.as_tensor(x) for x in (robot.torque_limits, robot.corner_speeds, robot.no_load_speeds)
    )
    return Servo(kp, kd, limit, corner, no_load, clamps=True)


def slam(model: mujoco.MjModel, servo: Servo, start: np.ndarray, target: np.ndarray, margin: float) -> Slam | None:
    """Drive the legs together from a pose (6,) [rad]; None if they overlap already."""
    data, ends = mujoco.MjData(model), np.zeros(6)
    names = [[f"{part}_{side}_collision" for part in LEG_SHAPES] for side in "LR"]
    pairs = [(model.geom(one).id, model.geom(other).id) for one, other in itertools.product(*names)]

    def gap() -> float:
        return min(mujoco.mj_geomDistance(model, data, *pair, 0.3, ends) for pair in pairs)

    data.qpos[2], data.qpos[7:] = 5.0, start
    mujoco.mj_forward(model, data)
    last = deepest = gap()
    closing = 0.0
    if last < 0.0:
        return None
    for _ in range(round(DURATION / model.opt.timestep)):
        pos, vel = torch.from_numpy(data.qpos[7:].copy()), torch.from_numpy(data.qvel[6:].copy())
        clamped = clamp_target(servo, torch.from_numpy(target), pos, vel)
        torque = limit_torque(servo, servo.kp * (clamped - pos) - servo.kd * vel, vel)
        data.ctrl[:] = pos + (torque + servo.kd * vel) / servo.kp
        mujoco.mj_step(model, data)
        mujoco.mj_kinematics(model, data)
        now = gap()
        if deepest > margin and max(now, last) < 0.29:
            closing = max(closing, (last - now) / model.opt.timestep)
        last, deepest = now, min(deepest, now)
    return Slam(closing, deepest, last)


def measure(robot: RobotModel, timestep: float, margin: float, both: bool) -> list[Slam]:
    """Slam legs together from many poses."""
    spec = build_spec(robot, SimOptions(timestep=timestep), ground=False, visuals=False)
    for pair in spec.pairs:
        pair.margin, pair.solref[0] = margin, SELF_TIME_CONSTANT * timestep
    model = spec.compile()
    model.opt.gravity[:] = 0.0
    servo, draw, slams = make_servo(robot, 42.0, 3.5), np.random.default_rng(0), []
    for _ in range(TRIALS):
        hip, knee, left, right = draw.uniform((-0.4, -0.4, 0.1, 0.1), (0.4, 0.7, 1.39, 1.39))
        start = np.array([left, hip, knee, -right if both else 0.0, -hip, -knee])
        target = start + 30.0 * np.array([-1.0, 0.0, 0.0, float(both), 0.0, 0.0])
        slams.append(slam(model, servo, start, target, margin))
    return [each for each in slams if each is not None]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition(":")[0])
    results.add_option(parser)
    args = parser.parse_args()
    columns = {f"{low}-{high}_m/s": ("mm", 0) for low, high in SPEEDS} | {"at_rest": ("mm", 0)}
    figures: dict[str, dict[str, results.Figure]] = {}
    robot = RobotModel.from_urdf(robot_urdf("PF_TRON1A"))
    print(f"{'step':>8}{'margin':>8}{'legs':>6}{'at rest':>9}", *(f"{low:>4}-{high} m/s" for low, high in SPEEDS))
    for timestep, margin, both in itertools.product((0.005, 0.0025), (0.0, 0.015, 0.03), (False, True)):
        slams = measure(robot, timestep, margin, both)
        cells = []
        for low, high in SPEEDS:
            depths = [each.overlap for each in slams if low <= each.closing < high]
            cells.append(f"{-1e3 * min(depths):6.0f} mm" if depths else "        -")
        rest = 1e3 * min(each.rest for each in slams)
        print(f"{1e3 * timestep:5.1f} ms{1e3 * margin:5.0f} mm{1 + both:6}{rest:6.0f} mm", *cells, flush=True)
        row = f"{'both_legs' if both else 'one_leg'}_{1e3 * timestep:g}_ms_margin_{1e3 * margin:g}_mm"
        figures[row] = {"at_rest": {"value": rest}}
        for low, high in SPEEDS:
            depths = [1e3 * each.overlap for each in slams if low <= each.closing < high]
            figures[row] |= {f"{low}-{high}_m/s": {"value": -min(depths)}} if depths else {}
    if args.result is not None:
        note = f"Deepest of {TRIALS} slams; a negative one is a gap. At rest: how far apart they end."
        title = "Deepest overlap of legs that are slammed together, by closing speed"
        results.save(args.result, title, "Physics", columns, figures, "", [0], note=note)


if __name__ == "__main__":
    main()
