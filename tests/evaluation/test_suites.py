import math
from dataclasses import replace
from typing import Any

import pytest
import torch

from legged_gym.envs.pointfoot.pointfoot_flat_config import PointFootFlatCfg
from legged_gym.evaluation.suites import (
    STANDARD_SUITES,
    SUITES,
    evaluate,
    evaluation_cfg,
    nominal_cfg,
    passes_walking_gate,
    run_row,
    run_rows,
    select_rows,
    varied_cfg,
)
from legged_gym.utils.errors import UserError

ROWS = {row.name: row for rows in SUITES.values() for row in rows}


def test_the_rows_are_the_agreed_ones() -> None:
    standard = [row.name for row in select_rows(STANDARD_SUITES)]
    assert standard == [
        *("track", "track_slow", "push_0.5", "push_1.0", "push_1.5", "push_2.0", "push_2.5"),
        *("payload_2", "payload_5", "payload_10", "friction_0.15", "friction_0.25", "friction_0.4", "friction_1.0"),
    ]
    assert [row.name for row in SUITES["physics"]] == [
        *("step_1ms", "step_2ms", "kd_2.5", "kd_3.5", "armature_0", "armature_0.01", "damping_0", "damping_0.01")
    ]
    assert [row.name for row in select_rows(["all"])] == list(ROWS)
    assert ROWS["track"].duration == 20.0 and ROWS["track"].resampling_time == 5.0
    assert ROWS["track"].box == ((-0.5, 1.0), (-0.3, 0.3), (-0.5, 0.5))
    assert ROWS["track_slow"].duration == 10.0
    assert ROWS["track_slow"].box == ((-0.5, 0.5), (-0.2, 0.2), (-0.5, 0.5))
    assert ROWS["payload_5"].parameter == "base_mass_added" and ROWS["payload_5"].value == 5
    assert ROWS["friction_0.15"].parameter == "friction" and ROWS["friction_0.15"].value == 0.15
    assert ROWS["push_1.5"].push == 1.5 and ROWS["push_1.5"].duration == 4.0 and ROWS["push_1.5"].push_time == 3.0


def test_known_errors_come_out(fake_env: type, agent: Any) -> None:
    result = run_row(fake_env(), agent, ROWS["track"], seed=0)
    assert result["n"] == 4 and result["survival"] == 1.0
    expected = {"vx": 0.1, "vy": -0.2, "wz": 0.3}
    for name, error in expected.items():
        assert result[f"bias_{name}"] == pytest.approx(error, abs=1e-6)
        assert result[f"rmse_{name}"] == pytest.approx(abs(error), abs=1e-6)
    assert result["mean_abs_daction"] == pytest.approx(0.5)
    assert result["torque_rms"] == pytest.approx(math.sqrt(25.0 / 6.0))
    assert result["peak_power"] == pytest.approx(3.0 * 2.0 + 4.0 * 1.0)
    assert result["base_height"] == pytest.approx(0.7)
    assert result["step_rate"] == pytest.approx(2.0)  # one touchdown every 25 steps of 0.02 s
    assert result["foot_slip"] == pytest.approx(0.75)  # left 0.5 m/s, right 1.0 m/s, half of the time each


def test_a_fallen_robot_counts_in_survival_only(fake_env: type, agent: Any) -> None:
    result = run_row(fake_env(falls=(2, 500)), agent, ROWS["track"], seed=0)
    assert result["survival"] == 0.75
    assert result["rmse_vx"] == pytest.approx(0.1, abs=1e-6)


def test_a_fall_before_the_errors_begin_leaves_nothing_to_measure(fake_env: type, agent: Any) -> None:
    result = run_row(fake_env(num_envs=1, falls=(0, 20)), agent, ROWS["track"], seed=0)
    assert result["survival"] == 0.0 and result["rmse_vx"] is None and result["peak_power"] is None


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


def test_each_robot_is_kicked_once_in_a_random_direction_and_phase(fake_env: type, agent: Any) -> None:
    env = fake_env(num_envs=400)
    result = run_row(env, agent, ROWS["push_1.5"], seed=0)
    times = torch.stack([mask * step for step, mask, _ in env.sim.pushes]).sum(0)
    kicks = torch.stack([mask for _, mask, _ in env.sim.pushes]).sum(0)
    assert (kicks == 1).all()
    assert times.min() == 150 and times.max() == 174  # from 3 s on, over a gait cycle of 0.5 s
    velocity = env.sim.pushes[0][2]
    assert torch.allclose(velocity.norm(dim=-1), torch.tensor(1.5)) and (velocity[:, 2] == 0.0).all()
    assert velocity.mean(0).norm() < 0.2
    assert (torch.stack(env.commands_seen) == torch.tensor([0.4, 0.0, 0.0])).all()
    assert result["survival"] == 1.0


