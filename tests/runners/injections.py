"""Puts numbers that are not finite into a run: where, and how."""

import random
from collections.abc import Callable
from typing import Any

import torch

from legged_gym.runners.on_policy_runner import OnPolicyRunner

BAD = (float("nan"), float("inf"), float("-inf"))


def _once(owner: Any, name: str, change: Callable[[Any], Any]) -> None:
    """Let the next call of a method return something else; those after it are as before."""
    method = getattr(owner, name)

    def changed(*args: Any, **kwargs: Any) -> Any:
        setattr(owner, name, method)
        return change(method(*args, **kwargs))

    setattr(owner, name, changed)


def action(runner: OnPolicyRunner, draw: random.Random) -> None:
    def change(actions: torch.Tensor) -> torch.Tensor:
        actions = actions.clone()
        actions[draw.randrange(len(actions)), draw.randrange(6)] = draw.choice(BAD)
        return actions

    _once(runner.quarantine, "release", change)


def sampled_action(runner: OnPolicyRunner, draw: random.Random) -> None:
    """In what PPO stores, too."""

    def change(actions: torch.Tensor) -> torch.Tensor:
        actions[draw.randrange(len(actions)), draw.randrange(6)] = draw.choice(BAD)
        return actions

    _once(runner.alg, "act", change)


def reward_term(runner: OnPolicyRunner, draw: random.Random) -> None:
    env, terms = runner.env, runner.env.rewards.terms
    at = draw.randrange(len(terms))
    term, weight = terms[at]
    robot, bad = draw.randrange(env.num_envs), draw.choice(BAD)

    def broken(env: Any) -> torch.Tensor:
        terms[at] = (term, weight)
        value = term(env).clone()
        value[robot] = bad
        return value

    terms[at] = (broken, weight)


def returned_reward(runner: OnPolicyRunner, draw: random.Random) -> None:
    robot, bad = draw.randrange(runner.env.num_envs), draw.choice(BAD)

    def change(step: tuple[Any, ...]) -> tuple[Any, ...]:
        step[1][robot] = bad
        return step

    _once(runner.env, "step", change)


def observation(runner: OnPolicyRunner, draw: random.Random) -> None:
    group = draw.choice([*runner.env.observer.groups, "history"])
    robot, bad = draw.randrange(runner.env.num_envs), draw.choice(BAD)

    def change(step: tuple[Any, ...]) -> tuple[Any, ...]:
        values = step[0][group]
        values[robot, draw.randrange(values.shape[-1])] = bad
        return step

    _once(runner.env, "step", change)


def history(runner: OnPolicyRunner, draw: random.Random) -> None:
    robot = draw.randrange(runner.env.num_envs)
    runner.env.observer.history[robot, draw.randrange(10), draw.randrange(30)] = draw.choice(BAD)


def engine_state(runner: OnPolicyRunner, draw: random.Random) -> None:
    runner.env.sim._full[draw.randrange(runner.env.num_envs), draw.randrange(1, 20)] = draw.choice(BAD)


def teacher_memory(runner: OnPolicyRunner, draw: random.Random) -> None:
    buffer = runner.teacher.teacher.memory.buffer  # type: ignore[union-attr]
    buffer[draw.randrange(len(buffer)), draw.randrange(runner.env.num_envs)] = draw.choice(BAD)


def weight(runner: OnPolicyRunner, draw: random.Random) -> None:
    tensors = {name: t for name, t in runner._learned_tensors().items() if t.is_floating_point() and t.numel() > 1}
    with torch.no_grad():
        tensor = tensors[draw.choice(sorted(tensors))]
        tensor.view(-1)[draw.randrange(tensor.numel())] = draw.choice(BAD)


def gradient(runner: OnPolicyRunner, draw: random.Random) -> None:
    parameter = draw.choice([p for p in runner.alg.actor.parameters() if p.requires_grad])
    bad = draw.choice(BAD)

    def spoil(grad: torch.Tensor) -> torch.Tensor:
        handle.remove()
        return grad.clone().index_fill_(0, torch.tensor([0], device=grad.device), bad)

    handle = parameter.register_hook(spoil)


KINDS: dict[str, Callable[[OnPolicyRunner, random.Random], None]] = {
    function.__name__: function
    for function in (
        *(action, sampled_action, reward_term, returned_reward, observation, history),
        *(engine_state, teacher_memory, weight, gradient),
    )
}
"""Name -> what injects one number into the next iteration of a run."""


def survive(runner: OnPolicyRunner, kinds: list[str], seed: int) -> None:
    """Train, with one injection of each kind after the other, a clean iteration behind each.

    Raises:
        AssertionError: Something that is not finite is left in weights or robots, or nothing is learned any more.
    """
    draw = random.Random(seed)
    for kind in kinds:
        KINDS[kind](runner, draw)
        runner.learn(1, init_at_random_ep_len=False)
        before = runner.alg.actor.mlp[0].weight.detach().clone()
        runner.learn(1, init_at_random_ep_len=False)
        after = runner.alg.actor.mlp[0].weight
        broken = [name for name, tensor in runner._learned_tensors().items() if not bool(tensor.isfinite().all())]
        assert not broken, f"{kind} (seed {seed}): {broken}"
        assert not torch.equal(before, after), f"{kind} (seed {seed}): nothing is learned any more"
        obs = runner.env.get_observations()
        assert all(bool(value.isfinite().all()) for value in obs.values()), f"{kind} (seed {seed}): observations"
