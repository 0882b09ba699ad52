"""The losses of PPO as pure functions of tensors: the update and the tests call the same ones."""

import torch

LEAST_TRUST = 0.1
"""Mean weight of the references below which nobody can tell whether the policy follows them."""


def surrogate_loss(
    log_prob: torch.Tensor, old_log_prob: torch.Tensor, advantages: torch.Tensor, clip_param: float
) -> torch.Tensor:
    """PPO's clipped surrogate per sample (Schulman et al., 2017, arXiv 1707.06347, eq. 7), to be minimised.

    Args:
        log_prob: Log-probability of the taken actions under the current policy. Shape (B,).
        old_log_prob: The same under the policy that took them. Shape (B,).
        advantages: Shape (B,).
        clip_param: Largest deviation of the probability ratio from 1 that is rewarded.

    Returns:
        Shape (B,).
    """
    ratio = torch.exp(log_prob - old_log_prob)
    return torch.max(-advantages * ratio, -advantages * torch.clamp(ratio, 1.0 - clip_param, 1.0 + clip_param))


def value_loss(
    values: torch.Tensor, old_values: torch.Tensor, returns: torch.Tensor, clip_param: float | None
) -> torch.Tensor:
    """Squared error of the value; if it is clipped, the larger of it and of the clipped value's error.

    Args:
        values: Current values. Shape (B, 1).
        old_values: Values at collection. Shape (B, 1).
        returns: Targets. Shape (B, 1).
        clip_param: Largest change of the value that counts; None for the plain error.

    Returns:
        Shape (B, 1).
    """
    if clip_param is None:
        return (returns - values).pow(2)
    clipped = old_values + (values - old_values).clamp(-clip_param, clip_param)
    return torch.max((values - returns).pow(2), (clipped - returns).pow(2))


def imitation_loss(mean: torch.Tensor, reference: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """Weighted squared distance of the policy's mean from the reference action: mean_k w_k |mu(s_k) - a_ref,k|^2.

    On the mean, not on the sampled action: a stored sample does not depend on the policy's parameters.

    Args:
        mean: Mean action of the current policy. Shape (B, A).
        reference: Reference action. Shape (B, A).
        weight: How far to trust the reference, 0 to 1. Shape (B,).

    Returns:
        Scalar.
    """
    return (weight * (mean - reference).square().sum(-1)).mean()


def follows_reference(loss: torch.Tensor, trust: torch.Tensor, largest: float) -> torch.Tensor:
    """Tell from the imitation loss whether the policy follows its reference.

    Args:
        loss: Mean `imitation_loss`. Scalar.
        trust: Mean weight of the samples. Scalar.
        largest: Root of the mean squared distance up to which it follows.

    Returns:
        0 or 1; 0 if the reference is hardly trusted anywhere, for then no loss shows. Scalar.
    """
    return ((trust >= LEAST_TRUST) & (loss <= largest**2 * trust)).float()


def masked_mean(loss: torch.Tensor, mask: torch.Tensor | None, count: torch.Tensor | None = None) -> torch.Tensor:
    """Mean over some samples.

    Args:
        loss: Loss of each sample. Shape (B,).
        mask: 1 where a sample counts; None if all do. Shape (B,).
        count: How many samples count; None for the mask's sum. Scalar.
    """
    if mask is None:
        return loss.mean()
    count = mask.sum() if count is None else count
    return (loss.flatten() * mask).sum() / count.clamp(min=1.0)


def adapted_learning_rate(learning_rate: torch.Tensor, kl: torch.Tensor, desired_kl: float) -> torch.Tensor:
    """rsl_rl's rule: slower by 1.5 when the KL divergence is over twice the desired one, faster below half of it.

    Args:
        learning_rate: Scalar.
        kl: Divergence of the policy from the one that collected the batch. Scalar.
        desired_kl: Divergence that the rule aims at.

    Returns:
        Scalar; nothing waits for the device.
    """
    slower, faster = (learning_rate / 1.5).clamp(min=1e-5), (learning_rate * 1.5).clamp(max=1e-2)
    rate = torch.where(kl > 2.0 * desired_kl, slower, learning_rate)
    return torch.where((kl > 0.0) & (kl < 0.5 * desired_kl), faster, rate)


def scheduled_weight(schedule: str, initial: float, final: float, progress: float) -> float:
    """A weight that goes from `initial` to `final` while progress goes from 0 to 1, and stays there.

    Raises:
        ValueError: The schedule is unknown.
    """
    progress = min(max(progress, 0.0), 1.0)
    if schedule == "constant" or initial == 0.0:
        return initial
    if schedule == "linear":
        return initial + (final - initial) * progress
    if schedule == "exponential":
        return initial * (max(final, 1e-8) / initial) ** progress if progress < 1.0 else final
    raise ValueError(f"unknown schedule '{schedule}'; known: constant, linear, exponential")
