"""`--help` of every script: short, what the script has, and examples that it takes."""

import importlib
import shlex
import sys
from typing import Any

import pytest

from legged_gym.__main__ import names
from legged_gym.options.cli import Parser
from legged_gym.options.examples import EXAMPLES, script_name
from legged_gym.options.request import parse_args

LONGEST = 60
"""Lines of help at most: a screen."""


def help_of(name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> tuple[str, Parser]:
    """Calls a script with --help, and returns what it prints and its parser."""
    seen: list[Parser] = []
    format_help = Parser.format_help
    monkeypatch.setattr(Parser, "format_help", lambda self: seen.append(self) or format_help(self))
    monkeypatch.setattr(sys, "argv", [f"{name}.py", "--help"])
    monkeypatch.setenv("COLUMNS", "130")
    with pytest.raises(SystemExit) as stop:
        importlib.import_module(f"legged_gym.scripts.{name}").main()
    assert stop.value.code == 0
    return capsys.readouterr().out, seen[0]


@pytest.mark.parametrize("name", names())
def test_help_is_short_and_its_examples_work(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    text, parser = help_of(name, monkeypatch, capsys)
    lines = text.splitlines()
    assert lines[0] == f"usage: {name}.py [options]" and len(lines) <= LONGEST
    examples = lines[lines.index("examples:") + 1 :]
    assert len(examples) == len(EXAMPLES[name]) and all(line.startswith(f"  {name}.py") for line in examples)
    for options, _ in EXAMPLES[name]:
        argv = shlex.split(options)
        read: Any = parse_args(parser, argv) if "--task" in text else parser.parse_args(argv)
        assert read is not None


def test_a_script_without_a_window_says_nothing_of_one(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    text, parser = help_of("ablation", monkeypatch, capsys)
    assert "--headless" not in text and "--seed " not in text and "--seeds" in text
    assert parse_args(parser, ["--headless", "--out=x"]).headless, "it is taken all the same"
    assert "--headless" in help_of("train", monkeypatch, capsys)[0]


def test_a_program_is_known_by_each_of_its_names() -> None:
    for program in ("train_teacher.py", "lg-train-teacher", "python -m legged_gym train_teacher"):
        assert script_name(program) == "train_teacher"
    assert set(EXAMPLES) == set(names())
