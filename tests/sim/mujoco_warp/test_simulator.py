"""What is particular to the MuJoCo Warp backend; the conformance suite tests what all backends share."""

import importlib.util
from collections.abc import Callable
from dataclasses import fields, replace

import mujoco
import pytest
import torch

from legged_gym.sim.mujoco import spec as robot_spec
from legged_gym.sim.mujoco.simulator import MujocoSimulator
from legged_gym.sim.registry import resolve_simulator
from legged_gym.sim.robot_model import RobotModel
from legged_gym.sim.sim_options import SimOptions
from legged_gym.sim.sim_state import Placement, SimState
from legged_gym.sim.simulator import Simulator

backend = pytest.importorskip("legged_gym.sim.mujoco_warp.simulator", reason="needs the extra 'gpu'")
graph_module = pytest.importorskip("legged_gym.sim.mujoco_warp.graph", reason="needs the extra 'gpu'")
needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")

LYING = (0.0, 0.70710678, 0.0, 0.70710678)


def make(robot: RobotModel, num_envs: int = 2, device: str = "cpu", **options: float) -> Simulator:
    return backend.MujocoWarpSimulator(robot, num_envs, SimOptions(**options), device)  # type: ignore[arg-type]


def place(sim: Simulator, height: float, quat: tuple[float, ...] = (0.0, 0.0, 0.0, 1.0)) -> None:
    """Put all robots at a height, at rest."""
    n, device = sim.num_envs, sim.device
    pos = torch.tensor([0.0, 0.0, height], device=device).repeat(n, 1)
    everyone = torch.ones(n, dtype=torch.bool, device=device)
    turned = torch.tensor(quat, device=device).repeat(n, 1)
    sim.reset(everyone, replace(Placement.at_rest(pos, 6), root_quat_xyzw=turned))


def thrash(sim: Simulator, steps: int) -> None:
    """Step with large targets that change all the time, seeded."""
    draw = torch.Generator().manual_seed(0)
    for _ in range(steps):
        sim.step((4.0 * torch.rand(sim.num_envs, 6, generator=draw) - 2.0).to(sim.device))


def test_auto_takes_it_where_a_gpu_and_the_engine_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert resolve_simulator("auto") == "mujoco_warp"
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "warp" else find_spec(name))
    assert resolve_simulator("auto") == "mujoco"
    monkeypatch.undo()
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert resolve_simulator("auto") == "mujoco"


def test_a_missing_gpu_is_named(pf_tron1a: RobotModel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ValueError, match=r"no CUDA device here .got 'cuda:0'.: use --sim mujoco, or --sim_device cpu"):
        make(pf_tron1a, device="cuda:0")


def test_overflow_is_counted_and_never_silent(pf_tron1a: RobotModel, monkeypatch: pytest.MonkeyPatch) -> None:
    """With room for one contact a lying robot runs out of rows and contacts; with the real sizes it never does."""
    with monkeypatch.context() as patch:
        patch.setattr(backend, "MAX_CONTACTS", 1)
        patch.setattr(backend, "MEAN_CONTACTS", 1)
        small = make(pf_tron1a)
    place(small, 0.3, LYING)
    thrash(small, 20)
    counts = small.overflow_counts()
    assert counts["NEFC"] > 0 and counts["NARROWPHASE"] > 0
    assert all(count <= 2 * 20 for count in counts.values()), "counted more than once per robot and policy step"
    assert small.overflow_counts(solver=True) == {}
    sim = make(pf_tron1a, 8)
    place(sim, 0.3, LYING)
    most_rows = 0
    for _ in range(15):
        thrash(sim, 4)
        most_rows = max(most_rows, int(sim._data.nefc.numpy().max()))  # type: ignore[attr-defined]
    assert most_rows >= 9, "fewer than three contacts: nobody lies on the ground"
    assert sim.overflow_counts() == {}


