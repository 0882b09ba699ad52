"""The PD law, its delay and the options of every simulator."""

import dataclasses
from dataclasses import fields

import torch

from legged_gym.sim.sim_options import SimOptions
from legged_gym.sim.simulator import Simulator
from tests.sim.conformance.bench import EVERY_PHYSICS_STEP, GRAVITY, Bench, assert_same_bits, names, randomised


def limits(bench: Bench, sim: Simulator, vel: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Lowest and highest torque of motors that lose torque from 9 rad/s on and have none at 15 rad/s."""
    limit = torch.tensor(bench.robot.torque_limits, dtype=torch.float32, device=sim.device)
    left = ((15.0 - vel.abs()) / 6.0).clamp(0.0, 1.0)
    return -limit * torch.where(vel < 0.0, left, 1.0), limit * torch.where(vel > 0.0, left, 1.0)


def test_torque_follows_the_law(bench: Bench) -> None:
    """torque = strength (kp (target - q) - kd dq) within what the motor gives, of the state before the physics step."""
    sim = bench.make(8, EVERY_PHYSICS_STEP)
    values = randomised(sim)
    kp, kd, strength = values["kp"], values["kd"], values["strength"]
    for name, value in (("kp", kp), ("kd", kd), ("strength", strength)):
        sim.set_parameter(name, value)
    bench.place_tumbling(sim)
    limited, slowed = [], []
    for k in range(8):
        before = bench.snapshot(sim)
        target = torch.sin(torch.arange(48.0, device=sim.device) + k).view(8, 6) * (4.0 if k > 2 else 0.3)
        state = bench.step(sim, target)
        asked = strength * (kp * (state.joint_target - before.joint_pos) - kd * before.joint_vel)
        lowest, highest = limits(bench, sim, before.joint_vel)
        bench.close(state.joint_torque, asked.clamp(lowest, highest), factor=100)  # of torques up to 80 N m
        limited.append(((asked > highest) | (asked < lowest)).float().mean())
        slowed.append(((highest < 79.0) | (lowest > -79.0)).any())
    assert min(limited) < 0.1 and max(limited) > 0.1 and any(slowed)


def test_the_controller_clamps_targets_and_they_stay_clamped(bench: Bench) -> None:
    """Each physics step, by the nominal gains, at the state before it; what was clamped is the target from then on."""
    sim = bench.make(4)
    twin = bench.make(4, EVERY_PHYSICS_STEP)
    targets = 3.0 * torch.sin(torch.arange(24.0, device=sim.device)).view(4, 6)
    for each in (sim, twin):
        bench.place(each, qd=(2.0, -4.0, 6.0, -2.0, 4.0, -6.0))
    half = torch.tensor(bench.robot.torque_limits, dtype=torch.float32, device=sim.device) / 42.0
    target = targets
    for _ in range(4):
        before = bench.snapshot(twin)
        middle = before.joint_pos + 3.5 / 42.0 * before.joint_vel
        target = target.clamp(middle - half, middle + half)
        bench.close(bench.step(twin, target).joint_target, target)
    bench.close(bench.step(sim, targets).joint_target, target, factor=10)
    bench.close(sim.state.joint_pos, twin.state.joint_pos, factor=10)
    assert ((target - targets).abs() > 0.1).any() and (target == targets).any(), "some are clamped, and some are not"


def test_without_clamp_and_curve_the_law_is_ideal(bench: Bench) -> None:
    """Targets stay as they are, and a fast joint has its full torque."""
    sim = bench.make(2, dataclasses.replace(EVERY_PHYSICS_STEP, clamp_targets=False, motor_curve=False))
    bench.place(sim, qd=(14.0,) * 6)
    targets = torch.tensor([[9.0], [-9.0]], device=sim.device).expand(2, 6)
    state = bench.step(sim, targets)
    assert torch.equal(state.joint_target, targets)
    bench.close(state.joint_torque, 80.0 * targets.sign(), factor=100)


def test_huge_target_reaches_the_limit_and_no_more(bench: Bench) -> None:
    """+-80 N m, whatever is asked, while the joints are slow."""
    sim = bench.make(2, EVERY_PHYSICS_STEP)
    targets = torch.tensor([[1e4], [-1e4]], device=sim.device).expand(2, 6)
    torque = bench.step(sim, targets).joint_torque.cpu()
    limits = torch.tensor(bench.robot.torque_limits, dtype=torch.float32)
    torch.testing.assert_close(torque, torch.stack((limits, -limits)), rtol=1e-4, atol=0.0)


def test_action_delay_is_rounded_to_physics_steps(bench: Bench) -> None:
    """A delay of k physics steps of 4 equals no delay with each one's target chosen by hand, in flight."""
    delays = torch.arange(5.0)
    sim = bench.make(5)
    sim.set_parameter("action_delay", (0.005 * delays + torch.tensor([0.0, 1e-3, -1e-3, 2e-3, 0.0])).to(sim.device))
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


def test_peaks_are_those_of_all_physics_steps(bench: Bench) -> None:
    """Power and foot forces of a policy step are the largest of its physics steps; a twin shows these one by one."""
    sim, twin = bench.make(2), bench.make(2, EVERY_PHYSICS_STEP)
    for each in (sim, twin):
        bench.place(each, pos=(0.0, 0.0, bench.robot.zero_pose_height + 0.02), lin_vel=(0.0, 0.0, -1.0))
    for _ in range(4):
        targets = torch.tensor([0.3, -0.3, 0.3, -0.3, 0.3, -0.3], device=sim.device).expand(2, 6)
        single = [bench.step(twin, targets) for _ in range(4)]
        state = bench.step(sim, targets)
        power = torch.stack([(s.joint_torque * s.joint_vel).abs().sum(-1) for s in single]).amax(0)
        force = torch.stack([s.contact_force_w[:, names(bench, "foot")].norm(dim=-1) for s in single]).amax(0)
        torch.testing.assert_close(state.peak_power, power, rtol=0.02, atol=0.5)
        torch.testing.assert_close(state.peak_foot_force, force, rtol=0.02, atol=0.5)
        assert (state.peak_leg_force == 0.0).all()
    assert (force > 10.0).any() and (power > 1.0).all()


def test_feet_show_how_fast_they_land(bench: Bench) -> None:
    """A robot that falls from 10 and from 30 cm lands with sqrt(2 g h); in flight and in stance there is no landing."""
    sim = bench.make(2)
    drop = torch.tensor([0.1, 0.3])
    pos = torch.tensor([[0.0, 0.0, bench.robot.zero_pose_height]]).repeat(2, 1)
    pos[:, 2] += drop
    bench.place(sim, pos=pos)
    seen = torch.stack([bench.step(sim).landing_speed.amax(-1).cpu() for _ in range(16)])  # (steps, N)
    assert (seen > 0.0).any(0).all(), "no landing is seen"
    first = torch.stack([seen[:, i][seen[:, i] > 0.0][0] for i in range(2)])
    torch.testing.assert_close(first, (2.0 * GRAVITY * drop).sqrt(), rtol=0.05, atol=0.0)
    assert (seen[:6, 0] == 0.0).all() and (seen[:11, 1] == 0.0).all()


def test_a_landing_is_where_contact_begins(bench: Bench) -> None:
    """In the physics step in which a foot begins to touch, with its speed before; one that stays down lands no more."""
    sim = bench.make(2, EVERY_PHYSICS_STEP)
    bench.place(sim, pos=(0.0, 0.0, bench.robot.zero_pose_height + 0.03), lin_vel=(0.0, 0.0, -1.0))
    feet, landings, stays = names(bench, "foot"), 0, 0
    for _ in range(40):
        before = bench.snapshot(sim)
        state = bench.step(sim)
        touched = before.contact_force_w[:, feet].norm(dim=-1) > 0.0
        touches = state.contact_force_w[:, feet].norm(dim=-1) > 0.0
        speed = -before.feet_lin_vel_w[..., 2]
        lands = touches & ~touched
        bench.close(state.landing_speed, torch.where(lands, speed.clamp(min=0.0), 0.0), factor=100)
        landings += int(lands.sum())
        stays += int((touches & touched).sum())
    assert landings >= 4 and stays >= 20, "no foot lands, or none stays down: nothing is tested"


def test_options_reach_the_engine(bench: Bench) -> None:
    """Every field of SimOptions but the number of threads changes the motion; for the terrain see test_terrain.py."""
    changed = {"timestep": 0.004, "decimation": 3, "kp": 50.0, "kd": 3.0, "armature": 0.1, "joint_damping": 0.5}
    elsewhere = {
        "num_threads",
        "terrain",
        "self_collisions",
        "clamp_targets",
        "motor_curve",
        "engine",
    }  # tested elsewhere
    assert set(changed) | elsewhere == {f.name for f in fields(SimOptions)}
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
