"""What is special to point feet: V_stab against numbers worked out by hand; and the ground, which only critics see."""

import math
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from legged_gym.envs.pointfoot.pointfoot_flat import PointFootFlat
from legged_gym.envs.pointfoot.pointfoot_flat_config import PointFootFlatCfg
from tests.envs.making import CLEAN, MakeEnv

OMEGA = 3.0
HEIGHT = 9.81 / OMEGA**2
"""Of the centre of mass over the stance foot, for that natural frequency [m]."""


def standing(**given: Any) -> Any:
    """Four robots on their left feet at (0, 0.1), 0.1 s before the right foot lands, at 2 Hz."""
    env = SimpleNamespace(cfg=PointFootFlatCfg())
    feet = torch.tensor([[[0.0, 0.1, 0.03], [0.5, -0.1, 0.13]]]).repeat(4, 1, 1)
    com = torch.tensor([[0.0, 0.1, 0.03 + HEIGHT]]).repeat(4, 1)
    env.state = SimpleNamespace(feet_pos_w=feet, com_pos_w=com, com_lin_vel_w=torch.zeros(4, 3))
    env.gait = SimpleNamespace(clock=torch.full((4,), 0.3), params=torch.tensor([[2.0, 0.5, 0.5, 0.1]]).repeat(4, 1))
    for name, value in given.items():
        setattr(env.gait if name == "clock" else env.state, name, torch.tensor(value))
    return env


def test_capture_excess_by_hand() -> None:
    """xi - p grows by e^(omega t) until the foot lands: from 0.3 m to 0.405 m, within 0.45 m; from 0.5 m to 0.675 m."""
    growth = math.exp(OMEGA * 0.1)
    env = standing(com_lin_vel_w=[[0.0] * 3, [0.9, 0.0, 5.0], [1.5, 0.0, 0.0], [0.9, 1.2, 0.0]])
    excess = PointFootFlat.capture_excess(env)
    beyond = 0.5 * growth - 0.45
    torch.testing.assert_close(excess, torch.tensor([0.0, 0.0, beyond, beyond]), rtol=1e-5, atol=1e-6)


def test_capture_excess_is_from_the_foot_that_the_clock_has_on_the_ground() -> None:
    """In the second half of the cycle that is the right one, which is 0.5 m ahead; and a long way from landing."""
    env = standing(clock=[0.8, 0.5, 0.3, 0.3])
    excess = PointFootFlat.capture_excess(env)
    distance, height = math.hypot(0.5, 0.2), HEIGHT - 0.1
    omega = math.sqrt(9.81 / height)
    expected = [distance * math.exp(omega * t) - 0.45 for t in (0.1, 0.25)]
    torch.testing.assert_close(excess, torch.tensor([*expected, 0.0, 0.0]), rtol=1e-5, atol=1e-6)


def test_a_robot_that_falls_costs_a_finite_amount() -> None:
    env = standing(com_lin_vel_w=[[1e3, 0.0, 0.0]] * 4, com_pos_w=[[9.0, 9.0, 0.0]] * 4)
    assert PointFootFlat.capture_excess(env).tolist() == [1.0] * 4


def test_v_stab_is_an_option(make_env: MakeEnv) -> None:
    """Off by default; switched on, it is one more term of the reward, and the reach is the config's."""
    env = make_env(2, CLEAN)
    assert "rew_v_stab" not in env.log.names
    on = make_env(2, CLEAN, {"rewards.scales.v_stab": -10.0})
    term, weight = on.rewards.terms[on.log.names.index("rew_v_stab")]
    assert weight == pytest.approx(-0.2)
    on.state.com_lin_vel_w[:] = torch.tensor([1.5, 0.0, 0.0])
    assert isinstance(on, PointFootFlat)
    far = on.capture_excess()
    assert (far > 0.0).all() and (far < 1.0).all()
    on.cfg.rewards.capture_reach = 0.6
    torch.testing.assert_close(on.capture_excess(), (far - 0.15).clamp(min=0.0))
    torch.testing.assert_close(term(on), on.capture_excess().square())


def test_level_ground_is_the_plane_and_only_the_critic_sees_another_one(make_env: MakeEnv) -> None:
    small = {"terrain.num_rows": 2, "terrain.num_cols": 2, "terrain.horizontal_scale": 0.1}
    small |= {"terrain.max_init_terrain_level": 0}
    flat, rough = make_env(2, small), make_env(2, small, {"terrain.profile": "stairs_up"})
    assert flat.cfg.terrain.mesh_type == rough.cfg.terrain.mesh_type == "trimesh"
    assert flat.sim.options.terrain is None and rough.sim.options.terrain is not None
    names = {name: [term for term, _ in terms] for name, terms in rough.observation_terms.items()}
    assert names.pop("critic")[-1] == "ground_around"
    assert not [group for group, terms in names.items() if "ground_around" in terms]
    assert flat.observation_terms["critic"] == rough.observation_terms["critic"][:-1]
