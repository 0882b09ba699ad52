"""From a name and a command line to environment, runner and run directory."""

import argparse
import json
from pathlib import Path
from typing import Any

import pytest

import legged_gym.envs  # noqa: F401  registers the tasks
from legged_gym.utils.cli import make_parser, parse_args
from legged_gym.utils.errors import UserError
from legged_gym.utils.task_registry import TaskRegistry, task_registry


def parse(*argv: str) -> argparse.Namespace:
    return parse_args(make_parser("test"), ["--task=dummy", "--headless", *argv])


def start(registry: TaskRegistry, *argv: str) -> Any:
    """Does what the training script does, and trains."""
    args = parse(*argv)
    env_cfg, train_cfg = registry.cfgs_from_args(args)
    env, _ = registry.make_env("dummy", args, env_cfg)
    runner, train_cfg = registry.make_alg_runner(env, "dummy", args, train_cfg)
    runner.learn(train_cfg.runner.max_iterations)
    return runner


def refusal(logs: Path, registry: TaskRegistry, *argv: str) -> str:
    """Returns the error of a start, after checking that it is one line and wrote nothing."""
    before = sorted(logs.rglob("*"))
    with pytest.raises(UserError) as caught:
        start(registry, *argv)
    assert "\n" not in str(caught.value) and sorted(logs.rglob("*")) == before
    return str(caught.value)


def test_names(registry: TaskRegistry) -> None:
    assert registry.names() == ["dummy"]
    with pytest.raises(ValueError, match="task 'dummy' is registered already"):
        registry.register("dummy", object, dict, dict)  # type: ignore[arg-type]
    with pytest.raises(UserError, match=r"unknown task 'dumy'; did you mean 'dummy'\? known: dummy"):
        registry.get_cfgs("dumy")


def test_configs_are_shared_with_nobody(registry: TaskRegistry) -> None:
    env_cfg, train_cfg = registry.get_cfgs("dummy")
    registry.register("shared", object, lambda: env_cfg, lambda: train_cfg)
    first, second = registry.get_cfgs("shared"), registry.get_cfgs("shared")
    first[0].env.num_envs, first[1].runner.run_name = 99, "changed"
    assert second[0].env.num_envs == env_cfg.env.num_envs == 4 and second[1].runner.run_name == ""


def test_a_run_leaves_its_checkpoint_and_both_configs(registry: TaskRegistry, logs: Path) -> None:
    runner = start(registry, "--num_envs=7", "--run_name=mine", "--seed=3")
    run = Path(runner.log_dir)
    assert run.parent == logs / "dummy" / "PF_TRON1A" and run.name.endswith("_mine")
    assert sorted(path.name for path in run.iterdir()) == ["env_cfg.json", "model_3.pt", "train_cfg.json"]
    saved = json.loads((run / "env_cfg.json").read_text())
    assert saved["env"]["num_envs"] == 7 and saved["seed"] == 3 and saved["asset"]["robot_type"] == "PF_TRON1A"
    assert registry.get_cfgs("dummy", run)[0] == runner.env.cfg
    assert (runner.env.sim_device, runner.env.headless, runner.device) == ("cpu", True, "cpu")


def test_the_robot_chooses_the_folder(registry: TaskRegistry, logs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROBOT_TYPE", "PF_P441A")
    assert Path(start(registry).log_dir).parent.name == "PF_P441A"
    monkeypatch.setenv("ROBOT_TYPE", "PF_P441Z")
    assert "unknown ROBOT_TYPE 'PF_P441Z', known: PF_P441A" in refusal(logs, registry)


def test_the_machine_fills_in_what_the_user_left_open(
    registry: TaskRegistry, capsys: pytest.CaptureFixture[str]
) -> None:
    runner = start(registry)
    assert runner.env.cfg.env.num_envs != 4 and len(runner.cfg.policy.actor_hidden_dims) == 3
    assert f"{runner.env.cfg.env.num_envs} robots, actor " in capsys.readouterr().out
    runner = start(registry, "--train.policy.actor_hidden_dims=2", "--num_envs=5")
    assert runner.env.cfg.env.num_envs == 5 and runner.cfg.policy.actor_hidden_dims == (2,)


def test_resume_goes_on_with_the_configs_of_the_run(registry: TaskRegistry) -> None:
    first = start(registry, "--num_envs=9", "--train.policy.actor_hidden_dims=3,4", "--run_name=first")
    second = start(registry, "--resume", "--max_iterations=2", "--env.commands.resampling_time=1")
    assert second.current_learning_iteration == 5
    assert second.cfg.policy.actor_hidden_dims == (3, 4) and second.env.cfg.env.num_envs == 9
    assert second.env.cfg.commands.resampling_time == 1.0
    assert second.log_dir != first.log_dir and not second.log_dir.endswith("_first")
    assert second.cfg.runner.load_run == first.log_dir and second.cfg.runner.checkpoint == 3
    third = start(registry, "--resume", f"--load_run={Path(first.log_dir).name}", "--max_iterations=1")
    assert third.current_learning_iteration == 4


def test_a_run_of_another_version_is_resumed(registry: TaskRegistry, capsys: pytest.CaptureFixture[str]) -> None:
    run = Path(start(registry, "--num_envs=9").log_dir)
    for name in ("env_cfg.json", "train_cfg.json"):
        cfg = json.loads((run / name).read_text())
        (run / name).write_text(json.dumps(cfg | {"removed": 1.0}))
    second = start(registry, "--resume")
    assert second.current_learning_iteration == 6 and second.env.cfg.env.num_envs == 9
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("warning:")]
    assert [run.name in line and "removed" in line for line in lines] == [True, True]
    saved = json.loads((Path(second.log_dir) / "env_cfg.json").read_text())
    assert "removed" not in saved
    with pytest.raises(UserError, match="unknown field 'removed'"):
        start(registry, "--resume", "--env.removed=1")


