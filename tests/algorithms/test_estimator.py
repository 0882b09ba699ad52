"""What the velocity estimator learns from a robot that tumbles."""

from types import SimpleNamespace

import pytest
import torch
from torch import nn

from legged_gym.algorithms.estimator_trainer import EstimatorTrainer
from legged_gym.utils.distributed import ALONE


def gradient_and_loss(width: float, speed: float) -> tuple[torch.Tensor, float]:
    """Gradient of the last bias and the loss of a step, on eight robots of which one has this speed [m/s]."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(5, 4), nn.ELU(), nn.Linear(4, 3))
    velocity = torch.zeros(1, 8, 3)
    velocity[0, 3] = speed
    observations = {"history": torch.randn(1, 8, 5), "velocity": velocity}
    storage = SimpleNamespace(observations=observations, device="cpu")
    cpu = torch.device("cpu")
    trainer = EstimatorTrainer(network, storage, ALONE, cpu, max_grad_norm=1e9, huber_width=width)  # type: ignore[arg-type]
    loss = trainer.step(torch.arange(8)).item()
    bias = network[2].bias
    assert bias.grad is not None
    return bias.grad.clone(), loss


def test_a_tumbling_robot_weighs_no_more_the_faster_it_is() -> None:
    fast, faster = (gradient_and_loss(0.2, speed)[0] for speed in (30.0, 300.0))
    torch.testing.assert_close(fast, faster)
    fast, faster = (gradient_and_loss(0.0, speed)[0] for speed in (30.0, 300.0))
    torch.testing.assert_close(10.0 * fast, faster, rtol=0.2, atol=0.0)  # the others tell little


def test_the_loss_that_is_logged_is_the_mean_squared_error() -> None:
    for width in (0.0, 0.2):
        assert gradient_and_loss(width, 30.0)[1] == pytest.approx(30.0**2 / 8.0, rel=0.05)
