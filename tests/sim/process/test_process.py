"""A simulator in a process of its own: how both ends end, and what the trainer is told."""

import contextlib
import dataclasses
import gc
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
import torch

import legged_gym.envs  # noqa: F401  registers the tasks
from legged_gym import LEGGED_GYM_ROOT_DIR
from legged_gym.sim.process import hosting, memory
from legged_gym.sim.process.config import ProcessCfg
from legged_gym.sim.process.errors import ProtocolMismatch, RequestRefused, WorkerBroken, WorkerDied, WorkerHung
from legged_gym.sim.process.launch import Worker
from legged_gym.sim.process.protocol import Request
from legged_gym.sim.process.simulator import ProcessSimulator
from legged_gym.sim.registry import make_simulator
from legged_gym.sim.robot_model import RobotModel
from legged_gym.sim.simulator import SimOptions, SimState
from legged_gym.terrain.build import make_terrain
from legged_gym.terrain.config import TerrainCfg
from legged_gym.utils.cli import apply_args, make_parser, parse_args
from legged_gym.utils.task_registry import task_registry
from tests.envs.making import build
from tests.sim.process.pool import pooled_workers

OPTIONS = SimOptions(num_threads=1)


def host(robot: RobotModel, num_envs: int = 2, **cfg: Any) -> ProcessSimulator:
    sim = make_simulator("mujoco", robot, num_envs, OPTIONS, "cpu", ProcessCfg(enabled=True, **cfg))
    assert isinstance(sim, ProcessSimulator)
    return sim


