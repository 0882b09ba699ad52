"""A simulator in a process of its own is the same simulator, built as the config and the command line say."""

import dataclasses
import json
from collections.abc import Callable
from typing import Any

import pytest
import torch

import legged_gym.envs  # noqa: F401  registers the tasks
from legged_gym.options.request import make_parser, parse_args
from legged_gym.options.resolve import resolve
from legged_gym.sim.process import hosting
from legged_gym.sim.process.config import ProcessCfg
from legged_gym.sim.process.protocol import PLACEMENT, Request
from legged_gym.sim.process.simulator import ProcessSimulator
from legged_gym.sim.registry import make_simulator
from legged_gym.sim.robot_model import RobotModel
from legged_gym.sim.sim_state import Placement, SimState
from legged_gym.terrain.build import make_terrain
from legged_gym.terrain.config import TerrainCfg
from tests.envs.making import build
from tests.sim.process.making import OPTIONS, host
from tests.sim.process.pool import pooled_workers


def test_it_is_the_same_simulator(pf_tron1a: RobotModel) -> None:
    """Bit for bit what it is in this process: steps, resets, pushes and parameters in any order, told ahead or not."""
    with pooled_workers():
        far = host(pf_tron1a, 3)
    near = make_simulator("mujoco", pf_tron1a, 3, OPTIONS, "cpu")
    near.set_parameters(near.parameters)  # rounded to float32, as a worker is told them
    draw = torch.Generator().manual_seed(1)
    for sim in (far, near):
        start = Placement.at_rest(torch.tensor([[0.0, 0.0, 0.75]]).repeat(3, 1), 6)
        sim.reset(torch.ones(3, dtype=torch.bool), start)
    for k in range(12):
        mask, other = torch.rand(2, 3, generator=draw) < 0.4
        delta, friction = torch.randn(3, 3, generator=draw), torch.rand(3, 2, generator=draw)
        pos = torch.tensor([[0.0, 0.0, 0.75]]) + 0.05 * torch.rand(3, 3, generator=draw)
        targets = 0.3 * torch.randn(3, 6, generator=draw)
        wrench = 20.0 * torch.randn(3, 3, 6, generator=draw)
        for sim in (far, near):
            sim.push(mask, delta)
            sim.set_parameters({"friction": friction, "kp": 42.0 + targets}, other)
            if k % 3 == 1:
                sim.prepare()  # too early: more comes
            upright = torch.tensor([[0.0, 0.0, 0.0, 1.0]]).repeat(3, 1)
            there = Placement(pos, upright, 0.1 * delta, -0.1 * delta, 0.1 * targets, targets)
            sim.reset(mask & other, there)
            sim.push(other, 0.1 * delta)
            if k == 5:
                sim.set_parameter("base_mass_added", torch.tensor([1.0, 2.0, 3.0]), mask)
            if k % 2:
                sim.prepare()
            sim.wrench_w.copy_(wrench)  # after the last word to the worker: it is read at the step
            sim.step(targets)
        for field in dataclasses.fields(SimState):
            assert torch.equal(getattr(far.state, field.name), getattr(near.state, field.name)), (k, field.name)
    assert near.state.contact_force_w.abs().sum() > 10.0
    far.close()


