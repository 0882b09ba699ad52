"""A policy learns to act through the noise of its sensors as it acts without it.

PPO sees the noise of a sensor only in the returns, where it is one cause among many. So a policy that has learned by
PPO passes more of it on to the motors than it has to. Here it is its own teacher: the same network, shown the true
velocity and what its sensors would say without noise, tells what it should have done. The policy regresses on that in
the states that it comes to itself (DAgger; Ross et al., 2011, arXiv 1011.0686), and so learns the mean of what it would
do in all the states that look alike to it.
"""

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.nn.functional import smooth_l1_loss

from legged_gym.algorithms.networks import EstimatorActor
from legged_gym.algorithms.precision import tensor_cores
from legged_gym.runners.quarantine import Quarantine
from legged_gym.utils.cuda_graph import make_adam
from legged_gym.utils.errors import UserError
from legged_gym.utils.finite import GuardedStep

LARGEST_SHARE_SKIPPED = 0.5
"""Share of the optimiser's steps that may be left out because something was not finite."""


@dataclass(frozen=True)
class DenoisingCfg:
    """How it learns."""

    num_steps: int = 24
    """Policy steps of a rollout."""
    epochs: int = 2
    """Passes over a rollout."""
    mini_batches: int = 8
    """Parts of a pass."""
    learning_rate: float = 5e-4
    """At the beginning; it falls to zero by a cosine."""
    max_grad_norm: float = 1.0
    """Largest norm of a gradient."""
    action_width: float = 0.5
    """Errors of an action beyond this count linearly: robots that fall ask for much [action units]."""
    velocity_weight: float = 0.3
    """Weight of the error of the estimated velocity, beside that of the action."""
    velocity_width: float = 0.2
    """Errors of the velocity beyond this count linearly [m/s]."""
    share: float = 0.65
    """Weights go so far from what they were to what was learned: between the two a policy keeps what it could do in
    states that were rare here (Wortsman et al., Robust fine-tuning of zero-shot models, 2022, arXiv 2109.01903)."""


class Denoiser:
    """Drives the robots of an environment by a policy, and teaches it what it would do without noise."""

    def __init__(self, env: Any, actor: EstimatorActor, cfg: DenoisingCfg, device: str) -> None:
        """Take over a policy.

        Args:
            env: The environments, as they train.
            actor: The policy, which learns in place; its noise of exploration stays as it is.
            cfg: How it learns.
            device: Where the policy lives.
        """
        self.env, self.actor, self.cfg, self.device = env, actor, cfg, device
        self.expert: nn.Module = copy.deepcopy(actor.mlp).requires_grad_(False)
        """Network from [true velocity, policy observation without noise, command] to the action, as the actor's."""
        self._parameters = list(self.parameters().values())
        for parameter in self._parameters:
            parameter.requires_grad_(True)
        self._rate = torch.full((), cfg.learning_rate, device=device)
        self._optimizer = make_adam(self._parameters, self._rate, device)
        self._step = GuardedStep(self._optimizer, device)
        self._quarantine = Quarantine((*actor.obs_groups, "history", "velocity"), env.num_envs, device)

    def parameters(self) -> dict[str, nn.Parameter]:
        """Return what learns, in place, by its name in the actor: networks of actor and estimator."""
        parts = {"mlp": self.actor.mlp, "estimator": self.actor.estimator}
        return {f"{part}.{name}": p for part, net in parts.items() for name, p in net.named_parameters()}

    def learn(self, iterations: int, report: Callable[[int, dict[str, float]], None] = lambda *_: None) -> None:
        """Collect and learn so many times.

        Args:
            iterations: How often.
            report: Called after each with its number and the usual errors (medians of their magnitudes) of action and
                velocity [m/s], before the weights are mixed.

        Raises:
            UserError: Nothing was learned, since most steps were not finite.
        """
        obs = self.env.reset().to(self.device)
        before = [parameter.detach().clone() for parameter in self._parameters]
        longest = int(self.env.max_episode_length)
        self.env.episode_length_buf = torch.randint_like(self.env.episode_length_buf, high=longest)
        for iteration in range(iterations):
            self._rate.fill_(0.5 * self.cfg.learning_rate * (1.0 + math.cos(math.pi * iteration / iterations)))
            # Easy more often than hard: how to see through noise is best learned while the robot walks.
            self.env.curriculum.difficulty.copy_(torch.rand((), device=self.env.device).square())
            self.env.randomizer.refresh_bodies()
            obs, samples = self._collect(obs)
            report(iteration + 1, self._learn(samples))
        steps = iterations * self.cfg.epochs * self.cfg.mini_batches
        if (skipped := int(self._step.skipped)) > LARGEST_SHARE_SKIPPED * steps:
            raise UserError(f"{skipped} of {steps} steps were not finite, so nothing was learned: is its policy sound?")
        with torch.no_grad():
            for parameter, value in zip(self._parameters, before, strict=True):
                parameter.lerp_(value, 1.0 - self.cfg.share)

    @tensor_cores()
    def _collect(self, obs: Any) -> tuple[Any, dict[str, torch.Tensor]]:
        """Run one rollout; returns the last observations, and the samples by name (num_steps * N, ·)."""
        steps: list[dict[str, torch.Tensor]] = []
        with torch.inference_mode():
            for _ in range(self.cfg.num_steps):
                self._quarantine.check(obs)
                clear = self.env.observer.without_noise(self.env).to(self.device).nan_to_num(0.0, 0.0, 0.0)
                seen = {group: obs[group] for group in self.actor.obs_groups}
                known = torch.cat((obs["velocity"], *(seen | {"policy": clear}).values()), dim=-1)
                sample = {name: obs[name].clone() for name in ("history", "velocity")}
                sample |= {"seen": torch.cat(list(seen.values()), dim=-1), "action": self.expert(known)}
                steps.append(sample)
                action = self._quarantine.release(self.actor(obs, stochastic_output=True))
                obs = self.env.step(action.to(self.env.device))[0].to(self.device)
        return obs, {name: torch.cat([step[name] for step in steps]).clone() for name in steps[0]}

    @tensor_cores()
    def _learn(self, samples: dict[str, torch.Tensor]) -> dict[str, float]:
        """Regress on one rollout's samples; returns the usual errors."""
        c, size = self.cfg, len(samples["action"])
        total = torch.zeros(2, device=self.device)
        for _ in range(c.epochs):
            for rows in torch.randperm(size, device=self.device).tensor_split(c.mini_batches):
                batch = {name: values[rows] for name, values in samples.items()}
                velocity = self.actor.estimator(batch["history"])
                action = self.actor.mlp(torch.cat((velocity, batch["seen"]), dim=-1))
                loss = smooth_l1_loss(action, batch["action"], beta=c.action_width)
                loss = loss + c.velocity_weight * smooth_l1_loss(velocity, batch["velocity"], beta=c.velocity_width)
                self._optimizer.zero_grad()
                loss.backward()
                self._step(loss, nn.utils.clip_grad_norm_(self._parameters, c.max_grad_norm))
                errors = (action - batch["action"]).abs().median(), (velocity - batch["velocity"]).abs().median()
                total += torch.stack(errors).detach()
        action_error, velocity_error = (total / (c.epochs * c.mini_batches)).tolist()
        return {"action": action_error, "velocity": velocity_error}
