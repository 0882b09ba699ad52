"""The simulated robot: contact sensors, friction rule, servos, visuals of the model that `build_spec` makes."""

import functools

import mujoco
import numpy as np
import pytest

from legged_gym.sim.mujoco.spec import GROUND_NAME, VISUAL_GROUP, build_spec
from legged_gym.sim.robot_model import BODY_NAMES, FOOT_NAMES, JOINT_ORDER, RobotModel, robot_urdf
from legged_gym.sim.sim_options import SimOptions

STAND = np.array([0.0, 0.25, 0.5, 0.0, -0.25, -0.5])


@functools.cache
def robot() -> RobotModel:
    return RobotModel.from_urdf(robot_urdf("PF_TRON1A"))


@functools.cache
def compiled(visuals: bool = True) -> mujoco.MjModel:
    return build_spec(robot(), visuals=visuals).compile()


def data_at(model: mujoco.MjModel, q: np.ndarray, gap: float = -0.0002) -> mujoco.MjData:
    """A robot with these joint angles and targets, the lower foot `gap` [m] above the ground."""
    data = mujoco.MjData(model)
    data.qpos[7:] = data.ctrl[:] = q
    mujoco.mj_kinematics(model, data)
    data.qpos[2] += gap + robot().foot_radius - min(data.body(name).xpos[2] for name in FOOT_NAMES)
    mujoco.mj_forward(model, data)
    return data


def contact_forces(data: mujoco.MjData) -> dict[str, np.ndarray]:
    return {name: data.sensor(f"contact_{name}").data for name in BODY_NAMES}


def test_sensors_are_forces_then_velocities_then_torques() -> None:
    model = compiled()
    names = [model.sensor(i).name for i in range(model.nsensor)]
    contacts = [*(f"contact_{name}" for name in BODY_NAMES), "contact_legs"]
    velocities = [f"velocity_{name}" for name in FOOT_NAMES]
    assert names == contacts + velocities + [f"torque_{name}" for name in JOINT_ORDER]
    assert list(model.sensor_dim) == [3] * len(contacts + velocities) + [1] * 6


def test_contact_forces_hold_up_a_lying_robot() -> None:
    model = compiled(visuals=False)
    data = data_at(model, STAND)
    mujoco.mj_step(model, data, 1500)
    forces = contact_forces(data)
    assert np.abs(data.qvel).max() < 0.01
    lying_on = {name for name, force in forces.items() if force[2] > 1.0}
    assert lying_on == {"abad_L_Link", "abad_R_Link", "foot_L_Link", "foot_R_Link"}
    assert all(force[2] >= 0.0 for force in forces.values())
    weight = mujoco.mj_getTotalmass(model) * 9.81
    np.testing.assert_allclose(sum(forces.values()), [0.0, 0.0, weight], atol=0.01 * weight)


@pytest.mark.parametrize("lifted", ["L", "R", None])
def test_contact_is_reported_for_the_touching_feet_only(lifted: str | None) -> None:
    model = compiled(visuals=False)
    q = STAND.copy()
    if lifted is not None:
        q[JOINT_ORDER.index(f"knee_{lifted}_Joint")] *= 2.0
    data = data_at(model, q)
    mujoco.mj_step(model, data, 8)
    forces = contact_forces(data)
    touching = {f"foot_{side}_Link" for side in "LR" if side != lifted}
    assert {name for name, force in forces.items() if np.any(force)} == touching
    assert all(forces[name][2] > 10.0 for name in touching)


