"""Signals end a run with a checkpoint and exit code 0, and before there is anything to save by the shells' code."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from legged_gym import LEGGED_GYM_ROOT_DIR
from legged_gym.utils import signals

SCRIPT = LEGGED_GYM_ROOT_DIR / "legged_gym" / "scripts" / "train.py"
SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1") if hasattr(signal, name)]
FAKE = """
import os, signal, sys, time
from pathlib import Path
from legged_gym.utils import signals
signals.watch()
print("watching", flush=True)
if sys.argv[1] == "before":
    time.sleep(30)
class Runner:
    interrupted = False
runner, folder = Runner(), Path(sys.argv[2])
with signals.stopping(runner, folder):
    (folder / "model_1.pt").touch()
    print("training", flush=True)
    start = time.monotonic()
    while not runner.interrupted or sys.argv[1] == "twice":
        time.sleep(0.01)
        assert time.monotonic() - start < 30
    (folder / "model_2.pt").touch()
print("ending", flush=True)
if sys.argv[1] == "after":
    time.sleep(0.5)
print("done", flush=True)
"""


def hear_all() -> None:
    """What the tests themselves ignore, as under nohup, the child hears."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_DFL)


def end(mode: str, folder: Path, wait_for: str, number: int, times: int = 1) -> tuple[int, str]:
    """Send a signal once a line has come; returns exit code and output."""
    command = [sys.executable, "-c", FAKE, mode, str(folder)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, preexec_fn=hear_all)
    assert process.stdout is not None
    for line in process.stdout:
        if line.strip() == wait_for:
            break
    for _ in range(times):
        process.send_signal(number)
        time.sleep(0.2)
    rest = process.communicate(timeout=30)[0]
    return process.returncode, rest


@pytest.mark.parametrize("number", SIGNALS)
def test_each_signal_in_each_phase(tmp_path: Path, number: signal.Signals) -> None:
    code, said = end("before", tmp_path, "watching", number)
    assert code == 128 + number and said == f"\n{number.name} before training began: there is nothing to save.\n"
    code, said = end("while", tmp_path, "training", number)
    assert code == 0 and f"{number.name}: stopping after this iteration" in said and said.endswith("done\n")
    assert (tmp_path / "model_2.pt").exists()


def test_a_second_signal_stops_at_once_and_says_what_there_is(tmp_path: Path) -> None:
    code, said = end("twice", tmp_path, "training", signal.SIGTERM, times=2)
    assert code == 128 + signal.SIGTERM and f"the last checkpoint is {tmp_path / 'model_1.pt'}" in said


def test_torchrun_passes_on_what_has_come_already(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    watch = signals.Watch()
    watch.begin(lambda: asked.append("stop"))
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "1")
    for _ in range(2):
        watch(signal.SIGINT, None)
    assert asked == ["stop"]
    monkeypatch.setattr(signals, "PASSED_ON_WITHIN", 0.0)
    with pytest.raises(KeyboardInterrupt):
        watch(signal.SIGINT, None)


def test_a_signal_at_the_end_spoils_nothing(tmp_path: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", FAKE, "after", str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    for line in process.stdout:
        if line.strip() == "training":
            process.send_signal(signal.SIGTERM)
        if line.strip() == "ending":
            process.send_signal(signal.SIGHUP)
            break
    assert process.communicate(timeout=30)[0] == "done\n" and process.returncode == 0


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="needs a system with SIGHUP")
def test_nohup_is_respected(tmp_path: Path) -> None:
    ignoring = "import signal; signal.signal(signal.SIGHUP, signal.SIG_IGN)\n" + FAKE
    process = subprocess.Popen(
        [sys.executable, "-c", ignoring, "while", str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    for line in process.stdout:
        if line.strip() == "training":
            process.send_signal(signal.SIGHUP)
            time.sleep(0.2)
            assert process.poll() is None
            process.send_signal(signal.SIGTERM)
            break
    assert "SIGHUP" not in process.communicate(timeout=30)[0] and process.returncode == 0


CONSOLE = "import sys; sys.argv[0] = '/usr/bin/lg-{}'; from legged_gym.__main__ import console; console()"


@pytest.mark.parametrize(
    "call",
    [
        [str(SCRIPT)],
        ["-m", "legged_gym", "train"],
        ["-c", CONSOLE.format("train")],
        [str(SCRIPT.with_name("train_teacher.py"))],
        ["-c", CONSOLE.format("train-teacher")],
    ],
    ids=["train.py", "-m train", "lg-train", "train_teacher.py", "lg-train-teacher"],
)
def test_the_script_listens_before_its_slow_imports(tmp_path: Path, call: list[str]) -> None:
    """It is caught while torch is being imported, seconds before training."""
    process = subprocess.Popen(
        [sys.executable, "-X", "importtime", *call, "--headless", f"--log_root={tmp_path}"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=LEGGED_GYM_ROOT_DIR,
        preexec_fn=hear_all,
    )
    assert process.stderr is not None
    for line in process.stderr:
        if line.rstrip().endswith(" torch._utils_internal"):  # one of the first of its modules
            break
    process.send_signal(signal.SIGHUP)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGHUP and "SIGHUP before training began" in out
    assert list(tmp_path.iterdir()) == []
