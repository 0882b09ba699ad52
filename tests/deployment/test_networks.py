"""Exported files that the controller could not load, or should not run, are refused in one line."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from legged_gym.deployment.networks import OnnxNetworks
from legged_gym.utils.errors import UserError


def test_the_shipped_policy_loads(policy_folder: Path) -> None:
    networks = OnnxNetworks(policy_folder)
    assert networks.encode(np.zeros(300, np.float32)).shape == (3,)
    assert networks.act(np.zeros(36, np.float32)).shape == (6,)


def test_a_missing_folder_and_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no such folder: .*nowhere; --onnx takes a folder with encoder\.onnx"):
        OnnxNetworks(tmp_path / "nowhere")
    with pytest.raises(UserError, match=r"no such file: .*encoder\.onnx"):
        OnnxNetworks(tmp_path)


def test_a_file_that_is_no_onnx(small_policy: Callable[..., Path]) -> None:
    folder = small_policy()
    (folder / "policy.onnx").write_bytes(b"not a network")
    with pytest.raises(UserError, match=r"policy\.onnx: is no ONNX model"):
        OnnxNetworks(folder)


@pytest.mark.parametrize(("widths", "text"), [((48, 6), r"input has shape \[48\].*\[36\]"), ((36, 8), r"\[8\].*\[6\]")])
def test_wrong_widths(small_policy: Callable[..., Path], widths: tuple[int, int], text: str) -> None:
    with pytest.raises(UserError, match=text):
        OnnxNetworks(small_policy(*widths))


@pytest.mark.parametrize("weight", [np.nan, np.inf])
def test_weights_that_are_no_numbers(small_policy: Callable[..., Path], weight: float) -> None:
    with pytest.raises(UserError, match="answers with NaN or infinity"):
        OnnxNetworks(small_policy(weight=weight))


def test_measurements_that_are_no_numbers_are_not_the_networks_fault(small_policy: Callable[..., Path]) -> None:
    networks = OnnxNetworks(small_policy(weight=1.0))
    assert np.isnan(networks.act(np.full(36, np.nan, np.float32))).all()
