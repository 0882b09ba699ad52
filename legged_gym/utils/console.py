"""A console that may go away: a closed pipe or terminal, or a full disk behind it, must not end a run."""

import io
import os
import sys
from typing import TextIO


class LastingStream(io.TextIOBase):
    """Passes text on until that fails; from then on it is dropped."""

    def __init__(self, stream: TextIO, notify: TextIO | None) -> None:
        """Wrap a stream.

        Args:
            stream: The stream to write to.
            notify: Stream for the line that says that it is gone.
        """
        self._stream, self._notify = stream, notify
        self.gone = False

    def write(self, text: str) -> int:
        """Write, or drop."""
        if not self.gone:
            try:
                self._stream.write(text)
            except (OSError, ValueError) as error:
                self._give_up(error)
        return len(text)

    def flush(self) -> None:
        """Flush, or do nothing."""
        if not self.gone:
            try:
                self._stream.flush()
            except (OSError, ValueError) as error:
                self._give_up(error)

    def fileno(self) -> int:
        """Return the descriptor behind it."""
        return self._stream.fileno()

    def isatty(self) -> bool:
        """Tell whether a terminal is behind it."""
        return not self.gone and self._stream.isatty()

    def _give_up(self, error: Exception) -> None:
        """Replace it by the null device, which takes the remaining buffer at the end of the process."""
        self.gone = True
        try:
            nothing = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nothing, self._stream.fileno())
            os.close(nothing)
            if self._notify is not None:
                reason = error.strerror if isinstance(error, OSError) and error.strerror else error
                self._notify.write(f"warning: standard output is gone ({reason}): the run goes on without a word\n")
                self._notify.flush()
        except (OSError, ValueError):
            pass


def keep_going_without_console() -> None:
    """Let a run go on if its output cannot be written, from the start or later."""
    for name, notify in (("stdout", sys.stderr), ("stderr", None)):
        stream = getattr(sys, name)
        if stream is None:  # closed before Python began
            stream = open(os.devnull, "w")  # noqa: SIM115  as long as the process
        if not isinstance(stream, LastingStream):
            setattr(sys, name, LastingStream(stream, notify))
