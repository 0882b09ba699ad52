"""Signals that ask a run to end: Ctrl-C, SIGTERM, and those of clusters and closing terminals.

Exit codes: 0 where a checkpoint was saved, for the run did what was asked; 128 + the signal's number where there is
nothing to save yet, or where a second signal cuts the iteration short. Imports nothing slow: a script calls `watch`
before it imports the rest.
"""

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing import resource_tracker
from pathlib import Path
from types import FrameType
from typing import Any

NAMES = ("SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1")
"""Ctrl-C; an end that is asked for; a terminal that closes; pre-emption on many clusters. Not all systems have all."""
PASSED_ON_WITHIN = 2.0
"""Time within which torchrun passes a signal on [s]."""


class Watch:
    """Handles the signals."""

    def __init__(self) -> None:
        """At first, a signal ends the process."""
        self._stop: Callable[[], None] | None = None
        self._first: int | None = None
        self._first_at = 0.0
        self._passes = False

    def __call__(self, number: int, frame: FrameType | None) -> None:
        """Handle a signal."""
        again, self._first = self._first is not None, self._first or number
        if self._passes or (again and self._passed_on()):
            return
        self._first_at = time.monotonic()
        name = signal.Signals(number).name
        if self._stop is None:
            with suppress(Exception):
                sys.stdout.flush()
            _say(f"\n{name} before training began: there is nothing to save.")
            os._exit(self.exit_code)  # an exception would be another one by the time it leaves a module of C++
        if not again:
            _say(f"\n{name}: stopping after this iteration, with a checkpoint; once more stops at once, without one.")
            self._stop()
            return
        self._passes = True  # nothing may cut short what follows
        raise KeyboardInterrupt

    def _passed_on(self) -> bool:
        """Tell whether a signal is the first one once more: torchrun passes on what a terminal sends to all at once."""
        return "TORCHELASTIC_RUN_ID" in os.environ and time.monotonic() - self._first_at < PASSED_ON_WITHIN

    def begin(self, stop: Callable[[], None]) -> None:
        """Let the first signal call `stop`, and the second one raise `KeyboardInterrupt`."""
        self._stop, self._first, self._passes = stop, None, False

    def end(self) -> None:
        """Let signals pass: all is saved, and the process is about to end."""
        self._passes = True

    @property
    def exit_code(self) -> int:
        """Exit code of a process that the first signal ended, by the shells' convention."""
        return 128 + (self._first or signal.SIGINT)


WATCH = Watch()
"""The handler of this process."""


@contextmanager
def kept_from_children() -> Iterator[None]:
    """Keep the signals from processes that are started in the body: training ends them, once it has saved."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows, where Ctrl-C alone reaches other processes
        yield
        return
    resource_tracker.ensure_running()  # or it would start in there, and let two of the signals through
    numbers = {getattr(signal, name) for name in NAMES if hasattr(signal, name)}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, numbers)  # is inherited
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def watch() -> None:
    """Install the handlers; a signal that is ignored already, as SIGHUP is under nohup, stays so."""
    for name in NAMES:
        number = getattr(signal, name, None)
        if number is not None and (name == "SIGINT" or signal.getsignal(number) is not signal.SIG_IGN):
            signal.signal(number, WATCH)


@contextmanager
def stopping(runner: Any, folder: Path | None, pattern: str = "model_*.pt") -> Iterator[None]:
    """Let the first signal end the training in the body after its iteration, and the second one at once.

    Args:
        runner: Has `interrupted`, which is set to ask for an end.
        folder: Where its checkpoints are, if anywhere.
        pattern: Pattern of their names.

    Raises:
        SystemExit: There was a second signal.
    """
    watch()
    WATCH.begin(lambda: setattr(runner, "interrupted", True))
    try:
        yield
    except KeyboardInterrupt:
        files = folder.glob(pattern) if folder is not None else ()
        last = max(files, key=lambda path: path.stat().st_mtime, default=None)
        print(f"stopped at once; {'no checkpoint was written' if last is None else f'the last checkpoint is {last}'}")
        raise SystemExit(WATCH.exit_code) from None
    finally:
        WATCH.end()


def _say(text: str) -> None:
    """Write a line past `print`, which a signal may have interrupted and which a closed terminal breaks."""
    with suppress(OSError, ValueError, AttributeError):  # there may be no stdout, or none with a descriptor
        os.write(sys.stdout.fileno(), f"{text}\n".encode())
