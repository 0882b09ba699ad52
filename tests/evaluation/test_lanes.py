"""Rows on terrain: on the right lane, steered along it, and the distance is what was walked before a fall."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from legged_gym.envs.pointfoot.pointfoot_flat import PointFootFlat
from legged_gym.envs.pointfoot.pointfoot_flat_config import PointFootFlatCfg
from legged_gym.evaluation.agents import ZeroAgent
from legged_gym.evaluation.lanes import LaneRows
from legged_gym.evaluation.report import columns, line
from legged_gym.evaluation.rows import SUITES
from legged_gym.evaluation.suites import evaluate, evaluation_cfg, run_rows, varied_cfg
from legged_gym.terrain.lanes import LANES
from legged_gym.utils.config import ConfigError, set_by_path

ROWS = {row.name: row for row in SUITES["terrain"]}


class LaneEnv:
    """Four robots that advance by 1 cm a step from x = 2; robot 1 falls in step 100 and starts again."""

    def __init__(self) -> None:
        self.num_envs, self.dt, self.device = 4, 0.02, torch.device("cpu")
        self.ground = SimpleNamespace(types=torch.zeros(4, dtype=torch.long))
        self.commands = SimpleNamespace(command=torch.tensor([[0.5, 0.0, 0.9]]).repeat(4, 1), set=self._set)
        yaw = torch.tensor([0.2, -0.3, 2.0, 0.1])
        self.state = SimpleNamespace(root_pos_w=torch.full((4, 3), 2.0), yaw=yaw)

    def _set(self, command: torch.Tensor, mask: torch.Tensor) -> None:
        assert mask.all()
        self.commands.command = command


def test_rows_start_on_their_lanes_and_are_steered_along_them() -> None:
    env = LaneEnv()
    lanes = LaneRows(env, ["stairs_up_8", ""])
    assert env.ground.types.tolist() == [list(LANES).index("stairs_up_8")] * 2 + [0, 0]
    lanes.steer()
    assert env.commands.command[:, 2].tolist() == pytest.approx([-0.2, 0.3, 0.9, 0.9])  # the others are not steered
    env.state.yaw = torch.tensor([3.0, -3.0, 0.0, 0.0])
    lanes.steer()
    assert env.commands.command[:2, 2].tolist() == [-0.5, 0.5]
    assert (env.commands.command[:, 0] == 0.5).all()


def test_the_distance_ends_with_a_fall() -> None:
    env = LaneEnv()
    lanes = LaneRows(env, ["rough_2", "rough_4"])
    standing = torch.ones(4, dtype=torch.bool)
    for k in range(200):
        lanes.steer()
        env.state.root_pos_w = env.state.root_pos_w + torch.tensor([0.01, 0.0, 0.0])
        if k == 99:
            standing[1] = False
            env.state.root_pos_w[1, 0] = 2.0
        lanes.add(standing)
    assert [row["distance"] for row in lanes.results()] == pytest.approx([(2.0 + 0.99) / 2, 2.0], abs=1e-5)


def cfg_of() -> Any:
    cfg = PointFootFlatCfg()
    cfg.asset.robot_type, cfg.sim.backend, cfg.sim.num_threads = "PF_TRON1A", "mujoco", 1
    cfg.terrain.horizontal_scale = 0.1  # small maps
    return cfg


def test_terrain_rows_stand_on_what_they_are_named_after() -> None:
    """Side by side, robots of each row start at the near end of their lane, upright, facing along it."""
    rows = [ROWS["slope_20"], ROWS["stairs_down_13"], ROWS["rough_8"]]
    env = PointFootFlat(evaluation_cfg(varied_cfg(cfg_of(), rows[0].cfg), 6, seed=0))
    results = run_rows(env, ZeroAgent(6), [replace(row, duration=0.1, warm_up=0.0) for row in rows], seed=0)
    assert len(results) == 3 and all(abs(row["distance"] or 1.0) < 0.1 for row in results)
    x, y, _ = env.state.root_pos_w.unbind(-1)
    assert ((x + 3.25).abs() < 0.4).all()
    assert env.state.yaw.abs().max() < 0.2
    lanes = torch.tensor([list(LANES).index(row.lane) for row in rows]).repeat_interleave(2)
    expected_y = (lanes + 0.5 - 0.5 * len(LANES)) * 8.0
    assert ((y - expected_y).abs() < 0.4).all()
    env.sim.close()


def test_terrain_and_plane_have_environments_of_their_own() -> None:
    """A run that learned on terrain is judged on the plane by the rows of the plane."""
    cfg = cfg_of()
    cfg.terrain.mesh_type, cfg.terrain.profile = "trimesh", "stairs_up"
    built = []

    def build(cfg: Any) -> Any:
        built.append(cfg.terrain)
        return PointFootFlat(cfg), ZeroAgent(6)

    rows = [replace(row, duration=0.1, warm_up=0.0) for row in (SUITES["track"][0], ROWS["rough_2"], ROWS["slope_10"])]
    results = evaluate(build, cfg, rows, 2, seed=0, at_once=False)
    assert [(terrain.mesh_type, terrain.profile) for terrain in built] == [("plane", "stairs_up"), ("trimesh", "lanes")]
    assert ["distance" in result for result in results.values()] == [False, True, True]
    table = columns("zero", rows)
    assert line(table, "track", results["track"]).split()[-1] == "-"
    assert float(line(table, "rough_2", results["rough_2"]).split()[-1]) == pytest.approx(
        results["rough_2"]["distance"], abs=0.01
    )


def test_a_lane_that_does_not_fit_is_refused() -> None:
    cfg = cfg_of()
    set_by_path(cfg, "terrain.horizontal_scale", "0.07")
    with pytest.raises(ConfigError, match="not a whole number of cells"):
        varied_cfg(cfg, ROWS["rough_2"].cfg)
