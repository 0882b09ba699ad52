"""A simulator of the user's own, registered from outside this package: the example of docs/add_a_simulator.md."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from legged_gym import LEGGED_GYM_ROOT_DIR
from legged_gym.options.resolve import choose_engine
from legged_gym.sim import registry
from legged_gym.sim.process.config import ProcessCfg
from legged_gym.sim.registry import make_simulator, register_simulator, resolve_simulator
from legged_gym.sim.robot_model import RobotModel
from legged_gym.sim.sim_options import SimOptions
from legged_gym.sim.sim_state import Placement
from legged_gym.sim.simulator import Simulator
from legged_gym.utils.errors import UserError
from legged_gym.utils.machine import Machine
from tests.envs.making import build

DOC = Path(LEGGED_GYM_ROOT_DIR) / "docs" / "add_a_simulator.md"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder on the path with the page's example in it; what it registers is forgotten afterwards."""
    (tmp_path / "free_fall.py").write_text(re.findall(r"```python\n(.*?)```", DOC.read_text(), re.DOTALL)[0])
    monkeypatch.syspath_prepend(str(tmp_path))
    before = dict(registry.SIMULATORS)
    yield tmp_path
    sys.modules.pop("free_fall", None)
    registry.SIMULATORS.clear()
    registry.SIMULATORS.update(before)


def fall(sim: Simulator) -> torch.Tensor:
    """Place, push and step two robots; returns where they are."""
    everyone = torch.ones(2, dtype=torch.bool)
    sim.reset(everyone, Placement.at_rest(torch.tensor([[0.0, 0.0, 5.0], [1.0, 0.0, 6.0]]), 6))
    sim.push(torch.tensor([False, True]), torch.tensor([[1.0, 0.0, 0.0]]).repeat(2, 1))
    for _ in range(10):
        sim.step(torch.full((2, 6), 0.1))
    return sim.state.root_pos_w.clone()


def test_it_runs_through_the_registry(folder: Path, pf_tron1a: RobotModel) -> None:
    __import__("free_fall")
    assert resolve_simulator("free_fall") == "free_fall"
    near = make_simulator("free_fall", pf_tron1a, 2, SimOptions(), "cpu")
    fallen = 0.5 * 9.81 * 0.2**2
    torch.testing.assert_close(fall(near), torch.tensor([[0.0, 0.0, 5.0 - fallen], [1.2, 0.0, 6.0 - fallen]]))
    picture = near.render(width=32, height=24)
    assert picture.shape == (24, 32, 3) and picture.std() > 1.0
    near.close()


def test_it_runs_in_a_process_of_its_own(folder: Path, pf_tron1a: RobotModel) -> None:
    """A worker imports the class itself: nobody registers it there."""
    __import__("free_fall")
    near = make_simulator("free_fall", pf_tron1a, 2, SimOptions(), "cpu")
    far = make_simulator("free_fall", pf_tron1a, 2, SimOptions(), "cpu", ProcessCfg(enabled=True))
    assert type(far) is not type(near)
    torch.testing.assert_close(fall(far), fall(near), rtol=0.0, atol=1e-6)
    far.close()


def test_the_environment_takes_it(folder: Path) -> None:
    __import__("free_fall")
    env = build(2, {"sim.backend": "free_fall", "terrain.mesh_type": "plane"})
    start = env.state.root_pos_w[:, 2].clone()
    for _ in range(5):
        obs, reward, _, _ = env.step(torch.zeros(2, 6))
    assert (env.state.root_pos_w[:, 2] < start - 0.03).all()
    assert reward.isfinite().all() and obs["policy"].isfinite().all()
    env.sim.close()


def test_the_conformance_suite_picks_it_up(folder: Path) -> None:
    """And judges it: one check that it passes, and one that it cannot pass."""
    checks = ("test_state.py::test_reset_reads_back", "test_contact.py::test_contact_forces_carry_the_weight")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "free_fall", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [*command, *(f"tests/sim/conformance/{check}[free_fall]" for check in checks)],
        cwd=LEGGED_GYM_ROOT_DIR,
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert f"FAILED tests/sim/conformance/{checks[1]}[free_fall]" in done.stdout, done.stdout
    assert "1 failed, 1 passed" in done.stdout, done.stdout


def test_a_machine_with_a_gpu_keeps_it_on_the_cpu(folder: Path) -> None:
    """Its registry line says so; nothing else knows its name."""
    __import__("free_fall")
    with_gpu = Machine(cores=8, memory_gib=16.0, cuda_devices=1)
    assert choose_engine("free_fall", None, with_gpu) == ("free_fall", "cpu")
    with pytest.raises(UserError, match="--sim_device=cuda:0: the simulator free_fall runs only on the CPU"):
        choose_engine("free_fall", "cuda:0", with_gpu)


def test_names_are_taken_once(folder: Path) -> None:
    for name in ("mujoco", "auto"):
        with pytest.raises(
            ValueError, match=f"there is a simulator '{name}' already; taken: auto, mujoco, mujoco_warp"
        ):
            register_simulator(name, "free_fall:FreeFall")
    with pytest.raises(ValueError, match=r"'free_fall\.py' is no path, expected module:class"):
        register_simulator("free_fall", "free_fall.py")
    assert "free_fall" not in registry.SIMULATORS


@pytest.mark.parametrize("path", ["free_fall:Typo", "free_fall:GRAVITY"])
def test_a_class_that_is_not_there_is_named(path: str, folder: Path, pf_tron1a: RobotModel) -> None:
    register_simulator("other", path)
    with pytest.raises(ValueError, match=f"free_fall has no simulator '{path.partition(':')[2]}'"):
        make_simulator("other", pf_tron1a, 1, SimOptions(), "cpu")
    with pytest.raises(ValueError, match=r"unknown simulator 'bullet'; known: auto, .*isaacgym.*, other"):
        resolve_simulator("bullet")
