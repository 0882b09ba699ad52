"""Fits the learned offset to what the body did: stores rollouts, computes the losses, updates the network."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from legged_gym.teacher.config import OffsetCfg
from legged_gym.teacher.dcm_teacher import DcmTeacher, TeacherOutput
from legged_gym.teacher.losses import (
    assign_touchdowns,
    follow_weight,
    landing_cost,
    magnitude_loss,
    stability_loss,
    tracking_loss,
    weighted_mean,
)
from legged_gym.teacher.preview import preview_steps
from legged_gym.teacher.timing import viability_distance
from legged_gym.utils.checkpoint import check_alike
from legged_gym.utils.cuda_graph import Graphed, adam_tensors, load_adam, make_adam
from legged_gym.utils.distributed import ALONE, Group
from legged_gym.utils.finite import GuardedStep

LOSSES = ("loss", "track", "magnitude", "preview", "vstab", "stability", "saturation")
"""What `OffsetTrainer.losses` returns, in order."""
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
        widths = {"inputs": teacher.network.num_inputs, "applied": 2, "limited": 2, "error": 2, "target": 4}
        self._data = {name: template.new_zeros(rows, n, width) for name, width in widths.items()}
        self._data |= {
            name: template.new_zeros(rows, n)
            for name in ("touchdown", "fresh", "trust", "steady", "follow", "weight", "any_weight", "taught")
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
        data["limited"][k].copy_(output.limited)
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
        total = data["error"].new_zeros(len(LOSSES))
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
        weight = self._counting().flatten()
        order = (torch.rand_like(weight) + (weight > 0.0)).argsort(descending=True)
        return order[: parts * size].view(size, parts).t()

    def _counting(self) -> Tensor:
        """Weights (rows, N), 0 of samples that teach nothing."""
        return self._data["any_weight" if self.cfg.w_stability > 0.0 else "weight"]

    def read(self, means: Tensor) -> dict[str, float]:
        """Names what `fit` returned."""
        names = (*LOSSES, "offset_abs", "offset_error_rms", "touchdowns")
        return dict(zip(names, means.tolist(), strict=True))

    def losses(
        self, inputs: Tensor, applied: Tensor, limited: Tensor, target: Tensor, weight: Tensor, any_weight: Tensor
    ) -> dict[str, Tensor]:
        """The weighted loss ("loss") and its unweighted parts on a batch (B, ·) of plain tensors.

        `target` holds e_n of the touchdown that followed, and the same against the b that +-dv did not limit (B, 4).
        `weight` leaves out states where the LIP does not hold, `any_weight` counts them like all others.
        """
        cfg = self.cfg
        offset = self.teacher.network(inputs)
        error, delta = target.split(2, dim=-1)
        parts = {
            "track": tracking_loss(offset, applied, error, weight),
            "magnitude": magnitude_loss(offset, weight),
            "preview": offset.new_zeros(()),
            "vstab": offset.new_zeros(()),
            "stability": offset.new_zeros(()),
        }
        if cfg.preview_steps > 0 and (cfg.w_preview > 0.0 or cfg.w_vstab > 0.0):
            parts |= self._previewed(inputs, applied, error, weight)
        if cfg.w_stability > 0.0:
            parts["stability"] = self._stability(inputs, applied, limited, delta, any_weight)
        weights = {
            "track": cfg.w_track,
            "magnitude": cfg.w_mag,
            "preview": cfg.w_preview,
            "vstab": cfg.w_vstab,
            "stability": cfg.w_stability,
        }
        total = sum((weights[name] * value for name, value in parts.items()), offset.new_zeros(()))
        saturation = (offset.abs() > 0.9 * cfg.max_offset).to(offset.dtype).mean()
        return {"loss": total, **parts, "saturation": saturation}

    def _offset(self, parts: dict[str, Tensor]) -> Tensor:
        """The network's offset (2, B) [m] of named inputs."""
        network = self.teacher.network
        return network(network.pack(parts)).t()

    def _previewed(self, inputs: Tensor, applied: Tensor, error: Tensor, weight: Tensor) -> dict[str, Tensor]:
        """Of the steps after the present one: mean of the squared DCM offset error, and sum of V_stab."""
        disturbances = [(error + applied).t()] * (self.cfg.preview_steps + 1)
        start = self.teacher.network.unpack(inputs)
        start["wanted"] = start["command"][:2]
        _, *steps = preview_steps(start, self._offset, disturbances, self.teacher.predictor)
        zero = torch.zeros_like(error)
        errors = [tracking_loss(zero, zero, step.error.t(), weight) for step in steps]
        margins = [stability_loss(step.landed.t(), step.capture_radius, weight) for step in steps]
        return {"preview": torch.stack(errors).mean(), "vstab": torch.stack(margins).sum()}

    def _stability(self, inputs: Tensor, applied: Tensor, limited: Tensor, delta: Tensor, weight: Tensor) -> Tensor:
        """J: what the landing that was recorded costs, and those that would follow.

        The recorded one is moved by as much as the network's offset moves the foothold inside the box. From there the
        stepping law goes on with the network in the loop, and each landing has the residual of another sample.
        """
        cfg, predictor = self.cfg, self.teacher.predictor
        start = self.teacher.network.unpack(inputs)
        start["wanted"] = start["velocity"] - limited.t()
        gait = predictor.gaits(start["omega"], start["duration"])
        landed = delta.t() + gait.offset(start["wanted"])
        foothold = predictor.reach.box(start["plan"] + applied.t())
        residual = landed - (start["plan"] + gait.offset(start["velocity"]) - foothold)
        others = residual.clamp(-cfg.outlier, cfg.outlier)
        residuals = [residual, *(others.roll(k, dims=1) for k in range(1, cfg.preview_steps + 1))]
        total, share = delta.new_zeros(()), 1.0
        for step in preview_steps(start, self._offset, residuals, predictor):
            wanted = step.parts["wanted"]
            stride = step.foothold - predictor.stride_in_place
            cost = landing_cost(
                (step.landed - gait.offset(wanted)).t(),
                (stride / start["duration"] - wanted).t(),
                self._viability(step.landed, start["omega"]),
                cfg,
            )
            total, share = total + share * weighted_mean(cost, weight), share * cfg.discount
        return total

    def _viability(self, landed: Tensor, omega: Tensor) -> Tensor:
        """Signed distance of the DCM relative to the landing foot (2, B) to the bounds of viability (B,) [m]."""
        cfg = self.teacher.cfg
        return viability_distance(landed, omega, cfg.stepping, cfg.timing.min_step)

    def _assign(self) -> None:
        """Completes each recorded step by the touchdown that followed and by its weights: 0 if it taught before.

        Of the touchdown: e_n, and the same against the b that v_ref is on the way to.
        """
        data = self._data
        errors = torch.cat((data["error"], data["error"] + self._limited_offset()), dim=-1)
        target, landed = assign_touchdowns(errors, data["touchdown"], data["fresh"], data["steady"])
        _, trusted = assign_touchdowns(data["error"], data["touchdown"], data["fresh"], data["trust"] * data["steady"])
        data["target"].copy_(target)
        data["any_weight"].copy_(data["follow"] * landed * (1.0 - data["taught"]))
        data["weight"].copy_(data["follow"] * data["trust"] * trusted * (1.0 - data["taught"]))
        data["taught"].copy_(torch.maximum(data["taught"], (landed > 0.0).to(landed.dtype)))

    def _limited_offset(self) -> Tensor:
        """b of v_ref minus the b it is on the way to, as planned before each step's evaluation (rows, N, 2) [m]."""
        rows, num, _ = self._data["inputs"].shape
        parts = self.teacher.network.unpack(self._data["inputs"].flatten(0, 1))
        per_speed = self.teacher.predictor.gaits(parts["omega"], parts["duration"]).per_speed
        return (self._data["limited"] * per_speed.view(rows, num, 1)).roll(1, dims=0)

    def _minibatch(self, rows: Tensor) -> Tensor:
        """One optimiser step on the samples `rows` (B,); returns the detached `LOSSES`.

        They are means by the samples' weights, and so are those over several processes.
        """
        names = ("inputs", "applied", "limited", "target", "weight", "any_weight")
        losses = self.losses(*(self._data[name].flatten(0, 1)[rows] for name in names))
        self.optimizer.zero_grad()
        losses["loss"].backward()
        weight = self._counting().flatten()[rows].sum()
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
