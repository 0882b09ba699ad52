"""The trainer's end of the process: starts a worker, sends requests, and finds out how it ended."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import IO, Any

from legged_gym.sim.process.errors import (
    FAILURES,
    REMEDIES,
    InterpreterMissing,
    LibPythonMissing,
    ProtocolMismatch,
    WorkerDied,
    WorkerError,
    WorkerHung,
)
from legged_gym.sim.process.protocol import Channel, Closed, Failure, ProtocolError, Reply, Request

HELLO_TIMEOUT = 180.0
"""Longest time from a worker's start to its first answer [s]: it imports the engine, which may compile an extension."""
STILL_COMPILING = "if its imports were compiling, try again: finished parts are kept"
"""Remedy for a worker that did not even say hello."""
NOTICE_AFTER = 15.0
"""Time at the start after which the user is told the reason for the wait [s]."""
LAST_WORDS = 20
"""Lines of a worker's output that are kept."""
PATIENCE = 5.0
"""Longest wait for a worker to end by itself [s]."""


class Worker:
    """A process that hosts simulators, one after the other."""

    def __init__(
        self, name: str, command: Sequence[str], environment: Mapping[str, str], remedies: Mapping[type, str] = REMEDIES
    ) -> None:
        """Start the process and exchange versions.

        Args:
            name: Its name in messages.
            command: Interpreter, script and arguments; those of `serve.open_channel` are added.
            environment: The process's environment variables.
            remedies: Remedy for each error.

        Raises:
            WorkerError: The worker does not start; the text says why and what to do.
        """
        self.name = name
        self._program = command[0]
        self._remedies = remedies
        self._number = 0
        self._process, self._channel, lifeline = self._start_process(command, environment)
        self._output = _Output(self._process.stdout)
        self._end = weakref.finalize(self, _end, self._process, self._channel, lifeline, self._output)
        notice = threading.Timer(
            NOTICE_AFTER, print, (f"waiting for the worker of {name}: at the first start its imports may compile",)
        )
        notice.start()
        try:
            self.versions = self.ask(Request.HELLO, timeout=HELLO_TIMEOUT)
            """Versions of the worker's Python and packages, by name, and its process's number, `pid`."""
        except BaseException:
            self.close(patience=0.0)
            raise
        finally:
            notice.cancel()
        self._output.show()

    def _start_process(
        self, command: Sequence[str], environment: Mapping[str, str]
    ) -> tuple[subprocess.Popen[bytes], Channel, int]:
        """Return the process, our end of the channel, and the lifeline that only we hold, see `serve.open_channel`."""
        # Both are inherited: nothing has a name in the file system, and the kernel closes all of it.
        ours, theirs = socket.socketpair()
        read_end, lifeline = os.pipe()
        # The worker may ask Linux to be killed with its parent, which is this thread: only the main one outlives it.
        in_main_thread = threading.current_thread() is threading.main_thread()
        try:
            # Its own session: Ctrl-C in the terminal is for the trainer, which ends the worker when it is time.
            process = subprocess.Popen(
                [*command, str(theirs.fileno()), str(read_end), str(int(in_main_thread))],
                env=dict(environment),
                pass_fds=(theirs.fileno(), read_end),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        except OSError as error:
            ours.close()
            os.close(lifeline)
            raise self._error(InterpreterMissing, f"cannot run {command[0]} ({error.strerror})") from None
        finally:
            theirs.close()
            os.close(read_end)
        return process, Channel(ours), lifeline

    def ask(
        self, request: Request, payload: dict[str, Any] | None = None, *, timeout: float, descriptor: int | None = None
    ) -> dict[str, Any]:
        """Send a request and wait for its reply.

        Args:
            request: The request.
            payload: Its arguments.
            timeout: Longest wait [s].
            descriptor: An open file to send along.

        Returns:
            The reply's payload.

        Raises:
            WorkerError: There is no good reply; after a `WorkerLost` the process has ended.
        """
        self._number += 1
        try:
            self._channel.send(request, self._number, payload, timeout)
            if descriptor is not None:
                self._channel.send_descriptor(descriptor)
            reply = self._channel.receive(timeout)
            while reply.number < self._number and reply.kind != Reply.FAILED:
                # the answer to a notice, or to a request that Ctrl-C cut short
                reply = self._channel.receive(timeout)
        except Closed:
            raise self._obituary() from None
        except TimeoutError:
            # A late answer could not be told from the next one's, and its memory is half written.
            self.close(patience=0.0)
            what = f"did not answer {request.name} within {timeout:g} s and was killed"
            remedy = STILL_COMPILING if request == Request.HELLO else None
            raise self._error(WorkerHung, what, remedy) from None
        except ProtocolError as error:
            self.close(patience=0.0)
            raise self._error(ProtocolMismatch, str(error)) from None
        if reply.number > self._number:
            self.close(patience=0.0)
            raise self._error(ProtocolMismatch, f"answered request {reply.number} instead of {self._number}")
        self._output.forget()  # it did not die of that
        if reply.kind == Reply.FAILED:
            raise self._error(FAILURES[Failure(reply.payload["failure"])], reply.payload["text"])
        return reply.payload

    def notify(self, request: Request, payload: dict[str, Any], timeout: float) -> None:
        """Send a request without waiting for the reply; if it fails or cannot be sent, the next `ask` raises.

        Args:
            request: The request.
            payload: Its arguments.
            timeout: Longest wait for the worker to read it [s].
        """
        self._number += 1
        with contextlib.suppress(Closed, TimeoutError):
            self._channel.send(request, self._number, payload, timeout)

    def _obituary(self) -> WorkerError:
        """Say how the process ended."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(PATIENCE)
        code = self._process.poll()
        self.close(patience=0.0)
        words = self._output.last_words()
        # The dynamic linker's complaint comes before any Python: only the output tells.
        if "libpython" in words:
            return self._error(LibPythonMissing, words)
        if self._number == 1 and code is not None and code >= 0:
            return self._error(InterpreterMissing, f"cannot start ({words or f'exit code {code}'})")
        if code is None:
            how = "closed the connection"
        elif code < 0:
            how = f"was ended by {signal.Signals(-code).name}"
        else:
            how = f"ended with exit code {code}"
        return self._error(WorkerDied, f"{how}{': ' + words if words else ''}")

    def _error(self, kind: type[WorkerError], text: str, remedy: str | None = None) -> WorkerError:
        if remedy is None:
            remedy = self._remedies.get(kind, REMEDIES.get(kind, ""))
        under = f" under {self._program}" if self._number == 1 else ""  # it may be the wrong one
        return kind(f"the worker of {self.name}{under}: {text}{'; ' + remedy if remedy else ''}")

    def wait_until(self, is_done: Callable[[], bool], timeout: float) -> None:
        """Wait for work that the worker has queued on a device, and that would die with the worker.

        Args:
            is_done: Tells whether the work is done; called repeatedly.
            timeout: Longest wait [s].

        Raises:
            WorkerLost: The process ended, or was killed after the timeout.
        """
        due = time.monotonic() + timeout
        while not is_done():
            if self._process.poll() is not None:
                raise self._obituary()
            if time.monotonic() > due:
                self.close(patience=0.0)
                what = f"has not finished its work on the device within {timeout:g} s and was killed"
                raise self._error(WorkerHung, what)
            time.sleep(0)  # others may run

    def close(self, patience: float = PATIENCE) -> None:
        """End the process, gently for `patience` [s]."""
        self._channel.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(patience)
        self._end()


def _end(process: subprocess.Popen, channel: Channel, lifeline: int, output: "_Output") -> None:
    """Close everything and kill what is left; runs once, at the latest when the trainer ends."""
    channel.close()
    os.close(lifeline)
    if process.poll() is None:
        process.kill()
    with contextlib.suppress(subprocess.TimeoutExpired):  # a driver may hold it for longer
        process.wait(PATIENCE)
    output.finish()


class _Output:
    """Passes the worker's output on to stderr once `show` is called, and keeps its last lines."""

    def __init__(self, stream: IO[bytes] | None) -> None:
        self._stream = stream
        self._lines: deque[str] = deque(maxlen=LAST_WORDS)
        self._shown = False
        self._thread = threading.Thread(target=self._read, daemon=True, name="worker's output")
        self._thread.start()

    def _read(self) -> None:
        for raw in self._stream or ():
            line = raw.decode(errors="replace").rstrip()
            self._lines.append(line)
            if self._shown:
                print(line, file=sys.stderr, flush=True)

    def show(self) -> None:
        """Pass on output from now on; earlier output is engines' greetings."""
        self._shown = True

    def forget(self) -> None:
        """Forget the output so far: it holds no last words."""
        self._lines.clear()

    def last_words(self) -> str:
        """Return the last line that is not empty."""
        return next((line for line in reversed(self._lines) if line.strip()), "")

    def finish(self) -> None:
        """Read to the end."""
        self._thread.join(PATIENCE)
        if self._stream is not None and not self._thread.is_alive():
            self._stream.close()
