"""The learned change of a step's time and swing height, chosen when the step begins, and what says whether it helps."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from legged_gym.teacher.config import StepChangeCfg
from legged_gym.teacher.frame import StepFrame

STEP_INPUTS: tuple[tuple[str, int, float, float], ...] = (
    ("xi", 2, 0.0, 0.1),
    ("com_vel", 2, 0.0, 0.4),
    ("command", 3, 0.0, 0.4),
    ("duration", 1, 0.22, 0.05),
    ("swing", 2, 0.0, 0.2),
    ("swing_vel", 2, 0.0, 1.0),
    ("up", 2, 0.0, 0.1),
)
"""(name, width, mean, scale) of the inputs, SI units, frame M, at the beginning of a step."""
NUM_INPUTS = sum(width for _, width, _, _ in STEP_INPUTS)


class StepNetwork(nn.Module):
    """u = bound * tanh(net(o)), limited: change of the step time, which is never longer, and of the swing height.

    The last layer starts at zero: training begins with the steps that the timing finds.

    Args:
        cfg: bounds and layers.
    """

    least: Tensor
    most: Tensor
    mean: Tensor
    scale: Tensor

    def __init__(self, cfg: StepChangeCfg) -> None:
        super().__init__()
        self.register_buffer("least", torch.tensor((-cfg.max_time, -cfg.max_height)), persistent=False)
        self.register_buffer("most", torch.tensor((0.0, cfg.max_height)), persistent=False)
        self.register_buffer("mean", torch.cat([torch.full((w, 1), m) for _, w, m, _ in STEP_INPUTS]))
        self.register_buffer("scale", torch.cat([torch.full((w, 1), 1.0 / s) for _, w, _, s in STEP_INPUTS]))
        self.net = _perceptron((NUM_INPUTS, *cfg.hidden_dims, 2))
        last = self.net[-1]
        assert isinstance(last, nn.Linear)  # for the type checker
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)

    def observe(self, frame: StepFrame, xi: Tensor, command: Tensor) -> Tensor:
        """Scaled inputs (N, NUM_INPUTS) of both networks.

        Args:
            frame: the state at the new stance foot.
            xi: DCM (2, N) [m].
            command: v_x, v_y [m/s], w_z [rad/s], frame M (3, N).
        """
        swing, swing_vel = frame.swing[:2], frame.swing_vel[:2]
        up = frame.up_b[:2] * frame.mirror
        rows = torch.cat((xi, frame.com_vel_xy, command, frame.duration.unsqueeze(0), swing, swing_vel, up))
        return ((rows - self.mean) * self.scale).clamp(-5.0, 5.0).t()

    def forward(self, inputs: Tensor) -> Tensor:
        """Change u of time [s] and swing height [m] (N, 2) for inputs (N, NUM_INPUTS)."""
        return self.limit(-self.least * self.net(inputs).tanh())

    def limit(self, change: Tensor) -> Tensor:
        """The nearest change (N, 2) that is allowed; see `_Limit`."""
        return _Limit.apply(change, self.least, self.most)


class _Limit(torch.autograd.Function):
    """Clamps; beyond a limit gradients pass only if descending them leads back.

    The gradient of `clamp` would be zero there, for ever. One that passed straight through would drive the value on and
    on, to where no gradient brings it back in time.
    """

    @staticmethod
    def forward(ctx: Any, value: Tensor, least: Tensor, most: Tensor) -> Tensor:
        """The nearest value between the limits."""
        ctx.save_for_backward(value, least, most)
        return value.clamp(least, most)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        """The gradient, but where descending it leads farther out."""
        value, least, most = ctx.saved_tensors
        outwards = ((value > most) & (gradient < 0.0)) | ((value < least) & (gradient > 0.0))
        return gradient.masked_fill(outwards, 0.0), None, None


class FallNetwork(nn.Module):
    """The value of falling: log odds that a robot falls within `horizon` of the beginning of a step.

    Args:
        cfg: layers, and the bounds that changes are divided by.
    """

    bound: Tensor

    def __init__(self, cfg: StepChangeCfg) -> None:
        super().__init__()
        self.register_buffer("bound", torch.tensor((cfg.max_time, cfg.max_height)), persistent=False)
        self.net = _perceptron((NUM_INPUTS + 2, *cfg.hidden_dims, 1))

    def forward(self, inputs: Tensor, change: Tensor) -> Tensor:
        """Log odds (N,) for inputs (N, NUM_INPUTS) and the step's change u (N, 2)."""
        return self.net(torch.cat((inputs, change / self.bound), dim=-1)).squeeze(-1)


def _perceptron(dims: Sequence[int]) -> nn.Sequential:
    layers: list[nn.Module] = []
    for fan_in, fan_out in itertools.pairwise(dims):
        layers += [nn.Linear(fan_in, fan_out), nn.Tanh()]
    return nn.Sequential(*layers[:-1])
