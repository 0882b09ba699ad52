"""The teacher of an environment's robots."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any

import torch

from legged_gym.teacher.config import ControlCfg, DcmCfg, TeacherCfg
from legged_gym.teacher.dcm_teacher import DcmTeacher
from legged_gym.teacher.kinematics import LegGeometry
from legged_gym.teacher.offset_network import OffsetNetwork
from legged_gym.teacher.step_network import StepNetwork
from legged_gym.utils.checkpoint import load_checked
from legged_gym.utils.errors import UserError


def make_teacher(cfg: DcmCfg, env: Any, device: str) -> DcmTeacher:
    """Build the teacher for the robots of an environment, which observes them and looks up the ground under them.

    Gains, torque limit, action scale, default angles and time step come from the environment.

    Args:
        cfg: The teacher's parameters.
        env: The environments.
        device: Where the teacher lives.

    Raises:
        UserError: The teacher does not know the environment's gaits.
    """
    _refuse_other_gaits(env.cfg.gait)
    control, robot = env.cfg.control, env.sim.robot
    setup = TeacherCfg(
        **{section.name: getattr(cfg, section.name) for section in fields(DcmCfg)},
        control=ControlCfg(
            kp=control.stiffness,
            kd=control.damping,
            torque_limit=float(robot.torque_limits.min()),
            action_scale=control.action_scale,
            default_angles=tuple(env.cfg.init_state.default_joint_angles),
            dt=env.dt,
        ),
    )
    geometry = LegGeometry.from_model(env.sim.robot, device)
    terms, ground = env.observation_terms["teacher"], env.ground.lookup(device)
    return DcmTeacher(setup, geometry, env.num_envs, terms, ground)


def load_offset(
    path: str | Path, network: OffsetNetwork, device: str | torch.device = "cpu", trains: bool = False
) -> dict[str, Any]:
    """Load what `train_teacher.py` has saved, if its Δξ fits a network.

    Args:
        path: The file.
        network: The teacher's.
        device: Where its tensors go.
        trains: Whether Δξ will be trained, which takes its optimiser, too.

    Raises:
        UserError: There is no such file, it holds no Δξ, one of other layers, or one that cannot be trained on.
    """
    data = load_checked(path, device)
    saved = data.get("offset_network")
    if not isinstance(saved, dict):
        raise UserError(f"{path}: holds no offset for this teacher; train_teacher.py makes one")
    states = saved, network.state_dict()
    given, own = ({str(name): tuple(getattr(x, "shape", ())) for name, x in state.items()} for state in states)
    if given != own:
        widths = ",".join(str(shape[0]) for name, shape in given.items() if name.endswith(".weight") and shape)
        layers = widths.rpartition(",")[0]
        raise UserError(
            f"{path}: holds no offset for this teacher: other inputs or layers. If its inputs are the same, add "
            f"--train.teacher.dcm.offset.hidden_dims={layers}"
        )
    if trains and not isinstance(data.get("offset_optimizer"), dict):
        raise UserError(f"{path}: holds an offset without its optimiser, so it cannot be trained on")
    return data


def use_steps(path: str | Path, data: dict[str, Any], teacher: DcmTeacher) -> None:
    """Let a teacher change step times and swing heights as a file has learned to, if it has; with the config's bounds.

    Args:
        path: The file.
        data: Its content, from `load_offset`.
        teacher: The teacher.

    Raises:
        UserError: They were learned with other layers.
    """
    if "step_network" not in data:
        return
    network = StepNetwork(teacher.cfg.step_change).to(teacher.geometry.abad_pos)
    with refusing_other_steps(path):
        network.load_state_dict(data["step_network"])
    teacher.step_network = network


@contextmanager
def refusing_other_steps(path: str | Path) -> Iterator[None]:
    """Turn the error of a file's step networks that do not fit into one line."""
    try:
        yield
    except (RuntimeError, KeyError, ValueError, TypeError, AttributeError):
        raise UserError(
            f"{path}: its step times do not fit this teacher: learned with other layers "
            "(--train.teacher.dcm.step_change.hidden_dims), or incomplete"
        ) from None


def _refuse_other_gaits(gait: Any) -> None:
    """Raise unless feet alternate, one on the ground at a time: the teacher's steps begin where the last one ends."""
    for name in ("offset", "duration"):
        asked = {getattr(gait.nominal, name), *getattr(gait.ranges, name)}
        if asked != {0.5}:
            raise UserError(
                f"gait.{name} is {sorted(asked)}; the teacher walks with 0.5 only, one foot on the ground at a time: "
                "set nominal and range to 0.5, or train without it (--train.teacher.enabled=false)"
            )
