"""A task in a repository of its own: the example of docs/add_a_task.md, installed as a user would, and trained."""

import json
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from legged_gym import LEGGED_GYM_ROOT_DIR
from legged_gym.options import tasks
from legged_gym.utils.errors import UserError

EXAMPLE = LEGGED_GYM_ROOT_DIR / "examples" / "hop_task"
TRAIN = (
    *("--task=pointfoot_hop", "--headless", "--num_envs=4", "--max_iterations=2", "--sim=mujoco", "--rl_device=cpu"),
    *("--train.runner.num_steps_per_env=8", "--train.policy.actor_hidden_dims=8"),
)


def environment(*paths: Path) -> dict[str, str]:
    """Of a process that finds this package, and packages in `paths`."""
    found = os.pathsep.join(map(str, (*paths, LEGGED_GYM_ROOT_DIR, *filter(None, [os.environ.get("PYTHONPATH")]))))
    return {name: value for name, value in os.environ.items() if name != "ROBOT_TYPE"} | {"PYTHONPATH": found}


def run(call: list[str], cwd: Path, *paths: Path) -> str:
    done = subprocess.run(
        call, cwd=cwd, env=environment(*paths), capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the example is installed: by pip, without the network, from a copy, which pip writes to."""
    folder = tmp_path_factory.mktemp("site")
    copy = shutil.copytree(EXAMPLE, tmp_path_factory.mktemp("source") / "hop_task")
    options = ["--quiet", "--no-deps", "--no-build-isolation", "--no-index", "--disable-pip-version-check"]
    run([sys.executable, "-m", "pip", "install", *options, "--target", str(folder), str(copy)], copy)
    return folder


def test_an_installed_task_trains_without_a_word_more(installed: Path, tmp_path: Path) -> None:
    call = [sys.executable, "-m", "legged_gym", "train", *TRAIN, "--log_root=runs"]
    play, evaluate = run(call, tmp_path, installed).splitlines()[-2:]
    (checkpoint,) = tmp_path.glob("runs/pointfoot_hop/PF_TRON1A/*/model_2.pt")
    config = json.loads((checkpoint.parent / "env_cfg.json").read_text())
    assert config["rewards"]["scales"]["hop"] == -5.0 and config["rewards"]["terms"] == ["hop_task.terms:hop"]
    assert "--import" not in play + evaluate
    short = ["--suite=track", "--num_envs=2", "--time_scale=0.02", "--sim_device=cpu", "--rl_device=cpu"]
    printed = shlex.split(evaluate.removeprefix("evaluate:"))
    assert "track " in run([*printed, *short], tmp_path, installed), "the printed command does what it says"


def test_a_task_that_is_not_installed_is_imported(tmp_path: Path) -> None:
    """From the working directory; the printed command and the one that is kept carry the import."""
    shutil.copytree(EXAMPLE / "hop_task", tmp_path / "hop_task")
    script = str(LEGGED_GYM_ROOT_DIR / "legged_gym" / "scripts" / "train.py")
    call = [sys.executable, script, "--import=hop_task", *TRAIN, "--max_iterations=1", "--log_root=runs"]
    lines = run(call, tmp_path).splitlines()[-2:]
    assert all("--task=pointfoot_hop --import=hop_task --load_run=runs/" in line for line in lines)
    (noted,) = tmp_path.rglob("command.txt")
    assert noted.read_text().startswith("python -m legged_gym train --import=hop_task --task=pointfoot_hop")


def test_a_package_that_cannot_be_imported_is_named_and_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "broken_task.py").write_text("import no_such_thing\n")
    info = tmp_path / "broken_task-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: broken-task\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[legged_gym.tasks]\nbroken = broken_task\n")
    monkeypatch.syspath_prepend(tmp_path)
    tasks._load_installed.cache_clear()
    tasks.load_tasks()
    tasks._load_installed.cache_clear()
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("warning: tasks of broken_task are left out (ModuleNotFoundError: No module named 'no_such")
    with pytest.raises(ModuleNotFoundError, match="no_such_thing"):
        tasks.load_tasks(["broken_task"])  # the user's own: its traceback says where
    with pytest.raises(UserError, match=r"--import=broken_task\.more: no such package"):
        (tmp_path / "broken_task.py").write_text("")
        tasks.load_tasks(["broken_task.more"])


def test_the_page_shows_the_example_as_it_is() -> None:
    page = (LEGGED_GYM_ROOT_DIR / "docs" / "add_a_task.md").read_text()
    files = [path for path in EXAMPLE.rglob("*") if path.suffix in (".py", ".toml")]
    assert len(files) == 5
    for file in files:
        assert file.read_text().strip() in page, f"{file.relative_to(EXAMPLE)} is not shown as it is"
