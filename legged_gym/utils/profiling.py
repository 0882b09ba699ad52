"""Where the time of some work goes: launches, kernels and waits on a GPU, functions on a CPU."""

import cProfile
import pstats
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

LAUNCHES = ("cudaLaunchKernel", "cuLaunchKernel", "cudaGraphLaunch", "cuGraphLaunch")
"""How names of runtime calls begin that put kernels, or whole graphs of them, on the device."""
GRAPH_LAUNCHES = LAUNCHES[2:]
WAITS = (
    *("cudaStreamSynchronize", "cudaDeviceSynchronize", "cudaEventSynchronize"),
    *("cuStreamSynchronize", "cuCtxSynchronize", "cuEventSynchronize"),
)
"""Runtime calls in which the host waits for the device."""
COPIES = ("Memcpy", "Memset")
"""How names of device activities begin that are no kernels."""


@dataclass(frozen=True)
class Call:
    """Everything of one name in a recording."""

    name: str
    on_device: bool
    """A kernel or a copy on the device, and no function or runtime call of the host."""
    count: float
    time: float
    """Without what it calls in turn [s]."""


@dataclass(frozen=True)
class Profile:
    """Means per call of the profiled work."""

    host_launches: float
    """Times the host put something on the device: a kernel or a graph."""
    graph_launches: float
    """Those of them that were graphs."""
    host_waits: float
    """Times the host waited for the device."""
    kernels: float
    """Kernels that ran on the device, from graphs or not."""
    copies: float
    """Copies and fills on the device."""
    device_time: float
    """Their time, summed; beside each other they may sum up to more than what passed [s]."""
    top: list[Call]
    """What took the most time: on the device if there is one, else in the functions of the host."""

    def lines(self, title: str) -> list[str]:
        """Return the table."""
        head = [title]
        if self.kernels:
            head += [
                f"  {self.host_launches:.1f} launches by the host ({self.graph_launches:.1f} of graphs), "
                f"{self.host_waits:.1f} waits of the host, {self.kernels:.1f} kernels and {self.copies:.1f} copies "
                f"on the device, {1e3 * self.device_time:.3f} ms"
            ]
        total = self.device_time or sum(call.time for call in self.top)
        head += [f"  {'ms':>9}{'share':>8}{'calls':>9}  name"]
        return head + [
            f"  {1e3 * c.time:9.3f}{c.time / total if total else 0.0:8.1%}{c.count:9.1f}  {c.name[:90]}"
            for c in self.top
        ]

    def as_dict(self) -> dict[str, Any]:
        """Return it for a JSON."""
        return asdict(self)


def profile(work: Callable[[], object], calls: int, device: torch.device, top: int = 15) -> Profile:
    """Profile some work.

    Args:
        work: Called again and again; what is done only at the first times is over.
        calls: How often.
        device: Where it works.
        top: Length of the table.
    """
    recorded = _record_device(work, calls) if device.type == "cuda" else _record_host(work, calls)
    return summarize(recorded, calls, top)


def summarize(recorded: Iterable[Call], calls: int, top: int) -> Profile:
    """Count what a recording of `calls` calls holds; the table's rows are those of the device if there are any."""
    mean = [Call(c.name, c.on_device, c.count / calls, c.time / calls) for c in recorded]
    host, device = [c for c in mean if not c.on_device], [c for c in mean if c.on_device]
    copies = [c for c in device if c.name.startswith(COPIES)]
    return Profile(
        host_launches=sum(c.count for c in host if c.name.startswith(LAUNCHES)),
        graph_launches=sum(c.count for c in host if c.name.startswith(GRAPH_LAUNCHES)),
        host_waits=sum(c.count for c in host if c.name.startswith(WAITS)),
        kernels=sum(c.count for c in device) - sum(c.count for c in copies),
        copies=sum(c.count for c in copies),
        device_time=sum(c.time for c in device),
        top=sorted(device or host, key=lambda c: -c.time)[:top],
    )


def _record_device(work: Callable[[], object], calls: int) -> list[Call]:
    from torch.profiler import ProfilerActivity
    from torch.profiler import profile as torch_profile

    torch.cuda.synchronize()
    with torch_profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]) as recording:
        for _ in range(calls):
            work()
        torch.cuda.synchronize()
    return [
        Call(
            item.key,
            item.device_type == torch.autograd.DeviceType.CUDA,
            item.count,
            1e-6 * (item.self_device_time_total or item.self_cpu_time_total),
        )
        for item in recording.key_averages()
        if not item.is_user_annotation  # spans that hold kernels, which are counted themselves
    ]


def _record_host(work: Callable[[], object], calls: int) -> list[Call]:
    recording = cProfile.Profile()
    recording.enable()
    try:
        for _ in range(calls):
            work()
    finally:
        recording.disable()
    stats: dict[tuple[str, int, str], Any] = pstats.Stats(recording).stats  # type: ignore[attr-defined]
    return [Call(_name(*place), False, values[1], values[2]) for place, values in stats.items()]


def _name(file: str, line: int, function: str) -> str:
    """Name a function as pstats does, with the last two parts of its path."""
    return function if file == "~" else f"{'/'.join(Path(file).parts[-2:])}:{line} {function}"
