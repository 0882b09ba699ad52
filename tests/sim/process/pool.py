"""Workers that are used again: a simulator's process takes seconds to start, and the suite builds hundreds."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from legged_gym.sim.isaacgym import simulator as isaacgym
from legged_gym.sim.process import hosting
from legged_gym.sim.process.errors import WorkerError
from legged_gym.sim.process.launch import Worker
from legged_gym.sim.process.protocol import Request

STAND_IN = Path(__file__).parents[1] / "isaacgym" / "standin"

_idle: dict[str, list[Worker]] = {}


class Borrowed:
    """A worker that goes back to the pool when it is closed."""

    def __init__(self, name: str, launch: Callable[[], Worker]) -> None:
        idle = _idle.setdefault(name, [])
        self._idle, self._worker = idle, idle.pop() if idle else launch()
        self._closed = False

    @property
    def versions(self) -> dict[str, Any]:
        return self._worker.versions

    def ask(self, *arguments: Any, **named: Any) -> dict[str, Any]:
        return self._worker.ask(*arguments, **named)

    def notify(self, *arguments: Any, **named: Any) -> None:
        self._worker.notify(*arguments, **named)

    def wait_until(self, is_done: Callable[[], bool], timeout: float) -> None:
        self._worker.wait_until(is_done, timeout)

    def close(self, patience: float = 0.0) -> None:
        if self._closed:
            return
        self._closed = True
        try:
            self._worker.ask(Request.RELEASE, timeout=30.0)
        except WorkerError:
            self._worker.close(patience)
        else:
            self._idle.append(self._worker)


@contextmanager
def stand_in_environment() -> Iterator[pytest.MonkeyPatch]:
    """Let Isaac Gym be the stand-in, under this interpreter."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(isaacgym.VARIABLE, sys.executable)
        patch.setenv("PYTHONPATH", os.pathsep.join([str(STAND_IN), os.environ.get("PYTHONPATH", "")]))
        yield patch


@contextmanager
def pooled_workers(kind: str = "isaacgym") -> Iterator[None]:
    """Within this, simulators borrow their processes; those of Isaac Gym may be of another kind."""
    launch_isaacgym, launch_hosted = isaacgym.launch, hosting.launch
    with stand_in_environment() as patch:
        patch.setattr(isaacgym, "launch", lambda: Borrowed(kind, launch_isaacgym))
        patch.setattr(hosting, "launch", lambda name: Borrowed("hosted", lambda: launch_hosted(name)))
        yield
