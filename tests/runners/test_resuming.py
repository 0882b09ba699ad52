"""What the user says on resume wins over what the checkpoint restores; what is left unsaid is restored."""

from pathlib import Path
from typing import Any

import pytest
import torch

from legged_gym.options.request import make_parser, parse_args
from legged_gym.options.resolve import resolve
from legged_gym.options.setup import make_env, make_runner
from legged_gym.utils.checkpoint import save_atomically

SMALL = (
    *("--headless", "--sim=mujoco", "--rl_device=cpu", "--num_envs=4", "--train.runner.num_steps_per_env=4"),
    *("--env.asset.robot_type=PF_TRON1A", "--train.teacher.offset_update=never"),
    *(f"--train.policy.{name}_hidden_dims=8" for name in ("actor", "critic")),
)


def runner_of(*argv: str) -> Any:
    spec = resolve(parse_args(make_parser("test", training=True), [*SMALL, *argv]).request)
    return make_runner(spec, make_env(spec))


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose rates, noise, difficulty and random state are not those of its config any more."""
    root = tmp_path_factory.mktemp("logs")
    runner = runner_of(f"--log_root={root}")
    runner.alg.learning_rate = 4e-4
    for optimizer in (runner.alg.estimator_trainer.optimizer, runner.teacher.trainer.optimizer):
        for group in optimizer.param_groups:
            group["lr"] = torch.full_like(group["lr"], 7e-4) if isinstance(group["lr"], torch.Tensor) else 7e-4
    with torch.no_grad():
        runner.alg.get_policy().distribution.std_param.fill_(0.3)
    runner.env.curriculum.difficulty.fill_(0.4)
    runner.alg.iteration = runner.alg.imitation_clock = runner.current_learning_iteration = 5
    runner.save_checkpoint()
    runner.env.sim.close()
    return Path(runner.log_dir)


@pytest.fixture
def resumed(trained: Path, tmp_path: Path) -> Any:
    def resume(*argv: str) -> Any:
        return runner_of(f"--log_root={tmp_path}", "--resume", f"--load_run={trained}", *argv)

    return resume


def rate(optimizer: Any) -> float:
    return float(optimizer.param_groups[0]["lr"])


def std(runner: Any) -> float:
    return runner.alg.get_policy().distribution.std_param[0].item()


def test_what_is_left_unsaid_is_restored(resumed: Any) -> None:
    runner = resumed()
    assert runner.alg.learning_rate == pytest.approx(4e-4) and std(runner) == pytest.approx(0.3)
    assert rate(runner.alg.estimator_trainer.optimizer) == pytest.approx(7e-4)
    assert rate(runner.teacher.trainer.optimizer) == pytest.approx(7e-4)
    assert runner.env.curriculum.difficulty.item() == pytest.approx(0.4) and runner.alg.iteration == 5


def test_rates_and_noise_that_are_said(resumed: Any) -> None:
    runner = resumed(
        *("--train.algorithm.learning_rate=0.002", "--train.estimator.learning_rate=0.005"),
        *("--train.teacher.dcm.offset.learning_rate=0.006", "--train.policy.init_noise_std=0.2"),
    )
    assert runner.alg.learning_rate == pytest.approx(0.002) and runner.alg.schedule == "adaptive"
    assert rate(runner.alg.estimator_trainer.optimizer) == pytest.approx(0.005)
    assert rate(runner.teacher.trainer.optimizer) == pytest.approx(0.006)
    assert std(runner) == pytest.approx(0.2)
    assert runner.env.curriculum.difficulty.item() == pytest.approx(0.4), "and nothing else is forgotten"


def test_a_fixed_schedule_has_the_configured_rate(resumed: Any) -> None:
    runner = resumed("--train.algorithm.schedule=fixed")
    assert runner.alg.schedule == "fixed"
    assert runner.alg.learning_rate == pytest.approx(runner.train_cfg.algorithm.learning_rate) != 4e-4
    runner.learn(1)
    assert runner.alg.learning_rate == pytest.approx(runner.train_cfg.algorithm.learning_rate)


def test_a_schedule_of_the_imitation_goes_on_at_its_iteration(resumed: Any) -> None:
    runner = resumed("--train.algorithm.imitation.schedule=constant", "--train.algorithm.imitation.initial=6")
    assert runner.alg.imitation_weight == 6.0
    runner = resumed("--train.algorithm.imitation.schedule=linear", "--train.algorithm.imitation.decay_steps=10")
    initial, final = (getattr(runner.train_cfg.algorithm.imitation, name) for name in ("initial", "final"))
    assert runner.alg.imitation_weight == pytest.approx(0.5 * (initial + final)), "at 5 of 10 iterations"


@pytest.mark.parametrize(
    ("argv", "difficulty"),
    [
        ("--env.curriculum.enabled=false", 1.0),
        ("--env.curriculum.enabled=true", 0.4),
        ("--env.curriculum.initial=0.7", 0.7),
    ],
)
def test_the_curriculum_that_is_said(resumed: Any, argv: str, difficulty: float) -> None:
    assert resumed(argv).env.curriculum.difficulty.item() == pytest.approx(difficulty)


def test_a_seed_that_is_said(resumed: Any) -> None:
    drawn = []
    for argv in (["--seed=7"], ["--seed=7"], ["--seed=8"], [], []):
        resumed(*argv)
        drawn.append(torch.rand(3).tolist())
    assert drawn[0] == drawn[1] != drawn[2] and drawn[3] == drawn[4] != drawn[0]


def test_an_offset_that_is_said(resumed: Any, tmp_path: Path) -> None:
    state = resumed().teacher.state_dict()
    for tensor in state["offset_network"].values():
        tensor.fill_(0.125)
    save_atomically(state, tmp_path / "offset.pt")
    runner = resumed(f"--train.teacher.offset_file={tmp_path / 'offset.pt'}")
    assert all((tensor == 0.125).all() for tensor in runner.teacher.state_dict()["offset_network"].values())
    assert not all((tensor == 0.125).all() for tensor in resumed().teacher.state_dict()["offset_network"].values())


def test_levels_of_the_terrain_that_are_said(tmp_path: Path) -> None:
    """Without the curriculum robots stand on all levels, wherever the run had got to."""
    terrain = ("--env.terrain.mesh_type=trimesh", "--env.terrain.profile=noise", "--env.terrain.num_rows=3")
    terrain += ("--env.terrain.num_cols=2", "--env.terrain.tile_size=6", f"--log_root={tmp_path}")
    runner = runner_of(*terrain)
    runner.env.ground.levels.fill_(2)
    runner.current_learning_iteration = 1
    runner.save_checkpoint()
    assert runner_of(*terrain, "--resume").env.ground.levels.tolist() == [2, 2, 2, 2]
    other = runner_of(*terrain, "--resume", "--env.terrain.curriculum=false")
    assert other.env.ground.levels.tolist() == [0, 1, 2, 0]
