"""Device work recorded once as a CUDA graph, then replayed in a single launch; and work on a second queue."""

import dataclasses
import gc
import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch.optim import Adam

PLAIN_CALLS = 2
"""Plain calls before the recording: they load kernels and make objects that are made on first use."""


_all: "weakref.WeakSet[Graphed]" = weakref.WeakSet()


def forget_all() -> None:
    """Drop all recordings of this process, once the device has finished their work."""
    if torch.cuda.is_available() and torch.cuda.is_initialized():
        torch.cuda.synchronize()
    for graphed in _all:
        graphed.forget()
    gc.collect()


class Graphed:
    """A function of tensors whose device work becomes a CUDA graph.

    On a CPU each call is a plain call. On CUDA the first `PLAIN_CALLS` are plain, too; the next one records, and from
    then on a call copies its arguments into the graph's memory and replays.

    What the function does on the device must not depend on values that only the host knows and that change between
    calls; it must not wait for the device, and the tensors that it reads besides its arguments must keep their memory.
    What Python does in it happens at the recording only. That includes `self.x = tensor`: a replay writes new numbers
    into the tensor of the recording, but if a plain call has bound `self.x` to another one since (an environment's
    `reset` calls some of what `step` has recorded), readers would find that one's old numbers. So after each replay the
    attributes that the recording bound are bound again to its tensors, on the objects given as `owners`.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        device: torch.device | str,
        owners: Sequence[object] = (),
        copies: bool = True,
        enabled: bool = True,
    ) -> None:
        """Wrap a function; nothing is recorded yet.

        Args:
            function: Takes tensors and returns tensors, in tuples, dicts and dataclasses if it likes.
            device: Where it works.
            owners: Objects whose attributes the function binds.
            copies: Return copies of the results; otherwise the next call overwrites them.
            enabled: False makes each call a plain one.
        """
        self.function = function
        self._owners, self._copies = owners, copies
        self._records = enabled and torch.device(device).type == "cuda"
        self._stream = torch.cuda.Stream(device) if self._records else None
        self.forget()
        _all.add(self)

    def forget(self) -> None:
        """Drop the recording: tensors that it reads have moved."""
        self._graph: torch.cuda.CUDAGraph | None = None
        self._results: Any = None
        self._plain_calls = 0

    def __call__(self, *arguments: torch.Tensor) -> Any:
        """Call the function.

        Args:
            arguments: Tensors of the same shapes at every call.

        Raises:
            ValueError: The shapes differ from those at the recording.
        """
        if not self._records:
            return self.function(*arguments)
        if self._plain_calls < PLAIN_CALLS:
            self._plain_calls += 1
            return self._call_plainly(arguments)
        if self._graph is None:
            self._record(arguments)
        self._replay(arguments)
        return _map(torch.clone, self._results) if self._copies else self._results

    def _call_plainly(self, arguments: tuple[torch.Tensor, ...]) -> Any:
        """Run the function on the stream of the recording: autograd remembers where it first saw a parameter."""
        assert self._stream is not None  # for the type checker
        outer = torch.cuda.current_stream(self._stream.device)
        self._stream.wait_stream(outer)
        with torch.cuda.stream(self._stream):
            results = self.function(*arguments)
        outer.wait_stream(self._stream)
        return results

    def _record(self, arguments: tuple[torch.Tensor, ...]) -> None:
        with torch.inference_mode(False):  # tensors that may be written in either mode
            self._arguments = [torch.empty(x.shape, dtype=x.dtype, device=x.device) for x in arguments]
        before = [dict(vars(owner)) for owner in self._owners]
        graph = torch.cuda.CUDAGraph()
        # NCCL has a thread of its own, which looks at events meanwhile.
        errors = "thread_local" if torch.distributed.is_initialized() else "global"
        collecting = gc.isenabled()
        gc.disable()  # what the destructor of an old graph does would be recorded
        try:
            with torch.cuda.graph(graph, stream=self._stream, capture_error_mode=errors):
                self._results = self.function(*self._arguments)
        finally:
            if collecting:
                gc.enable()
        # Attributes that differ from before were bound by the function; `_replay` binds them again.
        self._bound = [
            {name: value for name, value in vars(owner).items() if name not in old or old[name] is not value}
            for owner, old in zip(self._owners, before, strict=True)
        ]
        self._graph = graph

    def _replay(self, arguments: tuple[torch.Tensor, ...]) -> None:
        assert self._graph is not None  # for the type checker
        given, recorded = [x.shape for x in arguments], [x.shape for x in self._arguments]
        if given != recorded:
            raise ValueError(f"recorded with shapes {recorded}, called with {given}")
        if arguments:
            torch._foreach_copy_(self._arguments, list(arguments))
        self._graph.replay()
        for owner, bound in zip(self._owners, self._bound, strict=True):
            for name, value in bound.items():
                setattr(owner, name, value)


class Branch:
    """A second queue of the GPU, for work that may run beside the rest; on a CPU all is one queue."""

    def __init__(self, device: torch.device | str) -> None:
        """Make the queue."""
        self._stream = torch.cuda.Stream(device) if torch.device(device).type == "cuda" else None

    @contextmanager
    def fork(self, waits: bool = True) -> Iterator[None]:
        """Queue the body here, after the work queued outside so far unless `waits` is False."""
        if self._stream is None:
            yield
            return
        if waits:
            self.wait()
        with torch.cuda.stream(self._stream):
            yield

    def wait(self) -> None:
        """Make work queued here from now on wait for the work queued outside so far."""
        if self._stream is not None:
            self._stream.wait_stream(torch.cuda.current_stream(self._stream.device))

    def join(self) -> None:
        """Make work queued outside from now on wait for the work queued here."""
        if self._stream is not None:
            torch.cuda.current_stream(self._stream.device).wait_stream(self._stream)


class Queues:
    """Queues of the GPU for parts of some work that do not depend on each other; on a CPU all is one queue.

    A kernel on some thousand robots leaves most of a GPU idle, and a chain of them takes as long as it is long.
    """

    def __init__(self, device: torch.device | str, count: int) -> None:
        """Make the queues, one of which is the one that is current when they are used."""
        self._branches = [Branch(device) for _ in range(count - 1)]

    def run(self, *parts: Callable[[], Any]) -> list[Any]:
        """Queue parts of some work, at most as many as there are queues, in order.

        The first part is queued where the caller's work is, and what is queued there later comes after all parts.

        Returns:
            What the parts return.
        """
        first, *others = parts
        branches = self._branches[: len(others)]
        for branch in branches:
            branch.wait()
        results = [first()]
        for part, branch in zip(others, branches, strict=True):
            with branch.fork(waits=False):
                results.append(part())
        for branch in branches:
            branch.join()
        return results


def make_adam(parameters: Iterable[torch.nn.Parameter], lr: float | torch.Tensor, device: torch.device | str) -> Adam:
    """Make the optimiser Adam, one kernel a step, such that its steps can be recorded on CUDA."""
    return Adam(parameters, lr=lr, capturable=torch.device(device).type == "cuda", fused=True)


def adam_tensors(optimizer: Adam, prefix: str) -> dict[str, torch.Tensor]:
    """The moments and step counts of an optimiser by name, in place; none before its first step."""
    states = (optimizer.state.get(p, {}) for group in optimizer.param_groups for p in group["params"])
    return {f"{prefix}.{k}.{name}": value for k, state in enumerate(states) for name, value in state.items()}


def load_adam(optimizer: Adam, state: dict[str, Any]) -> None:
    """Load saved moments, steps and rates from any device; the optimiser has new tensors afterwards.

    Raises:
        ValueError: The state is of other parameters, by number or shape.
    """
    own_shapes = [tuple(p.shape) for group in optimizer.param_groups for p in group["params"]]
    for k, moments in state["state"].items():
        if not all(isinstance(value, torch.Tensor) for value in moments.values()):
            raise ValueError(f"the optimiser's state {k} holds something else than tensors")
        given = {tuple(moments[name].shape) for name in ("exp_avg", "exp_avg_sq")}
        if not (0 <= int(k) < len(own_shapes)) or given != {own_shapes[int(k)]}:
            raise ValueError(f"the optimiser's state {k} has shape {given}, the networks' are {own_shapes}")
        if (steps := tuple(moments["step"].shape)) != ():
            raise ValueError(f"the optimiser's state {k} has a count of steps of shape {steps}, expected one number")
    for saved, own in zip(state["param_groups"], optimizer.param_groups, strict=True):
        saved |= {name: value for name, value in own.items() if name not in ("params", "lr")}
    optimizer.load_state_dict(state)


def _map(function: Callable[[torch.Tensor], torch.Tensor], tree: Any) -> Any:
    """Apply a function to every tensor in nested tuples, dicts and dataclasses."""
    if isinstance(tree, torch.Tensor):
        return function(tree)
    if isinstance(tree, tuple):
        return tuple(_map(function, item) for item in tree)
    if isinstance(tree, dict):
        return {name: _map(function, item) for name, item in tree.items()}
    if dataclasses.is_dataclass(tree) and not isinstance(tree, type):
        items = {field.name: getattr(tree, field.name) for field in dataclasses.fields(tree)}
        return dataclasses.replace(tree, **_map(function, items))
    return tree
