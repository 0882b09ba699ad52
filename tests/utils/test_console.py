"""A run outlives its console."""

import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import sys
from legged_gym.utils.console import keep_going_without_console
keep_going_without_console()
for i in range(20000):
    print("iteration", i)
sys.stdout.flush()
open(sys.argv[1], "w").write("done")
"""


def test_a_reader_that_goes_away(tmp_path: Path) -> None:
    call = f"{sys.executable} -c '{PROGRAM}' {tmp_path}/done 2>{tmp_path}/err | head -n 1; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", call], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and done.stdout == "iteration 0\n" and (tmp_path / "done").is_file()
    said = (tmp_path / "err").read_text()
    assert said == "warning: standard output is gone (Broken pipe): the run goes on without a word\n"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_behind_it(tmp_path: Path) -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM, f"{tmp_path}/done"], stdout=full, stderr=subprocess.PIPE, timeout=60
        )
    assert done.returncode == 0 and b"No space left on device" in done.stderr and (tmp_path / "done").is_file()


def test_both_streams_closed(tmp_path: Path) -> None:
    call = f"{sys.executable} -c '{PROGRAM}' {tmp_path}/done >&- 2>&-"
    assert subprocess.run(["bash", "-c", call], timeout=60).returncode == 0 and (tmp_path / "done").is_file()
