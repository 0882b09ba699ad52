"""The known simulators. To add one takes a package and a line here, see docs/add_a_simulator.md."""

import importlib
import importlib.util
from typing import NamedTuple

import torch

from legged_gym.sim.process.config import ProcessCfg
from legged_gym.sim.robot_model import RobotModel
from legged_gym.sim.sim_options import SimOptions
from legged_gym.sim.simulator import Simulator
from legged_gym.utils.errors import UserError


class Engine(NamedTuple):
    """Place of a simulator's class, and facts that are needed before its engine is imported."""

    path: str
    """module:class"""
    cpu_only: bool = False
    """It does not run on a GPU."""
    own_process: bool = False
    """It always starts a process of its own, and is built with a `ProcessCfg` instead of shared memory."""


SIMULATORS: dict[str, Engine] = {
    "mujoco": Engine("legged_gym.sim.mujoco.simulator:MujocoSimulator", cpu_only=True),
    "mujoco_warp": Engine("legged_gym.sim.mujoco_warp.simulator:MujocoWarpSimulator"),
    "isaacgym": Engine("legged_gym.sim.isaacgym.simulator:IsaacGymSimulator", own_process=True),
}
"""By name. A simulator's module, and with it its engine, is imported only when it is asked for."""


def register_simulator(name: str, path: str, *, cpu_only: bool = False, own_process: bool = False) -> None:
    """Add a simulator of another package.

    Args:
        name: Its name for `--sim`.
        path: module:class. The module is importable wherever it is asked for, in a worker, too.
        cpu_only: See `Engine`.
        own_process: See `Engine`.

    Raises:
        ValueError: The name is taken, or the path is not module:class.
    """
    if name == "auto" or name in SIMULATORS:
        raise ValueError(f"there is a simulator '{name}' already; taken: auto, {', '.join(SIMULATORS)}")
    module, _, cls = path.partition(":")
    if not (module and cls):
        raise ValueError(f"simulator '{name}': '{path}' is no path, expected module:class")
    SIMULATORS[name] = Engine(path, cpu_only, own_process)


def resolve_simulator(name: str) -> str:
    """Turn 'auto' into the simulator for this machine: MuJoCo Warp if it and a GPU are there, else MuJoCo.

    Raises:
        UserError: The name is unknown, or its package is not installed; the text lists names or says what to install.
    """
    engine = all(importlib.util.find_spec(package) for package in ("mujoco_warp", "warp"))
    if name == "mujoco_warp" and not engine:
        raise UserError("mujoco_warp is not installed here: pip install -e '.[gpu]', or --sim=mujoco")
    if name == "auto":
        return "mujoco_warp" if engine and torch.cuda.is_available() else "mujoco"
    if name not in SIMULATORS:
        raise UserError(f"unknown simulator '{name}'; known: auto, {', '.join(SIMULATORS)}")
    return name


def load_simulator(path: str) -> type[Simulator]:
    """Import a simulator's class from its module:class.

    Raises:
        UserError: There is no such class.
    """
    module, _, cls = path.partition(":")
    found = getattr(importlib.import_module(module), cls, None)
    if not (isinstance(found, type) and issubclass(found, Simulator)):
        raise UserError(f"{module} has no simulator '{cls}'")
    return found


def make_simulator(
    name: str,
    robot: RobotModel,
    num_envs: int,
    options: SimOptions,
    device: str | torch.device,
    process: ProcessCfg | None = None,
) -> Simulator:
    """Build a simulator by name, see `resolve_simulator`.

    Args:
        name: The simulator, or auto.
        robot: The robot.
        num_envs: Robots.
        options: What every engine is built with.
        device: Where it runs.
        process: Whether and how the simulator gets a process of its own.

    Raises:
        UserError: The name is unknown, or the simulator refuses what it is built with.
    """
    name, process = resolve_simulator(name), process or ProcessCfg()
    engine = SIMULATORS[name]
    if engine.own_process:
        return load_simulator(engine.path)(robot, num_envs, options, str(device), process)  # type: ignore[arg-type]
    if process.enabled:
        from legged_gym.sim.process.hosting import host_simulator

        return host_simulator(name, engine.path, robot, num_envs, options, str(device), process)
    return load_simulator(engine.path)(robot, num_envs, options, str(device))
