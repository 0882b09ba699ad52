"""The weight of the reference, against numbers worked out by hand."""

from __future__ import annotations

import pytest
import torch

from legged_gym.teacher.config import INDICATORS, ValidityCfg
from legged_gym.teacher.validity import ValidityWeight
from legged_gym.utils.config import ConfigError


def test_weight_falls_with_each_indicator() -> None:
    cfg = ValidityCfg()
    weight = ValidityWeight(cfg, torch.zeros(()))
    good = torch.zeros(6, 1)
    assert weight(good).item() == 1.0
    for row, name in enumerate(INDICATORS):
        low, high = getattr(cfg, name)
        for value, expected in ((low, 1.0), ((low + high) / 2, 0.5), (high, 0.0), (10 * high, 0.0)):
            indicators = good.clone()
            indicators[row] = value
            assert weight(indicators).item() == pytest.approx(expected, abs=1e-6), name
    half = torch.tensor([(sum(getattr(cfg, n)) / 2) for n in INDICATORS]).unsqueeze(-1)
    assert weight(half).item() == pytest.approx(0.5**6)
    good[2] = float("nan")
    assert weight(good).item() == 0.0


def test_thresholds_must_be_ordered() -> None:
    for same in ((0.5, 0.5), (3e20, 3e20 + 1e5), (0.7, 0.35)):
        with pytest.raises(ConfigError, match=r"ValidityCfg\.tilt: .* good below bad"):
            ValidityCfg(tilt=same)