def is_alive(pid: int) -> bool:
    """A zombie is dead."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def ends_within(seconds: float, pid: int) -> bool:
    due = time.monotonic() + seconds
    while is_alive(pid) and time.monotonic() < due:
        time.sleep(0.01)
    return not is_alive(pid)


# -- the same simulator ------------------------------------------------------------------------------------------------


def test_it_is_the_same_simulator(pf_tron1a: RobotModel) -> None:
    """Bit for bit what it is in this process: steps, resets, pushes and parameters in any order."""
    with pooled_workers():
        far = host(pf_tron1a, 3)
    near = make_simulator("mujoco", pf_tron1a, 3, OPTIONS, "cpu")
    draw = torch.Generator().manual_seed(1)
    for sim in (far, near):
        sim.reset(
            torch.ones(3, dtype=torch.bool),
            *(torch.tensor([[0.0, 0.0, 0.75]]).repeat(3, 1), torch.tensor([[0.0, 0.0, 0.0, 1.0]]).repeat(3, 1)),
            *(torch.zeros(3, 3), torch.zeros(3, 3), torch.zeros(3, 6), torch.zeros(3, 6)),
        )
    for k in range(12):
        mask, other = torch.rand(2, 3, generator=draw) < 0.4
        delta, friction = torch.randn(3, 3, generator=draw), torch.rand(3, generator=draw)
        pos = torch.tensor([[0.0, 0.0, 0.75]]) + 0.05 * torch.rand(3, 3, generator=draw)
        targets = 0.3 * torch.randn(3, 6, generator=draw)
        for sim in (far, near):
            sim.push(mask, delta)
            sim.set_parameters({"friction": friction, "kp": 42.0 + targets}, other)
            sim.reset(
                mask & other,
                *(pos, torch.tensor([[0.0, 0.0, 0.0, 1.0]]).repeat(3, 1), 0.1 * delta, -0.1 * delta),
                *(0.1 * targets, targets),
            )
            sim.push(other, 0.1 * delta)
            if k == 5:
                sim.set_parameter("base_mass_added", torch.tensor([1.0, 2.0, 3.0]), mask)
            sim.step(targets)
        for field in dataclasses.fields(SimState):
            assert torch.equal(getattr(far.state, field.name), getattr(near.state, field.name)), (k, field.name)
    assert near.state.contact_force_w.abs().sum() > 10.0
    far.close()


def test_a_policy_step_is_one_round_trip(pf_tron1a: RobotModel, monkeypatch: pytest.MonkeyPatch) -> None:
    with pooled_workers():
        env = build(2, {"sim.process.enabled": True, "env.episode_length_s": 0.06})
    asked: list[Request] = []
    worker: Any = env.sim._worker  # type: ignore[attr-defined]
    ask = worker.ask
    monkeypatch.setattr(worker, "ask", lambda request, *a, **k: asked.append(request) or ask(request, *a, **k))
    for _ in range(8):  # with time-outs, and so resets, and pushes
        env.step(torch.zeros(2, 6))
    assert asked == [Request.STEP] * 8
    env.sim.close()


# -- how it ends -------------------------------------------------------------------------------------------------------


LIGHT = """
import sys
from legged_gym.sim.process.serve import Server, open_channel
Server(open_channel(int(sys.argv[1]), int(sys.argv[2])), dict, None).run()
"""


def light_worker() -> Worker:
    """A worker without an engine; starts in no time."""
    return Worker("light", [sys.executable, "-c", LIGHT], os.environ | {"PYTHONPATH": str(LEGGED_GYM_ROOT_DIR)})


def test_a_killed_worker_is_named() -> None:
    worker = light_worker()
    os.kill(worker.versions["pid"], signal.SIGKILL)
    start = time.monotonic()
    with pytest.raises(WorkerDied, match=r"worker of light: was ended by SIGKILL; .*sim\.process\.restarts"):
        worker.ask(Request.STEP, timeout=20.0)
    assert time.monotonic() - start < 3.0


@pytest.mark.parametrize("letters", [1, 2**20], ids=["does not answer", "does not even read"])
def test_a_hung_worker_is_named_and_killed(letters: int) -> None:
    worker = light_worker()
    pid = worker.versions["pid"]
    os.kill(pid, signal.SIGSTOP)
    text = r"did not answer STEP within 0\.3 s and was killed; .*sim\.process\.timeout, or \.start_timeout"
    with pytest.raises(WorkerHung, match=text):
        worker.ask(Request.STEP, {"text": letters * "a"}, timeout=0.3)
    assert ends_within(2.0, pid)


def test_what_a_worker_said_long_before_is_not_why_it_died() -> None:
    script = LIGHT.replace("import sys", "import sys; print('a warning', file=sys.stderr, flush=True)")
    worker = Worker("light", [sys.executable, "-c", script], os.environ | {"PYTHONPATH": str(LEGGED_GYM_ROOT_DIR)})
    worker.ask(Request.RELEASE, timeout=20.0)
    os.kill(worker.versions["pid"], signal.SIGKILL)
    with pytest.raises(WorkerDied, match="was ended by SIGKILL; "):
        worker.ask(Request.STEP, timeout=20.0)


def test_a_closed_worker_ends_by_itself() -> None:
    worker = light_worker()
    worker.close()
    assert worker._process.returncode == 0


def test_a_lost_worker_is_noticed_while_nobody_asks(pf_tron1a: RobotModel, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a GPU the trainer may be waiting for work that died with the worker; one that is closed has done its work."""
    gone = threading.Event()
    monkeypatch.setattr(memory.FileMemory, "abandon", lambda memory: gone.set())
    sim = host(pf_tron1a)
    sim.close()
    assert not gone.wait(0.2)
    sim = host(pf_tron1a)
    os.kill(sim._worker.versions["pid"], signal.SIGKILL)
    assert gone.wait(3.0)
    gone.clear()
    with pytest.raises(WorkerDied):
        sim.step(torch.zeros(2, 6))
    assert gone.is_set()


