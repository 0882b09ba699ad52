"""Runs of earlier versions, with configs that were settled then, are still played and judged as what they were."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from legged_gym.evaluation.loading import make_agent
from legged_gym.options.request import make_parser, parse_args
from legged_gym.options.resolve import resolve
from legged_gym.options.setup import make_env
from legged_gym.options.spec import RunSpec
from legged_gym.sim.robot_model import robots_dir

SHIPPED = robots_dir().parent / "policies" / "PF_TRON1A"
SMALL = ("--num_envs=2", "--sim=mujoco", "--env.terrain.horizontal_scale=0.1", "--env.terrain.num_cols=2")


def old_run(folder: Path, policy: str) -> Path:
    """The run that a shipped policy came from, with both of its configs in full as they were saved then."""
    record = json.loads((SHIPPED / policy / "training.json").read_text())
    folder.mkdir()
    for name in ("env_cfg", "train_cfg"):
        (folder / f"{name}.json").write_text(json.dumps(record[name]))
    (checkpoint,) = (SHIPPED / policy).glob("model_*.pt")
    (folder / checkpoint.name).write_bytes(checkpoint.read_bytes())
    return folder


def spec_of(*argv: str) -> RunSpec:
    return resolve(parse_args(make_parser("test", agent=True), ["--headless", *SMALL, *argv]).request)


@pytest.mark.parametrize(
    ("policy", "mesh_type", "plane", "feet_clearance"),
    [("pointfoot_flat", "trimesh", True, -50.0), ("pointfoot_terrain", "trimesh", False, -50.0)],
)
def test_an_old_run_keeps_its_ground_and_its_rewards(
    tmp_path: Path, capsys: Any, policy: str, mesh_type: str, plane: bool, feet_clearance: float
) -> None:
    spec = spec_of(f"--load_run={old_run(tmp_path / 'run', policy)}")
    cfg = spec.env_cfg
    assert (cfg.terrain.mesh_type, cfg.terrain.is_plane) == (mesh_type, plane)
    assert cfg.rewards.scales.feet_clearance == feet_clearance and spec.robot == "PF_TRON1A"
    env = make_env(spec)
    assert (env.sim.options.terrain is None) == plane
    action = make_agent(spec, env).act(env.get_observations())
    assert action.shape == (2, 6) and action.isfinite().all()
    env.sim.close()


@pytest.mark.parametrize("policy", ["pointfoot_flat", "pointfoot_terrain"])
def test_a_shipped_policy_acts_as_its_run_does(tmp_path: Path, policy: str) -> None:
    actions = []
    for option in (f"--load_run={old_run(tmp_path / 'run', policy)}", f"--agent=pretrained:{policy}"):
        spec = spec_of(option, "--env.terrain.mesh_type=plane", "--env.control.damping=3.5", "--seed=1")
        env = make_env(spec)
        observation = env.get_observations()
        for value in observation.values():
            value.fill_(0.1)
        actions.append(make_agent(spec, env).act(observation))
        env.sim.close()
    torch.testing.assert_close(*actions)
