"""Every simulator repeats itself, outlives broken robots and draws them."""

import functools
import subprocess
import sys

import numpy as np
import pytest
import torch

from legged_gym.sim.sim_options import SimOptions
from tests.sim.conformance.bench import Bench, assert_same_bits, randomised


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