def test_training_goes_on_with_a_new_worker(capfd: pytest.CaptureFixture[str]) -> None:
    """All robots start new episodes, nothing non-finite is seen, parameters are kept; it says so, and not for ever."""
    process = {"sim.process.enabled": True, "sim.process.restarts": 2, "sim.process.timeout": 5.0}
    env = build(4, process | {"domain_rand.randomize_gains": False})  # no reset sends the strength again
    env.sim.set_parameter("strength", torch.zeros(4, 6))
    memory = env.state.root_pos_w.data_ptr()
    env.step(torch.zeros(4, 6))
    first = env.sim._worker.versions["pid"]  # type: ignore[attr-defined]
    os.kill(first, signal.SIGKILL)
    obs, reward, done, extras = env.step(torch.zeros(4, 6))
    assert done.all() and not extras["time_outs"].any() and env.broke.all()
    assert all(value.isfinite().all() for value in (*obs.values(), reward))
    said = capfd.readouterr().err
    assert "was ended by SIGKILL" in said
    assert "starting a new worker, with new episodes for all robots (1 more times)" in said
    friction = env.sim.parameters["friction"].clone()
    for _ in range(3):
        obs, reward, done, _ = env.step(torch.zeros(4, 6))
        assert not env.broke.any() and all(value.isfinite().all() for value in (*obs.values(), reward))
    assert (env.state.root_pos_w[:, 2] > 0.4).all() and env.state.root_pos_w.data_ptr() == memory
    assert torch.equal(env.sim.parameters["friction"], friction)
    assert not env.state.joint_torque.any(), "the new worker was not told the strength"
    assert env.episode_log()["broken_robots"] == 4.0
    os.kill(env.sim._worker.versions["pid"], signal.SIGKILL)  # type: ignore[attr-defined]
    assert env.sim.overflow_counts() == {}  # between two steps it is no different
    assert env.step(torch.zeros(4, 6))[2].all() and not env.step(torch.zeros(4, 6))[2].any()
    os.kill(env.sim._worker.versions["pid"], signal.SIGKILL)  # type: ignore[attr-defined]
    with pytest.raises(WorkerDied):
        env.step(torch.zeros(4, 6))


def test_a_new_worker_has_the_parameters_in_force(pf_tron1a: RobotModel, capfd: pytest.CaptureFixture[str]) -> None:
    """Of all robots, though nobody sets any again."""
    sim = host(pf_tron1a, 3, restarts=1)
    sim.set_parameter("strength", torch.zeros(3, 6))
    sim.step(torch.zeros(3, 6))
    os.kill(sim._worker.versions["pid"], signal.SIGKILL)
    sim.step(torch.zeros(3, 6))
    assert "starting a new worker" in capfd.readouterr().err and sim.state.root_pos_w.isnan().all()
    sim._place_nominally()
    sim.step(torch.full((3, 6), 0.3))
    assert sim.state.root_pos_w.isfinite().all() and not sim.state.joint_torque.any()
    sim.close()


TRAINER = f"""
import os, sys, time
from legged_gym.sim.process.launch import Worker
from legged_gym.sim.process.protocol import Request
worker = Worker("light", [sys.executable, "-c", {LIGHT!r}], os.environ)
print(worker.versions["pid"], flush=True)
while sys.argv[1] == "asks":
    worker.ask(Request.HELLO, timeout=10.0)
time.sleep(60.0 if sys.argv[1] == "waits" else 0.0)
"""


@pytest.mark.parametrize(
    ("does", "number"),
    [("waits", signal.SIGKILL), ("asks", signal.SIGKILL), ("asks", signal.SIGINT), ("leaves", None)],
    ids=["kill -9 at rest", "kill -9 while asking", "Ctrl-C", "never closed"],
)
def test_no_orphan_is_left(does: str, number: signal.Signals | None) -> None:
    """However the trainer ends, the worker ends with it; Ctrl-C in a terminal reaches the whole process group."""
    command = [sys.executable, "-c", TRAINER, does]
    with subprocess.Popen(
        command, cwd=LEGGED_GYM_ROOT_DIR, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True
    ) as trainer:
        assert trainer.stdout is not None
        pid = int(trainer.stdout.readline())
        assert is_alive(pid) or does == "leaves"
        if number is not None:
            os.killpg(trainer.pid, number)
        trainer.wait(20.0)
    assert ends_within(3.0, pid)


