"""The play script on the real task; its pictures need software rendering and are made in a process of their own."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import imageio.v2 as imageio
import numpy as np
import onnxruntime
import pytest
import torch
from PIL import Image, ImageSequence

from legged_gym import LEGGED_GYM_ROOT_DIR
from legged_gym.evaluation.loading import make_agent
from legged_gym.evaluation.policies import Policies
from legged_gym.options.cli import run_main
from legged_gym.options.request import parse_args
from legged_gym.options.resolve import resolve
from legged_gym.options.setup import make_env
from legged_gym.scripts import play
from legged_gym.utils.checkpoint_names import checkpoints

SCRIPT = LEGGED_GYM_ROOT_DIR / "legged_gym" / "scripts" / "play.py"


def run_script(*argv: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Runs the script in a process without a display."""
    hidden = ("DISPLAY", "WAYLAND_DISPLAY", "MUJOCO_GL", "ROBOT_TYPE")
    environment = {name: value for name, value in os.environ.items() if name not in hidden}
    command = [sys.executable, str(SCRIPT), "--sim=mujoco", "--sim_device=cpu", "--rl_device=cpu", *argv]
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=300, check=False)
    if done.returncode == 2 and "no off-screen rendering here" in done.stderr:
        pytest.skip("no EGL: install libegl1 and Mesa's software driver (libgl1-mesa-dri)")
    return done


def run(monkeypatch: pytest.MonkeyPatch, *argv: str) -> object:
    """Runs the script in this process and returns its exit code."""
    monkeypatch.setattr(sys, "argv", ["play.py", *argv])
    with pytest.raises(SystemExit) as stop:
        run_main(play.main)
    return stop.value.code


