"""Training Δξ from the command line."""

import gc
import json
import shlex
import sys
from pathlib import Path
from typing import Any

import pytest

from legged_gym.scripts import train_teacher
from legged_gym.teacher.offset_network import OffsetNetwork
from legged_gym.utils import startup
from legged_gym.utils.checkpoint import save_atomically
from legged_gym.utils.errors import UserError

SMALL = ["--num_envs=4", "--sim=mujoco", "--max_iterations=1", "--num_steps=30", "--epochs=1"]


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> None:
    monkeypatch.setattr(sys, "argv", ["train_teacher.py", *SMALL, *arguments])
    train_teacher.main()


def test_trains_and_goes_on(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], logs: Path) -> None:
    startup.begins()
    run(monkeypatch)
    assert gc.isenabled(), "from the end of the start on"
    gc.unfreeze()
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


@pytest.mark.parametrize(
    ("saved", "text"),
    [
        ({}, "holds no offset for this teacher; train_teacher.py makes one"),
        ({"offset_network": {"net.0.weight": 3}}, "other inputs or layers"),
        ({"offset_network": OffsetNetwork().state_dict()}, "without its optimiser"),
    ],
)
def test_a_file_that_holds_something_else_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, logs: Path, saved: dict[str, Any], text: str
) -> None:
    save_atomically(saved, tmp_path / "offset.pt")
    with pytest.raises(UserError, match=text):
        run(monkeypatch, f"--offset={tmp_path / 'offset.pt'}")
    assert not list(logs.glob("*/*/*"))


@pytest.mark.parametrize("value", ["-1", "nan", "inf"])
@pytest.mark.parametrize("option", ["stability", "max_push"])
def test_a_number_that_makes_no_sense_is_refused(monkeypatch: pytest.MonkeyPatch, option: str, value: str) -> None:
    with pytest.raises(UserError, match=rf"--{option}: got .*, expected a number >= 0"):
        run(monkeypatch, f"--{option}={value}")


def test_the_largest_push_is_the_tasks_where_the_rest_is(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match=r"set --env\.domain_rand\.max_push_vel_xy"):
        run(monkeypatch, "--randomize", "--max_push=1")


def test_stability_and_pushes_are_those_that_were_asked_for(monkeypatch: pytest.MonkeyPatch, logs: Path) -> None:
    for arguments, expected in (((), (0.05, 1.5)), (("--stability=1", "--max_push=0.5"), (1.0, 0.5))):
        run(monkeypatch, *arguments)
        *_, made = sorted(logs.glob("pointfoot_flat_teacher/PF_TRON1A/*"), key=lambda path: path.stat().st_mtime)
        train_cfg, env_cfg = (json.loads((made / f"{name}_cfg.json").read_text()) for name in ("train", "env"))
        used = train_cfg["teacher"]["dcm"]["offset"]["w_stability"], env_cfg["domain_rand"]["max_push_vel_xy"]
        assert used == expected


@pytest.mark.parametrize(
    ("physics", "friction", "delay"), [(None, 1.0, 0.0), ("ideal", 1.0, 0.0), ("deployed", 0.6, 0.01)]
)
def test_the_physics_is_what_was_asked_for(
    monkeypatch: pytest.MonkeyPatch, logs: Path, physics: str | None, friction: float, delay: float
) -> None:
    run(monkeypatch, *([] if physics is None else [f"--physics={physics}"]))
    (made,) = logs.glob("pointfoot_flat_teacher/PF_TRON1A/*")
    cfg = json.loads((made / "env_cfg.json").read_text())
    assert (cfg["terrain"]["static_friction"], cfg["control"]["action_delay"]) == (friction, delay)


def test_randomised_physics_is_the_tasks(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match=r"--physics: with --randomize it is the task's"):
        run(monkeypatch, "--randomize", "--physics=ideal")


@pytest.mark.parametrize("argument", ["--num_steps=0", "--epochs=0", "--max_iterations=0"])
def test_training_nothing_is_refused(monkeypatch: pytest.MonkeyPatch, argument: str) -> None:
    with pytest.raises(UserError, match=f"{argument.partition('=')[0]}: got 0, expected"):
        run(monkeypatch, argument)
