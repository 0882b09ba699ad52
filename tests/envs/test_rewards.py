"""Reward terms against numbers worked out by hand, and how they are weighed and summed."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch

from legged_gym.envs.base import rewards
from legged_gym.envs.base.legged_robot import LeggedRobot
from legged_gym.envs.base.legged_robot_config import LeggedRobotCfg
from legged_gym.envs.pointfoot.pointfoot_flat_config import PointFootFlatCfg
from legged_gym.sim.robot_model import RobotModel, robot_urdf
from legged_gym.sim.sim_state import SimState
from tests.envs.making import CLEAN, IN_THE_AIR, MakeEnv

WHERE = {
    **dict.fromkeys(("fell",), "episodes"),
    **dict.fromkeys(("desired_contact", "gait_active", "penalized_bodies", "soft_joint_limits"), "rewards"),
    **dict.fromkeys(("now", "before"), "actions"),
    **dict.fromkeys(("command", "standing"), "commands"),
    "undisturbed": "disturbances",
}
"""Part of the environment that has a quantity, where it is not the state."""


def fake(**given: Any) -> Any:
    """An environment of two robots in a state of zeros, standing upright on nothing, with some of it set."""
    robot = RobotModel.from_urdf(robot_urdf("PF_TRON1A"))
    quantities: dict[str, Any] = vars(SimState.zeros(2, robot, "cpu")) | {
        "fell": torch.zeros(2, dtype=torch.bool),
        "base_lin_vel_y": torch.zeros(2, 3),
        "base_ang_vel_b": torch.zeros(2, 3),
        "base_height": torch.zeros(2),
        "projected_gravity_b": torch.tensor([[0.0, 0.0, -1.0]] * 2),
        "feet_force_w": torch.zeros(2, 2, 3),
        "feet_contact": torch.zeros(2, 2, dtype=torch.bool),
        "feet_height": torch.zeros(2, 2),
        "desired_contact": torch.zeros(2, 2),
        "gait_active": torch.ones(2),
        "undisturbed": torch.ones(2),
        "now": torch.zeros(2, 6),
        "before": torch.zeros(2, 2, 6),
        "last_joint_vel": torch.zeros(2, 6),
        "penalized_bodies": torch.tensor([0, 1, 2]),
        "soft_joint_limits": (torch.full((6,), -0.5), torch.full((6,), 1.0)),
        "command": torch.zeros(2, 3),
    }
    swing_heights = torch.tensor(given.pop("swing_heights", [[0.0, 0.0]] * 2))
    quantities |= {name: torch.tensor(value) for name, value in given.items()}
    quantities["standing"] = (quantities["command"] == 0.0).all(-1)
    env = SimpleNamespace(cfg=LeggedRobotCfg(), dt=0.02, gait=SimpleNamespace(swing_heights=lambda: swing_heights))
    env.sim = SimpleNamespace(robot=SimpleNamespace(total_mass=10.0))
    for name, value in quantities.items():
        part = WHERE.get(name, "state")
        if not hasattr(env, part):
            setattr(env, part, SimpleNamespace())
        setattr(getattr(env, part), name, value)
    return env


FEET_APART = [[[0.0, 0.03, 9.0], [0.0, -0.05, 0.0]], [[0.3, 0.0, 0.0], [-0.1, 0.3, 0.0]]]
ONE_JOINT = [[0.0, 3.0, 0.0, 0.0, 0.0, -4.0], [1.0] * 6]
CASES: dict[str, tuple[dict[str, Any], list[float]]] = {
    # 6 cm short, and 2 cm higher than asked; 3 and 4 cm short
    "feet_clearance": (
        {"swing_heights": [[0.1, 0.0], [0.1, 0.05]], "feet_height": [[0.04, 0.02], [0.07, 0.01]]},
        [0.0036, 0.0025],
    ),
    # one foot in the air, standing; both in the air, walking
    "feet_air_standing": (
        {"feet_contact": [[True, False], [False, False]], "command": [[0.0] * 3, [0.1, 0.0, 0.0]]},
        [1.0, 0.0],
    ),
    "touchdown_speed": ({"landing_speed": [[1.0, 0.5], [0.0, 2.0]]}, [1.25, 4.0]),
    # a robot of 10 kg: 3 and 1 weights; 2.5 and 4 weights
    "landing_force": ({"peak_foot_force": [[294.3, 98.1], [245.25, 392.4]]}, [1.0, 2.5]),
    "keep_balance": ({"fell": [False, True]}, [1.0, 0.0]),
    "termination": ({"fell": [False, True]}, [0.0, 1.0]),
    # exp(-(0.3^2 + 0.4^2) / 0.2) = exp(-1.25); the vertical velocity does not count
    "tracking_lin_vel": (
        {"base_lin_vel_y": [[0.8, 0.1, 3.0], [0.5, -0.3, 0.0]], "command": [[0.5, -0.3, 0.0]] * 2},
        [0.2865048, 1.0],
    ),
    # exp(-0.5^2 / 0.25) = 1 / e
    "tracking_ang_vel": (
        {"root_ang_vel_w": [[2.0, 2.0, 0.7], [0.0, 0.0, 0.2]], "command": [[0.0, 0.0, 0.2]] * 2},
        [0.3678794, 1.0],
    ),
    "lin_vel_error": (
        {"base_lin_vel_y": [[0.8, 0.1, 3.0], [0.5, -0.3, 0.0]], "command": [[0.5, -0.3, 0.0]] * 2},
        [0.5, 0.0],
    ),
    "ang_vel_error": (
        {"root_ang_vel_w": [[2.0, 2.0, 0.7], [0.0, 0.0, 0.2]], "command": [[0.0, 0.0, 0.2]] * 2},
        [0.5, 0.0],
    ),
    "base_height": ({"base_height": [0.78, 0.48]}, [0.01, 0.04]),
    "orientation": ({"projected_gravity_b": [[0.3, -0.4, -0.866], [0.0, 0.0, 1.0]]}, [0.25, 0.0]),
    "lin_vel_z": ({"root_lin_vel_w": [[5.0, 5.0, -0.3], [0.0, 0.0, 2.0]]}, [0.09, 4.0]),
    "ang_vel_xy": ({"base_ang_vel_b": [[3.0, -4.0, 9.0], [0.0, 0.5, 0.0]]}, [25.0, 0.25]),
    # 0.115 - 0.08; feet 0.5 m apart; heights do not count
    "feet_distance": ({"feet_pos_w": FEET_APART}, [0.035, 0.0]),
    # robot 0: only the right foot is in swing, F^2 = 25: (0 + 1 - 1/e) / 2; robot 1 half wanted: 0.5 (1 - 1/e) / 2
    "tracking_contacts_shaped_force": (
        {
            "feet_force_w": [[[0.0, 0.0, 90.0], [0.0, 3.0, 4.0]], [[5.0, 0.0, 0.0], [0.0, 0.0, 0.0]]],
            "desired_contact": [[1.0, 0.0], [0.5, 0.0]],
        },
        [0.3160603, 0.1580301],
    ),
    # robot 0: only the left foot is in stance, v^2 = 0.25: (1 - 1/e) / 2; robot 1 is not to step
    "tracking_contacts_shaped_vel": (
        {
            "feet_lin_vel_w": [[[0.3, 0.0, 0.4], [1.0, 1.0, 1.0]], [[9.0, 0.0, 0.0], [9.0, 0.0, 0.0]]],
            "desired_contact": [[1.0, 0.0], [1.0, 1.0]],
            "gait_active": [1.0, 0.0],
        },
        [0.3160603, 0.0],
    ),
    "torques": ({"joint_torque": ONE_JOINT}, [25.0, 6.0]),
    # accelerations of 3 and -4 rad/s^2; 1 rad/s^2 in each joint
    "dof_acc": (
        {"joint_vel": [[0.0, 0.06, 0.0, 0.0, 0.0, -0.08], [0.52] * 6], "last_joint_vel": [[0.0] * 6, [0.5] * 6]},
        [25.0, 6.0],
    ),
    "action_rate": (
        {"now": ONE_JOINT, "before": [[[0.0] * 6, [9.0] * 6], [[0.5] * 6, [9.0] * 6]]},
        [25.0, 1.5],
    ),
    # (1 - 2 * 0.5 + 2)^2 per joint
    "action_smooth": (
        {"now": ONE_JOINT, "before": [[[0.0] * 6, [0.0] * 6], [[0.5] * 6, [2.0] * 6]]},
        [25.0, 24.0],
    ),
    "collision": (
        {"contact_force_w": [[[0.0, 0.0, 0.9], [0.8, 0.8, 0.0], [0.0, 0.0, -2.0], *[[9.0] * 3] * 6], [[0.0] * 3] * 9]},
        [2.0, 0.0],
    ),
    # beyond [-0.5, 1]: 0.2 below, 0.3 above
    "dof_pos_limits": ({"joint_pos": [[-0.7, 1.3, 0.0, 0.9, -0.4, 0.0], [1.0, -0.5] * 3]}, [0.5, 0.0]),
    # robot 0: the left foot lands with 0.5 m/s, the right one is high; robot 1: one in contact, one rises
    "foot_landing_vel": (
        {
            "feet_height": [[0.05, 0.09], [0.0, 0.05]],
            "feet_contact": [[False, False], [True, False]],
            "feet_lin_vel_w": [[[9.0, 0.0, -0.5], [0.0, 0.0, -0.5]], [[0.0, 0.0, -0.5], [0.0, 0.0, 0.5]]],
        },
        [0.25, 0.0],
    ),
    # weights 1 and exp(-0.017 / (0.025 * 0.68)) = 1/e; a foot below the ground weighs 1
    "feet_regulation": (
        {
            "feet_height": [[0.0, 0.017], [-0.1, 5.0]],
            "feet_lin_vel_w": [[[0.3, 0.4, 9.0], [0.6, 0.8, 9.0]], [[0.3, 0.4, 0.0], [9.0, 0.0, 0.0]]],
        },
        [0.6178794, 0.25],
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_term_by_hand(name: str) -> None:
    given, expected = CASES[name]
    value = getattr(rewards, name)(fake(**given))
    torch.testing.assert_close(value, torch.tensor(expected), rtol=1e-5, atol=1e-6)


def test_every_term_is_tested_and_has_a_scale() -> None:
    names = [term.__name__ for term in rewards.TERMS]
    assert sorted(names) == sorted(CASES) and len(set(names)) == len(names)
    assert {*names, "v_stab"} == set(vars(PointFootFlatCfg().rewards.scales)), "the task lists all, and its own"


KERNELS = {
    "tracking_lin_vel": ("tracking_sigma", 0.4, 0.5352614),
    "tracking_ang_vel": ("ang_tracking_sigma", 0.5, 0.6065307),
    "base_height": ("base_height_target", 0.70, 0.0064),
    "feet_distance": ("min_feet_distance", 0.1, 0.02),
    "tracking_contacts_shaped_force": ("gait_force_sigma", 50.0, 0.1967347),
    "tracking_contacts_shaped_vel": ("gait_vel_sigma", 0.5, 0.1967347),
    "foot_landing_vel": ("about_landing_threshold", 0.1, 0.5),
    "feet_regulation": ("base_height_target", 0.34, 0.25 + 0.1353353),
}


@pytest.mark.parametrize("name", KERNELS)
def test_kernel_width_by_hand(name: str) -> None:
    """The first robot of the case above, with another parameter."""
    field, value, expected = KERNELS[name]
    env = fake(**CASES[name][0])
    setattr(env.cfg.rewards, field, value)
    assert getattr(rewards, name)(env)[0].item() == pytest.approx(expected, rel=1e-5)


ALL_OFF = {f"rewards.scales.{name}": 0.0 for name in vars(PointFootFlatCfg().rewards.scales)}


def put_in_place(monkeypatch: pytest.MonkeyPatch, *terms: rewards.RewardTerm) -> None:
    """Put terms in the place of those of their names."""
    own = {term.__name__: term for term in terms}
    monkeypatch.setattr(rewards, "TERMS", tuple(own.get(term.__name__, term) for term in rewards.TERMS))


def test_scales_weigh_per_second_and_zero_switches_off(make_env: MakeEnv, monkeypatch: pytest.MonkeyPatch) -> None:
    """A step's reward is the sum of scale times dt times term; terms of scale 0 are never evaluated."""

    def torques(env: LeggedRobot) -> torch.Tensor:
        return torch.tensor([1.0, 10.0])

    def orientation(env: LeggedRobot) -> torch.Tensor:
        return torch.tensor([4.0, 0.0])

    def lin_vel_z(env: LeggedRobot) -> torch.Tensor:
        raise AssertionError("a term of scale 0 was evaluated")

    put_in_place(monkeypatch, torques, orientation, lin_vel_z)
    scales = ALL_OFF | {"rewards.scales.torques": 3.0, "rewards.scales.orientation": -2.0}
    env = make_env(2, CLEAN, IN_THE_AIR, scales)
    _, reward, _, _ = env.step(torch.zeros(2, 6))
    torch.testing.assert_close(reward, 0.02 * torch.tensor([3.0 - 8.0, 30.0]))
    positive = make_env(2, CLEAN, IN_THE_AIR, scales, {"rewards.only_positive_rewards": True})
    torch.testing.assert_close(positive.step(torch.zeros(2, 6))[1], 0.02 * torch.tensor([0.0, 30.0]))
    slower = make_env(2, CLEAN, IN_THE_AIR, scales, {"control.decimation": 8})
    torch.testing.assert_close(slower.step(torch.zeros(2, 6))[1], 0.04 * torch.tensor([3.0 - 8.0, 30.0]))


