"""The training script on a dummy task, and its errors as a user meets them."""

import gc
import os
import pickle
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from legged_gym import LEGGED_GYM_ROOT_DIR, resources_dir
from legged_gym.envs.base.legged_robot_config import SimCfg
from legged_gym.options.cli import run_main
from legged_gym.options.commands import commands_for
from legged_gym.options.request import Request
from legged_gym.options.resolve import resolve
from legged_gym.options.spec import RunSpec
from legged_gym.scripts import train
from legged_gym.utils import machine, startup
from legged_gym.utils.checkpoint import load_checked
from legged_gym.utils.task_registry import TaskRegistry

SCRIPT = LEGGED_GYM_ROOT_DIR / "legged_gym" / "scripts" / "train.py"


@pytest.fixture(autouse=True)
def dummy_task(registry: TaskRegistry) -> Iterator[None]:
    """Registers the dummy task, and puts the signal handlers back afterwards."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def run(monkeypatch: pytest.MonkeyPatch, *argv: str) -> object:
    """Runs the script in this process and returns its exit code."""
    monkeypatch.setattr(sys, "argv", ["train.py", "--task=dummy", *argv])
    with pytest.raises(SystemExit) as stop:
        run_main(train.main)
    return stop.value.code


def the_run(logs: Path) -> Path:
    """Returns the only run in `logs`."""
    (found,) = (path.parent for path in logs.rglob("env_cfg.json"))
    return found


def test_the_run_notes_the_commands_that_trained_it(monkeypatch: pytest.MonkeyPatch, logs: Path) -> None:
    assert run(monkeypatch, "--headless", "--max_iterations=2") == 0
    first = (the_run(logs) / "command.txt").read_text()
    noted = re.fullmatch(r"python -m legged_gym train --task=dummy --headless --max_iterations=2  # (.+)\n", first)
    assert noted and re.fullmatch(r"revision [0-9a-f]{7,}(-dirty)?|version [0-9.]+", noted[1])
    assert run(monkeypatch, "--headless", "--resume", "--run_name=more") == 0
    (resumed,) = logs.rglob("*_more/command.txt")
    second = "python -m legged_gym train --task=dummy --headless --resume --run_name=more"
    assert resumed.read_text() == f"{first}{second}  # {noted[1]}\n"


def test_trains_and_says_how_to_go_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], logs: Path
) -> None:
    monkeypatch.chdir(logs.parent)
    assert run(monkeypatch, "--headless", "--max_iterations=2", "--run_name=a b") == 0
    lines = capsys.readouterr().out.splitlines()[-3:]
    relative = the_run(logs).relative_to(logs.parent)
    assert lines[0] == f"run:      {relative}"
    for line, script in zip(lines[1:], ("play", "evaluate"), strict=True):
        python, path, *options = shlex.split(line)[1:]
        assert Path(python).exists() and Path(path).name == f"{script}.py" and Path(path).is_absolute()
        assert options == ["--task=dummy", f"--load_run={relative}", "--checkpoint=2"]


def test_commands_are_short_in_the_repository(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(LEGGED_GYM_ROOT_DIR)
    spec = resolve(Request("dummy", imports=("json",)))
    text = commands_for(spec, LEGGED_GYM_ROOT_DIR / "logs" / "x")
    assert " legged_gym/scripts/play.py --task=dummy --import=json --load_run=logs/x --checkpoint=-1" in text


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("times", [1, 2])
def test_a_signal_saves_and_ends_cleanly(
    registry: TaskRegistry, monkeypatch: pytest.MonkeyPatch, logs: Path, number: signal.Signals, times: int
) -> None:
    runner_class: Any = registry.get("dummy").runner_class

    def learn(self: Any, num_iterations: int) -> None:
        try:
            for _ in range(num_iterations):
                self.current_learning_iteration += 1
                if self.current_learning_iteration == 4:
                    for _ in range(times):
                        os.kill(os.getpid(), number)
                    assert times == 1, "the second signal must not get here"
                if self.interrupted:
                    break
        finally:
            os.kill(os.getpid(), number) if times == 2 else None  # a third one must not spoil the checkpoint
            self.save(f"{self.log_dir}/model_{self.current_learning_iteration}.pt")

    monkeypatch.setattr(runner_class, "learn", learn)
    expected = 0 if times == 1 else 128 + number
    assert run(monkeypatch, "--headless", "--max_iterations=1000") == expected
    assert load_checked(the_run(logs) / "model_4.pt")["iter"] == 4


def test_ctrl_c_before_training(monkeypatch: pytest.MonkeyPatch, logs: Path) -> None:
    def interrupted(request: object, **_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(train, "resolve", interrupted)
    assert run(monkeypatch, "--headless") == 130 and not logs.exists()


SHIPPED = resources_dir() / "policies" / "PF_TRON1A" / "pointfoot_flat"


@pytest.mark.parametrize(
    ("suggested", "options", "expected"),
    [
        (8192, ["--until_walking"], 4096),
        (128, ["--until_walking"], 128),
        (8192, [], 8192),
        (8192, ["--until_walking", "--num_envs=6000"], 6000),
        (8192, ["--until_walking", "--train.runner.resume=false"], 4096),
        (8192, ["--until_walking", "--resume", f"--load_run={SHIPPED}"], 4096),
    ],
)
def test_fewer_robots_walk_sooner(
    monkeypatch: pytest.MonkeyPatch, logs: Path, suggested: int, options: list[str], expected: int
) -> None:
    specs: list[RunSpec] = []

    def stop(spec: RunSpec, *_: object) -> None:
        specs.append(spec)
        raise KeyboardInterrupt

    monkeypatch.setattr(machine, "suggest", lambda *_: machine.Scale(suggested))
    monkeypatch.setattr(train, "train", stop)
    assert run(monkeypatch, "--headless", *options) == 130
    assert specs[0].env_cfg.env.num_envs == expected


def test_evaluations_cannot_come_every_minus_five_steps(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], logs: Path
) -> None:
    assert run(monkeypatch, "--headless", "--evaluate_every=-5") == 2
    assert capsys.readouterr().err == "error: --evaluate_every: got -5, expected a number >= 0\n" and not logs.exists()


def test_a_window_needs_a_display(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], logs: Path
) -> None:
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    assert run(monkeypatch) == 2
    assert "add --headless" in capsys.readouterr().err and not logs.exists()


def test_the_real_task_trains_and_goes_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], logs: Path
) -> None:
    options = ["--task=pointfoot_flat", "--headless", "--max_iterations=1", "--sim=mujoco", "--rl_device=cpu"]
    small = ["--num_envs=3", "--train.runner.num_steps_per_env=8", "--train.policy.actor_hidden_dims=8,4"]
    startup.begins()
    assert run(monkeypatch, *options, *small) == 0
    assert gc.isenabled(), "from the end of the start on"
    gc.unfreeze()
    first = the_run(logs)
    assert first.parent == logs / "pointfoot_flat" / "PF_TRON1A" and list(first.glob("events.out.tfevents.*"))
    assert run(monkeypatch, *options, "--resume") == 0
    (second,) = set(first.parent.iterdir()) - {first}
    assert load_checked(second / "model_2.pt")["iter"] == 2
    assert "--checkpoint=2" in capsys.readouterr().out


def test_the_script_itself_refuses_in_one_line(tmp_path: Path) -> None:
    call = [sys.executable, str(SCRIPT), "--headless", "--task=pointfoot_flt"]
    done = subprocess.run(call, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert "unknown task 'pointfoot_flt'; did you mean 'pointfoot_flat'? known: pointfoot_flat" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_the_script_has_its_gate_walked_beside_it(tmp_path: Path) -> None:
    """From a folder with modules of the same name as ours, which nobody imports."""
    for name in ("yaml.py", "legged_gym.py"):
        (tmp_path / name).write_text("raise RuntimeError('this is another one')\n")
    call = [sys.executable, str(SCRIPT), "--headless", "--until_walking", "--evaluate_every=1", "--sim=mujoco"]
    call += ["--num_envs=4", "--max_iterations=2", "--train.runner.num_steps_per_env=8", f"--log_root={tmp_path}"]
    done = subprocess.run(call, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0 and not done.stderr and "is lost" not in done.stdout
    assert done.stdout.count("walking gate: survival") == 2 and "walking gate not passed after" in done.stdout


@pytest.mark.parametrize(
    ("backend", "process", "cores", "ranks", "expected"),
    [
        ("mujoco", False, 1, 1, 0),
        ("mujoco", False, 2, 1, 1),
        ("mujoco", False, 64, 1, 1),
        ("mujoco", False, 2, 2, 0),
        ("mujoco", False, 8, 4, 1),
        ("mujoco", True, 2, 1, 0),
        ("mujoco", True, 3, 1, 1),
        ("mujoco_warp", False, 1, 1, 1),
        ("mujoco_warp", False, 16, 1, 3),
        ("isaacgym", True, 64, 1, 0),
        ("a_users_own", False, 64, 1, 0),
    ],
)
def test_who_walks_the_gate(
    monkeypatch: pytest.MonkeyPatch, backend: str, process: bool, cores: int, ranks: int, expected: int
) -> None:
    """Processes beside training, where the robots can walk in MuJoCo and each process that trains can spare a core."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(cores)), raising=False)
    monkeypatch.setattr(machine, "_read", lambda path: "")  # no container's quota
    monkeypatch.setenv("LOCAL_WORLD_SIZE", str(ranks))
    sim = SimCfg(backend=backend)
    sim.process.enabled = process
    assert train.judges_beside(sim) == expected


