"""The benchmark script with a handful of robots: what it writes, not how fast this machine is."""

import json
import sys
from pathlib import Path

import pytest

from legged_gym.scripts import benchmark
from legged_gym.utils.cli import run_main


def run(monkeypatch: pytest.MonkeyPatch, *argv: str) -> object:
    """Runs the script in this process and returns its exit code."""
    monkeypatch.setattr(sys, "argv", ["benchmark.py", "--sim=mujoco", "--sim_device=cpu", "--rl_device=cpu", *argv])
    with pytest.raises(SystemExit) as stop:
        run_main(benchmark.main)
    return stop.value.code


def test_the_json_has_a_row_per_robot_count(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "out.json"
    small = ("--train.policy.actor_hidden_dims=16", "--train.policy.critic_hidden_dims=16")
    options = (f"--json={file}", "--num_envs=4,8", "--repeats=1", "--iterations=1", *small)
    assert run(monkeypatch, *options) == 0
    data = json.loads(file.read_text())
    assert data["device"]
    assert [row["num_envs"] for row in data["rows"]] == [4, 8]
    for row in data["rows"]:
        assert row["sim"] == "mujoco"
        assert row["engine"] > row["env_step"] > row["iteration"] > 0.0
        assert row["env_step_ratio"] == pytest.approx(row["env_step"] / row["engine"])
        assert 0.0 < row["memory_gib"] < 8.0


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--num_envs=4,x"], "list of robot counts"),
        (["--num_envs=0"], "list of robot counts"),
        (["--repeats=0"], "--repeats: got 0"),
        (["--sim=bullet"], "unknown simulator 'bullet'"),
        (["--json=/nowhere/out.json"], "there is no folder /nowhere"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], argv: list[str], message: str
) -> None:
    assert run(monkeypatch, *argv) == 2
    errors = capsys.readouterr().err.splitlines()
    assert len(errors) == 1 and message in errors[0]
