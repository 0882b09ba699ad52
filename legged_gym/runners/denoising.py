"""A policy learns to act through the noise of its sensors as it acts without it.

PPO sees the noise of a sensor only in the returns, where it is one cause among many. So a policy that has learned by
PPO passes more of it on to the motors than it has to. Here it is its own teacher: the same network, shown the true
velocity and what its sensors would say without noise, tells what it should have done. The policy regresses on that in
the states that it comes to itself (DAgger; Ross et al., 2011, arXiv 1011.0686), and so learns the mean of what it would
do in all the states that look alike to it.

Another policy can be its teacher where a robot is in trouble. PPO weighs exactness against sturdiness, and a run finds
the one or the other; a policy can learn to walk as exactly as that of one run, and to recover as that of another.
"""

import copy
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.nn.functional import smooth_l1_loss

from legged_gym.algorithms.config import DenoisingCfg
from legged_gym.algorithms.networks import EstimatorActor
from legged_gym.algorithms.precision import tensor_cores
from legged_gym.runners.episode_log import episode_tag, merged, own_episodes
from legged_gym.runners.quarantine import Quarantine
from legged_gym.utils.cuda_graph import make_adam
from legged_gym.utils.distributed import ALONE, Group
from legged_gym.utils.errors import UserError
from legged_gym.utils.finite import GuardedStep
from legged_gym.utils.machine import torch_threads

LARGEST_SHARE_SKIPPED = 0.5
"""Share of the optimiser's steps that may be left out because something was not finite."""
SLIPPERY, TILTED = 0.35, math.radians(10.0)
"""A robot is in trouble if a foot's coefficient of friction is less than the first, or its base tilts by more than the
second [rad]."""


@dataclass(frozen=True)
class Learned:
    """What an iteration has learned."""

    iteration: int
    """Its number, from 1."""
    action: float
    """Usual error of an action: median of the magnitudes [action units]."""
    velocity: float
    """Usual error of the estimated velocity [m/s]."""
    collect_time: float
    """Duration of the rollout [s]."""
    learn_time: float
    """Duration of learning from it [s]."""