def test_resume_that_cannot_be(registry: TaskRegistry, logs: Path) -> None:
    assert "no run with a checkpoint in" in refusal(logs, registry, "--resume")
    assert "they need --resume" in refusal(logs, registry, "--load_run=Nov01_00-00-00")
    assert "they need --resume" in refusal(logs, registry, "--checkpoint=3")
    run = Path(start(registry).log_dir)
    assert f"there are: {run.name}" in refusal(logs, registry, "--resume", "--load_run=Nov")
    assert "no checkpoint 7 in" in refusal(logs, registry, "--resume", "--checkpoint=7")
    text = refusal(logs, registry, "--resume", "--train.policy.actor_hidden_dims=1")
    assert "does not fit this task, its networks or its config (size mismatch for weights)" in text
    whole = (run / "model_3.pt").read_bytes()
    (run / "model_3.pt").write_bytes(whole[:-200])
    assert "is damaged or no checkpoint" in refusal(logs, registry, "--resume")


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        ("--sim=gazebo", "--sim: unknown simulator 'gazebo'; known: auto, mujoco"),
        ("--sim_device=cuda:99", "device 'cuda:99' is not there"),
        ("--rl_device=tpu", "unknown device 'tpu'"),
        ("--run_name=a/b", "--run_name: got 'a/b', expected a name without slashes"),
        ("--experiment_name=", "--experiment_name: got ''"),
        ("--env.asset.robot_type=PF", "unknown ROBOT_TYPE 'PF'"),
        ("--env.asset.file=/no/robot.urdf", "no such URDF file: /no/robot.urdf"),
        ("--num_envs=0", "--num_envs: got 0, expected int, >= 1"),
    ],
)
def test_bad_input_writes_nothing(registry: TaskRegistry, logs: Path, argv: str, message: str) -> None:
    assert message in refusal(logs, registry, argv)


def test_make_env_alone(registry: TaskRegistry) -> None:
    env, cfg = registry.make_env("dummy")
    assert env.cfg is cfg and env.sim_device == "cpu" and env.headless
    env, _ = registry.make_env("dummy", parse("--num_envs=6"))
    assert env.cfg.env.num_envs == 6


def test_make_alg_runner_alone(registry: TaskRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    env, _ = registry.make_env("dummy")
    assert registry.make_alg_runner(env, "dummy", log_root=None)[0].log_dir is None
    runner, _ = registry.make_alg_runner(env, "dummy", log_root=tmp_path / "here")
    assert Path(runner.log_dir).parent == tmp_path / "here" / "dummy" / "PF_TRON1A"
    monkeypatch.setenv("RANK", "1")
    assert registry.make_alg_runner(env, "dummy")[0].log_dir is None


def test_a_runner_that_cannot_be_built_leaves_no_directory(registry: TaskRegistry, logs: Path) -> None:
    def broken(*args: object) -> None:
        raise RuntimeError("broken")

    env_cfg, train_cfg = registry.get_cfgs("dummy")
    registry.register("broken", lambda cfg, device, headless: None, lambda: env_cfg, lambda: train_cfg, broken)
    env, _ = registry.make_env("dummy")
    with pytest.raises(RuntimeError, match="broken"):
        registry.make_alg_runner(env, "broken")
    assert not (logs / "dummy").exists()


@pytest.mark.parametrize("profile", [None, "mixed"])
def test_a_switch_of_the_ground_changes_the_ground_only(profile: str | None) -> None:
    """Training, and whoever builds the task's environment without it, see the same config."""
    argv = [] if profile is None else [f"--env.terrain.profile={profile}"]
    for task in ("pointfoot_flat", "pointfoot_rough"):
        args = parse_args(make_parser("test"), ["--headless", "--sim=mujoco", f"--task={task}", *argv])
        env_cfg, train_cfg = task_registry.cfgs_from_args(args)
        expected, _ = task_registry.get_cfgs(task)
        expected.sim.backend, expected.asset.robot_type = "mujoco", env_cfg.asset.robot_type
        expected.env.num_envs = env_cfg.env.num_envs
        expected.terrain.profile = profile or expected.terrain.profile
        assert env_cfg == expected and train_cfg.runner.experiment_name == task


def test_the_tasks_differ_in_ground_gait_chance_and_rewards() -> None:
    (flat, _), (rough, _) = task_registry.get_cfgs("pointfoot_flat"), task_registry.get_cfgs("pointfoot_rough")
    assert flat.terrain.is_plane and not rough.terrain.is_plane
    assert flat.gait.ranges.swing_height == (0.06, 0.12) and rough.gait.ranges.swing_height == (0.1, 0.18)
    assert flat.rewards.scales.feet_clearance == 0.0 and rough.rewards.scales.feet_clearance == -100.0
    assert rough.domain_rand.max_push_vel_xy < flat.domain_rand.max_push_vel_xy
