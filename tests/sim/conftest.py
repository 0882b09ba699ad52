"""Fixtures of the simulator tests."""

from collections.abc import Iterator

import pytest

from legged_gym.sim.robot_model import RobotModel, robot_urdf
from tests.sim.conformance.bench import BACKENDS, Bench, make_bench


@pytest.fixture(params=sorted(name for name, backend in BACKENDS.items() if backend.device))
def bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    """Every backend that can run here."""
    bench = make_bench(request.param)
    yield bench
    for sim in bench.built:
        sim.close()


@pytest.fixture
def pf_tron1a() -> RobotModel:
    return RobotModel.from_urdf(robot_urdf("PF_TRON1A"))
