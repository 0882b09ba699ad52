"""The learned DCM offset: bounded, zero at the start of training, one network for both stance sides."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch
from torch import Tensor, nn

OFFSET_INPUTS: tuple[tuple[str, int, float, float], ...] = (
    ("xi", 2, 0.0, 0.1),
    ("plan", 2, 0.0, 0.2),
    ("velocity", 2, 0.0, 0.4),
    ("command", 3, 0.0, 0.4),
    ("duration", 1, 0.22, 0.05),
    ("omega", 1, 4.0, 0.2),
    ("yaw_force", 1, 0.0, 10.0),
    ("contact", 2, 0.5, 0.5),
    ("swing_ground", 1, 0.0, 0.1),
)
"""(name, width, mean, scale) of the network's inputs, SI units, frame M; `ground_ahead` follows with free width."""


class OffsetNetwork(nn.Module):
    """delta_xi = max_offset * tanh(net(o)), in the mirrored heading frame M.

    All inputs are relative to the stance foot and in M: the network sees neither where in the world the robot is nor
    which foot is stance, so its output mirrors with the robot. The last layer starts at zero: training begins at the
    closed form.

    Args:
        num_ahead: number K of terrain heights ahead.
        hidden_dims: widths of the hidden layers.
        max_offset: bound on each component [m].
    """

    mean: Tensor
    scale: Tensor

    def __init__(self, num_ahead: int = 4, hidden_dims: Sequence[int] = (64, 64), max_offset: float = 0.05) -> None:
        super().__init__()
        table = (*OFFSET_INPUTS, ("ground_ahead", num_ahead, 0.0, 0.1))
        self.widths = [width for _, width, _, _ in table]
        self.names = [name for name, _, _, _ in table]
        self.num_inputs = sum(self.widths)
        self.max_offset = max_offset
        self.register_buffer("mean", torch.cat([torch.full((w,), m) for _, w, m, _ in table]))
        self.register_buffer("scale", torch.cat([torch.full((w,), 1.0 / s) for _, w, _, s in table]))
        dims = [self.num_inputs, *hidden_dims]
        layers: list[nn.Module] = []
        for fan_in, fan_out in itertools.pairwise(dims):
            layers += [nn.Linear(fan_in, fan_out), nn.ReLU()]
        self.net = nn.Sequential(*layers, nn.Linear(dims[-1], 2))
        last = self.net[-1]
        assert isinstance(last, nn.Linear)  # for the type checker
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)

    def forward(self, inputs: Tensor) -> Tensor:
        """Offset (N, 2) [m] of inputs (N, num_inputs): forward, and towards the stance side."""
        scaled = ((inputs - self.mean) * self.scale).clamp(-5.0, 5.0)
        return self.max_offset * self.net(scaled).tanh()

    def pack(self, parts: dict[str, Tensor]) -> Tensor:
        """Inputs (N, num_inputs) from named ones, each (width, N) or (N,), in the network's order."""
        return torch.cat(
            [part if part.dim() == 2 else part.unsqueeze(0) for part in map(parts.__getitem__, self.names)]
        ).t()

    def unpack(self, inputs: Tensor) -> dict[str, Tensor]:
        """Inverse of `pack`."""
        rows = dict(zip(self.names, inputs.t().split(self.widths), strict=True))
        return {
            name: row.squeeze(0) if width == 1 else row
            for (name, row), width in zip(rows.items(), self.widths, strict=True)
        }
