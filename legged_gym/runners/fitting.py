"""Whether a checkpoint fits the networks of a run, and what to change if it does not."""

from collections.abc import Mapping

import torch

OPTIONS = {
    "actor_state_dict.mlp": "--train.policy.actor_hidden_dims",
    "critic_state_dict.mlp": "--train.policy.critic_hidden_dims",
    "actor_state_dict.estimator": "--train.estimator.hidden_dims",
}
"""Start of a parameter's name -> the option for the widths of its network's hidden layers."""


def misfit(
    saved: Mapping[str, Mapping[str, torch.Tensor]], own: Mapping[str, Mapping[str, torch.Tensor]]
) -> str | None:
    """Say why the saved networks do not fit this run, and which option makes them fit.

    Args:
        saved: State dicts of a checkpoint, by name.
        own: Those of the run.

    Returns:
        One line; None if all fits.
    """
    for network, parameters in own.items():
        if network not in saved:
            return f"it holds no {network}"
        given = saved[network]
        for prefix, option in OPTIONS.items():
            part = prefix.partition(".")[2] + "."
            if prefix.startswith(network) and (wanted := _hidden(given, part)) != _hidden(parameters, part):
                return f"its networks have other layers: add {option}={','.join(map(str, wanted))}"
        for name, tensor in parameters.items():
            if name not in given:
                return f"it holds no {network}.{name}"
            # A critic that observes more than the saved one is widened.
            more = network == "critic_state_dict" and given[name].shape[-1:] < tensor.shape[-1:]
            if given[name].shape != tensor.shape and not more:
                shapes = f"{tuple(given[name].shape)}, this run's {tuple(tensor.shape)}"
                return f"{network}.{name} has shape {shapes}{_hint(network, given[name], tensor)}"
    return None


def check_counters(checkpoint: Mapping[str, object]) -> None:
    """Raise unless the saved counters of a run are numbers.

    Raises:
        ValueError: It is not.
    """
    counts = {name: checkpoint[name] for name in ("iter", "ppo_iteration", "total_steps")}
    counts |= {name: checkpoint.get(name, 0) for name in ("first_iteration", "imitation_clock")}
    for name, value in counts.items():
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            raise ValueError(f"{name} is {value!r:.40}, expected a count")
    if counts["first_iteration"] > counts["iter"]:  # type: ignore[operator]  # both are counts
        raise ValueError(f"first_iteration is {counts['first_iteration']}, after iter, {counts['iter']}")
    if not isinstance(checkpoint["total_time"], int | float):
        raise ValueError(f"total_time is {checkpoint['total_time']!r:.40}, expected a number")


def _hidden(parameters: Mapping[str, torch.Tensor], part: str) -> list[int]:
    """Widths of a network's hidden layers, as its weights have them."""
    weights = [tensor for name, tensor in parameters.items() if name.startswith(part) and name.endswith("weight")]
    return [len(weight) for weight in weights[:-1]]


def _hint(network: str, given: torch.Tensor, own: torch.Tensor) -> str:
    """Say which option may have changed the critic's observation."""
    if network != "critic_state_dict" or given.shape[-1] <= own.shape[-1]:
        return ""
    return "; the saved critic observes more: of a terrain, with --env.terrain.measure_heights=true"
