"""The evaluation script on the real task, with few robots and rows cut short."""

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch

from legged_gym import resources_dir
from legged_gym.evaluation import loading, results
from legged_gym.evaluation.rows import DEPLOYED_SURVIVAL, STANDARD_SUITES, SUITES, select_rows
from legged_gym.options.cli import run_main
from legged_gym.runners.export import export_policy
from legged_gym.scripts import evaluate
from legged_gym.utils.checkpoint import load_checked

SHORT = ("--num_envs=3", "--time_scale=0.02", "--sim=mujoco", "--sim_device=cpu", "--rl_device=cpu")
MEASURED = ("rmse_vx", "rmse_vy", "rmse_wz", "bias_vx", "bias_vy", "bias_wz", "torque_rms", "base_height")


def run(monkeypatch: pytest.MonkeyPatch, *argv: str) -> object:
    """Runs the script in this process and returns its exit code."""
    monkeypatch.setattr(sys, "argv", ["evaluate.py", *argv])
    with pytest.raises(SystemExit) as stop:
        run_main(evaluate.main)
    return stop.value.code


def result(monkeypatch: pytest.MonkeyPatch, file: Path, *argv: str) -> dict[str, Any]:
    """Runs the script and returns the JSON it wrote."""
    assert run(monkeypatch, *argv, f"--json={file}") == 0
    return json.loads(file.read_text())


