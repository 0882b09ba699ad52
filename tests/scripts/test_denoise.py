"""A run's policy taught to act through noise, from the command line."""

import errno
import shutil
import sys
from pathlib import Path

import pytest
import torch

from legged_gym.options.cli import run_main
from legged_gym.scripts import denoise
from legged_gym.utils.checkpoint import load_checked, save_atomically

ON_CPU = ("--num_envs=4", "--sim_device=cpu", "--rl_device=cpu")


def run(monkeypatch: pytest.MonkeyPatch, *argv: str) -> object:
    """Runs the script in this process and returns its exit code."""
    monkeypatch.setattr(sys, "argv", ["denoise", *argv, *ON_CPU])
    with pytest.raises(SystemExit) as stop:
        run_main(denoise.main)
    return stop.value.code


def test_it_leaves_a_run_of_its_own(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, trained_run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = tmp_path / "run"
    shutil.copytree(trained_run, source)
    (checkpoint,) = sorted(source.glob("model_*.pt"))[-1:]
    old = load_checked(checkpoint)
    old["newest_actor_state_dict"]["distribution.std_param"] += 0.01
    save_atomically(old, checkpoint)
    assert run(monkeypatch, f"--load_run={source}", "--iterations=2") == 0
    assert "iteration 2/2  usual error of an action" in capsys.readouterr().out
    folder = tmp_path / "run_denoised"
    new = load_checked(folder / checkpoint.name)
    assert {path.name for path in folder.iterdir()} >= {"env_cfg.json", "train_cfg.json", "command.txt"}
    assert "python -m legged_gym denoise --load_run" in (folder / "command.txt").read_text()
    for name in ("actor_state_dict", "newest_actor_state_dict"):
        assert old[name].keys() == new[name].keys()
        assert not torch.equal(old[name]["mlp.0.weight"], new[name]["mlp.0.weight"])
        assert torch.equal(new[name]["mlp.0.weight"], new["actor_state_dict"]["mlp.0.weight"])
        assert torch.equal(old[name]["distribution.std_param"], new[name]["distribution.std_param"])
    assert torch.equal(old["critic_state_dict"]["mlp.0.weight"], new["critic_state_dict"]["mlp.0.weight"])
    kept = load_checked(checkpoint)["actor_state_dict"]
    assert torch.equal(kept["mlp.0.weight"], old["actor_state_dict"]["mlp.0.weight"])
    assert run(monkeypatch, f"--load_run={source}", "--iterations=1") == 2
    assert "is there already" in capsys.readouterr().err


def test_what_is_broken_off_leaves_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, trained_run: Path) -> None:
    source = tmp_path / "run"
    shutil.copytree(trained_run, source)

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(denoise.Denoiser, "_learn", interrupted)
    assert run(monkeypatch, f"--load_run={source}") == 130
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_a_full_disk_leaves_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, trained_run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = tmp_path / "run"
    shutil.copytree(trained_run, source)

    def full(_: object, path: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    monkeypatch.setattr(denoise, "save_atomically", full)
    assert run(monkeypatch, f"--load_run={source}", "--iterations=1") == 2
    assert "No space left on device" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_a_checkpoint_of_another_task_is_refused_in_a_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, trained_run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = tmp_path / "run"
    shutil.copytree(trained_run, source)
    (checkpoint,) = sorted(source.glob("model_*.pt"))[-1:]
    data = load_checked(checkpoint)
    data["env_state"] = {}
    save_atomically(data, checkpoint)
    assert run(monkeypatch, f"--load_run={source}") == 2
    assert "its state of the task does not fit" in capsys.readouterr().err


@pytest.mark.parametrize("number", ["0", "-3", "many"])
def test_a_number_that_makes_no_sense_is_refused(
    monkeypatch: pytest.MonkeyPatch, trained_run: Path, capsys: pytest.CaptureFixture[str], number: str
) -> None:
    assert run(monkeypatch, f"--load_run={trained_run}", f"--iterations={number}") == 2
    assert "--iterations" in capsys.readouterr().err
