"""Signals that come at a chosen moment."""

import contextlib
import sys
from collections.abc import Iterator
from types import FrameType


@contextlib.contextmanager
def interrupted(call: int) -> Iterator[None]:
    """Raise `KeyboardInterrupt` in one of the body's Python calls, counted from 0, as a second Ctrl-C does.

    The body sees it wherever Python could see a signal between two calls; a body with fewer calls ends undisturbed.
    """
    left = call

    def signal(frame: FrameType, event: str, argument: object) -> None:
        nonlocal left
        left -= event == "call"
        if left == -1:
            left = -2
            raise KeyboardInterrupt

    before = sys.gettrace()
    sys.settrace(signal)
    try:
        yield
    finally:
        sys.settrace(before)
