"""The folder that goes onto the robot: whole, described, proved, or refused in one line."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from legged_gym.deployment import bundle
from legged_gym.deployment.networks import OnnxNetworks
from legged_gym.options.cli import run_main
from legged_gym.scripts import deploy

FILES = {"encoder.onnx", "policy.onnx", "params.yaml", "deploy.json", "observations.npz", "report.txt"}
QUICK = ("--sim=mujoco", "--rl_device=cpu")


def run(monkeypatch: pytest.MonkeyPatch, *argv: str) -> object:
    """Runs the script in this process and returns its exit code."""
    monkeypatch.setattr(sys, "argv", ["deploy.py", *argv])
    monkeypatch.setenv("ROBOT_TYPE", "PF_TRON1A")
    with pytest.raises(SystemExit) as stop:
        run_main(deploy.main)
    return stop.value.code


def test_the_shipped_policy_is_deployed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "robot"
    trial = ("--suite=track_slow", "--num_envs=2", "--num_procs=1", "--engine=mujoco", "--time_scale=0.1")
    assert run(monkeypatch, "--agent=pretrained", f"--out={out}", *trial, *QUICK) == 0
    assert {path.name for path in out.iterdir()} == FILES and [path.name for path in tmp_path.iterdir()] == ["robot"]
    record = json.loads((out / "deploy.json").read_text())
    assert record["training"]["commit"] == "abb950e" and record["training"]["checkpoint"] == "model_6277.pt"
    assert record["results"]["sim2sim"]["mujoco"]["rows"]["track_slow"]["survival"] == 1.0
    assert record["results"]["evaluate"]["push_1.0"]["n"] == 256
    assert len(record["parity"]) == 9 and all(row["worst"] < 1e-4 for row in record["parity"].values())
    metadata = bundle.read_metadata(out / "encoder.onnx")
    assert {name: metadata[name] for name in metadata if name != "results"} == {
        name: record[name] for name in record if name not in ("results", "parity", "verdict")
    }
    assert metadata["results"] == record["results"]
    assert yaml.safe_load((out / "params.yaml").read_text())["PointfootCfg"]["user_cmd_scales"]["ang_vel_yaw"] == 0.25
    seen = np.load(out / "observations.npz")
    assert seen["histories"].shape == (600, 300) and np.isfinite(seen["inputs"]).all()
    OnnxNetworks(out).act(seen["inputs"][0])
    output = capsys.readouterr().out
    assert "action_knee_R" in output and "survival of 2 robots a row: track_slow 1.00" in output
    assert "no verdict" in (out / "report.txt").read_text()


def test_a_run_is_deployed_and_its_folder_replaced_only_if_asked(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str], trained_run: Path
) -> None:
    argv = (f"--load_run={trained_run}", f"--out={tmp_path / 'robot'}", "--suite=none", *QUICK)
    monkeypatch.setattr("legged_gym.deployment.parity.OBSERVATIONS", 20)
    assert run(monkeypatch, *argv) == 0
    assert "not tried in other simulators" in (tmp_path / "robot" / "report.txt").read_text()
    record = json.loads((tmp_path / "robot" / "deploy.json").read_text())
    assert record["training"]["commit"] == "not noted" and record["training"]["robot_steps"] == 16
    capsys.readouterr()
    assert run(monkeypatch, *argv) == 2
    assert "was deployed before; add --replace" in capsys.readouterr().err
    assert run(monkeypatch, *argv, "--replace") == 0


def test_broken_weights_are_refused_and_nothing_is_left(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str], trained_run: Path
) -> None:
    broken = tmp_path / "run"
    broken.mkdir()
    for name in ("env_cfg.json", "train_cfg.json"):
        (broken / name).write_bytes((trained_run / name).read_bytes())
    data = torch.load(trained_run / "model_1.pt", weights_only=False)
    name = next(name for name in data["actor_state_dict"] if name.startswith("estimator"))
    data["actor_state_dict"][name].view(-1)[3] = float("nan")
    torch.save(data, broken / "model_1.pt")
    assert run(monkeypatch, f"--load_run={broken}", f"--out={tmp_path / 'robot'}", "--suite=none", *QUICK) == 2
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error")]
    assert "not finite" in line
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


@pytest.mark.parametrize(
    ("argv", "text"),
    [
        (("--agent=pretrained", "--env.control.damping=2.5"), "trained with K_d 2.5 N m s/rad, the controller runs"),
        (("--agent=pretrained", "--env.gait.ranges.frequency=2.4,3.0"), "a gait frequency of 2.4 to 3 Hz"),
        (("--agent=teacher",), "--agent teacher cannot be deployed: give checkpoint"),
        (("--agent=pretrained", "--suite=jump"), "unknown suite 'jump'"),
        (("--agent=pretrained", "--engine=bullet"), "--engine: got 'bullet', known: mujoco, drake"),
        (("--agent=pretrained", "--num_envs=0"), "expected a number >= 1"),
    ],
)
def test_what_cannot_be_deployed_is_one_line(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    argv: tuple[str, ...],
    text: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(monkeypatch, f"--out={tmp_path / 'robot'}", *argv, *QUICK) == 2
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error")]
    assert text in line
    assert not [*tmp_path.iterdir()]


def test_a_folder_of_others_is_left_alone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    assert run(monkeypatch, "--agent=pretrained", f"--out={tmp_path}", "--replace", "--suite=none") == 2
    assert "was not made by deploy.py" in capsys.readouterr().err
    assert run(monkeypatch, "--agent=pretrained", "--suite=none") == 2
    assert "--out: name the folder to make" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]
