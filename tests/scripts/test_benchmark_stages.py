"""The script that times a training run by stage, in a process of its own, for it changes classes for good."""

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

from legged_gym.scripts import benchmark_stages

TINY = ["--sim=mujoco", "--sim_device=cpu", "--rl_device=cpu", "--num_envs=4"]
TINY += ["--train.policy.actor_hidden_dims=16", "--train.policy.critic_hidden_dims=16"]


def run(*options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, benchmark_stages.__file__, *TINY, *options]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=dict(os.environ), timeout=120)


def test_all_time_is_in_a_stage_and_the_run_is_one_of_train(tmp_path: Path) -> None:
    file, began = tmp_path / "stages.json", time.time()
    done = run("--max_iterations=6", f"--log_root={tmp_path}", "--json", str(file), "--evaluate_every=300")
    assert done.returncode == 0, done.stderr
    assert len(list(tmp_path.rglob("model_6.pt"))) == 1
    start, iteration, whole = json.loads(file.read_text()).values()
    for seconds in (start, iteration, whole):
        assert {"physics", "environment", "teacher", "inference", "storing", "logging"} <= seconds.keys()
        assert sum(name.startswith("learning: ") for name in seconds) >= 5
    assert start["set-up: Python and imports"] > 0.2 and start["set-up: simulator"] > 0.0 and start["evaluation"] > 0.0
    assert iteration["set-up: Python and imports"] == iteration["set-up: simulator"] == 0.0
    assert whole["checkpoints"] > 0.0
    assert whole["the rest"] < 0.2 * sum(whole.values())
    assert sum(start.values()) < sum(whole.values())
    took = time.time() - began
    assert 0.8 * took < sum(whole.values()) < took + 0.1, "but for the end of the process"
    assert "from the start of the process to the end of the first iteration: " in done.stdout


def test_a_run_leaves_nothing_behind_unless_it_is_told_where() -> None:
    done = run("--max_iterations", "1")
    assert done.returncode == 0 and "the whole run: " in done.stdout
    assert "an iteration, mean" not in done.stdout, "there is none after the first ones"
    (folder,) = re.findall(r"^run: +(.*)$", done.stdout, flags=re.M)
    assert not Path(folder).exists()


def test_bad_options_get_one_line() -> None:
    done = run("--no_such_option")
    assert done.returncode != 0 and done.stderr.startswith("error: ") and len(done.stderr.splitlines()) == 1
