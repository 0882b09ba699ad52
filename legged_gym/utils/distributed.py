"""Several processes that learn together, one per GPU: `torchrun` starts them, a `Group` is what they share.

With one process a group does nothing, so that code reads the same for one and for many. Decisions (to stop, to
take an iteration back, a learning rate) follow from numbers that all ranks share bit for bit, or from the group.
"""

import hashlib
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, TypeVar

import torch
from torch import Tensor, distributed

from legged_gym.utils import cuda_graph
from legged_gym.utils.errors import UserError
from legged_gym.utils.lifeline import EXIT_CODE, GRACE, Lifeline, end_within

T = TypeVar("T")
PATIENCE = timedelta(minutes=30)
"""How long a rank waits for the others; a dead one is noticed at once."""


class Group:
    """Ranks that do the same on robots of their own. All ranks must call every method, in the same order."""

    def __init__(self, rank: int = 0, size: int = 1, host: Any = None, device: Any = None) -> None:
        """See `joined`; without arguments, the group of a process that is alone.

        Args:
            rank: Rank of this process.
            size: Number of processes.
            host: torch's process group for tensors and objects in main memory.
            device: That for tensors where networks live; each has a queue of its own on the GPU.
        """
        self.rank, self.size = rank, size
        self._host, self._device = host, device

    @property
    def alone(self) -> bool:
        """Whether there is no other process."""
        return self.size == 1

    @property
    def first(self) -> bool:
        """This process prints, logs, evaluates and saves."""
        return self.rank == 0

    def branch(self) -> "Group":
        """Return a group of the same ranks for work on another queue of the GPU, which this one's need not wait for.

        Where ranks launch work on both queues, they have to do so in the same order.
        """
        if self.alone or self._device is self._host:
            return self
        return Group(self.rank, self.size, self._host, distributed.new_group(timeout=PATIENCE, backend="nccl"))

    # -- on the device -------------------------------------------------------------------------------------------------

    def sum(self, tensor: Tensor) -> Tensor:
        """Add up over the ranks, in place; on a GPU nothing waits, and it can be recorded in a CUDA graph."""
        if not self.alone:
            distributed.all_reduce(tensor, group=self._device)
        return tensor

    def mean(self, tensor: Tensor) -> Tensor:
        """Average over the ranks, in place; see `sum`."""
        return tensor if self.alone else self.sum(tensor).div_(self.size)

    def mean_gradients(
        self, parameters: Iterable[torch.nn.Parameter], *scalars: Tensor, weight: Tensor | None = None
    ) -> Tensor:
        """Average gradients over the ranks, and some scalars with them, in one piece.

        Args:
            parameters: Those without a gradient are left out; the others get one that is a view of the piece.
            scalars: On the parameters' device.
            weight: Weight of this rank, at least 0; None for equal weights. Scalar.

        Returns:
            The scalars' means (K,), without gradient.
        """
        own = torch.stack([scalar.detach().float() for scalar in scalars])
        if self.alone:
            return own
        learned = [p for p in parameters if p.grad is not None]
        gradients = [p.grad for p in learned if p.grad is not None]
        piece = torch.cat([*(gradient.flatten() for gradient in gradients), own])
        if weight is None:
            self.mean(piece)
        else:
            weighed = self.sum(torch.cat((weight * piece, weight.view(1))))
            piece = weighed[:-1] / weighed[-1].clamp(min=1e-6)
        *shares, means = piece.split([*(gradient.numel() for gradient in gradients), len(own)])
        for parameter, share in zip(learned, shares, strict=True):
            parameter.grad = share.view_as(parameter)
        return means

    def copy_first(self, tensors: Iterable[Tensor]) -> None:
        """Give the tensors the values that they have in the first process, in place."""
        if self.alone:
            return
        alike: dict[torch.dtype, list[Tensor]] = {}
        for tensor in tensors:
            alike.setdefault(tensor.dtype, []).append(tensor.detach())
        for same in alike.values():
            piece = torch.cat([tensor.flatten() for tensor in same])
            distributed.broadcast(piece, 0, group=self._device)
            for tensor, values in zip(same, piece.split([tensor.numel() for tensor in same]), strict=True):
                tensor.copy_(values.view_as(tensor))

    # -- on the host ---------------------------------------------------------------------------------------------------

    def any(self, flag: bool) -> bool:
        """Tell whether a flag is set in one of the processes."""
        if self.alone:
            return flag
        flags = torch.tensor(float(flag))
        distributed.all_reduce(flags, distributed.ReduceOp.MAX, group=self._host)
        return bool(flags > 0.0)

    def gather(self, value: T) -> list[T]:
        """Return the values of all processes, in order of rank: plain data."""
        if self.alone:
            return [value]
        values: list[Any] = [None] * self.size
        distributed.all_gather_object(values, value, group=self._host)
        return values

    def from_first(self, value: T) -> T:
        """Return the value that the first process has: plain data."""
        return self.gather(value)[0]

    def check_equal(self, what: str, fields: dict[str, Any]) -> None:
        """Raise if the processes differ in fields that must be equal.

        Raises:
            UserError: Names the first field that differs, in all processes alike.
        """
        first, *others = self.gather(fields)
        for rank, other in enumerate(others, start=1):
            for name in first.keys() | other.keys():
                if first.get(name) != other.get(name):
                    raise UserError(
                        f"{what}: {name} is {first.get(name)} in rank 0 and {other.get(name)} in rank {rank}: "
                        "give all ranks the same options, and set what their machines suggest differently"
                    )

    def wait(self) -> None:
        """Wait for all other processes."""
        self.any(False)

    def own_seed(self, *numbers: int) -> int:
        """Return a seed that no other rank has; in the first process, it is the first of the numbers."""
        if self.first:
            return numbers[0]
        return int.from_bytes(hashlib.sha256(repr((self.rank, *numbers)).encode()).digest()[:7])


