"""What macOS and Windows lack is not needed: it is hidden from a process that then trains."""

import ast
import subprocess
import sys
from pathlib import Path

from legged_gym import LEGGED_GYM_ROOT_DIR

ONLY_ON_LINUX = ("sched_getaffinity", "sched_setaffinity", "memfd_create", "pidfd_open", "sysconf_names")
NOT_ON_WINDOWS = ("fcntl", "resource", "pwd", "grp", "termios")
HIDE = f"""
import imageio, matplotlib, mujoco, psutil, rsl_rl.runners, sys, torch.utils.tensorboard  # may need all of it
import os, pathlib
for name in {ONLY_ON_LINUX}:
    if hasattr(os, name):
        delattr(os, name)
for name in {NOT_ON_WINDOWS}:
    sys.modules[name] = None
opened = pathlib.Path.open
def without_proc(self, *args, **kwargs):
    if str(self).startswith(("/proc", "/sys")):
        raise FileNotFoundError(2, "no such file", str(self))
    return opened(self, *args, **kwargs)
pathlib.Path.open = without_proc
small = ["--num_envs=4", "--max_iterations=1"]
sys.argv = ["train", "--headless", "--sim=mujoco", "--rl_device=cpu", *small, *sys.argv[1:]]
from legged_gym.__main__ import run_script
run_script("train")
"""
POSIX_FILES = {"sim/process/serve.py"}
"""Of a simulator in a process of its own, which Windows cannot have: they may import what is not there."""


def test_training_needs_nothing_that_only_linux_has(tmp_path: Path) -> None:
    options = [f"--log_root={tmp_path}", "--train.runner.num_steps_per_env=4", "--train.policy.actor_hidden_dims=8"]
    call = [sys.executable, "-c", HIDE, *options]
    done = subprocess.run(call, cwd=LEGGED_GYM_ROOT_DIR, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    assert list(tmp_path.rglob("model_1.pt"))


def test_modules_of_one_system_are_imported_where_they_are_used_only() -> None:
    package = LEGGED_GYM_ROOT_DIR / "legged_gym"
    for file in package.rglob("*.py"):
        top = [node for node in ast.parse(file.read_text()).body if isinstance(node, ast.Import)]
        names = {alias.name for node in top for alias in node.names}
        assert not names & set(NOT_ON_WINDOWS) or str(file.relative_to(package)) in POSIX_FILES, file
