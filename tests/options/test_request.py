"""The command line: what it asks for, and what a wrong one says."""

import ast
import errno
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from legged_gym.options import cli, request
from legged_gym.options.cli import run_main
from legged_gym.options.request import Request, Setting, make_parser, parse_args, with_agent
from legged_gym.utils.errors import UserError

NOT_OF_A_COMMAND_LINE = {
    *(f"utils/config_types.py:{name}" for name in ("to_type", "_to_tuple", "_to_dict", "_type_name", "parse_text")),
    "utils/config_types.py:_parse_tuple",
}
"""Functions whose `args` are the parameters of a type."""


def parse(*argv: str) -> Request:
    return parse_args(make_parser("test", training=True, agent=True), argv).request


def refusal(call: Any, *args: Any) -> str:
    with pytest.raises(UserError) as caught:
        call(*args)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_nothing_given_asks_for_nothing() -> None:
    assert parse() == Request("pointfoot_flat", headless=False, agent="checkpoint")


@pytest.mark.parametrize("option", list(request.FIELDS))
def test_every_option_has_its_fields(option: str) -> None:
    """Both ways of writing it; what is typed is what messages say."""
    words = {"resume": [], "sim_process": [], "logger": ["wandb"]}.get(option, ["7"])
    for argv in ([f"--{option}", *words], [f"--{option}={words[0]}"] if words else [f"--{option}"]):
        expected = [Setting(f"--{option}", field, words[0] if words else "True") for field in request.FIELDS[option]]
        assert list(parse(*argv).settings) == expected


def test_the_other_options() -> None:
    asked = parse("--headless", "--import=a", "--import=b.c", "--sim_device=cpu", "--rl_device=cuda", "--offset=x")
    assert asked.headless and asked.imports == ("a", "b.c") and str(asked.offset) == "x"
    assert (asked.sim_device, asked.rl_device) == ("cpu", "cuda")
    assert not parse("--headless", "--no-headless").headless
    assert parse("--onnx=x").agent == "onnx" and parse("--agent=zero").agent == "zero"
    assert parse("--num_envs=3", "--import=a").argv == ("--num_envs=3", "--import=a")


def test_overrides_both_ways_and_negative_values() -> None:
    asked = parse("--env.a.b=-1,1", "--headless", "--train.c", "-2", "--seed", "3", "--env.d", "-1,1", "--env.e=")
    assert [(s.field, s.text) for s in asked.settings] == [
        *(("env.seed", "3"), ("train.seed", "3")),
        *(("env.a.b", "-1,1"), ("train.c", "-2"), ("env.d", "-1,1"), ("env.e", "")),
    ]
    assert asked.headless and asked.sets("env.d") and not asked.sets("env.f")


