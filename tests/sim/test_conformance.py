"""What every simulator backend must do; each test runs once per backend, outputs poisoned with NaN before every call.

Angles, frames and masses are compared with plain MuJoCo (`Reference`), everything else with mechanics.
"""

import dataclasses
import functools
import inspect
import subprocess
import sys
from collections.abc import Callable, Collection
from dataclasses import fields

import mujoco
import numpy as np
import pytest
import torch

from legged_gym.sim.registry import SIMULATORS, make_simulator, resolve_simulator
from legged_gym.sim.robot_model import RobotModel
from legged_gym.sim.simulator import SimOptions, SimState, Simulator
from tests.sim.conformance import BACKENDS, Backend, Bench, Reference

GRAVITY = 9.81
EVERY_PHYSICS_STEP = SimOptions(decimation=1, num_threads=1)


def names(bench: Bench, *parts: str) -> list[int]:
    """Indices of the bodies whose name contains one of the parts."""
    return [i for i, name in enumerate(bench.robot.body_names) if any(part in name for part in parts)]


def assert_same_bits(one: SimState, other: SimState, rows: list[int]) -> None:
    """Assert equality to the last bit; on a GPU, where threads race for the order of contacts, nearly."""
    for field in fields(SimState):
        a, b = getattr(one, field.name)[rows], getattr(other, field.name)[rows]
        assert a.isfinite().all(), f"{field.name} is not finite"
        same = torch.allclose(a, b, rtol=1e-2, atol=1e-2) if a.is_cuda else torch.equal(a, b)
        assert same, f"{field.name} differs"


# -- state and frames --------------------------------------------------------------------------------------------------


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


# -- free motion -------------------------------------------------------------------------------------------------------


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
    configure(reference, {name: value[row].cpu().double().numpy() for name, value in values.items()})
    reference.load(sim.state, row)
    delay, previous = int(values["action_delay"][row]), sim.state.joint_pos[row].cpu().double().numpy()
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


def randomised(sim: Simulator) -> dict[str, torch.Tensor]:
    """A value for every parameter, different for every robot, joint and body."""
    draw = torch.Generator().manual_seed(3)

    def factor(name: str) -> torch.Tensor:
        shape = sim.parameters[name].shape
        return (0.8 + 0.4 * torch.rand(shape, generator=draw)).to(sim.device)

    return {
        "friction": factor("friction") - 0.4,
        "base_mass_added": 3.0 * factor("base_mass_added"),
        "base_com_offset": 0.3 * (factor("base_com_offset") - 1.0),
        "link_mass_scale": factor("link_mass_scale"),
        "link_inertia_scale": factor("link_inertia_scale"),
        "kp": 42.0 * factor("kp"),
        "kd": 2.5 * factor("kd"),
        "strength": factor("strength"),
        "action_delay": torch.arange(sim.num_envs, device=sim.device) % 3 + 1.0,
    }


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
    m.geom_friction[:, 0] = values["friction"]
    mujoco.mj_setConst(m, reference.data)


# -- contact -----------------------------------------------------------------------------------------------------------


def test_contact_forces_carry_the_weight(bench: Bench) -> None:
    """A robot that lies still is carried by +z forces on its bodies that sum to its weight, added mass included."""
    sim = bench.make(3)
    added = torch.tensor([0.0, 5.0, 0.0], device=sim.device)
    scale = torch.ones(3, 9, device=sim.device)
    scale[2] = 1.2
    sim.set_parameter("base_mass_added", added)
    sim.set_parameter("link_mass_scale", scale)
    bench.place(sim, pos=(0.0, 0.0, 0.35), quat=(0.0, 0.70710678, 0.0, 0.70710678))
    bench.step(sim, times=150)
    force = torch.stack([bench.step(sim).contact_force_w.cpu() for _ in range(10)]).mean(0)  # (N, B, 3)
    mass = bench.robot.total_mass * torch.tensor([1.0, 1.0, 1.2]) + added.cpu()
    torch.testing.assert_close(force.sum(1)[:, 2], mass * GRAVITY, rtol=0.01, atol=0.0)
    assert force.sum(1)[:, :2].abs().max() < 2.0
    assert (force[..., 2] >= 0.0).all()
    assert (sim.state.root_lin_vel_w.abs() < 0.05).all()


