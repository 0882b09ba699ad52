"""Simulators and workers for these tests, and whether their processes live."""

import contextlib
import os
import sys
import time
from pathlib import Path
from typing import Any

from legged_gym import LEGGED_GYM_ROOT_DIR
from legged_gym.sim.process.config import ProcessCfg
from legged_gym.sim.process.launch import Worker
from legged_gym.sim.process.simulator import ProcessSimulator
from legged_gym.sim.registry import make_simulator
from legged_gym.sim.robot_model import RobotModel
from legged_gym.sim.sim_options import SimOptions

OPTIONS = SimOptions(num_threads=1)


def host(robot: RobotModel, num_envs: int = 2, **cfg: Any) -> ProcessSimulator:
    sim = make_simulator("mujoco", robot, num_envs, OPTIONS, "cpu", ProcessCfg(enabled=True, **cfg))
    assert isinstance(sim, ProcessSimulator)
    return sim


def is_alive(pid: int) -> bool:
    """A zombie is dead."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def ends_within(seconds: float, pid: int) -> bool:
    due = time.monotonic() + seconds
    while is_alive(pid) and time.monotonic() < due:
        time.sleep(0.01)
    return not is_alive(pid)


LIGHT = """
import sys
from legged_gym.sim.process.serve import Server, open_channel
Server(open_channel(*map(int, sys.argv[1:])), dict, None).run()
"""


def light_worker() -> Worker:
    """A worker without an engine; starts in no time."""
    return Worker("light", [sys.executable, "-c", LIGHT], os.environ | {"PYTHONPATH": str(LEGGED_GYM_ROOT_DIR)})
