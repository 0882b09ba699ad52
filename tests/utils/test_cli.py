"""The command line: options, overrides, and what a wrong one says."""

import argparse
import sys
from pathlib import Path
from typing import Any

import pytest

from legged_gym.utils.cli import Override, apply_args, make_parser, parse_args, run_main
from legged_gym.utils.errors import UserError
from legged_gym.utils.task_registry import TaskRegistry


def parse(*argv: str) -> argparse.Namespace:
    return parse_args(make_parser("test"), argv)


def configured(registry: TaskRegistry, *argv: str) -> tuple[Any, Any]:
    env_cfg, train_cfg = registry.get_cfgs("dummy")
    apply_args(parse(*argv), env_cfg, train_cfg)
    return env_cfg, train_cfg


def refusal(call: Any, *args: Any) -> str:
    with pytest.raises(UserError) as caught:
        call(*args)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_nothing_given_changes_nothing(registry: TaskRegistry) -> None:
    assert configured(registry) == registry.get_cfgs("dummy")


@pytest.mark.parametrize(
    ("option", "text", "scope", "path", "value"),
    [
        ("num_envs", "7", "env", "env.num_envs", 7),
        ("seed", "5", "env", "seed", 5),
        ("seed", "5", "train", "seed", 5),
        ("sim", "mujoco", "env", "sim.backend", "mujoco"),
        ("max_iterations", "9", "train", "runner.max_iterations", 9),
        ("experiment_name", "x", "train", "runner.experiment_name", "x"),
        ("run_name", "y", "train", "runner.run_name", "y"),
        ("load_run", "-1", "train", "runner.load_run", "-1"),
        ("load_run", "Nov01_00-00-00", "train", "runner.load_run", "Nov01_00-00-00"),
        ("checkpoint", "-1", "train", "runner.checkpoint", -1),
        ("checkpoint", "30", "train", "runner.checkpoint", 30),
        ("logger", "wandb", "train", "runner.logger", "wandb"),
    ],
)
@pytest.mark.parametrize("joined", [True, False])
def test_options_reach_their_fields(
    registry: TaskRegistry, option: str, text: str, scope: str, path: str, value: object, joined: bool
) -> None:
    argv = [f"--{option}={text}"] if joined else [f"--{option}", text]
    node: Any = dict(zip(("env", "train"), configured(registry, *argv), strict=True))[scope]
    for name in path.split("."):
        node = getattr(node, name)
    assert node == value


def test_switches(registry: TaskRegistry) -> None:
    assert configured(registry, "--resume")[1].runner.resume
    assert parse("--headless").headless and not parse().headless and not parse("--headless", "--no-headless").headless


def test_overrides_both_ways_and_negative_values() -> None:
    args = parse("--env.a.b=-1,1", "--headless", "--train.c", "-2", "--seed", "3", "--env.d", "-1,1", "--env.e=")
    assert args.overrides == [
        Override("env", "a.b", "-1,1"),
        Override("train", "c", "-2"),
        Override("env", "d", "-1,1"),
        Override("env", "e", ""),
    ]
    assert args.seed == 3 and args.headless


def test_overrides_go_before_named_options(registry: TaskRegistry) -> None:
    env_cfg, train_cfg = configured(
        registry, "--env.env.num_envs=3", "--num_envs=2", "--train.policy.actor_hidden_dims=4,5"
    )
    assert env_cfg.env.num_envs == 3 and train_cfg.policy.actor_hidden_dims == (4, 5)


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--num_env=3"], "unknown option '--num_env'; did you mean '--num_envs'?"),
        (["--envs.x=3"], "unknown option '--envs.x'"),
        (["--num_envs=x"], "argument --num_envs: invalid int value: 'x'"),
        (["--num_envs"], "argument --num_envs: expected one argument"),
        (["--logger=paper"], "invalid choice: 'paper'"),
        (["train"], "unexpected argument 'train'"),
        (["--env.x"], "--env.x: needs a value"),
        (["--env.x", "--headless"], "--env.x: needs a value"),
    ],
)
def test_bad_command_lines(argv: list[str], message: str) -> None:
    assert message in refusal(parse, *argv)


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        ("--num_envs=0", "--num_envs: got 0, expected int, >= 1"),
        ("--max_iterations=-1", "--max_iterations: got -1, expected int, >= 1"),
        ("--env.commands.resampling_time=fast", "--env.commands.resampling_time: got 'fast', expected float, > 0"),
        (
            "--env.commands.resampling_tme=3",
            "--env.commands.resampling_tme: unknown field 'resampling_tme'; did you mean",
        ),
        ("--env.comands.resampling_time=3", "unknown field 'comands'; did you mean 'commands'?"),
        ("--train.policy=3", "--train.policy: is a section; set one of its fields: actor_hidden_dims"),
    ],
)
def test_bad_config_values(registry: TaskRegistry, argv: str, message: str) -> None:
    assert message in refusal(configured, registry, argv)


def test_run_main_turns_user_errors_into_one_line_and_exit_code_2(capsys: pytest.CaptureFixture[str]) -> None:
    def bad() -> None:
        raise UserError("first\nsecond")

    with pytest.raises(SystemExit) as stop:
        run_main(bad)
    assert stop.value.code == 2 and capsys.readouterr().err == "error: first second\n"


def test_run_main_hides_no_bug() -> None:
    def bug() -> None:
        raise ValueError("bug")

    with pytest.raises(ValueError, match="bug"):
        run_main(bug)
    with pytest.raises(SystemExit) as stop:
        run_main(lambda: None)
    assert stop.value.code == 0


def test_help_names_the_overrides(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", [str(Path("train.py")), "--help"])
    with pytest.raises(SystemExit) as stop:
        parse_args(make_parser("test"))
    assert stop.value.code == 0 and "--env.commands.resampling_time=3" in capsys.readouterr().out
