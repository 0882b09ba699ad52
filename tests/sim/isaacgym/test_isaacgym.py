"""Isaac Gym's worker over the stand-in: what the suite that all backends share does not see."""

import dataclasses
import json
from collections.abc import Iterator
from dataclasses import asdict, fields, replace
from pathlib import Path

import pytest
import torch

from legged_gym.sim.isaacgym import simulator as isaacgym
from legged_gym.sim.isaacgym.config import IsaacGymCfg
from legged_gym.sim.isaacgym.simulator import IsaacGymSimulator
from legged_gym.sim.process.errors import (
    EngineMissing,
    InterpreterMissing,
    LibPythonMissing,
    PackageMissing,
    RequestRefused,
    WorkerDied,
    WorkerError,
)
from legged_gym.sim.robot_model import RobotModel, robot_urdf
from legged_gym.sim.sim_options import SimOptions
from legged_gym.sim.sim_state import Placement, SimState
from tests.sim.process.pool import pooled_workers, stand_in_environment

OPTIONS = SimOptions(num_threads=1)


@pytest.fixture
def environment() -> Iterator[pytest.MonkeyPatch]:
    with stand_in_environment() as patch:
        yield patch


def spin(sim: IsaacGymSimulator) -> SimState:
    """Step robots that turn and move in the air, then land; return what is seen."""
    n = sim.num_envs
    pos, omega = torch.tensor([0.0, 0.0, 0.8]).repeat(n, 1), torch.tensor([0.4, -0.3, 2.0]).repeat(n, 1)
    q = 0.1 * torch.arange(6.0).sub(2.5).repeat(n, 1)
    start = replace(Placement.at_rest(pos, 6), root_ang_vel_w=omega, joint_pos=q)
    sim.reset(torch.ones(n, dtype=torch.bool), start)
    for k in range(8):
        sim.step(0.2 * torch.sin(torch.arange(6.0) + k).repeat(n, 1))
    assert sim.state.contact_force_w.abs().sum() > 10.0
    return SimState(**{f.name: getattr(sim.state, f.name).clone() for f in fields(SimState)})


def seen(robot: RobotModel, cfg: IsaacGymCfg | None = None) -> SimState:
    sim = IsaacGymSimulator(robot, 2, replace(OPTIONS, engine=cfg))
    state = spin(sim)
    sim.close()
    return state


@pytest.fixture(scope="module")
def usual() -> SimState:
    """What `spin` gives with all of the stand-in's settings at rest."""
    with pooled_workers():
        return seen(RobotModel.from_urdf(robot_urdf("PF_TRON1A")))


# -- what nobody has written down --------------------------------------------------------------------------------------


def test_isaac_gyms_conventions_do_not_matter(odd: Path, pf_tron1a: RobotModel, usual: SimState) -> None:
    """Whichever point's velocity Isaac Gym means, and in whatever order it has links and joints: the same motion."""
    state = seen(pf_tron1a)
    for field in fields(SimState):
        ours, theirs = getattr(state, field.name), getattr(usual, field.name)
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-3, msg=field.name)


