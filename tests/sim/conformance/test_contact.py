"""Contact in every simulator: forces that carry, push and brake."""

import torch

from tests.sim.conformance.bench import EVERY_PHYSICS_STEP, GRAVITY, Bench


def names(bench: Bench, *parts: str) -> list[int]:
    """Indices of the bodies whose name contains one of the parts."""
    return [i for i, name in enumerate(bench.robot.body_names) if any(part in name for part in parts)]


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