def test_a_home_directory_is_meant_wherever_it_is_written(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The shell leaves `~` as it is after an equals sign."""
    monkeypatch.setenv("HOME", str(tmp_path))
    asked = parse("--log_root=~/x", "--offset=~/o.pt", "--onnx=~/o")
    assert (asked.log_root, asked.offset, asked.onnx) == (tmp_path / "x", tmp_path / "o.pt", tmp_path / "o")


def test_no_script_reads_a_path_without_its_home_directory() -> None:
    """All that is a path on a command line, in every script: `--video`, `--json`, `--out` and the others."""
    scripts = list(Path(cli.__file__).parents[1].joinpath("scripts").glob("*.py"))
    found = [file.name for file in scripts if "type=Path" in file.read_text()]
    assert len(scripts) > 10 and found == []


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
        (["--log_root=~nobody-of-that-name/x"], "there is no such home directory"),
    ],
)
def test_bad_command_lines(argv: list[str], message: str) -> None:
    assert message in refusal(parse, *argv)


def test_a_script_takes_only_what_it_uses() -> None:
    for options, taken in (({}, False), ({"training": True}, True)):
        parser = make_parser("test", **options)
        if taken:
            assert parse_args(parser, ["--resume"]).request.sets("train.runner.resume")
        else:
            assert "unknown option '--resume'" in refusal(parse_args, parser, ["--resume"])


def test_run_main_turns_user_errors_into_one_line_and_exit_code_2(capsys: pytest.CaptureFixture[str]) -> None:
    def bad() -> None:
        raise UserError("first\nsecond")

    with pytest.raises(SystemExit) as stop:
        run_main(bad)
    assert stop.value.code == 2 and capsys.readouterr().err == "error: first second\n"


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "a file cannot be written: No space left on device"),
        (PermissionError(errno.EACCES, "Permission denied", "out/x.json"), "out/x.json: Permission denied"),
    ],
)
def test_run_main_names_the_file_that_fails(error: OSError, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    def full() -> None:
        raise error

    with pytest.raises(SystemExit) as stop:
        run_main(full)
    assert stop.value.code == 2 and capsys.readouterr().err == f"error: {said}\n"


def test_what_is_said_moves_no_cursor_and_fits_any_terminal(tmp_path: Path) -> None:
    code = "from legged_gym.options.cli import run_main\nfrom legged_gym.utils.errors import UserError\ndef main():\n"
    code += "  print('\u0394\u03be', '\\udcff')\n  raise UserError('a\\x1b[31m \u0394')\nrun_main(main)"
    environment = os.environ | {"PYTHONIOENCODING": "ascii"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, timeout=60)
    assert done.returncode == 2 and done.stdout == rb"\u0394\u03be \udcff" + os.linesep.encode()
    assert done.stderr == rb"error: a?[31m \u0394" + os.linesep.encode()


@pytest.mark.parametrize("error", [ValueError("bug"), OSError(errno.ENOTTY, "bug")])
def test_run_main_hides_no_bug(error: Exception) -> None:
    def bug() -> None:
        raise error

    with pytest.raises(type(error), match="bug"):
        run_main(bug)
    with pytest.raises(SystemExit) as stop:
        run_main(lambda: None)
    assert stop.value.code == 0


def test_help_names_the_overrides(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", [str(Path("train.py")), "--help"])
    with pytest.raises(SystemExit) as stop:
        parse_args(make_parser("test"))
    text = capsys.readouterr().out
    assert stop.value.code == 0 and "--env.commands.ranges.lin_vel_x=-0.5,1" in text


def test_one_program_starts_all_scripts() -> None:
    call = [sys.executable, "-m", "legged_gym"]
    done = subprocess.run([*call, "--help"], capture_output=True, text=True, check=True, timeout=60)
    assert "train" in done.stdout and "show_terrain" in done.stdout
    done = subprocess.run([*call, "trian"], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 2 and "unknown script 'trian'; did you mean 'train'?" in done.stderr
    options = ["evaluate", "--list", "--suite=track"]
    done = subprocess.run([*call, *options], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.startswith("track ")


def test_args_are_seen_by_mains_only() -> None:
    """What the command line says goes through `Request` and `RunSpec`: nobody passes a namespace on."""
    package, found = Path(cli.__file__).parents[1], set()
    for file in package.rglob("*.py"):
        for function in ast.walk(ast.parse(file.read_text())):
            if isinstance(function, ast.FunctionDef):
                named = {node.id for node in ast.walk(function) if isinstance(node, ast.Name) and node.id == "args"}
                named |= {arg.arg for arg in function.args.args if arg.arg == "args"}
                if named:
                    found.add(f"{file.relative_to(package)}:{function.name}")
    own = ("scripts/", "options/request.py", "options/viewing.py")
    readers = {name for name in found if not name.startswith(own)}
    assert readers <= NOT_OF_A_COMMAND_LINE, "all of it is in the request or the spec"
    assert {name for name in found if name.startswith("scripts/") and not name.endswith(":main")} == set()


def test_the_other_agent_may_be_named_or_a_path(tmp_path: Path) -> None:
    given = parse("--load_run=x", "--checkpoint=3", "--num_envs=7")
    assert with_agent(given, "pretrained:mine", "--other").agent == "pretrained:mine"
    onnx = tmp_path / "exported"
    onnx.mkdir()
    (onnx / "policy.onnx").touch()
    found = with_agent(given, str(onnx), "--other")
    assert (found.agent, found.onnx) == ("onnx", onnx) and not found.sets("train.runner.load_run")
    (onnx / "model_3.pt").touch()
    assert with_agent(given, str(onnx), "--other").agent == "checkpoint", "a run with what was exported of it"
    found = with_agent(given, "another", "--other")
    assert found.agent == "checkpoint" and not found.sets("train.runner.checkpoint")
    assert [(s.field, s.text) for s in found.settings] == [
        ("env.env.num_envs", "7"),
        ("train.runner.load_run", "another"),
    ]
