"""The set-up: what gets installed, and what a machine that cannot is told."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from importlib.metadata import requires
from pathlib import Path

import pytest

import legged_gym
from legged_gym import LEGGED_GYM_ROOT_DIR, __main__


def pins() -> dict[str, str]:
    """Returns package -> version of constraints.txt."""
    lines = (LEGGED_GYM_ROOT_DIR / "constraints.txt").read_text().splitlines()
    return dict(line.split("==") for line in lines if line and not line.startswith("#"))


def test_every_requirement_is_pinned_and_none_is_cuda() -> None:
    required = {re.split(r"[^A-Za-z0-9-]", line)[0].lower() for line in requires("legged_gym") or []}
    assert len(required) > 10 and required <= set(pins())
    assert not [name for name in pins() if name.startswith(("nvidia", "triton"))]


@pytest.mark.skipif(shutil.which("make") is None, reason="needs make")
@pytest.mark.parametrize("python", ["", "no-such-python"])
def test_make_without_a_new_enough_python_says_so_in_one_line(python: str) -> None:
    call = ["make", "--no-print-directory", "train", f"PYTHON={python}", "VENV=/nonexistent/venv", "TORCH_INDEX="]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    done = subprocess.run(call, cwd=LEGGED_GYM_ROOT_DIR, capture_output=True, text=True, env=environment, timeout=60)
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.startswith("legged_gym needs Python 3.11 or newer; name one with: make train PYTHON=")
    assert len(done.stderr.splitlines()) == 2  # ours, and make's own


def test_every_program_has_its_script(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """And every script a program, but for those that measure what the pages say."""
    project = tomllib.loads((LEGGED_GYM_ROOT_DIR / "pyproject.toml").read_text())["project"]
    assert set(project["scripts"].values()) == {"legged_gym.__main__:console"}
    scripts = {name.removeprefix("lg-").replace("-", "_") for name in project["scripts"]}
    measuring = {"benchmark_process", "benchmark_stages", "measure_physics", "measure_terrain"}
    assert scripts | measuring == set(__main__.names()) and not scripts & measuring
    monkeypatch.setattr(sys, "argv", ["/usr/bin/lg-train", "--max_iterations=many"])
    with pytest.raises(SystemExit) as stop:
        __main__.console()
    assert stop.value.code == 2
    assert capsys.readouterr().err == "error: argument --max_iterations: invalid int value: 'many'\n"
    monkeypatch.setattr(sys, "argv", ["lg-show-terrain.exe", "--at=x"])
    with pytest.raises(SystemExit):
        __main__.console()
    assert capsys.readouterr().err.startswith("error: --at: got 'x'")


def test_the_package_says_that_it_is_typed() -> None:
    project = tomllib.loads((LEGGED_GYM_ROOT_DIR / "pyproject.toml").read_text())
    assert (Path(legged_gym.__file__).parent / "py.typed").is_file()
    assert project["tool"]["setuptools"]["package-data"]["legged_gym"] == ["py.typed"]
    assert project["project"]["readme"] == "README.md"
