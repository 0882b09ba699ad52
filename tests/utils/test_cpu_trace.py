"""Operations recorded on the CPU: the same results, in the same order, whatever the parameters are by then."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from legged_gym.utils import cpu_trace
from legged_gym.utils.cpu_trace import Traced


@pytest.mark.skipif(not cpu_trace.SUPPORTED, reason="torch does not trace with this Python")
@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_a_recording_gives_what_the_function_gives(mode: type, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cpu_trace, "PLAIN_CALLS", 2)
    layer, calls = nn.Linear(3, 3), []

    def function(x: Tensor, memory: Tensor) -> tuple[Tensor, ...]:
        calls.append(len(x))
        new = 0.5 * memory + layer(x)
        return new.sin(), new

    traced, memory = Traced(function, layer), torch.zeros(4, 3)
    for k in range(8):
        if k == 5:
            with torch.no_grad():
                layer.weight *= 2.0  # as an optimiser does
        x = torch.randn(4, 3)
        with mode():
            expected = function(x, memory)
            results = traced(x, memory)
            for result, value in zip(results, expected, strict=True):
                torch.testing.assert_close(result, value)
                assert not result.requires_grad
            memory = results[1].clone()
    assert len(calls) == 8 + 3  # two plain calls and the recording
    assert all(p.requires_grad for p in layer.parameters())
