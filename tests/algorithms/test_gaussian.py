"""The noise of actions: within its bounds, never stuck at them, and alike for both legs."""

import pytest
import torch

from legged_gym.algorithms.networks import Gaussian

LOW, HIGH = 0.1, 0.5


def learned(gaussian: Gaussian, wanted: float) -> list[float]:
    """Deviations after some optimiser steps of maximum likelihood on samples that deviate by `wanted`."""
    torch.manual_seed(0)
    optimizer = torch.optim.Adam(gaussian.parameters(), lr=0.02)
    for _ in range(100):
        gaussian.update(torch.zeros(512, 4))
        optimizer.zero_grad()
        (-gaussian.log_prob(wanted * torch.randn(512, 4)).mean()).backward()
        optimizer.step()
    gaussian.update(torch.zeros(1, 4))
    return gaussian.std.flatten().tolist()


@pytest.mark.parametrize("stuck", [0.0, 0.02, 0.9])
def test_a_deviation_leaves_its_bound_again(stuck: float) -> None:
    gaussian = Gaussian(4, 0.3, (LOW, HIGH))
    with torch.no_grad():
        gaussian.std_param.fill_(stuck)
    assert learned(gaussian, 0.3) == pytest.approx([0.3] * 4, abs=0.03)


@pytest.mark.parametrize(("wanted", "bound"), [(0.01, LOW), (3.0, HIGH)])
def test_it_stays_within_its_bounds(wanted: float, bound: float) -> None:
    assert learned(Gaussian(4, 0.3, (LOW, HIGH)), wanted) == pytest.approx([bound] * 4, abs=1e-6)


def test_the_upper_bound_may_sink() -> None:
    gaussian = Gaussian(4, 0.4, (LOW, HIGH))
    gaussian.highest_std.fill_(0.2)
    with torch.inference_mode():
        gaussian.update(torch.zeros(2, 4))
    assert gaussian.std.flatten().tolist() == pytest.approx([0.2] * 8)
    assert learned(gaussian, 0.4) == pytest.approx([0.2] * 4)


def test_actions_that_are_alike_deviate_alike() -> None:
    gaussian = Gaussian(4, 0.3, (LOW, HIGH))
    gaussian.alike.copy_(torch.tensor([2, 3, 0, 1]))
    with torch.no_grad():
        gaussian.std_param.copy_(torch.tensor([0.1, 0.2, 0.3, 0.4]))
    gaussian.update(torch.zeros(1, 4))
    assert gaussian.std.flatten().tolist() == pytest.approx([0.2, 0.3, 0.2, 0.3])
    gaussian.log_prob(torch.tensor([[1.0, 0.0, 0.0, 0.0]])).backward()
    assert gaussian.std_param.grad[0] == gaussian.std_param.grad[2] != 0.0
