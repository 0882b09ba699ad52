"""How trainer and worker end: both of them, whichever goes first, and what becomes of a training."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from typing import Any

import pytest
import torch

import legged_gym.envs  # noqa: F401  registers the tasks
from legged_gym import LEGGED_GYM_ROOT_DIR
from legged_gym.sim.process import memory
from legged_gym.sim.process.errors import WorkerDied, WorkerHung
from legged_gym.sim.process.launch import Worker
from legged_gym.sim.process.protocol import Request
from legged_gym.sim.robot_model import RobotModel
from tests.envs.making import build
from tests.sim.process.making import LIGHT, ends_within, host, is_alive, light_worker
from tests.sim.process.pool import pooled_workers


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
    text = r"did not answer STEP within 0\.3 s and was killed; .*sim\.process\.timeout \(\.start_timeout"
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


def test_nobody_waits_for_work_that_died_with_its_worker() -> None:
    worker = light_worker()
    asked = iter([False, False, True])
    worker.wait_until(lambda: next(asked), timeout=20.0)
    assert next(asked, None) is None
    threading.Timer(0.2, os.kill, (worker.versions["pid"], signal.SIGKILL)).start()
    start = time.monotonic()
    with pytest.raises(WorkerDied, match=r"was ended by SIGKILL; .*sim\.process\.restarts"):
        worker.wait_until(lambda: False, timeout=20.0)
    assert time.monotonic() - start < 3.0


def test_work_that_does_not_end_is_named(pf_tron1a: RobotModel, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a GPU a worker answers before its work is done."""
    sim = host(pf_tron1a, timeout=0.3)
    sim.step(torch.zeros(2, 6))
    monkeypatch.setattr(memory.FileMemory, "is_handed_over", lambda memory: False)
    with pytest.raises(WorkerHung, match=r"has not finished its work on the device within 0\.3 s and was killed; "):
        sim.step(torch.zeros(2, 6))
    assert ends_within(2.0, sim.worker_pid)


def test_training_goes_on_with_a_new_worker(capfd: pytest.CaptureFixture[str]) -> None:
    """All robots start new episodes, nothing non-finite is seen, parameters are kept; it says so, and not for ever."""
    process = {"sim.process.enabled": True, "sim.process.restarts": 2, "sim.process.timeout": 5.0}
    env = build(4, process | {"domain_rand.randomize_gains": False})  # no reset sends the strength again
    env.sim.set_parameter("strength", torch.zeros(4, 6))
    memory = env.state.root_pos_w.data_ptr()
    env.step(torch.zeros(4, 6))
    first = env.sim.worker_pid  # type: ignore[attr-defined]
    os.kill(first, signal.SIGKILL)
    obs, reward, done, extras = env.step(torch.zeros(4, 6))
    assert done.all() and not extras["time_outs"].any() and env.episodes.broke.all()
    assert all(value.isfinite().all() for value in (*obs.values(), reward))
    said = capfd.readouterr().err
    assert "was ended by SIGKILL" in said
    assert "starting a new worker, with new episodes for all robots (1 more times)" in said
    friction = env.sim.parameters["friction"].clone()
    for _ in range(3):
        obs, reward, done, _ = env.step(torch.zeros(4, 6))
        assert not env.episodes.broke.any() and all(value.isfinite().all() for value in (*obs.values(), reward))
    assert (env.state.root_pos_w[:, 2] > 0.4).all() and env.state.root_pos_w.data_ptr() == memory
    assert torch.equal(env.sim.parameters["friction"], friction)
    assert not env.state.joint_torque.any(), "the new worker was not told the strength"
    assert env.episode_log()["broken_robots"] == 4.0
    os.kill(env.sim.worker_pid, signal.SIGKILL)  # type: ignore[attr-defined]
    assert env.sim.overflow_counts() == {}  # between two steps it is no different
    assert env.step(torch.zeros(4, 6))[2].all() and not env.step(torch.zeros(4, 6))[2].any()
    os.kill(env.sim.worker_pid, signal.SIGKILL)  # type: ignore[attr-defined]
    with pytest.raises(WorkerDied):
        env.step(torch.zeros(4, 6))


