"""Files that go onto the robot beside the networks: their description and the parameters of the maker's controller.
Also checks whether that controller can run the networks at all."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from legged_gym.deployment import contract
from legged_gym.deployment.contract import (
    ACTION_SCALE,
    BODY_RATE_SCALE,
    CLIP,
    COMMAND_SCALE,
    CONTROL_DT,
    DECIMATION,
    DEFAULT_ANGLES,
    GAIT,
    HISTORY,
    JOINT_VEL_SCALE,
    JOINTS,
    KD,
    KP,
    POLICY_DT,
    STAND_UP_TIME,
    TORQUE_LIMIT,
)
from legged_gym.utils.errors import UserError

FORMAT = "legged_gym deployment 1"
FILES = ("encoder.onnx", "policy.onnx")
RECORD = "deploy.json"
"""Everything that is known of a bundle; a folder with this file is one."""
GAIT_NAMES = ("frequency", "offset", "duration", "swing_height")
GAIT_UNITS = {"frequency": "Hz", "swing_height": "m"}
STICK = 0.5
"""Output of the controller's stick at its stop, before it is multiplied by `user_cmd_scales`."""
OBSERVATION = (
    ("body angular velocity [rad/s]", 3, BODY_RATE_SCALE),
    ("projected gravity", 3, 1.0),
    ("joint positions minus default angles [rad]", 6, 1.0),
    ("joint velocities [rad/s]", 6, JOINT_VEL_SCALE),
    ("last action, as clamped", 6, 1.0),
    ("sin and cos of the gait clock", 2, 1.0),
    ("gait: frequency, offset, duration, swing height", 4, 1.0),
)
"""Name, width and factor of each part of the observation."""


def check_contract(cfg: Any) -> None:
    """Refuse a policy that was trained for something that the maker's controller does not do.

    Args:
        cfg: Config of the environment that the policy was trained in.

    Raises:
        UserError: Names the setting, and the controller's value.
    """
    control, normal = cfg.control, cfg.normalization
    scales = normal.obs_scales
    fixed = (
        ("control.stiffness", "K_p", control.stiffness, KP, "N m/rad"),
        ("control.damping", "K_d", control.damping, KD, "N m s/rad"),
        ("control.action_scale", "an action scale of", control.action_scale, ACTION_SCALE, "rad"),
        ("env.history_length", "a history of", cfg.env.history_length, HISTORY, "observations"),
        ("normalization.obs_scales.lin_vel", "commands v_x and v_y times", scales.lin_vel, COMMAND_SCALE[0], ""),
        ("normalization.obs_scales.ang_vel", "body rates times", scales.ang_vel, BODY_RATE_SCALE, ""),
        ("normalization.obs_scales.dof_pos", "joint positions times", scales.dof_pos, 1.0, ""),
        ("normalization.obs_scales.dof_vel", "joint velocities times", scales.dof_vel, JOINT_VEL_SCALE, ""),
        ("normalization.clip_observations", "observations bounded to", normal.clip_observations, CLIP, ""),
        ("normalization.clip_actions", "actions bounded to", normal.clip_actions, CLIP, ""),
        ("control.decimation", "policy steps of", control.decimation * cfg.sim.dt, POLICY_DT, "s"),
    )
    for path, what, value, wanted, unit in fixed:
        if not np.isclose(value, wanted, rtol=1e-6):
            figures = f"{what} {value:g} {unit}".rstrip() + f", the controller runs {wanted:g}"
            raise UserError(f"the policy was trained with {figures}: train it with another --env.{path}")
    angles = tuple(cfg.init_state.default_joint_angles)
    if not np.allclose(angles, DEFAULT_ANGLES):
        raise UserError(
            f"the policy's default joint angles are {angles}, the controller's are all 0: "
            "train it with --env.init_state.default_joint_angles=0,0,0,0,0,0"
        )
    for name, wanted in zip(GAIT_NAMES, GAIT, strict=True):
        low, high = getattr(cfg.gait.ranges, name)
        if not low - 1e-9 <= wanted <= high + 1e-9:
            raise UserError(
                f"the policy was trained for a gait {name} of {low:g} to {high:g} {GAIT_UNITS.get(name, '')}".rstrip()
                + f", the controller commands {wanted:g}: "
                f"train it with --env.gait.ranges.{name} around that value"
            )


def check_widths(widths: dict[str, int]) -> None:
    """Refuse a policy whose observation differs from the controller's.

    Args:
        widths: Width of each observation group, by name.

    Raises:
        UserError: Names the group.
    """
    for name, wanted in (("policy", contract.OBSERVATION_SIZE), ("command", len(COMMAND_SCALE))):
        if widths.get(name) != wanted:
            raise UserError(
                f"the policy's observation group '{name}' has {widths.get(name, 0)} numbers, the controller gives "
                f"{wanted}: a task with observations of its own needs a controller of its own"
            )


