"""Learns when a step should be shorter, and how high its foot should swing, from who fell after which step."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from legged_gym.teacher.config import StepChangeCfg
from legged_gym.teacher.dcm_teacher import DcmTeacher, TeacherOutput
from legged_gym.teacher.step_network import NUM_INPUTS, FallNetwork, StepNetwork
from legged_gym.utils.cuda_graph import load_adam, make_adam
from legged_gym.utils.finite import GuardedStep


class StepTrainer:
    """Trains a teacher's `StepNetwork` by the gradient of a learned value of falling.

    The LIP cannot tell what a shorter step does to a leg that saturates. So each step is changed at random in addition,
    and a `FallNetwork` is fitted to who fell within `horizon` of it. The step's own change then follows the gradient of
    that chance down:  min E[P(fall | o, u(o))] + w_effort |u / bound|^2.

    Per policy step: `explore`, the teacher's step, the environment's, `record`. When the rollout is full: `update`.

    Args:
        teacher: gets the network, and uses it from now on.
        num_steps: policy steps of a rollout T.
    """

    def __init__(self, teacher: DcmTeacher, num_steps: int) -> None:
        self.teacher, self.num_steps = teacher, num_steps
        self.cfg: StepChangeCfg = teacher.cfg.step_change
        template, n = teacher.geometry.abad_pos, teacher.num_envs
        self.network = teacher.step_network = StepNetwork(self.cfg).to(template)
        self.falls = FallNetwork(self.cfg).to(template)
        rate, device = self.cfg.learning_rate, template.device
        networks = {"step": self.network, "falls": self.falls}
        self._optimizers = {name: make_adam(each.parameters(), rate, device) for name, each in networks.items()}
        self._guarded_steps = {name: GuardedStep(each, device) for name, each in self._optimizers.items()}
        self._horizon = max(1, round(self.cfg.horizon / teacher.cfg.control.dt))
        self._open = self._horizon - 1
        rows = self._open + num_steps  # those of earlier rollouts whose outcome was open, then this one's
        self._inputs, self._change = template.new_zeros(rows, n, NUM_INPUTS), template.new_zeros(rows, n, 2)
        self._begun, self._fell, self._ended = (template.new_zeros(rows, n) for _ in range(3))
        self._step = 0
        self._known_inputs, self._known_change = template.new_zeros(0, NUM_INPUTS), template.new_zeros(0, 2)
        self._known_fell = template.new_zeros(0)

    def explore(self) -> None:
        """Draws what is added to the changes of steps that begin now."""
        draws = torch.randn_like(self.teacher.memory.change.t())
        self.teacher.exploration = self.cfg.exploration * self.falls.bound * draws

    def record(self, output: TeacherOutput, fell: Tensor, ended: Tensor) -> None:
        """Stores one policy step.

        Args:
            output: the teacher's.
            fell: robots that fell in the step (N,).
            ended: robots whose episode ended in it, by a fall or otherwise (N,).
        """
        if self._step >= self.num_steps:
            raise RuntimeError(f"the rollout holds {self.num_steps} steps: call update() before recording more")
        k = self._open + self._step
        for stored, given in (
            (self._inputs, output.step_inputs),
            (self._change, output.change),
            (self._begun, output.begun),
            (self._fell, fell),
            (self._ended, ended),
        ):
            stored[k].copy_(given)
        self._step += 1

    def update(self) -> dict[str, float]:
        """Trains on all steps so far whose outcome is known.

        Returns:
            Means to log: of the fit's loss, of the chance of a fall, of |u|, without what is added to explore [s, m].
        """
        fell, known = outcomes(self._fell, self._ended, self._horizon)
        over = slice(self.num_steps)
        chosen = ((self._begun * known)[over] > 0.0) & self._inputs[over].isfinite().all(-1)
        self._remember(self._inputs[over][chosen], self._change[over][chosen], fell[over][chosen])
        for stored in (self._inputs, self._change, self._begun, self._fell, self._ended):
            stored[: self._open] = stored[self.num_steps :].clone()
        self._step = 0
        count = len(self._known_fell)
        device, kept = self._known_fell.device, self._known_inputs
        total = torch.zeros(2, device=device)
        for _ in range(self.cfg.updates if count else 0):
            rows = torch.randint(count, (min(self.cfg.batch_size, count),), device=device)
            total += torch.stack(self._fit(kept[rows], self._known_change[rows], self._known_fell[rows]))
        with torch.no_grad():
            time, height = self.network(kept).abs().sum(0).tolist()
        loss, chance = (total / self.cfg.updates).tolist()
        return {
            "step_loss": loss,
            "step_chance": chance,
            "step_time": time / max(count, 1),
            "step_height": height / max(count, 1),
            "steps_known": float(count),
        }

    def _remember(self, *new: Tensor) -> None:
        """Adds steps to those that are known, and forgets the oldest."""
        old = self._known_inputs, self._known_change, self._known_fell
        kept = (torch.cat(pair)[-self.cfg.kept :] for pair in zip(old, new, strict=True))
        self._known_inputs, self._known_change, self._known_fell = kept

    def _fit(self, inputs: Tensor, taken: Tensor, fell: Tensor) -> tuple[Tensor, Tensor]:
        """One step of each optimiser; returns the loss of the fit, and the chance of a fall with the steps of now."""
        loss = binary_cross_entropy_with_logits(self.falls(inputs, taken), fell)
        self._descend("falls", self.falls, loss)
        change = self.network(inputs)
        chance = self.falls(inputs, change).sigmoid().mean()
        effort = (change / self.falls.bound).square().sum(-1).mean()
        self._descend("step", self.network, chance + self.cfg.w_effort * effort)
        return loss.detach().float(), chance.detach().float()

    def _descend(self, name: str, network: nn.Module, loss: Tensor) -> None:
        """One step of an optimiser, left out if loss or gradients are not finite."""
        self._optimizers[name].zero_grad()
        loss.backward()
        norm = nn.utils.clip_grad_norm_(network.parameters(), math.inf)
        self._guarded_steps[name](loss, norm)

    def state_dict(self) -> dict[str, Any]:
        """Networks and optimisers, to be checkpointed."""
        state = {f"{name}_optimizer": optimizer.state_dict() for name, optimizer in self._optimizers.items()}
        return state | {"step_network": self.network.state_dict(), "fall_network": self.falls.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Inverse of `state_dict`; steps that were remembered are not in it."""
        self.network.load_state_dict(state["step_network"])
        self.falls.load_state_dict(state["fall_network"])
        for name, optimizer in self._optimizers.items():
            load_adam(optimizer, state[f"{name}_optimizer"])


def outcomes(fell: Tensor, ended: Tensor, horizon: int) -> tuple[Tensor, Tensor]:
    """Tells for each policy step whether the robot fell within a horizon of it.

    Args:
        fell: robots that fell in each policy step (T, N), 0 or 1.
        ended: robots whose episode ended in it (T, N), 0 or 1.
        horizon: policy steps, this one included.

    Returns:
        1 where it fell (T, N), and 1 where that is known: where the episode did not end otherwise, nor the record.
    """
    outcome, known = torch.zeros_like(fell), torch.zeros_like(fell)
    until = torch.full_like(fell[0], float(horizon))  # policy steps to the end of the episode
    by_fall = torch.zeros_like(fell[0])
    for k in reversed(range(len(fell))):
        until = torch.where(ended[k] > 0.0, 0.0, until + 1.0)
        by_fall = torch.where(ended[k] > 0.0, fell[k], by_fall)
        soon = until < horizon
        outcome[k] = torch.where(soon, by_fall, 0.0)
        known[k] = torch.where(soon, by_fall, float(k + horizon <= len(fell)))
    return outcome, known
