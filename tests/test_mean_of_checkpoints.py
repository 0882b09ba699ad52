"""The benchmark script that means checkpoints."""

import subprocess
import sys
from pathlib import Path

import torch

from benchmarks import mean_of_checkpoints
from legged_gym.utils.checkpoint import load_checked, save_atomically


def save(run: Path, iteration: int, weight: float, width: int = 2) -> None:
    run.mkdir(exist_ok=True)
    actor = {"mlp.0.weight": torch.full((width, 3), weight)}
    checkpoint = {"actor_state_dict": actor, "newest_actor_state_dict": actor, "iter": iteration}
    save_atomically(checkpoint, str(run / f"model_{iteration}.pt"))


def mean(run: Path, checkpoints: str, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, mean_of_checkpoints.__file__, f"--load_run={run}", f"--checkpoints={checkpoints}"]
    command += options
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_last_checkpoint_gets_the_mean_weights(tmp_path: Path) -> None:
    run = tmp_path / "run"
    save(run, 10, 1.0)
    save(run, 9, 4.0)
    (run / "env_cfg.json").write_text("{}")
    done = mean(run, "10,9")
    assert done.returncode == 0, done.stderr
    checkpoint = load_checked(tmp_path / "run_mean_9_10" / "model_10.pt")
    assert checkpoint["iter"] == 10
    assert torch.equal(checkpoint["actor_state_dict"]["mlp.0.weight"], torch.full((2, 3), 2.5))
    assert "newest_actor_state_dict" not in checkpoint, "training goes on from the mean, too"
    assert (tmp_path / "run_mean_9_10" / "env_cfg.json").read_text() == "{}"


def test_a_second_run_takes_part(tmp_path: Path) -> None:
    """The checkpoint is the first run's but for the actor."""
    save(tmp_path / "run", 7, 1.0)
    save(tmp_path / "other", 7, 2.0)
    (tmp_path / "run" / "env_cfg.json").write_text("{}")
    done = mean(tmp_path / "run", "7", f"--other_run={tmp_path / 'other'}")
    assert done.returncode == 0, done.stderr
    checkpoint = load_checked(tmp_path / "run_mean_7_other" / "model_7.pt")
    assert torch.equal(checkpoint["actor_state_dict"]["mlp.0.weight"], torch.full((2, 3), 1.5))
    assert (tmp_path / "run_mean_7_other" / "env_cfg.json").exists()
    done = mean(tmp_path / "run", "7", f"--other_run={tmp_path / 'run'}")
    assert done.returncode != 0
    assert done.stderr == f"error: --other_run: got {tmp_path / 'run'}, which is --load_run, too\n"


def test_bad_input_gets_one_line(tmp_path: Path) -> None:
    run = tmp_path / "run"
    save(run, 1, 1.0)
    save(run, 2, 1.0, width=4)
    for checkpoints, said in (
        ("1,1", "--checkpoints: got 1,1, expected two numbers or more, as 24400,25720"),
        ("1,3", f"no such checkpoint: {run / 'model_3.pt'}"),
        ("1,2", f"{run / 'model_2.pt'}: its networks are not those of {run / 'model_1.pt'}"),
    ):
        done = mean(run, checkpoints)
        assert done.returncode != 0 and done.stderr.strip() == f"error: {said}"
    assert [path.name for path in tmp_path.iterdir()] == ["run"]