def test_solver_limits_are_counted_when_asked(pf_tron1a: RobotModel, monkeypatch: pytest.MonkeyPatch) -> None:
    """With one Newton iteration for a lying robot, the solver stops too early, which is no overflow."""
    monkeypatch.setattr(backend, "NEWTON_ITERATIONS", 1)
    sim = make(pf_tron1a)
    for asked in (True, False):
        place(sim, 0.1, LYING)
        thrash(sim, 5)
        assert ("ITERATIONS" in sim.overflow_counts(solver=asked)) == asked


@pytest.mark.parametrize("cone", ["PYRAMIDAL", "ELLIPTIC"])
def test_contact_forces_match_the_sensors(pf_tron1a: RobotModel, monkeypatch: pytest.MonkeyPatch, cone: str) -> None:
    """Our decoding of constraint rows equals MuJoCo's contact sensors, with sliding feet and lying robots."""
    set_options = robot_spec._set_options

    def with_cone(spec: mujoco.MjSpec, timestep: float) -> None:
        set_options(spec, timestep)
        spec.option.cone = getattr(mujoco.mjtCone, f"mjCONE_{cone}")

    monkeypatch.setattr(robot_spec, "_set_options", with_cone)
    options = SimOptions(decimation=1, num_threads=1)
    # One who lies is compared at the first touch: stiff contacts throw it off the ground at once. It lies so deep that
    # its base alone bears it: the edges of a pyramid follow the capsules of the abads in MuJoCo, but not in Warp.
    for quat, height, steps in ((0.0, 0.0, 0.0, 1.0), pf_tron1a.zero_pose_height - 0.003, 3), (LYING, 0.15, 1):
        sims = [backend.MujocoWarpSimulator(pf_tron1a, 1, options, "cpu"), MujocoSimulator(pf_tron1a, 1, options)]
        for sim in sims:
            place(sim, height, quat)
            sim.push(torch.ones(1, dtype=torch.bool), torch.tensor([[1.5, -0.7, -0.4]]))
            for _ in range(steps):
                sim.step(torch.zeros(1, 6))
        ours, theirs = (sim.state.contact_force_w for sim in sims)
        assert theirs[..., 2].max() > 50.0 and theirs[..., :2].abs().max() > 10.0
        torch.testing.assert_close(ours, theirs, rtol=2e-3, atol=0.05)


def test_derived_constants_follow_the_masses(pf_tron1a: RobotModel) -> None:
    """What the engine derives from mass and inertia equals MuJoCo's own derivation, for each robot its own."""
    sim = make(pf_tron1a)
    added = torch.tensor([0.0, 4.0])
    scale = torch.linspace(0.8, 1.2, 18).view(2, 9)
    sim.set_parameter("base_mass_added", added)
    sim.set_parameter("link_mass_scale", scale)
    sim.set_parameter("link_inertia_scale", 2.0 - scale)
    sim.set_parameter("base_com_offset", torch.tensor([[0.0, 0.0, 0.0], [0.03, -0.02, 0.01]]))
    sim.step(torch.zeros(2, 6))
    for robot in range(2):
        model = robot_spec.build_spec(pf_tron1a, visuals=False).compile()
        ids = [model.body(name).id for name in pf_tron1a.body_names]
        model.body_mass[ids] *= scale[robot].numpy()
        model.body_inertia[ids] *= 2.0 - scale[robot].numpy()[:, None]
        model.body_mass[ids[0]] += float(added[robot])
        model.body_ipos[ids[0]] += sim.parameters["base_com_offset"][robot].numpy()
        mujoco.mj_setConst(model, mujoco.MjData(model))
        for name in ("body_mass", "body_inertia", "body_subtreemass", "body_invweight0", "dof_invweight0"):
            ours = torch.from_numpy(getattr(sim._engine, name).numpy()[robot]).double()  # type: ignore[attr-defined]
            torch.testing.assert_close(ours, torch.from_numpy(getattr(model, name)), rtol=2e-4, atol=1e-6, msg=name)


