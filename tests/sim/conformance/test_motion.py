"""How robots move in every simulator: in flight, and as plain MuJoCo moves them."""

import mujoco
import numpy as np
import torch

from legged_gym.sim.sim_options import CONTACT_TIME_CONSTANT
from tests.sim.conformance.bench import GRAVITY, Bench, Reference, randomised


def test_free_fall(bench: Bench) -> None:
    """Without contact the CoM accelerates with g, and only with g, whatever the legs do."""
    sim = bench.make(3)
    bench.place_tumbling(sim)
    before = bench.snapshot(sim)
    after = bench.step(sim, (0.3, -0.3, 0.3, -0.3, 0.3, -0.3), times=10)
    fall = torch.tensor([0.0, 0.0, -GRAVITY * 0.2]).expand(3, 3)
    bench.close(after.com_lin_vel_w.cpu(), before.com_lin_vel_w.cpu() + fall, factor=250)  # 5 mm/s, of integration
    assert (after.contact_force_w == 0).all()


def test_trajectory_matches_mujoco(bench: Bench) -> None:
    """Every parameter at a value of its own, landing on the ground: the same motion as plain MuJoCo with that model."""
    sim = bench.make(2)
    row = 1
    values = randomised(sim)
    for name, value in values.items():
        sim.set_parameter(name, value)
    bench.place_tumbling(sim)
    bench.place(sim, pos=(0.0, 0.0, 0.85), lin_vel=(0.3, 0.0, -0.5), q=(0.1, 0.2, -0.1, -0.1, 0.2, 0.1))
    reference = Reference(bench.robot)
    in_force = {name: value[row] for name, value in values.items()}
    if "contact_time_constant" in sim.UNSUPPORTED:
        in_force["contact_time_constant"] = torch.tensor(CONTACT_TIME_CONSTANT)
    configure(reference, {name: value.cpu().double().numpy() for name, value in in_force.items()})
    reference.load(sim.state, row)
    delay, previous = round(float(values["action_delay"][row]) / 0.005), sim.state.joint_pos[row].cpu().double().numpy()
    for k in range(15):
        target = 0.3 * torch.sin(torch.arange(6, device=sim.device) + 0.5 * k)
        for substep in range(4):
            now = target.cpu().double().numpy() if substep >= delay else previous
            reference.command(now, bench.backend.explicit_torque)
            mujoco.mj_step(reference.model, reference.data)
        previous = target.cpu().double().numpy()
        bench.step(sim, target)
        tolerance = 10.0 if k < 3 else 20.0  # contacts magnify rounding and solver tolerance
        bench.close(sim.state.root_pos_w[row], torch.from_numpy(reference.data.qpos[:3]), tolerance)
        bench.close(sim.state.joint_pos[row], torch.from_numpy(reference.data.qpos[7:]), tolerance)
    assert sim.state.contact_force_w[row].abs().sum() > 10.0, "the scenario has no contact in it"


def configure(reference: Reference, values: dict[str, np.ndarray]) -> None:
    """Give the reference model one robot's parameters."""
    m, ids, base = reference.model, reference.bodies, reference.bodies[0]
    m.body_mass[ids] *= values["link_mass_scale"]
    m.body_mass[base] += values["base_mass_added"]
    m.body_inertia[ids] *= values["link_inertia_scale"][:, None]
    m.body_ipos[base] += values["base_com_offset"]
    m.actuator_gainprm[:, 0] = values["kp"] * values["strength"]
    m.actuator_biasprm[:, 1] = -values["kp"] * values["strength"]
    m.actuator_biasprm[:, 2] = -values["kd"] * values["strength"]
    m.dof_armature[6:] = values["armature"]
    for side, friction in zip("LR", values["friction"], strict=True):
        for part in ("abad", "hip", "knee", "foot"):
            m.geom(f"{part}_{side}_collision").friction[0] = friction
            m.geom(f"{part}_{side}_collision").solref[0] = values["contact_time_constant"]
    m.geom("base_collision").friction[0] = values["friction"].mean()
    mujoco.mj_setConst(m, reference.data)
