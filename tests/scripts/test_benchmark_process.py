"""The benchmark of a process of its own: what it writes, not how fast this machine is."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from legged_gym.evaluation import results
from legged_gym.options.cli import run_main
from legged_gym.scripts import benchmark_process
from tests.sim.process.pool import pooled_workers


def run(monkeypatch: pytest.MonkeyPatch, *argv: str) -> object:
    monkeypatch.setattr(sys, "argv", ["benchmark_process.py", "--sim_device=cpu", *argv])
    with pooled_workers(), pytest.raises(SystemExit) as stop:
        run_main(benchmark_process.main)
    return stop.value.code


def test_both_are_measured(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file = tmp_path / "out.json"
    assert (
        run(monkeypatch, "--sim=mujoco", "--num_envs=4", "--repeats=3", f"--json={file}", f"--result={tmp_path / 'x'}")
        == 0
    )
    data = json.loads(file.read_text())
    cost = results.load(tmp_path / "x")["figures"]["mujoco_4_robots"]["cost"]
    assert cost["value"] == 100.0 * data["overhead"] and cost["spread"] >= 0.0
    assert data["num_envs"] == 4 and data["here"] > 0.0 and data["worker"] > 0.0
    said = capsys.readouterr().out
    assert "processor time in this process" in said and f"{100 * data['processor_overhead']:+.1f} %" in said
    assert f"overhead {100 * data['overhead']:+.1f} %" in said
    assert data["floor"] > 0.0 and f"next to nothing: +{1e3 * data['floor']:.3f} ms" in said


@pytest.mark.parametrize(
    ("argv", "message"),
    [(["--repeats=0"], "--repeats: got 0"), (["--sim=isaacgym"], "always has a process of its own")],
)
def test_bad_input_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], argv: list[str], message: str
) -> None:
    assert run(monkeypatch, *argv) == 2
    errors = capsys.readouterr().err.splitlines()
    assert len(errors) == 1 and message in errors[0]


def test_the_processor_time_is_that_of_both() -> None:
    """A process that computes is counted, and one that sleeps is not."""
    code = "import time; print(flush=True); {}"
    spent = {}
    for does in ("time.sleep(60)", "exec('while True: pass')"):
        with subprocess.Popen([sys.executable, "-c", code.format(does)], stdout=subprocess.PIPE) as other:
            assert other.stdout is not None and other.stdout.readline()
            before = benchmark_process.processor_time(other.pid)
            time.sleep(0.5)
            spent[does[:4]] = benchmark_process.processor_time(other.pid) - before
            other.kill()
    assert spent["time"] < 0.05 < spent["exec"]
