"""Fits the learned offset to what the body did: stores rollouts, computes the losses, updates the network."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from legged_gym.teacher.config import OffsetCfg
from legged_gym.teacher.dcm_teacher import DcmTeacher, TeacherOutput
from legged_gym.teacher.losses import assign_touchdowns, follow_weight, magnitude_loss, stability_loss, tracking_loss
from legged_gym.teacher.preview import preview_steps
from legged_gym.utils.checkpoint import check_alike
from legged_gym.utils.cuda_graph import Graphed, adam_tensors, load_adam, make_adam
from legged_gym.utils.distributed import ALONE, Group
from legged_gym.utils.finite import GuardedStep

LONGEST_STEP = 0.5
"""For how long a policy step waits for the touchdown that it leads to [s]; longer than any step."""


class OffsetTrainer:
    """Optimiser of a teacher's OffsetNetwork.

    A sample is trained on once its touchdown is there. What has none yet when `update` is called is kept for the next
    one, so that updates may be due at any time, after each policy step even, and no sample is lost.

    Per policy step: `record`. When the rollout is full, or at any configured time: `update`. The stored tensors
    are plain ones, so rollouts may run under inference mode; the offsets are computed again for the update, which
    waits for the device only where its results are read.

    Args:
        teacher: whose network is trained.
        num_steps: policy steps per rollout T.
        group: processes that train the same network, each on its own robots.
    """

    def __init__(self, teacher: DcmTeacher, num_steps: int, group: Group = ALONE) -> None:
        self.teacher, self.num_steps = teacher, num_steps
        self._group = group.branch()
        self.cfg: OffsetCfg = teacher.cfg.offset
        template, n = teacher.geometry.abad_pos, teacher.num_envs
        rate = template.new_tensor(self.cfg.learning_rate)  # a tensor, which recorded steps read anew
        self.optimizer = make_adam(teacher.network.parameters(), rate, template.device)
        self._guarded_step = GuardedStep(self.optimizer, template.device)
        self._kept = math.ceil(LONGEST_STEP / teacher.cfg.control.dt)
        rows = self._kept + num_steps  # those of earlier rollouts that may still wait, then this one's
        widths = {"inputs": teacher.network.num_inputs, "applied": 2, "error": 2, "target": 2}
        self._data = {name: template.new_zeros(rows, n, width) for name, width in widths.items()}
        self._data |= {
            name: template.new_zeros(rows, n)
            for name in ("touchdown", "fresh", "trust", "steady", "follow", "weight", "taught")
        }
        self._data["inputs"].copy_(teacher.network.mean)  # what is not there yet weighs nothing, but is computed
        self._assigning = Graphed(self._assign, template.device)
        self._fitting = Graphed(self._minibatch, template.device)
        self._step = 0

    def record(self, output: TeacherOutput, executed: Tensor) -> None:
        """Stores one policy step.

        Args:
            output: the teacher's output at the state the robots were in.
            executed: the actions that were executed there (N, A).
        """
        if self._step >= self.num_steps:
            raise RuntimeError(f"the rollout holds {self.num_steps} steps: call update() before recording more")
        k, data = self._kept + self._step, self._data
        data["inputs"][k].copy_(output.inputs)
        data["applied"][k].copy_(output.offset)
        data["error"][k].copy_(output.touchdown_error)
        data["touchdown"][k].copy_(output.touchdown)
        data["fresh"][k].copy_(output.fresh)
        data["trust"][k].copy_(output.weight)
        data["steady"][k].copy_(output.steady)
        data["taught"][k].zero_()
        data["follow"][k].copy_(follow_weight(executed, output.action, self.cfg.follow_scale))
        self._step += 1

    def anneal(self, share: float) -> None:
        """Sets the learning rate to a share of the configured one."""
        for group in self.optimizer.param_groups:
            group["lr"].fill_(share * self.cfg.learning_rate)

    def update(self) -> dict[str, float]:
        """Trains on the recorded steps and forgets them; returns means to log."""
        return self.read(self.fit())

    def fit(self) -> Tensor:
        """Trains on the recorded steps and forgets them, without waiting; returns what `read` takes."""
        steps, data, cfg, kept = self._step, self._data, self.cfg, self._kept
        for name in ("touchdown", "trust"):
            data[name][kept + steps :].zero_()  # of an earlier rollout
        self._assigning()
        samples = (kept + steps) * self.teacher.num_envs
        parts = min(cfg.num_mini_batches, samples)
        size = min(samples // max(parts, 1), cfg.batch_size)
        total = data["error"].new_zeros(6)
        for _ in range(cfg.epochs):
            for rows in self._shuffled(parts, size):
                total += self._fitting(rows)
        new = slice(kept, kept + steps)
        landed = (data["touchdown"] * data["trust"] * data["steady"])[new]
        square = (landed * data["error"][new].square().sum(dim=-1)).sum()
        means = total / max(1, cfg.epochs * parts)
        size_of_offset = data["applied"][new].norm(dim=-1).sum() / max(1, steps * self.teacher.num_envs)
        seen = torch.stack((size_of_offset / self._group.size, square, landed.sum(), data["touchdown"][new].sum()))
        size_of_offset, square, count, touchdowns = self._group.sum(seen)
        for values in data.values():
            values[:kept] = values[steps : steps + kept].clone()
        self._step = 0
        return torch.stack((*means, size_of_offset, (square / count.clamp(min=1.0)).sqrt(), touchdowns))

    def _shuffled(self, parts: int, size: int) -> Tensor:
        """Deals samples out at random, those that teach something first and evenly. Shape (parts, size)."""
        weight = self._data["weight"].flatten()
        order = (torch.rand_like(weight) + (weight > 0.0)).argsort(descending=True)
        return order[: parts * size].view(size, parts).t()

    def read(self, means: Tensor) -> dict[str, float]:
        """Names what `fit` returned."""
        losses = ("loss", "track", "magnitude", "preview", "vstab", "saturation")
        names = (*losses, "offset_abs", "offset_error_rms", "touchdowns")
        return dict(zip(names, means.tolist(), strict=True))

    def losses(self, inputs: Tensor, applied: Tensor, error: Tensor, weight: Tensor) -> dict[str, Tensor]:
        """The weighted loss ("loss") and its unweighted parts on a batch (B, ·) of plain tensors."""
        cfg = self.cfg
        offset = self.teacher.network(inputs)
        parts = {
            "track": tracking_loss(offset, applied, error, weight),
            "magnitude": magnitude_loss(offset, weight),
            "preview": offset.new_zeros(()),
            "vstab": offset.new_zeros(()),
        }
        if cfg.preview_steps > 0 and (cfg.w_preview > 0.0 or cfg.w_vstab > 0.0):
            network = self.teacher.network
            ahead = preview_steps(
                network.unpack(inputs),
                lambda parts: network(network.pack(parts)).t(),
                (error + applied).t(),
                self.teacher.predictor,
                cfg.preview_steps + 1,
            )
            for step in list(ahead)[1:]:
                zero = torch.zeros_like(offset)
                parts["preview"] = (
                    parts["preview"] + tracking_loss(zero, zero, step.error.t(), weight) / cfg.preview_steps
                )
                parts["vstab"] = parts["vstab"] + stability_loss(step.landed.t(), step.capture_radius, weight)
        weights = {"track": cfg.w_track, "magnitude": cfg.w_mag, "preview": cfg.w_preview, "vstab": cfg.w_vstab}
        total = sum((weights[name] * value for name, value in parts.items()), offset.new_zeros(()))
        saturation = (offset.abs() > 0.9 * cfg.max_offset).to(offset.dtype).mean()
        return {"loss": total, **parts, "saturation": saturation}

    def _assign(self) -> None:
        """Completes each recorded step by the touchdown that followed and by its weight: 0 if it taught before."""
        data = self._data
        landed = data["trust"] * data["steady"]
        target, found = assign_touchdowns(data["error"], data["touchdown"], data["fresh"], landed)
        data["target"].copy_(target)
        data["weight"].copy_(data["follow"] * data["trust"] * found * (1.0 - data["taught"]))
        data["taught"].copy_(torch.maximum(data["taught"], (found > 0.0).to(found.dtype)))

    def _minibatch(self, rows: Tensor) -> Tensor:
        """One optimiser step on the samples `rows` (B,); returns the detached losses (6,), "loss" first.

        They are means by the samples' weights, and so are those over several processes.
        """
        names = ("inputs", "applied", "target", "weight")
        losses = self.losses(*(self._data[name].flatten(0, 1)[rows] for name in names))
        self.optimizer.zero_grad()
        losses["loss"].backward()
        weight = self._data["weight"].flatten()[rows].sum()
        means = self._group.mean_gradients(self.teacher.network.parameters(), *losses.values(), weight=weight)
        norm = torch.nn.utils.clip_grad_norm_(self.teacher.network.parameters(), self.cfg.max_grad_norm)
        skipped = self._guarded_step(means[0], norm)
        return means.masked_fill(skipped > 0.0, 0.0)

    def read_skipped(self) -> int:
        """Optimiser steps left out since the last call because something was not finite; waits for the device."""
        skipped = int(self._guarded_step.skipped.item())
        self._guarded_step.clear()
        return skipped

    def state_tensors(self) -> dict[str, Tensor]:
        """All tensors that training changes, by name."""
        named = self.teacher.network.state_dict(keep_vars=True)
        return {f"offset.{name}": value for name, value in named.items()} | adam_tensors(
            self.optimizer, "offset_optimizer"
        )

    def exact_state(self) -> dict[str, Any]:
        """The steps recorded so far and those that wait for their touchdown, in place."""
        rows = slice(self._kept + self._step)
        return {"step": self._step} | {name: values[rows] for name, values in self._data.items()}

    def load_exact_state(self, state: dict[str, Any]) -> None:
        """Inverse of `exact_state`.

        Raises:
            ValueError: It was recorded in rollouts of another length, or of another number of robots.
        """
        step, longest = state["step"], len(self._data["inputs"]) - self._kept
        if not isinstance(step, int) or not 0 <= step <= longest:
            raise ValueError(f"offset.step is {step!r:.40}, expected one of 0 to {longest}")
        recorded = {name: values[: self._kept + step] for name, values in self._data.items()}
        check_alike({name: state[name] for name in recorded}, recorded, "offset")
        self._step = step
        for name, values in self._data.items():
            values[: self._kept + self._step].copy_(state[name])

    def state_dict(self) -> dict[str, Any]:
        """Network and optimiser, to be checkpointed."""
        return {"offset_network": self.teacher.network.state_dict(), "offset_optimizer": self.optimizer.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Inverse of `state_dict`."""
        self.teacher.network.load_state_dict(state["offset_network"])
        load_adam(self.optimizer, state["offset_optimizer"])
        self._fitting.forget()
