"""A trained actor as the files that run on the robot, each checked against torch.

The robot's controller loads `encoder.onnx` (history 300 -> base velocity 3) and `policy.onnx` ([velocity 3, observation
30, command 3] -> action 6), both with one-dimensional float32 input. `policy_jit.pt` holds both for use from torch.
"""

import copy
import io
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import nn

from legged_gym.utils.files import replacing

OPSET = 17
"""ONNX operator set: old enough for the onnxruntime on robots."""
TOLERANCE = 1e-4
"""Largest difference between an exported file and torch [units of the output]; float32 rounding is below 1e-5."""
PROBES = 64
"""Random inputs that each file is checked with."""


@dataclass(frozen=True)
class Exported:
    """A file that was written and checked."""

    path: Path
    max_error: float
    """Largest difference to torch over the probes."""


class JitPolicy(nn.Module):
    """Estimator and actor in one module: (history, observation, command) -> action, with or without a batch axis."""

    def __init__(self, estimator: nn.Module, mlp: nn.Module) -> None:
        """Take over both networks."""
        super().__init__()
        self.estimator = estimator
        self.mlp = mlp

    def forward(self, history: torch.Tensor, policy: torch.Tensor, command: torch.Tensor) -> torch.Tensor:
        """Compute the action. Shapes (..., 300), (..., 30), (..., 3) -> (..., 6)."""
        return self.mlp(torch.cat((self.estimator(history), policy, command), dim=-1))


def export_policy(
    actor: Any, directory: str | Path, history_width: int, policy_width: int, command_width: int = 3
) -> list[Exported]:
    """Write `encoder.onnx`, `policy.onnx` and `policy_jit.pt`.

    Args:
        actor: Has the networks `estimator` and `mlp`, and maps an observation to `mlp([estimate, policy, command])`.
        directory: Made if it is not there.
        history_width: Numbers in the observation history.
        policy_width: Numbers in the policy observation.
        command_width: Numbers in the command.

    Returns:
        The files with their errors.

    Raises:
        RuntimeError: A file's output differs from torch's; the whole export is removed.
    """
    directory = Path(directory)
    estimator, mlp = (copy.deepcopy(net).to("cpu").eval() for net in (actor.estimator, actor.mlp))
    both = JitPolicy(estimator, mlp)
    mlp_width = estimator(torch.zeros(history_width)).shape[-1] + policy_width + command_width
    with warnings.catch_warnings():
        # Both ways are deprecated in torch, but the successors write no TorchScript and a newer ONNX operator set only.
        warnings.simplefilter("ignore", DeprecationWarning)
        files = {
            "encoder.onnx": (_onnx_bytes(estimator, history_width), estimator, (history_width,)),
            "policy.onnx": (_onnx_bytes(mlp, mlp_width), mlp, (mlp_width,)),
            "policy_jit.pt": (_jit_bytes(both), both, (history_width, policy_width, command_width)),
        }
        runners = {name: _runner(name, data) for name, (data, _, _) in files.items()}
    errors = {name: _max_error(runners[name], network, widths) for name, (_, network, widths) in files.items()}
    for name, error in errors.items():
        if not error <= TOLERANCE:
            raise RuntimeError(
                f"{name} differs from torch by {error:.3g}, more than {TOLERANCE:g}: nothing was exported"
            )
    directory.mkdir(parents=True, exist_ok=True)
    for name, (data, _, _) in files.items():
        with replacing(directory / name) as temporary:
            temporary.write_bytes(data)
    return [Exported(directory / name, error) for name, error in errors.items()]


def _onnx_bytes(network: nn.Module, width: int) -> bytes:
    """Turn a network into an ONNX file with 1-D input `obs` and output `output`."""
    buffer = io.BytesIO()
    torch.onnx.export(
        network,
        (torch.zeros(width),),
        cast(Any, buffer),  # taken by this exporter, whatever the annotation says
        input_names=["obs"],
        output_names=["output"],
        opset_version=OPSET,
        dynamo=False,
    )
    return buffer.getvalue()


def _jit_bytes(module: nn.Module) -> bytes:
    """Turn a module into a TorchScript file."""
    buffer = io.BytesIO()
    torch.jit.save(torch.jit.script(module), buffer)
    return buffer.getvalue()


def _runner(name: str, data: bytes) -> Callable[..., np.ndarray]:
    """Return a function that runs a file's content on single inputs."""
    if name.endswith(".pt"):
        module = torch.jit.load(io.BytesIO(data))
        return lambda *inputs: module(*inputs).numpy()
    import onnxruntime

    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    return lambda x: session.run(None, {"obs": x.numpy()})[0]


@torch.inference_mode()
def _max_error(run: Callable[..., np.ndarray], network: nn.Module, widths: tuple[int, ...]) -> float:
    """Largest difference between a file and the network it was made from, over random inputs."""
    generator = torch.Generator().manual_seed(0)
    worst = 0.0
    for _ in range(PROBES):
        inputs = [torch.randn(width, generator=generator) for width in widths]
        difference = np.abs(run(*inputs) - network(*inputs).numpy())
        worst = max(worst, float(difference.max()))
        if not np.isfinite(difference).all():
            return float("nan")
    return worst
