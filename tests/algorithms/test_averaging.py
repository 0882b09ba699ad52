"""The mean of the actor's weights."""

import torch
from torch import nn

from legged_gym.algorithms.averaging import OF_THE_RUN, AveragedActor


def moved(iterations: int, averaged: int, first: int = 10_000, share: float = 0.0) -> torch.Tensor:
    """Weights move to 1, 2, 3, ... in turn; returns their mean after so many iterations."""
    newest = nn.Linear(1, 2)
    nn.init.zeros_(newest.weight)
    mean = AveragedActor(newest, averaged, share)
    for k in range(1, iterations + 1):
        nn.init.constant_(newest.weight, float(k))
        mean.add(first + k)
    assert not mean.actor.weight.requires_grad and newest.weight.requires_grad
    return mean.actor.weight


def test_the_mean_lags_by_its_iterations() -> None:
    """The exponential mean of k = 1, 2, ... with span n tends to k - (n - 1); with span 1 it is the newest."""
    torch.testing.assert_close(moved(400, averaged=10), torch.full((2, 1), 391.0))
    torch.testing.assert_close(moved(7, averaged=1), torch.full((2, 1), 7.0))


def test_at_first_it_goes_back_less_far() -> None:
    """In the first 1 / OF_THE_RUN iterations the newest counts alone; later the span is that share of them."""
    few = round(1.0 / OF_THE_RUN)
    torch.testing.assert_close(moved(few, averaged=50, first=0), torch.full((2, 1), float(few)))
    torch.testing.assert_close(moved(1, averaged=50, first=49), torch.full((2, 1), 0.1))
    torch.testing.assert_close(moved(1, averaged=50, first=9_999), torch.full((2, 1), 0.02))


def test_late_in_a_run_it_goes_back_over_a_share_of_it() -> None:
    """The step of the mean is one over its span."""
    torch.testing.assert_close(moved(1, averaged=10, first=999, share=0.1), torch.full((2, 1), 0.01))
    torch.testing.assert_close(moved(1, averaged=10, first=79, share=0.1), torch.full((2, 1), 0.1))


def test_newest_weights_alone_stay_so_late_in_a_run() -> None:
    torch.testing.assert_close(moved(3, averaged=1, first=999, share=0.1), torch.full((2, 1), 3.0))
