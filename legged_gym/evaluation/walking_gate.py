"""The walking gate beside training: checks from time to time whether the policy walks on nominal physics yet."""

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from legged_gym.evaluation.judge_beside import JudgeBeside, JudgeLost, walk
from legged_gym.evaluation.metrics import Result
from legged_gym.evaluation.rows import GATE, passes_walking_gate, select_rows
from legged_gym.evaluation.suites import evaluation_cfg, far_from_walking
from legged_gym.utils.machine import torch_threads

PASSED = re.compile(r"walking gate passed after (\d+) s, by the policy of (\d+) s and ([\d,]+) robot-steps")
"""A verdict: seconds until a policy was known to walk, seconds and robot-steps until it was there."""
MISSED = re.compile(r"walking gate not passed after (\d+) s and ([\d,]+) robot-steps")
"""The other verdict."""
FIRST = 1.0
"""What an evaluation is taken to cost before the first one [s]."""


@dataclass(frozen=True)
class GateCfg:
    """When the gate is checked."""

    stop: bool = True
    """End training at the first policy that passes."""
    num_envs: int = 128
    """Robots that walk it: half as many as in `evaluate.py`, for a look must not take long."""
    every_steps: int = 0
    """Robot-steps between two evaluations; 0: as often as `time_share` allows, or beside training without a break."""
    time_share: float = 0.25
    """Share of the time that evaluations may take in all: the fewer while the policy is far from walking, the more once
    it is near."""
    lost_pause: float = 0.15
    """Pause after an evaluation that was far from the gate, as a share of the time so far."""


@dataclass(frozen=True)
class Look:
    """A policy that is judged, and where training was then."""

    began: float
    """`time.time()`."""
    steps: int
    """Robot-steps so far."""
    iteration: int
    """Iterations so far."""
    weights: dict[str, torch.Tensor] | None = None
    """The policy's, to return to if training goes on meanwhile."""


@dataclass
class Seat:
    """A process that judges, and what it does."""

    judge: JudgeBeside
    ready: bool = False
    """Its robots stand."""
    look: Look | None = None
    """What it judges."""

    @property
    def free(self) -> bool:
        """It can begin a look now."""
        return self.ready and self.look is None


