"""Standalone training of the teacher's offset Δξ: all robots are driven by the teacher, no policy is involved."""

import time
from pathlib import Path
from typing import Any

import torch
from torch.utils.tensorboard import SummaryWriter

from legged_gym.runners.teachers import load_offset, make_teacher, refusing_other_steps
from legged_gym.teacher.config import DcmCfg
from legged_gym.teacher.offset_trainer import OffsetTrainer
from legged_gym.teacher.step_trainer import StepTrainer
from legged_gym.utils.checkpoint import save_atomically
from legged_gym.utils.errors import UserError

SAVE_SECONDS = 45.0
"""Longest time between two checkpoints [s]."""


class TeacherRunner:
    """Drives the robots of an environment by the teacher and fits Δξ to how they land.

    Args:
        env: The environments (`VecEnv` with the observation group `teacher`).
        cfg: The teacher's parameters; `cfg.offset.enabled` is switched on.
        num_steps: Policy steps per rollout.
        log_dir: Where events and `offset_<iteration>.pt` go; None writes nothing.
        device: Where the teacher lives.
        learn_steps: Learn changes of step time and swing height, too.
    """

    def __init__(
        self,
        env: Any,
        cfg: DcmCfg,
        num_steps: int,
        log_dir: Path | None,
        device: str = "cpu",
        learn_steps: bool = False,
    ) -> None:
        cfg.offset.enabled = True
        self.env, self.num_steps, self.log_dir = env, num_steps, log_dir
        self.teacher = make_teacher(cfg, env, device)
        self.trainer = OffsetTrainer(self.teacher, num_steps)
        self.step_trainer = StepTrainer(self.teacher, num_steps) if learn_steps else None
        self.iteration = 0
        self.interrupted = False
        """Set from outside (a signal handler, say) to stop after the current iteration."""
        self._writer: SummaryWriter | None = None
        self._saved = time.monotonic()

    def load(self, path: str | Path) -> None:
        """Goes on from a saved offset."""
        data = load_offset(path, self.teacher.network, self.teacher.geometry.abad_pos.device, trains=True)
        self.trainer.load_state_dict(data)
        if "step_network" in data:
            if self.step_trainer is None:
                raise UserError(f"{path}: has learned step times, too: go on with --learn_steps")
            with refusing_other_steps(path):
                self.step_trainer.load_state_dict(data)
        self.iteration = int(data.get("iteration", 0))

    def save(self, path: Path) -> None:
        """Writes offset network, optimiser and iteration."""
        steps = {} if self.step_trainer is None else self.step_trainer.state_dict()
        save_atomically({**self.trainer.state_dict(), **steps, "iteration": self.iteration}, path)

    def learn(self, iterations: int, save_interval: int = 50) -> dict[str, float]:
        """Trains for a number of rollouts at a falling rate; saves at the ends of iterations, also of the last one.

        Returns:
            The scalars of the last iteration.
        """
        if self.log_dir is not None:
            self._writer = SummaryWriter(str(self.log_dir))
        scalars: dict[str, float] = {}
        start, first = time.perf_counter(), self.iteration
        obs = self.env.reset()
        try:
            while self.iteration < first + iterations and not self.interrupted:
                obs, falls = self._collect(obs)
                self.trainer.anneal(1.0 - (self.iteration - first) / iterations)
                scalars = self.trainer.update() | {"falls": falls}
                scalars |= {} if self.step_trainer is None else self.step_trainer.update()
                self.iteration += 1
                self._report(scalars, first, iterations, time.perf_counter() - start)
                if self.iteration % save_interval == 0 or time.monotonic() - self._saved > SAVE_SECONDS:
                    self._save_checkpoint()
            self._save_checkpoint(last=True)
        finally:
            if self._writer is not None:
                self._writer.close()
        return scalars

    @torch.inference_mode()
    def _collect(self, obs: Any) -> tuple[Any, float]:
        """One rollout; returns the last observations and the share of robots that fell in it."""
        fallen = torch.zeros(self.env.num_envs, device=self.env.device)
        for _ in range(self.num_steps):
            if self.step_trainer is not None:
                self.step_trainer.explore()
            output = self.teacher.step(obs["teacher"].to(self.teacher.geometry.abad_pos.device))
            self.trainer.record(output, output.action)
            if self.teacher.cfg.timing.enabled:
                self.env.shift_gait_clock(output.clock_shift.to(self.env.device))
            obs, _, dones, extras = self.env.step(output.action.to(self.env.device))
            fell = dones.float() * (1.0 - extras["time_outs"].float())
            fallen = torch.maximum(fallen, fell)
            if self.step_trainer is not None:
                self.step_trainer.record(output, fell, dones.float())
        return obs, float(fallen.mean())

    def _report(self, scalars: dict[str, float], first: int, iterations: int, elapsed: float) -> None:
        """A progress line, and all scalars to tensorboard."""
        done = self.iteration - first
        left = elapsed / done * (iterations - done)
        speed = done * self.num_steps * self.env.num_envs / elapsed
        error, size = 100.0 * scalars["offset_error_rms"], 100.0 * scalars["offset_abs"]
        print(
            f"{self.iteration:5d}  loss {scalars['loss']:.2e}  DCM offset error {error:.2f} cm  |Δξ| {size:.2f} cm  "
            f"saturated {scalars['saturation']:.0%}  falls {scalars['falls']:.1%}  {speed:.0f} steps/s  {left:.0f} s",
            flush=True,
        )
        if self._writer is not None:
            for name, value in scalars.items():
                self._writer.add_scalar(f"Offset/{name}", value, self.iteration)

    def _save_checkpoint(self, last: bool = False) -> None:
        """Writes `offset_<iteration>.pt`, unless it is there; a full disk is an error only at the end of the run."""
        self._saved = time.monotonic()
        path = None if self.log_dir is None else self.log_dir / f"offset_{self.iteration}.pt"
        if path is None or path.exists():
            return
        try:
            self.save(path)
        except OSError as error:
            if last:
                raise UserError(f"{path}: cannot be written ({error.strerror or error})") from None
            print(f"warning: no checkpoint: {path}: cannot be written ({error.strerror or error})", flush=True)