@pytest.fixture(scope="module")
def record(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the odd stand-in writes its parameters."""
    return tmp_path_factory.mktemp("odd") / "record"


@pytest.fixture
def odd(record: Path) -> Iterator[Path]:
    """Let Isaac Gym be a stand-in with the other conventions."""
    with stand_in_environment() as patch:
        patch.setenv("STANDIN_VELOCITY", "origin")
        patch.setenv("STANDIN_REVERSED", "1")
        patch.setenv("STANDIN_RECORD", str(record))
        with pooled_workers("odd"):
            yield record


def test_feet_that_measure_forces_themselves_agree(pf_tron1a: RobotModel, usual: SimState) -> None:
    """As on the GPU's triangle meshes."""
    with pooled_workers():
        state = seen(pf_tron1a, IsaacGymCfg(foot_force_sensors=True))
    torch.testing.assert_close(state.contact_force_w, usual.contact_force_w)


def test_every_option_reaches_physx(odd: Path, pf_tron1a: RobotModel) -> None:
    """Each field of `IsaacGymCfg` is found in Isaac Gym's own parameters, or tested above."""
    changed = IsaacGymCfg(
        substeps=2,
        solver_type=0,
        num_position_iterations=5,
        num_velocity_iterations=1,
        contact_offset=0.02,
        rest_offset=0.001,
        bounce_threshold_velocity=0.3,
        max_depenetration_velocity=2.0,
        max_gpu_contact_pairs=2**20,
        default_buffer_size_multiplier=3.0,
        restitution=0.2,
        friction_combine="multiply",
        env_spacing=7.0,
    )
    sim = IsaacGymSimulator(pf_tron1a, 4, replace(OPTIONS, engine=changed))
    sim.step(torch.zeros(4, 6))
    sim.close()
    lines = [json.loads(line) for line in odd.read_text().splitlines()]
    got = {line["name"]: line["values"] for line in lines}
    params, physx, plane = got["params"], got["params"]["physx"], got["plane"]
    for name, value in asdict(changed).items():
        if name in physx:
            assert physx[name] == pytest.approx(value), name
    assert params["substeps"] == 2 and params["dt"] == pytest.approx(0.005) and params["gravity"]["z"] < -9.8
    assert plane["restitution"] == pytest.approx(0.2) and plane["dynamic_friction"] == 1.0
    assert got["env_upper"]["x"] - got["env_lower"]["x"] == 7.0
    in_physx = set(physx) | {"substeps", "restitution", "friction_combine", "env_spacing", "foot_force_sensors"}
    assert {f.name for f in fields(IsaacGymCfg)} <= in_physx


@pytest.fixture
def as_on_a_gpu(pf_tron1a: RobotModel) -> Iterator[IsaacGymSimulator]:
    """Two robots that have flown for a step, on what this end takes for the GPU pipeline."""
    with pooled_workers():
        sim = IsaacGymSimulator(pf_tron1a, 2, OPTIONS)
        sim.set_parameter("base_mass_added", torch.tensor([1.0, 2.0]))
        sim.push(torch.ones(2, dtype=torch.bool), torch.tensor([[0.5, 0.0, 3.0]]).repeat(2, 1))
        sim.step(torch.zeros(2, 6))
        sim._on_gpu_pipeline = True
        yield sim
        sim.close()


def test_the_gpus_masses_stay_as_they_were_at_the_first_step(
    as_on_a_gpu: IsaacGymSimulator, capfd: pytest.CaptureFixture[str]
) -> None:
    """PhysX takes no new masses there while it runs; `parameters` say what is in force, and one line says why."""
    sim = as_on_a_gpu
    later = {"base_mass_added": torch.tensor([3.0, 3.0]), "friction": torch.full((2, 2), 0.5)}
    for _ in range(2):
        sim.set_parameters(later, torch.ones(2, dtype=torch.bool))
    assert sim.parameters["base_mass_added"].tolist() == [1.0, 2.0] and (sim.parameters["friction"] == 0.5).all()
    assert capfd.readouterr().err.count("keeps the masses of the first step") == 1


def test_new_masses_for_all_start_the_gpu_anew(as_on_a_gpu: IsaacGymSimulator) -> None:
    """As an evaluation sets them; the robots go on where they are, reset or not."""
    sim = as_on_a_gpu
    worker, before = sim._worker, sim.state.root_pos_w.clone()
    offset = (sim.state.com_pos_w - before)[:, 2].clone()
    sim.set_parameter("base_mass_added", torch.tensor([10.0, 10.0]))
    assert sim._worker is worker
    s, second = sim.state, torch.tensor([False, True])
    there = torch.tensor([[0.0, 0.0, 2.0]]).repeat(2, 1)
    sim.reset(second, replace(Placement.of(s), root_pos_w=there))
    sim.step(torch.zeros(2, 6))
    assert sim._worker is not worker
    expected = torch.stack((before[0], there[1])) + 0.02 * torch.tensor([0.5, 0.0, 2.7])
    torch.testing.assert_close(s.root_pos_w, expected, rtol=0.0, atol=0.01)
    assert ((s.com_pos_w - s.root_pos_w)[:, 2] > offset + 0.02).all(), "the base is not heavier"


# -- what may be missing -----------------------------------------------------------------------------------------------


def start(robot: RobotModel) -> IsaacGymSimulator:
    return IsaacGymSimulator(robot, 1, OPTIONS)


def broken_isaacgym(folder: Path, **modules: str) -> str:
    """Make a package `isaacgym` of the given sources; returns the folder for the path."""
    package = folder / "isaacgym"
    package.mkdir()
    for name, source in ({"__init__": "", "gymapi": "", "gymtorch": ""} | modules).items():
        (package / f"{name}.py").write_text(source)
    return str(folder)


def test_the_interpreter_must_be_named(environment: pytest.MonkeyPatch, pf_tron1a: RobotModel) -> None:
    environment.delenv(isaacgym.VARIABLE)
    with pytest.raises(InterpreterMissing, match="ISAACGYM_PYTHON is not set; set ISAACGYM_PYTHON to the python"):
        start(pf_tron1a)


@pytest.mark.parametrize("python", ["/no/such/python", "/etc/passwd", "/bin/false"])
def test_the_interpreter_must_be_one(environment: pytest.MonkeyPatch, pf_tron1a: RobotModel, python: str) -> None:
    environment.setenv(isaacgym.VARIABLE, python)
    with pytest.raises(InterpreterMissing, match="set ISAACGYM_PYTHON to the python of your Isaac Gym environment"):
        start(pf_tron1a)


def test_an_old_interpreter_is_named(environment: pytest.MonkeyPatch, pf_tron1a: RobotModel, tmp_path: Path) -> None:
    old = tmp_path / "python"
    old.write_text("#!/bin/sh\necho 'SyntaxError: future feature annotations is not defined' >&2\nexit 1\n")
    old.chmod(0o755)
    environment.setenv(isaacgym.VARIABLE, str(old))
    with pytest.raises(InterpreterMissing, match=rf"under {old}: cannot start \(SyntaxError: future feature"):
        start(pf_tron1a)


def test_an_interpreter_without_libpython(
    environment: pytest.MonkeyPatch, pf_tron1a: RobotModel, tmp_path: Path
) -> None:
    words = "error while loading shared libraries: libpython3.8.so.1.0: cannot open shared object file"
    python = tmp_path / "python"
    python.write_text(f"#!/bin/sh\necho 'python: {words}' >&2\nexit 127\n")
    python.chmod(0o755)
    environment.setenv(isaacgym.VARIABLE, str(python))
    with pytest.raises(LibPythonMissing, match=r"libpython3\.8.*add the lib folder of that environment to LD_LIBRARY"):
        start(pf_tron1a)


@pytest.mark.parametrize(
    ("modules", "error", "text"),
    [
        (None, EngineMissing, "cannot import isaacgym .*No module named 'isaacgym'.*install Isaac Gym there"),
        (
            {"gymapi": "raise ImportError('libpython3.8.so.1.0: cannot open shared object file')"},
            LibPythonMissing,
            "libpython3.*LD_LIBRARY_PATH",
        ),
        ({"gymapi": "import config"}, EngineMissing, "No module named 'config'"),
        ({"gymtorch": "raise RuntimeError('Ninja is required')"}, EngineMissing, "gymtorch .*Ninja is required"),
        (
            {"__init__": "import sys; sys.modules['torch'] = None"},
            PackageMissing,
            "cannot import torch .*numpy and torch",
        ),
        ({"__init__": "import os; os.abort()"}, WorkerDied, "was ended by SIGABRT"),
    ],
    ids=["no isaacgym", "no libpython", "not our config", "no ninja", "no torch", "crash"],
)
def test_what_is_missing_is_named(
    environment: pytest.MonkeyPatch,
    pf_tron1a: RobotModel,
    tmp_path: Path,
    modules: dict[str, str] | None,
    error: type[WorkerError],
    text: str,
) -> None:
    environment.setenv("PYTHONPATH", "" if modules is None else broken_isaacgym(tmp_path, **modules))
    with pytest.raises(error, match=text) as caught:
        start(pf_tron1a)
    assert "\n" not in str(caught.value)


def test_the_objections_of_isaac_gym_reach_the_user(pf_tron1a: RobotModel) -> None:
    other = dataclasses.replace(pf_tron1a, joint_names=("a", "b", "c", "d", "e", "f"))
    with (
        pytest.raises(RequestRefused, match=r"the worker of isaacgym: Isaac Gym sees the joint names .*expected \['a'"),
        pooled_workers(),
    ):
        start(other)