def test_a_fall_counts_up_to_four_seconds_after_the_own_kick(fake_env: type, agent: Any) -> None:
    env = fake_env(num_envs=400)
    run_row(env, agent, ROWS["push_1.5"], seed=0)
    kicked = {int(i): step for step, mask, _ in env.sim.pushes for i in mask.nonzero()}
    last = kicked[7] + 200  # the 200th step after the kick
    assert run_row(fake_env(400, falls=(7, last)), agent, ROWS["push_1.5"], 0)["survival"] == pytest.approx(399 / 400)
    assert run_row(fake_env(400, falls=(7, last + 1)), agent, ROWS["push_1.5"], 0)["survival"] == 1.0


def test_a_changed_parameter_is_put_back(fake_env: type, agent: Any) -> None:
    env = fake_env()
    for name in ("payload_5", "friction_0.25"):
        run_row(env, agent, ROWS[name], seed=0)
    assert env.sim.history == [
        ("base_mass_added", 5.0),
        ("base_mass_added", 0.0),
        ("friction", 0.25),
        ("friction", 1.0),
    ]


def test_a_row_does_not_depend_on_the_rows_before_it(fake_env: type, agent: Any) -> None:
    alone, after = fake_env(), fake_env()
    run_row(alone, agent, ROWS["track_slow"], seed=0)
    for name in ("push_0.5", "track_slow"):
        run_row(after, agent, ROWS[name], seed=0)
    assert torch.equal(torch.stack(alone.commands_seen), torch.stack(after.commands_seen)[-500:])


def test_environment_and_agent_draw_the_same_whatever_was_walked_before(fake_env: type, agent: Any) -> None:
    env, starts, seeds = fake_env(), [], []
    reset, env.reset = env.reset, lambda: starts.append(torch.rand(3)) or reset()
    agent.value, agent.reset = 0.0, seeds.append
    for name in ("track_slow", "push_0.5", "track_slow"):
        run_row(env, agent, replace(ROWS[name], duration=0.1, push_time=0.1), seed=0)
    assert torch.equal(starts[0], starts[2]) and not torch.equal(starts[0], starts[1])
    assert seeds[0] == seeds[2] != seeds[1]


def test_rows_side_by_side_give_what_they_give_alone(fake_env: type, agent: Any) -> None:
    rows = [ROWS["track"], ROWS["push_1.5"], ROWS["payload_5"], ROWS["friction_0.25"]]
    env, fell = fake_env(num_envs=40, falls=(13, 160)), fake_env(num_envs=10, falls=(3, 160))
    together = run_rows(env, agent, rows, seed=0)
    alone = [run_row(fell if row.push else fake_env(num_envs=10), agent, row, seed=0) for row in rows]
    for both, single in zip(together, alone, strict=True):
        assert both == pytest.approx(single, rel=1e-5)
    assert [row["survival"] for row in together] == pytest.approx([1.0, 0.9, 1.0, 1.0])
    kicked = torch.stack([mask for _, mask, _ in env.sim.pushes]).any(0)
    assert kicked.tolist() == [False] * 10 + [True] * 10 + [False] * 20
    commands = torch.stack(env.commands_seen)[:200]
    assert (commands[:, 10:20] == torch.tensor([0.4, 0.0, 0.0])).all() and (commands[:, :10, 1] != 0.0).any()


def test_rows_end_early_once_nobody_stands_in_any_of_them(fake_env: type, agent: Any) -> None:
    row = replace(ROWS["track_slow"], duration=4.0)
    alone, beside = fake_env(num_envs=1, falls=(0, 20)), fake_env(num_envs=2, falls=(0, 20))
    run_row(alone, agent, row, seed=0)
    run_rows(beside, agent, [row, row], seed=0)
    assert (len(alone.commands_seen), len(beside.commands_seen)) == (50, 200)


def test_side_by_side_every_row_has_its_own_physics(fake_env: type, agent: Any) -> None:
    env, seen = fake_env(num_envs=6), {}
    env.sim.push = lambda mask, kick: seen.update({n: v.clone() for n, v in env.sim.parameters.items()})
    run_rows(env, agent, [ROWS["payload_5"], ROWS["friction_0.25"], ROWS["push_0.5"]], seed=0)
    assert seen["base_mass_added"].tolist() == [5.0, 5.0, 0.0, 0.0, 0.0, 0.0]
    assert seen["friction"].tolist() == [1.0, 1.0, 0.25, 0.25, 1.0, 1.0]
    assert (env.sim.parameters["friction"] == 1.0).all() and (env.sim.parameters["base_mass_added"] == 0.0).all()


@pytest.mark.parametrize("at_once", [False, True])
def test_rows_of_one_physics_share_an_environment(fake_env: type, agent: Any, at_once: bool) -> None:
    built = []

    def build(cfg: Any) -> Any:
        built.append(cfg)
        env = fake_env(num_envs=cfg.env.num_envs)
        env.sim.close = lambda: closed.append(cfg)
        return env, agent

    closed: list[Any] = []
    names = ["step_1ms", "track", "armature_0", "armature_0.01", "push_0.5"]
    rows = [replace(ROWS[name], duration=0.1, push_time=0.1) for name in names]
    results = evaluate(build, PointFootFlatCfg(), rows, 3, 0, at_once)
    assert list(results) == names and all(row["n"] == 3 for row in results.values())
    assert [(cfg.sim.dt, cfg.control.decimation, cfg.sim.armature) for cfg in built] == [
        *((0.001, 20, 0.0), (0.005, 4, 0.0), (0.005, 4, 0.01)),
    ]
    assert [cfg.env.num_envs for cfg in built] == ([3, 9, 3] if at_once else [3, 3, 3])
    assert closed == built


