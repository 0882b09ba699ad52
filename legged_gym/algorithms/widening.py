"""Lets a run go on with a critic that sees more than before: on terrain, the heights around the robot come last."""

from typing import Any

import torch
from torch import nn


def widen_critic(checkpoint: dict[str, Any], critic: nn.Module, first_parameter: int) -> None:
    """Append inputs to the critic of a checkpoint, in place, until it has as many as the critic that is to load it.

    The new inputs weigh nothing, so the values stay what they were until training uses them. A checkpoint with as many
    inputs, or with more, stays as it is.

    Args:
        checkpoint: As `PPO.save` returns it; `critic_state_dict`, and `optimizer_state_dict` if it is there.
        critic: The critic to load, an rsl_rl `MLPModel`.
        first_parameter: Index of the critic's first parameter in the optimiser.
    """
    saved, own = checkpoint["critic_state_dict"], critic.state_dict()
    missing = own["mlp.0.weight"].shape[1] - saved["mlp.0.weight"].shape[1]
    if missing <= 0 or own["mlp.0.weight"].shape[0] != saved["mlp.0.weight"].shape[0]:
        return
    saved = checkpoint["critic_state_dict"] = dict(saved)
    for name in saved:
        if name.startswith("obs_normalizer.") and saved[name].dim() == 2:
            fill = 0.0 if name.endswith("mean") else 1.0
            saved[name] = nn.functional.pad(saved[name], (0, missing), value=fill)
    saved["mlp.0.weight"] = _append_zeros(saved["mlp.0.weight"], missing)
    moments = checkpoint.get("optimizer_state_dict", {}).get("state", {}).get(first_parameter, {})
    for name in ("exp_avg", "exp_avg_sq"):
        if name in moments:
            moments[name] = _append_zeros(moments[name], missing)


def _append_zeros(weight: torch.Tensor, columns: int) -> torch.Tensor:
    return nn.functional.pad(weight, (0, columns))
