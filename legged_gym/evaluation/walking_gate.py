"""The walking gate beside training: checks from time to time whether the policy walks on nominal physics yet."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from legged_gym.evaluation.agents import PolicyAgent
from legged_gym.evaluation.metrics import Result
from legged_gym.evaluation.rows import GATE, passes_walking_gate, select_rows
from legged_gym.evaluation.suites import all_have_fallen, cannot_walk, evaluation_cfg, run_row

FIRST = 1.0
"""What an evaluation is taken to cost before the first one [s]."""


@dataclass(frozen=True)
class GateCfg:
    """When the gate is checked."""

    stop: bool = True
    """End training at the first policy that passes."""
    num_envs: int = 128
    """Robots that walk it: half as many as in `evaluate.py`, for the checks take a third of the time to the gate."""
    every_steps: int = 0
    """Robot-steps between two evaluations; 0: as often as `time_share` allows."""
    time_share: float = 0.25
    """Share of the time that evaluations may take in all: the fewer while the policy is far from walking, the more once
    it is near."""
    lost_pause: float = 0.15
    """Pause after an evaluation that was far from the gate, as a share of the time so far."""


class WalkingGate:
    """Evaluates a runner's policy on the `track` row; hook `check` into the runner's `after_iteration`.

    The results go to tensorboard as `Eval/...`. Training is not affected: its random numbers stay the same.
    """

    def __init__(self, runner: Any, make_env: Callable[[Any], Any], cfg: GateCfg, started: float) -> None:
        """Build the evaluation environment.

        Args:
            runner: The runner to watch.
            make_env: Builds an environment from a config.
            cfg: When to check.
            started: `time.time()` at which the clock began.
        """
        self.runner, self.cfg, self.started = runner, cfg, started
        devices = (runner.device, runner.env.device)
        self._gpus = [device for device in devices if torch.device(device).type == "cuda"]
        with torch.random.fork_rng(self._gpus):
            self.env = make_env(evaluation_cfg(runner.env.cfg, cfg.num_envs, seed=0))
        self.row = select_rows(["track"])[0]
        self.passed: dict[str, float] | None = None
        """For the first policy that passed: `seconds` and `steps` [robot-steps] since the start, `iteration`."""
        self.evaluation_time = 0.0
        """Time spent in evaluations [s]."""
        self._first_steps = self._last_steps = runner.logger.tot_timesteps  # not 0 if a run is gone on with
        self._began = self._last_time = time.time()
        self._lost = False

    def _due(self) -> bool:
        if self.cfg.every_steps:
            return self.runner.logger.tot_timesteps - self._last_steps >= self.cfg.every_steps
        now = time.time()
        if self._lost and now - self._last_time < self.cfg.lost_pause * (self._last_time - self._began):
            return False
        return self.evaluation_time + FIRST <= self.cfg.time_share * (now - self._began)

    def check(self, scalars: dict[str, float]) -> None:
        """Evaluate if it is time; the first policy that passes is noted, and ends the run if so configured."""
        if not self._due():
            return
        start = time.time()
        result = self._evaluate()
        self._last_time, self._last_steps = time.time(), self.runner.logger.tot_timesteps
        self._lost = cannot_walk(result)
        self.evaluation_time += self._last_time - start
        self._log(result)
        if self.passed is None and passes_walking_gate(result):
            steps, iteration = self._last_steps - self._first_steps, self.runner.current_learning_iteration
            self.passed = {"seconds": start - self.started, "steps": steps, "iteration": iteration}
            self.runner.interrupted = self.runner.interrupted or self.cfg.stop

    def _evaluate(self) -> Result:
        agent = PolicyAgent(self.runner.get_inference_policy(), self.runner.device)
        give_up = cannot_walk if self.cfg.stop else all_have_fallen  # curves want whole rows
        with torch.random.fork_rng(self._gpus):
            result = run_row(self.env, agent, self.row, seed=0, give_up=give_up)
        self.runner.alg.train_mode()
        return result

    def _log(self, result: Result) -> None:
        writer = self.runner.logger.writer
        for name, value in result.items():
            if writer is not None and value is not None:
                writer.add_scalar(f"Eval/{name}", value, self.runner.logger.tot_timesteps)
        shown = (f"{name} {result[name]:.2f}" for name in ("survival", *GATE) if result[name] is not None)
        print(f"walking gate: {'  '.join(shown)}", flush=True)

    def verdict(self) -> str:
        """Return one line: the time it took to pass, or that no policy passed."""
        if self.passed is None:
            steps = self.runner.logger.tot_timesteps - self._first_steps
            return f"walking gate not passed after {time.time() - self.started:.0f} s and {steps:,} robot-steps"
        return (
            f"walking gate passed after {self.passed['seconds']:.0f} s and {self.passed['steps']:,} robot-steps, "
            f"counted from the start of the process; {self.evaluation_time:.0f} s were evaluations"
        )
