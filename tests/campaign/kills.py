"""Runs that are killed, stopped and robbed of their disk again and again, and must end as the one that was not."""

import hashlib
import os
import random
import resource
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path

import torch

from legged_gym.runners.on_policy_runner import OnPolicyRunner
from legged_gym.utils import signals
from legged_gym.utils.checkpoint import load_checked
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
LONGEST_LIFE = 2.0
"""Within so much time after its start a process is killed [s]."""


def checkpoints(root: Path) -> list[Path]:
    """All checkpoints of all parts of a run, in order of iteration."""
    return sorted(root.glob("*/model_*.pt"), key=lambda path: int(path.stem.split("_")[1]))


def live(root: Path, part: int, before: Callable[[OnPolicyRunner], None] | None = None) -> None:
    """Train up to `ITERATIONS`, from the newest checkpoint on if there is one, and note a digest of all weights."""
    torch.set_num_threads(1)
    found = checkpoints(root)
    run = small_run(root / f"part_{part}", **OPTIONS)
    if found:
        run.load(str(found[-1]))
    if before is not None:
        before(run)
    with signals.stopping(run, root / f"part_{part}"):
        run.learn(ITERATIONS - run.current_learning_iteration)
    if run.current_learning_iteration == ITERATIONS:
        (root / "digest").write_text(digest(run))


def digest(run: OnPolicyRunner) -> str:
    """Hash everything that was learned, and where the robots are."""
    total = hashlib.sha256()
    for name, tensor in sorted(run._learned_tensors().items()):
        total.update(name.encode() + tensor.detach().numpy().tobytes())
    for name, tensor in sorted(run.env.exact_state()["simulator"].items()):
        total.update(name.encode() + tensor.numpy().tobytes())
    return total.hexdigest()


def reference(folder: Path) -> str:
    """Digest of the run that nobody disturbs."""
    root = folder / "reference"
    root.mkdir()
    if wait(fork(folder / "reference.txt", live, root, 0)) != 0:
        raise RuntimeError((folder / "reference.txt").read_text())
    return (root / "digest").read_text()


def whole(root: Path) -> list[str]:
    """Check all checkpoints; returns what is wrong."""
    wrong = []
    for path in checkpoints(root):
        try:
            load_checked(path)
        except UserError as error:
            wrong.append(str(error))
    return wrong


def kill(count: int, seed: int, folder: Path, tally: Tally) -> None:
    """Kill runs without a warning until that has been done so many times; each one is then let end."""
    expected, kills, number = reference(folder), 0, seed
    while kills < count:
        draw, root = random.Random(number), folder / "killed"
        shutil.rmtree(root, ignore_errors=True)
        root.mkdir()
        parts = 0
        while not (root / "digest").exists() and parts < 60:
            log = folder / "killed.txt"
            log.unlink(missing_ok=True)
            pid = fork(log, live, root, parts)
            parts += 1
            code = None
            if kills < count:
                time.sleep(draw.uniform(0.0, LONGEST_LIFE))
                os.kill(pid, signal.SIGKILL)
            code = wait(pid)
            if code == -signal.SIGKILL:
                kills += 1
                tally.note("kills")
            elif code != 0:
                tally.fail(f"kills --seed={number}: after a kill, a run ends with {code}: {log.read_text()[-300:]}")
                break
            for text in whole(root):
                tally.fail(f"kills --seed={number}: {text}")
        if (root / "digest").exists():
            equal = (root / "digest").read_text() == expected
            tally.note("runs that ended bit for bit as the unbroken one") if equal else tally.fail(
                f"kills --seed={number}: after {parts} parts, other weights than the unbroken run's"
            )
        number += 1


def fault(count: int, seed: int, folder: Path, tally: Tally) -> None:
    """Stop runs by signals, fill their disk and remove their folders; each one is then let end."""
    expected = reference(folder)
    faults = {"signal": _signal, "full disk": _full_disk, "folder removed": _remove_folder}
    for number in range(seed, seed + count):
        draw, root, log = random.Random(number), folder / "faulty", folder / "faulty.txt"
        shutil.rmtree(root, ignore_errors=True)
        root.mkdir()
        log.unlink(missing_ok=True)
        name = draw.choice(list(faults))
        code = faults[name](draw, root, log)
        said = log.read_text()
        if "Traceback" in said or code not in (0, 2, *(128 + s for s in _SIGNALS)):
            tally.fail(f"faults --seed={number}: {name}: ends with {code}: {said[said.find('Traceback') :][:1500]}")
        for text in whole(root):
            tally.fail(f"faults --seed={number}: {name}: {text}")
        if not (root / "digest").exists() and wait(fork(log, live, root, 9)) != 0:
            tally.fail(f"faults --seed={number}: {name}: cannot be gone on with: {log.read_text()[-300:]}")
        elif (root / "digest").read_text() != expected:
            tally.fail(f"faults --seed={number}: {name}: other weights than the unbroken run's")
        else:
            tally.note(f"{name}: gone on with bit for bit")


_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1)


def _signal(draw: random.Random, root: Path, log: Path) -> int | None:
    number, delay = draw.choice(_SIGNALS), draw.uniform(0.05, LONGEST_LIFE)

    def work() -> None:
        signals.watch()
        live(root, 0)

    pid = fork(log, work)
    time.sleep(delay)
    os.kill(pid, number)
    return wait(pid)


def _full_disk(draw: random.Random, root: Path, log: Path) -> int | None:
    """For some iterations, no file can be longer than some bytes."""
    first, iterations = draw.randrange(1, ITERATIONS - 1), draw.randrange(1, 3)
    limit = draw.choice((0, 100, 10_000, 100_000))

    def before(run: OnPolicyRunner) -> None:
        def fill(scalars: dict[str, float]) -> None:
            inside = first <= run.current_learning_iteration < first + iterations
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit if inside else resource.RLIM_INFINITY, -1))

        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        run.after_iteration = fill

    return wait(fork(log.with_suffix(".limited.txt"), live, root, 0, before)) or 0


def _remove_folder(draw: random.Random, root: Path, log: Path) -> int | None:
    at = draw.randrange(1, ITERATIONS)

    def before(run: OnPolicyRunner) -> None:
        def remove(scalars: dict[str, float]) -> None:
            if run.current_learning_iteration == at:
                shutil.rmtree(root / "part_0", ignore_errors=True)  # a writer may be at it

        run.after_iteration = remove

    return wait(fork(log, live, root, 0, before))
