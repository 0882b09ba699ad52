"""The walking gate's robots in a process of their own: the processor judges while training goes on.

A look takes as long on a GPU for a hundred robots as for thousands, for its steps come one after the other. The
processor has little to do meanwhile. Where it trains, too, much of training runs on one core; the process has a low
priority and takes what is left of the others.
"""

import io
import os
import signal
from collections.abc import Callable, Sequence
from multiprocessing import connection
from multiprocessing.connection import Connection
from typing import Any

import psutil
import torch
from torch import nn

from legged_gym.algorithms.networks import EstimatorActor
from legged_gym.evaluation.agents import PolicyAgent
from legged_gym.evaluation.metrics import Result
from legged_gym.evaluation.rows import Row
from legged_gym.evaluation.suites import all_have_fallen, cannot_walk, run_row
from legged_gym.utils import early_server

READY = b"ready"
"""What the process says once its robots stand."""
NICENESS = 10
"""How far the process steps back behind training, in steps of Unix: a busy core gives it a tenth. On Windows it gets
the priority below the normal one."""
PATIENCE = 0.1
"""How often one who waits for an answer asks whether it is still worth it [s]."""


class JudgeLost(Exception):
    """The process has ended, or cannot judge; says why."""


def walk(env: Any, actor: nn.Module, row: Row, device: str, stop: bool) -> Result:
    """Walk a row with a policy.

    Args:
        env: The robots; they observe no more from now on than such a policy reads.
        actor: The policy, on `device`.
        row: What they are asked to do.
        device: Where the policy lives.
        stop: Whether only a policy that passes is of interest; otherwise the row is walked to its end.
    """
    if type(actor) is EstimatorActor:  # a user's own may read more
        env.observer.keep(actor.obs_groups)
    return run_row(env, PolicyAgent(actor, device), row, seed=0, give_up=cannot_walk if stop else all_have_fallen)


class JudgeBeside:
    """Judges one policy at a time; training asks from time to time whether it is done."""

    def __init__(self, make_env: Callable[[], Any], row: Row, stop: bool) -> None:
        """Start the process, which makes its robots meanwhile.

        Args:
            make_env: Makes them, on the CPU; goes to the process as a pickle.
            row: What they are asked to do.
            stop: See `walk`.
        """
        context = early_server.context()
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, make_env, row, stop), daemon=True)
        self._why = "its process has ended"
        try:
            early_server.start(self._process)
        except Exception as error:  # noqa: BLE001  whatever a config of the user's cannot be pickled for
            self._why = f"{type(error).__name__}: {error}"
        theirs.close()  # the end of the process is then the end of the pipe

    def answer(self) -> Any:
        """Return `READY`, the result of the policy that was judged, or None if there is neither yet.

        Raises:
            JudgeLost: There will be none.
        """
        try:
            if not self._pipe.poll():
                return None
            answer = self._pipe.recv()
        except (EOFError, OSError):
            raise JudgeLost(self._why) from None
        if isinstance(answer, Exception):
            raise JudgeLost(str(answer))
        return answer

    def begin(self, actor: nn.Module) -> None:
        """Begin to judge a policy; it may change afterwards.

        Raises:
            JudgeLost: The process has ended, or the policy cannot be sent to it.
        """
        file = io.BytesIO()
        try:
            torch.save(actor, file)
        except Exception as error:  # noqa: BLE001  a network of the user's, with whatever it holds
            raise JudgeLost(f"{type(error).__name__}: {error}") from None
        try:
            self._pipe.send_bytes(file.getvalue())
        except OSError:
            raise JudgeLost(self._why) from None

    @staticmethod
    def wait(judges: Sequence["JudgeBeside"], until: Callable[[], bool]) -> None:
        """Wait for one of some processes to answer, or to end.

        Args:
            judges: The processes.
            until: Whether it is no longer worth it.
        """
        while not connection.wait([judge._pipe for judge in judges], PATIENCE):
            if until():
                return

    def close(self) -> None:
        """End the process."""
        self._pipe.close()
        if self._process.pid is not None:
            if self._process.is_alive():  # the pid of one that has ended may be another's
                self._process.kill()
            self._process.join()


def _serve(pipe: Connection, make_env: Callable[[], Any], row: Row, stop: bool) -> None:
    """Judge the policies that come through the pipe, until it ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # on Windows Ctrl-C gets here; training ends this process
    torch.set_num_threads(1)
    try:
        _step_back()
        env = make_env()
        answer: Any = READY
        while _said(pipe, answer):
            policy = _heard(pipe)
            if policy is None:
                return
            actor = torch.load(io.BytesIO(policy), map_location="cpu", weights_only=False)  # from our own process
            answer = walk(env, actor, row, "cpu", stop)
    except Exception as error:  # noqa: BLE001  training goes on, whatever fails here
        _said(pipe, RuntimeError(f"{type(error).__name__}: {error}"))


def _step_back() -> None:
    """Let training go first."""
    if hasattr(os, "nice"):
        os.nice(NICENESS)
    else:
        psutil.Process().nice(psutil.BELOW_NORMAL_PRIORITY_CLASS)


def _said(pipe: Connection, answer: Any) -> bool:
    """Send an answer; return whether training was still there."""
    try:
        pipe.send(answer)
    except OSError:
        return False
    return True


def _heard(pipe: Connection) -> bytes | None:
    """Return the next policy, or None once training has ended."""
    try:
        return pipe.recv_bytes()
    except (EOFError, OSError):
        return None
