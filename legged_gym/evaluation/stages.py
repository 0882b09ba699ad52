"""Where the time of a training run goes, by stage: measured from outside, so that training knows nothing of it."""

import functools
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch

from legged_gym.algorithms.estimator_trainer import EstimatorTrainer
from legged_gym.algorithms.ppo import PPO
from legged_gym.envs.base.legged_robot import LeggedRobot
from legged_gym.evaluation.walking_gate import WalkingGate
from legged_gym.runners.checkpoints import Checkpoints
from legged_gym.runners.denoising import Denoiser
from legged_gym.runners.logger import Logger
from legged_gym.runners.on_policy_runner import OnPolicyRunner
from legged_gym.runners.teacher_in_loop import TeacherInLoop
from legged_gym.utils.cuda_graph import Graphed

REST = "the rest"
"""What happens outside all stages."""
LEARNING = {"_learn": "learning: policy and value", "_imitate": "learning: imitation of past rollouts"}
"""Functions of PPO that may be recorded as graphs, and their stages."""
WATCHED: tuple[tuple[type, tuple[str, ...], str], ...] = (
    (LeggedRobot, ("__init__",), "set-up: environment"),
    (OnPolicyRunner, ("__init__",), "set-up: networks and runner"),
    (Graphed, ("_record",), "set-up: graphs"),
    (LeggedRobot, ("step", "episode_log", "update_curriculum"), "environment"),
    (TeacherInLoop, ("add_reference", "act", "add_reward", "end_rollout", "set_progress", "log"), "teacher"),
    (TeacherInLoop, ("_fit",), "learning: offset of the teacher"),
    (PPO, ("act",), "inference"),
    (PPO, ("process_env_step",), "storing"),
    (PPO, ("compute_returns",), "learning: returns"),
    (PPO, ("learn", "read_losses"), "learning: the rest"),
    (EstimatorTrainer, ("begin",), "learning: velocity estimator"),
    (Denoiser, ("_learn",), "learning: to act through noise"),
    (Checkpoints, ("save", "save_last"), "checkpoints"),
    (Logger, ("init_logging_writer", "process_env_step", "log_iteration", "stop_logging_writer"), "logging"),
)
"""Methods, and the stage that they are."""
EVALUATION = "evaluation"
"""The walking gate, with all that it does in this process."""


class Stages:
    """Adds up times by stage. A stage within another one counts for itself alone."""

    def __init__(self, wait: Callable[[], None] = lambda: None, clock: Callable[[], float] = time.perf_counter) -> None:
        """Begin with what belongs to no stage.

        Args:
            wait: Called where one stage ends and another one begins, for a device to do what it has been given.
            clock: Time [s].
        """
        self.seconds: dict[str, float] = defaultdict(float)
        """Stage -> time [s]."""
        self.after_iterations: list[dict[str, float]] = []
        """`seconds` at the end of each iteration."""
        self._wait, self._clock = wait, clock
        self._open = [REST]
        self._whole = False
        self._last = clock()

    @contextmanager
    def of(self, stage: str, whole: bool = False) -> Iterator[None]:
        """The body is a stage, together with the stages within it if `whole`."""
        if self._whole:
            yield
            return
        self._charge()
        self._open.append(stage)
        self._whole = whole
        try:
            yield
        finally:
            self._whole = False
            self._charge()
            self._open.pop()

    def _charge(self) -> None:
        """Charge the time since the last call to the stage that is open."""
        self._wait()
        now = self._clock()
        self.seconds[self._open[-1]] += now - self._last
        self._last = now

    def end_iteration(self) -> None:
        """Note the times so far."""
        self._charge()
        self.after_iterations.append(dict(self.seconds))

    def watch(self, owner: Any, method: str, stage: str | Callable[..., str | None], whole: bool = False) -> None:
        """Make all calls of a method, or of a module's function, a stage; or the one that `stage` says, if any."""
        original = getattr(owner, method)

        @functools.wraps(original)
        def timed(*given: Any, **named: Any) -> Any:
            name = stage if isinstance(stage, str) else stage(*given)
            if name is None:
                return original(*given, **named)
            with self.of(name, whole):
                return original(*given, **named)

        setattr(owner, method, timed)


def wait_for(devices: Iterable[str]) -> None:
    """Wait for those devices that are GPUs, unless something is being recorded on them."""
    for device in devices:
        if device.startswith("cuda") and torch.cuda.is_initialized() and not torch.cuda.is_current_stream_capturing():
            torch.cuda.synchronize(device)


def watch_training(stages: Stages) -> None:
    """Watch all training of this process from now on; it cannot be undone."""
    for owner, methods, stage in WATCHED:
        for method in methods:
            stages.watch(owner, method, stage)
    stages.watch(Graphed, "__call__", lambda graphed, *_: LEARNING.get(getattr(graphed.function, "__name__", "")))
    for method in ("__init__", "check", "finish", "close"):
        stages.watch(WalkingGate, method, EVALUATION, whole=True)
    _watch_physics(stages)
    iterate = OnPolicyRunner._iterate

    @functools.wraps(iterate)
    def iterated(*given: Any) -> Any:
        obs = iterate(*given)
        stages.end_iteration()
        return obs

    OnPolicyRunner._iterate = iterated  # type: ignore[method-assign, assignment]


def _watch_physics(stages: Stages) -> None:
    """Watch the simulator, whose class is known only once there is one."""
    make, seen = LeggedRobot._make_simulator, set()

    @functools.wraps(make)
    def made(env: LeggedRobot, device: str) -> Any:
        with stages.of("set-up: simulator"):
            sim = make(env, device)
        if type(sim) not in seen:
            seen.add(type(sim))
            stages.watch(type(sim), "step", "physics")
        return sim

    LeggedRobot._make_simulator = made  # type: ignore[method-assign, assignment]


def mean_iteration(after_iterations: Sequence[Mapping[str, float]], warm_up: int) -> dict[str, float]:
    """Return the mean times of the iterations after the first `warm_up` ones [s]; nothing if there are none."""
    if len(after_iterations) <= warm_up or warm_up < 1:
        return {}
    first, last = after_iterations[warm_up - 1], after_iterations[-1]
    count = len(after_iterations) - warm_up
    return {stage: (seconds - first.get(stage, 0.0)) / count for stage, seconds in last.items()}


def table(title: str, seconds: Mapping[str, float]) -> list[str]:
    """Return the lines of a table: stages, the longest first, with their shares."""
    total = sum(seconds.values())
    rows = sorted(((time, stage) for stage, time in seconds.items() if time > 0.0), reverse=True)
    lines = [f"{title}: {total:.3f} s", f"  {'s':>9}{'share':>8}  stage"]
    return lines + [f"  {time:9.3f}{time / total:8.1%}  {stage}" for time, stage in rows]