def test_contact_forces_change_the_momentum(bench: Bench) -> None:
    """Standing: the feet carry all, and the net force over the mass is the CoM's acceleration, physics step by step."""
    sim = bench.make(1, EVERY_PHYSICS_STEP)
    height = bench.robot.zero_pose_height
    bench.place(sim, pos=(0.0, 0.0, height), lin_vel=(0.2, 0.1, 0.0))
    bench.step(sim, times=30)
    feet = names(bench, "foot")
    for _ in range(10):
        before = bench.snapshot(sim)
        after = bench.step(sim)
        acceleration = (after.com_lin_vel_w - before.com_lin_vel_w)[0] / 0.005
        acceleration[2] += GRAVITY
        force = after.contact_force_w[0]
        torch.testing.assert_close(force.sum(0) / bench.robot.total_mass, acceleration, rtol=0.0, atol=0.1)
        torch.testing.assert_close(force[feet].sum(0), force.sum(0))
        assert (force[feet, 2] > 20.0).all()


def test_sliding_friction(bench: Bench) -> None:
    """A foot that slides along x is braked by mu times its normal force."""
    sim = bench.make(3, EVERY_PHYSICS_STEP)
    mu = torch.tensor([0.15, 0.3, 0.6], device=sim.device)
    sim.set_parameter("friction", mu)
    bench.place(sim, pos=(0.0, 0.0, bench.robot.zero_pose_height), lin_vel=(3.0, 0.0, -0.3))
    samples: list[list[torch.Tensor]] = [[], [], []]
    for _ in range(10):
        state = bench.step(sim)
        force = state.contact_force_w[:, names(bench, "foot")].sum(1)
        for i in range(3):
            if force[i, 2] > 20.0 and (state.feet_lin_vel_w[i, :, 0] > 0.8).all():
                samples[i].append(-force[i, 0] / force[i, 2])
    assert min(map(len, samples)) >= 2
    means = torch.stack([torch.stack(sample).mean() for sample in samples])
    torch.testing.assert_close(means, mu, rtol=0.02, atol=0.0)


# -- control -----------------------------------------------------------------------------------------------------------


def test_torque_follows_the_law(bench: Bench) -> None:
    """torque = clip(strength (kp (target - q) - kd dq), +-limit), of the state before the physics step."""
    sim = bench.make(8, EVERY_PHYSICS_STEP)
    values = randomised(sim)
    kp, kd, strength = values["kp"], values["kd"], values["strength"]
    for name, value in (("kp", kp), ("kd", kd), ("strength", strength)):
        sim.set_parameter(name, value)
    bench.place_tumbling(sim)
    limit = torch.tensor(bench.robot.torque_limits, dtype=torch.float32, device=sim.device)
    clipped = []
    for k in range(6):
        before = bench.snapshot(sim)
        target = torch.sin(torch.arange(48.0, device=sim.device) + k).view(8, 6) * (4.0 if k > 2 else 0.3)
        state = bench.step(sim, target)
        asked = strength * (kp * (target - before.joint_pos) - kd * before.joint_vel)
        bench.close(state.joint_torque, asked.clamp(-limit, limit), factor=100)  # of torques up to 80 N m
        clipped.append((asked.abs() > limit).float().mean())
    assert min(clipped) < 0.1 and max(clipped) > 0.5


def test_huge_target_reaches_the_limit_and_no_more(bench: Bench) -> None:
    """+-80 N m, whatever is asked."""
    sim = bench.make(2)
    targets = torch.tensor([[1e4], [-1e4]], device=sim.device).expand(2, 6)
    torque = bench.step(sim, targets).joint_torque.cpu()
    limits = torch.tensor(bench.robot.torque_limits, dtype=torch.float32)
    torch.testing.assert_close(torque, torch.stack((limits, -limits)), rtol=1e-5, atol=0.0)


def test_action_delay_counts_physics_steps(bench: Bench) -> None:
    """Delay k over 4 physics steps equals no delay with each physics step's target chosen by hand, in flight."""
    delays = torch.arange(5.0)
    sim = bench.make(5)
    sim.set_parameter("action_delay", delays.to(sim.device))
    twin = bench.make(5, EVERY_PHYSICS_STEP)
    start = (0.1, -0.1, 0.2, 0.0, 0.1, -0.2)
    for each in (sim, twin):
        bench.place(each, q=start)
    targets = [torch.tensor(start)] + [0.4 * torch.sin(torch.arange(6.0) * (k + 1)) for k in range(5)]
    for k in range(5):
        for substep in range(4):
            arrived = (substep >= delays).unsqueeze(-1)
            bench.step(twin, torch.where(arrived, targets[k + 1], targets[k]).to(sim.device))
        bench.step(sim, targets[k + 1])
        bench.close(sim.state.joint_pos, twin.state.joint_pos)
        bench.close(sim.state.joint_vel, twin.state.joint_vel, factor=10)
    spread = (sim.state.joint_vel[:-1] - sim.state.joint_vel[1:]).abs().amax(-1)
    assert (spread > 0.1).all(), "the delay changes nothing"


