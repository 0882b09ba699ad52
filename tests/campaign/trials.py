"""Trials in processes of their own, each with its seed, and what became of them."""

import itertools
import json
import math
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
CANARY = "canary"
"""A file that malicious input makes in the working directory, if it is ever run."""
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

    def add(self, other: "Tally") -> None:
        """Count what another one counted, and printed."""
        self.outcomes.update(other.outcomes)
        self.failures += other.failures

    def __str__(self) -> str:
        return ", ".join(f"{name} {count:,}" for name, count in sorted(self.outcomes.items())) or "nothing was tried"


def fork(log: Path | None, work: Callable[..., object], *arguments: object) -> int:
    """Do something in a child process, whose output goes to a file or where this one's goes; returns its process id.

    A child ends with 0, with the code of its `SystemExit`, with 2 after a `UserError`, which it prints as a script
    does, or with 1 after another exception.
    """
    sys.stdout.flush()
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        if log is not None:
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
    code = _ended(pid, limit)
    if code is None:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    return code


def _ended(pid: int, within: float) -> int | None:
    """Wait for a child for so many seconds; returns its exit code, negative for a signal, or None if it lives on."""
    end = time.monotonic() + within
    while time.monotonic() < end:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.002)
    return None


def in_jobs(
    jobs: int,
    work: Callable[[int, int, Path, Tally], None],
    count: int,
    seed: int,
    folder: Path,
    tally: Tally,
) -> None:
    """Share trials out to processes that run at the same time, each with seeds of its own.

    Args:
        jobs: How many processes; one works in this one.
        work: Does so many trials, with the first one's seed, in an empty folder, for a tally.
        count: Trials in total.
        seed: Of the first; the others follow.
        folder: To work in.
        tally: Takes the outcomes of all.
    """
    if jobs == 1:
        work(count, seed, folder, tally)
        return
    bounds = [seed + count * job // jobs for job in range(jobs + 1)]
    running = []
    for job, (first, end) in enumerate(itertools.pairwise(bounds)):
        if end > first:
            own = folder / f"job_{job}"
            own.mkdir()
            running.append((fork(None, _job, work, end - first, first, own), first, end, own))
    for pid, first, end, own in running:
        code = wait(pid, math.inf)
        if code == 0:
            tally.add(Tally(**json.loads((own / "tally.json").read_text())))
        else:
            tally.fail(f"the job of --seed={first} --n={end - first} ends with {code}; what it counted is lost")


def _job(work: Callable[[int, int, Path, Tally], None], count: int, seed: int, folder: Path) -> None:
    """Work, and leave the tally in the folder, whatever happens."""
    tally = Tally()
    try:
        work(count, seed, folder, tally)
    except Exception:  # noqa: BLE001  what was counted until then is not to be lost
        tally.fail(f"the campaign itself, in the job of --seed={seed} --n={count}: {traceback.format_exc()}")
    (folder / "tally.json").write_text(json.dumps(vars(tally)))


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
    results, log = folder / "results.txt", folder / "log.txt"
    done = 0
    while done < count:
        for file in (results, log):
            file.unlink(missing_ok=True)
        first, end = seed + done, seed + min(count, done + batch)
        code = _wait_for_results(fork(log, _batch, trial, first, end, folder, results), results)
        lines = results.read_text().splitlines() if results.exists() else []
        for line in lines:
            number, _, outcome = line.partition(" ")
            if outcome.startswith("FAILED"):
                tally.fail(f"{name} --seed={number} --n=1: {outcome}")
            else:
                tally.note(f"{name}: {outcome}")
        done += len(lines)
        if code != 0 or len(lines) < end - first:
            what = "hangs" if code is None else f"ends with {code}"
            tail = log.read_text(errors="replace").strip().splitlines()[-1:] if log.exists() else []
            tally.fail(f"{name} --seed={seed + done} --n=1: {what} {' '.join(tail)[:200]}")
            done += 1


def _wait_for_results(pid: int, results: Path) -> int | None:
    """Wait for a child as long as it goes on writing results; see `wait`."""
    size, code = -1, None
    while code is None:
        before, size = size, results.stat().st_size if results.exists() else 0
        if size == before:  # code that hears no alarm
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            return None
        code = _ended(pid, 3.0 * TIME_LIMIT)
    return code


class TooLongError(BaseException):
    """A trial took more than `TIME_LIMIT`; not an `Exception`, which what is tried may take for one of its own."""


def _batch(trial: Callable[[random.Random, Path], str], first: int, end: int, folder: Path, results: Path) -> None:
    def too_long(number: int, frame: object) -> None:
        raise TooLongError(f"more than {TIME_LIMIT} s")

    signal.signal(signal.SIGALRM, too_long)
    work = folder / "work"
    work.mkdir(exist_ok=True)
    os.chdir(work)  # where code that an input brings along would leave its canary
    with results.open("a") as file:
        for number in range(first, end):
            signal.alarm(TIME_LIMIT)
            outcome = _outcome(trial, random.Random(number), work)
            signal.alarm(0)
            if Path(CANARY).exists():
                Path(CANARY).unlink()
                outcome = "FAILED: code of the input was run"
            file.write(f"{number} {outcome}\n")
            file.flush()


def _outcome(trial: Callable[[random.Random, Path], str], draw: random.Random, folder: Path) -> str:
    """Do a trial; returns what became of it, on one line."""
    try:
        return trial(draw, folder)
    except UserError as error:
        return "refused in one line" if "\n" not in str(error) else f"FAILED: more than one line: {error!r}"
    except BaseException as error:  # noqa: BLE001  it is what is looked for
        where = traceback.extract_tb(error.__traceback__)[-1]
        text = " ".join(str(error).split())[:200]
        return f"FAILED: {type(error).__name__}: {text} ({where.filename}:{where.lineno})"
