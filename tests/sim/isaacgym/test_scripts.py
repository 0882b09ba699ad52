"""Train, play and evaluate on Isaac Gym, over the stand-in: everything above the simulator is as ever."""

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from legged_gym.options.cli import run_main
from legged_gym.scripts import evaluate, play, train
from legged_gym.utils.checkpoint import load_checked
from tests.sim.process.pool import pooled_workers

COMMON = ("--task=pointfoot_flat", "--sim=isaacgym", "--sim_device=cpu", "--rl_device=cpu")


@pytest.fixture(autouse=True)
def stand_in() -> Iterator[None]:
    with pooled_workers():
        yield


def run(monkeypatch: pytest.MonkeyPatch, main: Callable[[], None], *argv: str) -> object:
    monkeypatch.setattr(sys, "argv", ["script.py", *COMMON, *argv])
    with pytest.raises(SystemExit) as stop:
        run_main(main)
    return stop.value.code


def test_train_play_and_evaluate(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], logs: Path, tmp_path: Path
) -> None:
    small = ("--train.policy.actor_hidden_dims=16", "--train.policy.critic_hidden_dims=16")
    assert run(monkeypatch, train.main, "--headless", "--num_envs=6", "--max_iterations=2", *small) == 0
    (checkpoint,) = logs.rglob("model_2.pt")
    assert load_checked(checkpoint)["iter"] == 2
    config = json.loads((checkpoint.parent / "env_cfg.json").read_text())
    assert config["sim"]["backend"] == "isaacgym"
    load, json_option = f"--load_run={checkpoint.parent}", f"--json={tmp_path / 'e'}"
    assert run(monkeypatch, evaluate.main, load, "--num_envs=3", "--suite=track", "--time_scale=0.02", json_option) == 0
    rows = json.loads((tmp_path / "e").read_text())
    assert rows["sim"] == "isaacgym" and list(rows["rows"]) == ["track", "track_slow"]
    # No film: MuJoCo may abort the process where there is no OpenGL.
    monkeypatch.setattr(play, "open_film", lambda *_: None)
    assert run(monkeypatch, play.main, load, "--headless", "--duration=0.2", f"--out={tmp_path / 'played'}") == 0
    assert (tmp_path / "played" / "states.png").is_file()
    assert (tmp_path / "played" / "exported" / "policy.onnx").is_file()
    assert "act as the checkpoint does" in capsys.readouterr().out
