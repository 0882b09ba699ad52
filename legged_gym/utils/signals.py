"""Signals that ask a run to end: Ctrl-C, SIGTERM, and what clusters and closing terminals send.

Exit codes: 0 where a checkpoint was saved, for the run did what was asked; 128 + the signal's number where nothing had
begun. Imports nothing slow: a script watches before it imports the rest.
"""

import os
import signal
import sys
from collections.abc import Callable
from types import FrameType

NAMES = ("SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1")
"""Of those the system has: Ctrl-C; an end asked for; a terminal that closes; pre-emption on many clusters."""


class Watch:
    """What is to happen when a signal comes; the handlers stay the same from the start to the end of a process."""

    def __init__(self) -> None:
        """Until `on_first` is set, a signal ends the process."""
        self.on_first: Callable[[], None] | None = None
        """Called at the first signal, to ask for an end; at the second one `KeyboardInterrupt` is raised."""
        self.received: str | None = None
        """Name of the first signal."""
        self._interrupted = False

    def __call__(self, number: int, frame: FrameType | None) -> None:
        """Handle a signal."""
        name = signal.Signals(number).name
        first, self.received = self.received is None, self.received or name
        if self.on_first is None:
            _say(f"\n{name} before training began: there is nothing to save.")
            if first:
                raise SystemExit(128 + number)
            os._exit(128 + number)  # someone has caught the first one
        if first:
            _say(f"\n{name}: stopping after this iteration, with a checkpoint; once more stops at once, without.")
            self.on_first()
        elif not self._interrupted:  # nothing may cut short what follows
            self._interrupted = True
            raise KeyboardInterrupt

    def done(self) -> None:
        """Let signals pass from now on: all is saved, and the process is about to end by itself."""
        self.on_first = lambda: None
        self.received, self._interrupted = self.received or "", True


def watch() -> Watch:
    """Install the handlers; a signal that is ignored already, as SIGHUP is under nohup, stays so."""
    handler = Watch()
    for name in NAMES:
        number = getattr(signal, name, None)
        if number is not None and (name == "SIGINT" or signal.getsignal(number) is not signal.SIG_IGN):
            signal.signal(number, handler)
    return handler


def _say(text: str) -> None:
    """Write a line without `print`, which must not be entered twice and which a closed terminal breaks."""
    try:
        os.write(sys.__stdout__.fileno() if sys.__stdout__ else 1, f"{text}\n".encode())
    except (OSError, ValueError):
        pass
