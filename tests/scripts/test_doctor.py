"""The doctor: one line each, exit code 0, and a remedy for whatever does not work."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from legged_gym import LEGGED_GYM_ROOT_DIR
from legged_gym.scripts import doctor

SCRIPT = LEGGED_GYM_ROOT_DIR / "legged_gym" / "scripts" / "doctor.py"


def test_one_line_each_and_no_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "ISAACGYM_PYTHON"):
        monkeypatch.delenv(name, raising=False)
    done = subprocess.run([sys.executable, str(SCRIPT)], cwd=tmp_path, capture_output=True, text=True, check=True)
    head, *lines = done.stdout.splitlines()
    assert head.startswith("python 3.") and done.stderr == ""
    assert [line.split()[0] for line in lines] == list(doctor.CHECKS)
    found = dict(zip(doctor.CHECKS, lines, strict=True))
    assert found["mujoco"].split()[1:3] == ["works", "MuJoCo"]
    assert "ISAACGYM_PYTHON is not set; set ISAACGYM_PYTHON to the python of your Isaac Gym" in found["isaacgym"]
    assert "add --headless" in found["display"]


def test_what_does_not_work_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "run_code", lambda code, **_: "ImportError: no library")
    monkeypatch.setattr(doctor, "_has_cuda", lambda: True)
    for check, remedy in (
        (doctor.check_mujoco, "make clean setup"),
        (doctor.check_mujoco_warp, "pip install -e '.[gpu]'"),
        (doctor.check_rendering, "apt install libegl1"),
    ):
        with pytest.raises(doctor.Fault, match=r"^.+; .+") as caught:
            check()
        assert remedy in str(caught.value)


def test_a_missing_viser_is_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    def version(name: str) -> str:
        raise doctor.importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(doctor.importlib.metadata, "version", version)
    with pytest.raises(doctor.Fault, match=r"pip install -e '\.\[viewer\]'"):
        doctor.check_web()


def test_a_daemon_that_lets_processes_share_a_gpu_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_MPS_PIPE_DIRECTORY", str(tmp_path))
    monkeypatch.setattr(doctor.shutil, "which", lambda name: None)
    expected = "no MPS daemon runs, nor is nvidia-cuda-mps-control installed: a worker and the trainer take turns"
    assert doctor._sharing().startswith(expected)
    monkeypatch.setattr(doctor.shutil, "which", lambda name: f"/usr/bin/{name}")
    for left in ("", "no number", "999999999\n"):  # of a daemon that was killed
        (tmp_path / "nvidia-cuda-mps-control.pid").write_text(left)
        assert doctor._sharing().startswith("no MPS daemon runs: a worker and the trainer take turns")
    (tmp_path / "nvidia-cuda-mps-control.pid").write_text(f"{os.getpid()}\n")
    assert doctor._sharing().startswith("an MPS daemon runs")


def test_code_that_aborts_is_survived() -> None:
    assert doctor.run_code("") == ""
    assert doctor.run_code("raise KeyError('gone')") == "KeyError: 'gone'"
    assert doctor.run_code("import os; os.abort()") == "exit code -6"