class Denoiser:
    """Drives the robots of an environment by a policy, and teaches it what it, or another, would do without noise."""

    def __init__(
        self,
        env: Any,
        actor: EstimatorActor,
        cfg: DenoisingCfg,
        num_steps: int,
        device: torch.device | str,
        group: Group = ALONE,
        on_step: Callable[..., None] = lambda *_: None,
        walker: nn.Module | None = None,
        recoverer: nn.Module | None = None,
    ) -> None:
        """Take over a policy.

        Args:
            env: The environments, as they train.
            actor: The policy, which learns in place; its noise of exploration stays as it is.
            cfg: How it learns.
            num_steps: Policy steps of a rollout.
            device: Where the policy lives.
            group: Processes that learn together.
            on_step: Called after each step with its rewards, dones and extras.
            walker: Network of the policy that teaches where all is well; None for this one's, as it is now.
            recoverer: Network of the policy that teaches robots in trouble; None for this one's.
        """
        self.env, self.actor, self.cfg, self.num_steps, self.device = env, actor, cfg, num_steps, device
        self.group, self._on_step = group, on_step
        self.walker, self.recoverer = (
            copy.deepcopy(actor.mlp if network is None else network).requires_grad_(False)
            for network in (walker, recoverer)
        )
        """Networks from [true velocity, policy observation without noise, command] to the action, as the actor's."""
        self._learns_from_another = walker is not None or recoverer is not None
        self._parameters = list(self.parameters().values())
        for parameter in self._parameters:
            parameter.requires_grad_(True)
        self._rate = torch.full((), cfg.learning_rate, device=device)
        self._optimizer = make_adam(self._parameters, self._rate, device)
        self._step = GuardedStep(self._optimizer, device)
        self.quarantine = Quarantine((*actor.obs_groups, "history", "velocity"), env.num_envs, device, group)

    def parameters(self) -> dict[str, nn.Parameter]:
        """Return what learns, in place, by its name in the actor: networks of actor and estimator."""
        parts = {"mlp": self.actor.mlp, "estimator": self.actor.estimator}
        return {f"{part}.{name}": p for part, net in parts.items() for name, p in net.named_parameters()}

    def learn(self, iterations: int, goes_on: Callable[[Learned], bool] = lambda _: True) -> bool:
        """Collect and learn so many times, on robots that begin anew.

        Args:
            iterations: How often.
            goes_on: Called after each; False breaks it off, and the policy is then what it was.

        Returns:
            Whether it was not broken off.

        Raises:
            UserError: Nothing was learned, since most steps were not finite.
        """
        before = [parameter.detach().clone() for parameter in self._parameters]
        reached = {name: state.clone() for name, state in self.env.state_dict().items()}
        whole = False
        try:
            with self.env.commands.no_narrower():
                whole = self._iterate(iterations, reached["difficulty"], goes_on)
        finally:
            for name, state in self.env.state_dict().items():
                state.copy_(reached[name])
            self._blend(before, self.cfg.blend if whole else 0.0)
        steps = iterations * self.cfg.num_learning_epochs * self.cfg.num_mini_batches
        if (skipped := int(self._step.skipped)) > LARGEST_SHARE_SKIPPED * steps:
            raise UserError(f"{skipped} of {steps} steps were not finite, so nothing was learned: is its policy sound?")
        return whole

    def _iterate(self, iterations: int, hardest: torch.Tensor, goes_on: Callable[[Learned], bool]) -> bool:
        """Collect and learn so many times, at a difficulty of at most `hardest`; returns whether that was all."""
        obs, difficulty = self._begin(), self.env.curriculum.difficulty
        for iteration in range(iterations):
            self._rate.fill_(0.5 * self.cfg.learning_rate * (1.0 + math.cos(math.pi * iteration / iterations)))
            # How to see through noise is best learned while the robot walks: on easy ground more often than on hard.
            share = torch.rand((), device=self.env.device)
            difficulty.copy_(hardest * (share if self._learns_from_another else share.square()))
            start = time.perf_counter()
            obs, samples = self._collect(obs)
            collected = time.perf_counter()
            action, velocity = self._learn(samples)
            times = collected - start, time.perf_counter() - collected
            if not goes_on(Learned(iteration + 1, action, velocity, *times)):
                return iteration + 1 == iterations  # whoever breaks it off then is too late
        return True

    def _blend(self, before: list[torch.Tensor], share: float) -> None:
        """Set the weights to the given share of the way from what they were to what they are."""
        with torch.no_grad():
            for parameter, value in zip(self._parameters, before, strict=True):
                parameter.lerp_(value, 1.0 - share)

    @torch.inference_mode()  # where training steps, too: what is made in it can only be written in it
    def _begin(self) -> Any:
        """Reset all robots, and spread them over the episode; returns their observations."""
        obs = self.env.reset().to(self.device)
        ages = self.env.episode_length_buf
        self.env.episode_length_buf = torch.randint_like(ages, high=int(self.env.max_episode_length))
        self.quarantine.check(obs)
        return obs

    @tensor_cores()
    def _collect(self, obs: Any) -> tuple[Any, dict[str, torch.Tensor]]:
        """Run one rollout; returns the last observations, and the samples by name (num_steps * N, ·)."""
        steps: list[dict[str, torch.Tensor]] = []
        with torch.inference_mode(), torch_threads(1):
            self.env.randomizer.refresh_bodies()
            for _ in range(self.num_steps):
                clear = self.env.observer.without_noise(self.env).to(self.device).nan_to_num(0.0, 0.0, 0.0)
                seen = {group: obs[group] for group in self.actor.obs_groups}
                known = torch.cat((obs["velocity"], *(seen | {"policy": clear}).values()), dim=-1)
                sample = {name: obs[name].clone() for name in ("history", "velocity")}
                sample |= {"seen": torch.cat(list(seen.values()), dim=-1), "action": self._told(known)}
                steps.append(sample)
                action = self.quarantine.release(self.actor(obs, stochastic_output=True))
                obs, rewards, dones, extras = self.env.step(action.to(self.env.device))
                obs, rewards = obs.to(self.device), rewards.to(self.device)
                self.quarantine.check(obs, rewards)
                self._on_step(rewards, dones.to(self.device), extras)
        return obs, {name: torch.cat([step[name] for step in steps]).clone() for name in steps[0]}

    def _told(self, known: torch.Tensor) -> torch.Tensor:
        """Return what each robot should do (N, A), by what is known of it (N, ·)."""
        action = self.walker(known)
        if not self._learns_from_another:
            return action
        return torch.where(in_trouble(self.env).to(self.device).unsqueeze(-1), self.recoverer(known), action)

    @tensor_cores()
    def _learn(self, samples: dict[str, torch.Tensor]) -> tuple[float, float]:
        """Regress on one rollout's samples; returns the usual errors of action and velocity."""
        c, size = self.cfg, len(samples["action"])
        total = torch.zeros(2, device=self.device)
        for _ in range(c.num_learning_epochs):
            for rows in torch.randperm(size, device=self.device).tensor_split(c.num_mini_batches):
                batch = {name: values[rows] for name, values in samples.items()}
                velocity = self.actor.estimator(batch["history"])
                action = self.actor.mlp(torch.cat((velocity, batch["seen"]), dim=-1))
                loss = smooth_l1_loss(action, batch["action"], beta=c.action_width)
                loss = loss + c.velocity_weight * smooth_l1_loss(velocity, batch["velocity"], beta=c.velocity_width)
                self._optimizer.zero_grad()
                loss.backward()
                errors = (action - batch["action"]).abs().median(), (velocity - batch["velocity"]).abs().median()
                loss, *means = self.group.mean_gradients(self._parameters, loss, *errors)
                self._step(loss, nn.utils.clip_grad_norm_(self._parameters, c.max_grad_norm))
                total += torch.stack(means)
        action_error, velocity_error = (total / (c.num_learning_epochs * c.num_mini_batches)).tolist()
        return action_error, velocity_error


