"""Rows as they are walked: what is done to the robots, and what is measured of them."""

import math
from dataclasses import replace
from typing import Any

import pytest
import torch

from legged_gym.envs.pointfoot.pointfoot_flat import PointFootFlat
from legged_gym.envs.pointfoot.pointfoot_flat_config import PointFootFlatCfg
from legged_gym.evaluation.rows import ALL_ROWS as ROWS
from legged_gym.evaluation.rows import Row, Script
from legged_gym.evaluation.suites import evaluate, evaluation_cfg, run_row, run_rows
from legged_gym.utils.errors import UserError

# -- what is measured --------------------------------------------------------------------------------------------------


def test_known_errors_come_out(fake_env: type, agent: Any) -> None:
    result = run_row(fake_env(), agent, ROWS["track"], seed=0)
    assert result["n"] == 4 and result["survival"] == 1.0
    expected = {"vx": 0.1, "vy": -0.2, "wz": 0.3}
    for name, error in expected.items():
        assert result[f"bias_{name}"] == pytest.approx(error, abs=1e-6)
        assert result[f"rmse_{name}"] == pytest.approx(abs(error), abs=1e-6)
    assert result["mean_abs_daction"] == pytest.approx(0.5)
    assert result["torque_rms"] == pytest.approx(math.sqrt(25.0 / 6.0))
    assert result["peak_power"] == pytest.approx(10.0)
    assert result["base_height"] == pytest.approx(0.7)
    assert result["step_rate"] == pytest.approx(2.0)  # one touchdown every 25 steps of 0.02 s
    assert result["foot_slip"] == pytest.approx(0.75)  # left 0.5 m/s, right 1.0 m/s, half of the time each
    assert result["touchdown_speed"] == pytest.approx(0.805) and result["foot_force"] == pytest.approx(212.5)
    assert result["legs_touch"] == pytest.approx(0.25, abs=1e-3) and result["other_contacts"] == 0.0


def test_a_fallen_robot_counts_in_survival_only(fake_env: type, agent: Any) -> None:
    result = run_row(fake_env(falls=(2, 500)), agent, ROWS["track"], seed=0)
    assert result["survival"] == 0.75
    assert result["rmse_vx"] == pytest.approx(0.1, abs=1e-6)


def test_a_fall_before_the_errors_begin_leaves_nothing_to_measure(fake_env: type, agent: Any) -> None:
    result = run_row(fake_env(num_envs=1, falls=(0, 20)), agent, ROWS["track"], seed=0)
    assert result["survival"] == 0.0
    for name in ("rmse_vx", "peak_power", "touchdown_speed", "foot_force", "other_contacts", "legs_touch"):
        assert result[name] is None, name


@pytest.mark.parametrize("posture", ["lies", "leans", "crouches", "touches with a shin"])
def test_a_survivor_is_upright_in_the_last_second(fake_env: type, agent: Any, posture: str) -> None:
    """It may have been otherwise before: the last second of a row of 4 s is its policy steps 151 to 200."""
    row = replace(ROWS["track"], duration=4.0)
    for first, last, survival in ((151, 200, 0.75), (200, 200, 0.75), (151, 151, 0.75), (1, 150, 1.0)):
        env = fake_env(postures=((2, posture, first, last),))
        assert run_row(env, agent, row, seed=0)["survival"] == survival, (first, last)


@pytest.mark.parametrize("posture", ["leans a little", "crouches a little", "touches with a foot"])
def test_who_walks_is_upright(fake_env: type, agent: Any, posture: str) -> None:
    env = fake_env(postures=((2, posture, 1, 200),))
    assert run_row(env, agent, replace(ROWS["track"], duration=4.0), seed=0)["survival"] == 1.0


