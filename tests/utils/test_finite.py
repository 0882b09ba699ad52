"""What is not finite is found, and changes no weight."""

import copy

import pytest
import torch

from legged_gym.utils.cuda_graph import Graphed, adam_tensors, load_adam, make_adam
from legged_gym.utils.finite import GuardedStep, all_finite, first_not_finite

needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
DEVICES = ["cpu", pytest.param("cuda", marks=needs_cuda)]


def test_all_finite() -> None:
    fine = [torch.ones(3), torch.arange(4)]
    assert all_finite(fine)
    for bad in (torch.nan, torch.inf, 1e30):  # the square of the last one is infinite
        assert not all_finite([*fine, torch.tensor([1.0, bad])])


def test_where_the_first_one_is() -> None:
    tree = {"a": (1, 2.0, "x", None), "b": [{"c": torch.ones(2)}, {"d": torch.tensor([0.0, torch.nan])}]}
    assert first_not_finite(tree) == "b.1.d"
    assert first_not_finite({"a": float("inf")}) == "a"
    assert first_not_finite({"a": torch.arange(3), "b": 10**400}) is None
    assert first_not_finite({"a": torch.eye(2).to_sparse()}) == "a, which is sparse,"


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("bad", [torch.nan, torch.inf])
def test_a_step_that_is_not_finite_is_left_out(device: str, bad: float) -> None:
    """As plain calls and, on CUDA, as a recording: the same step then goes either way."""
    weight = torch.nn.Parameter(torch.ones(4, device=device))
    optimizer = make_adam([weight], 0.1, device)
    step = GuardedStep(optimizer, device)

    def learn(factor: torch.Tensor) -> torch.Tensor:
        optimizer.zero_grad()
        loss = (factor * weight).sum()
        loss.backward()
        return step(loss, torch.nn.utils.clip_grad_norm_([weight], 1.0))

    learning = Graphed(learn, device)
    good, broken = torch.ones(4, device=device), torch.tensor([1.0, bad, 1.0, 1.0], device=device)
    for _ in range(4):
        before = weight.detach().clone()
        assert learning(good) == 0.0 and not torch.equal(weight, before)
        kept = {name: tensor.clone() for name, tensor in adam_tensors(optimizer, "").items()}
        before = weight.detach().clone()
        assert learning(broken) == 1.0 and torch.equal(weight, before)
        assert all(torch.equal(tensor, kept[name]) for name, tensor in adam_tensors(optimizer, "").items())
    assert step.skipped == 4.0
    step.clear()
    assert step.skipped == 0.0


def test_the_fused_kernel_leaves_the_step_out_as_well() -> None:
    """As CUDA has it; the same flag is read by the fused kernel of the CPU."""
    weight = torch.nn.Parameter(torch.ones(4))
    optimizer = torch.optim.Adam([weight], lr=0.1, fused=True)
    step = GuardedStep(optimizer, "cpu")
    step._fused = True
    for bad in (False, True, False, True):
        optimizer.zero_grad()
        (weight.sum() * (torch.nan if bad else 1.0)).backward()
        before = [weight.detach().clone(), *(t.clone() for t in adam_tensors(optimizer, "").values())]
        step(weight.grad.sum())  # type: ignore[union-attr]
        after = [weight.detach(), *adam_tensors(optimizer, "").values()]
        assert all(torch.equal(a, b) for a, b in zip(before, after, strict=False)) == bad
    assert step.skipped == 2.0


def test_the_state_of_another_optimiser_is_refused() -> None:
    small, large = torch.nn.Linear(2, 2), torch.nn.Linear(3, 2)
    states = []
    for network in (small, large):
        optimizer = make_adam(network.parameters(), 0.1, "cpu")
        network(torch.ones(network.in_features)).sum().backward()
        optimizer.step()
        states.append(optimizer)
    with pytest.raises(ValueError, match=r"state 0 has shape \{\(2, 3\)\}"):
        load_adam(states[0], states[1].state_dict())
    damaged = states[0].state_dict()
    damaged["state"][0]["step"] = torch.zeros(3, 4)
    with pytest.raises(ValueError, match=r"steps of shape \(3, 4\), expected one number"):
        load_adam(states[0], damaged)
    other = copy.deepcopy(states[0].state_dict())
    other["state"][0]["step"] = torch.tensor(7.0)
    other["param_groups"][0] |= {"lr": 0.5, "betas": ("x", None)}
    load_adam(states[0], other)
    assert states[0].param_groups[0]["betas"] == (0.9, 0.999), "what is not learned is the run's"
    assert states[0].param_groups[0]["lr"] == 0.5