def test_figures_for_the_results_page(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "result.json"
    data = result(monkeypatch, tmp_path / "out.json", "--agent=zero", *SHORT, f"--result={file}")
    content = results.load(file)
    assert list(content["figures"]) == list(data["rows"]) and content["seeds"] == [data["seed"]]
    for name, row in data["rows"].items():
        assert content["figures"][name]["survival"]["value"] == row["survival"]
    assert str(file) not in content["command"] and "--agent=zero" in content["command"]


@pytest.mark.parametrize("agent", ["zero", "random", "teacher"])
def test_every_row_is_in_the_json(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, agent: str) -> None:
    data = result(monkeypatch, tmp_path / "out.json", f"--agent={agent}", *SHORT)
    assert [path.name for path in tmp_path.iterdir()] == ["out.json"], "nothing else is left behind"
    assert (data["agent"], data["robot"], data["sim"]) == (agent, "PF_TRON1A", "mujoco")
    assert (data["physics"], data["seed"], data["time_scale"]) == ("deployed", 0, 0.02)
    assert list(data["rows"]) == [row.name for row in select_rows(STANDARD_SUITES)]
    for row in data["rows"].values():
        assert row["n"] == 3 and 0.0 <= row["survival"] <= 1.0
        assert set(MEASURED) <= set(row)
        assert row["survival"] == 0.0 or all(isinstance(row[name], float) for name in MEASURED)


def test_the_same_seed_gives_the_same_numbers(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    argv = ("--agent=random", "--suite=track", *SHORT)
    first = result(monkeypatch, tmp_path / "1.json", *argv, "--seed=4")
    assert result(monkeypatch, tmp_path / "2.json", *argv, "--seed=4") == first
    assert result(monkeypatch, tmp_path / "3.json", *argv, "--seed=5")["rows"] != first["rows"]


def test_the_onnx_files_score_like_the_checkpoint(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, trained_run: Path
) -> None:
    argv = ("--suite=track", "--num_envs=3", "--time_scale=0.02")
    loaded = result(monkeypatch, tmp_path / "torch.json", f"--load_run={trained_run}", *argv)
    assert loaded["agent"] == "checkpoint" and loaded["source"].endswith("/model_1.pt")
    kept: list[Any] = []
    monkeypatch.setattr(loading, "make_agent", lambda *a: kept.append(_make_agent(*a)) or kept[-1])
    result(monkeypatch, tmp_path / "again.json", f"--load_run={trained_run}", *argv)
    monkeypatch.undo()
    export_policy(kept[0].actor, tmp_path / "exported", 300, 30)
    exported = result(monkeypatch, tmp_path / "onnx.json", f"--onnx={tmp_path / 'exported'}", *argv)
    for name in MEASURED:
        assert exported["rows"]["track"][name] == pytest.approx(loaded["rows"]["track"][name], abs=1e-3)


def test_a_policy_that_never_walks_may_have_its_joints_in_another_order(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, actor_that_falls: Path
) -> None:
    result(monkeypatch, tmp_path / "x.json", f"--onnx={actor_that_falls}", "--suite=stand", "--num_envs=2")
    assert "sim2sim.py with --joint_order=isaaclab" in capsys.readouterr().out
    result(monkeypatch, tmp_path / "x.json", "--agent=zero", "--suite=stand", "--num_envs=2", "--time_scale=0.02")
    assert "joint_order" not in capsys.readouterr().out


@pytest.fixture
def actor_that_falls(tmp_path: Path) -> Path:
    """The shipped networks, which now bend all joints."""
    folder = tmp_path / "falls"
    shutil.copytree(resources_dir() / "policies" / "PF_TRON1A" / "pointfoot_flat", folder)
    model = onnx.load(folder / "policy.onnx")
    bias = next(weights for weights in model.graph.initializer if list(weights.dims) == [6])
    bias.CopyFrom(onnx.numpy_helper.from_array(np.full(6, 5.0, np.float32), bias.name))
    onnx.save(model, folder / "policy.onnx")
    return folder


_make_agent = loading.make_agent


def test_the_policy_rate_is_kept_when_the_physics_step_changes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    built: list[Any] = []
    make_env = loading.make_env
    monkeypatch.setattr(loading, "make_env", lambda *a: built.append(make_env(*a)) or built[-1])
    argv = ("--agent=zero", "--suite=track", *SHORT, "--env.sim.dt=0.002", "--physics=ideal")
    argv += ("--env.control.damping=3.0",)
    assert run(monkeypatch, *argv) == 0
    env = built[0]
    assert env.dt == pytest.approx(0.02) and env.sim.options.timestep == 0.002 and env.sim.options.kd == 3.0


def test_each_physics_is_what_it_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The environment that is built, and what the table and the JSON say of it."""
    built: list[Any] = []
    make_env = loading.make_env
    monkeypatch.setattr(loading, "make_env", lambda *a: built.append(make_env(*a)) or built[-1])
    for physics, delay, curve in (("deployed", 0.01, True), ("ideal", 0.0, False)):
        data = result(monkeypatch, tmp_path / "x.json", "--agent=zero", "--suite=stand", *SHORT, f"--physics={physics}")
        sim = built[-1].sim
        assert data["physics"] == physics and list(data["rows"]) == ["stand"]
        assert sim.parameters["action_delay"].tolist() == pytest.approx([delay] * 3)
        assert sim.options.motor_curve == sim.options.clamp_targets == curve and sim.options.self_collisions


def test_rows_go_by_name_too(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Each kind of row, on the real environment; a row on its own shows what it shows in its suite."""
    names = ["shove_lid_9", "trip_100", "feet_0.8_0.2", "stiff_2ms", "gait_2.8", "stick", "stand", "kd_2.5"]
    argv = ("--agent=teacher", "--num_envs=2", "--time_scale=0.05", "--sim=mujoco", "--sim_device=cpu")
    rows = result(monkeypatch, tmp_path / "rows.json", f"--suite={','.join(names)}", *argv)["rows"]
    assert list(rows) == names
    for row in rows.values():
        assert isinstance(row["peak_power"], float) and isinstance(row["legs_touch"], float)
    assert rows["stand"]["drift"] >= 0.0 and "drift" not in rows["stick"]
    suite = result(monkeypatch, tmp_path / "suite.json", "--suite=gait", *argv)["rows"]
    assert {name: suite[name] for name in ("gait_2.8", "stick")} == {n: rows[n] for n in ("gait_2.8", "stick")}


def test_the_list_explains_the_rows_and_walks_none(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(evaluate, "run", lambda *_: 1 / 0)
    assert run(monkeypatch, "--list", "--suite=deployed,gait_1.6") == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == [*DEPLOYED_SURVIVAL, "gait_1.6"]
    assert lines[0] == "track              20 s  a new velocity from the whole range every 5 s; deployed: survival >= 1"
    assert run(monkeypatch, "--list") == 0
    assert len(capsys.readouterr().out.splitlines()) == sum(len(SUITES[name]) for name in STANDARD_SUITES)
    assert run(monkeypatch, "--list", "--suite=jump") == 2
    assert "unknown suite 'jump'" in capsys.readouterr().err


def test_a_verdict_ends_the_table_of_whole_rows_as_deployed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    track = {"survival": 0.97, "rmse_vx": 0.15, "rmse_vy": 0.05, "rmse_wz": 0.1}
    monkeypatch.setattr(evaluate, "run", lambda *_: {"rows": {"track": track}})
    assert run(monkeypatch, "--agent=zero") == 0
    gate, verdict = capsys.readouterr().out.splitlines()
    assert gate.startswith("walking gate (track: ") and gate.endswith(": passed")
    assert verdict.startswith("not fit to be deployed (1 of 19") and "track 0.970 < 1.00; track rmse_vx" in verdict
    for argv in ("--physics=ideal", "--time_scale=0.5"):
        assert run(monkeypatch, "--agent=zero", argv) == 0
        assert capsys.readouterr().out.startswith("no verdict: a verdict needs whole rows"), "on anything else"


def test_a_report_compares_two_agents(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """On the real environment, in one file; the JSON has both, with their maps."""
    other = tmp_path / "sim2sim.json"
    other.write_text(json.dumps({"engine": "MuJoCo 9", "rows": {"stand": {"survival": 0.5}}}))
    argv = ("--agent=teacher", "--against=zero", "--suite=stand", *SHORT, f"--report={tmp_path / 'report'}")
    data = result(monkeypatch, tmp_path / "x.json", *argv, f"--sim2sim={other}")
    assert [path.name for path in (tmp_path / "report").iterdir()] == ["report.html"]
    text = (tmp_path / "report" / "report.html").read_text()
    assert text.startswith("<!doctype html>") and "MuJoCo 9" in text and "<title>teacher against zero</title>" in text
    assert (data["agent"], data["against"]["agent"]) == ("teacher", "zero") and list(data["rows"]) == ["stand"]
    for maps in (data["maps"], data["against"]["maps"]):
        assert {len(rings) for rings in maps["pushes"].values()} == {8} and len(maps["tracking"]["survival"]) == 7
    printed = capsys.readouterr().out
    assert printed.count("no verdict") == 2 and printed.splitlines()[-1].startswith("report: ")


def test_a_policy_whose_weights_are_no_numbers_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, trained_run: Path
) -> None:
    folder = tmp_path / "run"
    shutil.copytree(trained_run, folder)
    data = load_checked(folder / "model_1.pt")
    data["actor_state_dict"]["mlp.0.weight"][3, 2] = float("nan")
    torch.save(data, folder / "model_1.pt")  # as no version of this package would
    assert run(monkeypatch, f"--load_run={folder}", "--suite=track", *SHORT, f"--json={tmp_path / 'x.json'}") == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line == f"error: {folder}/model_1.pt: is of no use: actor_state_dict.mlp.0.weight is not finite"
    assert not (tmp_path / "x.json").exists()


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--suite=trak"], "unknown suite 'trak'"),
        (["--agent=zero", "--against=zeroo"], "error: --against: no run 'zeroo'"),
        (["--agent=zero", "--against="], "error: --against: got '', expected a run, a checkpoint or an agent"),
        (["--agent=zero", "--against=zero:x"], "error: --against=zero:x: only pretrained:POLICY"),
        (["--agent=zero", "--against=-1", "--log_root=/nowhere"], "or give --against=PATH, or --against=pretrained"),
        (["--agent=zero", "--against=zero", "--robot=bogus"], "error: unknown ROBOT_TYPE 'bogus'"),
        (["--agent=zero", "--sim2sim=x.json"], "--sim2sim: goes with --report=DIR"),
        (["--agent=zero", "--report=x", "--sim2sim=/nowhere.json"], "/nowhere.json: cannot be read"),
        (["--agent=zeroo"], "unknown agent 'zeroo'; did you mean 'zero'?"),
        (["--agent=pretrained", "--env.asset.robot_type=PF_P441B"], "no pretrained policy for robot PF_P441B"),
        (["--agent=pretrained:hill"], "no pretrained policy for robot PF_TRON1A by the name hill; there are: "),
        (["--agent=teacher:hills"], "only pretrained:POLICY has a part after the colon"),
        (["--agent=onnx"], "--agent onnx needs --onnx=DIR"),
        (["--onnx=/nowhere"], "no such file: /nowhere/encoder.onnx"),
        (["--agent=zero", "--onnx=/nowhere"], "--onnx goes with --agent onnx"),
        (["--agent=zero", "--load_run=x"], "--load_run goes with --agent checkpoint"),
        (["--agent=teacher", "--offset=/nowhere.pt"], "no such checkpoint: /nowhere.pt"),
        (["--agent=zero", "--json=/nowhere/out.json"], "there is no folder /nowhere"),
        (["--agent=zero", "--time_scale=0"], "--time_scale: got 0.0"),
        (
            ["--agent=zero", "--env.domain_rand.push_robots=True"],
            "--env.domain_rand.push_robots: is decided by the suites and cannot be changed here\n",
        ),
        (
            ["--agent=zero", "--env.control.damping=2.5"],
            "--env.control.damping: is decided by the suites and cannot be changed here but with --physics=ideal\n",
        ),
        (
            ["--agent=zero", "--env.gait.ranges.frequency=2,3"],
            "--env.gait.ranges.frequency: is decided by the suites and cannot be changed here but with --physics=ideal",
        ),
        (
            ["--agent=zero", "--physics=ideal", "--env.control.motor_curve=True"],
            "--env.control.motor_curve: is decided by the suites and cannot be changed here\n",
        ),
        (["--agent=zero", "--physics=real"], "argument --physics: invalid choice: 'real'"),
        (["--agent=zero", "--env.sim.dt=0.003"], "does not divide the policy step"),
        (["--agent=zero", "--num_envs=0"], "--num_envs: got 0"),
        (["--agent=zero", "--task=walk"], "unknown task 'walk'"),
        (["--agent=zero", "--env.asset.robot_type=PF_X"], "PF_X"),
        (["--agent=zero", "--sim=bullet"], "unknown simulator 'bullet'"),
        (["--load_run=nothing"], "no run 'nothing'"),
        ([], "or give --load_run=PATH, or --agent=pretrained"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    argv: list[str],
    message: str,
) -> None:
    file = tmp_path / "out.json"
    assert run(monkeypatch, f"--json={file}", "--num_envs=2", "--time_scale=0.05", *argv) == 2
    errors = capsys.readouterr().err
    assert errors.count("\n") == 1 and errors.startswith("error: ") and message in errors
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_robot_is_not_told_of_policies(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "--env.asset.robot_type=PF_X") == 2
    errors = capsys.readouterr().err
    assert "unknown ROBOT_TYPE 'PF_X', known: PF_P441A" in errors and "pretrained" not in errors


def test_a_damaged_checkpoint_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, trained_run: Path
) -> None:
    for file in trained_run.glob("*.json"):
        (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / "model_1.pt").write_bytes((trained_run / "model_1.pt").read_bytes()[:5000])
    assert run(monkeypatch, f"--load_run={tmp_path}", "--num_envs=2") == 2
    assert "is damaged" in capsys.readouterr().err
