"""The server that imports what other processes need, beside the start of the one that wants them."""

import os
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from legged_gym.utils import early_server

SLOW = "import os\nPID = os.getpid()\n"
SCRIPT = """
import os, signal, sys
from legged_gym.utils import early_server


def tell(pipe):
    imported = "slow_to_import" in sys.modules
    import slow_to_import
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, [])
    pipe.send((imported, slow_to_import.PID == os.getppid(), blocked >= {signal.SIGINT, signal.SIGTERM}))


if __name__ == "__main__":
    early_server.begins("slow_to_import")
    context = early_server.context()
    mine, theirs = context.Pipe()
    process = context.Process(target=tell, args=(theirs,))
    early_server.start(process)
    print(context.get_start_method(), *mine.recv())
    process.join()
"""
linux = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere processes are started afresh")


def run(folder: Path, cores: int | None = None) -> str:
    """What a script says whose processes want a module that is slow to import."""
    (folder / "slow_to_import.py").write_text(SLOW)
    script = folder / "script.py"
    script.write_text(textwrap.dedent(SCRIPT))
    command = [sys.executable, str(script)]
    allowed = set(sorted(os.sched_getaffinity(0))[:cores])
    done = subprocess.run(
        command,
        env={**os.environ, "PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        timeout=60,
        preexec_fn=lambda: os.sched_setaffinity(0, allowed),
    )
    assert done.returncode == 0 and not done.stderr, done.stderr
    return done.stdout.strip()


@linux
@pytest.mark.skipif(sys.platform == "linux" and len(os.sched_getaffinity(0)) < 2, reason="needs two cores")
def test_a_process_is_forked_from_a_server_that_has_imported_its_modules(tmp_path: Path) -> None:
    """And no signal that ends training reaches it."""
    assert run(tmp_path) == "forkserver True True True"


@linux
def test_on_a_single_core_the_server_would_slow_the_start(tmp_path: Path) -> None:
    assert run(tmp_path, cores=1).startswith("spawn False")


@linux
def test_the_server_ends_with_who_wants_it(tmp_path: Path) -> None:
    """Also while it imports: whoever reads what a refused command says does not wait for it."""
    (tmp_path / "slow_to_import.py").write_text(
        "import time\nfrom legged_gym.utils import early_server\n"
        "with early_server.leaving_with_parent():\n    time.sleep(60)\n"
    )
    code = (
        "from legged_gym.utils import early_server; early_server.begins('slow_to_import'); import time; time.sleep(2)"
    )
    start = time.monotonic()
    command = [sys.executable, "-c", code]
    subprocess.run(command, env={**os.environ, "PYTHONPATH": str(tmp_path)}, capture_output=True, timeout=50)
    assert time.monotonic() - start < 30.0


def test_without_a_server_processes_are_fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(early_server.sys, "platform", "darwin")
    early_server.begins("no_such_module")
    assert early_server.context().get_start_method() == "spawn"
