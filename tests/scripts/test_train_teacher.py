"""Training Δξ from the command line."""

import json
import shlex
import sys
from pathlib import Path

import pytest

from legged_gym.scripts import train_teacher
from legged_gym.utils.errors import UserError

SMALL = ["--num_envs=4", "--sim=mujoco", "--max_iterations=1", "--num_steps=30", "--epochs=1"]


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> None:
    monkeypatch.setattr(sys, "argv", ["train_teacher.py", *SMALL, *arguments])
    train_teacher.main()


def test_trains_and_goes_on(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], logs: Path) -> None:
    run(monkeypatch)
    (made,) = logs.glob("pointfoot_flat_teacher/PF_TRON1A/*")
    assert {path.name for path in made.iterdir()} >= {"env_cfg.json", "train_cfg.json", "offset_1.pt"}
    command = shlex.split(capsys.readouterr().out.splitlines()[-1])
    assert command[3:] == [
        *("--task=pointfoot_flat", "--robot=PF_TRON1A", "--agent=teacher"),
        f"--offset={made / 'offset_1.pt'}",
    ]
    run(monkeypatch, f"--offset={made / 'offset_1.pt'}")
    assert len(list(logs.glob("pointfoot_flat_teacher/PF_TRON1A/*/offset_*.pt"))) == 2


def test_an_offset_that_is_not_there_leaves_no_run(monkeypatch: pytest.MonkeyPatch, logs: Path) -> None:
    with pytest.raises(UserError, match="no such checkpoint: /nowhere"):
        run(monkeypatch, "--offset=/nowhere")
    assert not list(logs.glob("*"))


@pytest.mark.parametrize("weight", ["-1", "nan", "inf"])
def test_a_weight_of_the_stability_that_is_none_is_refused(monkeypatch: pytest.MonkeyPatch, weight: str) -> None:
    with pytest.raises(UserError, match=r"--stability: got .*, expected a number >= 0"):
        run(monkeypatch, f"--stability={weight}")


def test_stability_is_in_the_loss_unless_it_is_left_out(monkeypatch: pytest.MonkeyPatch, logs: Path) -> None:
    for arguments, weight in (((), 1.0), (("--stability=0",), 0.0)):
        run(monkeypatch, *arguments)
        *_, made = sorted(logs.glob("pointfoot_flat_teacher/PF_TRON1A/*"), key=lambda path: path.stat().st_mtime)
        assert json.loads((made / "train_cfg.json").read_text())["teacher"]["dcm"]["offset"]["w_stability"] == weight


@pytest.mark.parametrize("argument", ["--num_steps=0", "--epochs=0", "--max_iterations=0"])
def test_training_nothing_is_refused(monkeypatch: pytest.MonkeyPatch, argument: str) -> None:
    with pytest.raises(UserError, match=f"{argument.partition('=')[0]}: got 0, expected"):
        run(monkeypatch, argument)
