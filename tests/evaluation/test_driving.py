"""What a viewer sees of an environment, and what its user does to it."""

import numpy as np
import pytest
import torch

from legged_gym.evaluation.agents import TeacherAgent
from legged_gym.evaluation.driving import SHOVE_TIME, Driver, command_limits, drivable_cfg
from legged_gym.evaluation.planning import SAMPLES, STEPS_AHEAD, StepPlanner
from legged_gym.evaluation.spectator import Spectator
from legged_gym.evaluation.suites import evaluation_cfg
from legged_gym.evaluation.tour import tour_cfg
from legged_gym.teacher.config import DcmCfg
from legged_gym.teacher.step_network import StepNetwork
from legged_gym.viewer.controls import Controls
from tests.envs.making import CLEAN, build, stand

ROUGH = {"terrain.mesh_type": "trimesh", "terrain.profile": "stairs_up", "terrain.num_rows": 2, "terrain.num_cols": 2}
DRIVEN = {"commands.resampling_time": 1e6}


def test_only_the_chosen_robot_is_driven() -> None:
    env = build(3, CLEAN, DRIVEN)
    controls = Controls(command_limits(env.cfg), 3)
    driver, before = Driver(env, controls), env.commands.command.clone()
    driver.after_step()
    assert torch.equal(env.commands.command, before), "nobody drives yet"
    controls.robot = 1
    controls.drive((0.3, -0.1, 0.2))
    driver.after_step()
    assert env.commands.command[1].tolist() == pytest.approx([0.3, -0.1, 0.2])
    assert torch.equal(env.commands.command[[0, 2]], before[[0, 2]])
    for _ in range(260):  # the task asks the others for something else every 5 s
        driver.after_step()
    assert env.commands.command[1].tolist() == pytest.approx([0.3, -0.1, 0.2])
    assert (env.commands.command[[0, 2]] != before[[0, 2]]).any(-1).all()


def test_the_environment_leaves_the_command_alone() -> None:
    env = build(1, CLEAN)
    assert env.cfg.commands.resampling_time < 100.0
    for leave in (drivable_cfg, tour_cfg, lambda cfg: evaluation_cfg(cfg, 2, seed=0)):
        env.cfg.commands.reversing_share = 0.1
        commands = leave(env.cfg).commands
        assert commands.resampling_time * 50 > 1e6 and commands.reversing_share == 0.0


def test_a_shove_has_its_impulse_and_its_direction_and_ends() -> None:
    env = build(2, CLEAN, {"init_state.yaw": (0.7, 0.7)})
    controls = Controls(command_limits(env.cfg), 2)
    controls.shove_impulse, controls.shove_direction = 12.0, "from the right"
    driver, impulse = Driver(env, controls), torch.zeros(2, 3)
    controls.press("shove")
    for _ in range(20):
        driver.after_step()
        impulse += env.sim.wrench_w[:, 0, :3] * env.dt
    turned = 0.7 + np.pi / 2
    assert impulse[0].tolist() == pytest.approx([12.0 * np.cos(turned), 12.0 * np.sin(turned), 0.0], abs=1e-3)
    assert not impulse[1].any() and not env.sim.wrench_w.any() and 20 * env.dt > SHOVE_TIME
    velocity = env.state.root_lin_vel_w[0].clone()
    controls.press("shove")
    driver.after_step()
    stand(env, 3)
    assert (env.state.root_lin_vel_w[0] - velocity)[:2].norm() > 0.2, "and the robot feels it"


def test_readings_are_those_of_the_robot() -> None:
    env = build(2, CLEAN, DRIVEN)
    env.commands.set(torch.tensor([[0.1, 0.2, 0.3], [0.0, 0.0, 0.0]]), torch.tensor([True, True]))
    spectator = Spectator(env, robot=0)
    for _ in range(5):
        stand(env)
        spectator.after_step()
    said = spectator.readings()
    assert said.command == pytest.approx((0.1, 0.2, 0.3)) and not said.standing
    assert set(said.rewards) == {name.removeprefix("rew_") for name in env.log.names}
    spectator.follow(1)
    assert spectator.readings().standing and spectator.falls == 0