def test_a_worker_that_holds_on_to_the_interpreter_ends_too() -> None:
    """The lifeline needs no Python to run in the worker."""
    script = (
        "import sys; from legged_gym.sim.process.serve import open_channel\n"
        "open_channel(int(sys.argv[1]), int(sys.argv[2])); print('ready', flush=True)\n"
        "import ctypes; ctypes.PyDLL(None).sleep(10)"  # PyDLL keeps the lock
    )
    read_end, write_end = os.pipe()
    ours, theirs = socket.socketpair()
    with subprocess.Popen(
        [sys.executable, "-c", script, str(theirs.fileno()), str(read_end)],
        cwd=LEGGED_GYM_ROOT_DIR,
        pass_fds=(theirs.fileno(), read_end),
        stdout=subprocess.PIPE,
    ) as worker:
        assert worker.stdout is not None and worker.stdout.readline() == b"ready\n"
        time.sleep(0.1)
        for descriptor in (read_end, write_end):
            os.close(descriptor)
        assert worker.wait(3.0) == -signal.SIGIO
    ours.close()
    theirs.close()


def test_ctrl_c_leaves_the_conversation_in_order(pf_tron1a: RobotModel) -> None:
    """An answer that nobody waited for is not taken for the next one."""
    with pooled_workers():
        sim = host(pf_tron1a)
    pid = sim._worker.versions["pid"]
    os.kill(pid, signal.SIGSTOP)
    handler = signal.signal(signal.SIGALRM, _interrupt)
    signal.setitimer(signal.ITIMER_REAL, 0.2)
    with pytest.raises(KeyboardInterrupt):
        sim.step(torch.zeros(2, 6))
    signal.signal(signal.SIGALRM, handler)
    os.kill(pid, signal.SIGCONT)
    before = sim.state.root_pos_w.clone()
    sim.step(torch.full((2, 6), 0.3))
    assert not torch.equal(sim.state.root_pos_w, before)
    sim.close()


def _interrupt(*_: Any) -> None:
    raise KeyboardInterrupt


# -- what may be wrong -------------------------------------------------------------------------------------------------


def test_the_engines_objections_reach_the_user(pf_tron1a: RobotModel, tmp_path: Path) -> None:
    gone = dataclasses.replace(pf_tron1a, urdf=tmp_path / "gone.urdf")
    with pooled_workers(), pytest.raises((RequestRefused, WorkerBroken), match=r"gone\.urdf"):
        make_simulator("mujoco", gone, 1, OPTIONS, "cpu", ProcessCfg(enabled=True))


def test_a_fault_of_the_worker_is_no_objection_of_the_engine(pf_tron1a: RobotModel) -> None:
    with pooled_workers():
        sim = host(pf_tron1a)
    with pytest.raises(WorkerBroken, match="KeyError: 'parameters'"):
        sim._worker.ask(Request.STEP, {}, timeout=5.0)
    sim.close()


def test_a_legged_gym_in_the_current_folder_is_not_meant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "legged_gym").mkdir()
    (tmp_path / "legged_gym" / "__init__.py").write_text("raise SystemExit('the wrong legged_gym')")
    monkeypatch.chdir(tmp_path)
    hosting.launch("mujoco").close()


def test_an_unknown_request_is_refused_and_the_worker_lives(pf_tron1a: RobotModel) -> None:
    with pooled_workers():
        sim = host(pf_tron1a)
    with pytest.raises(ProtocolMismatch, match="unknown request 77"):
        sim._worker.ask(77, timeout=5.0)  # type: ignore[arg-type]
    sim.step(torch.zeros(2, 6))
    sim.close()


FAKE = """
import socket, struct, sys, time
connection = socket.socket(fileno=int(sys.argv[1]))
head = connection.recv(20)
connection.sendall({answer})
time.sleep(60)
"""


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (
            "struct.pack('<4sHHQI', b'LGYM', 99, 100, 1, 0)",
            "speaks version 99, this one 1; both ends must",
        ),
        ("b'Welcome to bash, your friendly shell'", "got b'Welc', which is no message"),
        ("struct.pack('<4sHHQI', b'LGYM', 1, 100, 5, 0)", "answered request 5 instead of 1"),
        ("struct.pack('<4sHHQI', b'LGYM', 1, 100, 1, 2) + b'[]'", "payload of type list, expected an object"),
    ],
)
def test_another_conversation_is_named(answer: str, text: str) -> None:
    with pytest.raises(ProtocolMismatch, match=text):
        Worker("fake", [sys.executable, "-c", FAKE.format(answer=answer)], os.environ)


