"""A start without garbage collection: what imports and set-up make stays, so looking for garbage among it is in vain.

Imports nothing slow: a script calls `begins` before it imports the rest.
"""

import gc
import os
import time
from pathlib import Path

import psutil


def begins() -> None:
    """Stop collecting garbage."""
    gc.disable()


def ends() -> None:
    """Collect garbage again, but not among what is there now. Does nothing if the start never began."""
    if not gc.isenabled():
        gc.freeze()
        gc.enable()


def process_began() -> float:
    """Return when this process began, as `time.time()` counts.

    Linux knows it to a hundredth of a second since the machine's start; when that was, it tells in whole seconds only.
    """
    try:
        ticks = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19])  # the name may hold anything
        age = time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, IndexError, AttributeError):
        return psutil.Process().create_time()
    return time.time() - age
