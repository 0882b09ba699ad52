"""Terms and events of a user's own package, found on the environment's class and by the config."""

from dataclasses import dataclass, field
from typing import Any

import pytest
import torch

from legged_gym.envs.base.legged_robot_config import LeggedRobotCfg
from legged_gym.envs.base.observations import Term
from legged_gym.envs.pointfoot.pointfoot_flat import PointFootFlat
from legged_gym.envs.pointfoot.pointfoot_flat_config import (
    PointFootFlatCfg,
    PointFootRewardScalesCfg,
    PointFootRewardsCfg,
)
from legged_gym.evaluation.suites import nominal_cfg
from legged_gym.utils.config import ConfigError
from tests.envs import own_terms
from tests.envs.making import CLEAN, build

OWN = "tests.envs.own_terms"


@dataclass
class OwnScalesCfg(PointFootRewardScalesCfg):
    hop: float = -5.0
    always_two: float = 3.0


@dataclass
class OwnRewardsCfg(PointFootRewardsCfg):
    scales: OwnScalesCfg = field(default_factory=OwnScalesCfg)
    terms: tuple[str, ...] = (f"{OWN}:always_two",)


@dataclass
class OwnCfg(PointFootFlatCfg):
    rewards: OwnRewardsCfg = field(default_factory=OwnRewardsCfg)


class OwnRobot(PointFootFlat):
    def _reward_hop(self) -> torch.Tensor:
        return torch.full((self.num_envs,), 7.0)

    def _reward_torques(self) -> torch.Tensor:
        return torch.zeros(self.num_envs)

    def group_terms(self) -> dict[str, list[Term]]:
        groups = super().group_terms()
        return groups | {"critic": [*groups["critic"], Term("feet", lambda e: e.state.feet_height, 2.0)]}


def own_cfg(num_envs: int = 2) -> OwnCfg:
    cfg = OwnCfg()
    cfg.env.num_envs, cfg.asset.robot_type, cfg.sim.backend = num_envs, "PF_TRON1A", "mujoco"
    return cfg


def test_reward_terms_are_found_on_the_class_and_in_the_config() -> None:
    env = OwnRobot(own_cfg())
    names = [name.removeprefix("rew_") for name in env.log.names]
    terms = dict(zip(names, env.rewards.terms, strict=True))
    for name, value, scale in (("hop", 7.0, -5.0), ("always_two", 2.0, 3.0)):
        term, weight = terms[name]
        assert term(env).tolist() == [value] * 2 and weight == pytest.approx(scale * env.dt)
    assert terms["torques"][0](env).tolist() == [0.0] * 2, "the class goes before the package"
    with_them = env.step(torch.zeros(2, 6))[1]
    assert with_them.isfinite().all()
    env.sim.close()


def test_a_scale_without_a_term_is_refused() -> None:
    """Whatever its value: a scale that nothing answers to is a mistake."""
    for scale in (-5.0, 0.0):
        cfg = own_cfg()
        cfg.rewards.scales.hop = scale
        with pytest.raises(ConfigError, match=r"rewards\.scales\.hop: there is no reward term of that name; write it"):
            PointFootFlat(cfg)


def test_an_environment_that_rewards_nothing_is_refused() -> None:
    """The base's config has no scale: a task says what its robots are rewarded for."""
    for cfg in (LeggedRobotCfg(), own_cfg()):
        for name in vars(cfg.rewards.scales):
            setattr(cfg.rewards.scales, name, 0.0)
        cfg.env.num_envs, cfg.sim.backend = 1, "mujoco"
        with pytest.raises(ConfigError, match=r"rewards\.scales: all are 0, so nothing is rewarded; give a weight to"):
            OwnRobot(cfg)


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("rewards.terms", f"{OWN}:feet_height", "feet_height has no scale: add a field feet_height to the class of"),
        ("rewards.terms", f"{OWN}:nothing", f"there is no function nothing in {OWN}"),
        ("rewards.terms", f"{OWN}:NOT_A_FUNCTION", f"there is no function NOT_A_FUNCTION in {OWN}"),
        ("rewards.terms", "no_such_package:hop", "no module no_such_package; install its package, or name it with"),
        ("rewards.terms", "hop", "got 'hop', expected package.module:function"),
        ("observations.critic", "a:b:c", "observations.critic: got 'a:b:c', expected package.module:function"),
        ("events.step", f"{OWN}:jump", f"events.step: there is no function jump in {OWN}"),
    ],
)
def test_functions_that_are_not_there(path: str, value: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        build(1, {path: (value,)})
    with pytest.raises(ConfigError, match="two functions are named stand"):
        build(1, {"events.reset": (f"{OWN}:stand", f"{OWN}:stand")})


def test_observation_terms_of_the_config_and_of_the_class() -> None:
    plain = build(2, CLEAN)
    env = build(2, CLEAN, {"observations.policy": (f"{OWN}:feet_height",), "observations.critic": (f"{OWN}:torques",)})
    for group, name, width in (("policy", "feet_height", 2), ("critic", "torques", 1)):
        assert env.observation_terms[group] == [*plain.observation_terms[group], (name, width)]
    assert torch.allclose(env.get_observations()["policy"][:, -2:], env.state.feet_height)
    assert env.get_observations()["history"].shape[1] == 10 * 32
    own = OwnRobot(own_cfg())
    assert own.observation_terms["critic"][-1] == ("feet", 2)
    assert torch.allclose(own.get_observations()["critic"][:, -2:], 2.0 * own.state.feet_height)
    for made in (plain, env, own):
        made.sim.close()
    with pytest.raises(ValueError, match=r"observation term of_another_shape: has shape \(3, 2\), expected \(N, width"):
        build(2, {"observations.critic": (f"{OWN}:of_another_shape",)})


def test_events_see_robots_where_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    """Just placed somewhere else, or just kicked."""
    monkeypatch.setattr(own_terms, "SEEN", [])
    events: dict[str, Any] = {"events.reset": (f"{OWN}:look",), "events.step": (f"{OWN}:look",)}
    env = build(4, events, {"domain_rand.push_interval_s": 0.02, "env.episode_length_s": 0.1})
    env.curriculum.difficulty.fill_(1.0)
    env.episode_length_buf = torch.tensor([4, 0, 0, 4])
    for _ in range(3):
        env.step(torch.zeros(4, 6))
    assert len(own_terms.SEEN) > 5
    for seen, true in own_terms.SEEN:
        torch.testing.assert_close(seen, true)
    env.sim.close()


def test_events_happen_and_not_where_a_policy_is_judged() -> None:
    events: dict[str, Any] = {"events.reset": (f"{OWN}:stand",), "events.step": (f"{OWN}:pull_down",)}
    env = build(3, CLEAN, events, {"commands.resampling_time": 100.0, "env.episode_length_s": 0.1})
    assert (env.commands.command == 0.125).all(), "robots are asked from the first step on"
    env.commands.command.zero_()
    env.episode_length_buf = torch.tensor([4, 0, 0])
    env.step(torch.zeros(3, 6))
    assert (env.sim.wrench_w[:, 0, 2] == -30.0).all()
    assert (env.commands.command == 0.125).all(-1).tolist() == [True, False, False], "those that begin an episode"
    assert nominal_cfg(env.cfg).events == type(env.cfg.events)()
    env.sim.close()