def test_each_term_has_the_weight_and_the_log_of_its_own_scale(make_env: MakeEnv) -> None:
    """Whatever queues the terms are dealt to."""
    env = make_env(8)
    for k in range(5):
        env.step(torch.full((8, 6), 0.2 * k))
    expected = torch.stack([weight * term(env) for term, weight in env.rewards.terms])
    assert len({round(value, 9) for value in expected[:, 0].tolist()}) > 12, "they differ"
    before = env.log.sums.clone()
    torch.testing.assert_close(env.rewards.compute(env), expected.sum(0))
    torch.testing.assert_close(env.log.sums - before, expected)


def test_episode_log_is_per_second_of_a_full_episode(make_env: MakeEnv, monkeypatch: pytest.MonkeyPatch) -> None:
    """A term of 1 with scale 3, kept up for a whole episode, is logged as 3."""

    def torques(env: LeggedRobot) -> torch.Tensor:
        return torch.ones(2)

    put_in_place(monkeypatch, torques)
    settings = ALL_OFF | {"rewards.scales.torques": 3.0, "env.episode_length_s": 0.1}
    env = make_env(2, CLEAN, IN_THE_AIR, settings)
    for _ in range(4):
        env.step(torch.zeros(2, 6))
    assert "rew_torques" not in env.episode_log()
    env.step(torch.zeros(2, 6))
    assert env.episode_log()["rew_torques"] == pytest.approx(3.0)
    assert "rew_torques" not in env.episode_log()
    for _ in range(5):
        env.step(torch.zeros(2, 6))
    assert env.episode_log()["rew_torques"] == pytest.approx(3.0), "the sums were not cleared by the reset"


