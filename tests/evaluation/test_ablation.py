"""The ablation's arms, its summary and its figure."""

from pathlib import Path

import numpy as np
import pytest
from torch.utils.tensorboard import SummaryWriter

from legged_gym.envs.pointfoot.pointfoot_flat_config import PointFootFlatCfgPPO
from legged_gym.evaluation.ablation import ARMS, Run, draw, read_run, summary
from legged_gym.utils.config import check, set_by_path, to_dict


def write_events(directory: Path, first: int, survival: list[float]) -> None:
    """Iterations of 100 robot-steps and 2 s each, with the errors of a walking robot."""
    writer = SummaryWriter(str(directory))
    for i, value in enumerate(survival, start=first):
        scalars = {"Perf/total_steps": 100.0 * i, "Perf/total_time": 2.0 * i, "Train/mean_reward": float(i)}
        errors = dict.fromkeys(("Eval/rmse_vx", "Eval/rmse_vy", "Eval/rmse_wz"), 0.1)
        for tag, scalar in (scalars | errors | {"Eval/survival": value}).items():
            writer.add_scalar(tag, scalar, i)
    writer.close()


@pytest.mark.parametrize("arm", ARMS)
def test_arms_set_fields_that_exist_and_differ(arm: str) -> None:
    cfg = PointFootFlatCfgPPO()
    for path, text in ARMS[arm].items():
        set_by_path(cfg, path, text)
    check(cfg)
    assert (to_dict(cfg) == to_dict(PointFootFlatCfgPPO())) == (arm == "dcm+offset"), "the task's own arm"


def test_a_resumed_run_is_read_as_one(tmp_path: Path) -> None:
    write_events(tmp_path / "a", 1, [0.0, 0.5])
    write_events(tmp_path / "b", 3, [0.9, 0.96, 1.0])
    run = read_run("dcm", 0, tmp_path)
    assert run.curves["survival"][:, 0].tolist() == [100, 200, 300, 400, 500]
    assert run.gate == {"steps": 400.0, "seconds": 8.0}, "0.96 is the first survival above 0.95"


def test_a_seed_that_never_walks_is_infinitely_late(tmp_path: Path) -> None:
    curves = {name: np.array([[0.0, 0.0, 0.0], [10.0, 1.0, 1.0]]) for name in ("return", "survival", "rmse_vx")}
    gates = {"dcm": (5.0, 7.0, None), "ppo": (5.0, None, None)}
    runs = [
        Run(arm, seed, tmp_path, curves, None if steps is None else {"steps": steps, "seconds": 2 * steps})
        for arm, all_steps in gates.items()
        for seed, steps in enumerate(all_steps)
    ]
    result = summary(runs)
    assert result["dcm"] == {"seeds": 3, "passed": 2, "median_steps_to_gate": 7.0, "median_seconds_to_gate": 14.0}
    assert result["ppo"] == {"seeds": 3, "passed": 1, "median_steps_to_gate": None, "median_seconds_to_gate": None}
    draw(runs, tmp_path / "figure.png")
    assert (tmp_path / "figure.png").stat().st_size > 10_000