ALONE = Group()
_current = ALONE


def current() -> Group:
    """Return the group that this process is in; before it has joined one, it is alone."""
    return _current


def started_together() -> bool:
    """Tell whether torchrun has started this process with others."""
    return int(os.environ.get("WORLD_SIZE", "1")) > 1


def mute_others() -> None:
    """Let only the first process print, for all would print the same. Errors still go to stderr."""
    if started_together() and os.environ["RANK"] != "0":
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115  as long as the process


@contextmanager
def joined(device: str) -> Iterator[Group]:
    """Join the processes that torchrun has started, for as long as the body runs; without torchrun, be alone.

    If one of them ends before the others, they end, too, and one line says why.

    Args:
        device: Where this process's networks live.

    Raises:
        UserError: Another process has ended.
    """
    global _current
    if not started_together():
        yield ALONE
        return
    rank, size = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    store, rank, size = next(distributed.rendezvous("env://", rank, size, timeout=PATIENCE))
    lifeline = Lifeline(distributed.PrefixStore("lifeline", store), rank, size, os.environ["MASTER_ADDR"])
    try:
        _current = _join(distributed.PrefixStore("group", store), rank, size, torch.device(device))
        yield _current
        lifeline.leave()
        _current.wait()
        lifeline.say()
        _leave()
    except BaseException as error:
        parting = _part(error, lifeline)
        if parting is error:
            raise
        raise parting from None
    finally:
        _current = ALONE


def _leave() -> None:
    """Release torch's resources of the group; all work is done, so a process that hangs here may be ended."""
    timer = end_within(5.0 * GRACE, 0)
    cuda_graph.forget_all()  # NCCL waits for ever for graphs that use a communicator
    distributed.destroy_process_group()
    timer.cancel()


def _part(error: BaseException, lifeline: Lifeline) -> BaseException:
    """Tell the others why this process ends, or learn why they did; returns the exception to end with."""
    end_within(2.0 * GRACE, EXIT_CODE)
    if isinstance(error, RuntimeError) and (lost := lifeline.wait_for_loss(GRACE)) is not None:
        return UserError(lost) if lifeline.speaks else SystemExit(EXIT_CODE)  # a collective that broke off
    if isinstance(error, KeyboardInterrupt | SystemExit):
        lifeline.say("was stopped")
        return error
    lifeline.say(f"has ended: {' '.join(str(error).split())[:300] or type(error).__name__}")
    reported = isinstance(error, UserError) and lifeline.rank > 0  # the first one says it
    return SystemExit(EXIT_CODE) if reported else error


def _join(store: Any, rank: int, size: int, device: torch.device) -> Group:
    """Make torch's process groups: gloo in main memory, NCCL between GPUs."""
    if device.type != "cuda":
        distributed.init_process_group("gloo", store=store, rank=rank, world_size=size, timeout=PATIENCE)
        return Group(rank, size, distributed.group.WORLD, distributed.group.WORLD)
    torch.cuda.set_device(device)
    distributed.init_process_group("nccl", store=store, rank=rank, world_size=size, timeout=PATIENCE, device_id=device)
    return Group(rank, size, distributed.new_group(timeout=PATIENCE, backend="gloo"), distributed.group.WORLD)
