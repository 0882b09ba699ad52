"""What is deployed: figures of the contract, and refusals of what the controller does not run."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from legged_gym.deployment import bundle, contract, parity
from legged_gym.deployment.joint_parameters import JointParameters, read_parameters
from legged_gym.deployment.networks import OnnxNetworks
from legged_gym.envs.pointfoot.pointfoot_flat_config import PointFootFlatCfg
from legged_gym.utils.config import set_field
from legged_gym.utils.errors import UserError
from tests.deployment.conftest import POLICY, URDF


def test_the_task_of_this_package_can_be_deployed() -> None:
    bundle.check_contract(PointFootFlatCfg())


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("control.stiffness", 40.0, "K_p 40 N m/rad, the controller runs 42"),
        (
            "control.damping",
            2.5,
            "K_d 2.5 N m s/rad, the controller runs 3.5: train it with another --env.control.damping",
        ),
        ("control.action_scale", 0.5, "an action scale of 0.5 rad, the controller runs 0.25"),
        ("control.decimation", 2, "policy steps of 0.01 s, the controller runs 0.02"),
        ("env.history_length", 5, "a history of 5 observations"),
        ("normalization.obs_scales.ang_vel", 1.0, "body rates times 1, the controller runs 0.25"),
        ("normalization.obs_scales.lin_vel", 1.0, "commands v_x and v_y times 1, the controller runs 2"),
        ("normalization.obs_scales.dof_vel", 0.1, "joint velocities times 0.1"),
        ("normalization.clip_actions", 10.0, "actions bounded to 10"),
        ("init_state.default_joint_angles", (0.0, 0.1, 0.0, 0.0, 0.0, 0.0), "default joint angles are"),
        ("gait.ranges.frequency", (2.6, 3.8), "a gait frequency of 2.6 to 3.8 Hz, the controller commands 2"),
        ("gait.ranges.duration", (0.55, 0.6), "a gait duration of 0.55 to 0.6, the controller commands 0.5"),
        ("gait.ranges.swing_height", (0.02, 0.06), "a gait swing_height of 0.02 to 0.06 m"),
    ],
)
def test_what_the_controller_does_not_run_is_refused(field: str, value: Any, message: str) -> None:
    cfg = PointFootFlatCfg()
    set_field(cfg, field, value)
    with pytest.raises(UserError, match=message) as error:
        bundle.check_contract(cfg)
    assert "\n" not in str(error.value)


def test_other_observations_are_refused() -> None:
    bundle.check_widths({"policy": 30, "command": 3, "critic": 99})
    with pytest.raises(UserError, match="group 'policy' has 31 numbers, the controller gives 30"):
        bundle.check_widths({"policy": 31, "command": 3})


def test_the_controllers_parameters_make_a_full_stick_half_a_metre_a_second() -> None:
    params = yaml.safe_load(bundle.controller_params())["PointfootCfg"]
    scales = [params["user_cmd_scales"][name] for name in ("lin_vel_x", "lin_vel_y", "ang_vel_yaw")]
    shown = np.array(scales) * 0.5  # what the controller puts into the policy at full stick
    assert (shown / contract.COMMAND_SCALE).tolist() == [0.5, 0.5, 0.5]
    assert params["control"] == {
        **{"stiffness": 42.0, "damping": 3.5, "action_scale_pos": 0.25},
        **{"decimation": 10, "user_torque_limit": 80.0},
    }
    assert params["joint_names"] == list(contract.JOINTS) and params["loop_frequency"] == 500
    assert params["size"]["observations_size"] == 30 and params["size"]["obs_history_length"] == 10


def test_a_description_is_in_the_file_and_does_not_change_it(tmp_path: Path) -> None:
    for name in bundle.FILES:
        (tmp_path / name).write_bytes((POLICY / name).read_bytes())
    content = bundle.description("PF_TRON1A", "pointfoot_flat", {"commit": "1a2b3c4"})
    for _ in range(2):  # the second time replaces the first
        bundle.write_metadata(tmp_path / "policy.onnx", content)
    again = bundle.read_metadata(tmp_path / "policy.onnx")
    assert again == json.loads(json.dumps(content))
    assert again["joint_order"][1] == "hip_L_Joint" and again["gains"]["damping"] == 3.5
    assert again["history"]["order"] == "oldest first" and again["gait"]["frequency"] == 2.0
    assert sum(part["size"] for part in again["observation"]) == 30
    inputs = np.random.default_rng(0).standard_normal(36).astype(np.float32)
    assert (OnnxNetworks(tmp_path).act(inputs) == OnnxNetworks(POLICY).act(inputs)).all()


def test_parity_is_by_output_and_finds_the_one_that_differs() -> None:
    networks = OnnxNetworks(POLICY)
    recording = parity.record_observations(networks, URDF, count=40)
    histories, inputs = np.stack(recording.histories), np.stack(recording.inputs)
    assert histories.shape == (40, 300) and inputs.shape == (40, 36)
    np.testing.assert_array_equal(histories[20][-30:], inputs[20][3:33])  # the newest observation is the last one

    def encoder(batch: np.ndarray) -> np.ndarray:
        return np.stack([networks.encode(row) for row in batch])

    def policy(batch: np.ndarray) -> np.ndarray:
        answers = np.stack([networks.act(row) for row in batch])
        answers[7, 4] += 0.002
        return answers

    outputs = parity.compare(recording, encoder, policy)
    assert parity.failed(outputs) == ["action_hip_R"]
    assert outputs["action_hip_R"]["worst"] == pytest.approx(0.002, rel=1e-3)
    assert outputs["action_hip_R"]["mean"] == pytest.approx(0.002 / 40, rel=1e-3)
    assert outputs["estimate_x"]["worst"] == 0.0 and outputs["estimate_x"]["range"] > 0.0
    outputs["estimate_y"]["worst"] = float("nan")
    assert parity.failed(outputs) == ["estimate_y", "action_hip_R"]
    assert any(line.startswith("action_hip_R") and "2.0e-03" in line for line in parity.report(outputs, 40))


def test_joints_are_read_as_far_as_they_are_known(tmp_path: Path) -> None:
    file, default = tmp_path / "joints.json", JointParameters()
    entries = {
        "friction_hip": {"value": 0.7, "identified": True},
        "friction_knee": {"value": 9.0, "identified": False},
        "delay": {"value": 0.013, "identified": True},
    }
    file.write_text(json.dumps({"parameters": entries}))
    joints = read_parameters(file)
    assert joints.friction.tolist() == [0.0, 0.7, 0.0, 0.0, 0.7, 0.0] and joints.delay == 0.013
    assert joints.armature.tolist() == default.armature.tolist()
    assert JointParameters.from_values(joints.values()).values() == joints.values()
    assert replace(joints, delay=0.0).values()["delay"] == 0.0
    for text in ("{", "{}", '{"parameters": {"delay": 3}}'):
        file.write_text(text)
        with pytest.raises(UserError, match=r"is no result of identify\.py"):
            read_parameters(file)
    for name, value in (("friction_toe", 1.0), ("delay", -1.0), ("armature_hip", float("nan"))):
        file.write_text(json.dumps({"parameters": {name: {"value": value, "identified": True}}}))
        with pytest.raises(UserError, match=f"{name}: .* is not usable"):
            read_parameters(file)