def test_options_reach_the_engine(bench: Bench) -> None:
    """Every field of SimOptions but the number of threads changes the motion; for the terrain see test_terrain.py."""
    changed = {"timestep": 0.004, "decimation": 3, "kp": 50.0, "kd": 3.0, "armature": 0.02, "joint_damping": 0.5}
    assert set(changed) | {"num_threads", "terrain"} == {f.name for f in fields(SimOptions)}
    nominal = SimOptions(num_threads=1)

    def moved(options: SimOptions) -> torch.Tensor:
        sim = bench.make(1, options)
        state = bench.step(sim, (0.3,) * 6, times=3)
        sim.close()
        return state.joint_pos

    standard = moved(nominal)
    for name, value in changed.items():
        other = dataclasses.replace(nominal, **{name: value})  # type: ignore[arg-type]
        assert (moved(other) - standard).abs().max() > 50 * bench.atol, name


def test_bare_engine_step_advances_but_shows_nothing(bench: Bench) -> None:
    """The yardstick for `step` moves the robots by a policy step and leaves the state as it is until the next step."""
    sim = bench.make(2)
    before = bench.step(sim)
    sim.step_engine()
    assert_same_bits(before, sim.state, [0, 1])
    after = bench.step(sim)
    bench.close(after.com_lin_vel_w[:, 2], torch.full((2,), -3 * 0.02 * GRAVITY), factor=250)


# -- reset, push, parameters -------------------------------------------------------------------------------------------


def test_reset_leaves_the_others_bit_for_bit(bench: Bench) -> None:
    """Robots outside the mask keep every bit of their state, and go on as in a twin that was not touched."""
    sim, twin = bench.make(5), bench.make(5)
    reset, kept = [1, 3], [0, 2, 4]
    for each in (sim, twin):
        bench.place_tumbling(each, height=0.7)
        bench.step(each, (0.2,) * 6, times=10)
    mask = bench.everyone(sim)
    mask[kept] = False
    bench.place(sim, mask, pos=(1.0, 2.0, 0.9), lin_vel=(0.1, 0.2, 0.3), q=(0.1,) * 6)
    assert_same_bits(sim.state, twin.state, kept)
    assert twin.state.contact_force_w[kept].abs().sum() > 0
    bench.close(sim.state.root_pos_w[reset], torch.tensor([[1.0, 2.0, 0.9]] * 2))
    bench.close(sim.state.joint_pos[reset], torch.full((2, 6), 0.1))
    assert (sim.state.contact_force_w[reset] == 0).all() and (sim.state.joint_torque[reset] == 0).all()
    for each in (sim, twin):
        bench.step(each, (-0.2,) * 6, times=5)
    assert_same_bits(sim.state, twin.state, kept)


def test_reset_forgets_the_past(bench: Bench) -> None:
    """A reset robot moves as a new one does, delayed action included."""
    sim, fresh = bench.make(1), bench.make(1)
    for each in (sim, fresh):
        each.set_parameter("action_delay", torch.full((1,), 3.0, device=each.device))
    bench.place_tumbling(sim, height=0.7)
    bench.step(sim, (0.5,) * 6, times=10)
    for each in (sim, fresh):
        bench.place(each, pos=(0.0, 0.0, 0.8), q=(0.1,) * 6)
        bench.step(each, (-0.3,) * 6, times=10)
    assert_same_bits(sim.state, fresh.state, [0])


def test_reset_of_nobody_changes_nothing(bench: Bench) -> None:
    """An empty mask is allowed."""
    sim = bench.make(2)
    bench.place_tumbling(sim)
    before = bench.step(sim)
    bench.place(sim, ~bench.everyone(sim))
    sim.push(~bench.everyone(sim), torch.ones(2, 3, device=sim.device))
    assert_same_bits(before, sim.state, [0, 1])