@pytest.mark.parametrize("intervention", ["reset", "push", "set_parameters"])
def test_nothing_is_noted_while_the_worker_takes_over(
    intervention: str, pf_tron1a: RobotModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pooled_workers():
        sim = host(pf_tron1a, 2)
    asked: list[Request] = []
    worker: Any = sim._worker  # type: ignore[attr-defined]
    ask = worker.ask
    monkeypatch.setattr(worker, "ask", lambda request, *a, **k: asked.append(request) or ask(request, *a, **k))
    everyone, pos = torch.ones(2, dtype=torch.bool), torch.tensor([[0.0, 0.0, 0.75]]).repeat(2, 1)
    interventions: dict[str, Callable[[], None]] = {
        "reset": lambda: sim.reset(everyone, Placement.at_rest(pos, 6)),
        "push": lambda: sim.push(everyone, torch.ones(2, 3)),
        "set_parameters": lambda: sim.set_parameters({"friction": torch.full((2, 2), 0.5)}),
    }
    interventions[intervention]()
    sim.prepare()
    assert asked == []
    interventions[intervention]()
    assert asked == [Request.APPLY]
    interventions[intervention]()
    assert asked == [Request.APPLY], "nothing was sent since"
    sim.close()


def test_a_policy_step_is_one_round_trip(pf_tron1a: RobotModel, monkeypatch: pytest.MonkeyPatch) -> None:
    with pooled_workers():
        env = build(2, {"sim.process.enabled": True, "env.episode_length_s": 0.06})
    asked: list[Request] = []
    worker: Any = env.sim._worker  # type: ignore[attr-defined]
    ask, notify, notices = worker.ask, worker.notify, []
    monkeypatch.setattr(worker, "ask", lambda request, *a, **k: asked.append(request) or ask(request, *a, **k))
    monkeypatch.setattr(worker, "notify", lambda request, *a: notices.append(request) or notify(request, *a))
    for _ in range(8):  # with time-outs, and so resets, and pushes
        env.step(torch.zeros(2, 6))
    assert asked == [Request.STEP] * 8
    assert 2 <= len(notices) <= 8 and set(notices) == {Request.APPLY}, "resets were not sent ahead"
    env.sim.close()


def test_the_worker_knows_the_fields_of_a_placement() -> None:
    """In their order: it unpacks them by position."""
    assert tuple(field.name for field in dataclasses.fields(Placement)) == PLACEMENT


def test_the_environment_passes_its_config_on(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[str, Any] = {}

    def fake(name: str, *arguments: Any) -> Any:
        seen[name] = arguments[2], arguments[-1]
        raise InterruptedError

    monkeypatch.setattr("legged_gym.envs.base.legged_robot.make_simulator", fake)
    with pytest.raises(InterruptedError):
        build(1, {"sim.backend": "isaacgym", "sim.process.start_timeout": 7.0, "sim.isaacgym.substeps": 3})
    options, process = seen["isaacgym"]
    assert process.start_timeout == 7.0 and options.engine.substeps == 3


def test_the_command_line_asks_for_it() -> None:
    for argv, enabled in (([], False), (["--sim_process"], True)):
        spec = resolve(parse_args(make_parser("test"), argv).request)
        assert spec.env_cfg.sim.process.enabled == enabled


class Recorder:
    """Instead of a worker: writes down what it is asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[Request, float]] = []
        self.payloads: list[Any] = []

    def ask(self, request: Request, payload: Any = None, *, timeout: float, **_: Any) -> dict[str, Any]:
        self.asked.append((request, timeout))
        self.payloads.append(payload)
        return {}

    def wait_until(self, is_done: Any, timeout: float) -> None:
        pass

    def close(self, patience: float = 0.0) -> None:
        pass


def test_a_large_map_is_not_sent_as_a_message(pf_tron1a: RobotModel, monkeypatch: pytest.MonkeyPatch) -> None:
    """The heights are in the shared memory; the map that a task trains on by default has 24 million."""
    worker = Recorder()
    monkeypatch.setattr(hosting, "launch", lambda name: worker)
    terrain = make_terrain(TerrainCfg(mesh_type="heightfield", num_rows=2, num_cols=1))
    assert terrain is not None and terrain.heights.nbytes > 10**6
    sim = make_simulator(
        "mujoco", pf_tron1a, 1, dataclasses.replace(OPTIONS, terrain=terrain), "cpu", ProcessCfg(enabled=True)
    )
    assert len(json.dumps(worker.payloads[0])) < 10**5
    assert isinstance(sim, ProcessSimulator)
    assert torch.equal(sim._shared["terrain.heights"], torch.from_numpy(terrain.heights))


def test_the_timeouts_are_live(pf_tron1a: RobotModel) -> None:
    """Building, and the first step after it, may take longer than the others."""
    worker: Any = Recorder()
    cfg = ProcessCfg(start_timeout=7.0, timeout=3.0)
    sim = ProcessSimulator(pf_tron1a, 1, OPTIONS, "cpu", cfg, lambda: worker, {})
    for _ in range(2):
        sim.step(torch.zeros(1, 6))
    sim.overflow_counts()
    step, count = Request.STEP, Request.COUNT_OVERFLOWS
    assert worker.asked == [(Request.BUILD, 7.0), (step, 7.0), (step, 3.0), (count, 3.0)]