@pytest.mark.parametrize("heading", [0.0, 0.25 * np.pi, 2.0])
@pytest.mark.parametrize("friction", [0.15, 0.8])
def test_a_sliding_foot_feels_exactly_its_own_friction(friction: float, heading: float) -> None:
    model = build_spec(robot(), visuals=False).compile()
    model.geom_friction[:, 0] = friction
    model.geom_friction[model.geom(GROUND_NAME).id, 0] = 1.7
    data = data_at(model, STAND)
    direction = np.array([np.cos(heading), np.sin(heading)])
    data.qvel[:2] = 3.0 * direction
    mujoco.mj_forward(model, data)
    for name in FOOT_NAMES:
        force = data.sensor(f"contact_{name}").data
        assert force[2] > 10.0
        assert np.dot(force[:2], direction) < 0.0
        assert np.linalg.norm(force[:2]) / force[2] == pytest.approx(friction, rel=1e-3)


@pytest.mark.parametrize("solid", [True, False])
def test_legs_touch_each_other_only_where_they_are_told_to(solid: bool) -> None:
    model = build_spec(robot(), SimOptions(self_collisions=solid), visuals=False).compile()
    assert not np.any(model.geom_contype & (model.geom_bodyid > 0))
    assert model.geom(GROUND_NAME).contype == 1 and model.geom(GROUND_NAME).conaffinity == 0
    data = data_at(model, STAND, gap=1.0)
    data.qpos[7], data.qpos[10] = -0.38, 0.38  # knees together
    mujoco.mj_forward(model, data)
    overlapping = {frozenset(model.geom(i).name for i in contact.geom) for contact in data.contact if contact.dist < 0}
    assert overlapping == ({frozenset({"knee_L_collision", "knee_R_collision"})} if solid else set())
    assert (np.linalg.norm(data.sensor("contact_legs").data) > 1.0) == solid
    data.qpos[7] = data.qpos[10] = 0.0
    mujoco.mj_forward(model, data)
    assert data.ncon == 0


@pytest.mark.parametrize("error", [0.5, 3.0])
def test_servo_torque_is_pd(error: float) -> None:
    """Whatever it comes to: the limit is kept by who gives the target, see `servo`."""
    model = build_spec(robot(), SimOptions(kp=50.0, kd=3.0)).compile()
    data = data_at(model, STAND, gap=1.0)
    data.ctrl[:] = STAND + error
    data.qvel[6:] = np.linspace(-1.0, 1.0, 6)
    mujoco.mj_forward(model, data)
    torque = np.array([data.sensor(f"torque_{name}").data[0] for name in JOINT_ORDER])
    expected = 50.0 * error - 3.0 * data.qvel[6:]
    np.testing.assert_allclose(torque, expected, rtol=1e-12)
    np.testing.assert_allclose(data.qfrc_actuator[6:], torque, rtol=1e-12)


def test_every_option_of_build_spec_changes_the_model() -> None:
    options = SimOptions(timestep=0.002, kp=1.0, kd=2.0, armature=0.03, joint_damping=0.04)
    model = build_spec(robot(), options, ground=False, visuals=False).compile()
    assert model.opt.timestep == 0.002
    np.testing.assert_array_equal(model.actuator_gainprm[:, 0], 1.0)
    np.testing.assert_array_equal(model.actuator_biasprm[:, :3], [[0.0, -1.0, -2.0]] * 6)
    np.testing.assert_array_equal(model.dof_armature, [0.0] * 6 + [0.03] * 6)
    np.testing.assert_array_equal(model.dof_damping.reshape(12, -1)[:, 0], [0.0] * 6 + [0.04] * 6)
    assert [model.geom(i).name for i in range(model.ngeom)] == [
        name.replace("_Link", "_collision") for name in BODY_NAMES
    ]


def test_a_model_without_visuals_moves_the_same() -> None:
    drawn, bare = compiled(visuals=True), compiled(visuals=False)
    assert np.sum(drawn.geom_group == VISUAL_GROUP) > 50
    assert np.sum(bare.geom_group == VISUAL_GROUP) == 0
    runs = [data_at(model, STAND) for model in (drawn, bare)]
    for data in runs:
        mujoco.mj_step(data.model, data, 100)
    np.testing.assert_array_equal(runs[0].qpos, runs[1].qpos)
    np.testing.assert_array_equal(runs[0].sensordata, runs[1].sensordata)
