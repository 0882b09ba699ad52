"""Training of the velocity estimator, beside the policy and untouched by its gradient."""

from typing import Any

import torch
from rsl_rl.storage import RolloutStorage
from torch import nn
from torch.nn.functional import smooth_l1_loss

from legged_gym.algorithms.input_scale import InputScale
from legged_gym.algorithms.precision import forward, tensor_cores
from legged_gym.algorithms.rollout import shuffled
from legged_gym.utils.cuda_graph import Branch, Graphed, load_adam, make_adam
from legged_gym.utils.distributed import Group
from legged_gym.utils.finite import GuardedStep


class EstimatorTrainer:
    """Regresses the base velocity [m/s] on the observation history; on a GPU, on a queue of its own."""

    def __init__(
        self,
        estimator: nn.Sequential,
        storage: RolloutStorage,
        group: Group,
        device: torch.device,
        mixed_precision: bool = False,
        input_scaling: bool = False,
        learning_rate: float = 1e-3,
        num_learning_epochs: int = 1,
        num_mini_batches: int = 4,
        max_grad_norm: float = 1.0,
        huber_width: float = 0.0,
    ) -> None:
        """Build the optimiser; see `EstimatorCfg` for the numbers.

        Args:
            estimator: From history (B, ·) to velocity (B, 3).
            storage: Where the rollout is, with the observation groups `history` and `velocity`.
            group: Processes that learn together; its work is on this trainer's queue alone.
            device: Where the estimator lives.
            mixed_precision: See `AlgorithmCfg`.
            input_scaling: See `AlgorithmCfg`.
            learning_rate: Learning rate of the optimiser.
            num_learning_epochs: Passes over the rollout.
            num_mini_batches: Parts of a pass.
            max_grad_norm: Largest norm of a gradient.
            huber_width: See `EstimatorCfg`.
        """
        self.estimator, self.storage, self._group = estimator, storage, group
        self._mixed = mixed_precision
        self.epochs, self.mini_batches, self.max_grad_norm = num_learning_epochs, num_mini_batches, max_grad_norm
        self._huber_width = huber_width
        self.optimizer = make_adam(estimator.parameters(), learning_rate, device)
        self.guard = GuardedStep(self.optimizer, device)
        """Leaves out steps that are not finite."""
        self.scale = InputScale(estimator, device, input_scaling)
        self._branch = Branch(device)
        self._stepping = Graphed(self.step, device, copies=False)

    @property
    def steps(self) -> int:
        """Optimiser steps of an update."""
        return self.epochs * self.mini_batches

    def begin(self) -> torch.Tensor:
        """Learn from the stored rollout; returns the mean squared error [m^2/s^2], which is there after `join`."""
        with self._branch.fork():
            if self.scale.due:
                self.scale.measure(self.storage.observations["history"].flatten(0, 1), self._group)
            total = torch.zeros((), device=self.storage.device)
            for _ in range(self.epochs):
                for rows in shuffled(self.storage, self.mini_batches):
                    total += self._stepping(rows)
            return total / max(1, self.steps)

    def join(self) -> None:
        """Make all work queued from now on wait for the work that `begin` has queued."""
        self._branch.join()

    @tensor_cores()
    def step(self, rows: torch.Tensor) -> torch.Tensor:
        """Take one optimiser step on the samples `rows` (B,) of the rollout; returns the mean squared error."""
        history = self.storage.observations["history"].flatten(0, 1)
        velocity = self.storage.observations["velocity"].flatten(0, 1)
        estimate = forward(self.estimator, history[rows], self._mixed)
        error = (estimate - velocity[rows]).square().mean()
        loss = smooth_l1_loss(estimate, velocity[rows], beta=self._huber_width) if self._huber_width else error
        self.optimizer.zero_grad()
        loss.backward()
        loss, error = self._group.mean_gradients(self.estimator.parameters(), loss, error)
        norm = nn.utils.clip_grad_norm_(self.estimator.parameters(), self.max_grad_norm)
        with self.scale.steps():
            skipped = self.guard(loss, norm)
        return error.masked_fill(skipped > 0.0, 0.0)

    def load_optimizer(self, state: dict[str, Any]) -> None:
        """Load a saved state of the optimiser, which has new tensors afterwards."""
        load_adam(self.optimizer, state)
        self._stepping.forget()
