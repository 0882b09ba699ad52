"""show_terrain.py writes two pictures with something on them, and refuses what is no place on the map."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from legged_gym import LEGGED_GYM_ROOT_DIR
from legged_gym.options.cli import run_main
from legged_gym.scripts import show_terrain

SCRIPT = LEGGED_GYM_ROOT_DIR / "legged_gym" / "scripts" / "show_terrain.py"


def test_it_draws_the_map_and_robots_on_it(tmp_path: Path) -> None:
    """In a process without a display that has not been told how to draw."""
    hidden = ("DISPLAY", "WAYLAND_DISPLAY", "MUJOCO_GL")
    environment = {name: value for name, value in os.environ.items() if name not in hidden}
    small = ["--env.terrain.num_rows=2", "--env.terrain.num_cols=2", "--env.terrain.profile=stairs_up"]
    options = ["--out=pictures", "--num_envs=4", "--sim=mujoco", "--env.asset.robot_type=PF_TRON1A"]
    command = [sys.executable, str(SCRIPT), *options, *small]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    if done.returncode == 2 and "no off-screen rendering here" in done.stderr:
        pytest.skip("no EGL: install libegl1 and Mesa's software driver (libgl1-mesa-dri)")
    assert done.returncode == 0, done.stderr
    for name in ("map", "robots"):
        picture = np.asarray(Image.open(tmp_path / "pictures" / f"{name}.png").convert("RGB"))
        assert picture.shape[1] >= 300 and picture.std() > 5.0


@pytest.mark.parametrize("text", ["3,0.5", "0.5", "here"])
def test_a_place_beyond_the_map_is_refused(
    text: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["show_terrain.py", f"--at={text}"])
    with pytest.raises(SystemExit):
        run_main(show_terrain.main)
    assert f"got '{text}', expected two numbers from 0 to 1" in capsys.readouterr().err