def test_a_new_worker_has_the_parameters_in_force(pf_tron1a: RobotModel, capfd: pytest.CaptureFixture[str]) -> None:
    """Of all robots, though nobody sets any again."""
    sim = host(pf_tron1a, 3, restarts=1)
    sim.set_parameter("strength", torch.zeros(3, 6))
    sim.step(torch.zeros(3, 6))
    os.kill(sim.worker_pid, signal.SIGKILL)
    sim.step(torch.zeros(3, 6))
    assert "starting a new worker" in capfd.readouterr().err and sim.state.root_pos_w.isnan().all()
    sim._place_nominally()
    sim.step(torch.full((3, 6), 0.3))
    assert sim.state.root_pos_w.isfinite().all() and not sim.state.joint_torque.any()
    sim.close()


@pytest.mark.parametrize("more", [False, True])
def test_a_worker_may_die_while_it_takes_over(more: bool, pf_tron1a: RobotModel) -> None:
    """Seen at the step, or before, where more is noted: after the step all robots are broken, until they are reset."""
    sim = host(pf_tron1a, 3, restarts=1)
    everyone = torch.ones(3, dtype=torch.bool)
    sim.push(everyone, torch.ones(3, 3))
    os.kill(sim.worker_pid, signal.SIGSTOP)  # so that it is at it
    sim.prepare()
    os.kill(sim.worker_pid, signal.SIGKILL)
    if more:
        sim.push(everyone, torch.ones(3, 3))
    sim.step(torch.zeros(3, 6))
    assert sim.state.root_pos_w.isnan().all()
    sim._place_nominally()
    sim.step(torch.zeros(3, 6))
    assert sim.state.root_pos_w.isfinite().all() and (sim.state.root_lin_vel_w[:, :2].abs() < 0.5).all()
    sim.close()


TRAINER = f"""
import os, signal, sys, time
signal.signal(signal.SIGINT, signal.default_int_handler)  # shells have what they put into the background ignore it
from legged_gym.sim.process.launch import Worker
from legged_gym.sim.process.protocol import Request
worker = Worker("light", [sys.executable, "-c", {LIGHT!r}], os.environ)
print(worker.versions["pid"], flush=True)
while sys.argv[1] == "asks":
    worker.ask(Request.HELLO, timeout=10.0)
time.sleep(60.0 if sys.argv[1] == "waits" else 0.0)
"""


@pytest.mark.parametrize(
    ("does", "number", "stopped"),
    [
        *(("waits", signal.SIGKILL, False), ("asks", signal.SIGKILL, False), ("asks", signal.SIGINT, False)),
        *(("leaves", None, False), ("waits", signal.SIGKILL, True)),
    ],
    ids=["kill -9 at rest", "kill -9 while asking", "Ctrl-C", "never closed", "kill -9 while the worker is stopped"],
)
def test_no_orphan_is_left(does: str, number: signal.Signals | None, stopped: bool) -> None:
    """However the trainer ends, the worker ends with it; Ctrl-C in a terminal reaches the whole process group.

    A stopped worker, which hears of nothing, ends where the kernel kills it: on Linux.
    """
    if stopped and not sys.platform.startswith("linux"):
        pytest.skip("only Linux kills the child of a process that ended")
    command = [sys.executable, "-c", TRAINER, does]
    with subprocess.Popen(
        command, cwd=LEGGED_GYM_ROOT_DIR, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True
    ) as trainer:
        assert trainer.stdout is not None
        pid = int(trainer.stdout.readline())
        assert is_alive(pid) or does == "leaves"
        if stopped:
            os.kill(pid, signal.SIGSTOP)
        if number is not None:
            os.killpg(trainer.pid, number)
        try:
            trainer.wait(20.0)
        finally:
            trainer.kill()
    assert ends_within(3.0, pid)


def test_a_worker_outlives_the_thread_that_started_it() -> None:
    """To Linux the parent of a process is a thread: only the main one's end is the trainer's."""
    started: list[Worker] = []
    thread = threading.Thread(target=lambda: started.append(light_worker()))
    thread.start()
    thread.join()
    time.sleep(0.2)
    assert started[0].ask(Request.HELLO, timeout=5.0)["pid"] == started[0].versions["pid"]
    started[0].close()


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
    pid = sim.worker_pid
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
