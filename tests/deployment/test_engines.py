"""One suite for both engines: the same robot, pushed about in the same way."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from legged_gym.deployment.engine import Engine, Part, Tally
from legged_gym.deployment.networks import OnnxNetworks
from legged_gym.deployment.rollout import Job, walk

from .conftest import MakeEngine

STAND = np.zeros(6)
MASS = 18.593
"""Of the robot [kg]."""


def run(engine: Engine, seconds: float, target: np.ndarray = STAND) -> None:
    for _ in range(round(seconds / 0.002)):
        engine.step(target)


def com_velocity(engine: Any) -> np.ndarray:
    """Velocity of the whole robot's centre of mass, by the engine's own means [m/s]."""
    if "Drake" in engine.title:
        return engine._plant.CalcCenterOfMassTranslationalVelocityInWorld(engine._context)
    import mujoco

    mujoco.mj_forward(engine._model, engine._data)
    mujoco.mj_subtreeVel(engine._model, engine._data)
    return engine._data.subtree_linvel[engine._base].copy()


def flying(engine: Engine) -> Engine:
    """Throws the robot into the air, where nothing but gravity acts on it."""
    engine.release()
    engine.kick(np.array([0.0, 0.0, 3.0]))
    run(engine, 0.02)
    return engine


def test_the_robot_starts_on_its_feet(make: MakeEngine) -> None:
    engine = make()
    state = engine.state()
    np.testing.assert_allclose(state.feet_pos_w[:, 2], 0.032, atol=1e-6)
    np.testing.assert_allclose(state.joint_pos, 0.0)
    np.testing.assert_allclose(engine.sensors().gravity, [0.0, 0.0, -1.0], atol=1e-9)
    height = state.base_pos_w[2]
    run(engine, 0.5)
    assert engine.state().base_pos_w[2] == pytest.approx(height, abs=1e-3), "the hoist holds it"
    assert engine.tally.contact.all() and not engine.tally.others_touch, "neighbours in the chain do not collide"
    engine.release()
    engine.tally = Tally()
    run(engine, 1.5)
    assert engine.tally.fallen, "without a policy it falls once let go"


def test_mass_and_figures(make: MakeEngine) -> None:
    assert make().figures["mass"] == pytest.approx(MASS, abs=1e-3)
    assert make(base_mass_added=5.0).figures["mass"] == pytest.approx(MASS + 5.0, abs=1e-3)
    assert make(timestep=0.002).figures["timestep"] == 0.002


def test_a_kick_moves_all_of_the_robot(make: MakeEngine) -> None:
    engine = make()
    engine.release()
    before, joints = com_velocity(engine), engine.state().joint_vel.copy()
    engine.kick(np.array([0.3, -0.4, 0.0]))
    np.testing.assert_allclose(com_velocity(engine) - before, [0.3, -0.4, 0.0], atol=1e-9)
    np.testing.assert_allclose(engine.state().joint_vel, joints)
    np.testing.assert_allclose(engine.state().base_lin_vel_w[:2], [0.3, -0.4], atol=1e-3)


@pytest.mark.parametrize(("where", "lasts"), [("base", 0.1), ("lid", 0.1), ("foot_0", 0.02)])
def test_a_push_gives_its_impulse(make: MakeEngine, where: str, lasts: float) -> None:
    engine = flying(make())
    before = com_velocity(engine)
    engine.push(np.array([60.0, -80.0, 0.0]), where)
    run(engine, lasts)  # steps of 1 ms lose per cents of a fast foot's momentum: a shorter push there
    engine.push(None)
    impulse = lasts * np.array([60.0, -80.0])
    np.testing.assert_allclose((com_velocity(engine) - before)[:2], impulse / MASS, rtol=0.02)
    after = com_velocity(engine)
    run(engine, 0.02)
    np.testing.assert_allclose(com_velocity(engine)[:2], after[:2], atol=1e-3)


def test_a_push_on_the_lid_tips_the_base(make: MakeEngine) -> None:
    rates = []
    for where in ("base", "lid"):
        engine = flying(make())
        engine.push(np.array([180.0, 0.0, 0.0]), where)
        run(engine, 0.05)
        rates.append(engine.sensors().body_rates[1])
    assert rates[1] > rates[0] + 1.0


def test_body_rates_are_in_the_base_frame(make: MakeEngine) -> None:
    engine = flying(make())
    engine.push(np.array([0.0, 180.0, 0.0]), "lid")
    run(engine, 0.1)
    state = engine.state()
    np.testing.assert_allclose(state.base_rot @ engine.sensors().body_rates, state.base_ang_vel_w, atol=1e-9)
    assert state.base_ang_vel_w[0] < -1.0 and abs(state.base_rot[2, 1]) > 0.03


def test_feet_are_where_the_joints_say(make: MakeEngine) -> None:
    engine = flying(make())
    before = engine.state()
    engine.push(np.array([40.0, 0.0, 0.0]), "foot_1")
    run(engine, 0.02)
    after = engine.state()
    np.testing.assert_allclose(after.feet_pos_w - before.feet_pos_w, 0.02 * after.feet_vel_w, atol=0.02)
    assert after.feet_vel_w[1, 0] > after.feet_vel_w[0, 0] + 0.5


def test_legs_cannot_pass_through_each_other(make: MakeEngine) -> None:
    engine = make()
    engine.tally = Tally()
    inwards = np.array([-0.35, 0.0, 0.0, 0.35, 0.0, 0.0])
    run(engine, 0.6, inwards)
    left, right = engine.state().feet_pos_w[:, 1]
    assert left - right > 0.05, "the feet are spheres of 64 mm"
    assert engine.tally.legs_touch and not engine.tally.fallen


def test_the_torque_is_limited_and_its_power_seen(make: MakeEngine) -> None:
    engine = flying(make())
    engine.tally = Tally()
    run(engine, 0.04, np.array([0.0, 0.0, 20.0, 0.0, 0.0, 0.0]))
    assert np.abs(engine.state().torque).max() == pytest.approx(80.0)
    assert engine.tally.peak_power > 50.0


@pytest.mark.parametrize(("figure", "value"), [("armature", 0.05), ("joint_damping", 1.0), ("kd", 6.0)])
def test_figures_of_the_joints_are_live(make: MakeEngine, figure: str, value: float) -> None:
    speeds = []
    for figures in ({}, {figure: value}):
        engine = flying(make(**figures))
        run(engine, 0.03, np.array([0.0, 0.0, 0.5, 0.0, 0.0, 0.0]))
        speeds.append(engine.state().joint_vel[2])
    assert 0.0 < speeds[1] < 0.95 * speeds[0]


@pytest.mark.parametrize("friction", [(0.3,), (0.8, 0.2)])
def test_friction_of_each_foot_is_live(make: MakeEngine, friction: tuple[float, ...]) -> None:
    engine: Any = make(friction=friction)
    engine.step(STAND)
    if "Drake" in engine.title:
        from pydrake.multibody.plant import CalcContactFrictionFromSurfaceProperties, CoulombFriction

        inspector, values = engine._scene.model_inspector(), []
        names = "foot_L_Link", "foot_R_Link"
        bodies = [engine._plant.world_body(), *map(engine._plant.GetBodyByName, names)]
        for body in bodies:
            (shape,) = engine._plant.GetCollisionGeometriesForBody(body)
            values.append(inspector.GetProximityProperties(shape).GetProperty("material", "coulomb_friction"))
        assert all(isinstance(value, CoulombFriction) for value in values)
        pairs = [CalcContactFrictionFromSurfaceProperties(values[0], foot).dynamic_friction() for foot in values[1:]]
    else:
        found = zip(engine._data.contact.geom, engine._data.contact.friction, strict=True)
        by_foot = {next(engine._feet.index(g) for g in geoms if g in engine._feet): mu[0] for geoms, mu in found}
        pairs = [by_foot[0], by_foot[1]]
    np.testing.assert_allclose(pairs, [friction[0], friction[-1]])


def test_the_shipped_policy_walks(make: MakeEngine, policy_folder: Path) -> None:
    job = Job(np.tile([0.4, 0.0, 0.0], (100, 1)), (0,), 2.0)
    series = walk(make(), OnnxNetworks(policy_folder), job)
    assert len(series["fell"]) == 100 and not series["fell"].any()
    assert 0.4 < series["position_w"][-1, 0] < 1.2
    assert series["contact"].any(0).all() and not series["contact"].all(0).any(), "both feet step"
    assert series["foot_force"].max() > 150.0 and series["base_height"].min() > 0.7
    again = walk(make(), OnnxNetworks(policy_folder), job)
    np.testing.assert_array_equal(series["position_w"], again["position_w"])


def test_landing_speeds_are_those_before_the_landing(make: MakeEngine) -> None:
    engine = make()
    run(engine, 0.1)
    engine.release()
    engine.kick(np.array([0.0, 0.0, 1.0]))
    engine.tally = engine.tally.cleared()
    run(engine, 0.15)
    assert not engine.tally.landing_speed.any(), "standing and flying is no landing"
    run(engine, 0.1)
    np.testing.assert_allclose(engine.tally.landing_speed, 1.0, atol=0.15)


def test_what_a_tally_makes_of_contacts() -> None:
    ground, left, right = Part(ground=True), Part(foot=0, side=0), Part(foot=1, side=1)
    shin, base = Part(side=0), Part(vital=True)
    tally = Tally()

    def add(first: Part, second: Part, *force: float, power: float = 0.0) -> None:
        tally.add([(first, second, np.array(force))], power, lambda foot: 2.0 + foot)

    add(ground, left, 0.0, 30.0, -40.0, power=5.0)
    assert tally.foot_force.tolist() == [50.0, 0.0] and tally.contact.tolist() == [True, False]
    assert tally.landing_speed.tolist() == [2.0, 0.0]
    assert not (tally.others_touch or tally.legs_touch or tally.fallen)
    tally = tally.cleared()
    add(ground, left, 0.0, 0.0, -50.0, power=5.0)
    assert not tally.landing_speed.any(), "it stood there before"
    add(left, right, 0.0, 9.0, 0.0, power=3.0)
    assert tally.legs_touch and not tally.others_touch and tally.contact.tolist() == [False, False]
    assert tally.foot_force.tolist() == [50.0, 9.0] and tally.peak_power == 5.0
    add(ground, base, 0.0, 0.0, 0.9)
    assert not tally.fallen, "below 1 N"
    add(ground, shin, 0.0, 0.0, 2.0)
    assert tally.others_touch and not tally.fallen
    add(base, ground, 0.0, 0.0, 2.0)
    tally.add([], 0.0, float)
    assert tally.fallen and tally.legs_touch and not tally.others_touch, "the last one is over"
