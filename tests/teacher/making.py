"""Teachers of synthetic robots, and instants of one robot's walk."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from legged_gym.teacher.config import TeacherCfg
from legged_gym.teacher.dcm_teacher import DcmTeacher, TeacherOutput
from legged_gym.teacher.kinematics import LegGeometry

from .conftest import slices

MakeObs = Callable[..., Tensor]
S = slices()


def make_teacher(geometry: LegGeometry, num: int, cfg: TeacherCfg | None = None, learned: bool = False) -> DcmTeacher:
    cfg = cfg or TeacherCfg()
    cfg.offset.enabled = learned
    torch.manual_seed(1)
    teacher = DcmTeacher(cfg, geometry, num)
    if learned:
        for parameter in teacher.network.parameters():
            torch.nn.init.normal_(parameter, std=0.2)
    return teacher


def run(teacher: DcmTeacher, *observations: Tensor) -> TeacherOutput:
    for obs in observations:
        output = teacher.step(obs)
    return output


def start(obs: Tensor) -> Tensor:
    """The same state right after a reset."""
    out = obs.clone()
    out[:, S["episode_time"]] = 0.0
    return out


def later(obs: Tensor) -> Tensor:
    """A different instant, half a step on: stance feet change for some robots."""
    out = obs.clone()
    out[:, S["clock"]] = (obs[:, S["clock"]] + 0.23) % 1.0
    out[:, S["com_pos_w"]] += 0.1 * obs[:, S["com_lin_vel_w"]]
    out[:, S["base_ang_vel_b"]] *= 0.5
    return out
