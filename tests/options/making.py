"""Starts a run as the training script does, of the task `dummy`, which trains in milliseconds."""

from pathlib import Path
from typing import Any

import pytest

from legged_gym.options import resolve as resolving
from legged_gym.options.request import Request, make_parser, parse_args
from legged_gym.options.resolve import resolve
from legged_gym.options.setup import make_env, make_runner
from legged_gym.utils import machine
from legged_gym.utils.errors import UserError
from legged_gym.utils.machine import Machine

CPU, GPU = Machine(2, 8.0, 0), Machine(16, 128.0, 1)


def parse(*argv: str, task: str = "dummy") -> Request:
    return parse_args(make_parser("test", training=True), [f"--task={task}", "--headless", *argv]).request


def asked(*argv: str) -> Request:
    """What a script that judges an agent is asked."""
    return parse_args(make_parser("test", agent=True), ["--task=dummy", "--headless", *argv]).request


def start(*argv: str) -> Any:
    """Does what the training script does, and trains."""
    spec = resolve(parse(*argv))
    runner = make_runner(spec, make_env(spec))
    runner.learn(spec.train_cfg.runner.max_iterations)
    return runner


def refusal(logs: Path, *argv: str) -> str:
    """Returns the error of a start, after checking that it is one line and wrote nothing."""
    before = sorted(logs.rglob("*"))
    with pytest.raises(UserError) as caught:
        start(*argv)
    assert "\n" not in str(caught.value) and sorted(logs.rglob("*")) == before
    return str(caught.value)


def on_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets this machine have a GPU with MuJoCo Warp, as far as options go."""
    monkeypatch.setattr(machine, "detect", lambda: GPU)
    warp = {"auto": "mujoco_warp"}
    monkeypatch.setattr(resolving, "resolve_simulator", lambda name: warp.get(name, name))
