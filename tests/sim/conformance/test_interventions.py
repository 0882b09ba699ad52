"""Resets, pushes and parameters in every simulator: what they do, and that nobody else's robot sees them."""

import pytest
import torch

from legged_gym.sim.simulator import Simulator
from tests.sim.conformance.bench import Bench, assert_same_bits, randomised


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
        each.set_parameter("action_delay", torch.full((1,), 0.015, device=each.device))
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
    if name in sim.UNSUPPORTED:
        pytest.skip("the engine does not have it, and says so")
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
    for delay in (-1.0, 0.03, torch.nan) if sim.device.type == "cpu" else ():
        with pytest.raises(ValueError, match=r"action_delay must lie in 0\.\.0.02 s, a policy step"):
            sim.set_parameter("action_delay", torch.full((2,), delay, device=sim.device))
    assert (sim.parameters["action_delay"] == 0).all()
