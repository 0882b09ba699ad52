"""The ablation's arms, its summary and its figure."""

from pathlib import Path
from typing import Any

import pytest
import torch

from legged_gym.envs.pointfoot.pointfoot_flat_config import PointFootFlatCfg, PointFootFlatCfgPPO
from legged_gym.evaluation.ablation import ARMS, MEASURES, Run, draw, find_gate, make_curve, summary, table
from legged_gym.evaluation.suites import evaluation_cfg
from legged_gym.teacher.lipm import GaitFamily
from legged_gym.teacher.predictor import reference_gait
from legged_gym.utils.config import Config, check, set_by_path, to_dict

WALKS = {"survival": 0.96, "rmse_vx": 0.15, "rmse_vy": 0.2, "rmse_wz": 0.1}


def run(arm: str, seed: int, gate: float | None, survival: float = 1.0) -> Run:
    """A run of a million robot-steps at 2 us each."""
    curve = [
        {"steps": 1e4 * i, "seconds": 0.02 * i, "return": float(i), "survival": i / 100, "tracking": 1.0 / i}
        for i in range(1, 101)
    ]
    found = None if gate is None else {"steps": gate, "seconds": 2e-6 * gate}
    return Run(arm, seed, 100, curve, found, {"push_1.0": {"survival": survival, "rmse_vx": None}}, 3.0)


def configured(arm: str) -> tuple[PointFootFlatCfg, PointFootFlatCfgPPO]:
    """The task's configs with the fields of an arm."""
    env_cfg, train_cfg = PointFootFlatCfg(), PointFootFlatCfgPPO()
    parts: dict[str, Config] = {"env": env_cfg, "train": train_cfg}
    for path, text in ARMS[arm].items():
        part, _, field = path.partition(".")
        set_by_path(parts[part], field, text)
    check(env_cfg)
    check(train_cfg)
    return env_cfg, train_cfg


@pytest.mark.parametrize("arm", ARMS)
def test_arms_set_fields_that_exist_and_differ(arm: str) -> None:
    unchanged = [to_dict(cfg) for cfg in configured(arm)] == [to_dict(cfg) for cfg in configured("task")]
    assert unchanged == (arm in ("dcm+offset", "task")), "the task's own arms"


@pytest.mark.parametrize("arm", MEASURES)
def test_a_policy_that_did_without_a_measure_is_judged_with_it(arm: str) -> None:
    """As deployed: what the arm takes from training, its judge must not miss."""
    judged = [evaluation_cfg(configured(name)[0], 4, seed=0) for name in ("task", arm)]
    assert to_dict(judged[0]) == to_dict(judged[1])


@pytest.mark.parametrize("arm", [arm for arm in ARMS if arm.startswith("raibert")])
def test_raiberts_rule_walks_with_the_command_itself(arm: str) -> None:
    """However fast the robot is: what keeps v_ref near the present gait is the DCM's."""
    _, cfg = configured(arm)
    gait = GaitFamily(0.2, 0.0, 0.0, torch.zeros(1))(torch.tensor([3.7]), torch.tensor([0.25]))
    command = torch.tensor([[0.5], [-0.2]])
    for speed in (-2.0, 0.0, 2.0):
        landing = gait.offset(torch.tensor([[speed], [speed]])) + torch.tensor([[0.1], [0.1]])
        _, velocity, _ = reference_gait(cfg.teacher.dcm.stepping.dv, command, landing, gait)
        torch.testing.assert_close(velocity, command)


def test_the_gate_is_the_first_policy_that_walks() -> None:
    snapshots = [{"steps": 100.0 * i, "seconds": 2.0 * i, "return": float("nan") if i < 2 else 5.0} for i in range(5)]
    falls: dict[str, float | None] = dict.fromkeys(WALKS)
    slow = WALKS | {"rmse_vx": 0.25}
    curve = make_curve(snapshots, [falls | {"survival": 0.0}, WALKS | {"survival": 0.94}, slow, WALKS, WALKS])
    assert find_gate(curve) == {"steps": 300.0, "seconds": 6.0}
    assert find_gate(curve[:3]) is None
    assert [point["return"] for point in curve] == [None, None, 5.0, 5.0, 5.0]
    assert curve[0]["tracking"] is None and curve[3]["tracking"] == pytest.approx(0.25)


def test_a_seed_that_never_walks_is_infinitely_late() -> None:
    gates: dict[str, tuple[Any, ...]] = {"ppo": (5e5, None, None), "dcm": (5e4, 7e4, None), "raibert": (None, 1e5, 2e5)}
    runs = [run(arm, seed, gate, 0.8 + 0.1 * seed) for arm, all_ in gates.items() for seed, gate in enumerate(all_)]
    arms = summary(runs, budget=1e6)
    assert arms["dcm"]["passed"] == 2 and arms["dcm"]["seeds"] == 3
    assert arms["dcm"]["median_steps_to_gate"] == 7e4 and arms["dcm"]["median_seconds_to_gate"] == pytest.approx(0.14)
    assert arms["dcm"]["steps_over_ppo"] == pytest.approx(0.07) and arms["dcm"]["steps_over_ppo_is_bound"]
    assert arms["raibert"]["steps_over_ppo"] == pytest.approx(0.2)
    assert arms["ppo"]["median_steps_to_gate"] is None and "steps_over_ppo" not in arms["ppo"]
    assert arms["dcm"]["rows"]["push_1.0"] == {"survival": pytest.approx([0.9, 0.8, 1.0])}, "None has no mean"
    lines = table(arms).splitlines()
    assert lines[1].split()[:5] == ["ppo", "1/3", "-", "-", "-"]
    assert lines[2].split()[:6] == ["dcm", "2/3", "0.07", "0", "<", "0.070"]
    runs[1].gate = {"steps": 4e5, "seconds": 0.8}
    dcm = summary(runs, budget=1e6)["dcm"]
    assert dcm["steps_over_ppo"] == pytest.approx(0.14) and not dcm["steps_over_ppo_is_bound"]


def test_seeds_that_all_fall_have_a_mean_of_zero() -> None:
    arms = summary([run("ppo", seed, None, survival=0.0) for seed in range(3)], budget=1e6)
    assert arms["ppo"]["rows"]["push_1.0"]["survival"] == [0.0, 0.0, 0.0]
    assert "push_1.0 0.00" in table(arms)


def test_runs_are_saved_whole_and_drawn(tmp_path: Path) -> None:
    runs = [run(arm, seed, 1e5) for arm in ("ppo", "dcm") for seed in (0, 1)]
    runs[0].curve[5]["tracking"] = None
    runs[0].save(tmp_path / "run.json")
    assert Run.load(tmp_path / "run.json") == runs[0]
    assert runs[0].points("tracking").shape == (99, 3) and runs[1].points("survival")[9].tolist() == [1e5, 0.2, 0.1]
    draw(runs, tmp_path / "figure.png")
    assert (tmp_path / "figure.png").stat().st_size > 20_000
