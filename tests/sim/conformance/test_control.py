"""The PD law, its delay and the options of every simulator."""

import dataclasses
from dataclasses import fields

import torch

from legged_gym.sim.simulator import SimOptions
from tests.sim.conformance.bench import EVERY_PHYSICS_STEP, GRAVITY, Bench, assert_same_bits, randomised


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