def test_push_adds_a_velocity_to_the_base(bench: Bench) -> None:
    """The base, and the legs with it, get faster by the given velocity in the world frame; the others do not."""
    sim = bench.make(3)
    bench.place_tumbling(sim)
    before = bench.step(sim)
    mask = torch.tensor([True, False, True], device=sim.device)
    delta = torch.tensor([[1.0, -0.5, 0.2], [9.0, 9.0, 9.0], [0.0, 0.7, 0.0]], device=sim.device)
    sim.push(mask, delta)
    s = sim.state
    for name in ("root_lin_vel_w", "com_lin_vel_w"):
        bench.close(getattr(s, name)[[0, 2]], (getattr(before, name) + delta)[[0, 2]])
    bench.close(s.feet_lin_vel_w[[0, 2]], (before.feet_lin_vel_w + delta[:, None])[[0, 2]])
    bench.close(s.root_ang_vel_w, before.root_ang_vel_w)
    assert_same_bits(before, s, [1])
    after = bench.step(sim)
    moved = (after.root_pos_w - before.root_pos_w)[0] - 0.02 * before.root_lin_vel_w[0]
    assert moved[0] > 0.015, "the push is not in the motion"


@pytest.mark.parametrize("name", Simulator.PARAMETERS)
def test_every_parameter_changes_the_motion(bench: Bench, name: str) -> None:
    """A robot with another value moves otherwise; its neighbours, outside the mask, do not change by a bit."""
    sim, twin = bench.make(3), bench.make(3)
    other = randomised(sim)[name]
    sim.set_parameter(name, other, torch.tensor([False, True, False], device=sim.device))
    nominal = twin.parameters[name]
    assert torch.equal(sim.parameters[name][1], other[1]) and not torch.equal(other[1], nominal[1])
    assert torch.equal(sim.parameters[name][[0, 2]], nominal[[0, 2]])
    for each in (sim, twin):
        bench.place(each, pos=(0.0, 0.0, 0.8), lin_vel=(1.5, 0.3, 0.0), ang_vel=(0.0, 0.0, 2.0))
        for k in range(8):
            bench.step(each, 0.3 * torch.sin(torch.arange(6.0) + k))
    assert_same_bits(sim.state, twin.state, [0, 2])
    assert (sim.state.root_pos_w[1] - twin.state.root_pos_w[1]).norm() > 1e-4, "it is the same motion"


def test_parameters_can_be_set_back(bench: Bench) -> None:
    """Setting is absolute, never relative to the last value: twice and back is as if never touched."""
    sim, twin = bench.make(2), bench.make(2)
    for name, value in randomised(sim).items():
        sim.set_parameter(name, value)
        sim.set_parameter(name, value)
    for name, value in twin.parameters.items():
        sim.set_parameter(name, value)
    for each in (sim, twin):
        bench.place(each, pos=(0.0, 0.0, 0.8), lin_vel=(0.5, 0.3, 0.0))
        bench.step(each, (0.2,) * 6, times=8)
    assert_same_bits(sim.state, twin.state, [0, 1])


def test_unknown_parameters_and_wrong_shapes_are_refused(bench: Bench) -> None:
    """Errors say what came, what was expected, what there is; and nothing is changed."""
    sim = bench.make(2)
    with pytest.raises(KeyError, match=r"unknown simulation parameter 'mass'; known: friction, .*action_delay"):
        sim.set_parameter("mass", torch.ones(2))
    with pytest.raises(ValueError, match=r"kp: got shape \(2,\), expected \(2, 6\)"):
        sim.set_parameter("kp", torch.ones(2))
    for delay in (-1.0, 5.0, torch.nan) if sim.device.type == "cpu" else ():
        with pytest.raises(ValueError, match=r"action_delay must lie in 0\.\.4 physics steps"):
            sim.set_parameter("action_delay", torch.full((2,), delay, device=sim.device))
    assert (sim.parameters["action_delay"] == 0).all()


# -- reproducibility and broken robots ---------------------------------------------------------------------------------


def test_same_commands_same_bits(bench: Bench) -> None:
    """Two simulators, and a simulator with another number of threads, give the same trajectory to the last bit."""
    states = []
    for threads in (1, 1, 2):
        sim = bench.make(6, SimOptions(num_threads=threads))
        for name, value in randomised(sim).items():
            sim.set_parameter(name, value)
        bench.place_tumbling(sim, height=0.8)
        for k in range(20):
            bench.step(sim, 0.4 * torch.sin(torch.arange(6.0) + k))
        states.append(bench.snapshot(sim))
    assert_same_bits(states[0], states[1], list(range(6)))
    assert_same_bits(states[0], states[2], list(range(6)))


