"""What is logged is what the policy does, not the teacher: on the console, in the curves, offline in W&B."""

import json
import math
import os
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from legged_gym.runners.config import WRITERS, LeggedRobotCfgPPO, rsl_rl_cfg
from legged_gym.runners.curves import FIRST_PAGE, describe
from legged_gym.runners.logger import Logger
from legged_gym.utils.errors import UserError

ROBOTS, STEPS = 4, 5


def logger(driven: torch.Tensor | None = None, folder: Path | None = None, service: str = "tensorboard") -> Logger:
    cfg = LeggedRobotCfgPPO()
    cfg.runner.logger = service
    cfg.runner.num_steps_per_env = STEPS
    made = Logger(
        cfg,
        1000,
        driven,
        log_dir=None if folder is None else str(folder),
        cfg=rsl_rl_cfg(cfg),
        env_cfg={"sim.dt": 0.005},
        num_envs=ROBOTS,
        is_distributed=False,
        gpu_world_size=1,
        gpu_global_rank=0,
        device="cpu",
    )
    made.init_logging_writer()
    return made


def step(made: Logger, reward: float = 1.0, done: tuple[int, ...] = (), timed_out: tuple[int, ...] = ()) -> None:
    """One step; robot i is off by (i, 2 i, 3 i)."""
    ends, times = torch.zeros(ROBOTS), torch.zeros(ROBOTS)
    ends[[*done, *timed_out]], times[list(timed_out)] = 1.0, 1.0
    error = torch.arange(ROBOTS, dtype=torch.float).unsqueeze(-1) * torch.tensor([1.0, 2.0, 3.0])
    made.process_env_step(torch.full((ROBOTS,), reward), ends, {"time_outs": times, "velocity_error": error})


def read(made: Logger, iteration: int = 0) -> dict[str, float]:
    scalars: dict[str, float] = {}
    made.log_iteration(iteration, 0, 10, 1.0, 1.0, scalars, 0.02)
    return scalars


def test_robots_that_the_teacher_drives_do_not_count() -> None:
    driven = torch.tensor([[1.0], [0.0], [0.0], [1.0]])
    made = logger(driven)
    for _ in range(STEPS - 1):
        step(made)
    step(made, done=(0, 3))
    first = read(made)
    assert first["Metrics/survival"] == 1.0, "only driven robots fell"
    assert first["Metrics/error_vel_x"] == pytest.approx(math.sqrt((1 + 4) / 2))
    assert first["Metrics/error_vel_y"] == pytest.approx(2.0 * first["Metrics/error_vel_x"])
    assert first["Metrics/error_vel_yaw"] == pytest.approx(3.0 * first["Metrics/error_vel_x"])
    assert "Train/mean_reward" not in first
    step(made, done=(1,), timed_out=(2,))
    second = read(made)
    assert second["Train/mean_reward"] == second["Train/mean_episode_length"] == STEPS + 1
    assert second["Metrics/survival"] == pytest.approx(math.exp(-1 / 2 * 1000)), "one fall in two robot-steps"


def test_an_episode_that_the_teacher_began_is_not_the_policys() -> None:
    driven = torch.ones(ROBOTS, 1)
    made = logger(driven)
    step(made)
    driven.zero_()
    step(made, timed_out=(0,))
    step(made, timed_out=(0,))
    scalars = read(made)
    assert scalars["Train/mean_episode_length"] == 1.0, "the second one of robot 0 only"


def test_while_the_teacher_drives_all_nothing_is_said_of_the_policy(capsys: pytest.CaptureFixture[str]) -> None:
    made = logger(torch.ones(ROBOTS, 1))
    step(made, done=(0,))
    scalars: dict[str, float] = {"Teacher/driven_share": 1.0}
    made.log_iteration(0, 0, 10, 1.0, 1.0, scalars, 0.02)
    assert not [tag for tag in scalars if tag.startswith(("Metrics/", "Train/"))]
    line = capsys.readouterr().out
    assert "the teacher drives all robots" in line and "return" not in line and "survival" not in line


def test_what_is_simulated_of_a_fall_spoils_no_error() -> None:
    made = logger()
    error = torch.tensor([[0.1, 0.1, 0.1], [math.inf, 0.0, 0.0], [math.nan, 0.0, 0.0], [1e6, 1e6, 1e6]])
    done = torch.tensor([0.0, 0.0, 0.0, 1.0])
    made.process_env_step(torch.zeros(ROBOTS), done, {"time_outs": torch.zeros(ROBOTS), "velocity_error": error})
    assert read(made)["Metrics/error_vel_x"] == pytest.approx(0.1)


