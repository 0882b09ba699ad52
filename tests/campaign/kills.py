"""Runs that are killed, stopped and robbed of their disk again and again, and must end as the one that was not."""

import contextlib
import functools
import hashlib
import mmap
import os
import random
import resource
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

import legged_gym.sim.mujoco.simulator  # noqa: F401  once, and not in each child anew
from legged_gym.runners.on_policy_runner import OnPolicyRunner
from legged_gym.utils import signals
from legged_gym.utils.checkpoint import load_checked
from legged_gym.utils.console import keep_going_without_console
from legged_gym.utils.errors import UserError
from tests.campaign.trials import Tally, fork, wait
from tests.runners.making import small_run

ITERATIONS = 6
"""Of each run."""
OPTIONS = {
    "env.sim.num_threads": 1,
    "train.runner.save_interval": 1,
    "train.runner.num_steps_per_env": 10,
    "train.algorithm.num_learning_epochs": 2,
    "train.estimator.num_learning_epochs": 1,
    "train.algorithm.imitation.replay_mini_batches": 2,
}
PHASES = ("start", "rollout", "update", "save", "between", "over")
"""Of a run's life; what lies between the others is logging, mostly."""
WITHIN_A_PHASE = (0.005, 0.05)
"""A kill that is aimed at a phase comes within one of these times of its beginning [s]: the next phase may get it."""


