"""MuJoCo's window on a virtual display, with real keys."""

import shutil
import subprocess
import sys

import pytest

PROGRAM = """
import subprocess, time
import torch
from legged_gym.envs.pointfoot.pointfoot_flat import PointFootFlat
from legged_gym.envs.pointfoot.pointfoot_flat_config import PointFootFlatCfg
from legged_gym.viewer.view import ViewerClosed

cfg = PointFootFlatCfg()
cfg.env.num_envs, cfg.sim.backend, cfg.asset.robot_type = 1, "mujoco", "PF_TRON1A"
env = PointFootFlat(cfg, "cpu", headless=False)

def press(key):
    subprocess.run(["xdotool", "search", "--onlyvisible", "--name", "MuJoCo", "windowfocus", "key", key], check=True)

def drawing_becomes(value):
    deadline = time.time() + 20.0
    while env.viewer.screen.watched is not value:
        assert time.time() < deadline, "the key did not arrive"
        time.sleep(0.05)

env.step(torch.zeros(1, 6))
time.sleep(1.0)
press("v")
drawing_becomes(False)
press("v")
drawing_becomes(True)
press("Escape")
try:
    for _ in range(200):
        env.step(torch.zeros(1, 6))
        time.sleep(0.05)
except ViewerClosed:
    print("closed by the user")
env.viewer.close()
env.sim.close()
"""


@pytest.mark.skipif(
    not (shutil.which("xvfb-run") and shutil.which("xdotool")), reason="no virtual display: install xvfb and xdotool"
)
def test_the_keys_reach_the_viewer() -> None:
    display = ["xvfb-run", "-a", "-s", "-screen 0 640x480x24"]
    command = [*display, sys.executable, "-c", PROGRAM]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    assert "closed by the user" in done.stdout
