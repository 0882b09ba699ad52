"""What is decided before a run is built: devices, size, robot."""

import argparse
from typing import Any

from legged_gym.utils import machine
from legged_gym.utils.errors import UserError


def choose_devices(args: argparse.Namespace, here: machine.Machine) -> None:
    """Checks the devices the user gave, and fills in `args.sim_device` and `args.rl_device`.

    The first goes by the command line's simulator; `settle_sim` goes by the config's, once there is one.

    Args:
        args: From `cli.parse_args`; also keeps what was asked for, as `sim_device_asked`.
        here: What there is.

    Raises:
        UserError: Simulator or device are unknown, not there, or do not go together.
    """
    args.sim_device_asked = args.sim_device
    named = [override.text for override in args.overrides if (override.scope, override.path) == ("env", "sim.backend")]
    args.sim_device = sim_device((named or [args.sim or "auto"])[-1], args.sim_device, here)
    args.rl_device = machine.choose_device(args.rl_device, here, prefer_cuda=True)


def sim_device(backend: str, asked: str | None, here: machine.Machine) -> str:
    """Returns the device of physics that goes with a simulator.

    Args:
        backend: Name of a simulator, or "auto".
        asked: What the user asked for; None leaves the choice.
        here: What there is.

    Returns:
        `"cpu"` or `"cuda:<index>"`.

    Raises:
        UserError: Simulator or device are unknown, not there, or do not go together.
    """
    from legged_gym.sim.registry import SIMULATORS, resolve_simulator

    try:
        simulator = resolve_simulator(backend)
    except ValueError as error:
        raise UserError(f"--sim: {error}") from None
    cpu_only = SIMULATORS[simulator].cpu_only
    device = machine.choose_device(asked, here, prefer_cuda=not cpu_only)
    if cpu_only and device != "cpu":
        raise UserError(
            f"--sim_device={asked}: the simulator {simulator} runs on the CPU; for CUDA:"
            " pip install -e '.[gpu]', --sim=auto"
        )
    return device


def settle_sim(args: argparse.Namespace, env_cfg: Any, here: machine.Machine) -> None:
    """Fills in `args.sim_device` for the simulator of a config.

    Args:
        args: From `cli.parse_args`.
        env_cfg: Its "auto" becomes "mujoco" where the user keeps physics on the CPU of a machine with CUDA.
        here: What there is.

    Raises:
        UserError: Simulator or device are unknown, not there, or do not go together.
    """
    asked = getattr(args, "sim_device_asked", args.sim_device)
    args.sim_device = sim_device(env_cfg.sim.backend, asked, here)
    if env_cfg.sim.backend == "auto" and args.sim_device == "cpu" and sim_device("auto", None, here) != "cpu":
        env_cfg.sim.backend = "mujoco"


def apply_scale(env_cfg: Any, train_cfg: Any, scale: machine.Scale) -> None:
    """Puts what suits the machine into the configs."""
    env_cfg.env.num_envs = scale.num_envs
    imitation = getattr(getattr(train_cfg, "algorithm", None), "imitation", None)
    estimator = getattr(train_cfg, "estimator", None)
    for part, values in ((imitation, scale.imitation), (estimator, scale.estimator)):
        for name, value in values.items() if part is not None else ():
            setattr(part, name, value)
    for name in ("actor_hidden_dims", "critic_hidden_dims"):
        if hasattr(train_cfg.policy, name):
            setattr(train_cfg.policy, name, scale.hidden_dims)


def robot_name(env_cfg: Any) -> str:
    """Returns the ROBOT_TYPE of a config, or the file stem of the user's own URDF.

    Raises:
        UserError: The robot or its file is not there.
    """
    from legged_gym.sim.robot_model import RobotModel, robot_urdf

    return RobotModel.from_urdf(robot_urdf(env_cfg.asset.robot_type, env_cfg.asset.file)).name


def settle_robot(env_cfg: Any) -> None:
    """Checks the robot, and writes into the config which one it is, so that the saved config says so."""
    name = robot_name(env_cfg)
    if env_cfg.asset.file is None:
        env_cfg.asset.robot_type = name


def summary(here: machine.Machine, args: argparse.Namespace, env_cfg: Any, train_cfg: Any) -> str:
    """Says in one line what runs where, and how large."""
    layers = getattr(train_cfg.policy, "actor_hidden_dims", ())
    network = f", actor {'-'.join(map(str, layers))}" if layers else ""
    return (
        f"{here}: {env_cfg.env.num_envs} robots{network}, physics on {args.sim_device}, learning on {args.rl_device}"
        " (change with --num_envs, --train.policy.*, --sim_device, --rl_device)"
    )