def controller_params() -> str:
    """Return the parameters file of the maker's controller, with the commands in the units of our policies."""
    linear, lateral, yaw = COMMAND_SCALE.tolist()
    params = {
        "loop_frequency": round(1.0 / CONTROL_DT),
        "joint_names": list(JOINTS),
        "init_state": {"default_joint_angle": dict(zip(JOINTS, DEFAULT_ANGLES.tolist(), strict=True))},
        "control": {
            "stiffness": KP,
            "damping": KD,
            "action_scale_pos": ACTION_SCALE,
            "decimation": DECIMATION,
            "user_torque_limit": TORQUE_LIMIT,
        },
        "normalization": {
            "clip_scales": {"clip_observations": CLIP, "clip_actions": CLIP},
            "obs_scales": {"lin_vel": linear, "ang_vel": BODY_RATE_SCALE, "dof_pos": 1.0, "dof_vel": JOINT_VEL_SCALE},
        },
        "size": {
            "actions_size": contract.POLICY_OUTPUTS,
            "observations_size": contract.OBSERVATION_SIZE,
            "commands_size": len(COMMAND_SCALE),
            "obs_history_length": HISTORY,
            "encoder_output_size": contract.ENCODER_OUTPUTS,
        },
        "stand_mode": {"stand_duration": STAND_UP_TIME},
        "imu_orientation_offset": {"roll": 0.0, "pitch": 0.0, "yaw": 0.0},
        "user_cmd_scales": {"lin_vel_x": linear, "lin_vel_y": lateral, "ang_vel_yaw": yaw},
    }
    head = (
        "# For the maker's controller. Unlike the maker's own file: user_cmd_scales. With these a full stick asks for\n"
        f"# {STICK} m/s, {STICK} m/s and {STICK} rad/s; half of each for the first steps.\n"
        "# imu_orientation_offset belongs to the robot, not to the policy: keep the robot's own.\n"
    )
    return head + yaml.safe_dump({"PointfootCfg": params}, sort_keys=False)


def description(robot: str, task: str, training: dict[str, Any]) -> dict[str, Any]:
    """Describe the networks: everything that a controller or a reader has to know of them.

    Args:
        robot: The robot's name.
        task: The task that was learned.
        training: Origin of the policy.
    """
    observation = [{"name": name, "size": size, "scale": scale} for name, size, scale in OBSERVATION]
    return {
        "format": FORMAT,
        "robot": robot,
        "task": task,
        "joint_order": list(JOINTS),
        "default_angles": DEFAULT_ANGLES.tolist(),
        "action": {"scale": ACTION_SCALE, "unit": "rad", "clip": CLIP, "meaning": "target = default + scale * action"},
        "gains": {"stiffness": KP, "damping": KD, "torque_limit": TORQUE_LIMIT, "units": "N m/rad, N m s/rad, N m"},
        "rates": {"control": round(1.0 / CONTROL_DT), "policy": round(1.0 / POLICY_DT), "unit": "Hz"},
        "gait": dict(zip(GAIT_NAMES, GAIT, strict=True)),
        "observation": observation,
        "history": {"length": HISTORY, "order": "oldest first", "start": "the first observation, repeated"},
        "encoder": {"input": contract.ENCODER_INPUTS, "output": contract.ENCODER_OUTPUTS, "gives": "velocity estimate"},
        "policy": {
            "input": contract.POLICY_INPUTS,
            "order": "velocity estimate (3), observation (30), command (3)",
            "output": contract.POLICY_OUTPUTS,
        },
        "command": {"order": "v_x, v_y, w_z", "units": "m/s, m/s, rad/s", "scale": COMMAND_SCALE.tolist()},
        "training": training,
    }


def write_metadata(file: Path, content: dict[str, Any]) -> None:
    """Write a description into an ONNX file: one entry per key, texts as they are, everything else as JSON."""
    import onnx

    model = onnx.load(str(file))
    del model.metadata_props[:]
    for key, value in content.items():
        entry = model.metadata_props.add()
        entry.key, entry.value = key, value if isinstance(value, str) else json.dumps(value)
    onnx.save(model, str(file))


def read_metadata(file: Path) -> dict[str, Any]:
    """Return the description that `write_metadata` put into a file."""
    import onnx

    content: dict[str, Any] = {}
    for entry in onnx.load(str(file)).metadata_props:
        try:
            content[entry.key] = json.loads(entry.value)
        except json.JSONDecodeError:
            content[entry.key] = entry.value
    return content
