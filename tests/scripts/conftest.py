"""A run of the real task, trained for one iteration with a small network."""

from pathlib import Path

import pytest

from legged_gym.options.request import make_parser, parse_args
from legged_gym.options.resolve import resolve
from legged_gym.options.setup import make_env, make_runner


@pytest.fixture(scope="session")
def trained_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the run."""
    root = tmp_path_factory.mktemp("logs")
    argv = [f"--log_root={root}", "--num_envs=4", "--env.asset.robot_type=PF_TRON1A", "--sim=mujoco", "--headless"]
    argv += [f"--train.policy.{name}_hidden_dims=32,16" for name in ("actor", "critic")]
    argv += ["--train.runner.num_steps_per_env=4", "--rl_device=cpu"]
    spec = resolve(parse_args(make_parser("test", training=True), argv).request)
    runner = make_runner(spec, make_env(spec))
    runner.learn(1)
    runner.env.sim.close()
    return Path(runner.log_dir)
