"""A run that was stopped goes on bit for bit as the one that was not, on the CPU."""

import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from legged_gym.runners.on_policy_runner import OnPolicyRunner
from legged_gym.utils.checkpoint import SIMULATION, load_checked, save_atomically
from tests.runners.making import small_run, whole_and_resumed


def state(runner: OnPolicyRunner) -> dict[str, torch.Tensor]:
    return {name: tensor.detach().clone() for name, tensor in runner._learned_tensors().items()}


def assert_equal(runner: OnPolicyRunner, other: OnPolicyRunner) -> None:
    mine, theirs = state(runner), state(other)
    assert mine.keys() == theirs.keys()
    assert [name for name in mine if not torch.equal(mine[name], theirs[name])] == []


@pytest.mark.parametrize("profile", ["flat", "mixed"])
def test_resumed_run_is_the_unbroken_one_bit_for_bit(tmp_path: Path, profile: str) -> None:
    options: dict[str, Any] = {"env.terrain.profile": profile, "train.algorithm.imitation.replay_mini_batches": 3}
    options |= {"env.commands.reversing_share": 0.5, "env.commands.reversing_time": 0.1}
    whole, second = whole_and_resumed(tmp_path, 4, 2, **options)
    assert second.current_learning_iteration == 6
    assert_equal(whole, second)
    assert whole.logger._window == second.logger._window


REPLAYED = {"train.algorithm.imitation.replay_mini_batches": 3}
ON_BLOCKS = {f"env.terrain.{name}": value for name, value in (("mesh_type", "trimesh"), ("profile", "blocks"))}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[OnPolicyRunner, Path]:
    """A run after one iteration, and a copy of its folder, which stays as it is."""
    folder = tmp_path_factory.mktemp("trained")
    run = small_run(folder / "run", **REPLAYED)
    run.learn(1)
    return run, shutil.copytree(folder / "run", folder / "copy")


@pytest.mark.parametrize(
    ("options", "note"),
    [
        ({"train.runner.num_steps_per_env": 8}, "it replays rollouts of 64 samples, this run's have 32"),
        ({"env.env.num_envs": 5}, r"environment\.environment\.actions\.now has shape \(4, 6\), here \(5, 6\)"),
        (ON_BLOCKS, r"environment\.environment: saved and expected entries differ: ground\."),
    ],
)
def test_robots_begin_anew_where_those_that_were_saved_do_not_fit(
    trained: tuple[OnPolicyRunner, Path], capsys: pytest.CaptureFixture[str], options: dict[str, Any], note: str
) -> None:
    second = small_run(None, **REPLAYED, **options)
    second.load(str(trained[1] / "model_1.pt"))
    assert re.search(rf"note: simulation_1.pt does not fit, so all robots begin anew: {note}", capsys.readouterr().out)
    second.learn(1)
    assert second.current_learning_iteration == 2


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("teacher.recorded", "x"),
        ("teacher.trainer.step", 10**6),
        ("teacher.teacher.memory", torch.zeros(1)),
        ("quarantine", torch.zeros(4)),
        ("logger.cur_reward_sum", torch.zeros(1, dtype=torch.int64)),
        ("environment.observations.history", None),
        ("environment.simulator._full", torch.zeros(1)),
        ("replay.added", -1),
        ("replay.size", 0),
        ("replay.kept.history", torch.zeros(64, 3)),
    ],
)
def test_a_damaged_simulation_spoils_nothing(
    trained: tuple[OnPolicyRunner, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str], path: str, value: object
) -> None:
    run, folder = trained
    shutil.copy(folder / "model_1.pt", tmp_path)
    saved = load_checked(folder / "simulation_1.pt")
    place, *names, last = saved[SIMULATION], *path.split(".")
    for name in names:
        place = place[name]
    place[last] = value
    save_atomically({name: saved[name] for name in ("iter", SIMULATION)}, tmp_path / "simulation_1.pt")
    run.load(str(tmp_path / "model_1.pt"))
    assert "note: simulation_1.pt does not fit, so all robots begin anew: " in capsys.readouterr().out
    run.learn(1)


def test_networks_without_optimisers_are_gone_on_from_at_a_low_rate(tmp_path: Path) -> None:
    run = small_run(tmp_path / "run", **{"env.curriculum.initial": 0.7})
    run.learn(2)
    content = load_checked(tmp_path / "run" / "model_2.pt")
    shipped = {name: content[name] for name in content if "optimizer" not in name and "rng" not in name}
    save_atomically(shipped, str(tmp_path / "shipped.pt"))
    further = small_run(None, **{"env.curriculum.initial": 0.0})
    further.load(str(tmp_path / "shipped.pt"))
    assert further.alg.learning_rate == pytest.approx(3e-4) and further.train_cfg.algorithm.learning_rate > 1e-3
    assert further.alg.iteration == further.current_learning_iteration == 2, "schedules go on"
    assert further.env.curriculum.difficulty == run.env.curriculum.difficulty != 0.0
    networks = ("actor.", "critic.")
    mine, theirs = state(run), state(further)
    assert [n for n in mine if n.startswith(networks) and not torch.equal(mine[n], theirs[n])] == []
    assert not [name for name in theirs if "exp_avg" in name], "without moments"


def test_the_robots_of_another_iteration_are_left_where_they_are(
    trained: tuple[OnPolicyRunner, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = shutil.copytree(trained[1], tmp_path / "run")
    saved = load_checked(folder / "simulation_1.pt")
    save_atomically(saved | {"iter": 7}, folder / "simulation_1.pt")
    second = small_run(None, **REPLAYED)
    second.load(str(folder / "model_1.pt"))
    assert (
        "note: simulation_1.pt does not fit, so all robots begin anew: it is of iteration 7" in capsys.readouterr().out
    )
    assert not second.robots_go_on


def test_a_run_knows_where_the_one_that_it_goes_on_with_began(
    trained: tuple[OnPolicyRunner, Path], tmp_path: Path
) -> None:
    """The last share of its iterations is counted from there."""
    folder = shutil.copytree(trained[1], tmp_path / "run")
    saved = load_checked(folder / "model_1.pt")
    save_atomically(saved | {"iter": 9, "ppo_iteration": 9, "first_iteration": 5}, folder / "model_9.pt")
    second = small_run(None, **REPLAYED)
    second.load(str(folder / "model_9.pt"))
    assert (second.current_learning_iteration, second.first_iteration) == (9, 5)
    assert second.checkpoint()["first_iteration"] == 5