def test_a_checkpoint_is_filmed_plotted_and_exported(tmp_path: Path, trained_run: Path) -> None:
    video = tmp_path / "out.mp4"
    options = (f"--load_run={trained_run}", f"--video={video}", "--duration=0.4", "--fps=25", "--out=made/here")
    done = run_script(*options, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    with imageio.get_reader(video) as reader:
        pictures = [*reader.iter_data()]
        assert reader.get_meta_data()["fps"] == 25.0
    assert len(pictures) == 10 and pictures[0].shape == (720, 1280, 3)
    assert pictures[0].std() > 20.0 and (pictures[0] != pictures[-1]).any(), "a picture shows something, and it moves"
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []
    made = tmp_path / "made" / "here"
    assert imageio.imread(made / "states.png").std() > 10.0
    exported = {path.name for path in (made / "exported").iterdir()}
    assert exported == {"encoder.onnx", "policy.onnx", "policy_jit.pt"}
    assert onnxruntime.InferenceSession(made / "exported" / "policy.onnx").get_inputs()[0].shape == [36]
    assert "act as the checkpoint does" in done.stdout


def test_an_agent_without_networks_is_filmed_by_default(tmp_path: Path) -> None:
    done = run_script("--agent=zero", "--duration=0.1", f"--out={tmp_path}", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert {path.name for path in tmp_path.iterdir()} == {"video.mp4", "states.png"}


def test_a_gif_is_small_and_moves(tmp_path: Path) -> None:
    done = run_script("--agent=teacher", "--duration=0.8", "--gif=walk.gif", f"--out={tmp_path}", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert {path.name for path in tmp_path.iterdir()} == {"walk.gif", "states.png"}
    with Image.open(tmp_path / "walk.gif") as film:
        assert film.size == (400, 300) and film.n_frames == 14 and film.info["duration"] == 60
        pictures = [np.asarray(frame.convert("RGB"), dtype=float) for frame in ImageSequence.Iterator(film)]
    assert (tmp_path / "walk.gif").stat().st_size < 14 * 15_000
    assert pictures[0].std() > 20.0 and np.abs(pictures[-1] - pictures[0]).mean() > 0.5


@pytest.mark.skipif(shutil.which("xvfb-run") is None, reason="no virtual display: install xvfb")
def test_a_window_opens_and_closes_cleanly(tmp_path: Path) -> None:
    options = ["--agent=zero", "--duration=0.2", f"--out={tmp_path}", "--sim=mujoco", "--sim_device=cpu"]
    command = ["xvfb-run", "-a", sys.executable, str(SCRIPT), *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    assert "window:" in done.stdout
    assert [path.name for path in tmp_path.iterdir()] == ["states.png"], "a window needs no video"


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--fps=0"], "--fps: got 0.0"),
        (["--duration=-1"], "--duration: got -1.0"),
        (["--video=film.avi"], "ends with .mp4"),
        (["--gif=film.mp4"], "ends with .gif"),
        (["--gif=a.gif", "--video=a.mp4"], "--video and --gif: give one of them"),
        (["--video=/nowhere/film.mp4"], "there is no folder /nowhere"),
        (["--size=640"], "--size: got '640'"),
        (["--size=641x360"], "two even numbers"),
        (["--viewer=native"], "--viewer=native opens a window and --headless forbids one"),
        (["--viewer=web", "--viewer_port=0"], "--viewer_port: got 0"),
        (["--agent=zeroo"], "unknown agent 'zeroo'"),
        (["--load_run=nothing"], "no run 'nothing'"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], argv: list[str], message: str
) -> None:
    assert run(monkeypatch, "--headless", *argv) == 2
    errors = capsys.readouterr().err.splitlines()
    assert len(errors) == 1 and message in errors[0]


def test_an_agent_that_is_not_there_leaves_no_folder(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, logs: Path
) -> None:
    for argv in ([f"--onnx={tmp_path}"], ["--agent=teacher", "--offset=no.pt", f"--out={tmp_path / 'out'}"]):
        assert run(monkeypatch, "--headless", "--sim=mujoco", "--sim_device=cpu", *argv) == 2
        assert "no such " in capsys.readouterr().err
    assert not logs.exists() and not (tmp_path / "out").exists()


def test_an_mp4_has_the_size_and_the_overlays_that_are_asked_for(tmp_path: Path) -> None:
    pictures = {}
    for overlays in ("--overlays", "--no-overlays"):
        options = ("--duration=0.4", "--size=320x180", overlays, "--seed=1", "--video=film.mp4", f"--out={tmp_path}")
        done = run_script("--agent=teacher", *options, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        with imageio.get_reader(tmp_path / "film.mp4") as reader:
            pictures[overlays] = np.stack([*reader.iter_data()]).astype(float)
    with_overlays, without = pictures.values()
    assert with_overlays.shape == without.shape == (10, 180, 320, 3), "25 pictures a second without a GPU"
    changed = np.abs(with_overlays - without).max(-1) > 60.0
    assert 0.001 < changed.mean() < 0.2, "arrows and balls are drawn, and the rest stays"


@torch.inference_mode()
def test_a_run_s_checkpoints_are_switched_while_it_plays(
    tmp_path: Path, trained_run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also to one that is written meanwhile; one that cannot be read changes nothing."""
    run = tmp_path / "run"
    shutil.copytree(trained_run, run)
    first = checkpoints(run)[max(checkpoints(run))]
    argv = ["--headless", f"--load_run={run}", "--sim=mujoco", "--sim_device=cpu", "--rl_device=cpu"]
    spec = resolve(parse_args(play.make_play_parser(), argv).request, play.played_cfg)
    env = make_env(spec, headless=True)
    agent = make_agent(spec, env)
    policies = Policies(spec, env, agent)
    assert policies.present == first.stem and policies.names[-1] == first.stem
    obs = env.get_observations()
    before = agent.act(obs)

    saved = torch.load(first, weights_only=False)
    for value in saved["actor_state_dict"].values():
        if value.is_floating_point():
            value.mul_(0.5)
    torch.save(saved, run / "model_900.pt")
    (run / "model_901.pt").write_bytes(b"half a checkpoint")
    assert policies.names[-2:] == ["model_900", "model_901"]
    policies.switch("model_900")
    other = agent.act(obs)
    assert not torch.allclose(other, before, atol=1e-3) and "model_900.pt" in capsys.readouterr().out
    for name in ("model_901", "model_902", "../../elsewhere"):
        policies.switch(name)
        assert torch.equal(agent.act(obs), other)
    assert "model_901.pt" in capsys.readouterr().out
    policies.switch(first.stem)
    assert torch.equal(agent.act(obs), before)
    env.sim.close()


def test_the_film_of_a_robot_takes_one_thread_of_torch(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """More of them took a third of a film's processor time, waiting for each other."""
    before, seen = torch.get_num_threads(), []
    monkeypatch.setattr(play, "run", lambda *_: seen.append(torch.get_num_threads()))
    torch.set_num_threads(2)
    try:
        assert run(monkeypatch, "--headless", "--agent=zero", f"--out={tmp_path}") == 0
    finally:
        torch.set_num_threads(before)
    assert seen == [1]
