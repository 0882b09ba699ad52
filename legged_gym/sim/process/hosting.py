"""Any of this package's simulators, in a process of its own."""

import base64
import dataclasses
import os
import pickle
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from legged_gym.sim.process.config import ProcessCfg
from legged_gym.sim.process.launch import Worker
from legged_gym.sim.process.simulator import ProcessSimulator
from legged_gym.sim.robot_model import RobotModel
from legged_gym.sim.sim_options import SimOptions


def launch(name: str, program: Sequence[str] = ("-m", "legged_gym.sim.process.worker")) -> Worker:
    """Start a worker under this interpreter, with this very package and whatever else can be imported here.

    Args:
        name: The simulator's name, for messages.
        program: Arguments of the interpreter.
    """
    root = str(Path(__file__).parents[3])
    # The user's own simulator may lie beside the script; this package comes first in any case.
    path = os.pathsep.join(dict.fromkeys([root, *(os.path.abspath(folder) for folder in sys.path)]))
    # -P: ignore a legged_gym in the current folder.
    return Worker(name, [sys.executable, "-P", *program], os.environ | {"PYTHONPATH": path})


def host_simulator(
    name: str, path: str, robot: RobotModel, num_envs: int, options: SimOptions, device: str, cfg: ProcessCfg
) -> ProcessSimulator:
    """Build a simulator in a process of its own.

    Args:
        name: The simulator's name, for messages.
        path: module:class of a simulator that runs under this interpreter.
        robot: The robot.
        num_envs: Robots.
        options: What the engine is built with.
        device: Where it runs.
        cfg: Timeouts and restarts.

    Raises:
        WorkerError: The worker does not start, or refuses.
    """
    terrain, arrays = options.terrain, {}
    bare = options
    if terrain is not None:  # its heights are too large for a message
        arrays = {"terrain.heights": terrain.heights}
        bare = dataclasses.replace(options, terrain=dataclasses.replace(terrain, heights=np.empty((0, 0))))
    pickled = base64.b64encode(pickle.dumps(bare)).decode()
    spec = {"simulator": path, "urdf": str(robot.urdf), "num_envs": num_envs, "options": pickled}
    return ProcessSimulator(robot, num_envs, options, device, cfg, lambda: launch(name), spec, arrays)
