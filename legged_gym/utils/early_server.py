"""A server that imports, beside the start of this process, what other processes will need, and is forked for each.

A process of its own has to import all that it needs, for seconds, once this one knows that it wants it. Python's fork
server has done so by then. It knows nothing of CUDA, which would not survive a fork. Imports nothing slow: a script
calls `begins` before it imports the rest.
"""

import multiprocessing
import sys
from typing import TYPE_CHECKING

from legged_gym.utils import signals
from legged_gym.utils.machine import usable_cores

if TYPE_CHECKING:
    from multiprocessing.context import ForkServerContext, SpawnContext

_begun = False


def begins(module: str) -> None:
    """Start the server, on Linux, unless it would take the only core from this process.

    Windows has none, and not all libraries of macOS survive a fork.

    Args:
        module: It imports this one, which should import all that is needed.
    """
    global _begun
    if sys.platform != "linux" or usable_cores() == 1:
        return
    from multiprocessing import forkserver

    multiprocessing.set_forkserver_preload([module])
    with signals.kept_from_children():
        forkserver.ensure_running()
    _begun = True


def context() -> "ForkServerContext | SpawnContext":
    """Return what makes processes: forks of the server if it has begun, fresh ones otherwise."""
    return multiprocessing.get_context("forkserver") if _begun else multiprocessing.get_context("spawn")
