"""Policies saved during a training run and judged after it: training does not wait, and all walk side by side."""

import copy
import math
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tensordict import TensorDict
from torch import nn

from legged_gym.evaluation.metrics import Result
from legged_gym.evaluation.rows import select_rows
from legged_gym.evaluation.suites import evaluation_cfg, run_rows
from legged_gym.runners.export import JitPolicy
from legged_gym.utils.checkpoint import load_checked, save_atomically


def snapshot_iterations(budget: int, count: int) -> list[int]:
    """Choose the iterations of a run to take snapshots after: densely at first, the last one at the end."""
    first = max(1.0, budget / 100.0)
    return sorted({round(x) for x in np.geomspace(first, budget, count)} | {budget})


class Snapshots:
    """Saves a runner's actor after some iterations, with the steps and time spent so far and the return."""

    def __init__(self, runner: Any, folder: Path, iterations: Iterable[int]) -> None:
        """Hook into a runner.

        Args:
            runner: The runner whose `after_iteration` is used.
            folder: Where `snapshot_<iteration>.pt` go.
            iterations: Iterations to take snapshots after.
        """
        self.runner, self.folder, self._due = runner, folder, set(iterations)
        self._returns: list[float] = []
        runner.after_iteration = self.note_iteration

    def note_iteration(self, scalars: dict[str, float]) -> None:
        """Note an iteration; save a snapshot if one is due."""
        if "Train/mean_reward" in scalars:
            self._returns.append(scalars["Train/mean_reward"])
        iteration = self.runner.current_learning_iteration
        if iteration not in self._due:
            return
        mean = sum(self._returns) / len(self._returns) if self._returns else math.nan
        self._returns.clear()
        snapshot = {
            "iteration": iteration,
            "steps": scalars["Perf/total_steps"],
            "seconds": scalars["Perf/total_time"],
            "return": mean,
            "actor_state_dict": self.runner.get_inference_policy().state_dict(),
        }
        save_atomically(snapshot, self.folder / f"snapshot_{iteration}.pt")


def load_snapshots(folder: Path, device: torch.device | str = "cpu") -> list[dict[str, Any]]:
    """Load the snapshots of a folder in their order."""
    found = (load_checked(path, device) for path in folder.glob("snapshot_*.pt"))
    return sorted(found, key=lambda snapshot: snapshot["iteration"])


class SideBySideAgent:
    """Several policies of one architecture, each in control of its share of the robots, evaluated in one pass."""

    def __init__(self, policies: Sequence[nn.Module]) -> None:
        """Stack the policies, whose inputs are history, observation and command."""
        self._count = len(policies)
        self._parameters = torch.func.stack_module_state(list(policies))
        self._skeleton = copy.deepcopy(policies[0]).to("meta")

    def reset(self, seed: int) -> None:
        """See `Agent.reset`."""

    def act(self, obs: TensorDict) -> torch.Tensor:
        """See `Agent.act`."""
        inputs = (obs[name].view(self._count, -1, obs[name].shape[-1]) for name in ("history", "policy", "command"))
        return torch.vmap(self._call)(*self._parameters, *inputs).flatten(0, 1)

    def _call(self, parameters: dict[str, Any], buffers: dict[str, Any], *inputs: torch.Tensor) -> torch.Tensor:
        return torch.func.functional_call(self._skeleton, (parameters, buffers), inputs)


def make_policy(actor: Any, state: dict[str, torch.Tensor], device: torch.device | str) -> nn.Module:
    """Build a policy with the networks of an actor and the parameters of another actor's state."""
    networks = []
    for name in ("estimator", "mlp"):
        network = copy.deepcopy(getattr(actor, name)).to(device).eval()
        own = {key.removeprefix(f"{name}."): value for key, value in state.items() if key.startswith(f"{name}.")}
        network.load_state_dict(own)
        networks.append(network)
    return JitPolicy(*networks)


def evaluate_snapshots(
    snapshots: Sequence[dict[str, Any]],
    actor: Any,
    make_env: Callable[[Any], Any],
    cfg: Any,
    robots: int,
    at_once: int,
    time_scale: float = 1.0,
) -> list[Result]:
    """Let snapshots walk the `track` row, which the walking gate judges.

    Args:
        snapshots: From `load_snapshots`.
        actor: An actor of their architecture.
        make_env: Builds an environment from a config.
        cfg: The config they were trained with.
        robots: Robots of each snapshot.
        at_once: Most snapshots side by side.
        time_scale: Factor on the row's times, for tests.

    Returns:
        A result for each.
    """
    size = min(at_once, len(snapshots))
    env = make_env(evaluation_cfg(cfg, robots * size, seed=0))
    rows, results = [select_rows(["track"], time_scale)[0]] * size, []
    for first in range(0, len(snapshots), size):
        states = [snapshot["actor_state_dict"] for snapshot in snapshots[first : first + size]]
        filled = states + states[-1:] * (size - len(states))  # the last ones may be fewer
        agent = SideBySideAgent([make_policy(actor, state, env.device) for state in filled])
        results += run_rows(env, agent, rows, seed=0)[: len(states)]
    env.sim.close()
    return results
