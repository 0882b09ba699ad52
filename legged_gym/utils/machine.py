"""Resources of this machine, and the run sizes that suit it."""

import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from legged_gym.utils.errors import UserError

_CGROUP = Path("/sys/fs/cgroup")


@dataclass(frozen=True)
class Machine:
    """The resources this process may use."""

    cores: int
    """Usable CPU cores."""
    memory_gib: float
    """Usable main memory [GiB]."""
    cuda_devices: int
    """CUDA devices that torch sees."""

    def __str__(self) -> str:
        cuda = f"{self.cuda_devices} CUDA device{'s' * (self.cuda_devices > 1)}" if self.cuda_devices else "no CUDA"
        return f"{self.cores} cores, {self.memory_gib:.1f} GiB memory, {cuda}"


@dataclass(frozen=True)
class Scale:
    """Size of a default run."""

    num_envs: int
    """Robots simulated side by side."""
    train: dict[str, Any] = field(default_factory=dict)
    """Fields of the training config that suit it, where a task has none of its own."""


def local_processes() -> int:
    """Returns how many processes torchrun has started on this machine, to share it."""
    return int(os.environ.get("LOCAL_WORLD_SIZE", "1"))


def usable_cores() -> int:
    """Returns the cores this process may use: its affinity mask, cut to the container's quota and to its share."""
    affinity = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota, _, period = _read(_CGROUP / "cpu.max").partition(" ")
    if quota.isdigit() and period.strip().isdigit():
        affinity = min(affinity, round(int(quota) / int(period)))
    return max(affinity // local_processes(), 1)


def usable_memory_gib() -> float:
    """Returns the main memory this process may use, its share of it [GiB]; 0 where the system does not say."""
    if "SC_PHYS_PAGES" not in getattr(os, "sysconf_names", {}):
        return 0.0
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    limit = _read(_CGROUP / "memory.max")
    return min(memory, int(limit) if limit.isdigit() else memory) / local_processes() / 2**30


def _read(path: Path) -> str:
    """Returns the stripped text of a file, or nothing when it cannot be read."""
    try:
        return path.read_text().strip()
    except OSError:
        return ""


def detect() -> Machine:
    """Looks at the machine."""
    import torch  # slow to import: only once a size is really asked for

    return Machine(usable_cores(), usable_memory_gib(), torch.cuda.device_count() if torch.cuda.is_available() else 0)


def suggest(machine: Machine, sim_device: str, rl_device: str, soon: bool = False) -> Scale:
    """Chooses the size of a run when the user did not.

    On a CPU few robots make progress visible within minutes. On a GPU a rollout is 30 times as large, so the velocity
    estimator sees it less often. It still takes as many steps as on a CPU: while it is poor, no policy follows its
    commands. Its steps are scaled by the inputs' sizes, and in the end it learns to act through noise. On a CPU steps
    are scaled in runs that are to walk soon. There few robots make fewer passes over a rollout, with a smaller critic,
    for learning takes longer than physics.

    Args:
        machine: Its resources.
        sim_device: Where physics runs, e.g. `"cpu"` or `"cuda:0"`.
        rl_device: Where learning runs.
        soon: Whether the run ends at the first policy that walks.

    Returns:
        The size.
    """
    scaled = {"algorithm.input_scaling": True, "estimator.huber_width": 0.2}
    if sim_device.startswith("cuda"):
        passes = {"estimator.num_learning_epochs": 3, "estimator.num_mini_batches": 16}
        return Scale(8192, passes | scaled | {"denoising.run_share": 0.04})  # decision 051
    many = machine.cores >= 16
    train: dict[str, Any] = {}
    if rl_device == "cpu" and soon:  # decision 043: mixed in longer training there
        train = dict(scaled)
        if not many:
            train |= {"algorithm.num_learning_epochs": 4, "policy.critic_hidden_dims": (256, 128, 64)}
    return Scale(4096 if many else min(64 * machine.cores, 2048), train)


def choose_device(asked: str | None, machine: Machine, *, prefer_cuda: bool) -> str:
    """Returns the torch device to use, after checking that it exists.

    Args:
        asked: The device from the user, e.g. `"cpu"`, `"cuda"`, `"cuda:1"`; None leaves the choice.
        machine: Its resources.
        prefer_cuda: Whether to choose CUDA if there is a device.

    Returns:
        `"cpu"` or `"cuda:<index>"`.

    Raises:
        UserError: The device is unknown or not there.
    """
    own, processes = int(os.environ.get("LOCAL_RANK", "0")), local_processes()  # torchrun: one process per device
    if asked == "cpu" or (asked is None and not (prefer_cuda and machine.cuda_devices)):
        return "cpu"
    kind, _, index = ("cuda" if asked is None else asked).partition(":")
    if kind != "cuda" or (index and not index.isdigit()):
        raise UserError(f"unknown device '{asked}'; known: cpu, cuda, cuda:<index>")
    number = int(index or own)
    if processes > 1 and number != own:
        raise UserError(
            f"device '{asked}': torchrun has started {processes} processes here, each with a device of its own: "
            "give cuda without a number"
        )
    if number >= machine.cuda_devices:
        raise UserError(f"device '{asked or f'cuda:{number}'}' is not there: this machine has {machine}")
    return f"cuda:{number}"


def require_display() -> None:
    """Raises when no window can be opened.

    Raises:
        UserError: There is no display; the text says what to do instead.
    """
    if sys.platform.startswith("linux") and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        raise UserError("no display (DISPLAY is not set): add --headless to run without a window")
    import glfw  # comes with the MuJoCo viewer; no engine

    with warnings.catch_warnings(action="ignore"):  # one line says it all
        if not glfw.init():
            raise UserError("no window can be opened on this display: add --headless to run without one")
    glfw.terminate()


def prefer_egl() -> None:
    """Lets MuJoCo draw without a display, unless MUJOCO_GL says how; call it before MuJoCo is imported."""
    if sys.platform.startswith("linux"):
        os.environ.setdefault("MUJOCO_GL", "egl")


def leave_cores(count: int) -> None:
    """Let torch compute with so many fewer threads than there are cores, for the rest of this process.

    A thread of torch keeps its core busy while it waits for others.
    """
    import torch

    torch.set_num_threads(min(torch.get_num_threads(), max(1, usable_cores() - count)))


@contextmanager
def torch_threads(count: int) -> Iterator[None]:
    """Compute with this many threads in the body: one if tensors are small and physics needs the cores."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
