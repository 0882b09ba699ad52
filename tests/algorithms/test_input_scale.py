"""Steps of a first layer are those it would take on inputs of one size."""

import copy
from pathlib import Path

import pytest
import torch
from torch import nn

from legged_gym.algorithms.input_scale import SMALLEST, InputScale
from legged_gym.algorithms.networks import SymmetricMLP
from legged_gym.utils.checkpoint import load_checked, save_atomically
from legged_gym.utils.cuda_graph import make_adam
from legged_gym.utils.distributed import ALONE
from legged_gym.utils.finite import GuardedStep
from legged_gym.utils.mirror import Mirror
from tests.runners.making import small_run

SIZES = torch.tensor([1.0, 0.1, 5.0])


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 8), nn.ELU(), nn.Linear(8, 1))


def inputs() -> torch.Tensor:
    x = torch.randn(256, 3, generator=torch.Generator().manual_seed(1))
    return x / x.square().mean(0).sqrt() * SIZES


def learn(mlp: nn.Sequential, x: torch.Tensor, scale: InputScale | None, steps: int = 30) -> None:
    """Regress the smallest input, made large."""
    optimizer = make_adam(mlp.parameters(), 1e-2, "cpu")
    target = inputs()[:, 1:2] / SIZES[1]
    for _ in range(steps):
        optimizer.zero_grad()
        (mlp(x) - target).square().mean().backward()
        if scale is None:
            optimizer.step()
        else:
            with scale.steps():
                optimizer.step()


def test_a_network_learns_as_on_inputs_of_size_one() -> None:
    mlp, other = network(), network()
    with torch.no_grad():
        other[0].weight.mul_(SIZES)  # on inputs of size 1 the same network
    scale = InputScale(mlp, "cpu")
    scale.measure(inputs(), ALONE)
    torch.testing.assert_close(scale.factors, 1.0 / SIZES)
    learn(mlp, inputs(), scale)
    learn(other, inputs() / SIZES, None)
    torch.testing.assert_close(mlp(inputs()), other(inputs() / SIZES), atol=1e-3, rtol=1e-3)


def test_what_a_small_input_tells_is_learned_sooner() -> None:
    errors = {}
    for wanted in (False, True):
        mlp = network()
        scale = InputScale(mlp, "cpu", wanted)
        if scale.due:
            scale.measure(inputs(), ALONE)
        learn(mlp, inputs(), scale, steps=50)
        target = inputs()[:, 1:2] / SIZES[1]
        errors[wanted] = (mlp(inputs()) - target).square().mean().item()
    assert errors[True] < 0.3 * errors[False]


def test_an_input_that_hardly_changes_or_is_not_finite_gets_no_wild_steps() -> None:
    scale = InputScale(network(), "cpu")
    x = inputs()
    x[:, 1], x[3, 2], x[7, 2] = 0.0, torch.nan, torch.inf
    scale.measure(x, ALONE)
    assert scale.factors[1].item() == pytest.approx(1.0 / SMALLEST)
    assert scale.factors[2].item() == pytest.approx(1.0 / SIZES[2].item(), rel=0.1)


def test_a_step_left_out_changes_nothing() -> None:
    mlp = network()
    optimizer = make_adam(mlp.parameters(), 1e-2, "cpu")
    guard, scale = GuardedStep(optimizer, "cpu"), InputScale(mlp, "cpu")
    scale.measure(inputs(), ALONE)
    mlp(inputs()).mean().backward()
    before = copy.deepcopy(mlp.state_dict())
    with scale.steps():
        guard(torch.tensor(torch.nan))
    assert all(torch.equal(value, before[name]) for name, value in mlp.state_dict().items())
    with scale.steps():
        guard(torch.tensor(0.0))
    assert not torch.equal(mlp[0].weight, before["0.weight"])


def test_sizes_are_those_that_a_symmetric_network_sees() -> None:
    swapped = Mirror(torch.tensor([1, 0, 2]), torch.tensor([1.0, 1.0, -1.0]))
    mlp = SymmetricMLP(network(), clock=2, seen=swapped, given=Mirror(torch.tensor([0]), torch.ones(1)))
    scale = InputScale(mlp, "cpu")
    scale.measure(torch.tensor([[2.0, 0.5, 1.0], [0.5, 2.0, -1.0]]), ALONE)  # one robot and its reflection
    torch.testing.assert_close(scale.factors, torch.tensor([0.5, 2.0, 1.0]))


def test_factors_are_saved_once_they_are_measured() -> None:
    saved, loaded = (InputScale(network(), "cpu") for _ in range(2))
    assert saved.save() is None
    saved.measure(inputs(), ALONE)
    loaded.load(saved.save())
    assert not loaded.due and torch.equal(loaded.factors, saved.factors)
    for other in (None, torch.full((7,), 2.0)):  # of before this option, of another network
        loaded.load(other)
        assert not loaded.due and torch.equal(loaded.factors, torch.ones(3)), "it goes on as it has learned"
    off = InputScale(network(), "cpu", wanted=False)
    off.load(saved.save())
    assert not off.due and off.save() is None and torch.equal(off.factors, torch.ones(3))


def test_a_checkpoint_has_the_factors_of_both_networks(tmp_path: Path) -> None:
    run, other = small_run(tmp_path / "run"), small_run(tmp_path / "other")
    run.learn(1)
    path = tmp_path / "run" / "model_1.pt"
    other.load(str(path))
    for scales in (
        (run.alg._scale, other.alg._scale),
        (run.alg.estimator_trainer.scale, other.alg.estimator_trainer.scale),
    ):
        assert torch.equal(scales[0].factors, scales[1].factors) and not scales[1].due
    older = load_checked(str(path))
    del older["input_scales"]
    save_atomically(older, str(path))
    other.load(str(path))
    for scale in (other.alg._scale, other.alg.estimator_trainer.scale):
        assert not scale.due and torch.equal(scale.factors, torch.ones_like(scale.factors)), "of before this option"


def test_a_run_measures_both_networks_once() -> None:
    run = small_run(None)
    scales = (run.alg._scale, run.alg.estimator_trainer.scale)
    assert all(scale.due for scale in scales)
    run.learn(1)
    first = [scale.factors.clone() for scale in scales]
    assert all((factors != 1.0).any() for factors in first)
    run.learn(1)
    assert all(torch.equal(scale.factors, factors) for scale, factors in zip(scales, first, strict=True))
