"""The training log: curves, and one line on the console per iteration.

Return, survival and tracking are those of the policy: robots that the teacher drives are left out.
"""

import contextlib
import datetime
import importlib.util
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any

import torch
from rsl_rl.utils.logger import Logger as RslLogger

from legged_gym.runners.own_metrics import VELOCITIES, OwnSums, own_metrics
from legged_gym.utils.checkpoint import check_alike
from legged_gym.utils.distributed import ALONE, Group
from legged_gym.utils.errors import UserError

SHOWN_ITERATIONS = 20
"""Iterations that the console's figures are averaged over: a single one has few falls and ends of episodes."""


def check_logger(name: str) -> None:
    """Check that the package of a service that curves go to is installed.

    Raises:
        UserError: It is not installed.
    """
    if importlib.util.find_spec(name) is None:
        raise UserError(f"--logger={name}: it is not installed here; pip install {name}, or leave --logger out")


class _QuietHook:
    """Reports exceptions that end threads, except those of a writer whose disk is full or gone."""

    def __init__(self, hook: Callable[[threading.ExceptHookArgs], object]) -> None:
        self._hook = hook

    def __call__(self, thrown: threading.ExceptHookArgs) -> None:
        if not (isinstance(thrown.exc_value, OSError) and "Writer" in type(thrown.thread).__name__):
            self._hook(thrown)


