"""Standalone training on a few robots: files, scalars, going on from a file, the teacher standing on its own feet."""

from __future__ import annotations

from pathlib import Path

import torch

from legged_gym.envs.pointfoot.pointfoot_flat import PointFootFlat
from legged_gym.envs.pointfoot.pointfoot_flat_config import PointFootFlatCfg
from legged_gym.evaluation.suites import evaluation_cfg
from legged_gym.runners.teacher_runner import TeacherRunner
from legged_gym.runners.teachers import make_teacher
from legged_gym.teacher.config import TeacherCfg
from legged_gym.teacher.frame import observe
from legged_gym.utils.checkpoint import load_checked


def make_env(num: int) -> object:
    return PointFootFlat(evaluation_cfg(PointFootFlatCfg(), num, seed=0))


def test_trains_saves_and_goes_on(tmp_path: Path) -> None:
    env = make_env(4)
    runner = TeacherRunner(env, TeacherCfg(), 26, tmp_path)
    scalars = runner.learn(2)
    assert scalars["touchdowns"] > 0
    assert list(tmp_path.glob("events.out.tfevents*"))
    saved = load_checked(tmp_path / "offset_2.pt")
    assert saved["iteration"] == 2
    other = TeacherRunner(env, TeacherCfg(), 26, None)
    other.load(tmp_path / "offset_2.pt")
    other.learn(1)
    assert other.iteration == 3
    weights = saved["offset_network"]
    assert any((other.trainer.state_dict()["offset_network"][name] != value).any() for name, value in weights.items())


def test_closed_form_walks_by_itself() -> None:
    """Six seconds from a standstill, as deployed: nobody falls, and the commanded speed is held."""
    env = make_env(8)
    teacher = make_teacher(TeacherCfg(), env, "cpu")
    torch.manual_seed(0)
    obs = env.reset()
    env.commands.set(torch.tensor([[0.4, 0.0, 0.0]]).repeat(8, 1), torch.ones(8, dtype=torch.bool))
    fallen, speed, steps = torch.zeros(8), torch.zeros(8), round(6.0 / env.dt)
    for k in range(steps):
        output = teacher.step(obs["teacher"])
        env.shift_gait_clock(output.clock_shift)
        obs, _, dones, _ = env.step(output.action)
        fallen = torch.maximum(fallen, dones.float())
        if 2 * k >= steps:
            frame = observe(teacher.layout.parse(obs["teacher"]))
            speed += frame.com_vel[0] / (steps - steps // 2)
    assert fallen.sum() == 0
    assert (speed.mean() - 0.4).abs() < 0.1
