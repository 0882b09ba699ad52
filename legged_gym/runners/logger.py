"""The training log: tensorboard scalars and one line on the console per iteration."""

import contextlib
import datetime
import importlib.util
import threading
import time
from collections.abc import Callable
from typing import Any

import torch
from rsl_rl.utils.logger import Logger as RslLogger

from legged_gym.utils.errors import UserError


def check_logger(name: str) -> None:
    """Check that the package of a service that curves go to is installed.

    Raises:
        UserError: It is not.
    """
    if importlib.util.find_spec(name) is None:
        raise UserError(f"--logger={name}: it is not installed here; pip install {name}, or leave --logger out")


class _QuietHook:
    """Passes on the exceptions that end threads, but for a writer's whose disk is full or gone."""

    def __init__(self, hook: Callable[[threading.ExceptHookArgs], object]) -> None:
        self._hook = hook

    def __call__(self, thrown: threading.ExceptHookArgs) -> None:
        if not (isinstance(thrown.exc_value, OSError) and "Writer" in type(thrown.thread).__name__):
            self._hook(thrown)


class Logger(RslLogger):
    """rsl_rl's logger, with sums kept on the device during the rollout and a compact console line."""

    def __init__(self, **kwargs: Any) -> None:
        """Allocate; see rsl_rl's logger for the arguments."""
        self.writer: Any = None
        super().__init__(**kwargs)
        self._finished = torch.zeros(3, device=self.device)
        """Number, total return and total length [steps] of the episodes that ended since the last `log_iteration`."""
        self._means: tuple[float, float] | None = None
        """Return and length [steps] of the episodes that ended last, once some have."""
        self._last_printed = 0.0
        self._broke_off = False
        self._counts = torch.ones(self.num_envs, device=self.device)
        """0 for robots whose episode is not whole: a resumed run began it in the middle. Shape (N,)."""

    def _store_code_state(self) -> list[str]:
        """Store nothing: a run's directory holds its configs, checkpoints and events."""
        return []

    def process_env_step(
        self, rewards: torch.Tensor, dones: torch.Tensor, extras: dict, intrinsic_rewards: torch.Tensor | None = None
    ) -> None:
        """Add a step; nothing is read back from the device."""
        done = dones.bool()
        self.cur_reward_sum += rewards
        self.cur_episode_length += 1
        ended = torch.stack((self._counts, self.cur_reward_sum * self._counts, self.cur_episode_length * self._counts))
        self._finished += torch.where(done, ended, 0.0).sum(-1)
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
        ended, total_return, total_length = self._finished.tolist()
        self._finished.zero_()
        if ended:
            self._means = total_return / ended, total_length / ended
            scalars["Train/mean_reward"], scalars["Train/mean_episode_length"] = self._means
        scalars["Perf/total_fps"] = steps / (collect_time + learn_time)
        scalars["Perf/collection_time"], scalars["Perf/learning_time"] = collect_time, learn_time
        scalars["Perf/total_steps"], scalars["Perf/total_time"] = float(self.tot_timesteps), self.tot_time
        self._write(scalars, it)
        if not self.disable_logs:
            self._print(it, start_it, total_it, scalars, step_dt)
            self._warn(scalars)

    def _write(self, scalars: dict[str, float], it: int) -> None:
        """Write scalars; if the disk does not take them, a line says so and curves wait for `reopen`."""
        if self.writer is None:
            return
        try:
            for tag, value in scalars.items():
                self.writer.add_scalar(tag, value, it)
        except OSError as error:
            print(f"warning: no curves: {self.log_dir}: {error.strerror or error}; training goes on", flush=True)
            self._broke_off, self.writer = True, None

    def init_logging_writer(self) -> None:
        """Open the curves; what TensorBoard's thread cannot write, `_write` hears of and says in one line."""
        if not isinstance(threading.excepthook, _QuietHook):
            threading.excepthook = _QuietHook(threading.excepthook)
        super().init_logging_writer()

    def reopen(self) -> None:
        """Go on with curves that a full disk had broken off."""
        if self._broke_off:
            self._broke_off = False
            self.init_logging_writer()

    def stop_logging_writer(self) -> None:
        """Complete the curves, as far as the disk takes them."""
        with contextlib.suppress(OSError):
            super().stop_logging_writer()

    def state_dict(self) -> dict[str, Any]:
        """Return what is shown of the run so far."""
        return {"total_steps": self.tot_timesteps, "total_time": self.tot_time, "means": self._means}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over what `state_dict` returned; the robots' first episodes do not count, which are cut short."""
        self.tot_timesteps, self.tot_time = state["total_steps"], state["total_time"]
        self._means = state.get("means")  # not in older checkpoints
        self._counts.zero_()

    def exact_state(self) -> dict[str, torch.Tensor]:
        """Return the sums over the episodes that have not ended yet, in place."""
        return {name: getattr(self, name) for name in ("cur_reward_sum", "cur_episode_length", "_finished", "_counts")}

    def load_exact_state(self, state: dict[str, torch.Tensor]) -> None:
        """Take over what `exact_state` returned."""
        for name, tensor in self.exact_state().items():
            tensor.copy_(state[name])

    def _print(self, it: int, start_it: int, total_it: int, scalars: dict[str, float], step_dt: float) -> None:
        done = it + 1
        if time.monotonic() - self._last_printed < 1.0 and done < total_it:
            return
        self._last_printed = time.monotonic()
        pace = (scalars["Perf/collection_time"] + scalars["Perf/learning_time"]) * (total_it - done)
        parts = [
            f"iteration {done}/{total_it}",
            f"{self.tot_timesteps / 1e6:.2f} M steps",
            f"{scalars['Perf/total_fps']:,.0f} steps/s",
        ]
        if self._means is not None:
            parts += [f"reward {self._means[0]:.2f}", f"episode {self._means[1] * step_dt:.1f} s"]
        if "Loss/imitation" in scalars:
            parts.append(f"imitation {scalars['Loss/imitation']:.2f}")
        if "Episode/terrain_level" in scalars:
            parts.append(f"level {scalars['Episode/terrain_level']:.2f}")
        parts.append(f"elapsed {datetime.timedelta(seconds=int(self.tot_time))}")
        parts.append(f"ETA {datetime.timedelta(seconds=int(pace))}")
        print("  ".join(parts), flush=True)

    @staticmethod
    def _warn(scalars: dict[str, float]) -> None:
        """Say where the simulator ran out of room, and what was not finite, in this iteration."""
        tag = "Sim/overflow_"
        overflows = [f"{name.removeprefix(tag)} {n:,.0f}" for name, n in scalars.items() if name.startswith(tag)]
        if overflows:
            print(f"warning: the simulator ran out of room: {', '.join(overflows)}", flush=True)
        broken = [
            f"{name.partition('/')[2].removeprefix('not_finite_')} {n:,.0f}"
            for name, n in scalars.items()
            if name.startswith("Quarantine/") or "/not_finite_" in name
        ]
        if broken:
            print(f"warning: not finite, in robots that were reset: {', '.join(broken)}", flush=True)
