"""The benchmark of the time to the walking gate."""

import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from benchmarks import time_to_gate
from legged_gym.evaluation.walking_gate import MISSED, PASSED, WalkingGate
from legged_gym.utils.errors import UserError

TINY = ["--sim=mujoco", "--num_envs=4", "--train.policy.actor_hidden_dims=16", "--train.policy.critic_hidden_dims=16"]


def test_the_median_knows_that_some_times_are_only_longer() -> None:
    assert time_to_gate.median([{"value": 50}, {"above": 200}, {"value": 70}]) == {"value": 70}
    assert time_to_gate.median([{"above": 210}, {"above": 200}, {"value": 70}]) == {"above": 200}


def test_a_run_that_does_not_walk_in_time_counts_as_longer() -> None:
    figures = time_to_gate.run(1, 12.0, TINY)
    assert 10 <= figures["to_the_gate"]["above"] < 40 and figures["robot_steps"]["above"] > 0.0


def test_the_verdicts_of_a_gate_are_understood() -> None:
    gate = WalkingGate.__new__(WalkingGate)
    gate.passed, gate.evaluation_time = {"seconds": 70.4, "trained": 61.0, "steps": 123456, "iteration": 40}, 0.0
    passed = PASSED.search(gate.verdict())
    assert passed is not None and passed.groups() == ("70", "61", "123,456") and not MISSED.search(gate.verdict())
    gate.passed, gate.started, gate._first_steps = None, time.time() - 9.0, 0
    gate.runner = SimpleNamespace(logger=SimpleNamespace(tot_timesteps=3072))
    missed = MISSED.search(gate.verdict())
    assert missed is not None and missed.groups() == ("9", "3,072") and not PASSED.search(gate.verdict())


def test_a_run_that_fails_and_bad_seeds_are_named() -> None:
    with pytest.raises(UserError, match=r"seed 1: the run ended with exit code [12]: .*--no_such_option"):
        time_to_gate.run(1, 60.0, ["--no_such_option=3"])
    script = Path(time_to_gate.__file__)
    done = subprocess.run([sys.executable, script, "--seeds=a"], capture_output=True, text=True, check=False)
    assert done.returncode != 0 and done.stderr.strip() == "error: --seeds: got a, expected numbers as 1,2,3"
