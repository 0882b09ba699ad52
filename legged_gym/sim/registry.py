"""The simulators there are. Adding one is one file and one line here."""

import importlib
import importlib.util

import torch

from legged_gym.sim.robot_model import RobotModel
from legged_gym.sim.simulator import SimOptions, Simulator

SIMULATORS: dict[str, str] = {
    "mujoco": "legged_gym.sim.mujoco:MujocoSimulator",
    "mujoco_warp": "legged_gym.sim.mujoco_warp:MujocoWarpSimulator",
}
"""Name -> module:class. A backend's module, and with it its engine, is imported only when it is asked for."""


def resolve_simulator(name: str) -> str:
    """Turn 'auto' into the simulator for this machine: MuJoCo Warp if it and a GPU are there, else MuJoCo.

    Raises:
        ValueError: The name is unknown; lists the known ones.
    """
    if name == "auto":
        engine = all(importlib.util.find_spec(package) for package in ("mujoco_warp", "warp"))
        return "mujoco_warp" if engine and torch.cuda.is_available() else "mujoco"
    if name not in SIMULATORS:
        raise ValueError(f"unknown simulator '{name}'; known: auto, {', '.join(SIMULATORS)}")
    return name


def make_simulator(
    name: str, robot: RobotModel, num_envs: int, options: SimOptions, device: str | torch.device
) -> Simulator:
    """Build a simulator by name, see `resolve_simulator`."""
    module, _, cls = SIMULATORS[resolve_simulator(name)].partition(":")
    return getattr(importlib.import_module(module), cls)(robot, num_envs, options, str(device))
