"""Training for a while, with the memory it takes."""

import time
from pathlib import Path

import psutil

from tests.campaign.trials import Tally
from tests.runners.injections import KINDS, survive
from tests.runners.making import small_run

SETTLED = 0.25
"""Share of the time after which memory must not grow any more."""
GROWTH = 16.0
"""By more than that it grows [MiB]: the allocator's noise is less."""


def soak(minutes: float, folder: Path, tally: Tally) -> None:
    """Train for so many minutes, saving all the time; memory must stay as it is."""
    options = {"train.runner.save_interval": 5, "train.algorithm.imitation.replay_mini_batches": 4}
    run = small_run(folder / "soak", **options)
    process, start, used = psutil.Process(), time.monotonic(), []
    while (passed := time.monotonic() - start) < 60.0 * minutes:
        run.learn(5)
        if passed > SETTLED * 60.0 * minutes:
            used.append(process.memory_info().rss / 2**20)
    third = max(1, len(used) // 3)
    first, last = sum(used[:third]) / third, sum(used[-third:]) / third
    text = f"{minutes:g} min, {run.current_learning_iteration} iterations: {first:.1f} MiB, then {last:.1f} MiB"
    files = len(list((folder / "soak").glob("model_*.pt")))
    if last - first > GROWTH or files > 100:
        tally.fail(f"soak: {text}, {files} checkpoints")
    else:
        tally.note(f"a soak of {text}, {files} checkpoints:")


def injections(count: int, seed: int, folder: Path, tally: Tally) -> None:
    """Inject so many numbers that are not finite into one run, kind after kind."""
    run = small_run(folder / "injected")
    kinds = sorted(KINDS)
    for number in range(seed, seed + count):
        try:
            survive(run, [kinds[number % len(kinds)]], number)
            tally.note("injections survived")
        except Exception as error:  # noqa: BLE001  it is what is looked for
            tally.fail(f"injections --seed={seed} --n={number - seed + 1}: {type(error).__name__} {error}")
