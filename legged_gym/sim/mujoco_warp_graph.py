"""CUDA graphs of Warp launches, with memory of their own."""

import gc
from collections.abc import Callable

import torch
import warp as wp


class Arena:
    """Memory for the arrays that an engine makes and drops within a step; the allocator to record a graph with.

    With Warp's own allocator every such array becomes two nodes of the graph, one that takes its memory and one that
    gives it back, which cost more than a small kernel. Here a dropped array's memory is kept for the next one of its
    size: work on one stream happens in order, so the next one's user comes after the last one's.
    """

    def __init__(self, device: torch.device) -> None:
        """Start with no memory."""
        self._device = device
        self._blocks: list[torch.Tensor] = []
        self._free: dict[int, list[int]] = {}

    def allocate(self, size_in_bytes: int) -> int:
        """Return the address of a block that nobody uses."""
        free = self._free.setdefault(size_in_bytes, [])
        if free:
            return free.pop()
        self._blocks.append(torch.empty(size_in_bytes, dtype=torch.uint8, device=self._device))
        return self._blocks[-1].data_ptr()

    def deallocate(self, ptr: int, size_in_bytes: int) -> None:
        """Take a block back."""
        self._free[size_in_bytes].append(ptr)


def record(function: Callable[[], None], arena: Arena, device: torch.device) -> wp.Graph:
    """Record what a function launches, after running it once to load its kernels and fill the arena.

    Args:
        function: Launches the same work, with arrays of the same sizes, whenever it is called.
        arena: Must live as long as the graph; graphs that never run at the same time may share one.
        device: A CUDA device.

    Returns:
        The graph, for `wp.capture_launch`.
    """
    with wp.ScopedDevice(wp.device_from_torch(device)) as wp_device, wp.ScopedAllocator(wp_device, arena):
        function()
        torch.cuda.synchronize(device)
        collects = gc.isenabled()
        gc.collect()
        gc.disable()  # the destructor of an older graph would be recorded into this one
        try:
            with wp.ScopedCapture() as capture:
                function()
        finally:
            if collects:
                gc.enable()
    return capture.graph
