"""Operations recorded once, which from then on run without Python: on a CPU what a CUDA graph is on a GPU."""

import sys
import warnings
from collections.abc import Callable

import torch
from torch import Tensor, nn

SUPPORTED = sys.version_info < (3, 14)
"""Whether torch's tracing works with this Python; where it does not, all calls are plain ones."""

PLAIN_CALLS = 50
"""Calls that run as they are before the recording, which takes as long as a hundred: most tests never get there."""
WARM_UP = 3
"""Calls after which torch has settled how it runs a recording."""


class Traced:
    """A function of tensors on the CPU whose operations are recorded and then called by torch alone.

    Of a function that makes hundreds of small operations Python takes a third of the time. Nothing is compiled: the
    recording takes a tenth of a second. (`torch.jit.trace` is deprecated in favour of `torch.compile`, which takes a
    minute for the same.)

    What Python does in the function happens at the recording only. The function may write to its arguments; other
    tensors that it reads, but for the parameters of one module, are taken for constant. It is not differentiable.
    """

    def __init__(self, function: Callable[..., tuple[Tensor, ...]], module: nn.Module) -> None:
        """Wrap a function; nothing is recorded yet.

        Args:
            function: Takes tensors of the same shapes and types at every call.
            module: Whose parameters it reads; they may change in place.
        """
        self.function, self.module = function, module
        self._plain_calls = 0
        self._recorded: Callable[..., tuple[Tensor, ...]] | None = None

    @property
    def calls(self) -> int:
        """Plain calls so far; more than `PLAIN_CALLS` once the operations are recorded."""
        return self._plain_calls + (self._recorded is not None)

    @torch.no_grad()
    def go_on_after(self, calls: int, *arguments: Tensor) -> None:
        """Continue as another one after so many calls: what is recorded may round differently from what is not.

        Args:
            calls: Its `calls`.
            arguments: Like those of a call; they stay as they are.
        """
        self._plain_calls = min(calls, PLAIN_CALLS)
        if calls <= PLAIN_CALLS or not SUPPORTED:
            return
        self._record(tuple(argument.clone() for argument in arguments))
        for _ in range(WARM_UP):
            self(*(argument.clone() for argument in arguments))

    def __call__(self, *arguments: Tensor) -> tuple[Tensor, ...]:
        """Call the function, under `no_grad` or `inference_mode`."""
        if self._recorded is not None:
            return self._recorded(*arguments)
        if self._plain_calls < PLAIN_CALLS or not SUPPORTED:
            self._plain_calls += 1
            return self.function(*arguments)
        return self._record(arguments)

    def _record(self, arguments: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        results: list[tuple[Tensor, ...]] = []

        def listen(*given: Tensor) -> tuple[Tensor, ...]:
            results.append(self.function(*given))
            return results[0]

        needing = [p for p in self.module.parameters() if p.requires_grad]
        for parameter in needing:
            parameter.requires_grad_(False)  # or it could not be a constant of the recording
        try:
            with warnings.catch_warnings(action="ignore"):
                self._recorded = torch.jit.trace(listen, arguments, check_trace=False)
        finally:
            for parameter in needing:
                parameter.requires_grad_(True)
        return results[0]