class Phase:
    """What a child is doing, in a byte that it shares with its parent."""

    def __init__(self) -> None:
        """Nothing has begun."""
        self._byte = mmap.mmap(-1, 1)

    @property
    def now(self) -> str:
        """One of `PHASES`."""
        return PHASES[self._byte[0]]

    @now.setter
    def now(self, phase: str) -> None:
        self._byte[0] = PHASES.index(phase)

    def follow(self, run: OnPolicyRunner) -> None:
        """Let a run tell its phases."""
        self.now = "between"
        for owner, method, phase in (
            (run, "_collect", "rollout"),
            (run.alg, "learn", "update"),
            (run, "save_checkpoint", "save"),
        ):
            setattr(owner, method, functools.partial(self._during, phase, getattr(owner, method)))

    def _during(self, phase: str, method: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        self.now = phase
        try:
            return method(*arguments, **options)
        finally:
            self.now = "between"


PHASE = Phase()
"""Of the one child that there is at a time."""


@dataclass(frozen=True)
class Unbroken:
    """The run that nobody disturbs."""

    digest: str
    seconds: float
    """How long it takes on this machine, as busy as it is."""


def checkpoints(root: Path) -> list[Path]:
    """All checkpoints of all parts of a run, in order of iteration."""
    return sorted(root.glob("*/model_*.pt"), key=lambda path: int(path.stem.split("_")[1]))


def start(root: Path, part: int, log: Path, before: Callable[[OnPolicyRunner], None] | None = None) -> int:
    """Let a part of a run live in a child; returns its process id once it hears signals."""
    PHASE.now = "over"
    pid = fork(log, live, root, part, before)
    while PHASE.now == "over" and os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
        time.sleep(0.001)
    return pid


def live(root: Path, part: int, before: Callable[[OnPolicyRunner], None] | None = None) -> None:
    """Train up to `ITERATIONS`, from the newest checkpoint on if there is one, and note a digest of all weights."""
    signals.watch()
    keep_going_without_console()
    PHASE.now = "start"
    torch.set_num_threads(1)
    found = checkpoints(root)
    run = small_run(root / f"part_{part}", **OPTIONS)
    if found:
        run.load(str(found[-1]))
    if before is not None:
        before(run)
    PHASE.follow(run)
    with signals.stopping(run, root / f"part_{part}"):
        run.learn(ITERATIONS - run.current_learning_iteration)
    if run.current_learning_iteration == ITERATIONS:
        (root / "digest").write_text(digest(run))
    PHASE.now = "over"


def digest(run: OnPolicyRunner) -> str:
    """Hash everything that was learned, and where the robots are."""
    total = hashlib.sha256()
    for name, tensor in sorted(run._learned_tensors().items()):
        total.update(name.encode() + tensor.detach().numpy().tobytes())
    for name, tensor in sorted(run.env.exact_state()["simulator"].items()):
        total.update(name.encode() + tensor.numpy().tobytes())
    return total.hexdigest()


def unbroken(folder: Path) -> Unbroken:
    """Train as the others do, and let it be."""
    root, log = folder / "unbroken", folder / "unbroken.txt"
    root.mkdir()
    began = time.monotonic()
    if wait(start(root, 0, log)) != 0:
        raise RuntimeError(log.read_text())
    return Unbroken((root / "digest").read_text(), time.monotonic() - began)


def emptied(folder: Path) -> Path:
    """Make a folder, which is removed first if it is there."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    return folder


def last_lines(log: Path) -> str:
    """What a child said at its end, on one line."""
    return " | ".join(log.read_text(errors="replace").strip().splitlines()[-4:])


def damaged(root: Path) -> list[str]:
    """Check all checkpoints and what lies beside them; returns what is wrong."""
    wrong = []
    for path in (*checkpoints(root), *root.glob("*/simulation_*.pt")):
        try:
            load_checked(path)
        except UserError as error:
            wrong.append(str(error))
    return wrong


def outcome(root: Path, expected: Unbroken) -> str | None:
    """Judge a run that has ended; returns what is wrong with it, if anything."""
    if not (root / "digest").exists():
        return "it did not come to its end"
    if (root / "digest").read_text() != expected.digest:
        return "other weights or robots than the unbroken run's"
    if left := [path.name for path in root.glob("*/.*.pt.*")]:
        return f"temporary files are left: {left}"
    return None


def kill(count: int, seed: int, folder: Path, tally: Tally) -> None:
    """Kill so many runs without a warning, each once or more in a row; then let each one end."""
    expected = unbroken(folder)
    for number in range(seed, seed + count):
        draw, root, log = random.Random(number), emptied(folder / "killed"), folder / "killed.txt"
        log.unlink(missing_ok=True)
        to_come = kills = draw.choice((1, 1, 2, 3))
        part, code = 0, None
        while code is None or code == -signal.SIGKILL:
            pid = start(root, part, log)
            if to_come:
                _strike(pid, draw, expected.seconds)
            code = wait(pid)
            if code == -signal.SIGKILL:
                to_come -= 1
                tally.note(f"kills in phase '{PHASE.now}'")
            elif code == 0 and to_come == kills:  # it has ended before it could be killed
                root, part, code = emptied(root), -1, None
            for text in damaged(root):
                tally.fail(f"kills --seed={number} --n=1: after part {part}: {text}")
            part += 1
        if code != 0:
            tally.fail(f"kills --seed={number} --n=1: part {part - 1} ends with {code}: {last_lines(log)}")
        elif wrong := outcome(root, expected):
            tally.fail(f"kills --seed={number} --n=1: after {part} parts: {wrong}")
        else:
            tally.note("killed runs that ended bit for bit as the unbroken one")


def _strike(pid: int, draw: random.Random, life: float) -> None:
    """Kill a child at any time of its life, or where a phase begins."""
    end = time.monotonic() + life
    time.sleep(draw.uniform(0.0, 0.8 * life))
    aim = draw.choice((*PHASES[:4], "save", None))
    while aim is not None and PHASE.now not in (aim, "over") and time.monotonic() < end:
        time.sleep(0.0005)
    if aim is not None:
        time.sleep(draw.uniform(0.0, draw.choice(WITHIN_A_PHASE)))
    os.kill(pid, signal.SIGKILL)


def fault(count: int, seed: int, folder: Path, tally: Tally) -> None:
    """Stop runs by signals, fill their disk, remove their folders and close what they write to; then let each end."""
    expected = unbroken(folder)
    faults = (_signal, _two_signals, _full_disk, _folder_removed, _reader_gone)
    for number in range(seed, seed + count):
        draw, root, log = random.Random(number), emptied(folder / "faulty"), folder / "faulty.txt"
        log.unlink(missing_ok=True)
        disturb = draw.choice(faults)
        name = disturb.__name__.strip("_").replace("_", " ")
        wrong = disturb(draw, root, log, expected.seconds)
        said = log.read_text()
        if "Traceback" in said:
            wrong = said[said.find("Traceback") :]
        wrong = wrong or "; ".join(damaged(root)) or None
        if wrong is None and not (root / "digest").exists() and (code := wait(start(root, 9, log))) != 0:
            wrong = f"going on ends with {code}: {last_lines(log)}"
        if wrong := wrong or outcome(root, expected):
            tally.fail(f"faults --seed={number} --n=1: {name}: {wrong[:1500]}")
        else:
            tally.note(f"{name}: gone on with bit for bit")


_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1)


def _ends_with(code: int | None, expected: set[int]) -> str | None:
    """Say what is wrong with an exit code, if anything."""
    return None if code in expected else f"ends with {code}, not with one of {sorted(expected)}"


def _signal(draw: random.Random, root: Path, log: Path, life: float) -> str | None:
    number = draw.choice(_SIGNALS)
    pid = start(root, 0, log)
    time.sleep(draw.uniform(0.0, life))
    os.kill(pid, number)
    code = wait(pid)
    before = "before training began" in log.read_text()
    return _ends_with(code, {128 + number} if before else {0}) or (
        "nothing was saved" if not before and not checkpoints(root) else None
    )


def _two_signals(draw: random.Random, root: Path, log: Path, life: float) -> str | None:
    first, second = draw.choices(_SIGNALS, k=2)
    pid = start(root, 0, log)
    time.sleep(draw.uniform(0.2, 1.0) * life)
    os.kill(pid, first)
    time.sleep(draw.uniform(0.0, 0.1) * life)
    os.kill(pid, second)
    return _ends_with(wait(pid), {0, 128 + first})


@contextlib.contextmanager
def _pipe(log: Path) -> Iterator[Path]:
    """Make a pipe to write to; at the end of the body what came is put into `log`, and nobody reads any more."""
    pipe = log.with_suffix(".pipe")
    pipe.unlink(missing_ok=True)
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        yield pipe
    finally:
        with log.open("wb") as file, contextlib.suppress(BlockingIOError):  # nothing has come yet
            file.write(os.read(reader, 2**16))
        os.close(reader)


def _full_disk(draw: random.Random, root: Path, log: Path, life: float) -> str | None:
    """For some iterations, no file can be longer than some bytes."""
    first, iterations = draw.randrange(1, ITERATIONS - 1), draw.randrange(1, ITERATIONS)
    limit = draw.choice((0, 100, 10_000, 100_000, 150_000))  # the last one takes the checkpoint, not what is beside it

    def before(run: OnPolicyRunner) -> None:
        def fill(scalars: dict[str, float]) -> None:
            inside = first <= run.current_learning_iteration < first + iterations
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit if inside else resource.RLIM_INFINITY, -1))

        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        run.after_iteration = fill

    with _pipe(log) as pipe:  # which the limit does not hold for
        return _ends_with(wait(start(root, 0, pipe, before)), {0, 2})


def _folder_removed(draw: random.Random, root: Path, log: Path, life: float) -> str | None:
    at = draw.randrange(1, ITERATIONS)

    def before(run: OnPolicyRunner) -> None:
        def remove(scalars: dict[str, float]) -> None:
            if run.current_learning_iteration == at:
                shutil.rmtree(root / "part_0", ignore_errors=True)  # a writer may be at it

        run.after_iteration = remove

    return _ends_with(wait(start(root, 0, log, before)), {0})


def _reader_gone(draw: random.Random, root: Path, log: Path, life: float) -> str | None:
    """Whoever reads what a run prints has seen enough at some time."""
    with _pipe(log) as pipe:
        pid = start(root, 0, pipe)
        time.sleep(draw.uniform(0.0, 0.5) * life)
    return _ends_with(wait(pid), {0}) or (None if (root / "digest").exists() else "it stopped")