def test_a_simulator_that_ran_out_of_room_says_so(
    fake_env: type, agent: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    for overflows in ({}, {"contacts": 1200}):
        env = fake_env(num_envs=2)
        env.sim.overflows, env.sim.close = overflows, lambda: None
        rows = [replace(ROWS["track"], duration=0.1)]
        evaluate(lambda cfg, env=env: (env, agent), PointFootFlatCfg(), rows, 2, 0, False)
        warning = "warning: the simulator ran out of room: contacts 1,200\n" if overflows else ""
        assert capsys.readouterr().out == warning


def test_every_physics_row_changes_what_it_says() -> None:
    task = PointFootFlatCfg()
    for row in SUITES["physics"]:
        cfg = varied_cfg(task, row.cfg)
        value = float(row.name.split("_")[1].removesuffix("ms"))
        found = {
            "step": 1000.0 * cfg.sim.dt,
            "kd": row.value,
            "armature": cfg.sim.armature,
            "damping": cfg.sim.joint_damping,
        }
        assert found[row.name.split("_")[0]] == pytest.approx(value)
        assert cfg.policy_dt == pytest.approx(task.policy_dt)
        assert (row.parameter == "kd") == row.name.startswith("kd")


def test_physics_rows_are_given_the_same_commands(fake_env: type, agent: Any) -> None:
    first, second = fake_env(), fake_env()
    run_row(first, agent, ROWS["armature_0"], seed=0)
    run_row(second, agent, ROWS["damping_0.01"], seed=0)
    assert torch.equal(torch.stack(first.commands_seen), torch.stack(second.commands_seen))


def test_another_seed_gives_other_commands(fake_env: type, agent: Any) -> None:
    first, second = fake_env(), fake_env()
    run_row(first, agent, ROWS["track"], seed=0)
    run_row(second, agent, ROWS["track"], seed=1)
    assert not torch.equal(torch.stack(first.commands_seen), torch.stack(second.commands_seen))


@pytest.mark.parametrize(
    ("change", "passes"),
    [
        ({}, True),
        ({"survival": 0.949}, False),
        ({"rmse_vx": 0.201}, False),
        ({"rmse_vy": 0.201}, False),
        ({"rmse_wz": 0.301}, False),
        ({"rmse_vx": None}, False),
        ({"bias_vx": 9.0}, True),
    ],
)
def test_the_walking_gate(change: dict[str, float | None], passes: bool) -> None:
    edge = {"survival": 0.95, "rmse_vx": 0.20, "rmse_vy": 0.20, "rmse_wz": 0.30}
    assert passes_walking_gate(edge | change) is passes


def test_the_evaluation_config_is_nominal() -> None:
    task = PointFootFlatCfg()
    cfg = evaluation_cfg(task, 3, 7)
    assert not any(
        value for name, value in vars(cfg.domain_rand).items() if name.startswith(("randomize", "push_robots"))
    )
    assert not cfg.noise.add_noise and not cfg.curriculum.enabled
    assert cfg.init_state.lin_vel == cfg.init_state.ang_vel == cfg.init_state.joint_pos == (0.0, 0.0)
    middle = sum(task.gait.ranges.frequency) / 2.0
    assert cfg.gait.ranges.frequency == (middle, middle)
    assert (cfg.env.num_envs, cfg.seed) == (3, 7)
    longest = max(row.push_time + row.duration for row in ROWS.values())
    assert cfg.env.episode_length_s > longest and cfg.commands.resampling_time > longest, "the rows decide"
    assert task.noise.add_noise and task.domain_rand.push_robots, "the task's own config must stay as it is"
    assert nominal_cfg(task).commands == task.commands


@pytest.mark.parametrize(("profile", "ground"), [("mixed", "plane"), ("lanes", "trimesh")])
def test_who_learned_on_terrain_is_judged_on_a_plane_but_in_rows_on_terrain(profile: str, ground: str) -> None:
    task = PointFootFlatCfg()
    task.terrain.mesh_type, task.terrain.profile = "trimesh", profile
    assert evaluation_cfg(task, 3, 7).terrain.mesh_type == ground


def test_an_unknown_suite_lists_the_known_ones() -> None:
    known = ", ".join(sorted(["all", *SUITES]))
    with pytest.raises(UserError, match=rf"unknown suite 'trak'; did you mean 'track'\? known: {known}"):
        select_rows(["trak"])


def test_rows_scale_in_time_and_are_not_repeated() -> None:
    rows = select_rows(["track", "track"], time_scale=0.1)
    assert [row.name for row in rows] == ["track", "track_slow"]
    assert rows[0].duration == pytest.approx(2.0) and rows[0].warm_up == pytest.approx(0.2)
