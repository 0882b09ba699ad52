"""Fits the learned offset to what the body did: stores rollouts, computes the losses, updates the network."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from legged_gym.teacher.config import OffsetCfg
from legged_gym.teacher.dcm_teacher import DcmTeacher, TeacherOutput
from legged_gym.teacher.losses import assign_touchdowns, follow_weight, magnitude_loss, stability_loss, tracking_loss
from legged_gym.teacher.preview import preview_steps


class OffsetTrainer:
    """Optimiser of a teacher's OffsetNetwork.

    Per policy step: `record`. When the rollout is full, or at any configured time: `update`. The stored tensors
    are plain ones, so rollouts may run under inference mode; the offsets are computed again for the update.

    Args:
        teacher: whose network is trained.
        num_steps: policy steps per rollout T.
    """

    def __init__(self, teacher: DcmTeacher, num_steps: int) -> None:
        self.teacher, self.num_steps = teacher, num_steps
        self.cfg: OffsetCfg = teacher.cfg.offset
        self.optimizer = torch.optim.Adam(teacher.network.parameters(), lr=self.cfg.learning_rate)
        like, n = teacher.geometry.abad_pos, teacher.num_envs
        widths = {"inputs": teacher.network.num_inputs, "applied": 2, "error": 2}
        self._data = {name: like.new_zeros(num_steps, n, width) for name, width in widths.items()}
        self._data |= {name: like.new_zeros(num_steps, n) for name in ("touchdown", "fresh", "trust", "follow")}
        self._step = 0

    def record(self, output: TeacherOutput, executed: Tensor) -> None:
        """Stores one policy step.

        Args:
            output: the teacher's output at the state the robots were in.
            executed: the actions that were executed there (N, A).
        """
        if self._step >= self.num_steps:
            raise RuntimeError(f"the rollout holds {self.num_steps} steps: call update() before recording more")
        k, data = self._step, self._data
        data["inputs"][k].copy_(output.inputs)
        data["applied"][k].copy_(output.offset)
        data["error"][k].copy_(output.touchdown_error)
        data["touchdown"][k].copy_(output.touchdown)
        data["fresh"][k].copy_(output.fresh)
        data["trust"][k].copy_(output.weight)
        data["follow"][k].copy_(follow_weight(executed, output.action, self.cfg.follow_scale))
        self._step += 1

    def update(self) -> dict[str, float]:
        """Trains on the recorded steps and forgets them; returns means to log."""
        steps, data = self._step, self._data
        error, touchdown, trust = data["error"][:steps], data["touchdown"][:steps], data["trust"][:steps]
        target, found = assign_touchdowns(error, touchdown, data["fresh"][:steps], trust)
        weight = (data["follow"][:steps] * trust * found).flatten()
        inputs, applied = data["inputs"][:steps].flatten(0, 1), data["applied"][:steps].flatten(0, 1)
        target = target.flatten(0, 1)
        logs: list[Tensor] = []
        for _ in range(self.cfg.epochs):
            order = torch.randperm(len(weight), device=weight.device)
            for batch in order.split(self.cfg.batch_size):
                logs.append(self._minibatch(inputs[batch], applied[batch], target[batch], weight[batch]))
        self._step = 0
        landed = touchdown * trust
        square = (landed * error.square().sum(dim=-1)).sum()
        means = torch.stack(logs).mean(dim=0).tolist() if logs else [0.0] * 6
        names = ("loss", "track", "magnitude", "preview", "vstab", "saturation")
        return dict(zip(names, means, strict=True)) | {
            "offset_abs": float(applied.norm(dim=-1).mean()),
            "offset_error_rms": float((square / landed.sum().clamp(min=1.0)).sqrt()),
            "touchdowns": float(touchdown.sum()),
        }

    def losses(self, inputs: Tensor, applied: Tensor, error: Tensor, weight: Tensor) -> dict[str, Tensor]:
        """The weighted loss ("loss") and its unweighted parts on a batch (B, ·) of plain tensors."""
        cfg, predictor = self.cfg, self.teacher.predictor
        offset = self.teacher.network(inputs)
        parts = {
            "track": tracking_loss(offset, applied, error, weight),
            "magnitude": magnitude_loss(offset, weight),
            "preview": offset.new_zeros(()),
            "vstab": offset.new_zeros(()),
        }
        if cfg.preview_steps > 0 and (cfg.w_preview > 0.0 or cfg.w_vstab > 0.0):
            ahead = preview_steps(
                self.teacher.network,
                inputs,
                (error + applied).t(),
                self.teacher.cfg.stepping,
                predictor.low,
                predictor.high,
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

    def _minibatch(self, inputs: Tensor, applied: Tensor, error: Tensor, weight: Tensor) -> Tensor:
        """One optimiser step; returns the detached losses (6,)."""
        losses = self.losses(inputs, applied, error, weight)
        self.optimizer.zero_grad()
        losses["loss"].backward()
        torch.nn.utils.clip_grad_norm_(self.teacher.network.parameters(), self.cfg.max_grad_norm)
        self.optimizer.step()
        return torch.stack([value.detach() for value in losses.values()])

    def state_dict(self) -> dict[str, Any]:
        """Network and optimiser, to be checkpointed."""
        return {"offset_network": self.teacher.network.state_dict(), "offset_optimizer": self.optimizer.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Inverse of `state_dict`."""
        self.teacher.network.load_state_dict(state["offset_network"])
        self.optimizer.load_state_dict(state["offset_optimizer"])
