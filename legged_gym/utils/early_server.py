"""A server that imports, beside the start of this process, what other processes will need, and is forked for each.

A process of its own has to import all that it needs, for seconds, once this one knows that it wants it. Python's fork
server has done so by then. It knows nothing of CUDA, which would not survive a fork. Imports nothing slow: a script
calls `begins` before it imports the rest.
"""

import multiprocessing
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.process import BaseProcess
from typing import TYPE_CHECKING

from legged_gym.utils import signals
from legged_gym.utils.machine import usable_cores

if TYPE_CHECKING:
    from multiprocessing.context import ForkServerContext, SpawnContext

SAFE_PATH = "PYTHONSAFEPATH"
"""Variable with which Python does not look for modules in the working directory."""
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
    before = os.environ.get(SAFE_PATH)
    os.environ[SAFE_PATH] = "1"
    with signals.kept_from_children():
        forkserver.ensure_running()
    os.environ.pop(SAFE_PATH)
    if before is not None:
        os.environ[SAFE_PATH] = before
    _begun = True


@contextmanager
def leaving_with_parent() -> Iterator[None]:
    """In the body, which imports for the server, end this process if the one that wants it ends."""
    parent, done = os.getppid(), threading.Event()

    def watch() -> None:
        while not done.wait(0.2):
            if os.getppid() != parent:
                os._exit(0)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()  # a process with threads should not be forked


def start(process: BaseProcess) -> None:
    """Start a process of `context`; the signals that end training do not reach it. Waits for the server's imports."""
    if _begun:
        process.start()  # the server has them blocked, and so have its forks
        return
    with signals.kept_from_children():
        process.start()


def context() -> "ForkServerContext | SpawnContext":
    """Return what makes processes: forks of the server if it has begun, fresh ones otherwise."""
    return multiprocessing.get_context("forkserver") if _begun else multiprocessing.get_context("spawn")
