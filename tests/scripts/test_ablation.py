"""The ablation on the real task with toy budgets: what it leaves, what it keeps, what it goes on with."""

import json
import sys
from pathlib import Path

import pytest

from legged_gym.evaluation import results
from legged_gym.evaluation.ablation import Run
from legged_gym.options.cli import run_main
from legged_gym.scripts import ablation

TOY = (
    *("--num_envs=4", "--max_iterations=4", "--snapshots=3", "--suite=track", "--time_scale=0.02", "--sim=mujoco"),
    *("--train.policy.actor_hidden_dims=16", "--train.policy.critic_hidden_dims=16", "--rl_device=cpu"),
)


@pytest.fixture(autouse=True)
def few_robots(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ablation, "EVALUATED_ROBOTS", {"cpu": 2, "cuda": 2})
    monkeypatch.setattr(ablation, "AT_ONCE", {"cpu": 2, "cuda": 2})  # of three snapshots: the second batch is filled up
    monkeypatch.setattr(ablation, "FINAL_ROBOTS", 4)


def run(monkeypatch: pytest.MonkeyPatch, out: Path, *argv: str) -> object:
    """Runs the script in this process and returns its exit code."""
    monkeypatch.setattr(sys, "argv", ["ablation.py", f"--out={out}", *TOY, *argv])
    with pytest.raises(SystemExit) as stop:
        run_main(ablation.main)
    return stop.value.code


def test_runs_are_done_kept_and_gone_on_with(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert run(monkeypatch, tmp_path, "--arms=ppo,dcm+offset", "--seeds=3") == 0
    content = json.loads((tmp_path / "ablation.json").read_text())
    assert [(r["arm"], r["seed"]) for r in content["runs"]] == [("ppo", 3), ("dcm+offset", 3)]
    assert content["robot_steps"] == 4 * 24 * 4
    for found in content["runs"]:
        assert [point["steps"] for point in found["curve"]] == [96, 192, 384]
        seconds = [point["seconds"] for point in found["curve"]]
        assert 0.0 < seconds[0] < seconds[1] < seconds[2]
        assert list(found["rows"]) == ["track", "track_slow"] and found["evaluation_seconds"] > 0.0
    assert content["arms"]["ppo"]["seeds"] == 1
    assert (tmp_path / "ablation.png").stat().st_size > 10_000
    figures = results.load(tmp_path / "result.json")["figures"]
    assert {arm: figures[arm]["passed"]["value"] for arm in figures} == {
        arm: entry["passed"] for arm, entry in content["arms"].items()
    }
    for arm, teacher in (("ppo", False), ("dcm+offset", True)):
        (cfg,) = (tmp_path / f"{arm}_seed3").rglob("train_cfg.json")
        assert json.loads(cfg.read_text())["teacher"]["enabled"] is teacher
        assert json.loads(cfg.read_text())["seed"] == 3
    # Again: the finished run is kept as it is; the other one lost its end and goes on from its last checkpoint.
    kept = (tmp_path / "ppo_seed3" / "run.json").read_bytes()
    lost = tmp_path / "dcm+offset_seed3"
    for path in (lost / "run.json", *lost.rglob("model_[34].pt"), lost / "snapshot_4.pt"):
        path.unlink()
    assert run(monkeypatch, tmp_path, "--arms=ppo,dcm+offset", "--seeds=3") == 0
    assert (tmp_path / "ppo_seed3" / "run.json").read_bytes() == kept
    assert "model_2.pt" in (lost / "train.log").read_text().split("Going on from ")[1].splitlines()[0]
    assert [point["steps"] for point in Run.load(lost / "run.json").curve] == [96, 192, 384]


def test_a_run_that_fails_does_not_stop_the_others(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    judge = ablation.judge
    monkeypatch.setattr(ablation, "judge", lambda plan, arm, *more: judge(plan, arm, *more) if arm == "dcm" else 1 / 0)
    assert (
        run(monkeypatch, tmp_path, "--arms=ppo,dcm", "--seeds=0")
        == "runs that failed: 1; the same command tries them again"
    )
    assert "ppo, seed 0: failed, see" in capsys.readouterr().out
    assert "ZeroDivisionError" in (tmp_path / "ppo_seed0" / "train.log").read_text()
    assert [r["arm"] for r in json.loads((tmp_path / "ablation.json").read_text())["runs"]] == ["dcm"]


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--arms=dmc"], "unknown arm 'dmc'; did you mean 'dcm'?"),
        (["--seeds=a"], "--seeds: got 'a'"),
        (["--jobs=0"], "--jobs: got 0"),
        (["--resume"], "unknown option '--resume'"),
        (["--seed=3"], "--seed: is set by the ablation"),
        (["--train.runner.resume=true"], "--train.runner.resume: is set by the ablation"),
        (["--suite=trak"], "unknown suite 'trak'"),
        (["--time_scale=-1"], "--time_scale: got -1.0"),
        (["--max_iterations=8"], "holds runs of 100 iterations: give another --out"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, argv: list[str], message: str
) -> None:
    (tmp_path / "ppo_seed0").mkdir()
    Run("ppo", 0, 100, [], None, {}, 0.0).save(tmp_path / "ppo_seed0" / "run.json")
    assert run(monkeypatch, tmp_path, *argv) == 2
    errors = capsys.readouterr().err.splitlines()
    assert len(errors) == 1 and message in errors[0]
