"""The worker under the Python that Isaac Gym needs, where one is found; name one with the variable PYTHON38."""

import os
import shutil
import socket
import subprocess
from functools import cache
from pathlib import Path

import pytest
import torch

from legged_gym import LEGGED_GYM_ROOT_DIR
from legged_gym.sim.isaacgym import simulator as isaacgym
from legged_gym.sim.isaacgym.simulator import IsaacGymSimulator
from legged_gym.sim.process.errors import EngineMissing, PackageMissing
from legged_gym.sim.process.protocol import Channel, Reply, Request
from legged_gym.sim.robot_model import RobotModel
from legged_gym.sim.sim_options import SimOptions
from tests.sim.process.pool import stand_in_environment


@cache
def python38(*packages: str) -> str | None:
    """Path of a Python 3.8 that has these packages."""
    installed = sorted(str(path) for path in Path.home().glob(".pyenv/versions/3.8.*/bin/python"))
    code = f"import {', '.join(('sys', *packages))}; sys.exit(sys.version_info[:2] != (3, 8))"
    for python in filter(None, (os.environ.get("PYTHON38"), shutil.which("python3.8"), *installed)):
        if subprocess.run([python, "-c", code], capture_output=True, check=False).returncode == 0:
            return python
    return None


@pytest.mark.skipif(python38() is None, reason="no Python 3.8: set PYTHON38")
def test_a_bare_python_38_says_what_it_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Protocol and server run there as they are."""
    monkeypatch.setenv(isaacgym.VARIABLE, str(python38()))
    with pytest.raises((PackageMissing, EngineMissing), match=r"cannot import (numpy|isaacgym) .*No module named"):
        isaacgym.launch()


LISTENER = """
import os, socket, sys, types
package = types.ModuleType("legged_gym")
package.__path__ = [sys.argv[1]]
sys.modules["legged_gym"] = package
from legged_gym.sim.process.protocol import Channel, Reply
channel = Channel(socket.socket(fileno=int(sys.argv[2])))
message = channel.receive()
os.write(channel.receive_descriptor(), b"it arrived")
channel.send(Reply.DONE, message.number, {"text": message.payload["text"][::-1]})
"""


@pytest.mark.skipif(python38() is None, reason="no Python 3.8: set PYTHON38")
def test_messages_and_open_files_pass_between_two_versions_of_python() -> None:
    ours, theirs = socket.socketpair()
    read_end, write_end = os.pipe()
    command = [str(python38()), "-c", LISTENER, str(LEGGED_GYM_ROOT_DIR / "legged_gym"), str(theirs.fileno())]
    with subprocess.Popen(command, pass_fds=[theirs.fileno()]):
        theirs.close()
        channel = Channel(ours)
        text = "a" + 2**20 * "z"  # more than a socket holds
        channel.send(Request.STEP, 7, {"text": text}, timeout=20.0)
        channel.send_descriptor(write_end)
        reply = channel.receive(timeout=20.0)
        assert (reply.kind, reply.number, reply.payload["text"]) == (Reply.DONE, 7, text[::-1])
        assert os.read(read_end, 100) == b"it arrived"
        channel.close()
    os.close(read_end)
    os.close(write_end)


@pytest.mark.skipif(python38("numpy", "torch", "mujoco") is None, reason="no Python 3.8 with numpy, torch and mujoco")
def test_the_worker_runs_under_python_38(pf_tron1a: RobotModel) -> None:
    """Over the stand-in: robots stand, and fall with gravity."""
    with stand_in_environment() as environment:
        environment.setenv(isaacgym.VARIABLE, str(python38("numpy", "torch", "mujoco")))
        sim = IsaacGymSimulator(pf_tron1a, 4, SimOptions(num_threads=1))
    assert sim._worker.versions["python"].startswith("3.8.") and sim._worker.versions["torch"] < torch.__version__
    sim.push(torch.tensor([True, False, False, False]), torch.tensor([[0.0, 0.0, 5.0]]).repeat(4, 1))
    for _ in range(5):
        sim.step(torch.zeros(4, 6))
    force = sim.state.contact_force_w[..., 2].sum(-1)
    assert (force[1:] > 50.0).all() and force[0] == 0.0
    assert sim.state.root_lin_vel_w[0, 2] == pytest.approx(5.0 - 9.81 * 0.1, abs=0.02)
    sim.close()
