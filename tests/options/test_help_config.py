"""--help_config lists every field of a task with its default, what is allowed, and what it means."""

import dataclasses
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from legged_gym.options.help_config import describe_fields, field_docs, print_fields
from legged_gym.options.request import make_parser, parse_args
from legged_gym.options.tasks import load_tasks
from legged_gym.utils.config import Config, bounded, parse_field
from legged_gym.utils.task_registry import task_registry


@dataclass
class BaseCfg(Config):
    """A section."""

    size: int = bounded(3, ge=1, le=9)
    """How large it is [m],
    in two lines.

    And more.
    """
    bare: float = 0.5
    "Said in plain quotes."


@dataclass
class ChildCfg(BaseCfg):
    """A section derived from it."""

    names: tuple[str, ...] = ("a",)
    """Which."""
    size: int = bounded(4, ge=1)


def test_the_lines_of_a_section() -> None:
    text = "\n".join(describe_fields(ChildCfg(), "--env.x"))
    assert "--env.x: A section derived from it.\n" in text
    assert "  --env.x.size=4  (int, >= 1)\n      How large it is [m], in two lines.\n" in text
    assert "  --env.x.names=(a)  ((str, ...))\n      Which." in text
    assert field_docs(BaseCfg)["bare"] == "Said in plain quotes."


def leaves(cfg: Any, path: str) -> Iterator[tuple[str, Any, Config]]:
    for field in dataclasses.fields(cfg):
        value = getattr(cfg, field.name)
        if isinstance(value, Config):
            yield from leaves(value, f"{path}.{field.name}")
        else:
            yield f"{path}.{field.name}", value, cfg


def test_every_field_of_every_task_has_a_meaning_and_a_default_that_can_be_typed(
    capsys: pytest.CaptureFixture[str],
) -> None:
    load_tasks()
    for task in task_registry.names():
        print_fields(task)
        lines = capsys.readouterr().out.splitlines()
        for scope, cfg in zip(("env", "train"), task_registry.get_cfgs(task), strict=True):
            for path, value, _ in leaves(cfg, scope):
                (row,) = [i for i, line in enumerate(lines) if line.startswith(f"  --{path}=")]
                assert lines[row + 1].startswith("      "), f"{path} has no docstring"
                text = lines[row].partition("=")[2].partition("  (")[0]
                assert parse_field(cfg, path.partition(".")[2], text) == value


def test_the_option_prints_and_ends(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        parse_args(make_parser("test"), ["--help_config"])
    assert stop.value.code == 0
    assert "  --env.control.stiffness=42.0  (float, > 0)\n      K_p [N m/rad]." in capsys.readouterr().out


def test_a_reader_that_has_seen_enough_is_no_error() -> None:
    code = "import sys; from legged_gym.__main__ import main, run_main; sys.argv[1:] = ['train', '--help_config']; "
    call = f'{sys.executable} -c "{code}run_main(main)" | head -n 1'
    done = subprocess.run(call, shell=True, capture_output=True, text=True, timeout=60, check=False)
    assert done.stderr == ""
