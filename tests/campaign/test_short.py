"""The campaign for some seconds; by the thousand it is run by hand, see `make campaign`."""

import os
import subprocess
import sys

import pytest

from legged_gym import LEGGED_GYM_ROOT_DIR
from tests.campaign.bad_inputs import KINDS


def campaign(*arguments: str) -> str:
    """Run it in a process of its own, which may fork: this one has threads."""
    call = [sys.executable, "-m", "tests.campaign", *arguments]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "ROBOT_TYPE": "PF_TRON1A"}
    done = subprocess.run(call, cwd=LEGGED_GYM_ROOT_DIR, env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return done.stdout


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork: each case is a process of its own")
def test_bad_inputs_are_refused_in_one_line() -> None:
    said = campaign(*KINDS, "--n=25", "--seed=1", "--jobs=2")
    outcomes = dict.fromkeys(KINDS, "refused in one line")
    outcomes["simulations"] = "went on with new robots"  # nothing that was learned is in that file
    for kind, outcome in outcomes.items():
        assert f"{kind}: {outcome}" in said, said


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork: each case is a process of its own")
def test_killed_runs_end_as_the_unbroken_one() -> None:
    said = campaign("kills", "faults", "--n=2", "--seed=3")
    assert "killed runs that ended bit for bit as the unbroken one 2" in said
    assert said.count("FAILED") == 0
