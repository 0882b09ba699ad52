"""Functions that become CUDA graphs."""

from dataclasses import dataclass

import pytest
import torch

from legged_gym.utils.cuda_graph import PLAIN_CALLS, Graphed, _map

needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device: graphs exist only there")


@dataclass(frozen=True)
class Pair:
    left: torch.Tensor
    right: torch.Tensor


class Counter:
    """Adds up in place, and binds what it saw last to a new tensor at each call."""

    def __init__(self, device: str) -> None:
        self.sum = torch.zeros(3, device=device)
        self.last = torch.zeros(3, device=device)
        self.calls = 0

    def add(self, x: torch.Tensor) -> tuple[torch.Tensor, dict[str, torch.Tensor], Pair]:
        self.calls += 1
        self.sum += x
        self.last = x + 0.0
        return 2.0 * x, {"sum": self.sum + 0.0}, Pair(x + 1.0, x - 1.0)


def test_on_a_cpu_each_call_is_a_plain_call() -> None:
    counter = Counter("cpu")
    graphed = Graphed(counter.add, "cpu", owners=(counter,))
    for k in range(PLAIN_CALLS + 3):
        double, sums, pair = graphed(torch.full((3,), float(k)))
        assert double.tolist() == [2.0 * k] * 3
        assert sums["sum"].tolist() == [k * (k + 1) / 2] * 3
        assert pair.left.tolist() == [k + 1.0] * 3
    assert counter.calls == PLAIN_CALLS + 3
    assert graphed(torch.ones(3))[0].shape == graphed(torch.ones(3))[0].shape


def test_results_are_mapped_whatever_holds_them() -> None:
    one = torch.ones(2)
    assert _map(lambda x: x + 1.0, one).tolist() == [2.0, 2.0]
    nested = _map(lambda x: x + 1.0, (one, {"a": one}, Pair(one, one), None))
    assert nested[0].tolist() == nested[1]["a"].tolist() == nested[2].right.tolist() == [2.0, 2.0]
    assert nested[3] is None


@needs_cuda
def test_replays_what_was_recorded() -> None:
    counter = Counter("cuda")
    graphed = Graphed(counter.add, "cuda", owners=(counter,))
    kept = []
    for k in range(PLAIN_CALLS + 4):
        kept.append(graphed(torch.full((3,), float(k), device="cuda")))
        counter.last = counter.last if k % 2 else torch.zeros(3, device="cuda")  # as other code might
        assert counter.sum.tolist() == [k * (k + 1) / 2] * 3
    assert counter.calls == PLAIN_CALLS + 1, "recorded once"
    assert [double[0].item() for double, _, _ in kept] == [2.0 * k for k in range(PLAIN_CALLS + 4)], "copies"
    graphed(torch.full((3,), 9.0, device="cuda"))
    assert counter.last.tolist() == [9.0] * 3, "bound to the graph's tensor again"


@needs_cuda
def test_random_numbers_go_on() -> None:
    graphed = Graphed(lambda: torch.rand(4, device="cuda"), "cuda")
    torch.manual_seed(0)
    drawn = [graphed() for _ in range(PLAIN_CALLS + 3)]
    torch.manual_seed(0)
    assert all(torch.equal(x, torch.rand(4, device="cuda")) for x in drawn)


@needs_cuda
def test_learning_is_recorded_with_its_backward_pass() -> None:
    torch.manual_seed(0)
    networks = [torch.nn.Linear(4, 1, device="cuda") for _ in range(2)]
    networks[1].load_state_dict(networks[0].state_dict())
    rate = torch.tensor(1e-2, device="cuda")
    optimizers = [torch.optim.Adam(n.parameters(), lr=rate, capturable=True, fused=True) for n in networks]

    def learn(k: int, x: torch.Tensor) -> torch.Tensor:
        optimizers[k].zero_grad()
        loss = networks[k](x).square().mean()
        loss.backward()
        optimizers[k].step()
        return loss.detach()

    graphed = Graphed(lambda x: learn(0, x), "cuda")
    for _ in range(PLAIN_CALLS + 5):
        x = torch.randn(16, 4, device="cuda")
        torch.testing.assert_close(graphed(x), learn(1, x))
    torch.testing.assert_close(networks[0].weight, networks[1].weight)


@needs_cuda
def test_other_shapes_are_refused() -> None:
    graphed = Graphed(lambda x: x + 1.0, "cuda")
    for _ in range(PLAIN_CALLS + 1):
        graphed(torch.zeros(3, device="cuda"))
    with pytest.raises(ValueError, match="recorded with shapes"):
        graphed(torch.zeros(4, device="cuda"))
