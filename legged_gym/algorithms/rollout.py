"""The samples of a stored rollout, dealt out to mini-batches."""

import torch
from rsl_rl.storage import RolloutStorage


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


def gather(storage: RolloutStorage, rows: torch.Tensor) -> RolloutStorage.Batch:
    """Collect what the update of policy and value reads, for the samples `rows` (B,)."""
    s = storage
    observations = s.observations.exclude("history", "teacher", "velocity")  # not read
    return RolloutStorage.Batch(
        observations=observations.flatten(0, 1)[rows],
        actions=s.actions.flatten(0, 1)[rows],
        values=s.values.flatten(0, 1)[rows],
        advantages=s.advantages.flatten(0, 1)[rows],
        returns=s.returns.flatten(0, 1)[rows],
        old_actions_log_prob=s.actions_log_prob.flatten(0, 1)[rows],
        old_distribution_params=tuple(p.flatten(0, 1)[rows] for p in s.distribution_params or ()),
    )
