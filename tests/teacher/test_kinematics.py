"""Inverse against forward kinematics, and feed-forward torques against MuJoCo."""

from __future__ import annotations

import dataclasses

import mujoco
import numpy as np
import pytest
import torch

from legged_gym.sim.mujoco.spec import build_spec
from legged_gym.sim.robot_model import RobotModel, robot_types
from legged_gym.teacher.kinematics import InverseKinematics, LegGeometry, LegStatics

pytestmark = pytest.mark.parametrize("name", robot_types())


def random_joints(robot: RobotModel, num: int, seed: int = 0) -> torch.Tensor:
    """Joint angles inside the limits, away from the straight knee (6, N)."""
    rng = np.random.default_rng(seed)
    low, high = robot.joint_limits[:, :1], robot.joint_limits[:, 1:]
    joints = rng.uniform(0.9 * low, 0.9 * high, (6, num))
    joints[2], joints[5] = np.maximum(joints[2], -0.8), np.minimum(joints[5], 0.8)
    return torch.from_numpy(joints)


def mujoco_feet(robot: RobotModel, joints: torch.Tensor) -> torch.Tensor:
    model = build_spec(robot).compile()
    data = mujoco.MjData(model)
    feet = torch.empty(3, 2, joints.shape[1], dtype=torch.float64)
    for i, q in enumerate(joints.t().numpy()):
        data.qpos[:] = [0, 0, 0, 1, 0, 0, 0, *q]
        mujoco.mj_kinematics(model, data)
        for side, foot in enumerate(robot.foot_names):
            feet[:, side, i] = torch.from_numpy(data.body(foot).xpos.copy())
    return feet


def test_forward_kinematics_is_mujocos(name: str, robots: dict[str, RobotModel]) -> None:
    statics = LegStatics(LegGeometry.from_model(robots[name], dtype=torch.float64))
    joints = random_joints(robots[name], 20)
    torch.testing.assert_close(statics.feet(joints), mujoco_feet(robots[name], joints), atol=1e-9, rtol=0)


def test_inverse_undoes_forward(name: str, robots: dict[str, RobotModel]) -> None:
    geometry = LegGeometry.from_model(robots[name], dtype=torch.float64)
    joints = random_joints(robots[name], 200)
    feet = LegStatics(geometry).feet(joints)
    inverse = InverseKinematics(geometry)
    reach = hip_to_foot(geometry, joints)
    inside = ((reach > 0.22) & (reach < 0.57)).all(dim=0)
    assert inside.float().mean() > 0.5
    torch.testing.assert_close(inverse(feet)[:, inside], joints[:, inside], atol=1e-7, rtol=0)


def test_inverse_of_a_leg_with_offsets(name: str, robots: dict[str, RobotModel]) -> None:
    """No robot here has its foot beside or its hip under the abad axis, but the solution is for these, too."""
    geometry = LegGeometry.from_model(robots[name], dtype=torch.float64)
    moved = geometry.hip_pos + torch.tensor([[0.0, 0.03, -0.02], [0.0, -0.03, -0.02]], dtype=torch.float64)
    geometry = dataclasses.replace(geometry, hip_pos=moved)
    joints = random_joints(robots[name], 200)
    feet = LegStatics(geometry).feet(joints)
    reach = hip_to_foot(geometry, joints)
    inside = ((reach > 0.22) & (reach < 0.57)).all(dim=0)
    torch.testing.assert_close(InverseKinematics(geometry)(feet)[:, inside], joints[:, inside], atol=1e-7, rtol=0)


def test_inverse_in_single_precision(name: str, robots: dict[str, RobotModel]) -> None:
    geometry = LegGeometry.from_model(robots[name])
    joints = random_joints(robots[name], 200).float()
    statics = LegStatics(geometry)
    reach = hip_to_foot(geometry, joints)
    inside = ((reach > 0.22) & (reach < 0.57)).all(dim=0)
    again = statics.feet(InverseKinematics(geometry)(statics.feet(joints)))
    torch.testing.assert_close(again[..., inside], statics.feet(joints)[..., inside], atol=2e-5, rtol=0)


