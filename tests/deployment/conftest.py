"""Both engines, a policy that can walk, small ONNX files, and logs of a robot whose joints nobody knows."""

from collections.abc import Callable
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from legged_gym import resources_dir
from legged_gym.deployment.engine import Engine, Physics
from legged_gym.deployment.joint_parameters import JointParameters
from legged_gym.deployment.judge import Setup, make_engine
from legged_gym.deployment.mujoco_engine import MujocoEngine
from legged_gym.deployment.networks import OnnxNetworks
from legged_gym.deployment.recorder import Recorder
from legged_gym.deployment.robot_log import RobotLog
from legged_gym.deployment.rollout import Job, walk

URDF = resources_dir() / "robots" / "PF_TRON1A" / "urdf" / "robot.urdf"
POLICY = resources_dir() / "policies" / "PF_TRON1A" / "pointfoot_flat"
KICKING = POLICY.with_name("pointfoot_terrain")
"""Logs of this policy tell about the joints, on the hoist and in a walk; a walk of the other one does not."""
needs_drake = pytest.mark.skipif(find_spec("pydrake") is None, reason="needs Drake: pip install -e '.[sim2sim]'")
MakeEngine = Callable[..., Engine]


@pytest.fixture
def urdf() -> Path:
    return URDF


@pytest.fixture
def policy_folder() -> Path:
    return POLICY


@pytest.fixture(params=["mujoco", pytest.param("drake", marks=needs_drake)])
def make(request: pytest.FixtureRequest) -> MakeEngine:
    """Makes the engine with some figures changed; the robot is placed and hangs on the hoist."""

    def make_one(**figures: object) -> Engine:
        physics = Physics(**figures, changed=tuple(figures))  # type: ignore[arg-type]
        engine = make_engine(Setup(POLICY, request.param, URDF), physics)
        engine.place()
        return engine

    return make_one


def write_onnx(path: Path, inputs: int, outputs: int, weight: float = 0.0) -> None:
    """Writes a linear network whose weights are all the same."""
    weights = helper.make_tensor("w", TensorProto.FLOAT, (inputs, outputs), np.full(inputs * outputs, weight))
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["obs", "w"], ["out"])],
        "linear",
        [helper.make_tensor_value_info("obs", TensorProto.FLOAT, [inputs])],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, [outputs])],
        [weights],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    onnx.save(model, str(path))


@pytest.fixture
def small_policy(tmp_path: Path) -> Callable[..., Path]:
    """Writes a folder of networks that answer zero; widths and weights of the policy can be broken."""

    def write(inputs: int = 36, outputs: int = 6, weight: float = 0.0) -> Path:
        folder = tmp_path / "policy"
        folder.mkdir(exist_ok=True)
        write_onnx(folder / "encoder.onnx", 300, 3)
        write_onnx(folder / "policy.onnx", inputs, outputs, weight)
        return folder

    return write


HIDDEN = {
    **{"friction_abad": 0.8, "friction_hip": 1.2, "friction_knee": 0.5},
    **{"damping_abad": 0.3, "damping_hip": 0.2, "damping_knee": 0.15},
    **{"armature_abad": 0.03, "armature_hip": 0.045, "armature_knee": 0.02, "delay": 0.014},
}
"""Of the joints of the logged robot: identification is to find them."""


def log_policy(seconds: float, lift: float, policy: Path = POLICY, seed: int = 0) -> RobotLog:
    """Logs a robot with the hidden joints under a shipped policy."""
    joints = JointParameters.from_values(HIDDEN)
    engine, recorder = MujocoEngine(URDF, Physics()), Recorder()
    engine.set_joints(joints)
    steps = round(seconds * 50)
    draws = np.random.default_rng(seed).uniform(-1.0, 1.0, (steps // 50 + 1, 3)) * (0.5, 0.3, 0.5)
    job = Job(np.repeat(draws, 50, axis=0)[:steps], (seed,), 2.0, delay=joints.delay)
    walk(engine, OnnxNetworks(policy), job, recorder=recorder, lift=lift)
    log = recorder.log()
    return log.rows(slice(log.walking_from(), None))


def with_sensor_noise(log: RobotLog) -> RobotLog:
    """Adds what encoders and an IMU add: 1 mrad, 0.1 rad/s, 0.5 N m; 2 mrad of attitude, 0.02 rad/s, 0.2 m/s^2."""
    draws = np.random.default_rng(0)
    sizes = {"joint_pos": 1e-3, "joint_vel": 0.1, "torque": 0.5, "quat": 1e-3, "body_rates": 0.02, "acceleration": 0.2}
    values = {name: getattr(log, name) for name in sizes}
    noisy = {name: value + sizes[name] * draws.standard_normal(value.shape) for name, value in values.items()}
    noisy["quat"] /= np.linalg.norm(noisy["quat"], axis=1, keepdims=True)
    return replace(log, **noisy)


@pytest.fixture(scope="session")
def hoist_log() -> RobotLog:
    """The robot hangs with its feet free."""
    return log_policy(6.1, lift=0.3, policy=KICKING)


@pytest.fixture(scope="session")
def walk_log() -> RobotLog:
    """The robot walks."""
    return log_policy(20.0, lift=0.0)