def test_the_last_second_is_each_robots_own(fake_env: type, agent: Any) -> None:
    """Robots kicked later are judged later; what one does once its row is over is its own affair."""
    script = Script(ROWS["push_1.5"], 32, 0.02, 2.0, 0)
    end = int(script.end[9])
    assert end < script.end.max()
    for first, last, survived in ((end, end, 31), (end + 1, end + 1, 32), (end - 50, end - 50, 32)):
        env = fake_env(32, postures=((9, "lies", first, last),))
        assert run_row(env, agent, ROWS["push_1.5"], seed=0)["survival"] == survived / 32


def test_other_contacts_are_counted(fake_env: type, agent: Any) -> None:
    """Robot 2 of four touches with a shin for 90 of the 900 steps that count."""
    env = fake_env(postures=((2, "touches with a shin", 200, 289),))
    assert run_row(env, agent, ROWS["track"], seed=0)["other_contacts"] == pytest.approx(0.1 / 4)


def test_drift_and_turn_of_who_is_told_to_stand(fake_env: type, agent: Any) -> None:
    """Robot 1 drifts by 1 cm/s and turns by 0.02 rad/s, robot 2 turns to the other side; robot 0 falls on its way."""
    env = fake_env(3, falls=(0, 500))
    env.drift_w = torch.tensor([[9.0, 0.0], [0.006, -0.008], [0.0, 0.0]])
    env.turn_rate = torch.tensor([1.0, 0.02, -0.04])
    result = run_row(env, agent, ROWS["stand"], seed=0)
    assert result["drift"] == pytest.approx(0.01 * 19.98 / 2, abs=1e-4)
    assert result["turned"] == pytest.approx((0.02 + 0.04) * 19.98 / 2, abs=1e-4)
    assert (torch.stack(env.commands_seen) == 0.0).all()
    assert "drift" not in run_row(fake_env(), agent, ROWS["track"], seed=0)


def test_nobody_is_left_to_drift(fake_env: type, agent: Any) -> None:
    result = run_row(fake_env(num_envs=1, falls=(0, 20)), agent, ROWS["stand"], seed=0)
    assert result["drift"] is None and result["turned"] is None


# -- what is asked -----------------------------------------------------------------------------------------------------


def test_commands_stay_in_the_box_and_change_every_five_seconds(fake_env: type, agent: Any) -> None:
    env = fake_env(num_envs=200)
    run_row(env, agent, ROWS["track"], seed=3)
    commands = torch.stack(env.commands_seen)  # (steps, N, 3)
    assert len(commands) == 1000
    changed = (commands[1:] != commands[:-1]).any(-1).any(-1).nonzero().squeeze(-1) + 1
    assert changed.tolist() == [250, 500, 750]
    low, high = torch.tensor(ROWS["track"].box).unbind(-1)
    assert (commands >= low).all() and (commands <= high).all()
    assert torch.allclose(commands.amin((0, 1)), low, atol=0.02) and torch.allclose(
        commands.amax((0, 1)), high, atol=0.02
    )


def test_the_stick_reverses_each_second(fake_env: type, agent: Any) -> None:
    env = fake_env(8)
    run_row(env, agent, ROWS["stick"], seed=0)
    commands = torch.stack(env.commands_seen)
    turned = (commands[1:] == -commands[:-1]).all(-1).all(-1).nonzero().squeeze(-1) + 1
    assert turned.tolist() == list(range(50, 500, 50))
    assert torch.equal(commands.abs(), torch.tensor([0.375, 0.25, 1.0]).expand(500, 8, 3))


def test_gait_rows_set_the_clock_and_the_first_observation_shows_it(fake_env: type, agent: Any) -> None:
    env = fake_env(4)
    rows = [replace(ROWS[name], duration=0.1) for name in ("gait_1.6", "gait_2.8", "stick")]
    run_rows(env, agent, rows[:2], seed=0)
    for seen in (agent.seen[0], agent.seen[-1]):
        assert seen[:, 26].tolist() == pytest.approx([1.6, 1.6, 2.8, 2.8])
        assert seen[:, 27:].flatten().tolist() == pytest.approx([0.5, 0.5, 0.1] * 4)
    advance = torch.remainder(env.clocks[1] - env.clocks[0], 1.0)
    assert advance.tolist() == pytest.approx([0.032, 0.032, 0.056, 0.056], abs=1e-6)
    run_row(env, agent, rows[2], seed=0)
    assert agent.seen[0][:, 26].tolist() == [2.0] * 4, "the next row has the nominal gait again"


