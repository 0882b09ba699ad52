"""Step-timing adaptation and the weight of the reference, against numbers worked out by hand."""

from __future__ import annotations

import math

import pytest
import torch

from legged_gym.teacher.config import TimingCfg, ValidityCfg
from legged_gym.teacher.timing import adapted_time_left, clock_shift
from legged_gym.teacher.validity import ValidityWeight

LOW, HIGH = torch.tensor([[-0.4], [-0.5]]), torch.tensor([[0.4], [-0.05]])


def adapt(xi: tuple[float, float], b: tuple[float, float], time_left: float = 0.25, shortest: float = 0.0) -> float:
    column = torch.tensor([1.0])
    return adapted_time_left(
        torch.tensor([[xi[0]], [xi[1]]]),
        torch.tensor([[b[0]], [b[1]]]),
        LOW,
        HIGH,
        4.0 * column,
        time_left * column,
        shortest * column,
    ).item()


def test_a_reachable_foothold_leaves_the_clock_alone() -> None:
    assert adapt((0.05, -0.06), (0.0, 0.04)) == pytest.approx(0.25)


def test_the_step_ends_when_the_foothold_reaches_the_box() -> None:
    # forward: tau 0.2 - b_x = 0.4 at tau = 2.25 (b_x = 0.05), t = ln(2.25) / omega
    assert adapt((0.2, -0.06), (0.05, 0.04)) == pytest.approx(math.log(2.25) / 4.0, abs=1e-6)
    # backward: tau (-0.2) - b_x = -0.4 at tau = 1.75
    assert adapt((-0.2, -0.06), (0.05, 0.04)) == pytest.approx(math.log(1.75) / 4.0, abs=1e-6)
    # to the swing side: tau (-0.3) - b_y = -0.5 at tau = 1.5 (b_y = 0.05); the tighter axis counts
    assert adapt((0.2, -0.3), (0.05, 0.05)) == pytest.approx(math.log(1.5) / 4.0, abs=1e-6)


def test_a_push_over_the_stance_leg_lands_as_soon_as_the_foot_can() -> None:
    assert adapt((0.0, 0.1), (0.0, 0.04), shortest=0.08) == pytest.approx(0.08)
    assert adapt((0.0, 0.1), (0.0, 0.04), time_left=0.05, shortest=0.08) == pytest.approx(0.05)  # never later


def test_clock_shift_is_in_cycles_and_bounded() -> None:
    cfg = TimingCfg(max_shift=0.1)
    shift = clock_shift(cfg, torch.tensor([0.2, 0.2]), torch.tensor([0.15, 0.0]), torch.tensor([0.25, 0.25]))
    torch.testing.assert_close(shift, torch.tensor([0.1, 0.1]))  # 0.05 s of a 0.5 s cycle, and the bound


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
