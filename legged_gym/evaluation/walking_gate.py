"""The walking gate beside training: looks from time to time whether the policy walks on nominal physics yet."""

import time
from collections.abc import Callable
from typing import Any

import torch
from tensordict import TensorDict

from legged_gym.evaluation.suites import (
    GATE_SURVIVAL,
    Result,
    evaluation_cfg,
    passes_walking_gate,
    run_row,
    select_rows,
)


class PolicyAgent:
    """A policy that is still being trained, as an `Agent`."""

    def __init__(self, policy: Callable[[TensorDict], torch.Tensor], device: str) -> None:
        """Keep the policy, which lives on `device`."""
        self.policy, self.device = policy, device

    def reset(self, seed: int) -> None:
        """See `Agent.reset`."""

    def act(self, obs: TensorDict) -> torch.Tensor:
        """See `Agent.act`."""
        return self.policy(obs.to(self.device)).to(obs.device)


class WalkingGate:
    """Stops a runner at the first policy that passes the walking gate."""

    def __init__(
        self,
        runner: Any,
        make_env: Callable[[Any], Any],
        num_envs: int = 256,
        interval: float = 5.0,
        max_fall_rate: float = 0.02,
        started: float | None = None,
    ) -> None:
        """Prepare the evaluation environment.

        Args:
            runner: The runner to watch; hook this object's `check` into its `after_iteration`.
            make_env: Builds an environment from a config.
            num_envs: Robots that walk the gate.
            interval: Shortest time between two evaluations [s].
            max_fall_rate: Falls per second and robot in training above which an evaluation would be a waste [1/s].
            started: `time.time()` at the start of the clock; now if None.
        """
        self.runner = runner
        cfg = evaluation_cfg(runner.env.cfg, num_envs, seed=0)
        random_state = torch.get_rng_state()  # a new environment seeds torch: training must not notice
        self.env = make_env(cfg)
        torch.set_rng_state(random_state)
        self.row = select_rows(["track"])[0]
        self.interval, self.max_fall_rate = interval, max_fall_rate
        self.started = time.time() if started is None else started
        self.result: Result | None = None
        """The row of the first policy that passed."""
        self.seconds = 0.0
        """Time from the start to that policy, evaluations included [s]."""
        self.evaluation_time = 0.0
        """Part of it that went into evaluations [s]."""
        self._last = time.time()

    def check(self, scalars: dict[str, float]) -> None:
        """Evaluate if it is time and training looks like walking; end the run when the gate is passed."""
        if scalars["Episode/fall_rate"] > self.max_fall_rate or time.time() - self._last < self.interval:
            return
        start = time.time()
        random_state = torch.get_rng_state()
        agent = PolicyAgent(self.runner.get_inference_policy(), self.runner.device)
        result = run_row(self.env, agent, self.row, seed=0, give_up=GATE_SURVIVAL - 1e-6)
        self.runner.alg.train_mode()
        torch.set_rng_state(random_state)
        self._last = time.time()
        self.evaluation_time += self._last - start
        errors = "  ".join(f"{name} {value:.2f}" for name, value in result.items() if name.startswith("rmse") and value)
        print(f"walking gate: survival {result['survival']:.3f}  {errors}", flush=True)
        if passes_walking_gate(result):
            self.result, self.seconds = result, start - self.started
            self.runner.interrupted = True

    def verdict(self) -> str:
        """Return one line: how long it took, or that it did not happen."""
        steps = self.runner.logger.tot_timesteps
        if self.result is None:
            return f"walking gate not passed after {time.time() - self.started:.0f} s and {steps:,} robot-steps"
        return (
            f"walking gate passed after {self.seconds:.0f} s and {steps:,} robot-steps "
            f"({self.evaluation_time:.0f} s of evaluations included)"
        )
