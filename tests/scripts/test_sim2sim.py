"""The second judge's command line, on the shipped policy, with few robots and rows cut short."""

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from legged_gym import resources_dir
from legged_gym.evaluation import results
from legged_gym.options.cli import run_main
from legged_gym.scripts import sim2sim

POLICY = resources_dir() / "policies" / "PF_TRON1A" / "pointfoot_flat"
SHORT = ("--num_envs=2", "--time_scale=0.1", "--num_procs=1")


def run(monkeypatch: pytest.MonkeyPatch, *argv: str) -> object:
    """Runs the script in this process and returns its exit code."""
    monkeypatch.setattr(sys, "argv", ["sim2sim.py", *argv])
    with pytest.raises(SystemExit) as stop:
        run_main(sim2sim.main)
    return stop.value.code


def result(monkeypatch: pytest.MonkeyPatch, file: Path, *argv: str) -> dict[str, Any]:
    """Runs the script on the shipped policy and returns the JSON it wrote."""
    assert run(monkeypatch, f"--onnx={POLICY}", *argv, f"--json={file}") == 0
    return json.loads(file.read_text())


@pytest.mark.parametrize("engine", ["mujoco", "drake"])
def test_the_json_is_laid_out_like_the_first_judges(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str], engine: str
) -> None:
    if engine == "drake" and find_spec("pydrake") is None:
        pytest.skip("needs Drake")
    rows = "push_1.0,stiff_2ms"
    figures = tmp_path / "result.json"
    options = ("--engine", engine, f"--suite={rows}", f"--result={figures}", *SHORT)
    data = result(monkeypatch, tmp_path / "out.json", *options)
    assert list(results.load(figures)["figures"]) == list(data["rows"])
    assert results.shown(results.load(figures), "push_1.0", "survival") == "1.00 ± 0.17", "of two robots"
    assert (data["agent"], data["robot"], data["seed"]) == ("onnx", "PF_TRON1A", 0)
    assert data["engine"].lower().startswith(engine) and data["figures"]["gait"] == [2.0, 0.5, 0.5, 0.1]
    assert data["model"] == "resources/robots/PF_TRON1A/urdf/robot.urdf" and data["figures"]["timestep"] == 0.001
    assert data["figures"]["action_delay"] == 0.01 and data["figures"]["noise"]["joint_vel"] == 1.5
    row = data["rows"]["push_1.0"]
    assert row["n"] == 2 and row["survival"] == 1.0 and row["torque_rms"] > 1.0
    out = capsys.readouterr().out
    assert "push_1.0" in out and "survival" in out
    if engine == "drake":
        assert list(data["left_out"]) == ["stiff_2ms"] and "stiff_2ms: left out: contacts of Drake's SAP" in out
    else:
        assert list(data["rows"]) == ["push_1.0", "stiff_2ms"] and not data["left_out"]


def test_many_processes_give_the_same_numbers_as_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    argv = ("--suite=track_slow", "--num_envs=3", "--time_scale=0.05")
    one = result(monkeypatch, tmp_path / "one.json", *argv, "--num_procs=1")
    script = [sys.executable, sim2sim.__file__, f"--onnx={POLICY}", *argv, "--num_procs=2"]
    subprocess.run([*script, f"--json={tmp_path / 'two.json'}"], check=True, capture_output=True, timeout=120)
    two = json.loads((tmp_path / "two.json").read_text())
    assert two["rows"] == one["rows"]
    other = result(monkeypatch, tmp_path / "other.json", *argv, "--num_procs=1", "--seed=1")
    assert other["rows"] != one["rows"]


def test_a_policy_in_another_joint_order_gets_a_hint(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    argv = (f"--onnx={POLICY}", "--suite=track_slow", "--num_envs=2", "--time_scale=0.3", "--num_procs=1")
    assert run(monkeypatch, *argv, "--joint_order=isaaclab") == 0
    out = capsys.readouterr().out
    assert "Every robot fell at once" in out and "[0, 3, 1, 4, 2, 5]: try --joint_order legged_gym" in out
    assert run(monkeypatch, *argv) == 0
    assert "fell at once" not in capsys.readouterr().out


def test_a_perfect_world(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    argv = ("--suite=track_slow", *SHORT)
    noisy = result(monkeypatch, tmp_path / "noisy.json", *argv)
    exact = result(monkeypatch, tmp_path / "exact.json", *argv, "--exact")
    assert exact["figures"]["noise"] == {} and exact["figures"]["action_delay"] == 0.0
    assert exact["rows"] != noisy["rows"]


def test_the_scene_can_be_written_and_judged_in(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scene = tmp_path / "scene.xml"
    assert run(monkeypatch, f"--write_scene={scene}") == 0
    assert capsys.readouterr().out == f"scene: {scene}\n"
    argv = ("--suite=push_1.0,rough_2", f"--model={scene}", *SHORT)
    data = result(monkeypatch, tmp_path / "out.json", *argv)
    assert data["rows"]["push_1.0"]["survival"] == 1.0 and data["model"] == str(scene)
    assert "the model has its own ground" in data["left_out"]["rough_2"]


@pytest.mark.parametrize(
    ("argv", "text"),
    [
        ((), "--onnx: name the folder with encoder.onnx and policy.onnx"),
        (("--onnx=nowhere",), "no such folder: nowhere"),
        ((f"--onnx={POLICY}", "--engine=bullet"), "invalid choice: 'bullet'"),
        ((f"--onnx={POLICY}", "--suite=jump"), "unknown suite 'jump'"),
        ((f"--onnx={POLICY}", "--robot=PF_TRON1B"), "unknown robot 'PF_TRON1B'; did you mean 'PF_TRON1A'?"),
        ((f"--onnx={POLICY}", "--model=nothing.xml"), "--model nothing.xml: no such file"),
        ((f"--onnx={POLICY}", "--num_envs=0"), "--num_envs: got 0, expected a number >= 1"),
        ((f"--onnx={POLICY}", "--num_procs=-1"), "--num_procs: got -1"),
        ((f"--onnx={POLICY}", "--json=/nowhere/out.json"), "there is no folder /nowhere"),
        ((f"--onnx={POLICY}", "--speed=2"), "unrecognized arguments: --speed=2"),
    ],
)
def test_bad_input_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], argv: tuple[str, ...], text: str
) -> None:
    assert run(monkeypatch, *argv) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ") and error.count("\n") == 1 and text in error


def test_without_drake_one_line_says_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "pydrake", None)
    for name in [name for name in sys.modules if name.startswith("pydrake.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delitem(sys.modules, "legged_gym.deployment.drake_engine", raising=False)
    monkeypatch.delattr("legged_gym.deployment.drake_engine", raising=False)
    assert run(monkeypatch, f"--onnx={POLICY}", "--engine=drake") == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and "pip install -e '.[sim2sim]'" in error
