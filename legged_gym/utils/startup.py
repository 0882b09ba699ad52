"""A quick start of what trains: nothing is done that is in vain, and some things at the same time.

What imports and set-up make stays, so nobody looks for garbage among it. What the walking gate's processes need is
imported beside. In a run that ends with the first walk torch's compiler waits until somebody compiles. Imports nothing
slow: a script calls `begins` before it imports the rest.
"""

import gc
import os
import sys
import time
from pathlib import Path

import psutil

from legged_gym.utils import early_server, late_compiler

SOON = "--until_walking"
"""Option of a run that ends with the first walk."""
JUDGED = {SOON, "--evaluate_every"}
"""Options with which other processes walk the gate."""


def begins() -> None:
    """Stop collecting garbage, and prepare the imports."""
    gc.disable()
    asked = {argument.partition("=")[0] for argument in sys.argv}
    if SOON in asked:
        late_compiler.begins()
    if asked & JUDGED and os.environ.get("RANK", "0") == "0":  # of torchrun's processes the first one judges
        early_server.begins("legged_gym.evaluation.judge_imports")


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