@pytest.mark.parametrize(
    ("device", "until_walking", "said", "computing", "asked"),
    [("cpu", True, False, 2, 0), ("cpu", True, True, 2, 3), ("cpu", False, False, 4, 3), ("cuda:0", True, False, 4, 3)],
)
def test_training_on_a_processor_leaves_the_judge_its_cores(
    monkeypatch: pytest.MonkeyPatch, device: str, until_walking: bool, said: bool, computing: int, asked: int
) -> None:
    """Also if it goes on with a run that had more threads; and one that goes on with it has them again."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(4)), raising=False)
    monkeypatch.setattr(machine, "_read", lambda path: "")
    seen = []

    def make_runner(spec: RunSpec, env: object) -> SimpleNamespace:
        seen.append((torch.get_num_threads(), spec.train_cfg.runner.update_threads))
        return SimpleNamespace(log_dir=None, learn=lambda count: sys.exit())

    monkeypatch.setattr(train, "make_env", lambda *_, **__: None)
    monkeypatch.setattr(train, "make_runner", make_runner)
    monkeypatch.setattr(train, "WalkingGate", lambda *_: sys.exit())
    spec = replace(resolve(Request(task="pointfoot_flat", settings=())), rl_device=device)
    spec.env_cfg.sim.backend, spec.train_cfg.runner.update_threads = "mujoco", 3
    if said:
        spec = replace(spec, said=frozenset({"train.runner.update_threads"}))
    with machine.torch_threads(4), pytest.raises(SystemExit):
        train.train(spec, until_walking=until_walking)
    assert seen == [(computing, asked)] and spec.train_cfg.runner.update_threads == 3


def test_a_gpu_has_its_gate_walked_by_the_processor(monkeypatch: pytest.MonkeyPatch, registry: TaskRegistry) -> None:
    """The other process finds the robots of the task, the user's own ones included, in MuJoCo on the CPU."""
    spec = resolve(Request(task="pointfoot_flat", imports=("colorsys",), settings=()))
    spec.env_cfg.sim.process.enabled = True
    make = train.on_the_processor(replace(spec, sim_device="cuda:0"), 3)
    (sent,) = pickle.loads(pickle.dumps(make)).args
    assert (sent.sim_device, sent.train_cfg, sent.env_cfg.env.num_envs) == ("cpu", None, 3)
    sim = sent.env_cfg.sim
    assert sim.backend == "mujoco" and 1 <= sim.num_threads <= 4 and not sim.process.enabled
    assert sent.env_cfg.control.action_delay == 0.01, "as deployed"
    assert spec.env_cfg.sim.process.enabled, "training's own config stays"
    sys.modules.pop("colorsys", None)
    env = make()
    assert (
        "colorsys" in sys.modules
        and env.num_envs == 3
        and type(env.sim).__module__.startswith("legged_gym.sim.mujoco.")
    )
    env.sim.close()
