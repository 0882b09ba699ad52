"""The parts of the environment: what a recorded step has to give back to them."""

from typing import Any

import torch

from legged_gym.envs.base.legged_robot import LeggedRobot
from tests.envs.making import MakeEnv


def parts_of(thing: Any, path: str, found: dict[str, Any]) -> dict[str, Any]:
    """All objects of the environment's modules by path, the environment itself included."""
    found[path] = thing
    for name, value in vars(thing).items():
        if type(value).__module__.startswith("legged_gym.envs") and all(value is not part for part in found.values()):
            parts_of(value, f"{path}.{name}", found)
    return found


def tensors(parts: dict[str, Any]) -> dict[tuple[str, str], torch.Tensor]:
    """The tensors that are attributes of the parts."""
    named = {(path, name): value for path, part in parts.items() for name, value in vars(part).items()}
    return {place: value for place, value in named.items() if isinstance(value, torch.Tensor)}


def test_what_a_step_binds_anew_is_given_back_after_a_recorded_one(make_env: MakeEnv) -> None:
    """A CUDA graph writes to the tensors of its recording: parts that hold others would show what was long ago."""
    env: LeggedRobot = make_env(3, {"curriculum.enabled": False, "domain_rand.push_interval_s": 0.04})
    env.step(torch.zeros(3, 6))
    parts = parts_of(env, "env", {})
    assert {"env.state", "env.actions", "env.disturbances.shove", "env.ground", "env.observer"} <= set(parts)
    for graphed in (env._before_physics, env._after_physics):
        before = tensors(parts)
        graphed.function(*([torch.zeros(3, 6)] if graphed is env._before_physics else []))
        bound = {place for place, value in tensors(parts).items() if value is not before.get(place)}
        owners = {path for path, part in parts.items() if any(part is owner for owner in graphed._owners)}
        assert {path for path, _ in bound} == owners, bound