def test_step_feeds_the_terms_with_what_happened(make_env: MakeEnv) -> None:
    """Action history and last joint velocity, as the terms read them in the real environment."""
    env = make_env(1, CLEAN, IN_THE_AIR)
    a, b, c = (torch.full((1, 6), value) for value in (0.1, 0.4, -0.3))
    for action in (a, b):
        env.step(action)
    before = env.state.joint_vel.clone()
    assert torch.equal(env.state.last_joint_vel, before)
    seen: dict[str, torch.Tensor] = {}

    def spy(name: str) -> None:
        term = getattr(rewards, name)
        seen[name] = term(env).clone()

    original = env.rewards.compute

    def compute(env: LeggedRobot) -> torch.Tensor:
        for name in ("action_rate", "action_smooth", "dof_acc"):
            spy(name)
        return original(env)

    env.rewards.compute = compute  # type: ignore[method-assign]
    env.step(c)
    assert seen["action_rate"].item() == pytest.approx(6 * 0.7**2, rel=1e-5)
    assert seen["action_smooth"].item() == pytest.approx(6 * (-0.3 - 0.8 + 0.1) ** 2, rel=1e-5)
    expected = ((env.state.joint_vel - before) / 0.02).square().sum()
    assert seen["dof_acc"].item() == pytest.approx(expected.item(), rel=1e-5)


def test_a_new_episode_starts_from_zero_actions(make_env: MakeEnv) -> None:
    """The first action after a reset is compared with zeros, not with the last episode's."""
    env = make_env(1, CLEAN, IN_THE_AIR)
    action = torch.full((1, 6), 0.5)
    for _ in range(3):
        env.step(action)
    env.episode_length_buf = torch.tensor([env.max_episode_length - 1])
    assert env.step(action)[2].all()
    env.step(action)
    assert rewards.action_rate(env).item() == rewards.action_smooth(env).item() == pytest.approx(6 * 0.25)


def test_soft_limits_and_bodies_come_from_the_robot(make_env: MakeEnv) -> None:
    env = make_env(1, {"rewards.soft_dof_pos_limit": 0.5})
    low, high = env.rewards.soft_joint_limits
    # hip_L of PF_TRON1A: -1.012291 .. 1.396263, the middle half of it
    assert low[1].item() == pytest.approx(-0.4101525, abs=1e-5) and high[1].item() == pytest.approx(0.7941245, abs=1e-5)
    bodies = env.sim.robot.body_names
    assert {bodies[i] for i in env.rewards.penalized_bodies} == {name for name in bodies if "foot" not in name}
