"""Losses against numbers worked out by hand."""

import math

import pytest
import torch

from legged_gym.algorithms.losses import (
    adapted_learning_rate,
    imitation_loss,
    masked_mean,
    scheduled_weight,
    surrogate_loss,
    value_loss,
)


@pytest.mark.parametrize(
    ("ratio", "advantage", "expected"),
    [
        (1.5, 1.0, -1.2),  # a gain beyond the clip earns no more
        (0.5, 1.0, -0.5),  # a lost gain counts in full
        (1.5, -1.0, 1.5),  # a growing mistake counts in full
        (0.5, -1.0, 0.8),  # an avoided mistake beyond the clip earns no more
        (1.1, 2.0, -2.2),
    ],
)
def test_surrogate_takes_the_pessimistic_side(ratio: float, advantage: float, expected: float) -> None:
    loss = surrogate_loss(torch.tensor([math.log(ratio)]), torch.zeros(1), torch.tensor([advantage]), clip_param=0.2)
    assert loss.item() == pytest.approx(expected, rel=1e-5)


def test_surrogate_has_no_gradient_where_it_is_clipped() -> None:
    log_prob = torch.log(torch.tensor([1.5, 0.9])).requires_grad_()
    surrogate_loss(log_prob, torch.zeros(2), torch.ones(2), 0.2).sum().backward()
    assert log_prob.grad is not None
    assert log_prob.grad.tolist() == pytest.approx([0.0, -0.9])


@pytest.mark.parametrize(
    ("value", "old", "target", "clip", "expected"),
    [
        (2.0, 0.0, 3.0, None, 1.0),
        (2.0, 0.0, 3.0, 0.5, 6.25),  # clipped value 0.5, error 2.5: the larger error counts
        (0.2, 0.0, 3.0, 0.5, 7.84),  # inside the clip both are the same
        (-2.0, 0.0, 0.0, 0.5, 4.0),
    ],
)
def test_value_loss(value: float, old: float, target: float, clip: float | None, expected: float) -> None:
    loss = value_loss(torch.tensor([[value]]), torch.tensor([[old]]), torch.tensor([[target]]), clip)
    assert loss.item() == pytest.approx(expected)


def test_imitation_is_weighted_and_reaches_the_mean() -> None:
    mean = torch.tensor([[1.0, 2.0], [0.0, 0.0]], requires_grad=True)
    reference = torch.tensor([[0.0, 0.0], [3.0, 4.0]])
    loss = imitation_loss(mean, reference, torch.tensor([1.0, 0.2]))
    assert loss.item() == pytest.approx((1.0 * 5.0 + 0.2 * 25.0) / 2)
    loss.backward()
    assert mean.grad is not None
    assert mean.grad.flatten().tolist() == pytest.approx([1.0, 2.0, -0.6, -0.8])


def test_masked_mean() -> None:
    loss = torch.tensor([[1.0], [2.0], [6.0]])
    assert masked_mean(loss, None).item() == pytest.approx(3.0)
    assert masked_mean(loss, torch.tensor([1.0, 1.0, 0.0])).item() == pytest.approx(1.5)
    assert masked_mean(loss, torch.zeros(3)).item() == 0.0


def test_learning_rate_follows_the_divergence() -> None:
    def adapted(rate: float, kl: float) -> float:
        return adapted_learning_rate(torch.tensor(rate, dtype=torch.float64), torch.tensor(kl), 0.01).item()

    assert adapted(1e-3, 0.03) == pytest.approx(1e-3 / 1.5)
    assert adapted(1e-3, 0.004) == pytest.approx(1.5e-3)
    assert adapted(1e-3, 0.01) == 1e-3
    assert adapted(1e-3, 0.0) == 1e-3, "no divergence at all says nothing"
    assert adapted(1.1e-5, 1.0) == 1e-5
    assert adapted(0.9e-2, 0.001) == 1e-2


def test_schedules() -> None:
    assert [scheduled_weight("linear", 1.0, 0.2, p) for p in (-1.0, 0.0, 0.5, 1.0, 2.0)] == pytest.approx(
        [1.0, 1.0, 0.6, 0.2, 0.2]
    )
    assert scheduled_weight("exponential", 1.0, 0.01, 0.5) == pytest.approx(0.1)
    assert scheduled_weight("exponential", 1.0, 0.0, 1.0) == 0.0
    assert scheduled_weight("exponential", 0.0, 0.1, 0.5) == 0.0, "imitation that starts at 0 is off"
    assert scheduled_weight("constant", 0.3, 0.0, 0.9) == 0.3
    with pytest.raises(ValueError, match="unknown schedule 'cosine'; known: constant, linear, exponential"):
        scheduled_weight("cosine", 1.0, 0.0, 0.5)
