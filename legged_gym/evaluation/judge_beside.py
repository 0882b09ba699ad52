"""The walking gate's robots in a process of their own: the processor judges while the GPU trains on.

A row of one look takes as long on a GPU for a hundred robots as for thousands, for its steps come one after the other.
The processor has little to do meanwhile, and walks a hundred robots in a second or two.
"""

import io
import multiprocessing
import signal
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

import torch
from torch import nn

from legged_gym.evaluation.agents import PolicyAgent
from legged_gym.evaluation.metrics import Result
from legged_gym.evaluation.rows import Row
from legged_gym.evaluation.suites import all_have_fallen, cannot_walk, run_row

READY = b"ready"
"""What the process says once its robots stand."""


class JudgeLost(Exception):
    """The process has ended, or cannot judge; says why."""


def walk(env: Any, actor: nn.Module, row: Row, device: str, stop: bool) -> Result:
    """Walk a row with a policy.

    Args:
        env: The robots.
        actor: The policy, on `device`.
        row: What they are asked to do.
        device: Where the policy lives.
        stop: Whether only a policy that passes is of interest; otherwise the row is walked to its end.
    """
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
        context = multiprocessing.get_context("spawn")  # CUDA does not survive a fork
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, make_env, row, stop), daemon=True)
        self._process.start()
        theirs.close()  # the end of the process is then the end of the pipe

    def answer(self, wait: bool = False) -> Any:
        """Return `READY`, the result of the policy that was judged, or None if there is neither yet.

        Args:
            wait: Wait for it.

        Raises:
            JudgeLost: There will be none.
        """
        try:
            if not wait and not self._pipe.poll():
                return None
            answer = self._pipe.recv()
        except (EOFError, OSError):
            raise JudgeLost("its process has ended") from None
        if isinstance(answer, Exception):
            raise JudgeLost(str(answer))
        return answer

    def begin(self, actor: nn.Module) -> None:
        """Begin to judge a policy; it may change afterwards.

        Raises:
            JudgeLost: The process has ended.
        """
        file = io.BytesIO()
        torch.save(actor, file)
        try:
            self._pipe.send_bytes(file.getvalue())
        except OSError:
            raise JudgeLost("its process has ended") from None

    def close(self) -> None:
        """End the process."""
        self._pipe.close()
        self._process.terminate()
        self._process.join()


def _serve(pipe: Connection, make_env: Callable[[], Any], row: Row, stop: bool) -> None:
    """Judge the policies that come through the pipe, until it ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for training, which closes the pipe
    torch.set_num_threads(1)
    try:
        env = make_env()
        pipe.send(READY)
        while True:
            file = io.BytesIO(pipe.recv_bytes())
            actor = torch.load(file, map_location="cpu", weights_only=False)  # from our own process
            pipe.send(walk(env, actor, row, "cpu", stop))
    except (EOFError, OSError):  # training has ended
        return
    except Exception as error:  # noqa: BLE001  training goes on, whatever fails here
        pipe.send(RuntimeError(f"{type(error).__name__}: {error}"))
