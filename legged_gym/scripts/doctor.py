"""Checks this installation: `python legged_gym/scripts/doctor.py`.

Prints one line for each simulator, GPU, rendering, display and web page. Nothing is changed, and the exit code is 0
whatever it finds.
"""

import contextlib
import importlib.metadata
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

from legged_gym.options.cli import Parser
from legged_gym.sim.registry import SIMULATORS

TIMEOUT = 120.0
"""Longest time for a check in a process of its own [s]."""
STEP = """
import torch
from legged_gym.sim.registry import make_simulator
from legged_gym.sim.robot_model import DEFAULT_ROBOT_TYPE, RobotModel, robot_urdf
from legged_gym.sim.sim_options import SimOptions
robot = RobotModel.from_urdf(robot_urdf(DEFAULT_ROBOT_TYPE))
sim = make_simulator("mujoco", robot, 1, SimOptions(num_threads=1), "cpu")
sim.step(torch.zeros(1, 6, device=sim.device))
assert sim.state.root_pos_w.isfinite().all()
sim.close()
"""
RENDER = "import mujoco; mujoco.Renderer(mujoco.MjModel.from_xml_string('<mujoco/>'), 8, 8).render()"


class Fault(Exception):
    """Something does not work; the text says why, and then what to do."""


def run_code(code: str, **environment: str) -> str:
    """Run Python code in a process of its own, since a failed check may abort it.

    Returns:
        An empty string if it worked, else the last line that it printed.
    """
    root = str(Path(__file__).parents[2])
    path = os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH"))))
    command = [sys.executable, "-P", "-c", code]  # -P: import no package from the current folder
    try:
        done = subprocess.run(
            command,
            env=os.environ | {"PYTHONPATH": path} | environment,
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"no answer within {TIMEOUT:g} s"
    lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
    return "" if done.returncode == 0 else (lines[-1] if lines else f"exit code {done.returncode}")


def check_simulator(name: str) -> str:
    """Import the modules that a simulator needs."""
    module = SIMULATORS[name].path.partition(":")[0]
    if error := run_code(f"import {module}"):
        raise Fault(error)
    return f"{module} can be imported"


def check_mujoco() -> str:
    """Step one robot."""
    if error := run_code(STEP):
        raise Fault(f"{error}; install this package anew: make clean setup")
    return f"MuJoCo {importlib.metadata.version('mujoco')}, on the CPU"


def check_mujoco_warp() -> str:
    """Look for the package and a GPU. Nothing is stepped, since a first start compiles for minutes."""
    try:
        version = importlib.metadata.version("mujoco-warp")
    except importlib.metadata.PackageNotFoundError:
        raise Fault("mujoco-warp is not installed; pip install -e '.[gpu]'") from None
    if not _has_cuda():
        raise Fault("there is no CUDA device; on a CPU take --sim=mujoco")
    if error := run_code("import mujoco_warp"):
        raise Fault(f"{error}; pip install -e '.[gpu]'")
    return f"MuJoCo Warp {version}, on the GPU"


def check_isaacgym() -> str:
    """Start a worker and exchange versions."""
    from legged_gym.sim.isaacgym.simulator import launch
    from legged_gym.sim.process.errors import WorkerError

    try:
        worker = launch()
    except WorkerError as error:
        raise Fault(str(error)) from None
    worker.close()
    versions = ", ".join(f"{name} {version}" for name, version in worker.versions.items() if name != "pid")
    return f"starts under {os.environ['ISAACGYM_PYTHON']} ({versions})"


def _has_cuda() -> bool:
    import torch

    return torch.cuda.is_available()


def check_gpu() -> str:
    """Look for CUDA devices."""
    import torch

    if not torch.cuda.is_available():
        why = "this torch has no CUDA" if torch.version.cuda is None else "no CUDA device is seen; check nvidia-smi"
        raise Fault(f"{why}; if there is an NVIDIA GPU: make clean setup; training works on a CPU, too")
    names = ", ".join(torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count()))
    return f"{names}; {_sharing()}"


def _sharing() -> str:
    """Return how a simulator's process and the trainer share a GPU: in turns, or through an MPS daemon. The daemon is
    not asked, since that would start its server."""
    folder = Path(os.environ.get("CUDA_MPS_PIPE_DIRECTORY") or "/tmp/nvidia-mps")
    with contextlib.suppress(OSError, ValueError):
        pid = int((folder / "nvidia-cuda-mps-control.pid").read_text())
        if Path("/proc", str(pid)).exists():
            return "an MPS daemon runs, so a worker and the trainer use the GPU at the same time"
    missing = "" if shutil.which("nvidia-cuda-mps-control") else ", nor is nvidia-cuda-mps-control installed"
    return f"no MPS daemon runs{missing}: a worker and the trainer take turns on the GPU, see docs/isaacgym.md"


def check_rendering() -> str:
    """Draw a picture without a display."""
    backend = os.environ.get("MUJOCO_GL", "egl")
    if error := run_code(RENDER, MUJOCO_GL=backend):
        advice = "install Mesa's EGL and its software driver: apt install libegl1 libgl1-mesa-dri"
        raise Fault(f"MUJOCO_GL={backend}: {error}; {advice}")
    return f"off-screen with MUJOCO_GL={backend}"


def check_display() -> str:
    """Look for a screen where windows can open."""
    from legged_gym.utils.errors import UserError
    from legged_gym.utils.machine import require_display

    try:
        require_display()
    except UserError as error:
        raise Fault(str(error)) from None
    return os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY") or platform.system()


def check_web() -> str:
    """Look for the package that serves the page."""
    try:
        version = importlib.metadata.version("viser")
    except importlib.metadata.PackageNotFoundError:
        raise Fault("viser is not installed; for --viewer=web: pip install -e '.[viewer]'") from None
    if error := run_code("import viser"):
        raise Fault(f"{error}; pip install -e '.[viewer]'")
    return f"viser {version}, for --viewer=web"


CHECKS: dict[str, Callable[[], str]] = {
    **{name: partial(check_simulator, name) for name in SIMULATORS},  # most have a more thorough check below
    "mujoco": check_mujoco,
    "mujoco_warp": check_mujoco_warp,
    "isaacgym": check_isaacgym,
    "gpu": check_gpu,
    "rendering": check_rendering,
    "display": check_display,
    "web": check_web,
}


def diagnose() -> dict[str, tuple[bool, str]]:
    """Return for each check whether it works, and a line about it."""
    found = {}
    for name, check in CHECKS.items():
        try:
            found[name] = (True, check())
        except Fault as fault:
            found[name] = (False, str(fault))
    return found


def main() -> None:
    """Print which checks work and which do not."""
    Parser(description="Say what works here: simulators, GPU, rendering, display, web page.").parse_args()
    import torch

    print(f"python {platform.python_version()}, torch {torch.__version__}, {platform.platform()}")
    for name, (works, line) in diagnose().items():
        print(f"{name:<12}{'works' if works else 'no':<7}{' '.join(line.split())}")


if __name__ == "__main__":
    main()
