"""PPO with a velocity estimator and, where the rollout carries a reference action, imitation of it.

The reference arrives as data: observation groups `reference` (N, A), `reference_weight` (N, 1) and `teacher_driven`
(N, 1) that the runner adds to what the environment observes. PPO knows nothing of where they come from.

On a GPU each stage is a CUDA graph, see `Graphed`; elsewhere the same functions run as they are. Therefore everything
that changes from call to call is a tensor that keeps its memory.

With several processes (`Group`), each learns from its own robots, and all take the same steps: an optimiser step is one
on the mean gradient, which is the gradient of all robots' mean loss. Other quantities that a step depends on are
averaged, too.
"""

from itertools import chain
from typing import Any

import torch
from rsl_rl.algorithms import PPO as RslPPO
from rsl_rl.env import VecEnv
from rsl_rl.models import MLPModel
from rsl_rl.storage import RolloutStorage
from tensordict import TensorDict
from torch import nn

from legged_gym.algorithms.config import ImitationCfg
from legged_gym.algorithms.estimator_trainer import EstimatorTrainer
from legged_gym.algorithms.input_scale import InputScale
from legged_gym.algorithms.losses import (
    adapted_learning_rate,
    follows_reference,
    imitation_loss,
    masked_mean,
    scheduled_weight,
    surrogate_loss,
    value_loss,
)
from legged_gym.algorithms.networks import VELOCITY_ESTIMATE, EstimatorActor
from legged_gym.algorithms.precision import forward, tensor_cores
from legged_gym.algorithms.replay import Replay
from legged_gym.algorithms.rollout import packed, shuffled, unpacked
from legged_gym.algorithms.skipped_steps import LEARNED, SkippedSteps
from legged_gym.algorithms.widening import widen_critic
from legged_gym.utils.config import to_dict
from legged_gym.utils.cuda_graph import Branch, Graphed, adam_tensors, load_adam, make_adam
from legged_gym.utils.distributed import ALONE, Group
from legged_gym.utils.finite import GuardedStep

REFERENCE_GROUPS = ("reference", "reference_weight", "teacher_driven")
"""Observation groups of the imitation target."""
REPLAYED_GROUPS = ("history", "reference", "reference_weight")
"""Groups that are kept of past rollouts besides the actor's observation."""
LOSSES = ("surrogate", "value", "entropy", "imitation")
"""Names of the losses, in the order in which `PPO._learn` returns them."""


