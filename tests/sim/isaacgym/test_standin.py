"""The stand-in is strict: what Isaac Gym refuses, or would silently get wrong, raises."""

import dataclasses
import os
import subprocess
import sys
from pathlib import Path

import pytest

from legged_gym.sim.isaacgym.asset import ASSET_FILE, write_asset
from legged_gym.sim.robot_model import RobotModel
from tests.sim.process.pool import STAND_IN

SETTING_UP = """
from isaacgym import gymapi, gymtorch
import torch, numpy
gym, params = gymapi.acquire_gym(), gymapi.SimParams()
params.up_axis, params.gravity = gymapi.UP_AXIS_Z, gymapi.Vec3(0.0, 0.0, -9.81)
sim = gym.create_sim(0, -1, gymapi.SIM_PHYSX, params)
plane = gymapi.PlaneParams()
plane.normal = gymapi.Vec3(0.0, 0.0, 1.0)
gym.add_ground(sim, plane)
options = gymapi.AssetOptions()
options.collapse_fixed_joints = True
asset = gym.load_asset(sim, ROOT, FILE, options)
env = gym.create_env(sim, gymapi.Vec3(), gymapi.Vec3(), 1)
actor = gym.create_actor(env, asset, gymapi.Transform(gymapi.Vec3(0.0, 0.0, 5.0)), "robot", 0, 1, 0)

def refused(code):
    try:
        exec(code, globals())
    except Exception as error:
        return
    raise SystemExit("accepted: " + code)
"""
REFUSED = """
refused("params.substep = 2")
refused("params.substeps = 2.0")
refused("params.physx.use_gpu = 1")
refused("gym.add_triangle_mesh(sim, numpy.zeros(9), numpy.zeros(3, numpy.uint32), gymapi.TriangleMeshParams())")
refused("gym.create_actor(env, asset, 'robot', gymapi.Transform(), 1, 1)")
refused("gym.acquire_dof_state_tensor(sim)")
refused("gym.simulate(sim)")
gym.prepare_sim(sim)
root = gymtorch.wrap_tensor(gym.acquire_actor_root_state_tensor(sim))
dofs = gymtorch.wrap_tensor(gym.acquire_dof_state_tensor(sim))
assert root.shape == (1, 13) and dofs.shape == (6, 2) and root.dtype == torch.float32
state = gymtorch.unwrap_tensor(root)
refused("gymtorch.unwrap_tensor(dofs[:, 0])")
refused("gym.set_actor_root_state_tensor_indexed(sim, state, gymtorch.unwrap_tensor(torch.tensor([0])), 1)")
refused("gym.set_dof_actuation_force_tensor(sim, gymtorch.unwrap_tensor(torch.zeros(6).double()))")
refused("gym.set_dof_actuation_force_tensor(sim, gymtorch.unwrap_tensor(torch.zeros(5)))")
refused("gym.set_actor_root_state_tensor_indexed(sim, state, gymtorch.unwrap_tensor(torch.tensor([1]).int()), 1)")
refused("gym.create_env(sim, gymapi.Vec3(), gymapi.Vec3(), 1)")
gym.simulate(sim)
refused("gym.refresh_dof_state_tensor(sim)")
gym.fetch_results(sim, True)
before = root.clone()
gym.simulate(sim)
gym.fetch_results(sim, True)
assert torch.equal(root, before)
gym.refresh_actor_root_state_tensor(sim)
assert root[0, 9] < before[0, 9]
"""


def run(code: str) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([str(STAND_IN), os.environ.get("PYTHONPATH", "")])
    environment = os.environ | {"PYTHONPATH": path}
    command = [sys.executable, "-c", code]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)


def test_what_is_wrong_is_refused(pf_tron1a: RobotModel, tmp_path: Path) -> None:
    """Unknown fields, wrong types, dtypes, shapes and indices, calls out of order, results that were not fetched."""
    write_asset(pf_tron1a, tmp_path)
    done = run(f"ROOT, FILE = {str(tmp_path)!r}, {ASSET_FILE!r}\n{SETTING_UP}\n{REFUSED}")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(("code", "fine"), [("import isaacgym, torch", True), ("import torch, isaacgym", False)])
def test_isaacgym_comes_before_torch(code: str, fine: bool) -> None:
    done = run(code)
    assert (done.returncode == 0) == fine
    assert fine or "Please import torch after isaacgym modules" in done.stderr


def test_the_feet_stay_apart_and_only_collisions_are_kept(pf_tron1a: RobotModel, tmp_path: Path) -> None:
    write_asset(pf_tron1a, tmp_path)
    text = (tmp_path / ASSET_FILE).read_text()
    assert text.count('dont_collapse="true"') == 2 and "<visual>" not in text and text.count("<collision>") == 9


def test_a_collision_mesh_that_is_not_there_is_named(pf_tron1a: RobotModel, tmp_path: Path) -> None:
    urdf = tmp_path / "mine.urdf"
    box = '<geometry>\n        <box size="0.265 0.26 0.18" />'
    source = pf_tron1a.urdf.read_text()
    assert box in source
    urdf.write_text(source.replace(box, '<geometry>\n        <mesh filename="trunk.stl" />'))
    with pytest.raises(ValueError, match=r"cannot find the collision mesh .*trunk\.stl of link base_Link"):
        write_asset(dataclasses.replace(pf_tron1a, urdf=urdf), tmp_path)