def test_the_line_is_of_the_last_iterations_and_goes_on_after_a_resume(capsys: pytest.CaptureFixture[str]) -> None:
    made = logger()
    for _ in range(30):
        step(made, timed_out=(0, 1, 2, 3))
        read(made)
    step(made, reward=22.0, timed_out=(0, 1, 2, 3))
    made._last_printed = 0.0
    capsys.readouterr()
    made.log_iteration(9, 0, 1500, 1.0, 3.0, {"Train/difficulty": 0.4}, 0.02)
    line = capsys.readouterr().out
    assert "return 2.05  survival 1.00" in line and "difficulty 0.40" in line, "21 in the last 20 iterations"
    assert "ETA 0:52:09" in line, "1490 iterations of 2.1 s"
    again = logger()
    again.load_state_dict(made.state_dict() | {"total_steps": 1, "total_time": 1.0})
    again.log_iteration(10, 0, 1500, 1.0, 1.0, {}, 0.02)
    assert "return 2." in capsys.readouterr().out
    again.load_state_dict({"total_steps": 1, "total_time": 1.0, "means": (1.0, 2.0)})  # an older checkpoint


def test_curves_say_what_they_are_and_what_ran(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["train.py", "--num_envs=4", "--env.x=a b"])
    made = logger(folder=tmp_path)
    for iteration in range(2):
        step(made)
        read(made, iteration)
    made.stop_logging_writer()
    events = EventAccumulator(str(tmp_path))
    events.Reload()
    points = events.Scalars("Metrics/survival")
    assert [point.step for point in points] == [ROBOTS * STEPS, 2 * ROBOTS * STEPS], "robot-steps"
    assert events.SummaryMetadata("Metrics/error_vel_yaw").summary_description.endswith("[rad/s]")
    tags = events.Tags()["tensors"]
    texts = {tag: events.Tensors(tag)[0].tensor_proto.string_val[0].decode() for tag in tags if tag.endswith("summary")}
    assert texts["command/text_summary"] == "    train.py --num_envs=4 '--env.x=a b'"
    assert "    --env.sim.dt=0.005" in texts["config/env/text_summary"]
    assert "    --train.runner.num_steps_per_env=5\n" in texts["config/train/text_summary"]
    assert "custom_scalars__config__" in tags


def test_every_curve_of_a_run_is_described() -> None:
    tags = [tag for group in FIRST_PAGE.values() for tag in group]
    tags += ["Reward/torques", "Loss/value", "Eval/rmse_vx", "Train/terrain_level_stairs", "Perf/total_fps"]
    assert all(describe(tag) for tag in tags) and describe("Mine/own") == ""
    assert list(FIRST_PAGE) == ["Metrics", "Train", "Reward"]
    assert set(WRITERS) == {"tensorboard", "wandb", "neptune"}


class StubWandb(ModuleType):
    """Weights & Biases without a network: keeps what it is given."""

    def __init__(self) -> None:
        super().__init__("wandb")
        self.opened: dict[str, Any] = {}
        self.data: dict[str, Any] = {}
        self.rows: list[tuple[dict[str, float], int]] = []
        self.closed = False
        self.config = SimpleNamespace(update=self.data.update)
        self.errors = SimpleNamespace(Error=LookupError)
        self.refuses = ""

    def init(self, **kwargs: Any) -> None:
        if self.refuses:
            raise LookupError(self.refuses)
        self.opened = kwargs

    def log(self, row: dict[str, float], step: int) -> None:
        self.rows.append((row, step))

    def finish(self) -> None:
        self.closed = True


def test_wandb_gets_curves_against_robot_steps_and_what_ran(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stub = StubWandb()
    monkeypatch.setitem(sys.modules, "wandb", stub)
    monkeypatch.setattr("rsl_rl.utils.wandb_log_writer.wandb", stub)
    made = logger(folder=tmp_path, service="wandb")
    step(made)
    read(made)
    made.stop_logging_writer()
    assert (stub.opened["project"], stub.opened["name"]) == ("pointfoot_flat", tmp_path.name)
    assert ({"Metrics/survival": 1.0}, ROBOTS * STEPS) in stub.rows
    assert stub.data["train_cfg"]["runner"]["num_steps_per_env"] == STEPS and stub.data["command"] and stub.closed
    json.dumps(stub.data)
    events = EventAccumulator(str(tmp_path))
    events.Reload()
    assert len(events.Scalars("Metrics/survival")) == 1, "TensorBoard has them, too"


def test_a_login_that_is_missing_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stub = StubWandb()
    stub.refuses = "No API key configured.\nUse `wandb login`"
    monkeypatch.setitem(sys.modules, "wandb", stub)
    monkeypatch.setattr("rsl_rl.utils.wandb_log_writer.wandb", stub)
    with pytest.raises(
        UserError, match=r"^--logger=wandb: No API key configured\. WANDB_MODE=offline keeps the curves"
    ):
        logger(folder=tmp_path, service="wandb")


def test_wandb_itself_writes_offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the package, where it is installed."""
    pytest.importorskip("wandb")
    for name, value in {"WANDB_MODE": "offline", "WANDB_DIR": str(tmp_path), "WANDB_SILENT": "true"}.items():
        monkeypatch.setitem(os.environ, name, value)
    made = logger(folder=tmp_path / "run", service="wandb")
    step(made)
    read(made)
    made.stop_logging_writer()
    assert list(tmp_path.glob("wandb/offline-run-*/run-*.wandb"))