def test_the_bare_engine_steps_alone(pf_tron1a: RobotModel) -> None:
    """`step_engine` moves the robot as far as `step` does, and shows nothing of it."""
    sim, twin = make(pf_tron1a), make(pf_tron1a)
    for each in (sim, twin):
        place(each, 2.0)
    before = sim.state.root_pos_w.clone()
    sim.step_engine()
    assert torch.equal(sim.state.root_pos_w, before)
    sim.push(torch.ones(2, dtype=torch.bool), torch.zeros(2, 3))  # shows the state
    twin.step(torch.zeros(2, 6))
    assert torch.equal(sim.state.root_pos_w, twin.state.root_pos_w)
    assert (sim.state.root_pos_w < before).any()


def snapshot(sim: Simulator) -> SimState:
    return SimState(**{f.name: getattr(sim.state, f.name).clone() for f in fields(SimState)})


def test_the_arena_shares_no_block_between_living_arrays() -> None:
    """A block goes to the next array of its size, but only after it was given back."""
    arena = graph_module.Arena(torch.device("cpu"))
    first, second, other = arena.allocate(64), arena.allocate(64), arena.allocate(128)
    assert len({first, second, other}) == 3
    arena.deallocate(first, 64)
    assert arena.allocate(128) not in (first, second, other)
    assert arena.allocate(64) == first
    assert arena.allocate(64) not in (first, second, other)


@needs_gpu
def test_the_graph_does_what_plain_launches_do(pf_tron1a: RobotModel) -> None:
    """The captured policy step equals the same launches without a graph; in flight, where contacts have no order."""
    graph, plain = make(pf_tron1a, 64, "cuda:0"), make(pf_tron1a, 64, "cuda:0")
    plain._graph = None  # type: ignore[attr-defined]
    for each in (graph, plain):
        place(each, 3.0)
        thrash(each, 10)
    for field in fields(SimState):
        ours, theirs = getattr(graph.state, field.name), getattr(plain.state, field.name)
        torch.testing.assert_close(ours, theirs, rtol=0.0, atol=1e-5, msg=field.name)


@needs_gpu
def test_interventions_can_be_captured_and_wait_for_nothing(pf_tron1a: RobotModel) -> None:
    """Reset, push and per-episode parameters run from a CUDA graph of the caller's, and none of them synchronises."""
    sim = make(pf_tron1a, 64, "cuda:0")
    mask = torch.zeros(64, dtype=torch.bool, device="cuda:0")
    height = torch.full((64, 1), 2.0, device="cuda:0")
    quat = torch.tensor([0.0, 0.0, 0.0, 1.0], device="cuda:0").repeat(64, 1)

    def intervene() -> None:
        still, joints = torch.zeros_like(quat[:, :3]), torch.zeros(64, 6, device="cuda:0")
        sim.set_parameter("kp", 40.0 + joints, mask)
        sim.set_parameter("action_delay", torch.ones(64, device="cuda:0"), mask)
        pos = torch.nn.functional.pad(height, (2, 0))
        sim.reset(mask, Placement(pos, quat, still, still, joints, joints))
        sim.push(mask, still + 1.0)

    captured = capture(intervene)
    place(sim, 1.0)
    mask[::2] = True
    captured.replay()
    assert (sim.state.root_pos_w[::2, 2] == 2.0).all() and (sim.state.root_pos_w[1::2, 2] == 1.0).all()
    assert (sim.state.root_lin_vel_w[::2] == 1.0).all() and (sim.parameters["kp"][::2] == 40.0).all()
    height.fill_(3.0)
    torch.cuda.set_sync_debug_mode("error")
    try:
        sim.step(torch.zeros(64, 6, device="cuda:0"))
        captured.replay()
        intervene()
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert (sim.state.root_pos_w[::2, 2] == 3.0).all()


def capture(function: Callable[[], None]) -> torch.cuda.CUDAGraph:
    """Warm a function up on a side stream and record it, as torch asks for."""
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        function()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        function()
    return graph