def in_trouble(env: Any) -> torch.Tensor:
    """Tell which robots recover, have a foot on slippery ground, tilt, or follow a stick that is thrown about.

    Shape (N,), bool.
    """
    slippery = env.sim.parameters["friction"].amin(-1) < SLIPPERY
    tilts = env.state.projected_gravity_b[:, :2].norm(dim=-1) > math.sin(TILTED)
    return env.disturbances.recovering | env.commands.reversing | slippery | tilts


def denoising_iterations(cfg: DenoisingCfg, env: Any, iterations: int) -> int:
    """Return how many of a run's iterations are spent on it: none in environments that cannot leave their noise out."""
    needed = ("observer", "commands", "curriculum", "randomizer")
    return int(cfg.run_share * iterations) if all(hasattr(env, part) for part in needed) else 0


def denoise_last(runner: Any, iterations: int) -> None:
    """Spend the last iterations of a run on its policy, the averaged one; it stays what it was if they are broken off.

    Training that goes on from there begins with its weights.

    Args:
        runner: The runner, with the environment that it trains in.
        iterations: How many.
    """
    print(f"the last {iterations} iterations: the policy learns from itself to act through noise", flush=True)
    first, actor = runner.current_learning_iteration, copy.deepcopy(runner.averaged.actor)
    runner.logger.forget_episodes()
    if runner.teacher is not None:
        runner.teacher.driven.zero_()
    cfg, steps, scalars = runner.train_cfg.denoising, runner.train_cfg.runner.num_steps_per_env, dict[str, float]()
    on_step = runner.logger.process_env_step
    denoiser = Denoiser(runner.env, actor, cfg, steps, runner.device, runner.group, on_step)

    def goes_on(learned: Learned) -> bool:
        nonlocal scalars
        scalars = {"Denoising/action_error": learned.action, "Denoising/velocity_error": learned.velocity}
        episodes = merged(runner.group.gather(own_episodes(runner.env)))
        scalars |= {episode_tag(name): value for name, value in episodes.items()}
        scalars |= {f"Quarantine/{name}": count for name, count in denoiser.quarantine.log().items()}
        it, times = first + learned.iteration, (learned.collect_time, learned.learn_time)
        runner.logger.log_iteration(it - 1, first, first + iterations, *times, scalars, runner.env.dt)
        runner.current_learning_iteration = it
        runner.interrupted = runner.group.any(runner.interrupted)
        return not runner.interrupted

    try:
        with torch_threads(runner.update_threads):
            whole = denoiser.learn(iterations, goes_on)
    except UserError as error:
        print(f"warning: {error}", flush=True)
        whole = False
    if not whole:
        runner.current_learning_iteration = first
        return
    runner.denoised_until = runner.current_learning_iteration
    with torch.no_grad():
        for taught in (runner.averaged.actor, runner.alg.get_policy()):
            weights = dict(taught.named_parameters())
            for name, value in denoiser.parameters().items():
                weights[name].copy_(value)
    if runner.after_iteration is not None:  # of the policy that is there now
        runner.after_iteration(scalars)
    if runner.before_end is not None:
        runner.before_end()