@pytest.mark.parametrize("speed", [torch.nan, torch.inf, 1e12], ids=["nan", "inf", "huge"])
def test_a_broken_robot_is_seen_and_can_be_repaired(bench: Bench, speed: float) -> None:
    """A robot that left the finite numbers shows them, for as long as it is not reset, and disturbs nobody."""
    sim, twin = bench.make(3), bench.make(3)
    for each in (sim, twin):
        bench.place_tumbling(each, height=0.7)
    middle = torch.tensor([False, True, False], device=sim.device)
    bench.place(sim, middle, pos=(0.0, 0.0, 0.7), lin_vel=(speed, 0.0, 0.0))
    for _ in range(3):
        for each in (sim, twin):
            bench.step(each, (0.2,) * 6)
        assert not sim.state.root_pos_w[1].isfinite().all()
        assert_same_bits(sim.state, twin.state, [0, 2])
    for each in (sim, twin):
        bench.place(each, middle, pos=(0.0, 0.0, 0.8))
        bench.step(each, (0.1,) * 6, times=5)
    assert_same_bits(sim.state, twin.state, [0, 1, 2])


def test_render_draws_the_robot(bench: Bench) -> None:
    """An image of the asked size that shows something, and another robot looks otherwise."""
    sim = bench.make(2)
    bench.place(sim, pos=torch.tensor([[0.0, 0.0, 0.82], [0.0, 0.0, 1.5]]))
    if not can_render():
        pytest.skip("no off-screen rendering here")
    images = [sim.render(robot, width=64, height=48) for robot in range(2)]
    for image in images:
        assert image.shape == (48, 64, 3) and image.dtype == np.uint8 and image.std() > 10.0
    assert np.abs(images[0].astype(int) - images[1]).mean() > 1.0


PROBE = "import mujoco; mujoco.Renderer(mujoco.MjModel.from_xml_string('<mujoco/>'), 8, 8).render()"


@functools.cache
def can_render() -> bool:
    """Tell whether there is OpenGL, in a process of its own, for MuJoCo may abort where there is none."""
    return subprocess.run([sys.executable, "-c", PROBE], check=False).returncode == 0


# -- the suite itself --------------------------------------------------------------------------------------------------


class Idle(Simulator):
    """A backend that does nothing."""

    def _apply_parameters(self, names: Collection[str], mask: torch.Tensor) -> None:
        pass

    def step(self, joint_targets: torch.Tensor) -> None:
        pass

    def reset(self, mask: torch.Tensor, *state: torch.Tensor, **named: torch.Tensor) -> None:
        pass

    def push(self, mask: torch.Tensor, delta_vel_w: torch.Tensor) -> None:
        pass

    def render(self, robot: int = 0, width: int = 640, height: int = 480) -> np.ndarray:
        return np.zeros((height, width, 3), np.uint8)


CHECKS = [
    value
    for name, value in list(globals().items())
    if name.startswith("test_") and list(inspect.signature(value).parameters)[:1] == ["bench"] and "refused" not in name
]
"""All tests of a backend, but for the input checks that the base class does for all of them."""


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_an_idle_backend_fails(check: Callable[..., None]) -> None:
    """Every test above is red for a backend that does nothing."""
    arguments = {"name": "kp", "speed": torch.nan}
    wanted = {key: value for key, value in arguments.items() if key in inspect.signature(check).parameters}
    idle = Bench("idle", Backend(device="cpu", atol=2e-5), Idle)
    with pytest.raises((AssertionError, NotImplementedError, pytest.fail.Exception)):
        check(idle, **wanted)


def test_every_registered_backend_is_tested() -> None:
    assert set(SIMULATORS) <= set(BACKENDS)


def test_unknown_simulators_are_refused(pf_tron1a: RobotModel) -> None:
    with pytest.raises(ValueError, match="unknown simulator 'bullet'; known: auto, mujoco"):
        make_simulator("bullet", pf_tron1a, 1, SimOptions(), "cpu")
    assert resolve_simulator("auto") in SIMULATORS


def test_mujoco_runs_on_the_cpu_only(pf_tron1a: RobotModel) -> None:
    with pytest.raises(ValueError, match="runs on the CPU: use --sim_device cpu"):
        make_simulator("mujoco", pf_tron1a, 1, SimOptions(), "cuda:0")
