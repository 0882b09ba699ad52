"""Matrix products in bfloat16."""

import pytest
import torch
from rsl_rl.modules import MLP
from torch import nn

from legged_gym.algorithms import precision
from legged_gym.algorithms.precision import forward, multiplies_bfloat16
from tests.runners.making import small_run


def network() -> tuple[nn.Sequential, torch.Tensor]:
    torch.manual_seed(0)
    return MLP(8, 3, [64, 64], "elu"), torch.randn(200, 8)


@pytest.mark.parametrize("units", [True, False])
def test_hidden_layers_are_rounded_where_there_are_units_for_it(monkeypatch: pytest.MonkeyPatch, units: bool) -> None:
    """Rounding changes about the third digit; without units all is as exact as if it were not asked for."""
    monkeypatch.setattr(precision, "multiplies_bfloat16", lambda kind: units)
    mlp, x = network()
    exact, mixed = mlp(x), forward(mlp, x, mixed=True)
    assert torch.equal(forward(mlp, x, mixed=False), exact)
    error = (mixed - exact).abs().max() / exact.abs().max()
    assert mixed.dtype == torch.float32 and (1e-5 < error < 2e-2 if units else error == 0.0)
    mixed.square().mean().backward()
    gradient = mlp[0].weight.grad
    mlp[0].weight.grad = None
    exact.square().mean().backward()
    assert mlp[0].weight.grad is not None and gradient is not None
    torch.testing.assert_close(gradient, mlp[0].weight.grad, atol=0.03 * gradient.abs().max().item(), rtol=0.0)


def test_cuda_has_such_units_and_unknown_devices_have_none() -> None:
    assert multiplies_bfloat16("cuda") and not multiplies_bfloat16("meta")


@pytest.mark.parametrize("units", [None, "_is_amx_tile_supported", "_is_avx512_bf16_supported"])
def test_processors_have_them_as_amx_or_in_avx512(monkeypatch: pytest.MonkeyPatch, units: str | None) -> None:
    for name in ("_is_amx_tile_supported", "_is_avx512_bf16_supported"):
        monkeypatch.setattr(torch.cpu, name, lambda name=name: name == units, raising=False)
    multiplies_bfloat16.cache_clear()
    try:
        assert multiplies_bfloat16("cpu") == (units is not None)
    finally:
        multiplies_bfloat16.cache_clear()


def test_the_actor_is_never_rounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """With little noise, rounding would look like a change of the policy; values and estimates are rounded."""
    monkeypatch.setattr(precision, "multiplies_bfloat16", lambda kind: True)
    mixed, exact = (small_run(None, **{"train.algorithm.mixed_precision": on}) for on in (True, False))
    obs = mixed.env.get_observations()
    for run in (mixed, exact):
        torch.manual_seed(0)
        run.alg.act(obs.clone())
    mine, other = mixed.alg.transition, exact.alg.transition
    assert torch.equal(mine.actions, other.actions) and torch.equal(mine.actions_log_prob, other.actions_log_prob)
    assert not torch.equal(mine.values, other.values)
    torch.testing.assert_close(mine.values, other.values, atol=0.05, rtol=0.05)


def test_the_estimator_learns_from_rounded_layers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nearly the same step as in full precision, but not the same."""
    monkeypatch.setattr(precision, "multiplies_bfloat16", lambda kind: True)
    losses = []
    for mixed in (True, False):
        run = small_run(None, **{"train.algorithm.mixed_precision": mixed})
        torch.manual_seed(0)
        run._collect(run.env.get_observations())
        losses.append(run.alg.estimator_trainer.step(torch.arange(8)).item())
    assert losses[0] != losses[1] and losses[0] == pytest.approx(losses[1], rel=0.05)
