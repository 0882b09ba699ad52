"""Samples of past rollouts, to learn from again."""

from collections.abc import Sequence
from typing import Any

import torch
from tensordict import TensorDict

from legged_gym.utils.checkpoint import check_alike


class Replay:
    """Some observation groups of the last rollouts; once full, the newest rollout replaces the oldest."""

    def __init__(self, groups: Sequence[str], samples: int) -> None:
        """Start empty.

        Args:
            groups: Observation groups to keep.
            samples: Most samples to keep; rollouts are kept whole, and one always is.
        """
        self.groups, self._samples = tuple(groups), samples
        self._kept: TensorDict | None = None
        self._size, self._rollouts, self._added = 0, 0, 0

    def __len__(self) -> int:
        """Samples that are kept."""
        return self._size * min(self._added, self._rollouts)

    def add(self, observations: TensorDict) -> None:
        """Keep a rollout's observations (S, N, ·), which are of the same shape each time."""
        new = observations.select(*self.groups).flatten(0, 1)
        if self._kept is None:  # memory that stays where it is
            self._size, self._rollouts = len(new), max(1, self._samples // len(new))
            room = {name: x.new_empty(self._size * self._rollouts, x.shape[-1]) for name, x in new.items()}
            self._kept = TensorDict(room, batch_size=[self._size * self._rollouts])
        first = self._size * (self._added % self._rollouts)
        self._kept[first : first + self._size] = new
        self._added += 1

    def clear(self) -> None:
        """Forget all rollouts."""
        self._added = 0

    def state_dict(self) -> dict[str, Any]:
        """Return the kept samples and how many rollouts were added: in place if they fill the memory, else copied.

        Without the copy, a file would hold the whole memory of a tensor that is partly filled.
        """
        if self._kept is None:
            return {"kept": {}, "size": 0, "added": 0}
        kept = self._kept if len(self) == len(self._kept) else self._kept[: len(self)].clone()
        return {"kept": dict(kept.items()), "size": self._size, "added": self._added}

    def load_state_dict(self, state: dict[str, Any], observations: TensorDict) -> None:
        """Take over what `state_dict` returned; where there is less room, the newest of it.

        Args:
            state: What it returned.
            observations: A rollout's (S, N, ·) of this run, of whatever values.

        Raises:
            ValueError: The saved rollouts have another size, or other observations.
        """
        self.clear()
        if not state["kept"]:
            return
        sample = observations.select(*self.groups).flatten(0, 1)
        if state["size"] != len(sample):
            raise ValueError(f"it replays rollouts of {state['size']!s:.20} samples, this run's have {len(sample)}")
        count = len(next(iter(state["kept"].values()))) // len(sample)
        kept = {name: rows[:1].expand(count * len(sample), -1) for name, rows in sample.items()}
        check_alike(state, {"kept": kept, "size": 0, "added": 0}, "replay")
        if state["added"] < count:
            raise ValueError(f"replay.added is {state['added']}, but {count} rollouts are kept")
        if count == 0:
            return
        rollouts = TensorDict(dict(state["kept"]), batch_size=[count * len(sample)]).split(len(sample))
        if count == max(1, self._samples // len(sample)):  # full: each rollout stays where it was
            for rollout in rollouts:
                self.add(rollout.unsqueeze(0))
            self._added = state["added"]
            return
        oldest = state["added"] % count
        for rollout in (*rollouts[oldest:], *rollouts[:oldest]):
            self.add(rollout.unsqueeze(0))

    def draw(self, count: int, device: torch.device | str) -> torch.Tensor:
        """Choose samples at random, with repetitions. Shape (count,)."""
        return torch.randint(len(self), (count,), device=device)

    def gather(self, rows: torch.Tensor) -> TensorDict:
        """Return the samples `rows` (B,)."""
        assert self._kept is not None  # for the type checker
        return self._kept[rows]
