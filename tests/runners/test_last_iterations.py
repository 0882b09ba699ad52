"""The last iterations of a run, in which its policy learns to act through noise."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from legged_gym.algorithms.config import DenoisingCfg
from legged_gym.runners.denoising import Denoiser, denoising_iterations
from legged_gym.runners.on_policy_runner import OnPolicyRunner
from legged_gym.utils.checkpoint import load_checked
from tests.runners.making import small_run

LAST_TWO = LAST_FOUR_TENTHS = {"train.denoising.run_share": 0.4}
"""Two of five iterations, four of ten."""


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


def stopped_at(folder: Path, iteration: int, **options: object) -> OnPolicyRunner:
    """A run of ten iterations that the user stops after one of them."""
    run = small_run(folder, **options)
    log = run.logger.log_iteration

    def logged(it: int, *more: object) -> None:
        log(it, *more)
        run.interrupted = it + 1 == iteration

    run.logger.log_iteration = logged  # type: ignore[method-assign]
    run.learn(10)
    return run


@pytest.mark.parametrize("iteration", [3, 8])
def test_a_run_that_was_stopped_goes_on_as_the_whole_one(tmp_path: Path, iteration: int) -> None:
    """Before the last four of ten iterations, and in them, which then are done from their beginning."""
    whole = small_run(tmp_path / "whole", **LAST_FOUR_TENTHS)
    whole.learn(10)
    first = stopped_at(tmp_path / "first", iteration, **LAST_FOUR_TENTHS)
    reached = first.current_learning_iteration
    assert reached == min(iteration, 6)
    second = small_run(tmp_path / "second", **LAST_FOUR_TENTHS)
    second.load(str(tmp_path / "first" / f"model_{reached}.pt"))
    second.learn(10 - reached)
    assert second.alg.iteration == whole.alg.iteration == 6
    mine, theirs = second._learned_tensors(), whole._learned_tensors()
    assert [name for name in mine if not torch.equal(mine[name], theirs[name])] == []
    ours, others = second.averaged.actor.state_dict(), whole.averaged.actor.state_dict()
    assert [name for name in ours if not torch.equal(ours[name], others[name])] == []


def test_a_run_that_had_them_counts_from_there(tmp_path: Path) -> None:
    small_run(tmp_path / "first", **LAST_FOUR_TENTHS).learn(10)
    second = small_run(tmp_path / "second", **LAST_FOUR_TENTHS)
    second.load(str(tmp_path / "first" / "model_10.pt"))
    second.learn(5)
    assert second.alg.iteration == 6 + 3


def test_robots_are_the_policys_and_all_is_logged(tmp_path: Path) -> None:
    run = small_run(tmp_path / "run", **LAST_TWO, **{"train.teacher.driven_decay_steps": 1000})
    assert run.teacher is not None
    seen, lengths, own = [], [], run.logger.process_env_step

    def noted(*step: object) -> None:
        seen.append(run.teacher.driven.sum().item())
        lengths.append(run.logger.cur_episode_length.max().item())
        own(*step)

    run.logger.process_env_step = noted  # type: ignore[method-assign]
    run.learn(5)
    assert seen == [4.0] * 48 + [0.0] * 32, "the teacher drives nobody at the end"
    assert lengths[47] > 0.0 and lengths[48] == 0.0, "robots have begun anew"
    curves = EventAccumulator(str(tmp_path / "run")).Reload()
    steps = [event.step for event in curves.Scalars("Denoising/action_error")]
    assert steps == [4 * 16 * 4, 5 * 16 * 4]
    assert [event.step for event in curves.Scalars("Metrics/survival")] == steps


def test_what_is_there_in_the_end_is_looked_at(tmp_path: Path) -> None:
    run, seen = small_run(None, **LAST_TWO), []

    def weights() -> torch.Tensor:
        return run.averaged.actor.mlp[0].weight.clone()

    run.after_iteration = lambda scalars: seen.append((run.current_learning_iteration, weights(), dict(scalars)))
    run.before_end = lambda: seen.append(("end", weights(), {}))
    run.learn(5)
    assert [entry[0] for entry in seen] == [1, 2, 3, "end", 5, "end"]
    assert torch.equal(seen[-1][1], weights()) and torch.equal(seen[-2][1], weights())
    assert not torch.equal(seen[2][1], weights())
    assert {"Perf/total_steps", "Denoising/action_error"} <= seen[-2][2].keys()


def test_a_reward_that_is_no_number_costs_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = small_run(tmp_path / "run", **LAST_TWO)
    step, calls = run.env.step, []

    def broken(actions: torch.Tensor) -> object:
        obs, rewards, *rest = step(actions)
        calls.append(0)
        return obs, rewards * torch.nan if len(calls) == 3 * 16 + 2 else rewards, *rest

    monkeypatch.setattr(run.env, "step", broken)
    run.learn(5)
    assert saved(tmp_path / "run") == {"model_3.pt", "model_5.pt"}
    curves = EventAccumulator(str(tmp_path / "run")).Reload()
    assert [event.value for event in curves.Scalars("Quarantine/reward")] == [4.0]


def test_so_many_of_a_run() -> None:
    ours = SimpleNamespace(observer=None, commands=None, curriculum=None, randomizer=None)
    other = SimpleNamespace(observer=None)
    cfg = DenoisingCfg(run_share=0.04)
    assert denoising_iterations(cfg, ours, 3600) == 144
    assert denoising_iterations(cfg, ours, 24) == 0, "too few to be worth it"
    assert denoising_iterations(DenoisingCfg(), ours, 3600) == 0
    assert denoising_iterations(cfg, other, 3600) == 0, "its noise is not known"
