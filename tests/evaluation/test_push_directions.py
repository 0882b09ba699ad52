"""benchmarks/push_directions.py sees kicks as the robot does: from its heading, mirrored by the standing foot."""

import json
import math
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from benchmarks import push_directions as directions
from legged_gym.options.cli import run_main


def test_a_kick_over_the_standing_foot_goes_across() -> None:
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


def run(monkeypatch: pytest.MonkeyPatch, *argv: str) -> object:
    monkeypatch.setattr(sys, "argv", ["push_directions.py", *argv])
    with pytest.raises(SystemExit) as stop:
        run_main(directions.main)
    return stop.value.code


def test_a_kick_is_seen_at_its_own_step() -> None:
    """Robot i is kicked at step i; before and after that it looks elsewhere and stands on the other foot."""
    robots, yaw, clock = 3, torch.tensor([0.0, 0.5 * math.pi, math.pi]), torch.tensor([0.1, 0.6, 0.1])
    env = SimpleNamespace(state=SimpleNamespace(), gait=SimpleNamespace(), episodes=SimpleNamespace())
    watched = directions.Watched(SimpleNamespace(act=lambda obs: obs), env)
    for step in range(5):
        now = torch.arange(robots) == step
        env.state.yaw = torch.where(now, yaw, yaw + 0.5 * math.pi)
        env.gait.clock = torch.where(now, clock, (clock + 0.5) % 1.0)
        env.episodes.fell = torch.tensor([step == 1, step == 3, step == 2])  # after, after and just before the kick
        watched.act(torch.zeros(robots, 6))
    left = torch.tensor([0.0, 1.0, 0.0]).expand(robots, 3)
    where, stood = watched.kicked(SimpleNamespace(start=torch.arange(robots), direction=left))
    assert [directions.SECTORS[i] for i in where.tolist()] == ["across", "forward", "open"]
    assert stood.tolist() == [True, True, False]
    survived = torch.tensor([True, False, True])
    figures = directions.by_sector(survived, where, stood)
    assert {name: cells["survival"]["value"] for name, cells in figures.items()} == {
        **{"all": 0.5, "across": 1.0, "forward": 0.0}
    }


def test_the_teacher_is_kicked_all_around(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "directions.json"
    options = ("--sim=mujoco", "--num_envs=16", "--env.sim.num_threads=1", f"--result={file}", "--physics=ideal")
    assert run(monkeypatch, "--agent=teacher", "--row=push_0.5", *options) == 0
    figures = json.loads(file.read_text())["figures"]
    assert figures["all"]["survival"]["value"] > 0.8 and len(figures) > 4
    assert "teacher, push_0.5, ideal: 16 of 16 robots stood until the kick" in capsys.readouterr().out


def test_a_row_has_its_own_physics(monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[float] = []
    monkeypatch.setattr(directions, "make_env", lambda spec, cfg: steps.append(cfg.sim.dt) or 1 / 0)
    with pytest.raises(ZeroDivisionError):
        monkeypatch.setattr(sys, "argv", ["push_directions.py", "--agent=zero", "--sim=mujoco", "--row=step_1ms"])
        directions.main()
    assert steps == [0.001]


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (("--row=track",), "--row=track: is no row with kicks or shoves"),
        (("--row=trip_100",), "--row=trip_100: is no row with kicks or shoves"),
        (("--num_envs=7",), "--num_envs=7: expected 8 or more"),
    ],
)
def test_what_has_no_direction_is_refused(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    options: tuple[str, ...],
    reason: str,
) -> None:
    assert run(monkeypatch, "--agent=zero", "--sim=mujoco", *options) == 2
    assert reason in capsys.readouterr().err