def test_rewards_of_a_step_add_up_to_its_reward(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("legged_gym.evaluation.spectator.SMOOTHING", 1e-9)
    env = build(2, CLEAN, {"rewards.only_positive_rewards": False})
    spectator = Spectator(env, robot=1)
    for _ in range(3):
        _, reward, _, _ = env.step(torch.zeros(2, 6))
        spectator.after_step()
        assert sum(spectator.readings().rewards.values()) * env.dt == pytest.approx(float(reward[1]), abs=1e-5)


def test_falls_are_counted() -> None:
    env = build(1, CLEAN, {"init_state.pos": (0.0, 0.0, 2.0)})
    spectator, falls = Spectator(env), 0
    for _ in range(150):
        env.step(torch.full((1, 6), 3.0))
        falls += int(env.episodes.fell[0])
        spectator.after_step()
    assert spectator.falls == falls > 0


def test_a_kick_is_seen_for_a_moment() -> None:
    kicks = {"domain_rand.push_robots": True, "domain_rand.push_interval_s": 0.2, "domain_rand.max_push_vel_xy": 1.0}
    env = build(1, CLEAN, kicks)
    spectator, seen = Spectator(env), []
    for _ in range(12):
        before = env.state.root_lin_vel_w.clone()
        stand(env)
        spectator.after_step()
        if env.disturbances.kick_w.any():
            assert env.disturbances.kick_w[0, :2].norm() > 0.0 and before.isfinite().all()
            np.testing.assert_allclose(spectator.motion().kick_w, env.disturbances.kick_w[0], rtol=1e-6)
            seen.append(spectator.motion().kick_w)
    assert seen, "one is due every 0.2 s"


def test_the_nearest_robots_are_ghosts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("legged_gym.evaluation.spectator.MAX_GHOSTS", 2)
    env = build(4, CLEAN)
    env.state.root_pos_w[:, 0] = torch.tensor([0.0, 3.0, 1.0, 2.0])
    view = Spectator(env, robot=1).view()
    assert view.poses[:, 0].tolist() == [3.0, 2.0, 1.0] and view.poses.shape == (3, 13)
    env.state.root_pos_w[3] = torch.nan
    assert Spectator(env, robot=1).view().poses[:, 0].tolist() == [3.0, 1.0, 0.0], "a broken one is no ghost"


def test_the_ground_is_brought_once_and_where_the_robot_is() -> None:
    env = build(1, CLEAN, ROUGH)
    spectator = Spectator(env)
    terrain, view = env.sim.options.terrain, spectator.view()
    assert view.ground is not None and spectator.view().ground is None
    x, y, z = view.ground.vertices.T
    robot = env.state.root_pos_w[0].numpy()
    assert x.min() < robot[0] < x.max() and y.min() < robot[1] < y.max()
    inner = (np.abs(x - robot[0]) < 2.0) & (np.abs(y - robot[1]) < 2.0)
    # A vertical face moves samples by a cell: heights agree but beside such ones.
    off = np.abs(terrain.height(x[inner], y[inner]) - z[inner]) > 1e-4
    assert inner.sum() > 100 and off.mean() < 0.3
    flat = Spectator(build(1, CLEAN, {"terrain.mesh_type": "plane"}))
    assert flat.view().ground is None


@pytest.mark.parametrize("learned", [False, True])
def test_the_plan_that_is_drawn_is_the_teachers(learned: bool) -> None:
    """Beside a teacher that drives two robots; after a change of the robot, once it has seen it step."""
    env = build(2, CLEAN, {"init_state.yaw": (0.4, 0.4)})
    agent, planner = TeacherAgent(env, DcmCfg()), StepPlanner(DcmCfg(), env, moves_clock=True)
    if learned:  # steps of 30 ms less
        steps = agent.teacher.step_network = StepNetwork(DcmCfg().step_change)
        list(steps.net.children())[-1].bias.data[0] = -0.4
        planner.follow_offset(agent.teacher.network, steps)
    state = torch.get_rng_state()
    planner.step(0)
    assert torch.equal(torch.get_rng_state(), state), "no random number of the run is taken"
    obs = env.reset()
    for step in range(70):
        action = agent.act(obs)
        planner.step(robot := 0 if step < 20 else 1)
        sketch = planner.sketch()
        assert sketch is not None and agent.output is not None
        if robot == 0 or step >= 50:
            off = 0.03 if robot else 1e-5
            np.testing.assert_allclose(sketch.foothold_w[:2], agent.output.foothold_w[robot], atol=off)
        np.testing.assert_allclose(sketch.without_offset_w, sketch.foothold_w, atol=1e-6)
        com, xi, feet = sketch.com_path_w, sketch.dcm_path_w, sketch.later_footholds_w
        state = agent.teacher.layout.parse(env.get_observations()["teacher"])
        np.testing.assert_allclose(com[0], state.com_pos_w[:, robot], atol=1e-5)
        np.testing.assert_allclose(xi[SAMPLES - 1], sketch.xi_end_w, atol=1e-5)
        assert com.shape == xi.shape == ((STEPS_AHEAD + 1) * SAMPLES, 3) and feet.shape == (STEPS_AHEAD, 3)
        np.testing.assert_allclose(feet[:, 2], sketch.foothold_w[2])
        assert 0.0 <= sketch.time_left <= sketch.duration == pytest.approx(0.5 / float(env.gait.params[robot, 0]))
        obs, *_ = env.step(action)


def test_the_learned_offset_moves_the_foothold() -> None:
    env = build(1, CLEAN)
    planner = StepPlanner(DcmCfg(), env)
    planner.use_offset({"no": torch.zeros(1)})  # of another network: there is nothing to draw
    weights = planner._teacher.network.state_dict()
    last = next(name for name in reversed(weights) if name.endswith("bias"))
    planner.use_offset({**weights, last: torch.full_like(weights[last], 0.5)})
    planner.step(0)
    sketch = planner.sketch()
    assert sketch is not None and np.linalg.norm(sketch.foothold_w - sketch.without_offset_w) > 0.005
