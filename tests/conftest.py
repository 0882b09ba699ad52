"""A task small enough to train in milliseconds: 25 lines of environment and runner, real configs."""

from ctypes.util import find_library
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import torch

from legged_gym.options import runs
from legged_gym.utils import machine
from legged_gym.utils.checkpoint import load_checked, save_atomically
from legged_gym.utils.config import Config, bounded
from legged_gym.utils.task_registry import Task, TaskRegistry, task_registry

if find_library("EGL"):  # without it, to ask for it would fail the import of MuJoCo
    machine.prefer_egl()


@dataclass
class SizeCfg(Config):
    num_envs: int = bounded(4, ge=1)


@dataclass
class AssetCfg(Config):
    robot_type: str | None = None
    file: str | None = None


@dataclass
class SimCfg(Config):
    backend: str = "auto"


@dataclass
class CommandsCfg(Config):
    resampling_time: float = bounded(5.0, gt=0)


@dataclass
class DummyCfg(Config):
    seed: int = bounded(1, ge=0)
    env: SizeCfg = field(default_factory=SizeCfg)
    asset: AssetCfg = field(default_factory=AssetCfg)
    sim: SimCfg = field(default_factory=SimCfg)
    commands: CommandsCfg = field(default_factory=CommandsCfg)


@dataclass
class RunnerCfg(Config):
    experiment_name: str = "dummy"
    run_name: str = ""
    max_iterations: int = bounded(3, ge=1)
    save_interval: int = bounded(50, ge=1)
    resume: bool = False
    load_run: str = "-1"
    checkpoint: int = bounded(-1, ge=-1)
    logger: str = "tensorboard"


@dataclass
class PolicyCfg(Config):
    actor_hidden_dims: tuple[int, ...] = bounded((8,), ge=1)


@dataclass
class EstimatorCfg(Config):
    num_mini_batches: int = bounded(8, ge=1)


@dataclass
class DummyCfgPPO(Config):
    seed: int = bounded(1, ge=0)
    policy: PolicyCfg = field(default_factory=PolicyCfg)
    estimator: EstimatorCfg = field(default_factory=EstimatorCfg)
    runner: RunnerCfg = field(default_factory=RunnerCfg)


class DummyEnv:
    """Keeps what it was built with."""

    def __init__(self, cfg: DummyCfg, sim_device: str, headless: bool) -> None:
        self.cfg, self.sim_device, self.headless = cfg, sim_device, headless


class DummyRunner:
    """Counts iterations; its network is one number per layer width."""

    def __init__(self, env: DummyEnv, cfg: DummyCfgPPO, log_dir: str | None, device: str) -> None:
        self.env, self.cfg, self.device = env, cfg, device
        self.log_dir, self.interrupted = log_dir, False
        self.current_learning_iteration = 0
        self.weights = torch.zeros(cfg.policy.actor_hidden_dims)

    def learn(self, num_iterations: int) -> None:
        self.current_learning_iteration += num_iterations
        self.save(f"{self.log_dir}/model_{self.current_learning_iteration}.pt")

    def save(self, path: str) -> None:
        save_atomically({"iter": self.current_learning_iteration, "weights": self.weights}, path)

    def load(self, path: str) -> None:
        data = load_checked(path)
        if data["weights"].shape != self.weights.shape:
            raise RuntimeError("size mismatch\nfor weights")
        self.current_learning_iteration = data["iter"]


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> TaskRegistry:
    """The registry, with the task `dummy` for as long as the test runs."""
    monkeypatch.setitem(task_registry._tasks, "dummy", Task(DummyEnv, DummyCfg, DummyCfgPPO, DummyRunner))
    return task_registry


@pytest.fixture(autouse=True)
def logs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keeps the tests out of the repository's logs/ and away from the caller's robot."""
    monkeypatch.setattr(runs, "logs_root", lambda: tmp_path / "logs")
    monkeypatch.delenv("ROBOT_TYPE", raising=False)
    return tmp_path / "logs"
