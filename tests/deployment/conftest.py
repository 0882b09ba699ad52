"""Both engines, a policy that can walk, and small ONNX files."""

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from legged_gym import resources_dir
from legged_gym.deployment.engine import Engine, Physics
from legged_gym.deployment.judge import Setup, make_engine

URDF = resources_dir() / "robots" / "PF_TRON1A" / "urdf" / "robot.urdf"
POLICY = resources_dir() / "policies" / "PF_TRON1A" / "pointfoot_flat"
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
