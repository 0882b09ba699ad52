"""show_terrain.py writes two pictures with something on them, and refuses what is no place on the map."""

import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from legged_gym.scripts import show_terrain
from legged_gym.utils.cli import run_main
from tests.sim.test_conformance import can_render


def test_it_draws_the_map_and_robots_on_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if not can_render():
        pytest.skip("no off-screen rendering: set MUJOCO_GL=egl, with libegl1 and libgl1-mesa-dri installed")
    small = ["--env.terrain.num_rows=2", "--env.terrain.num_cols=2", "--env.terrain.profile=stairs_up"]
    options = [f"--out={tmp_path / 'pictures'}", "--num_envs=4", "--sim=mujoco", "--env.asset.robot_type=PF_TRON1A"]
    monkeypatch.setattr(sys, "argv", ["show_terrain.py", *options, *small])
    show_terrain.main()
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