def test_a_real_environment_shows_the_gait_of_the_row_from_the_first_observation_on() -> None:
    env, seen = small_env(), []

    class Watcher:
        def reset(self, seed: int) -> None:
            pass

        def act(self, obs: Any) -> torch.Tensor:
            seen.append({name: obs[name].clone() for name in ("policy", "history")})
            return torch.zeros(2, 6)

    run_row(env, Watcher(), replace(ROWS["gait_2.8"], duration=0.08), seed=0)
    for obs in seen:
        assert torch.allclose(obs["policy"][:, 26:], torch.tensor([2.8, 0.5, 0.5, 0.1]))
        assert torch.allclose(obs["history"].view(2, 10, 30)[..., 26], torch.tensor(2.8))
    clocks = [torch.atan2(obs["policy"][:, 24], obs["policy"][:, 25]) / (2.0 * torch.pi) for obs in seen]
    assert torch.remainder(clocks[1] - clocks[0], 1.0).tolist() == pytest.approx([0.056] * 2, abs=1e-5)
    env.sim.close()


def small_env() -> Any:
    cfg = PointFootFlatCfg()
    cfg.asset.robot_type, cfg.sim.backend, cfg.sim.num_threads = "PF_TRON1A", "mujoco", 1
    return PointFootFlat(evaluation_cfg(cfg, 2, seed=0))


# -- what befalls robots -----------------------------------------------------------------------------------------------


def test_each_robot_is_kicked_once_at_its_time(fake_env: type, agent: Any) -> None:
    env = fake_env(num_envs=400)
    result = run_row(env, agent, ROWS["push_1.5"], seed=0)
    times = torch.stack([mask * step for step, mask, _ in env.sim.pushes]).sum(0)
    kicks = torch.stack([mask for _, mask, _ in env.sim.pushes]).sum(0)
    assert (kicks == 1).all()
    assert times.min() == 150 and times.max() == 174  # from 3 s on, over a gait cycle of 0.5 s
    velocity = env.sim.pushes[0][2]
    assert torch.allclose(velocity.norm(dim=-1), torch.tensor(1.5)) and (velocity[:, 2] == 0.0).all()
    assert velocity.mean(0).norm() < 1e-3
    assert (torch.stack(env.commands_seen) == torch.tensor([0.4, 0.0, 0.0])).all()
    assert result["survival"] == 1.0


def test_a_fall_counts_up_to_four_seconds_after_the_own_kick(fake_env: type, agent: Any) -> None:
    env = fake_env(num_envs=400)
    run_row(env, agent, ROWS["push_1.5"], seed=0)
    kicked = {int(i): step for step, mask, _ in env.sim.pushes for i in mask.nonzero()}
    last = kicked[7] + 200  # the 200th step after the kick
    assert run_row(fake_env(400, falls=(7, last)), agent, ROWS["push_1.5"], 0)["survival"] == pytest.approx(399 / 400)
    assert run_row(fake_env(400, falls=(7, last + 1)), agent, ROWS["push_1.5"], 0)["survival"] == 1.0


def wrenches_of(env: Any, agent: Any, row: Row) -> torch.Tensor:
    """Walk a row; returns the external forces of all policy steps. Shape (steps, N, 3, 6)."""
    run_row(env, agent, row, seed=0)
    assert (env.sim.wrench_w == 0.0).all(), "a force is left behind"
    return torch.stack(env.wrenches)