def test_silence_at_the_start_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("legged_gym.sim.process.launch.HELLO_TIMEOUT", 0.5)
    with pytest.raises(WorkerHung, match=r"did not answer HELLO within 0\.5 s and was killed; .*try again"):
        Worker("fake", [sys.executable, "-c", FAKE.format(answer="b''")], os.environ)


# -- configuration -----------------------------------------------------------------------------------------------------


def test_the_environment_passes_its_config_on(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[str, Any] = {}

    def fake(name: str, *arguments: Any) -> Any:
        seen[name] = arguments[-2:]
        raise InterruptedError

    monkeypatch.setattr("legged_gym.envs.base.legged_robot.make_simulator", fake)
    with pytest.raises(InterruptedError):
        build(1, {"sim.backend": "isaacgym", "sim.process.start_timeout": 7.0, "sim.isaacgym.substeps": 3})
    process, isaacgym = seen["isaacgym"]
    assert process.start_timeout == 7.0 and isaacgym.substeps == 3


def test_the_command_line_asks_for_it() -> None:
    for argv, enabled in (([], False), (["--sim_process"], True)):
        env_cfg, train_cfg = task_registry.get_cfgs("pointfoot_flat")
        apply_args(parse_args(make_parser("test"), argv), env_cfg, train_cfg)
        assert env_cfg.sim.process.enabled == enabled


class Recorder:
    """Instead of a worker: writes down what it is asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[Request, float]] = []
        self.payloads: list[Any] = []

    def ask(self, request: Request, payload: Any = None, *, timeout: float, **_: Any) -> dict[str, Any]:
        self.asked.append((request, timeout))
        self.payloads.append(payload)
        return {}

    def when_gone(self, callback: Any) -> None:
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


# -- shared memory -----------------------------------------------------------------------------------------------------


def test_fields_do_not_overlap() -> None:
    fields = memory.lay_out([("a", "uint8", (3,)), ("b", "float32", (2, 5)), ("c", "int32", (0,))])
    ends = [field.offset + field.size for field in fields]
    assert all(end <= later.offset for end, later in zip(ends, fields[1:], strict=False))
    assert all(field.offset % 64 == 0 for field in fields) and memory.total_size(fields) >= ends[-1]


def test_what_one_end_writes_the_other_end_reads() -> None:
    """And the memory lives as long as one of them."""
    fields = memory.lay_out([("a", "float32", (2, 3)), ("b", "uint8", (4,))])
    ours = memory.create(fields, torch.device("cpu"))
    description = json.loads(json.dumps(ours.describe()))
    descriptor = ours.descriptor()
    assert descriptor is not None
    theirs = memory.attach(description, lambda: os.dup(descriptor))
    ours.tensors["a"].copy_(torch.arange(6.0).view(2, 3))
    ours.tensors["b"][2] = 7
    assert theirs.tensors["a"].flatten().tolist() == [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]
    assert theirs.tensors["b"].tolist() == [0, 0, 7, 0]
    del ours
    theirs.tensors["a"].fill_(2.0)
    assert theirs.tensors["a"].sum() == 12.0


def test_a_worker_leaves_no_file_behind(pf_tron1a: RobotModel) -> None:
    """No name in /dev/shm, and no descriptor in the trainer."""
    with pooled_workers():
        host(pf_tron1a).close()
        gc.collect()
        before = sorted(os.listdir("/dev/shm")), len(os.listdir("/proc/self/fd"))
        for _ in range(3):
            host(pf_tron1a).close()
        gc.collect()
    assert (sorted(os.listdir("/dev/shm")), len(os.listdir("/proc/self/fd"))) == before