def test_unreachable_targets_give_the_ray(name: str, robots: dict[str, RobotModel]) -> None:
    geometry = LegGeometry.from_model(robots[name], dtype=torch.float64)
    statics, inverse = LegStatics(geometry), InverseKinematics(geometry)
    torch.manual_seed(0)
    far = 0.1 * torch.randn(3, 2, 50, dtype=torch.float64) - torch.tensor([[[0.0]], [[0.0]], [[1.5]]])
    joints = inverse(far)
    reach = hip_to_foot(geometry, joints)
    longest = (geometry.thigh[:, [0, 2]].norm(dim=-1) + geometry.shank[:, [0, 2]].norm(dim=-1)).unsqueeze(-1)
    assert torch.isfinite(joints).all()
    assert (reach < longest).all() and (reach > 0.98 * longest).all()
    target, got = leg_ray(geometry, far, joints), leg_ray(geometry, statics.feet(joints), joints)
    torch.testing.assert_close(got / got.norm(dim=0), target / target.norm(dim=0), atol=1e-6, rtol=0)
    near = inverse(geometry.abad_pos.t().unsqueeze(-1).expand(3, 2, 4) + 0.001)
    assert torch.isfinite(near).all()


def hip_to_foot(geometry: LegGeometry, joints: torch.Tensor) -> torch.Tensor:
    """Distance from hip to foot in the leg's plane (2, N), worked out from the knee angle."""
    feet = LegStatics(geometry).feet(joints)
    return leg_ray(geometry, feet, joints).norm(dim=0)


def leg_ray(geometry: LegGeometry, feet: torch.Tensor, joints: torch.Tensor) -> torch.Tensor:
    """Foot relative to the hip joint in the turned leg plane, x and z (2, 2, N)."""
    abad = joints[[0, 3]] * geometry.signs[:, :1]
    x, y, z = feet - geometry.abad_pos.t().unsqueeze(-1)
    hip = geometry.hip_pos
    return torch.stack((x - hip[:, :1], abad.cos() * z - abad.sin() * y - hip[:, 2:]))


def test_inverse_is_differentiable(name: str, robots: dict[str, RobotModel]) -> None:
    geometry = LegGeometry.from_model(robots[name], dtype=torch.float64)
    feet = LegStatics(geometry).feet(random_joints(robots[name], 5)).requires_grad_()
    assert torch.autograd.gradcheck(InverseKinematics(geometry), (feet,))


def test_axes_that_are_not_solved_here_are_refused(name: str, robots: dict[str, RobotModel]) -> None:
    axes = robots[name].joint_axes.copy()
    axes[1] = (0.0, 0.0, 1.0)
    with pytest.raises(ValueError, match="abad along x"):
        LegGeometry.from_model(dataclasses.replace(robots[name], joint_axes=axes))


def test_torques_hold_the_robot_in_mujoco(name: str, robots: dict[str, RobotModel]) -> None:
    """With any ground force at the contact point, tau + J^T F balances the weights of MuJoCo's whole model."""
    robot = robots[name]
    geometry = LegGeometry.from_model(robot, dtype=torch.float64)
    model = build_spec(robot).compile()
    data = mujoco.MjData(model)
    rng = np.random.default_rng(1)
    joints = random_joints(robot, 6, seed=2)
    for q in joints.t().numpy():
        quat = np.array([1.0, *rng.uniform(-0.2, 0.2, 3)])
        data.qpos[:] = [0, 0, 0, *(quat / np.linalg.norm(quat)), *q]
        data.qvel[:] = 0.0
        mujoco.mj_forward(model, data)
        rotation = data.body("base_Link").xmat.reshape(3, 3)
        forces = rng.uniform(-50, 200, (2, 3))
        needed = data.qfrc_bias.copy()  # M qacc + bias = tau + J^T F with qacc = 0
        for side, foot in enumerate(robot.foot_names):
            jacobian = np.zeros((3, model.nv))
            point = data.body(foot).xpos - [0, 0, robot.foot_radius]
            mujoco.mj_jac(model, data, jacobian, None, point, model.body(foot).id)
            needed -= jacobian.T @ forces[side]
        force_b = torch.from_numpy((forces @ rotation).T.copy()).unsqueeze(-1)  # (3, 2, 1)
        up_b = torch.from_numpy(rotation[2].copy()).unsqueeze(-1)
        up_b = up_b.unsqueeze(1).expand_as(force_b)
        loads = torch.stack((up_b, force_b, torch.linalg.cross(up_b, force_b, dim=0))).unsqueeze(2)
        statics = LegStatics(geometry)
        torque = statics.matrix @ torch.cat(statics.moments(torch.from_numpy(q).unsqueeze(-1), loads))
        np.testing.assert_allclose(torque.squeeze(-1).numpy(), needed[6:], atol=1e-8)
