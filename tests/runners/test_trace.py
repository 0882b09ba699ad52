"""The CSV of sampled robots: what is in it belongs together."""

from pathlib import Path

import numpy as np
import pytest

from legged_gym.envs.pointfoot.pointfoot_flat import PointFootFlat
from legged_gym.envs.pointfoot.pointfoot_flat_config import PointFootFlatCfg, PointFootFlatCfgPPO
from legged_gym.runners.on_policy_runner import OnPolicyRunner
from legged_gym.runners.trace import HEADER


@pytest.fixture(scope="module")
def env() -> PointFootFlat:
    cfg = PointFootFlatCfg()
    cfg.env.num_envs, cfg.asset.robot_type = 12, "PF_TRON1A"
    return PointFootFlat(cfg)


def train(env: PointFootFlat, log_dir: Path, robots: int, iterations: int = 3, teacher: bool = True) -> None:
    cfg = PointFootFlatCfgPPO()
    cfg.policy.actor_hidden_dims = cfg.policy.critic_hidden_dims = cfg.estimator.hidden_dims = (16,)
    cfg.trace.robots, cfg.trace.every, cfg.teacher.enabled = robots, 2, teacher
    cfg.teacher.driven_initial = cfg.teacher.driven_final = 0.5
    cfg.teacher.clock = "never"
    env.reset()
    OnPolicyRunner(env, cfg, str(log_dir)).learn(iterations)


def read(log_dir: Path) -> dict[str, np.ndarray]:
    lines = (log_dir / "trace.csv").read_text().splitlines()
    assert lines[0].split(",") == list(HEADER)
    table = np.array([line.split(",") for line in lines[1:]], dtype=float)
    return dict(zip(HEADER, table.T, strict=True))


def group(columns: dict[str, np.ndarray], name: str) -> np.ndarray:
    return np.stack([values for key, values in columns.items() if key.startswith(f"{name}_")], axis=-1)


def test_off_by_default(env: PointFootFlat, tmp_path: Path) -> None:
    assert PointFootFlatCfgPPO().trace.robots == 0
    train(env, tmp_path, 0, 1)
    assert not (tmp_path / "trace.csv").exists()


def test_rows_belong_together(env: PointFootFlat, tmp_path: Path) -> None:
    train(env, tmp_path, 4)
    columns = read(tmp_path)
    assert columns["robot"].tolist() == [0, 3, 6, 9] * 48
    assert columns["iteration"].tolist() == [0] * 96 + [2] * 96, "every second rollout of three"
    assert columns["step"][::4].tolist() == [*range(24), *range(48, 72)]
    assert all(np.isfinite(values).all() for values in columns.values())
    driven = columns["driven"] > 0
    assert set(columns["robot"][driven]) == {3, 6, 9} and set(columns["robot"][~driven]) == {0}, (
        "spread, see TeacherInLoop"
    )
    assert np.allclose(group(columns, "action")[driven], group(columns, "reference")[driven], atol=1e-4)
    assert np.abs(group(columns, "action")[~driven] - group(columns, "reference")[~driven]).max() > 0.1
    assert ((columns["weight"] >= 0) & (columns["weight"] <= 1)).all()
    # The state moves on by what it says: 0.02 s at its velocity, the clock at 1.5 to 2.5 Hz.
    same = columns["done"][:92] == 0
    moved = group(columns, "base_pos_w")[4:96] - group(columns, "base_pos_w")[:92]
    assert np.allclose(moved[same], 0.02 * group(columns, "base_lin_vel_w")[4:96][same], atol=0.01)
    ticks = (columns["clock"][4:96] - columns["clock"][:92])[same] % 1.0
    assert (ticks > 0.029).all() and (ticks < 0.051).all()
    # The DCM is ahead of the CoM by its velocity over omega: half a second of motion at the very most.
    ahead = np.abs(group(columns, "dcm_w") - group(columns, "com_pos_w")[:, :2])
    assert 0.0 < ahead.max() < 0.5
    assert np.abs(group(columns, "foothold_w") - group(columns, "base_pos_w")[:, :2]).max() < 1.0
    assert np.allclose(np.linalg.norm(group(columns, "base_quat"), axis=-1), 1.0, atol=1e-4)


def test_without_a_teacher_its_columns_are_no_numbers(env: PointFootFlat, tmp_path: Path) -> None:
    train(env, tmp_path, 2, 1, teacher=False)
    columns = read(tmp_path)
    empty = {name for name, values in columns.items() if np.isnan(values).all()}
    partly = {name for name, values in columns.items() if np.isnan(values).any()}
    assert (
        empty
        == partly
        == {
            *(f"{name}_{axis}" for name in ("foothold_w", "offset") for axis in "xy"),
            *(f"reference_{i}" for i in range(6)),
            *("weight", "driven"),
        }
    )
