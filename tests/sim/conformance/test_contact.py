"""Contact in every simulator: forces that carry, push and brake."""

import pytest
import torch

from legged_gym.sim.sim_options import SimOptions
from tests.sim.conformance.bench import EVERY_PHYSICS_STEP, GRAVITY, Bench, names


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
    sim = bench.make(3, SimOptions(timestep=0.001, decimation=1, num_threads=1))
    mu = torch.tensor([0.15, 0.3, 0.6], device=sim.device)
    sim.set_parameter("friction", mu.unsqueeze(-1).expand(3, 2).contiguous())
    bench.place(sim, pos=(0.0, 0.0, bench.robot.zero_pose_height), lin_vel=(5.0, 0.0, -0.5))
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


def test_each_foot_has_a_friction_of_its_own(bench: Bench) -> None:
    """Feet of 0.8 and 0.2: each is braked by its own, in the same robot, and the other way round in its neighbour."""
    sim = bench.make(2, SimOptions(timestep=0.001, decimation=1, num_threads=1))
    mu = torch.tensor([[0.8, 0.2], [0.2, 0.8]], device=sim.device)
    sim.set_parameter("friction", mu)
    bench.place(sim, pos=(0.0, 0.0, bench.robot.zero_pose_height), lin_vel=(5.0, 0.0, -0.5))
    ratios: list[torch.Tensor] = []
    for _ in range(10):
        state = bench.step(sim)
        force = state.contact_force_w[:, names(bench, "foot")]
        if (force[..., 2] > 20.0).all() and (state.feet_lin_vel_w[..., 0] > 0.8).all():
            ratios.append(-force[..., 0] / force[..., 2])
    assert len(ratios) >= 2
    torch.testing.assert_close(torch.stack(ratios).mean(0), mu, rtol=0.03, atol=0.0)


def test_softer_contacts_let_feet_in_deeper(bench: Bench) -> None:
    """A foot that lands with 2 m/s sinks the deeper the longer the time constant of its contact is."""
    sim = bench.make(2, EVERY_PHYSICS_STEP)
    if "contact_time_constant" in sim.UNSUPPORTED:
        pytest.skip("the engine's contacts are rigid")
    sim.set_parameter("contact_time_constant", torch.tensor([0.01, 0.03], device=sim.device))
    bench.place(sim, pos=(0.0, 0.0, bench.robot.zero_pose_height + 0.01), lin_vel=(0.0, 0.0, -2.0))
    depth = torch.stack([bench.step(sim).feet_pos_w[..., 2].amin(-1) for _ in range(20)]).amin(0).cpu()
    sunk = bench.robot.foot_radius - depth
    assert 0.0 < sunk[0] < 0.6 * sunk[1]


@pytest.mark.parametrize("body", [0, 1, 2], ids=["base", "left_foot", "right_foot"])
def test_a_wrench_pushes_as_long_as_it_acts(bench: Bench, body: int) -> None:
    """A force for five policy steps changes the robot's momentum by its impulse, and nothing does after it is over."""
    sim = bench.make(2)
    force = torch.tensor([30.0, -40.0, 20.0], device=sim.device)
    sim.wrench_w[0, body, :3] = force
    for _ in range(5):
        state = bench.step(sim)
    sim.wrench_w.zero_()
    gained = bench.robot.total_mass * (state.com_lin_vel_w[0] - state.com_lin_vel_w[1])
    torch.testing.assert_close(gained, 0.1 * force, rtol=0.1, atol=0.6)  # a leg that is flung turns the robot
    later = bench.step(sim, times=5)
    torch.testing.assert_close(later.com_lin_vel_w[0, :2], state.com_lin_vel_w[0, :2], rtol=0.1, atol=5e-3)
    assert later.com_lin_vel_w[1, :2].norm() < 5e-3, "the neighbour is pushed, too"


def test_a_torque_turns_the_base(bench: Bench) -> None:
    """Force and torque act at the base's centre of mass: a torque spins the robot about its axis, to the same side."""
    sim = bench.make(3)
    for row in range(3):
        sim.wrench_w[row, 0, 3 + row] = 20.0
    state = bench.step(sim, times=3)
    turned = state.root_ang_vel_w
    assert (turned.diagonal() > 0.3).all() and (turned.argmax(-1).cpu() == torch.arange(3)).all()
