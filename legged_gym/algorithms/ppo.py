"""PPO with a velocity estimator and, where the rollout carries a reference action, imitation of it.

The reference arrives as data: observation groups `reference` (N, A), `reference_weight` (N, 1) and `teacher_driven`
(N, 1) that the runner adds to what the environment observes. PPO knows nothing of where they come from.
"""

from itertools import chain
from typing import Any

import torch
from rsl_rl.algorithms import PPO as RslPPO
from rsl_rl.env import VecEnv
from rsl_rl.models import MLPModel
from rsl_rl.storage import RolloutStorage
from rsl_rl.utils import reduce_gradients_in_buckets, resolve_optimizer
from tensordict import TensorDict
from torch import nn

from legged_gym.algorithms.losses import (
    adapted_learning_rate,
    imitation_loss,
    masked_mean,
    scheduled_weight,
    surrogate_loss,
    value_loss,
)
from legged_gym.algorithms.networks import VELOCITY_ESTIMATE, EstimatorActor

REFERENCE_GROUPS = ("reference", "reference_weight", "teacher_driven")
"""Observation groups of the imitation target."""


class PPO(RslPPO):
    """rsl_rl's PPO, with the estimator's own loss and optimiser, and the imitation term."""

    actor: EstimatorActor
    learning_rate: float

    def __init__(
        self,
        actor: EstimatorActor,
        critic: MLPModel,
        storage: RolloutStorage,
        estimator: dict[str, Any] | None = None,
        imitation: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """Build optimisers.

        Args:
            actor: Policy with its estimator.
            critic: Value network.
            storage: Rollout storage.
            estimator: Fields of `EstimatorCfg` that training needs.
            imitation: Fields of `ImitationCfg`.
            kwargs: See rsl_rl's PPO.
        """
        super().__init__(actor, critic, storage, **kwargs)
        self.optimizer = resolve_optimizer(kwargs.get("optimizer", "adam"))(
            chain(self.policy_parameters(), critic.parameters()), lr=self.learning_rate
        )
        self._initial_learning_rate = self.learning_rate
        estimator = estimator or {}
        self.estimator_epochs = estimator.get("num_learning_epochs", 1)
        self.estimator_mini_batches = estimator.get("num_mini_batches", 4)
        self.estimator_max_grad_norm = estimator.get("max_grad_norm", 1.0)
        self.estimator_optimizer = torch.optim.Adam(
            self._raw_actor.estimator.parameters(), lr=estimator.get("learning_rate", 1e-3)
        )
        self.imitation = imitation or {"schedule": "constant", "initial": 0.0, "final": 0.0, "decay_steps": 1}
        self.iteration = 0
        """Updates done: the clock of the imitation weight."""

    @staticmethod
    def construct_algorithm(obs: TensorDict, env: VecEnv, cfg: dict, device: str) -> "PPO":
        """Build as rsl_rl does, with room in the storage for what is added to the observations."""
        n = env.num_envs
        extra = {VELOCITY_ESTIMATE: torch.zeros(n, obs["velocity"].shape[-1], device=device)}
        if cfg.get("has_teacher"):
            widths = zip(REFERENCE_GROUPS, (env.num_actions, 1, 1), strict=True)
            extra |= {name: torch.zeros(n, width, device=device) for name, width in widths}
        obs = TensorDict({**dict(obs.items()), **extra}, batch_size=[n], device=device)
        return RslPPO.construct_algorithm(obs, env, cfg, device)

    @property
    def imitation_weight(self) -> float:
        """λ of the next update."""
        c = self.imitation
        return scheduled_weight(c["schedule"], c["initial"], c["final"], self.iteration / c["decay_steps"])

    def act(self, obs: TensorDict) -> torch.Tensor:
        """Sample actions; the velocity estimate they rest on is stored with the observations."""
        obs[VELOCITY_ESTIMATE] = self._raw_actor.estimate(obs)
        return super().act(obs)

    def update(self) -> dict[str, float]:
        """Learn from the stored rollout.

        Returns:
            Mean losses by name.
        """
        estimator_loss = self._update_estimator()
        has_reference = "reference" in self.storage.observations.keys()  # noqa: SIM118
        weight = self.imitation_weight if has_reference else 0.0
        sums: dict[str, torch.Tensor] = {}
        observations = self.storage.observations
        self.storage.observations = observations.exclude("history", "teacher", "velocity")  # not read below
        for batch in self.storage.mini_batch_generator(self.num_mini_batches, self.num_learning_epochs):
            for name, value in self._update_mini_batch(batch, weight).items():
                sums[name] = sums.get(name, 0.0) + value
        self.storage.observations = observations
        self.critic.update_normalization(self.storage.observations.flatten(0, 1))
        self.storage.clear()
        self.iteration += 1
        updates = self.num_learning_epochs * self.num_mini_batches
        losses = {name: value.item() / updates for name, value in sums.items()}
        return losses | {"estimator": estimator_loss} | ({"imitation_weight": weight} if has_reference else {})

    def _update_mini_batch(self, batch: RolloutStorage.Batch, imitation_weight: float) -> dict[str, torch.Tensor]:
        """Take one optimiser step; returns the detached losses."""
        self.actor(batch.observations, stochastic_output=True)
        log_prob = self.actor.get_output_log_prob(batch.actions)
        values = self.critic(batch.observations)
        if self.desired_kl is not None and self.schedule == "adaptive":
            self._adapt_learning_rate(batch, imitation_weight)
        driven = batch.observations.get("teacher_driven", None)
        mask = None if driven is None else 1.0 - driven.squeeze(-1)
        clip = self.clip_param if self.use_clipped_value_loss else None
        surrogate = surrogate_loss(
            log_prob, batch.old_actions_log_prob.squeeze(-1), batch.advantages.squeeze(-1), self.clip_param
        )
        losses = {
            "surrogate": masked_mean(surrogate, mask),
            "value": masked_mean(value_loss(values, batch.values, batch.returns, clip), mask),
            "entropy": self.actor.output_entropy.mean(),
        }
        loss = losses["surrogate"] + self.value_loss_coef * losses["value"] - self.entropy_coef * losses["entropy"]
        if "reference" in batch.observations.keys():  # noqa: SIM118
            weight = batch.observations["reference_weight"].squeeze(-1)
            losses["imitation"] = imitation_loss(self.actor.output_mean, batch.observations["reference"], weight)
            if imitation_weight > 0.0:
                loss = loss + imitation_weight * losses["imitation"]
        self.optimizer.zero_grad()
        loss.backward()
        if self.is_multi_gpu:
            self.reduce_parameters()
        nn.utils.clip_grad_norm_(self.policy_parameters(), self.max_grad_norm)
        nn.utils.clip_grad_norm_(self.critic.parameters(), self.max_grad_norm)
        self.optimizer.step()
        return {name: value.detach() for name, value in losses.items()}

    def policy_parameters(self) -> list[nn.Parameter]:
        """Parameters that the policy gradient moves: the actor's without its estimator's."""
        estimator = {id(p) for p in self._raw_actor.estimator.parameters()}
        return [p for p in self._raw_actor.parameters() if id(p) not in estimator]

    def reduce_parameters(self) -> None:
        """Average the gradients of policy and value over all GPUs."""
        parameters = chain(self.policy_parameters(), self.critic.parameters())
        reduce_gradients_in_buckets(parameters, self.gpu_world_size, self.grad_reduce_bucket_mb)

    def _adapt_learning_rate(self, batch: RolloutStorage.Batch, imitation_weight: float) -> None:
        """Set the learning rate by the divergence of the policy from the one that collected the batch.

        Imitation is supervised and needs no trust region: while it is strong, the rate stays near its initial value.
        """
        with torch.inference_mode():
            params = self.actor.output_distribution_params
            kl = self.actor.get_kl_divergence(batch.old_distribution_params, params).mean()
            if self.is_multi_gpu:
                torch.distributed.all_reduce(kl, op=torch.distributed.ReduceOp.AVG)
        rate = adapted_learning_rate(self.learning_rate, kl.item(), self.desired_kl)
        self.learning_rate = max(rate, self._initial_learning_rate * min(1.0, imitation_weight))
        for group in self.optimizer.param_groups:
            group["lr"] = self.learning_rate

    def _update_estimator(self) -> float:
        """Regress the base velocity on the history over the rollout; returns the mean squared error [m^2/s^2]."""
        history = self.storage.observations["history"].flatten(0, 1)
        velocity = self.storage.observations["velocity"].flatten(0, 1)
        estimator, total = self._raw_actor.estimator, torch.zeros((), device=self.device)
        for _ in range(self.estimator_epochs):
            order = torch.randperm(len(history), device=self.device)
            for rows in order.chunk(self.estimator_mini_batches):
                loss = (estimator(history[rows]) - velocity[rows]).square().mean()
                self.estimator_optimizer.zero_grad()
                loss.backward()
                if self.is_multi_gpu:
                    reduce_gradients_in_buckets(estimator.parameters(), self.gpu_world_size, self.grad_reduce_bucket_mb)
                nn.utils.clip_grad_norm_(estimator.parameters(), self.estimator_max_grad_norm)
                self.estimator_optimizer.step()
                total += loss.detach()
        return total.item() / max(1, self.estimator_epochs * self.estimator_mini_batches)

    def save(self) -> dict[str, Any]:
        """Return all that training needs to go on: networks, normalisers, optimisers and the imitation clock."""
        return super().save() | {
            "estimator_optimizer_state_dict": self.estimator_optimizer.state_dict(),
            "ppo_iteration": self.iteration,
        }

    def load(self, loaded_dict: dict[str, Any], load_cfg: dict | None, strict: bool) -> bool:
        """Take over what `save` returned; see rsl_rl's PPO for the selection."""
        if load_cfg is None or load_cfg.get("optimizer"):
            self.estimator_optimizer.load_state_dict(loaded_dict["estimator_optimizer_state_dict"])
            self.iteration = loaded_dict["ppo_iteration"]
        return super().load(loaded_dict, load_cfg, strict)
