"""The suite itself: every test of it is red for a backend that does nothing, and every backend has to pass it.

Outputs are poisoned with NaN before every call. Angles, frames and masses are compared with plain MuJoCo (`Reference`),
everything else with mechanics.
"""

import importlib
import inspect
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from legged_gym.sim.registry import SIMULATORS, make_simulator, resolve_simulator
from legged_gym.sim.robot_model import RobotModel
from legged_gym.sim.sim_options import SimOptions
from tests.sim.conformance.bench import BACKENDS, Backend, Bench, Idle

MODULES = [path.stem for path in sorted(Path(__file__).parent.glob("test_*.py")) if path.stem != Path(__file__).stem]
CHECKS = [
    value
    for module in MODULES
    for name, value in vars(importlib.import_module(f"tests.sim.conformance.{module}")).items()
    if name.startswith("test_") and list(inspect.signature(value).parameters)[:1] == ["bench"] and "refused" not in name
]
"""All tests of a backend, but for the input checks that the base class does for all of them."""


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_an_idle_backend_fails(check: Callable[..., None]) -> None:
    """Every test of this folder is red for a backend that does nothing."""
    arguments = {"name": "kp", "speed": torch.nan, "body": 0, "reach": 1.39}
    wanted = {key: value for key, value in arguments.items() if key in inspect.signature(check).parameters}
    idle = Bench("idle", Backend(device="cpu", atol=2e-5), Idle)
    with pytest.raises((AssertionError, NotImplementedError, pytest.fail.Exception)):
        check(idle, **wanted)


def test_every_registered_backend_is_tested() -> None:
    assert set(SIMULATORS) <= set(BACKENDS)


def test_unknown_simulators_are_refused(pf_tron1a: RobotModel) -> None:
    with pytest.raises(ValueError, match="unknown simulator 'bullet'; known: auto, mujoco"):
        make_simulator("bullet", pf_tron1a, 1, SimOptions(), "cpu")
    assert resolve_simulator("auto") in SIMULATORS


def test_mujoco_runs_on_the_cpu_only(pf_tron1a: RobotModel) -> None:
    with pytest.raises(ValueError, match="runs on the CPU: use --sim_device cpu"):
        make_simulator("mujoco", pf_tron1a, 1, SimOptions(), "cuda:0")
