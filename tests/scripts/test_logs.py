"""From a simulated robot's log to its joints and to the comparison, as on the command line."""

import csv
import json
import re
import runpy
import sys
import time
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from legged_gym import LEGGED_GYM_ROOT_DIR, resources_dir
from legged_gym.deployment import identification
from legged_gym.deployment.robot_log import read_log
from legged_gym.options.cli import run_main
from legged_gym.scripts import compare_log, identify, play, sim2sim

POLICY = resources_dir() / "policies" / "PF_TRON1A" / "pointfoot_flat"


def run(monkeypatch: pytest.MonkeyPatch, script: ModuleType, *argv: str) -> object:
    """Runs a script in this process and returns its exit code."""
    monkeypatch.setattr(sys, "argv", [f"{script.__name__}.py", *argv])
    monkeypatch.setenv("ROBOT_TYPE", "PF_TRON1A")
    with pytest.raises(SystemExit) as stop:
        run_main(script.main)
    return stop.value.code


def write_joints(file: Path) -> None:
    """Writes what identify.py would have found on a robot with 20 ms of delay and stiff bearings."""
    values = {"friction_hip": 1.5, "friction_knee": 1.0, "delay": 0.02}
    entries = {name: {"value": value, "identified": True} for name, value in values.items()}
    file.write_text(json.dumps({"parameters": entries}))


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with `joints.json` and logs of a robot with these joints: hoist.csv and walk.csv."""
    folder, patch = tmp_path_factory.mktemp("logs"), pytest.MonkeyPatch()
    write_joints(folder / "joints.json")
    robot = (f"--onnx={POLICY}", f"--joints={folder / 'joints.json'}", "--suite=track_slow", "--num_procs=1")
    with patch.context():
        hoist = ("--hoist", f"--log={folder / 'hoist.csv'}", "--time_scale=0.21")
        assert run(patch, sim2sim, *robot, *hoist) == 0
        walk = ("--num_envs=1", f"--log={folder / 'walk.csv'}", "--time_scale=0.2")
        assert run(patch, sim2sim, *robot, *walk, f"--json={folder / 'walk.json'}") == 0
    patch.undo()
    return folder


def test_logs_are_of_every_pass_and_of_the_judged_robot(logs: Path) -> None:
    with (logs / "walk.csv").open() as file:
        rows = [*csv.DictReader(file)]
    assert len(rows) == 500 + 1000, "a second of standing up, two of walking"
    assert float(rows[1]["time"]) == 0.002 and float(rows[700]["imu_quat_w"]) > 0.9
    heights = [float(row["imu_acc_z"]) for row in rows]
    assert np.mean(heights) == pytest.approx(9.81, abs=0.5), "specific force, upwards"
    figures = json.loads((logs / "walk.json").read_text())["figures"]
    assert figures["joints"]["delay"] == 0.02 and figures["joints"]["friction_hip"] == 1.5


def test_a_hoist_log_gives_the_joints_back(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str], logs: Path
) -> None:
    file = tmp_path / "found.json"
    assert run(monkeypatch, identify, str(logs / "hoist.csv"), f"--json={file}") == 0
    found = json.loads(file.read_text())["parameters"]
    for name, value in (("friction_hip", 1.5), ("friction_knee", 1.0), ("delay", 0.02), ("armature_knee", 0.01)):
        assert found[name]["identified"] and found[name]["value"] == pytest.approx(value, rel=0.1), name
    assert found["friction_abad"]["value"] == pytest.approx(0.0, abs=0.03) and found["friction_abad"]["identified"]
    out = capsys.readouterr().out
    assert "on the hoist" in out and "std error" in out and f"joints: {file}" in out


def test_a_walk_is_compared_and_the_right_joints_fit_better(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str], logs: Path
) -> None:
    log, joints = str(logs / "walk.csv"), f"--joints={logs / 'joints.json'}"
    assert run(monkeypatch, compare_log, log, f"--out={tmp_path / 'a'}") == 0
    assert run(monkeypatch, compare_log, log, joints, f"--onnx={POLICY}", f"--out={tmp_path / 'b'}") == 0
    out = capsys.readouterr().out
    assert "stance_L" in out and "vx_rmse" in out and "joints in the air" in out
    names = {"comparison.json", "joints.png", "walk.png", "simulator.csv"}
    assert {path.name for path in (tmp_path / "b").iterdir()} == names
    assert not (tmp_path / "a" / "simulator.csv").exists(), "without a policy"
    usual, right = (json.loads((tmp_path / name / "comparison.json").read_text()) for name in "ab")
    for name, error in right["joints_in_the_air"]["rms"].items():
        assert error < 0.3 * usual["joints_in_the_air"]["rms"][name], name
    assert right["robot"]["step_rate"] == pytest.approx(4.0, abs=0.6)
    assert right["simulator"]["vx_asked"] == pytest.approx(right["robot"]["vx_asked"], abs=0.02)


def test_identify_before_comparing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, logs: Path) -> None:
    monkeypatch.setattr(identification, "MAX_ITERATIONS", 3)
    monkeypatch.chdir(tmp_path)
    assert run(monkeypatch, compare_log, str(logs / "walk.csv"), "--identify", "--start=1.2", "--stop=2.6") == 0
    result = json.loads((tmp_path / "compare_walk" / "comparison.json").read_text())
    found = json.loads((tmp_path / "compare_walk" / "joints.json").read_text())["parameters"]
    assert result["simulator"] is None and found["delay"]["value"] == pytest.approx(0.02, abs=0.002)
    assert result["joint_parameters"]["delay"] == found["delay"]["value"]


def test_play_logs_too(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "play.csv"
    show = ("--agent=pretrained", "--headless", "--sim=mujoco", "--duration=0.6", f"--log={file}")
    monkeypatch.setattr(play, "open_film", lambda *_: None)
    assert run(monkeypatch, play, *show, f"--out={tmp_path}") == 0
    assert f"log: {file}" in capsys.readouterr().out
    with file.open() as lines:
        rows = [*csv.DictReader(lines)]
    assert len(rows) == 30 and float(rows[1]["time"]) - float(rows[0]["time"]) == pytest.approx(0.02)
    assert {"command_vx", "contact_L", "target_hip_R"} <= set(rows[0]) and "imu_acc_x" not in rows[0]
    w, z = float(rows[-1]["imu_quat_w"]), float(rows[-1]["imu_quat_z"])
    assert w * w + z * z > 0.95, "upright, w first"
    assert run(monkeypatch, compare_log, str(file), f"--out={tmp_path / 'c'}") == 0
    assert "joints: left out: rows are 20 ms apart" in capsys.readouterr().out
    assert run(monkeypatch, identify, str(file)) == 2
    assert "rows are 20 ms apart, expected 5.5 ms at most: log every pass" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("script", "argv", "text"),
    [
        (identify, ("nothing.csv",), "nothing.csv: cannot be read"),
        (identify, ("LOG", "--columns=nothing.yaml"), "--columns nothing.yaml: cannot be read"),
        (identify, ("LOG", "--start=7"), "nothing is left between --start and --stop; it goes from 0 s to"),
        (identify, ("LOG", "--kp=-1"), "--kp: got -1.0"),
        (identify, ("LOG", "--num_procs=0"), "--num_procs: got 0"),
        (identify, ("LOG", "--json=/nowhere/x.json"), "there is no folder /nowhere"),
        (identify, ("LOG", "--model=x.urdf"), "--model x.urdf: no such file"),
        (compare_log, ("LOG", "--onnx=nowhere"), "no such folder: nowhere"),
        (compare_log, ("LOG", "--joints=nothing.json"), "is no result of identify.py"),
        (compare_log, ("LOG", "--joints=x.json", "--identify"), "give only one of them"),
        (sim2sim, (f"--onnx={POLICY}", "--hoist"), "--hoist only makes a log: name its file with --log"),
        (sim2sim, (f"--onnx={POLICY}", "--joints=LOG"), "is no result of identify.py"),
        (sim2sim, (f"--onnx={POLICY}", "--log=/nowhere/x.csv"), "there is no folder /nowhere"),
        (play, ("--agent=pretrained", "--log=/nowhere/x.csv"), "there is no folder /nowhere"),
    ],
)
def test_bad_input_is_one_line(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    logs: Path,
    script: ModuleType,
    argv: tuple[str, ...],
    text: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(monkeypatch, script, *(word.replace("LOG", str(logs / "walk.csv")) for word in argv)) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ") and error.count("\n") == 1 and text in error


def test_the_logger_of_the_page_writes_what_is_read(tmp_path: Path) -> None:
    """The code in docs/deploy.md, run on a stand-in for the maker's controller."""
    page = (LEGGED_GYM_ROOT_DIR / "docs" / "deploy.md").read_text()
    (code,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    (tmp_path / "robot_log.py").write_text(code)
    names = runpy.run_path(str(tmp_path / "robot_log.py"))
    q, dq, tau, target = (list(np.arange(6) + 10 * k) for k in range(4))
    controller = SimpleNamespace(
        robot_state=SimpleNamespace(q=[0.01 * x for x in q], dq=dq, tau=tau),
        imu_data=SimpleNamespace(quat=[0.0, 0.6, 0.0, 0.8], gyro=[1.0, 2.0, 3.0], acc=[-9.6, 0.1, 2.8]),
        robot_cmd=SimpleNamespace(q=[0.01 * x for x in target]),
        commands=[0.1, 0.2, 0.3],
    )
    logger = names["RobotLog"]()
    for _ in range(4):
        logger.add(controller)
        time.sleep(0.002)
    logger.write(tmp_path / "log.csv")
    log = read_log(tmp_path / "log.csv")
    assert log.quat[0].tolist() == [0.8, 0.0, 0.6, 0.0] and log.body_rates[2].tolist() == [1.0, 2.0, 3.0]
    assert log.target[1] == pytest.approx([0.3, 0.31, 0.32, 0.33, 0.34, 0.35]) and log.torque[0].tolist() == tau
    assert log.acceleration is not None and log.acceleration[0, 2] == 2.8
    assert log.command is not None and log.command[3].tolist() == [0.1, 0.2, 0.3]