class WalkingGate:
    """Evaluates a runner's policy on the `track` row; hook `check` and `finish` into the runner.

    Training waits for each look, or goes on while another process walks the robots. The results go to tensorboard as
    `Eval/...`. Training is not affected: its random numbers stay the same.
    """

    def __init__(
        self,
        runner: Any,
        make_env: Callable[[Any], Any],
        cfg: GateCfg,
        started: float,
        beside: Callable[[], Any] | None = None,
        judges: int = 1,
    ) -> None:
        """Build the evaluation environment, or start the processes that have one.

        Args:
            runner: The runner to watch.
            make_env: Builds an environment from a config.
            cfg: When to check.
            started: `time.time()` at which the clock began.
            beside: Builds an environment on the CPU, in another process, beside which training goes on. None: training
                waits.
            judges: Such processes, which look in turn.
        """
        self.runner, self.cfg, self.started = runner, cfg, started
        devices = (runner.device, runner.env.device)
        self._gpus = [device for device in devices if torch.device(device).type == "cuda"]
        self._make_env = make_env
        self.row = select_rows(["track"])[0]
        self._seats = [Seat(JudgeBeside(beside, self.row, cfg.stop)) for _ in range(judges)] if beside else []
        self._pause = 0.0
        """Time between the beginnings of two looks, for the processes to look evenly in turn [s]."""
        self._last_begun = 0.0
        if not self._seats:
            self._build()
        self.passed: dict[str, float] | None = None
        """For the first policy that passed: `trained` [s] and `steps` [robot-steps] until it was there, `seconds` until
        it was known to walk, both since the start; `iteration`."""
        self.evaluation_time = 0.0
        """Time that training has waited for evaluations [s]."""
        self._first_steps = self._last_steps = runner.logger.tot_timesteps  # not 0 if a run is gone on with
        self._began = self._last_time = time.time()
        self._lost = False

    def _build(self) -> None:
        """Build the environment in which training waits."""
        with torch.random.fork_rng(self._gpus):
            self.env = self._make_env(evaluation_cfg(self.runner.env.cfg, self.cfg.num_envs, seed=0))

    def check(self, scalars: dict[str, float]) -> None:
        """Evaluate if it is time; the first policy that passes is noted, and ends the run if so configured.

        To be called after each iteration.
        """
        if self.runner.interrupted:
            return
        if self._seats:
            self._hear()
            if self.cfg.every_steps and self._every():
                while self._seats and not any(seat.free for seat in self._seats) and not self.runner.interrupted:
                    self._wait(self._seats)
            self._look_beside()
            if self._seats:
                return
            print("so training waits while the walking gate is walked")
            self._build()
        if self._due():
            look = self._begin()
            self._note(look, self._evaluate())
            self.evaluation_time += self._last_time - look.began

    def finish(self) -> None:
        """Wait for the looks that have begun, unless the user has stopped training; call it before the last save."""
        self._hear()
        while not (self.cfg.stop and self.passed) and not self.runner.interrupted:
            looking = [seat for seat in self._seats if seat.look is not None]
            if not looking:
                return
            self._wait(looking)

    def _due(self) -> bool:
        """Say whether it is time for a look that training waits for."""
        if self.cfg.every_steps:
            return self._every()
        now = time.time()
        if self._lost and now - self._last_time < self.cfg.lost_pause * (self._last_time - self._began):
            return False
        return self.evaluation_time + FIRST <= self.cfg.time_share * (now - self._began)

    def _every(self) -> bool:
        return self.runner.logger.tot_timesteps - self._last_steps >= self.cfg.every_steps

    def _wait(self, seats: list[Seat]) -> None:
        """Let training wait until one of some processes has answered, then hear them all."""
        start = time.time()
        JudgeBeside.wait([seat.judge for seat in seats], until=lambda: self.runner.interrupted)
        self.evaluation_time += time.time() - start
        self._hear()

    def _hear(self) -> None:
        """Note the looks that have ended, the earliest first."""
        for seat in sorted(self._seats, key=lambda seat: seat.look.began if seat.look else 0.0):
            if seat.free:
                continue
            try:
                answer = seat.judge.answer()
            except JudgeLost as error:
                self._lose(seat, error)
                continue
            if answer is not None and seat.look is not None:
                self._pause = (time.time() - seat.look.began) / len(self._seats)
                self._note(seat.look, answer)
            if answer is not None:
                seat.ready, seat.look = True, None

    def _look_beside(self) -> None:
        """Let a process begin a look, if one is free and it is time."""
        seat = next((seat for seat in self._seats if seat.free), None)
        pause = 0.0 if self.cfg.every_steps else self._pause
        due = self._every() and time.time() >= self._last_begun + pause
        if seat is None or not due or self.runner.interrupted:
            return
        actor = self.runner.get_inference_policy()
        weights = {name: value.clone() for name, value in actor.state_dict().items()}
        try:
            seat.judge.begin(actor)
        except JudgeLost as error:
            self._lose(seat, error)
            return
        finally:
            self.runner.alg.train_mode()
        seat.look = self._begin(weights)
        self._last_begun = seat.look.began

    def _lose(self, seat: Seat, error: JudgeLost) -> None:
        """Go on without a process."""
        what = "a process for the walking gate" if seat.look is None else "a look at the walking gate beside training"
        print(f"note: {what} is lost ({error})")
        seat.judge.close()
        self._seats.remove(seat)

    def _begin(self, weights: dict[str, torch.Tensor] | None = None) -> Look:
        """Note where training is."""
        self._last_steps = self.runner.logger.tot_timesteps
        return Look(time.time(), self._last_steps, self.runner.current_learning_iteration, weights)

    def _evaluate(self) -> Result:
        """Walk the row while training waits."""
        actor = self.runner.get_inference_policy()
        with torch.random.fork_rng(self._gpus), torch_threads(1):  # so few robots walk an eighth slower with two
            result = walk(self.env, actor, self.row, self.runner.device, self.cfg.stop)
        self.runner.alg.train_mode()
        return result

    def _note(self, look: Look, result: Result) -> None:
        """Log what a look has shown; if its policy passed first, it is the run's, although training has gone on."""
        self._last_time = time.time()
        self._lost = far_from_walking(result)
        self._log(result)
        if self.passed is None and passes_walking_gate(result):
            self.passed = {
                "trained": look.began - self.started,
                "seconds": self._last_time - self.started,
                "steps": look.steps - self._first_steps,
                "iteration": look.iteration,
            }
            if self.cfg.stop:
                self.runner.interrupted = True
                if look.weights is not None:
                    self.runner.get_inference_policy().load_state_dict(look.weights)
                    self.runner.alg.train_mode()

    def _log(self, result: Result) -> None:
        """Write the curves, at the steps of now, for services refuse earlier ones; and a line."""
        writer = self.runner.logger.writer
        for name, value in result.items():
            if writer is not None and value is not None:
                writer.add_scalar(f"Eval/{name}", value, self.runner.logger.tot_timesteps)
        shown = (f"{name} {result[name]:.2f}" for name in ("survival", *GATE) if result[name] is not None)
        print(f"walking gate: {'  '.join(shown)}", flush=True)

    def close(self) -> None:
        """End the other processes."""
        for seat in self._seats:
            seat.judge.close()
        self._seats = []

    def verdict(self) -> str:
        """Return one line: the time it took to pass, or that no policy passed."""
        if self.passed is None:
            steps = self.runner.logger.tot_timesteps - self._first_steps
            return f"walking gate not passed after {time.time() - self.started:.0f} s and {steps:,} robot-steps"
        seconds, trained, steps = (self.passed[name] for name in ("seconds", "trained", "steps"))
        return (
            f"walking gate passed after {seconds:.0f} s, by the policy of {trained:.0f} s and {steps:,} robot-steps, "
            f"counted from the start of the process; training waited {self.evaluation_time:.0f} s for "
            "evaluations"
        )
