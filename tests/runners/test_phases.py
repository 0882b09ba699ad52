"""What changes as a run goes on: how far the mean goes back, exploration, and the teacher, who leaves."""

from pathlib import Path

import pytest
import torch

from tests.runners.making import small_run, whole_and_resumed

LEAVES = {"train.teacher.last_iteration": 2, "train.teacher.driven_decay_steps": 4}


def test_noise_and_entropy_sink_in_the_last_part_of_a_run() -> None:
    options = {"train.algorithm.polish_share": 0.5, "train.algorithm.polish_noise_std": 0.1}
    run = small_run(None, **options, **{"train.policy.noise_std_range": (0.05, 0.4)})
    bounds, exploration = [], []
    for progress in (0.0, 0.5, 0.625, 0.75, 0.9):
        run.alg.set_progress(progress)
        bounds.append(run.alg.get_policy().distribution.highest_std.item())
        exploration.append(run.alg._exploration.item())
    assert bounds == pytest.approx([0.4, 0.4, 0.2, 0.1, 0.1]), "by equal factors, down in the first half of it"
    assert exploration == pytest.approx([1.0, 1.0, 0.5, 0.0, 0.0])


def test_actions_have_the_noise_that_is_due() -> None:
    run = small_run(
        None,
        **{
            "train.algorithm.polish_share": 1.0,
            "train.algorithm.polish_noise_std": 0.06,
            "train.policy.noise_std_range": (0.06, 1.0),
        },
    )
    stds: list[float] = []
    run.after_iteration = lambda scalars: stds.append(scalars["Policy/mean_std"])
    run.learn(4)
    assert stds[0] == pytest.approx(0.1, abs=0.02), "what it begins with"
    assert stds[2:] == pytest.approx([0.06, 0.06], rel=1e-4)


def test_a_run_that_goes_on_explores_no_longer_than_the_unbroken_one(tmp_path: Path) -> None:
    """What is left of a run counts as the last part of the whole, not as a run of its own."""
    polished = {"train.algorithm.polish_share": 0.25, "train.policy.noise_std_range": (0.05, 1.0)}
    whole = small_run(tmp_path / "whole", **polished)
    whole.learn(8)
    first = small_run(tmp_path / "first", **polished)
    first.after_iteration = lambda scalars: setattr(first, "interrupted", first.current_learning_iteration == 5)
    first.learn(8)
    second = small_run(tmp_path / "second", **polished)
    second.load(str(tmp_path / "first" / "model_5.pt"))
    second.learn(3)
    assert whole.alg._exploration.item() == second.alg._exploration.item() < 0.5
    for name, value in whole._learned_tensors().items():
        assert torch.equal(value, second._learned_tensors()[name]), name


def test_a_run_without_it_explores_to_its_end() -> None:
    run = small_run(None, **{"train.algorithm.polish_share": 0.0})
    run.alg.set_progress(0.999)
    assert run.alg._exploration.item() == 1.0
    assert run.alg.get_policy().distribution.highest_std.item() == pytest.approx(
        run.train_cfg.policy.noise_std_range[1]
    )


def test_the_teacher_leaves() -> None:
    run = small_run(None, **LEAVES)
    assert run.teacher is not None
    scalars: list[dict[str, float]] = []
    run.after_iteration = scalars.append
    evaluations = []
    step = run.teacher.teacher.step
    run.teacher.teacher.step = lambda obs: evaluations.append(1) or step(obs)  # type: ignore[method-assign]
    run.teacher._evaluate = run.teacher._step
    run.learn(4)
    assert len(evaluations) == 2 * run.train_cfg.runner.num_steps_per_env, "it is asked in two iterations of four"
    assert scalars[1]["Teacher/driven_share"] > 0.5 and scalars[1]["Loss/imitation"] > 0.0
    for later in scalars[2:]:
        assert later["Loss/imitation"] == 0.0 and "Teacher/weight" not in later
    assert not run.teacher.driven.any(), "all robots are the policy's, and count in its surrogate"


def test_a_run_goes_on_without_the_teacher_that_has_left(tmp_path: Path) -> None:
    whole, second = whole_and_resumed(tmp_path, 3, 2, **LEAVES)
    for name, value in whole._learned_tensors().items():
        assert torch.equal(value, second._learned_tensors()[name]), name


def test_the_mean_counts_the_iterations_of_its_own_run(monkeypatch: pytest.MonkeyPatch) -> None:
    run, counted = small_run(None, **{"train.runner.averaged_share": 0.2}), []
    assert (run.averaged._iterations, run.averaged._share) == (10, 0.2), "as usual on a CPU"
    monkeypatch.setattr(run.averaged, "add", counted.append)
    run.current_learning_iteration = run.first_iteration = 7  # it goes on from a policy that was shipped
    run.learn(2)
    assert counted == [1, 2]
