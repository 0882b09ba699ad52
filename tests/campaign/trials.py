"""Trials in processes of their own, each with its seed, and what became of them."""

import os
import random
import signal
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from legged_gym.utils.errors import UserError

TIME_LIMIT = 60
"""A trial that takes longer hangs [s]."""
LIFE_LIMIT = 300
"""A training run of some iterations that takes longer hangs, even on a busy machine [s]."""


@dataclass
class Tally:
    """Outcomes of trials by name, and the failures with their seeds."""

    outcomes: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)

    def note(self, outcome: str) -> None:
        """Count an outcome."""
        self.outcomes[outcome] += 1

    def fail(self, text: str) -> None:
        """Count and print a failure, which is what a campaign is for."""
        self.outcomes["FAILED"] += 1
        self.failures.append(text)
        print(f"FAILED: {text}", flush=True)

    def __str__(self) -> str:
        return ", ".join(f"{name} {count:,}" for name, count in sorted(self.outcomes.items())) or "nothing was tried"


def fork(log: Path, work: Callable[..., object], *arguments: object) -> int:
    """Do something in a child process, whose output goes to a file; returns its process id.

    A child ends with 0, with the code of its `SystemExit`, with 2 after a `UserError`, which it prints as a script
    does, or with 1 after another exception.
    """
    sys.stdout.flush()
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        out = os.open(log, os.O_CREAT | os.O_WRONLY | os.O_APPEND)
        for stream in (1, 2):
            os.dup2(out, stream)
        work(*arguments)
        code = 0
    except UserError as error:
        print(f"error: {error}")
        code = 2
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else 1
    except BaseException:  # noqa: BLE001  it is what is looked for
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def wait(pid: int, limit: float = LIFE_LIMIT) -> int | None:
    """Wait for a child; returns its exit code, negative for a signal, or None if it had to be killed."""
    end = time.monotonic() + limit
    while time.monotonic() < end:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.002)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return None


def in_batches(
    name: str,
    trial: Callable[[random.Random, Path], str],
    count: int,
    seed: int,
    folder: Path,
    tally: Tally,
    batch: int = 50,
) -> None:
    """Do trials in children, many in each, so that one that crashes or hangs is found with its seed.

    Args:
        name: What is tried.
        trial: Takes its random numbers and an empty folder; returns the outcome, or raises `UserError`, which is one.
        count: How many.
        seed: Of the first; the others follow.
        folder: To work in.
        tally: Takes the outcomes.
        batch: Trials of a child.
    """
    done = 0
    while done < count:
        results, log = folder / "results.txt", folder / "log.txt"
        for file in (results, log):
            file.unlink(missing_ok=True)
        first, last = seed + done, seed + min(count, done + batch)
        pid = fork(log, _batch, trial, first, last, folder, results)
        code = wait(pid, TIME_LIMIT * 5)
        lines = results.read_text().splitlines() if results.exists() else []
        for line in lines:
            number, _, outcome = line.partition(" ")
            if outcome.startswith("FAILED"):
                tally.fail(f"{name} --seed={number} --n=1: {outcome}")
            else:
                tally.note(f"{name}: {outcome}")
        done += len(lines)
        if code != 0 or len(lines) < last - first:
            what = "hangs" if code is None else f"ends with {code}"
            tail = log.read_text(errors="replace").strip().splitlines()[-1:] if log.exists() else []
            tally.fail(f"{name} --seed={seed + done} --n=1: {what} {' '.join(tail)[:200]}")
            done += 1


def _batch(trial: Callable[[random.Random, Path], str], first: int, last: int, folder: Path, results: Path) -> None:
    def too_long(number: int, frame: object) -> None:
        raise TimeoutError(f"more than {TIME_LIMIT} s")

    signal.signal(signal.SIGALRM, too_long)
    with results.open("a") as file:
        for number in range(first, last):
            signal.alarm(TIME_LIMIT)
            try:
                outcome = trial(random.Random(number), folder)
            except UserError as error:
                outcome = "refused in one line" if "\n" not in str(error) else f"FAILED: more than one line: {error!r}"
            except BaseException as error:  # noqa: BLE001  it is what is looked for
                where = traceback.extract_tb(error.__traceback__)[-1]
                text = " ".join(str(error).split())[:200]
                outcome = f"FAILED: {type(error).__name__}: {text} ({where.filename}:{where.lineno})"
            signal.alarm(0)
            file.write(f"{number} {outcome}\n")
            file.flush()
