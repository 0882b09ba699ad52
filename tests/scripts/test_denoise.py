"""A run's policy taught to act through noise, from the command line."""

import errno
import json
import shutil
import sys
from pathlib import Path

import pytest
import torch

from legged_gym.options.cli import run_main
from legged_gym.runners import denoising
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


def another_run(tmp_path: Path, trained_run: Path, action_scale: float | None = None) -> Path:
    """A run whose policy asks for other actions, and may scale them in another way."""
    other = tmp_path / "other"
    shutil.copytree(trained_run, other)
    (checkpoint,) = sorted(other.glob("model_*.pt"))[-1:]
    data = load_checked(checkpoint)
    for name in ("actor_state_dict", "newest_actor_state_dict"):
        last = max(part for part in data[name] if part.startswith("mlp.") and part.endswith("bias"))
        data[name][last] += 5.0
    save_atomically(data, checkpoint)
    if action_scale is not None:
        cfg = json.loads((other / "env_cfg.json").read_text())
        cfg["control"]["action_scale"] = action_scale
        (other / "env_cfg.json").write_text(json.dumps(cfg))
    return other


def test_it_learns_to_recover_as_another_run_does(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, trained_run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, other, told = tmp_path / "run", another_run(tmp_path, trained_run), []
    shutil.copytree(trained_run, source)
    monkeypatch.setattr(denoising, "in_trouble", lambda env: torch.ones(env.num_envs, dtype=torch.bool))
    learn = denoise.Denoiser._learn
    monkeypatch.setattr(
        denoise.Denoiser, "_learn", lambda self, samples: told.append((samples, self.cfg.blend)) or learn(self, samples)
    )
    assert run(monkeypatch, f"--load_run={source}", f"--recover_as={other}", "--iterations=2") == 0
    assert "iteration 2/2" in capsys.readouterr().out
    (samples, blend), _ = told
    assert samples["action"].abs().mean() > 3.0 and blend == 1.0
    assert run(monkeypatch, f"--load_run={source}", f"--recover_as={other}", "--iterations=2") == 2, "it is there"
    shutil.rmtree(tmp_path / "run_denoised")
    options = ("--iterations=1", "--train.denoising.blend=0.4")
    assert run(monkeypatch, f"--load_run={source}", f"--recover_as={other}", *options) == 0
    assert told[-1][1] == 0.4


@pytest.mark.parametrize("option", ["--walk_as", "--recover_as"])
@pytest.mark.parametrize(
    ("other", "said"),
    [
        ("zero", "got 'zero', expected a run"),
        ("teacher", "got 'teacher'"),
        ("nowhere", "no run 'nowhere'"),
        ("nothing/here", "there is nothing at"),
        ("", "got '', expected a run"),
        ("onnx", "got 'onnx', expected the folder"),
        ("pretrained:none", "no pretrained policy"),
    ],
)
def test_what_is_no_run_cannot_be_learned_from(
    monkeypatch: pytest.MonkeyPatch,
    trained_run: Path,
    capsys: pytest.CaptureFixture[str],
    option: str,
    other: str,
    said: str,
) -> None:
    assert run(monkeypatch, f"--load_run={trained_run}", f"{option}={other}") == 2
    assert capsys.readouterr().err.startswith(f"error: {option}: {said}")


def test_a_policy_that_moves_the_robot_in_another_way_is_no_teacher(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, trained_run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = another_run(tmp_path, trained_run, action_scale=0.5)
    for options in ((), ("--env.control.action_scale=0.25",)):  # what its policy was trained with is what counts
        assert run(monkeypatch, f"--load_run={trained_run}", f"--recover_as={other}", *options) == 2
        assert "control.action_scale 0.5" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["other"]


def test_a_policy_of_another_robot_is_no_teacher(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, trained_run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = another_run(tmp_path, trained_run)
    cfg = json.loads((other / "env_cfg.json").read_text())
    cfg["asset"]["robot_type"] = "PF_P441A"
    (other / "env_cfg.json").write_text(json.dumps(cfg))
    assert run(monkeypatch, f"--load_run={trained_run}", f"--walk_as={other}", "--robot=PF_TRON1A") == 2
    assert "asset.robot_type PF_P441A" in capsys.readouterr().err


def test_a_policy_is_not_its_own_other_teacher(
    monkeypatch: pytest.MonkeyPatch, trained_run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, f"--load_run={trained_run}", f"--walk_as={trained_run}") == 2
    assert "is the policy that learns" in capsys.readouterr().err


@pytest.mark.parametrize(("option", "role"), denoise.TEACHERS.items())
def test_each_option_names_its_teacher(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, trained_run: Path, option: str, role: str
) -> None:
    source, given = tmp_path / "run", []
    shutil.copytree(trained_run, source)
    monkeypatch.setattr(
        denoise, "run", lambda spec, iterations, teachers: given.append((iterations, teachers)) or source
    )
    for options in ((f"--{option}={trained_run}",), (), (f"--{option}={trained_run}", "--iterations=7")):
        assert run(monkeypatch, f"--load_run={source}", *options) == 0
    assert [iterations for iterations, _ in given] == [denoise.WITH_ANOTHER, denoise.ALONE, 7]
    assert [list(teachers) for _, teachers in given] == [[role], [], [role]]
    assert given[0][1][role].checkpoint.parent == trained_run