def test_a_shove_gives_its_impulse_from_eight_directions_and_ends(fake_env: type, agent: Any) -> None:
    wrench = wrenches_of(fake_env(16), agent, ROWS["shove_18"])
    force = wrench[:, :, 0, :3]
    pushed = force.norm(dim=-1) > 0.0
    assert (pushed.sum(0) == 5).all(), "0.1 s"
    assert torch.allclose(force.norm(dim=-1)[pushed], torch.tensor(180.0))
    first = pushed.float().argmax(0)
    assert first.tolist() == [150] * 8 + [162] * 8, "half a gait cycle later"
    impulse = 0.02 * force.sum(0)  # (N, 3)
    angle = math.pi / 4.0 * torch.arange(16)
    expected = 18.0 * torch.stack((angle.cos(), angle.sin(), torch.zeros(16)), -1)
    torch.testing.assert_close(impulse, expected, rtol=1e-4, atol=1e-3)
    assert (wrench[:, :, 0, 3:] == 0.0).all() and (wrench[:, :, 1:] == 0.0).all()


def test_a_shove_on_the_lid_turns_the_robot_too(fake_env: type, agent: Any) -> None:
    """The lid is 0.25 m over the centre of mass of the base, along the base's own axis."""
    env = fake_env(8)
    env.quat[4:] = torch.tensor([math.sqrt(0.5), 0.0, 0.0, math.sqrt(0.5)])  # a quarter about x: the lid points to -y
    force, torque = wrenches_of(env, agent, ROWS["shove_lid_9"])[150, :, 0].split(3, dim=-1)
    assert torch.allclose(force.norm(dim=-1), torch.tensor(90.0))
    x, y, zero = force[:, 0], force[:, 1], torch.zeros(8)
    upright, lying = torch.stack((-0.25 * y, 0.25 * x, zero), -1), torch.stack((zero, zero, 0.25 * x), -1)
    torch.testing.assert_close(torque[:4], upright[:4], rtol=1e-5, atol=1e-4)
    torch.testing.assert_close(torque[4:], lying[4:], rtol=1e-5, atol=1e-4)


