"""The last iterations of a run, in which its policy learns to act through noise."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from legged_gym.algorithms.config import DenoisingCfg
from legged_gym.runners.denoising import Denoiser, denoising_iterations
from legged_gym.utils.checkpoint import load_checked
from tests.runners.making import small_run

LAST_TWO = {"train.denoising.run_share": 0.4}
"""Of five."""


def saved(folder: Path) -> set[str]:
    """Names of the checkpoints."""
    return {path.name for path in folder.glob("model_*.pt")}


def test_they_are_the_last_of_the_run_and_end_with_its_policy(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, progress = tmp_path / "run", []
    run = small_run(folder, **LAST_TWO)
    set_progress = run.alg.set_progress
    monkeypatch.setattr(run.alg, "set_progress", lambda share: progress.append(share) or set_progress(share))
    run.learn(5)
    assert progress == pytest.approx([0.0, 1.0 / 3.0, 2.0 / 3.0]), "exploration has ended when PPO ends"
    assert (run.alg.iteration, run.current_learning_iteration) == (3, 5)
    assert saved(folder) == {"model_3.pt", "model_5.pt"}
    said = capsys.readouterr().out
    assert "iteration 1/5  " in said and "the last 2 iterations: the policy learns from itself" in said
    assert "iteration 5/5  " in said
    before, after = (load_checked(folder / f"model_{number}.pt") for number in (3, 5))
    for name in ("mlp.0.weight", "estimator.2.bias"):
        assert not torch.equal(before["actor_state_dict"][name], after["actor_state_dict"][name]), name
        assert torch.equal(after["actor_state_dict"][name], after["newest_actor_state_dict"][name]), name
    assert torch.equal(before["critic_state_dict"]["mlp.0.weight"], after["critic_state_dict"]["mlp.0.weight"])
    deviation = "distribution.std_param"
    assert torch.equal(before["newest_actor_state_dict"][deviation], after["newest_actor_state_dict"][deviation])
    assert json.loads((folder / "train_cfg.json").read_text())["denoising"]["run_share"] == 0.4
    curves = EventAccumulator(str(folder)).Reload()
    assert [event.value > 0.0 for event in curves.Scalars("Denoising/action_error")] == [True, True]
    assert len(curves.Scalars("Denoising/velocity_error")) == 2
    assert len(curves.Scalars("Train/difficulty")) == 5


def test_training_goes_on_from_them(tmp_path: Path) -> None:
    small_run(tmp_path / "first", **LAST_TWO).learn(5)
    second = small_run(tmp_path / "second", **LAST_TWO)
    second.load(str(tmp_path / "first" / "model_5.pt"))
    second.learn(5)
    assert saved(tmp_path / "second") == {"model_8.pt", "model_10.pt"}


@pytest.mark.parametrize("after", [0, 1])
def test_broken_off_they_leave_the_policy_that_ppo_has_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    run = small_run(tmp_path / "run", **LAST_TWO)
    learn, done = Denoiser._learn, []

    def interrupted(self: Denoiser, samples: dict[str, torch.Tensor]) -> tuple[float, float]:
        done.append(samples)
        run.interrupted = len(done) > after
        return learn(self, samples)

    monkeypatch.setattr(Denoiser, "_learn", interrupted)
    run.learn(5)
    assert len(done) == after + 1
    if after == 1:
        assert saved(tmp_path / "run") == {"model_3.pt", "model_5.pt"}, "nothing was left to break off"
        return
    assert saved(tmp_path / "run") == {"model_3.pt"} and run.current_learning_iteration == 3
    kept = load_checked(tmp_path / "run" / "model_3.pt")
    for name, value in run.averaged.actor.state_dict().items():
        assert torch.equal(value, kept["actor_state_dict"][name]), name


def test_a_run_that_is_stopped_before_has_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = small_run(tmp_path / "run", **LAST_TWO)
    monkeypatch.setattr(run, "after_iteration", lambda _: setattr(run, "interrupted", True))
    run.learn(5)
    assert saved(tmp_path / "run") == {"model_1.pt"}


def test_where_nothing_can_be_learned_the_policy_stays_and_a_line_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = small_run(tmp_path / "run", **LAST_TWO)
    collect = Denoiser._collect

    def broken(self: Denoiser, obs: object) -> tuple[object, dict[str, torch.Tensor]]:
        obs, samples = collect(self, obs)
        return obs, samples | {"action": samples["action"] * torch.nan}

    monkeypatch.setattr(Denoiser, "_collect", broken)
    run.learn(5)
    assert "warning: 32 of 32 steps were not finite" in capsys.readouterr().out
    assert saved(tmp_path / "run") == {"model_3.pt"}


def test_so_many_of_a_run() -> None:
    ours, other = SimpleNamespace(observer=None), SimpleNamespace()
    assert denoising_iterations(DenoisingCfg(), ours, 3600) == 144
    assert denoising_iterations(DenoisingCfg(), ours, 24) == 0, "too few to be worth it"
    assert denoising_iterations(DenoisingCfg(run_share=0.0), ours, 3600) == 0
    assert denoising_iterations(DenoisingCfg(), other, 3600) == 0, "its noise is not known"