class Logger(RslLogger):
    """rsl_rl's logger, with sums kept on the device during the rollout and a compact console line."""

    def __init__(
        self,
        train_cfg: Any,
        episode_steps: int,
        driven: torch.Tensor | None = None,
        group: Group = ALONE,
        **kwargs: Any,
    ) -> None:
        """Allocate.

        Args:
            train_cfg: The training config, to be shown beside the curves.
            episode_steps: Longest episode [policy steps].
            driven: 1 for the robots that the teacher drives at the moment, if there is one. Shape (N, 1).
            group: Processes whose robots are logged together, by the first one.
            kwargs: See rsl_rl's logger.
        """
        self.writer: Any = None
        self.group = group
        super().__init__(**kwargs)
        self.train_cfg, self._episode_steps, self._driven = train_cfg, episode_steps, driven
        self._sums = OwnSums(self.device)
        self._window: deque[list[float]] = deque(maxlen=SHOWN_ITERATIONS)
        self._times: deque[float] = deque(maxlen=SHOWN_ITERATIONS)  # of iterations [s]
        self._last_printed = 0.0
        self._broke_off = False
        self._counts = torch.ones(self.num_envs, device=self.device)
        """0 for robots whose episode does not count: the teacher drove in it, or a resumed run began in its middle.
        Shape (N,)."""

    def _store_code_state(self) -> list[str]:
        """Store nothing: a run's directory holds its configs, checkpoints and events."""
        return []

    def process_env_step(
        self, rewards: torch.Tensor, dones: torch.Tensor, extras: dict, intrinsic_rewards: torch.Tensor | None = None
    ) -> None:
        """Add a step; nothing is read back from the device."""
        self.cur_reward_sum += rewards
        self.cur_episode_length += 1
        own = torch.ones_like(rewards) if self._driven is None else 1.0 - self._driven.squeeze(-1)
        self._counts.mul_(own)
        done = dones.bool()
        step = {"done": done.float(), "return": self.cur_reward_sum, "length": self.cur_episode_length}
        step["fell"] = (done & ~extras["time_outs"].bool().to(done.device)).float()
        if "velocity_error" in extras:
            step["velocity_error"] = extras["velocity_error"].to(own.device)
        self._sums.add(own, self._counts, step)
        self._counts.masked_fill_(done, 1.0)
        self.cur_reward_sum.masked_fill_(done, 0.0)
        self.cur_episode_length.masked_fill_(done, 0.0)

    def log_iteration(
        self,
        it: int,
        start_it: int,
        total_it: int,
        collect_time: float,
        learn_time: float,
        scalars: dict[str, float],
        step_dt: float,
    ) -> None:
        """Write scalars and print the console line.

        Args:
            it: This iteration.
            start_it: First iteration of this process.
            total_it: Iteration to stop before.
            collect_time: Duration of the rollout [s].
            learn_time: Duration of the update [s].
            scalars: Further values by tensorboard tag.
            step_dt: Duration of a policy step [s].
        """
        steps = self.cfg["num_steps_per_env"] * self.num_envs * self.gpu_world_size
        self.tot_timesteps += steps
        self.tot_time += collect_time + learn_time
        self._window.append(self._sums.read(self.group))
        self._times.append(collect_time + learn_time)
        scalars |= own_metrics(self._window[-1], step_dt, self._episode_steps)
        scalars["Perf/total_fps"] = steps / (collect_time + learn_time)
        scalars["Perf/collection_time"], scalars["Perf/learning_time"] = collect_time, learn_time
        scalars["Perf/total_steps"], scalars["Perf/total_time"] = float(self.tot_timesteps), self.tot_time
        self._write(scalars)
        if not self.disable_logs:
            self._print(it, start_it, total_it, scalars, step_dt)
            self._warn(scalars)

    def _write(self, scalars: dict[str, float]) -> None:
        """Write scalars against robot-steps; if the disk is full, a line says so and curves wait for `reopen`."""
        if self.writer is None:
            return
        try:
            for tag, value in scalars.items():
                self.writer.add_scalar(tag, value, self.tot_timesteps)
        except OSError as error:
            print(
                f"warning: {self.log_dir}: curves cannot be written ({error.strerror or error}); training goes on",
                flush=True,
            )
            self._broke_off, self.writer = True, None

    def init_logging_writer(self) -> None:
        """Open the curves, and write configs and command line beside them.

        If TensorBoard's thread cannot write, `_write` gets the error and reports it in one line.
        """
        if not isinstance(threading.excepthook, _QuietHook):
            threading.excepthook = _QuietHook(threading.excepthook)
        super().init_logging_writer()
        if self.writer is not None:
            self.writer.store_run(self.env_cfg, self.train_cfg)

    def reopen(self) -> None:
        """Continue curves that a full disk had cut off."""
        if self._broke_off:
            self._broke_off = False
            self.init_logging_writer()

    def stop_logging_writer(self) -> None:
        """Complete the curves, as far as the disk allows."""
        with contextlib.suppress(OSError):
            super().stop_logging_writer()

    def state_dict(self) -> dict[str, Any]:
        """Return the run's totals so far."""
        return {"total_steps": self.tot_timesteps, "total_time": self.tot_time, "window": list(self._window)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over what `state_dict` returned; the robots' first episodes, being cut short, do not count."""
        self.tot_timesteps, self.tot_time = state["total_steps"], state["total_time"]
        self._window.extend(state.get("window", []))  # not in older checkpoints
        self._counts.zero_()

    def forget_episodes(self) -> None:
        """Leave out the episodes under way, and those that robots begin in their middle."""
        for tensor in (self.cur_reward_sum, self.cur_episode_length, self._counts):
            tensor.zero_()

    def exact_state(self) -> dict[str, torch.Tensor]:
        """Return the sums over the episodes that have not ended yet, in place."""
        own = {name: getattr(self, name) for name in ("cur_reward_sum", "cur_episode_length", "_counts")}
        return own | {"sums": self._sums.total}

    def load_exact_state(self, state: dict[str, torch.Tensor]) -> None:
        """Take over what `exact_state` returned."""
        own = self.exact_state()
        check_alike(state, own, "logger")
        for name, tensor in own.items():
            tensor.copy_(state[name])

    def _print(self, it: int, start_it: int, total_it: int, scalars: dict[str, float], step_dt: float) -> None:
        done = it + 1
        if time.monotonic() - self._last_printed < 1.0 and done < total_it:
            return
        self._last_printed = time.monotonic()
        left = sum(self._times) / len(self._times) * (total_it - done)
        parts = [
            f"iteration {done}/{total_it}",
            f"{self.tot_timesteps / 1e6:.2f} M steps",
            f"{scalars['Perf/total_fps']:,.0f} steps/s",
            *self._own_parts(step_dt),
        ]
        if scalars.get("Teacher/driven_share", 0.0) >= 0.995:
            parts.append("the teacher drives all robots")
        if "Train/difficulty" in scalars:
            parts.append(f"difficulty {scalars['Train/difficulty']:.2f}")
        if "Train/terrain_level" in scalars:
            parts.append(f"level {scalars['Train/terrain_level']:.2f}")
        parts.append(f"ETA {datetime.timedelta(seconds=int(left))}")
        print("  ".join(parts), flush=True)

    def _own_parts(self, step_dt: float) -> list[str]:
        """Return the console line's figures of the policy's own robots in the last iterations."""
        own = own_metrics([sum(column) for column in zip(*self._window, strict=True)], step_dt, self._episode_steps)
        parts = [f"return {own['Train/mean_reward']:.2f}"] if "Train/mean_reward" in own else []
        if "Metrics/survival" in own:
            parts.append(f"survival {own['Metrics/survival']:.2f}")
        if "Metrics/error_vel_x" in own:
            x, y, yaw = (own[f"Metrics/error_{name}"] for name in VELOCITIES)
            parts.append(f"error {x:.2f} m/s {y:.2f} m/s {yaw:.2f} rad/s")
        return parts

    @staticmethod
    def _warn(scalars: dict[str, float]) -> None:
        """Report buffers of the simulator that overflowed, and values that were not finite, in this iteration."""
        tag = "Sim/overflow_"
        overflows = [f"{name.removeprefix(tag)} {n:,.0f}" for name, n in scalars.items() if name.startswith(tag)]
        if overflows:
            print(
                f"warning: buffers of the simulator overflowed, so it left something out: {', '.join(overflows)}",
                flush=True,
            )
        broken = [
            f"{name.partition('/')[2].removeprefix('not_finite_')} {n:,.0f}"
            for name, n in scalars.items()
            if name.startswith("Quarantine/") or "/not_finite_" in name
        ]
        if broken:
            print(f"warning: robots were reset because values were not finite: {', '.join(broken)}", flush=True)
