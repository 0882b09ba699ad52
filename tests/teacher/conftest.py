"""Robots, leg geometries and consistent synthetic teacher observations."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from legged_gym.sim.robot_model import RobotModel, robot_types, robot_urdf
from legged_gym.teacher.kinematics import LegGeometry, LegStatics
from legged_gym.teacher.state import TEACHER_TERMS

ROBOTS = robot_types()


@pytest.fixture(scope="session")
def robots() -> dict[str, RobotModel]:
    return {name: RobotModel.from_urdf(robot_urdf(name)) for name in ROBOTS}


@pytest.fixture(scope="session")
def geometry(robots: dict[str, RobotModel]) -> LegGeometry:
    return LegGeometry.from_model(robots["PF_TRON1A"], dtype=torch.float64)


def slices() -> dict[str, slice]:
    """Columns of each term of the default layout."""
    out, start = {}, 0
    for name, width in TEACHER_TERMS:
        out[name] = slice(start, start + width)
        start += width
    return out


def yaw_quat(yaw: Tensor) -> Tensor:
    zero = torch.zeros_like(yaw)
    return torch.stack((zero, zero, (yaw / 2).sin(), (yaw / 2).cos()), dim=-1)


def quat_rotate(quat: Tensor, vector: Tensor) -> Tensor:
    axis, w = quat[..., :3], quat[..., 3:]
    t = 2.0 * torch.linalg.cross(axis.expand_as(vector), vector)
    return vector + w * t + torch.linalg.cross(axis.expand_as(vector), t)


def quat_multiply(a: Tensor, b: Tensor) -> Tensor:
    av, aw, bv, bw = a[..., :3], a[..., 3:], b[..., :3], b[..., 3:]
    vector = aw * bv + bw * av + torch.linalg.cross(av, bv)
    return torch.cat((vector, aw * bw - (av * bv).sum(-1, keepdim=True)), dim=-1)


@pytest.fixture
def make_obs(geometry: LegGeometry) -> Callable[..., Tensor]:
    """Random robots in the middle of walking, feet where the joint angles put them, in float64."""

    def make(num: int = 16, seed: int = 0) -> Tensor:
        gen = torch.Generator().manual_seed(seed)

        def uniform(low: float, high: float, *shape: int) -> Tensor:
            return low + (high - low) * torch.rand(*shape, generator=gen, dtype=torch.float64)

        quat = uniform(-0.1, 0.1, num, 4)
        quat[:, 3] = 1.0
        quat = quat_multiply(yaw_quat(uniform(-3.0, 3.0, num)), quat / quat.norm(dim=-1, keepdim=True))
        base = torch.cat((uniform(-2, 2, num, 2), uniform(0.68, 0.75, num, 1)), dim=-1)
        joints = uniform(-0.2, 0.3, num, 6) * torch.tensor([0.5, 1.0, 1.0, 0.5, -1.0, -1.0], dtype=torch.float64)
        feet_b = LegStatics(geometry).feet(joints.t()).permute(2, 1, 0)  # (N, 2, 3)
        feet = base.unsqueeze(1) + quat_rotate(quat.unsqueeze(1), feet_b)
        com = base + quat_rotate(quat, torch.tensor([0.0, 0.0, -0.25], dtype=torch.float64).expand(num, 3))
        parts = {
            "base_pos_w": base,
            "base_quat_xyzw": quat,
            "base_lin_vel_w": uniform(-0.5, 0.5, num, 3),
            "base_ang_vel_b": uniform(-0.5, 0.5, num, 3),
            "com_pos_w": com,
            "com_lin_vel_w": uniform(-0.4, 0.4, num, 3),
            "joint_pos": joints,
            "joint_vel": uniform(-1, 1, num, 6),
            "feet_pos_w": feet.flatten(1),
            "feet_lin_vel_w": uniform(-1, 1, num, 6),
            "feet_force_w": uniform(0, 200, num, 6),
            "command": uniform(-0.5, 0.5, num, 3),
            "clock": uniform(0, 1, num, 1),
            "gait_frequency": uniform(1.5, 2.5, num, 1),
            "swing_height": uniform(0.05, 0.1, num, 1),
            "feet_ground_height": uniform(-0.02, 0.02, num, 2),
            "ground_ahead": uniform(-0.02, 0.02, num, 4),
            "episode_time": uniform(1, 5, num, 1),
            "standing": torch.zeros(num, 1, dtype=torch.float64),
            "mass": torch.full((num, 1), geometry.total_mass, dtype=torch.float64),
        }
        return torch.cat([parts[name] for name, _ in TEACHER_TERMS], dim=-1)

    return make
