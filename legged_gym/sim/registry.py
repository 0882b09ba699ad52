"""The simulators there are. Adding one is one package and one line here."""

import importlib
import importlib.util
from collections.abc import Mapping

import torch

from legged_gym.sim.isaacgym.config import IsaacGymCfg
from legged_gym.sim.process.config import ProcessCfg
from legged_gym.sim.robot_model import RobotModel
from legged_gym.sim.simulator import SimOptions, Simulator

SIMULATORS: dict[str, str] = {
    "mujoco": "legged_gym.sim.mujoco.simulator:MujocoSimulator",
    "mujoco_warp": "legged_gym.sim.mujoco_warp.simulator:MujocoWarpSimulator",
    "isaacgym": "legged_gym.sim.isaacgym.simulator:IsaacGymSimulator",
}
"""Name -> module:class. A backend's module, and with it its engine, is imported only when it is asked for."""


def resolve_simulator(name: str) -> str:
    """Turn 'auto' into the simulator for this machine: MuJoCo Warp if it and a GPU are there, else MuJoCo.

    Raises:
        ValueError: The name is unknown, or its package is not installed; says what there is, or what to install.
    """
    engine = all(importlib.util.find_spec(package) for package in ("mujoco_warp", "warp"))
    if name == "mujoco_warp" and not engine:
        raise ValueError("mujoco_warp is not installed here: pip install -e '.[gpu]', or --sim=mujoco")
    if name == "auto":
        return "mujoco_warp" if engine and torch.cuda.is_available() else "mujoco"
    if name not in SIMULATORS:
        raise ValueError(f"unknown simulator '{name}'; known: auto, {', '.join(SIMULATORS)}")
    return name


def make_simulator(
    name: str,
    robot: RobotModel,
    num_envs: int,
    options: SimOptions,
    device: str | torch.device,
    process: ProcessCfg | None = None,
    isaacgym: IsaacGymCfg | None = None,
    shared: Mapping[str, torch.Tensor] | None = None,
) -> Simulator:
    """Build a simulator by name, see `resolve_simulator`.

    Args:
        name: The backend, or auto.
        robot: The robot.
        num_envs: Robots.
        options: What every engine is built with.
        device: Where it runs.
        process: Whether and how the simulator gets a process of its own; isaacgym has one always.
        isaacgym: What only isaacgym has.
        shared: In a worker: memory that the trainer sees, too, see `Simulator`.
    """
    name, process = resolve_simulator(name), process or ProcessCfg()
    if process.enabled and name != "isaacgym":
        from legged_gym.sim.process.hosting import host_simulator

        return host_simulator(name, robot, num_envs, options, str(device), process)
    module, _, cls = SIMULATORS[name].partition(":")
    extra = (process, isaacgym) if name == "isaacgym" else (shared,)
    return getattr(importlib.import_module(module), cls)(robot, num_envs, options, str(device), *extra)
