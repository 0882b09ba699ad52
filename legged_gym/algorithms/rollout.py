"""The samples of a stored rollout, dealt out to mini-batches."""

import torch
from rsl_rl.storage import RolloutStorage
from tensordict import TensorDict


def shuffled(storage: RolloutStorage, parts: int) -> torch.Tensor:
    """Deal the samples of the rollout out at random, dropping those left over.

    Args:
        storage: The rollout.
        parts: Number of mini-batches K.

    Returns:
        Rows of the flattened rollout. Shape (K, samples // K).
    """
    samples = storage.num_envs * storage.num_transitions_per_env
    return torch.randperm(samples // parts * parts, device=storage.device).view(parts, -1)


def packed(storage: RolloutStorage) -> torch.Tensor:
    """Lay what the update of policy and value reads side by side: one gather then deals out all of it.

    Returns:
        A row per sample; `unpacked` knows its columns. Shape (samples, F).
    """
    parts = (*_observed(storage).values(), *_done(storage))
    return torch.cat([part.flatten(0, 1).float() for part in parts], dim=-1)


def unpacked(storage: RolloutStorage, samples: torch.Tensor) -> RolloutStorage.Batch:
    """Take rows (B, F) of what `packed` made of the rollout apart; the parts share their memory."""
    observed = _observed(storage)
    widths = [part.shape[-1] for part in (*observed.values(), *_done(storage))]
    parts = samples.split(widths, dim=-1)
    actions, values, advantages, returns, log_prob, *distribution = parts[len(observed) :]
    return RolloutStorage.Batch(
        observations=TensorDict(dict(zip(observed, parts, strict=False)), batch_size=[len(samples)]),
        actions=actions,
        values=values,
        advantages=advantages,
        returns=returns,
        old_actions_log_prob=log_prob,
        old_distribution_params=tuple(distribution),
    )


def _observed(storage: RolloutStorage) -> dict[str, torch.Tensor]:
    """The observation groups (S, N, ·) that the update of policy and value reads."""
    return dict(storage.observations.exclude("history", "teacher", "velocity").items())


def _done(storage: RolloutStorage) -> tuple[torch.Tensor, ...]:
    """What was done and what came of it (S, N, ·), in the order of `RolloutStorage.Batch`."""
    s = storage
    return s.actions, s.values, s.advantages, s.returns, s.actions_log_prob, *(s.distribution_params or ())
