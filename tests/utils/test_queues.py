"""Parts of an environment's step that run side by side on a GPU must not touch each other's memory."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from legged_gym.envs.base.reward_sum import QUEUES, dealt
from legged_gym.envs.base.rewards import TERMS
from legged_gym.utils.cuda_graph import Queues
from tests.envs.making import build


class Touched(TorchDispatchMode):
    """Notes the numbers in memory that operations read and write."""

    def __init__(self) -> None:
        super().__init__()
        self.read: dict[int, set[int]] = {}
        self.written: dict[int, set[int]] = {}
        self._alive: list[Any] = []  # so that memory is not given out again

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        self._alive.append((args, kwargs, result))
        if any(out.alias_info is not None and not out.alias_info.is_write for out in func._schema.returns):
            return result  # a view touches no number
        given = dict(zip((argument.name for argument in func._schema.arguments), args, strict=False)) | kwargs
        if all(out.alias_info is None for out in func._schema.returns):
            self._note(self.written, result)  # what is made here may be kept, and another part may find it
        for argument in func._schema.arguments:
            writes = argument.alias_info is not None and argument.alias_info.is_write
            self._note(self.written if writes else self.read, given.get(argument.name))
        return result

    def _note(self, numbers: dict[int, set[int]], tree: Any) -> None:
        for tensor in tree_leaves(tree):
            if isinstance(tensor, torch.Tensor) and tensor.numel():
                memory = tensor.untyped_storage()
                places = torch.arange(memory.nbytes() // tensor.element_size())
                places = places.as_strided(tensor.shape, tensor.stride(), tensor.storage_offset())
                numbers.setdefault(memory.data_ptr(), set()).update(places.flatten().tolist())


def shared(a: dict[int, set[int]], b: dict[int, set[int]]) -> bool:
    return any(a[memory] & b[memory] for memory in a.keys() & b.keys())


def watch(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Let `Queues` note which of its parts touch each other's memory, by what they are."""
    found: list[str] = []

    def run(queues: Queues, *parts: Callable[[], Any]) -> list[Any]:
        modes, results = [], []
        for part in parts:
            with Touched() as mode:
                results.append(part())
            modes.append(mode)
        for i, one in enumerate(modes):
            for j, other in enumerate(modes):
                if i != j and (shared(one.written, other.read) or (i < j and shared(one.written, other.written))):
                    found.append(f"{parts[i]} writes what {parts[j]} uses")
        found.append("watched")
        return results

    monkeypatch.setattr(Queues, "run", run)
    return found


@pytest.mark.parametrize("profile", ["flat", "mixed"])
def test_parts_of_a_step_do_not_touch_each_others_memory(monkeypatch: pytest.MonkeyPatch, profile: str) -> None:
    everything = {f"rewards.scales.{term.__name__}": -1.0 for term in TERMS}
    env = build(4, {"terrain.profile": profile, "curriculum.enabled": False} | everything)
    assert len(env.rewards.terms) == len(TERMS)
    found = watch(monkeypatch)
    for _ in range(3):
        env.step(torch.zeros(4, env.num_actions))
    assert set(found) == {"watched"} and len(found) == 6, "disturbances and rewards, in three steps"


def test_a_part_that_writes_what_another_one_reads_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    found, table = watch(monkeypatch), torch.zeros(4, 3)
    queues = Queues("cpu", 2)
    queues.run(lambda: table[:, 0].fill_(1.0), lambda: table[:, 1].sum())
    assert found == ["watched"]
    queues.run(lambda: table[:, 0].fill_(1.0), lambda: table.sum())
    assert len(found) == 3
    kept = SimpleNamespace(x=table)
    queues.run(lambda: setattr(kept, "x", table + 1.0), lambda: kept.x.sum())
    assert len(found) == 5, "what one part makes and keeps, another one must not find"


def test_results_are_in_order_and_complete() -> None:
    assert Queues("cpu", 3).run(lambda: 1, lambda: 2) == [1, 2]
    queues = Queues("cuda" if torch.cuda.is_available() else "cpu", 3)
    table = torch.zeros(3, 1000, device="cuda" if torch.cuda.is_available() else "cpu")
    queues.run(*(lambda k=k: table[k].fill_(k + 1.0) for k in range(3)))
    assert torch.equal(table.mean(-1).cpu(), torch.tensor([1.0, 2.0, 3.0]))


def test_terms_of_a_user_keep_all_terms_on_one_queue() -> None:
    hands = dealt(TERMS)
    assert len(hands) == QUEUES and sorted(k for hand in hands for k in hand) == list(range(len(TERMS)))
    assert dealt([*TERMS, lambda env: env.state.base_height]) == [list(range(len(TERMS) + 1))]
