"""The number of threads of an update on a CPU, from a short measurement: idle cores help, busy ones hinder."""

import os
import time
from collections.abc import Callable

import torch
from torch import nn

REPEATS = 5
"""Measurements of each number of threads, of which the fastest counts."""
WORTH_IT = 1.15
"""More threads must be faster than one by this factor."""
BUSY = 0.75
"""Load per core in the last minute from which on the machine counts as busy; setting up adds to it."""


def update_threads(asked: int, width: int, rows: int, available: int | None = None) -> int:
    """Choose the number of threads of an update.

    The last bit of an update may depend on the number, so a run saves it and resumes with it. OMP_NUM_THREADS overrides
    the measurement.

    Args:
        asked: What the config says; 0 leaves the choice.
        width: Width of the widest layer.
        rows: Samples of a mini-batch.
        available: Threads that torch would take; None asks torch.

    Returns:
        The number, at least 1.
    """
    available = torch.get_num_threads() if available is None else available
    if asked:
        return asked
    if available == 1 or "OMP_NUM_THREADS" in os.environ:
        return available
    pass_ = _pass(width, rows)
    alone, together = _seconds(pass_, 1), _seconds(pass_, available)
    chosen = available if together * WORTH_IT < alone else 1
    print(f"updates take {chosen} of {available} threads (measured; --train.runner.update_threads sets it)")
    return chosen


def _pass(width: int, rows: int) -> Callable[[], None]:
    """Return something like an optimiser step; it draws from no generator, so that a run stays what its seed says."""
    x = torch.linspace(-1.0, 1.0, rows * width).view(rows, width)
    weight = nn.Parameter(torch.linspace(-1.0, 1.0, width * width).view(width, width))

    def run() -> None:
        y = nn.functional.elu(nn.functional.elu(x @ weight) @ weight)
        torch.autograd.grad(y.square().mean(), weight)

    return run


def _seconds(run: Callable[[], None], threads: int) -> float:
    """Time the fastest of some runs [s]."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        run()  # starts the threads
        times = []
        for _ in range(REPEATS):
            start = time.perf_counter()
            run()
            times.append(time.perf_counter() - start)
    finally:
        torch.set_num_threads(before)
    return min(times)


def busy_note(cores: int) -> str | None:
    """Say that other processes take the cores, if they do; None where that is not so, or the system does not say."""
    try:
        load = os.getloadavg()[0]
    except (OSError, AttributeError):
        return None
    if load < BUSY * cores:
        return None
    return f"note: this machine is busy (load {load:.1f} on {cores} cores): training is slower for it"
