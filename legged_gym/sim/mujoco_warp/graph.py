"""Warp launches: torch's tensors as arguments, on torch's streams, and as CUDA graphs with memory of their own."""

import gc
from collections.abc import Callable
from typing import Any

import torch
import warp as wp

from legged_gym.sim.sim_state import Placement

BLOCK = 64
"""Threads per block of our kernels: few, to spread the threads of a few thousand robots over the whole GPU."""


def launch(kernel: Any, dim: int | tuple[int, ...], arguments: list[Any]) -> None:
    """Launch one of our kernels; they share a block size, for each one more would compile them all again."""
    wp.launch(kernel, dim=dim, inputs=arguments, block_dim=BLOCK)


def wrap_vectors(tensor: torch.Tensor) -> Any:
    """View a (..., 3) tensor as Warp vectors."""
    return wp.from_torch(tensor.contiguous(), dtype=wp.vec3)


def wrap_placement(placement: Placement) -> list[Any]:
    """View a placement's tensors, in their order, as kernels take them."""
    p = placement
    pose = [wrap_vectors(p.root_pos_w), wp.from_torch(p.root_quat_xyzw.contiguous(), dtype=wp.quat)]
    twist = [wrap_vectors(p.root_lin_vel_w), wrap_vectors(p.root_ang_vel_w)]
    return [*pose, *twist, wp.from_torch(p.joint_pos), wp.from_torch(p.joint_vel)]


class TorchStream:
    """Makes Warp use torch's current stream, so that both keep the order in which things are called."""

    def __init__(self, device: torch.device) -> None:
        """Start Warp, quietly."""
        wp.config.log_level = max(wp.config.log_level, wp.LOG_ERROR)
        wp.init()
        self._device, self._wp_device = device, wp.device_from_torch(device)
        self._streams: dict[int, Any] = {}

    def __call__(self) -> wp.ScopedStream | wp.ScopedDevice:
        """Return the context to launch in."""
        if self._device.type == "cpu":
            return wp.ScopedDevice(self._wp_device)
        stream = torch.cuda.current_stream(self._device)
        if stream.cuda_stream not in self._streams:
            wrapped = self._wp_device.null_stream if stream.cuda_stream == 0 else wp.stream_from_torch(stream)
            self._streams[stream.cuda_stream] = wrapped
        return wp.ScopedStream(self._streams[stream.cuda_stream], sync_enter=False)


class Arena:
    """Memory for the arrays that an engine makes and drops within a step: the allocator for recording graphs.

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
        """Return the address of an unused block."""
        free = self._free.setdefault(size_in_bytes, [])
        if free:
            return free.pop()
        self._blocks.append(torch.empty(size_in_bytes, dtype=torch.uint8, device=self._device))
        return self._blocks[-1].data_ptr()

    def deallocate(self, ptr: int, size_in_bytes: int) -> None:
        """Take a block back."""
        self._free[size_in_bytes].append(ptr)


def record(function: Callable[[], None], arena: Arena, device: torch.device) -> wp.Graph:
    """Record the launches of a function, after running it once to load its kernels and fill the arena.

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
        gc.disable()  # the destructor of an older graph would be recorded into this one
        try:
            with wp.ScopedCapture() as capture:
                function()
        finally:
            if collects:
                gc.enable()
    return capture.graph
