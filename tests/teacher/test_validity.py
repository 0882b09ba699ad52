"""The weight of the reference, against numbers worked out by hand."""

from __future__ import annotations

import pytest
import torch

from legged_gym.teacher.config import ValidityCfg
from legged_gym.teacher.validity import ValidityWeight


def test_weight_falls_with_each_indicator() -> None:
    cfg = ValidityCfg()
    weight = ValidityWeight(cfg, torch.zeros(()))
    good = torch.zeros(6, 1)
    assert weight(good).item() == 1.0
    for row, name in enumerate(ValidityWeight.NAMES):
        low, high = getattr(cfg, name)
        for value, expected in ((low, 1.0), ((low + high) / 2, 0.5), (high, 0.0), (10 * high, 0.0)):
            indicators = good.clone()
            indicators[row] = value
            assert weight(indicators).item() == pytest.approx(expected, abs=1e-6), name
    half = torch.tensor([(sum(getattr(cfg, n)) / 2) for n in ValidityWeight.NAMES]).unsqueeze(-1)
    assert weight(half).item() == pytest.approx(0.5**6)
    good[2] = float("nan")
    assert weight(good).item() == 0.0


def test_thresholds_must_be_ordered() -> None:
    with pytest.raises(ValueError, match="good < bad"):
        ValidityWeight(ValidityCfg(tilt=(0.5, 0.5)), torch.zeros(()))