def test_a_trip_holds_back_the_swing_foot_against_the_heading(fake_env: type, agent: Any) -> None:
    """The foot that was in the air when it began: the left one in the second half of the cycle."""
    env = fake_env(50)
    half = 0.5 * torch.linspace(-3.0, 3.0, 50)  # of the heading
    env.quat = torch.stack((torch.zeros(50), torch.zeros(50), half.sin(), half.cos()), -1)
    wrench, clocks = wrenches_of(env, agent, ROWS["trip_200"]), torch.stack(env.clocks)
    assert (wrench[:, :, 0] == 0.0).all() and (wrench[..., 3:] == 0.0).all()
    force = wrench[:, :, 1:, :3]  # (steps, N, F, 3)
    held = force.norm(dim=-1) > 0.0
    assert (held.sum(0).sum(-1) == 5).all() and (held.any(0).sum(-1) == 1).all(), "one foot, for 0.1 s"
    first = held.any(-1).float().argmax(0)
    assert first.tolist() == [150 + i // 2 for i in range(50)]
    left = clocks[first, torch.arange(50)] >= 0.5
    assert torch.equal(held.any(0)[:, 0], left) and 10 < left.sum() < 40
    back = -torch.stack((torch.cos(2.0 * half), torch.sin(2.0 * half), torch.zeros(50)), -1)
    torch.testing.assert_close(force.sum(0).sum(1) / 5.0, 200.0 * back, rtol=1e-4, atol=1e-3)


def test_side_by_side_only_the_row_that_asks_for_it_is_disturbed(fake_env: type, agent: Any) -> None:
    env = fake_env(num_envs=32)
    rows = [ROWS[name] for name in ("track_slow", "shove_9", "trip_100", "push_0.5")]
    run_rows(env, agent, rows, seed=0)
    pushed = (torch.stack(env.wrenches) != 0.0).any(0).any(-1)  # (N, 1 + F)
    expected = [[False] * 3] * 8 + [[True, False, False]] * 8
    assert pushed[:16].tolist() == expected and pushed[24:].tolist() == [[False] * 3] * 8
    assert not pushed[16:24, 0].any() and pushed[16:24, 1:].any(-1).all()
    kicked = torch.stack([mask & (kick != 0.0).any(-1) for _, mask, kick in env.sim.pushes]).any(0)
    assert kicked.tolist() == [False] * 24 + [True] * 8


def test_a_row_that_is_cut_short_leaves_no_force_behind(fake_env: type, agent: Any) -> None:
    env = fake_env(num_envs=8)
    run_rows(env, agent, [replace(ROWS["shove_9"], push_time=0.94)], seed=0, give_up=lambda row, seconds: True)
    assert len(env.wrenches) == 50 and (env.wrenches[-1][:, 0, :2] != 0.0).any()
    assert (env.sim.wrench_w == 0.0).all()


# -- physics -----------------------------------------------------------------------------------------------------------


def test_a_changed_parameter_is_put_back(fake_env: type, agent: Any) -> None:
    env = fake_env()
    for name in ("payload_5", "friction_0.25", "latency_20"):
        run_row(env, agent, ROWS[name], seed=0)
    assert env.sim.history == [
        *(("base_mass_added", 5.0), ("base_mass_added", 0.0), ("friction", 0.25), ("friction", 1.0)),
        *(("action_delay", pytest.approx(0.02)), ("action_delay", pytest.approx(0.01))),
    ]


def parameters_of(env: Any, agent: Any, rows: list[Row]) -> dict[str, torch.Tensor]:
    """Walk rows side by side; returns the parameters in force meanwhile."""
    seen = {}
    step = env.step
    env.step = lambda actions: seen.update({n: v.clone() for n, v in env.sim.parameters.items()}) or step(actions)
    before = {name: value.clone() for name, value in env.sim.parameters.items()}
    run_rows(env, agent, [replace(row, duration=0.1, push_time=0.1) for row in rows], seed=0)
    assert all(torch.equal(env.sim.parameters[name], value) for name, value in before.items())
    return seen


def test_side_by_side_every_row_has_its_own_physics(fake_env: type, agent: Any) -> None:
    names = ["payload_5", "friction_0.25", "push_0.5", "stiff_2ms", "armature_0.03", "kd_2.5"]
    seen = parameters_of(fake_env(num_envs=12), agent, [ROWS[name] for name in names])
    assert seen["base_mass_added"].tolist() == [5.0] * 2 + [0.0] * 10
    assert seen["friction"].flatten().tolist() == pytest.approx([1.0] * 4 + [0.25] * 4 + [1.0] * 16)
    assert seen["contact_time_constant"].tolist() == pytest.approx([0.01] * 6 + [0.002] * 2 + [0.01] * 4)
    assert seen["armature"].flatten().tolist() == pytest.approx([0.01] * 48 + [0.03] * 12 + [0.01] * 12)
    assert seen["kd"].flatten().tolist() == pytest.approx([3.5] * 60 + [2.5] * 12)


def test_friction_is_each_foots_own(fake_env: type, agent: Any) -> None:
    """The left foot's first; and a real simulator takes it so."""
    seen = parameters_of(fake_env(num_envs=4), agent, [ROWS["track_slow"], ROWS["feet_0.8_0.2"]])
    assert seen["friction"].flatten().tolist() == pytest.approx([1.0] * 4 + [0.8, 0.2] * 2)
    env = small_env()
    real = parameters_of(env, agent, [ROWS["feet_0.8_0.2"]])
    assert real["friction"].flatten().tolist() == pytest.approx([0.8, 0.2] * 2)
    assert env.sim.parameters["friction"].flatten().tolist() == pytest.approx([0.6] * 4)
    env.sim.close()


@pytest.mark.parametrize(
    ("broken_step", "value", "walked"), [(30, math.nan, 50), (60, math.inf, 100), (120, math.nan, 120)]
)
def test_a_policy_that_gives_no_numbers_is_refused(
    fake_env: type, agent: Any, broken_step: int, value: float, walked: int
) -> None:
    """Of one robot, in one step, be it the last one; the physics is nominal again all the same."""
    act, env = agent.act, fake_env()

    def broken(obs: Any) -> torch.Tensor:
        action = act(obs)
        if len(agent.seen) == broken_step:
            action[1, 3] = value
        return action

    agent.act = broken
    with pytest.raises(UserError, match=r"^the policy returns NaN or infinite actions: ") as error:
        run_row(env, agent, replace(ROWS["payload_5"], duration=2.4), seed=0)
    assert "\n" not in str(error.value) and len(env.commands_seen) == walked
    assert (env.sim.parameters["base_mass_added"] == 0.0).all()


# -- rows beside and after each other ----------------------------------------------------------------------------------


def test_a_row_does_not_depend_on_the_rows_before_it(fake_env: type, agent: Any) -> None:
    alone, after = fake_env(), fake_env()
    run_row(alone, agent, ROWS["track_slow"], seed=0)
    for name in ("push_0.5", "track_slow"):
        run_row(after, agent, ROWS[name], seed=0)
    assert torch.equal(torch.stack(alone.commands_seen), torch.stack(after.commands_seen)[-500:])


def test_environment_and_agent_draw_the_same_whatever_was_walked_before(fake_env: type, agent: Any) -> None:
    env, starts, seeds = fake_env(), [], []
    reset, env.reset = env.reset, lambda: starts.append(torch.rand(3)) or reset()
    agent.value, agent.seen, agent.reset = 0.0, [], seeds.append
    for name in ("track_slow", "push_0.5", "track_slow"):
        run_row(env, agent, replace(ROWS[name], duration=0.1, push_time=0.1), seed=0)
    assert torch.equal(starts[0], starts[2]) and not torch.equal(starts[0], starts[1])
    assert seeds[0] == seeds[2] != seeds[1]


def test_rows_side_by_side_give_what_they_give_alone(fake_env: type, agent: Any) -> None:
    names = ("track", "push_1.5", "payload_5", "friction_0.25", "stand")
    rows = [replace(ROWS[name], duration=4.0) for name in names]
    env, fell = fake_env(num_envs=50, falls=(13, 160)), fake_env(num_envs=10, falls=(3, 160))
    together = run_rows(env, agent, rows, seed=0)
    alone = [run_row(fell if row.push else fake_env(num_envs=10), agent, row, seed=0) for row in rows]
    for both, single in zip(together, alone, strict=True):
        assert both == pytest.approx(single, rel=1e-5)
    assert [row["survival"] for row in together] == pytest.approx([1.0, 0.9, 1.0, 1.0, 1.0])
    kicked = torch.stack([mask for _, mask, _ in env.sim.pushes]).any(0)
    assert kicked.tolist() == [False] * 10 + [True] * 10 + [False] * 30
    commands = torch.stack(env.commands_seen)[:200]
    assert (commands[:, 10:20] == torch.tensor([0.4, 0.0, 0.0])).all() and (commands[:, :10, 1] != 0.0).any()


def test_rows_end_early_once_nobody_stands_in_any_of_them(fake_env: type, agent: Any) -> None:
    row = replace(ROWS["track_slow"], duration=4.0)
    alone, beside = fake_env(num_envs=1, falls=(0, 20)), fake_env(num_envs=2, falls=(0, 20))
    run_row(alone, agent, row, seed=0)
    run_rows(beside, agent, [row, row], seed=0)
    assert (len(alone.commands_seen), len(beside.commands_seen)) == (50, 200)


def test_an_unfinished_row_does_not_ask_to_be_upright(fake_env: type, agent: Any) -> None:
    """Who lies after a second may rise: only falls can make a row hopeless before its end."""
    seen: list[tuple[float | None, float]] = []
    env = fake_env(num_envs=2, postures=((0, "lies", 1, 60),))
    row = replace(ROWS["track_slow"], duration=4.0)
    (result,) = run_rows(env, agent, [row], seed=0, give_up=lambda row, s: bool(seen.append((row["survival"], s))))
    assert seen == [(1.0, pytest.approx(s)) for s in (1.0, 2.0, 3.0, 4.0)] and result["survival"] == 1.0


@pytest.mark.parametrize("at_once", [False, True])
def test_rows_of_one_physics_share_an_environment(fake_env: type, agent: Any, at_once: bool) -> None:
    built = []

    def build(cfg: Any) -> Any:
        built.append(cfg)
        env = fake_env(num_envs=cfg.env.num_envs)
        env.sim.close = lambda: closed.append(cfg)
        return env, agent

    closed: list[Any] = []
    names = ["step_1ms", "track", "damping_0", "damping_0.01", "armature_0.03", "push_0.5"]
    rows = [replace(ROWS[name], duration=0.1, push_time=0.1) for name in names]
    results = evaluate(build, PointFootFlatCfg(), rows, 3, 0, at_once)
    assert list(results) == names and all(row["n"] == 3 for row in results.values())
    # As deployed, joints are damped by 0.01 anyway, and a rotor's inertia is a parameter of the robot.
    assert [(cfg.sim.dt, cfg.control.decimation, cfg.sim.joint_damping) for cfg in built] == [
        *((0.001, 20, 0.01), (0.005, 4, 0.01), (0.005, 4, 0.0)),
    ]
    assert [cfg.env.num_envs for cfg in built] == ([3, 12, 3] if at_once else [3, 3, 3])
    assert closed == built


def test_rows_are_walked_under_the_physics_that_is_asked_for(fake_env: type, agent: Any) -> None:
    built = []

    def build(cfg: Any) -> Any:
        built.append(cfg)
        env = fake_env(num_envs=2)
        env.sim.close = lambda: None
        return env, agent

    rows = [replace(ROWS["track"], duration=0.1)]
    evaluate(build, PointFootFlatCfg(), rows, 2, 0, False)
    evaluate(build, PointFootFlatCfg(), rows, 2, 0, False, physics="ideal")
    assert [cfg.control.motor_curve for cfg in built] == [True, False]


def test_a_simulator_that_ran_out_of_room_says_so(
    fake_env: type, agent: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    for overflows in ({}, {"contacts": 1200}):
        env = fake_env(num_envs=2)
        env.sim.overflows, env.sim.close = overflows, lambda: None
        rows = [replace(ROWS["track"], duration=0.1)]
        evaluate(lambda cfg, env=env: (env, agent), PointFootFlatCfg(), rows, 2, 0, False)
        warning = (
            "warning: buffers of the simulator overflowed, so it left something out: contacts 1,200\n"
            if overflows
            else ""
        )
        assert capsys.readouterr().out == warning


def test_physics_rows_are_given_the_same_shoves(fake_env: type, agent: Any) -> None:
    first, second = fake_env(8), fake_env(8)
    run_row(first, agent, ROWS["armature_0.0"], seed=0)
    run_row(second, agent, ROWS["damping_0.01"], seed=0)
    assert torch.equal(torch.stack(first.commands_seen), torch.stack(second.commands_seen))
    assert torch.equal(torch.stack(first.wrenches), torch.stack(second.wrenches))
    assert (torch.stack(first.wrenches) != 0.0).any()


def test_another_seed_gives_other_commands(fake_env: type, agent: Any) -> None:
    first, second = fake_env(), fake_env()
    run_row(first, agent, ROWS["track_slow"], seed=0)
    run_row(second, agent, ROWS["track_slow"], seed=1)
    assert not torch.equal(torch.stack(first.commands_seen), torch.stack(second.commands_seen))
