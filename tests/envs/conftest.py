"""Fixtures of the environment tests."""

from collections.abc import Iterator
from typing import Any

import pytest

from legged_gym.envs.base.legged_robot import LeggedRobot
from tests.envs.making import MakeEnv, build


@pytest.fixture
def make_env() -> Iterator[MakeEnv]:
    """Builds environments and closes their simulators after the test."""
    built: list[LeggedRobot] = []

    def make(num_envs: int, *settings: dict[str, Any]) -> LeggedRobot:
        built.append(build(num_envs, *settings))
        return built[-1]

    yield make
    for env in built:
        env.sim.close()
