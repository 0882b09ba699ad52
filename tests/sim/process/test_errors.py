"""What may be wrong with a worker, and what the user is told."""

import dataclasses
import os
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from legged_gym.sim.process import hosting, memory
from legged_gym.sim.process.config import ProcessCfg
from legged_gym.sim.process.errors import MemoryNotShared, ProtocolMismatch, RequestRefused, WorkerBroken, WorkerHung
from legged_gym.sim.process.launch import Worker
from legged_gym.sim.process.protocol import VERSION, Request
from legged_gym.sim.registry import make_simulator
from legged_gym.sim.robot_model import RobotModel
from tests.sim.process.making import OPTIONS, host, light_worker
from tests.sim.process.pool import pooled_workers


def test_the_engines_objections_reach_the_user(pf_tron1a: RobotModel, tmp_path: Path) -> None:
    gone = dataclasses.replace(pf_tron1a, urdf=tmp_path / "gone.urdf")
    with pooled_workers(), pytest.raises((RequestRefused, WorkerBroken), match=r"gone\.urdf"):
        make_simulator("mujoco", gone, 1, OPTIONS, "cpu", ProcessCfg(enabled=True))


def test_a_device_whose_memory_cannot_be_shared_is_named(
    pf_tron1a: RobotModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(memory: Any) -> None:
        raise RuntimeError("CUDA: cuIpcGetMemHandle failed: CUDA_ERROR_NOT_SUPPORTED")

    monkeypatch.setattr(memory.FileMemory, "describe", refuse)
    with pytest.raises(MemoryNotShared, match=r"share memory of cpu \(CUDA: cuIpc.*\); .*without --sim_process"):
        host(pf_tron1a)


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
import os, struct, sys, time
from multiprocessing.connection import Connection
descriptor = int(sys.argv[1])
os.read(descriptor, 20)
{answer}
time.sleep(60)
"""


def header(version: int, number: int) -> str:
    """Code of the header of a reply to a request."""
    return f"struct.pack('<4sHHQ', b'LGYM', {version}, 100, {number})"


def sends(code: str) -> str:
    """Code that sends bytes, given as code, as one message."""
    return f"Connection(descriptor).send_bytes({code})"


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (sends(header(99, 1)), f"speaks version 99, this one {VERSION}; both ends must"),
        (
            "os.write(descriptor, b'Welcome to bash, your friendly shell')",
            "the bytes received are no message; both ends must",
        ),
        (sends("b'Welcome to bash, your friendly shell'"), "got b'Welc', which is no message"),
        (sends("b'LGYM'"), "got b'LGYM', which is no message"),
        (sends(header(VERSION, 5)), "answered request 5 instead of 1"),
        (
            sends(f"struct.pack('<4sHHQ', b'LGYM', {VERSION}, 100, 1) + b'[]'"),
            "payload of type list, expected an object",
        ),
        (sends(header(VERSION, 1) + " + b'oh'"), "got a payload that is no JSON"),
    ],
    ids=["another version", "a shell", "text", "cut short", "another number", "no object", "no JSON"],
)
def test_another_conversation_is_named(answer: str, text: str) -> None:
    with pytest.raises(ProtocolMismatch, match=text):
        Worker("fake", [sys.executable, "-c", FAKE.format(answer=answer)], os.environ)


def test_what_fails_without_a_wait_is_said_at_the_next_request() -> None:
    """And the answer to that one does not come as the answer to the one after."""
    worker = light_worker()
    worker.notify(Request.APPLY, {"parameters": [], "reset": False, "push": False}, timeout=5.0)
    with pytest.raises(WorkerBroken, match="before a simulator was built"):
        worker.ask(Request.HELLO, timeout=5.0)
    assert worker.ask(Request.HELLO, timeout=5.0)["pid"] == worker.versions["pid"]
    worker.close()


def test_silence_at_the_start_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("legged_gym.sim.process.launch.HELLO_TIMEOUT", 0.5)
    with pytest.raises(WorkerHung, match=r"did not answer HELLO within 0\.5 s and was killed; .*try again"):
        Worker("fake", [sys.executable, "-c", FAKE.format(answer="")], os.environ)
