"""What every simulator shows: shapes, frames and orders, compared with plain MuJoCo and with mechanics."""

from dataclasses import fields

import mujoco
import torch

from legged_gym.sim.sim_options import SimOptions
from legged_gym.sim.sim_state import SimState
from tests.sim.conformance.bench import Bench, Reference


def test_state_has_the_documented_shapes(bench: Bench) -> None:
    """Shapes, float32, the asked device; all of it filled in by a reset and by a step, in the same memory."""
    sim = bench.make(3)
    expected = SimState.zeros(3, bench.robot, "cpu")
    memory = [getattr(sim.state, f.name).data_ptr() for f in fields(SimState)]
    for state in (sim.state, bench.step(sim)):
        for field in fields(SimState):
            value = getattr(state, field.name)
            assert value.shape == getattr(expected, field.name).shape, field.name
            assert value.dtype == torch.float32 and value.device.type == bench.backend.device, field.name
            assert value.isfinite().all(), field.name
    assert memory == [getattr(sim.state, f.name).data_ptr() for f in fields(SimState)]


def test_reset_reads_back(bench: Bench) -> None:
    """What a reset is given is what the state shows: quaternion order, world-frame velocities, joint order."""
    sim = bench.make(2)
    quat = torch.tensor([[0.1, -0.5, 0.3, 0.8], [0.7, 0.1, -0.2, -0.4]])
    given = {
        "pos": torch.tensor([[1.0, -2.0, 5.0], [0.5, 0.3, 6.0]]),
        "quat": torch.nn.functional.normalize(quat, dim=-1),
        "lin_vel": torch.tensor([[0.3, -0.2, 0.1], [1.0, 2.0, 3.0]]),
        "ang_vel": torch.tensor([[0.5, 1.5, -1.0], [-0.3, 0.2, 2.0]]),
        "q": torch.tensor([[0.01, 0.02, 0.03, 0.04, 0.05, 0.06], [-0.1, 0.2, -0.3, 0.1, -0.2, 0.3]]),
        "qd": torch.tensor([[0.1, 0.2, 0.3, 0.4, 0.5, 0.6], [-1.0, 1.0, -2.0, 2.0, -3.0, 3.0]]),
    }
    bench.place(sim, **given)
    s = sim.state
    read = (s.root_pos_w, s.root_quat_xyzw, s.root_lin_vel_w, s.root_ang_vel_w, s.joint_pos, s.joint_vel)
    for value, wanted in zip(read, given.values(), strict=True):
        bench.close(value, wanted)
    assert (s.contact_force_w == 0).all() and (s.joint_torque == 0).all()


def test_feet_and_centre_of_mass_match_mujoco(bench: Bench) -> None:
    """Feet and whole-robot CoM, positions and velocities, at the very state that is shown; also with changed masses."""
    sim = bench.make(6)
    scale = torch.linspace(0.8, 1.2, 6 * 9, device=sim.device).view(6, 9)
    added, shift = torch.linspace(-0.5, 5.0, 6, device=sim.device), 0.02 * torch.ones(6, 3, device=sim.device)
    sim.set_parameter("link_mass_scale", scale)
    sim.set_parameter("base_mass_added", added)
    sim.set_parameter("base_com_offset", shift)
    reference = Reference(bench.robot)
    nominal, ipos = reference.model.body_mass.copy(), reference.model.body_ipos.copy()
    base = reference.bodies[0]

    def check() -> None:
        for i in range(6):
            reference.model.body_mass[reference.bodies] = nominal[reference.bodies] * scale[i].cpu().double().numpy()
            reference.model.body_mass[base] += float(added[i])
            reference.model.body_ipos[base] = ipos[base] + shift[i].cpu().double().numpy()
            mujoco.mj_setConst(reference.model, reference.data)
            reference.load(sim.state, i)
            bench.close(sim.state.com_pos_w[i], torch.from_numpy(reference.data.subtree_com[base]))
            bench.close(sim.state.com_lin_vel_w[i], torch.from_numpy(reference.data.subtree_linvel[base]))
            for side, foot in enumerate(reference.feet):
                bench.close(sim.state.feet_pos_w[i, side], torch.from_numpy(reference.data.xpos[foot]))
                bench.close(sim.state.feet_lin_vel_w[i, side], reference.foot_velocity(side))

    bench.place_tumbling(sim)
    check()
    bench.step(sim, (0.3, -0.2, 0.4, -0.1, 0.2, -0.3), times=3)
    check()


def test_velocities_are_the_rates_of_positions(bench: Bench) -> None:
    """Finite differences over a physics step of 1 ms, in tumbling flight with moving joints and weak servos."""
    sim = bench.make(4, SimOptions(timestep=0.001, decimation=1, kp=1.0, kd=0.02, num_threads=1))
    bench.place_tumbling(sim)
    before = bench.step(sim)
    after = bench.step(sim)
    tolerance = 0.05 / bench.atol  # accelerations of up to 100 m/s^2 and rad/s^2, over half a step

    def rate(name: str) -> torch.Tensor:
        return (getattr(after, name) - getattr(before, name)) / 0.001

    def mean(name: str) -> torch.Tensor:
        return 0.5 * (getattr(after, name) + getattr(before, name))

    for position, velocity in (
        *(("root_pos_w", "root_lin_vel_w"), ("com_pos_w", "com_lin_vel_w")),
        *(("feet_pos_w", "feet_lin_vel_w"), ("joint_pos", "joint_vel")),
    ):
        bench.close(rate(position), mean(velocity), tolerance)
    x, y, z, w = before.root_quat_xyzw.unbind(-1)
    inverse = torch.stack((-x, -y, -z, w), -1)
    turn = quat_multiply(after.root_quat_xyzw, inverse)  # in the world frame
    turn = turn * turn[:, 3:].sign()
    bench.close(2.0 * turn[:, :3] / 0.001, mean("root_ang_vel_w"), tolerance)
    assert mean("root_ang_vel_w").abs().max() > 0.5


def quat_multiply(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Product of quaternions x y z w."""
    (ax, ay, az, aw), (bx, by, bz, bw) = a.unbind(-1), b.unbind(-1)
    return torch.stack(
        (
            aw * bx + ax * bw + ay * bz - az * by,
            aw * by - ax * bz + ay * bw + az * bx,
            aw * bz + ax * by - ay * bx + az * bw,
            aw * bw - ax * bx - ay * by - az * bz,
        ),
        dim=-1,
    )


def test_a_target_moves_its_own_joint_that_way(bench: Bench) -> None:
    """Joint order and sign: one robot per joint, each told to move another joint by +0.3 rad."""
    sim = bench.make(6)
    targets = 0.3 * torch.eye(6, device=sim.device)
    state = bench.step(sim, targets, times=5)
    assert (state.joint_pos.diag() > 0.1).all()
    off_diagonal = state.joint_pos - state.joint_pos.diag().diag()
    assert off_diagonal.abs().max() < 0.1 < state.joint_pos.diag().min()
