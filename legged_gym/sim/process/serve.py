"""The worker's end: answers requests until the trainer is gone.

Python 3.8, standard library and `protocol`; `memory`, and with it torch, comes in only after the engine.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import platform
import signal
import socket
import sys
import traceback
from collections.abc import Callable
from typing import Any

from legged_gym.sim.process.protocol import Channel, Closed, Failure, ProtocolError, Reply, Request

_PR_SET_PDEATHSIG = 1
"""From <linux/prctl.h>."""


class Refusal(Exception):
    """A failure of a known kind; the text is meant for the user."""

    def __init__(self, failure: Failure, text: str) -> None:
        """Keep the kind of failure and the text."""
        super().__init__(text)
        self.failure = failure


class Backend:
    """A simulator as the worker drives it; its tensors are those of the shared memory, by the names of `simulator`."""

    def apply(self, parameters: list[str], reset: bool, push: bool) -> None:
        """Apply the parameters, resets and pushes noted since the last step, and clear the masks and the pushes.

        Args:
            parameters: Names of the parameters that were set since the last step, for the robots in `changed`.
            reset: Robots in `reset_mask` are to be placed.
            push: Robots are to be pushed by `push_delta_w`, after the reset.
        """
        raise NotImplementedError

    def step(self) -> None:
        """Advance a policy step towards `targets` and write the state."""
        raise NotImplementedError

    def step_engine(self) -> None:
        """Advance the engine by a policy step and write nothing."""
        raise NotImplementedError

    def overflow_counts(self) -> dict[str, int]:
        """See `Simulator.overflow_counts`."""
        return {}

    def close(self) -> None:
        """Free the engine."""


def open_channel(connection: int, lifeline: int, dies_with_parent: int = 0) -> Channel:
    """Take over the inherited descriptors, and make this process end with the trainer, however that ends.

    The lifeline is a pipe's reading end whose writing end only the trainer has. When the trainer is gone the kernel
    raises SIGIO here, which ends this process even inside an engine that holds on to the interpreter. A process that is
    stopped sees no signal but SIGKILL, which Linux sends on request.

    Ctrl-C and a scheduler's SIGTERM are the trainer's to handle: it may want to finish an iteration.

    Args:
        connection: Descriptor of the connected socket.
        lifeline: Descriptor of the pipe.
        dies_with_parent: Ask for the SIGKILL, if not 0. To Linux a parent is the thread that started this process, so
            it must be one that lives as long as the trainer.
    """
    if dies_with_parent and sys.platform.startswith("linux"):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGIO, signal.SIG_DFL)
    fcntl.fcntl(lifeline, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(lifeline, fcntl.F_SETFL, fcntl.fcntl(lifeline, fcntl.F_GETFL) | os.O_ASYNC | os.O_NONBLOCK)
    try:
        os.read(lifeline, 1)  # returns at once: nothing, if the trainer went before the signal was asked for
        sys.exit(0)
    except BlockingIOError:
        pass
    return Channel(socket.socket(fileno=connection))


class Server:
    """Answers the trainer's requests."""

    def __init__(
        self, channel: Channel, hello: Callable[[], dict[str, Any]], build: Callable[[Any, Any], Backend]
    ) -> None:
        """Prepare.

        Args:
            channel: The connection.
            hello: Imports the engine and returns its versions, or raises a `Refusal`.
            build: Builds the backend from the trainer's description and the shared tensors.
        """
        self._channel, self._hello, self._build = channel, hello, build
        self._backend: Backend | None = None
        self._memory: Any = None

    def run(self) -> None:
        """Answer until the trainer is gone."""
        try:
            while True:
                request = self._channel.receive()
                try:
                    reply = self._answer(request.kind, request.payload)
                except Exception as error:  # noqa: BLE001 - whatever it is, the trainer must hear of it
                    self._channel.send(Reply.FAILED, request.number, _failure(error))
                else:
                    self._channel.send(Reply.DONE, request.number, reply)
        except Closed:
            pass
        except ProtocolError as error:
            print(f"worker: {error}", file=sys.stderr)
        finally:
            self._release()

    def _answer(self, kind: int, payload: dict[str, Any]) -> dict[str, Any]:
        if kind == Request.HELLO:
            return {"python": platform.python_version(), "pid": os.getpid(), **self._hello()}
        if kind == Request.BUILD:
            from legged_gym.sim.process import memory  # after the engine, which may insist on coming before torch

            self._release()
            self._memory = memory.attach(payload["memory"], self._channel.receive_descriptor)
            self._memory.take_over()
            self._backend = self._build(payload["spec"], self._memory.tensors)
            self._memory.hand_over()
            return {}
        if kind == Request.RELEASE:
            self._release()
            return {}
        if self._backend is None:
            raise RuntimeError(f"asked for {kind} before a simulator was built")
        if kind in (Request.APPLY, Request.STEP, Request.STEP_ENGINE):
            self._memory.take_over()
            self._backend.apply(payload["parameters"], payload["reset"], payload["push"])
            if kind == Request.STEP:
                self._backend.step()
            elif kind == Request.STEP_ENGINE:
                self._backend.step_engine()
            self._memory.hand_over()
            return {}
        if kind == Request.COUNT_OVERFLOWS:
            return {"counts": self._backend.overflow_counts()}
        raise Refusal(Failure.NO_SUCH_REQUEST, f"unknown request {kind}")

    def _release(self) -> None:
        if self._backend is not None:
            self._backend.close()
        self._backend = self._memory = None


def _failure(error: Exception) -> dict[str, str]:
    if isinstance(error, Refusal):
        return {"failure": error.failure.value, "text": str(error)}
    if isinstance(error, ValueError):
        return {"failure": Failure.REFUSED.value, "text": str(error)}
    traceback.print_exc()
    return {"failure": Failure.BROKEN.value, "text": f"{type(error).__name__}: {error}"}
