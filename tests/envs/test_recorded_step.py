"""On a GPU a step is recorded in CUDA graphs: it does what the plain step does, with the same random numbers."""

import importlib.util
from typing import Any

import pytest
import torch

from legged_gym.envs.pointfoot.pointfoot_flat import PointFootFlat
from legged_gym.envs.pointfoot.pointfoot_flat_config import PointFootFlatCfg
from legged_gym.utils import cuda_graph

pytestmark = pytest.mark.skipif(
    not torch.cuda.is_available() or importlib.util.find_spec("mujoco_warp") is None,
    reason="needs a CUDA device and MuJoCo Warp",
)


def rollout(mesh_type: str, num_envs: int = 64, steps: int = 40) -> list[dict[str, torch.Tensor]]:
    """Short episodes with many pushes and commands, and a reset from outside in the middle."""
    cfg: Any = PointFootFlatCfg()
    cfg.env.num_envs, cfg.sim.backend, cfg.asset.robot_type = num_envs, "mujoco_warp", "PF_TRON1A"
    cfg.env.episode_length_s, cfg.commands.resampling_time, cfg.domain_rand.push_interval_s = 0.3, 0.2, 0.1
    cfg.curriculum.enabled = False
    cfg.terrain.mesh_type, cfg.terrain.profile = mesh_type, "mixed"
    cfg.terrain.num_rows, cfg.terrain.num_cols = 3, 8
    env = PointFootFlat(cfg, "cuda:0")
    generator, rows = torch.Generator().manual_seed(0), []
    for k in range(steps):
        actions = 0.5 * torch.randn(num_envs, 6, generator=generator)
        obs, reward, done, extras = env.step(actions.cuda())
        rows.append({**dict(obs.items()), "reward": reward, "done": done, **extras, "fell": env.episodes.fell.clone()})
        if k == steps // 2:
            env.reset()
    env.sim.close()
    return rows


@pytest.mark.parametrize("mesh_type", ["plane", "trimesh"])
def test_recorded_steps_are_the_plain_ones(monkeypatch: pytest.MonkeyPatch, mesh_type: str) -> None:
    recorded = rollout(mesh_type)
    monkeypatch.setattr(cuda_graph, "PLAIN_CALLS", 10**9)
    for step, (given, expected) in enumerate(zip(recorded, rollout(mesh_type), strict=True)):
        for name, value in expected.items():
            # Contact is chaotic and the engine adds in any order: a robot or two may part.
            apart = (value.float() - given[name].float()).abs().view(len(value), -1).amax(-1) > 1e-2
            assert apart.float().mean() <= 0.1, f"step {step}: {name}"
    assert any(row["time_outs"].any() for row in recorded)
    assert torch.stack([row["done"] for row in recorded]).any()