class PPO(RslPPO):
    """rsl_rl's PPO, with the estimator's own loss and optimiser, and the imitation term."""

    actor: EstimatorActor

    def __init__(
        self,
        actor: EstimatorActor,
        critic: MLPModel,
        storage: RolloutStorage,
        estimator: dict[str, Any] | None = None,
        imitation: dict[str, Any] | None = None,
        mixed_precision: bool = True,
        input_scaling: bool = False,
        polish_share: float = 0.0,
        polish_noise_std: float = 0.12,
        **kwargs: Any,
    ) -> None:
        """Build optimisers.

        Args:
            actor: Policy with its estimator.
            critic: Value network.
            storage: Rollout storage.
            estimator: Fields of `EstimatorCfg` that training needs.
            imitation: Fields of `ImitationCfg`.
            mixed_precision: See `AlgorithmCfg`.
            input_scaling: See `AlgorithmCfg`.
            polish_share: See `AlgorithmCfg`.
            polish_noise_std: See `AlgorithmCfg`.
            kwargs: See rsl_rl's PPO; `multi_gpu_cfg` holds the `group`.
        """
        device = torch.device(kwargs.get("device", "cpu"))
        self._rate = torch.zeros((), device=device)
        self._imitation_weight = torch.zeros((), device=device)
        self._imitation_share = torch.zeros((), device=device)
        self._exploration = torch.ones((), device=device)
        self.polish_share, self.polish_noise_std = polish_share, polish_noise_std
        super().__init__(actor, critic, storage, **kwargs)
        self.optimizer = make_adam(chain(self.policy_parameters(), critic.parameters()), self._rate, device)
        self._initial_learning_rate = self.learning_rate
        self.group: Group = (kwargs.get("multi_gpu_cfg") or {}).get("group", ALONE)
        branch = self.group.branch()
        self.estimator_trainer = EstimatorTrainer(
            self._raw_actor.estimator, storage, branch, device, mixed_precision, input_scaling, **(estimator or {})
        )
        self._policy_step = GuardedStep(self.optimizer, device)
        self._replay_step = GuardedStep(self.optimizer, device)
        self._scale = InputScale(self._raw_actor.mlp, device, input_scaling)
        self._not_finite = torch.zeros(len(LOSSES), device=device)
        """Number of optimiser steps in which each of `LOSSES` was not finite, since the last `read_skipped`."""
        self._steps_tried = [0] * len(LEARNED)
        self.imitation = to_dict(ImitationCfg(initial=0.0)) if imitation is None else imitation
        self.iteration = 0
        """Updates done."""
        self.imitation_clock = 0
        """Those of them in which the policy followed the reference as well as `ImitationCfg.follow_error` asks."""
        self.replay = Replay((*actor.obs_groups, *REPLAYED_GROUPS), self.imitation["replay_samples"])
        self.mixed_precision = mixed_precision
        self._critic_branch = Branch(device)
        self._acting_groups = tuple(dict.fromkeys((*actor.obs_groups, *critic.obs_groups, "history")))
        self._acting = Graphed(self._act, device, copies=False)
        self._returning = Graphed(self._compute_returns, device)
        self._learning = Graphed(self._learn, device, owners=(actor.distribution,), copies=False)
        self._imitating = Graphed(self._imitate, device, copies=False)

    @staticmethod
    def construct_algorithm(obs: TensorDict, env: VecEnv, cfg: dict, device: str) -> "PPO":
        """Build as rsl_rl does, with room in the storage for what is added to the observations.

        Raises:
            UserError: The actor is symmetric, but its observations or actions have no reflection.
        """
        n = env.num_envs
        if cfg.get("symmetric"):
            cfg["actor"]["symmetry"] = env.symmetry()
        extra = {VELOCITY_ESTIMATE: torch.zeros(n, obs["velocity"].shape[-1], device=device)}
        if cfg.get("has_teacher"):
            widths = dict(zip(REFERENCE_GROUPS, (env.num_actions, 1, 1), strict=True)) | cfg.get("stored_groups", {})
            extra |= {name: torch.zeros(n, width, device=device) for name, width in widths.items()}
        obs = TensorDict({**dict(obs.items()), **extra}, batch_size=[n], device=device)
        return RslPPO.construct_algorithm(obs, env, cfg, device)

    @property
    def learning_rate(self) -> float:
        """Learning rate of policy and value; reading it waits for the device."""
        return self._rate.item()

    @learning_rate.setter
    def learning_rate(self, value: float) -> None:
        self._rate.fill_(value)

    @property
    def imitation_weight(self) -> float:
        """λ of the next update."""
        c = self.imitation
        return scheduled_weight(c["schedule"], c["initial"], c["final"], self.imitation_clock / c["decay_steps"])

    @property
    def imitation_share(self) -> float:
        """How much the policy imitates instead of exploring, 1 to 0: λ over its initial value, or time left."""
        c = self.imitation
        if c["schedule"] == "constant":
            return scheduled_weight("linear", float(c["initial"] > 0.0), 0.0, self.imitation_clock / c["decay_steps"])
        return min(self.imitation_weight / max(c["initial"], 1e-6), 1.0)

    def set_progress(self, progress: float) -> None:
        """Set how much is explored after the share `progress` of a run, 0 to 1: less in its last `polish_share`.

        In the first half of that the noise's bound sinks, by equal factors, to `polish_noise_std`; then it stays.
        """
        left = 1.0 if self.polish_share == 0.0 else (1.0 - progress) / self.polish_share
        exploration = min(max(2.0 * left - 1.0, 0.0), 1.0)
        self._exploration.fill_(exploration)
        distribution = self._raw_actor.distribution
        first = distribution.std_range[1]
        last = min(first, max(self.polish_noise_std, distribution.std_range[0]))
        distribution.highest_std.fill_(last * (first / last) ** exploration)

    def act(self, obs: TensorDict) -> torch.Tensor:
        """Sample actions; their velocity estimate is stored with the observations."""
        acted = self._acting(*(obs[group] for group in self._acting_groups))
        step = self.transition
        obs[VELOCITY_ESTIMATE], step.actions, step.values, step.actions_log_prob, *params = acted
        step.distribution_params, step.observations = tuple(params), obs
        return step.actions

    @tensor_cores()
    def _act(self, *groups: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Act on `_acting_groups`: velocity estimate, actions, values, their log-probability, mean and deviation."""
        obs = TensorDict(dict(zip(self._acting_groups, groups, strict=True)), batch_size=[len(groups[0])])
        obs[VELOCITY_ESTIMATE] = self._raw_actor.estimate(obs)
        values = self._evaluate(obs)
        actions = self.actor.distribution.sample()
        log_prob, params = self.actor.get_output_log_prob(actions), self.actor.output_distribution_params
        return tuple(x.detach() for x in (obs[VELOCITY_ESTIMATE], actions, values, log_prob, *params))

    def _evaluate(self, obs: TensorDict) -> torch.Tensor:
        """Set the actor's distribution by the observations; returns the values (B, 1)."""
        with self._critic_branch.fork():
            values = forward(self._raw_critic.mlp, self._raw_critic.get_latent(obs), self.mixed_precision)
        self.actor.distribution.update(self._mean(obs))
        self._critic_branch.join()
        return values

    def _mean(self, obs: TensorDict) -> torch.Tensor:
        """Output of the actor's network (B, A): in full precision, for rounding would look like a change of it."""
        return forward(self._raw_actor.mlp, self._raw_actor.get_latent(obs), mixed=False)

    def compute_returns(self, obs: TensorDict) -> None:
        """Compute returns and advantages of the stored rollout, whose last step led to `obs`."""
        self._returning(*(obs[group] for group in self.critic.obs_groups))

    @tensor_cores()
    def _compute_returns(self, *groups: torch.Tensor) -> None:
        obs = TensorDict(dict(zip(self.critic.obs_groups, groups, strict=True)), batch_size=[len(groups[0])])
        advantages = self.storage.advantages
        super().compute_returns(obs)
        if not self.group.alone:
            self.storage.advantages = self._normalized(self.storage.returns - self.storage.values)
        self.storage.advantages = advantages.copy_(self.storage.advantages)

    def _normalized(self, advantages: torch.Tensor) -> torch.Tensor:
        """Normalise by mean and deviation of all processes' samples; each process has the same number."""
        mean, count = advantages.mean(dtype=torch.float64), advantages.numel() * self.group.size
        spread = (advantages - mean).square().mean(dtype=torch.float64)
        mean, square, spread = self.group.mean(torch.stack((mean, mean.square(), spread)))
        variance = (spread + square - mean.square()) * (count / (count - 1))  # within ranks and between them
        return ((advantages - mean) / (variance.sqrt() + 1e-8)).float()

    def update(self) -> dict[str, float]:
        """Learn from the stored rollout; returns mean losses by name."""
        return self.read_losses(self.learn())

    def learn(self) -> torch.Tensor:
        """Learn from the stored rollout without waiting for the device; returns what `read_losses` takes."""
        has_reference = "reference" in self.storage.observations
        trust = None
        if has_reference and self.imitation["follow_error"]:
            trust = self.group.mean(self.storage.observations["reference_weight"].mean())
        weight = self.imitation_weight if has_reference else 0.0
        share = self.imitation_share if has_reference else 0.0
        self._imitation_weight.fill_(weight)
        self._imitation_share.fill_(share)
        if self._scale.due:
            # Estimates are next to nothing at first, so the steps of their weights are the largest: it helps (043).
            self._scale.measure(self._raw_actor.get_latent(self.storage.observations.flatten(0, 1)), self.group)
        total = torch.zeros(len(LOSSES) if has_reference else len(LOSSES) - 1, device=self.device)
        estimator_loss = self.estimator_trainer.begin()
        skipped = self._policy_step.skipped.clone()
        batches = packed(self.storage)[shuffled(self.storage, self.num_mini_batches)]
        counts = self._own_samples(batches)
        for _ in range(self.num_learning_epochs):
            for samples, count in zip(batches, counts, strict=True):
                total += self._learning(samples, count)
        self.estimator_trainer.join()
        replayed = self._imitate_replayed(share)
        self._update_normalization()
        self.storage.clear()
        self.iteration += 1
        steps = self.num_learning_epochs * self.num_mini_batches
        tried = (steps, replayed, self.estimator_trainer.steps)
        self._steps_tried = [before + new for before, new in zip(self._steps_tried, tried, strict=True)]
        means = total / steps
        follows = torch.ones_like(total[0])
        if trust is not None:
            follows = follows_reference(means[LOSSES.index("imitation")], trust, self.imitation["follow_error"])
            follows = follows * (self._policy_step.skipped == skipped)  # a step left out has no loss
        return torch.stack((*means, estimator_loss, self._imitation_weight, follows))

    def read_losses(self, means: torch.Tensor) -> dict[str, float]:
        """Name the mean losses that `learn` returned, and move λ's clock on by them; waits for the device."""
        *losses, estimator, weight, follows = means.tolist()
        named = dict(zip(LOSSES, losses, strict=False)) | {"estimator": estimator}
        self.imitation_clock += int(follows)
        return named | ({"imitation_weight": weight} if "imitation" in named else {})

    def read_skipped(self) -> SkippedSteps:
        """Say which optimiser steps were left out since the last call; waits for the device."""
        guards = (self._policy_step, self._replay_step, self.estimator_trainer.guard)
        skipped = [int(count) for count in torch.stack([guard.skipped for guard in guards]).tolist()]
        broken = zip((*LOSSES, "estimator"), (*self._not_finite.tolist(), skipped[-1]), strict=True)
        counts = dict(zip(LEARNED, zip(skipped, self._steps_tried, strict=True), strict=True))
        for guard in guards:
            guard.clear()
        self._not_finite.zero_()
        self._steps_tried = [0] * len(LEARNED)
        return SkippedSteps(counts, [name for name, count in broken if count])

    def state_tensors(self) -> dict[str, torch.Tensor]:
        """All tensors that an update changes and that the next one starts from, by name."""
        tensors = {f"actor.{name}": value for name, value in self._raw_actor.state_dict(keep_vars=True).items()}
        tensors |= {f"critic.{name}": value for name, value in self._raw_critic.state_dict(keep_vars=True).items()}
        tensors |= adam_tensors(self.optimizer, "optimizer")
        tensors |= adam_tensors(self.estimator_trainer.optimizer, "estimator_optimizer")
        return tensors | {"learning_rate": self._rate}

    def _own_samples(self, batches: torch.Tensor) -> torch.Tensor:
        """Count the samples of each mini-batch (K, B, F) in which the policy acted, not the teacher; mean of processes.

        Shape (K,).
        """
        driven = unpacked(self.storage, batches.flatten(0, 1)).observations.get("teacher_driven", None)
        if driven is None:
            return torch.full((len(batches),), float(batches.shape[1]), device=self.device)
        return self.group.mean((1.0 - driven.view(batches.shape[:2])).sum(-1))

    @tensor_cores()
    def _learn(self, samples: torch.Tensor, count: torch.Tensor) -> torch.Tensor:
        """Take one optimiser step on `packed` samples (B, F), `count` of which the policy acted in.

        Returns:
            The losses, see `LOSSES`.
        """
        batch = unpacked(self.storage, samples)
        values = self._evaluate(batch.observations)
        log_prob = self.actor.get_output_log_prob(batch.actions)
        driven = batch.observations.get("teacher_driven", None)
        mask = None if driven is None else 1.0 - driven.squeeze(-1)
        clip = self.clip_param if self.use_clipped_value_loss else None
        surrogate = surrogate_loss(
            log_prob, batch.old_actions_log_prob.squeeze(-1), batch.advantages.squeeze(-1), self.clip_param
        )
        losses = [
            masked_mean(surrogate, mask, count),
            masked_mean(value_loss(values, batch.values, batch.returns, clip), mask, count),
            self.actor.output_entropy.mean(),
        ]
        # While the policy imitates, there is nothing to explore.
        entropy_coef = self.entropy_coef * (1.0 - self._imitation_share) * self._exploration
        loss = losses[0] + self.value_loss_coef * losses[1] - entropy_coef * losses[2]
        if "reference" in batch.observations:
            weight = batch.observations["reference_weight"].squeeze(-1)
            losses.append(imitation_loss(self.actor.output_mean, batch.observations["reference"], weight))
            loss = loss + self._imitation_weight * losses[3]
        self.optimizer.zero_grad()
        loss.backward()
        with torch.no_grad():
            params = self.actor.output_distribution_params
            divergence = self.actor.get_kl_divergence(batch.old_distribution_params, params).mean()
        parameters = chain(self.policy_parameters(), self.critic.parameters())
        divergence, loss, *means = self.group.mean_gradients(parameters, divergence, loss, *losses)
        if self.desired_kl is not None and self.schedule == "adaptive":
            self._adapt_learning_rate(divergence)
        policy_norm = nn.utils.clip_grad_norm_(self.policy_parameters(), self.max_grad_norm)
        critic_norm = nn.utils.clip_grad_norm_(self.critic.parameters(), self.max_grad_norm)
        with self._scale.steps():
            skipped = self._policy_step(loss, policy_norm, critic_norm)
        self._not_finite[: len(means)] += (~torch.stack(means).isfinite()).float()
        return torch.stack(means).masked_fill(skipped > 0.0, 0.0)

    def _imitate_replayed(self, share: float) -> int:
        """Imitate on the states of past rollouts, too, in fewer mini-batches as λ falls.

        There the teacher's action is right even if the policy was driving (DAgger; Ross et al., 2011, arXiv 1011.0686).

        Returns:
            Optimiser steps that were tried.
        """
        c = self.imitation
        mini_batches = int(share * c["replay_mini_batches"])
        if mini_batches:
            self.replay.add(self.storage.observations)
        for _ in range(mini_batches):
            self._imitating(self.replay.draw(c["replay_batch_size"], self.device))
        return mini_batches

    @tensor_cores()
    def _imitate(self, rows: torch.Tensor) -> None:
        """Take one optimiser step of the policy towards the reference on the replayed samples `rows` (B,)."""
        batch = self.replay.gather(rows)  # without the estimate of back then: the actor makes a new one
        mean = self.actor.distribution.deterministic_output(self._mean(batch))
        loss = imitation_loss(mean, batch["reference"], batch["reference_weight"].squeeze(-1))
        self.optimizer.zero_grad()
        (self._imitation_weight * loss).backward()
        (loss,) = self.group.mean_gradients(self.policy_parameters(), loss)
        norm = nn.utils.clip_grad_norm_(self.policy_parameters(), self.max_grad_norm)
        with self._scale.steps():
            self._replay_step(loss, norm)

    def policy_parameters(self) -> list[nn.Parameter]:
        """Parameters that the policy gradient moves: the actor's without its estimator's."""
        estimator = {id(p) for p in self._raw_actor.estimator.parameters()}
        return [p for p in self._raw_actor.parameters() if id(p) not in estimator]

    def _adapt_learning_rate(self, divergence: torch.Tensor) -> None:
        """Set the learning rate by the KL divergence of the policy from the one that collected the samples. Scalar.

        Imitation is supervised and needs no trust region: the rate stays above a floor that sinks from its initial
        value with the imitation weight.
        """
        floor = self._initial_learning_rate * self._imitation_share
        self._rate.copy_(torch.maximum(adapted_learning_rate(self._rate, divergence, self.desired_kl), floor))

    def _update_normalization(self) -> None:
        """Show the rollout to the critic's normaliser, whose buffers stay where they are."""
        buffers = dict(self._raw_critic.named_buffers())
        self.critic.update_normalization(self.storage.observations.flatten(0, 1))
        for name, buffer in self._raw_critic.named_buffers():
            if buffer is not buffers[name]:
                owner, _, attribute = name.rpartition(".")
                setattr(self._raw_critic.get_submodule(owner), attribute, buffers[name].copy_(buffer))

    def save(self) -> dict[str, Any]:
        """Return all that training needs to go on: networks, normalisers, optimisers and the imitation clock.

        Replayed samples are left out, for they are many: a resumed run collects them anew.
        """
        saved = super().save() | {
            "estimator_optimizer_state_dict": self.estimator_trainer.optimizer.state_dict(),
            "ppo_iteration": self.iteration,
            "imitation_clock": self.imitation_clock,
            "input_scales": {"actor": self._scale.save(), "estimator": self.estimator_trainer.scale.save()},
        }
        for group in saved["optimizer_state_dict"]["param_groups"]:
            group["lr"] = self.learning_rate
        return saved

    def load(self, loaded_dict: dict[str, Any], load_cfg: dict | None, strict: bool) -> bool:
        """Take over what `save` returned, on whatever device; see rsl_rl's PPO for the selection."""
        selected = dict.fromkeys(("actor", "critic", "iteration"), True) if load_cfg is None else dict(load_cfg)
        widen_critic(loaded_dict, self._raw_critic, len(self.policy_parameters()))
        optimizers = load_cfg is None or selected.pop("optimizer", False)
        counts = super().load(loaded_dict, selected, strict)
        scales = loaded_dict.get("input_scales") or {}
        self._scale.load(scales.get("actor"))
        self.estimator_trainer.scale.load(scales.get("estimator"))
        if optimizers:
            load_adam(self.optimizer, loaded_dict["optimizer_state_dict"])
            self.estimator_trainer.load_optimizer(loaded_dict["estimator_optimizer_state_dict"])
            self.learning_rate = self.optimizer.param_groups[0]["lr"]
            for group in self.optimizer.param_groups:
                group["lr"] = self._rate
            for graphed in (self._learning, self._imitating):
                graphed.forget()
            self.replay.clear()
            self.iteration = loaded_dict["ppo_iteration"]
            self.imitation_clock = loaded_dict.get("imitation_clock", self.iteration)
        return counts
