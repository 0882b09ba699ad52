"""The benchmark script with a handful of robots: what it writes, not how fast this machine is."""

import json
import sys
from pathlib import Path

import pytest

from legged_gym.evaluation import results, scaling, speed
from legged_gym.options.cli import run_main
from legged_gym.options.request import parse_args
from legged_gym.options.resolve import resolve
from legged_gym.scripts import benchmark
from legged_gym.utils.errors import UserError


def run(monkeypatch: pytest.MonkeyPatch, *argv: str) -> object:
    """Runs the script in this process and returns its exit code."""
    monkeypatch.setattr(sys, "argv", ["benchmark.py", "--sim=mujoco", "--sim_device=cpu", "--rl_device=cpu", *argv])
    with pytest.raises(SystemExit) as stop:
        run_main(benchmark.main)
    return stop.value.code


def test_the_json_has_a_row_per_robot_count(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(speed, "WARM_UP", 1)
    file = tmp_path / "out.json"
    small = ("--train.policy.actor_hidden_dims=16", "--train.policy.critic_hidden_dims=16")
    options = (
        f"--json={file}",
        f"--result={tmp_path / 'result.json'}",
        "--num_envs=4,8",
        "--repeats=1",
        "--iterations=1",
        *small,
    )
    assert run(monkeypatch, *options) == 0
    data = json.loads(file.read_text())
    assert data["device"]
    assert [row["num_envs"] for row in data["rows"]] == [4, 8]
    for row in data["rows"]:
        assert row["sim"] == "mujoco"
        assert row["engine"] > row["env_step"] > row["iteration"] > 0.0
        assert row["env_step"] > row["no_teacher"] > 0.0
        assert row["teacher_share"] == pytest.approx(1.0 - row["iteration"] / row["no_teacher"])
        iteration_s = 24 * row["num_envs"] / row["iteration"]
        assert 0.0 < row["update_s"] < 2.0 * iteration_s, "a part of it, but for the noise of one sample"
        assert row["env_step_ratio"] == pytest.approx(row["env_step"] / row["engine"])
        assert 0.0 < row["memory_gib"] < 8.0
        figures = results.load(tmp_path / "result.json")["figures"][f"mujoco_{row['num_envs']}_robots"]
        assert figures["iteration"] == {"value": row["iteration"] / 1e3, "spread": row["iteration_spread"] / 1e3}


def test_a_rate_is_a_median_with_half_its_quartiles() -> None:
    assert speed.rate(120, [1.0, 2.0, 3.0, 4.0, 120.0]) == (40.0, pytest.approx((60.0 - 30.0) / 2.0))


def test_profiles_tell_where_the_time_goes(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(speed, "PROFILED_STEPS", 3)
    monkeypatch.setattr(speed, "PROFILED_ITERATIONS", 1)
    monkeypatch.setattr(speed, "WARM_UP", 1)
    file = tmp_path / "out.json"
    assert run(monkeypatch, f"--json={file}", "--num_envs=4", "--repeats=1", "--iterations=0", "--profile") == 0
    (row,) = json.loads(file.read_text())["rows"]
    assert set(row["profile"]) == {"env.step", "training iteration"} and "iteration" not in row
    assert any("first iteration" in title for title in row["stages"])
    names = {name: [call["name"] for call in found["top"]] for name, found in row["profile"].items()}
    assert any("rollout" in name for name in names["env.step"]), "the engine's step takes its time"
    assert any("backward" in name for name in names["training iteration"])
    out = capsys.readouterr().out
    assert "env.step, 4 robots, mean of one:" in out and "set-up: simulator" in out


FAKE_TRAIN = """
import os, pathlib, sys, time
print("something else")
cache = pathlib.Path(os.environ["WARP_CACHE_PATH"])
if "--train.seed=3" not in sys.argv:
    sys.exit("error: no such field")
if not cache.is_dir():
    cache.mkdir()
    time.sleep(0.5)
print("iteration 1/1  and so on", flush=True)
time.sleep(0.5)
"""


def test_a_first_start_has_no_kernels_and_a_second_one_has(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(FAKE_TRAIN)
    monkeypatch.setattr(benchmark, "__file__", str(tmp_path / "benchmark.py"))
    parser = benchmark.make_benchmark_parser()
    request = parse_args(parser, ["--sim=mujoco", "--train.seed=3"]).request
    times = benchmark.measure_starts(request, 4)
    assert 0.0 < times["second_start_s"] < times["first_start_s"] - 0.3
    with pytest.raises(UserError, match=r"train\.py ended before its first iteration: error: no such field"):
        benchmark.measure_start(parse_args(parser, []).request, 4, tmp_path)


def test_scaling_compares_one_process_with_the_slowest_of_many() -> None:
    spec = resolve(parse_args(benchmark.make_benchmark_parser(), ["--sim=mujoco", "--sim_device=cpu"]).request)
    spec = benchmark.resized(spec, 100)
    alone, slow = scaling.Speed(1000.0, 1.0, 0.25), scaling.Speed(900.0, 1.25, 0.5)
    row = scaling.scaling_row(spec, alone, [alone, slow])
    assert row["iteration"] == 2400.0 and row["iteration_all"] == 2 * 2400.0 / 1.25
    assert row["speedup"] == pytest.approx(1.6) and row["efficiency"] == pytest.approx(0.8)
    assert (row["env_step_all"], row["rollout_s_all"], row["update_s_all"]) == (1900.0, 0.75, 0.5)
    cells = scaling.scaling_line(row).split()
    assert cells[:2] == ["mujoco", "100"] and cells[-6:-4] == ["1.60", "0.80"]


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
