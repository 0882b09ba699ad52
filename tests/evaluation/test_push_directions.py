"""benchmarks/push_directions.py sees kicks as the robot does: from its heading, mirrored by the standing foot."""

import importlib.util
import json
import math
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch

from legged_gym.options.cli import run_main


@pytest.fixture(scope="module")
def directions() -> ModuleType:
    path = Path(__file__).parents[2] / "benchmarks" / "push_directions.py"
    spec = importlib.util.spec_from_file_location("push_directions", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_kick_over_the_standing_foot_goes_across(directions: ModuleType) -> None:
    """Seen from above: a robot that looks along +y has its left at -x."""
    kicks = torch.tensor([[0.0, 1.0, 0.0], [-1.0, 0.0, 0.0], [1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])
    yaw = torch.full((4,), 0.5 * math.pi)
    for left_stands, expected in (
        (True, ["forward", "across", "open", "backward"]),
        (False, ["forward", "open", "across", "backward"]),
    ):
        found = directions.sector(kicks, yaw, torch.full((4,), left_stands))
        assert [directions.SECTORS[i] for i in found.tolist()] == expected
    oblique = torch.tensor([[math.cos(a), math.sin(a), 0.0] for a in (-0.3, 0.3, 0.9, 5.6)])
    found = directions.sector(oblique, torch.zeros(4), torch.ones(4, dtype=torch.bool))
    assert [directions.SECTORS[i] for i in found.tolist()] == [
        *("forward", "forward", "forward_and_across", "forward_and_open")
    ]


def run(directions: ModuleType, monkeypatch: pytest.MonkeyPatch, *argv: str) -> object:
    monkeypatch.setattr(sys, "argv", ["push_directions.py", *argv])
    with pytest.raises(SystemExit) as stop:
        run_main(directions.main)
    return stop.value.code


def test_robots_that_do_nothing_fall_whatever_the_direction(
    directions: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "directions.json"
    options = ("--sim=mujoco", "--num_envs=16", "--env.sim.num_threads=1", f"--result={file}")
    assert run(directions, monkeypatch, "--agent=zero", *options) == 0
    figures = json.loads(file.read_text())["figures"]
    assert {cells["survival"]["value"] for cells in figures.values()} == {0.0}
    assert set(figures) - {"all"} <= set(directions.SECTORS) and len(figures) > 4
    assert "zero, push_1.0, deployed: 16 robots" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (("--row=track",), "--row=track: is no row with kicks or shoves"),
        (("--row=trip_100",), "--row=trip_100: is no row with kicks or shoves"),
        (("--num_envs=7",), "--num_envs=7: expected 8 or more"),
    ],
)
def test_what_has_no_direction_is_refused(
    directions: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    options: tuple[str, ...],
    reason: str,
) -> None:
    assert run(directions, monkeypatch, "--agent=zero", "--sim=mujoco", *options) == 2
    assert reason in capsys.readouterr().err
