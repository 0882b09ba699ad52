"""The training loop: rollout, update, log, checkpoint."""

import contextlib
import io
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from rsl_rl.env import VecEnv
from rsl_rl.runners import OnPolicyRunner as RslOnPolicyRunner
from tensordict import TensorDict

from legged_gym.algorithms.averaging import AveragedActor
from legged_gym.algorithms.networks import EstimatorActor
from legged_gym.algorithms.ppo import PPO
from legged_gym.runners.checkpoints import Checkpoints, simulation_file
from legged_gym.runners.config import LeggedRobotCfgPPO, rsl_rl_cfg
from legged_gym.runners.denoising import denoise_last, denoising_iterations
from legged_gym.runners.episode_log import episode_tag, merged, own_episodes
from legged_gym.runners.health import Health, TrainingBrokenError
from legged_gym.runners.logger import Logger, check_logger
from legged_gym.runners.quarantine import Quarantine
from legged_gym.runners.run_state import (
    MISFITS,
    begin_from,
    checkpoint_of,
    simulation_of,
    take_over,
    take_over_simulation,
)
from legged_gym.runners.teacher_in_loop import TeacherInLoop
from legged_gym.runners.threads import busy_note, update_threads
from legged_gym.runners.trace import Trace
from legged_gym.utils.checkpoint import load_checked, save_atomically
from legged_gym.utils.config import Config, fields_of, save_json, to_dict
from legged_gym.utils.distributed import current
from legged_gym.utils.errors import UserError
from legged_gym.utils.machine import local_processes, torch_threads, usable_cores


class OnPolicyRunner(RslOnPolicyRunner):
    """rsl_rl's runner with our PPO, checkpoints that resume everything, and a compact log.

    Several processes that have `joined` train one policy, each on robots of its own.
    """

    alg: PPO
    current_learning_iteration: int

    def __init__(
        self, env: VecEnv, train_cfg: LeggedRobotCfgPPO, log_dir: str | None = None, device: str = "cpu"
    ) -> None:
        """Build algorithm and logger.

        Args:
            env: The environments.
            train_cfg: The training configuration; its seed seeds the networks.
            log_dir: Where checkpoints and events go; None writes nothing.
            device: Where the networks live.
        """
        if log_dir is not None:
            check_logger(train_cfg.runner.logger)
        self.group = current()
        self.train_cfg = train_cfg
        self._check_equal(env, train_cfg)
        torch.manual_seed(train_cfg.seed)
        with contextlib.redirect_stdout(io.StringIO()):  # rsl_rl prints its networks
            super().__init__(env, rsl_rl_cfg(train_cfg), None, device)
        usual = 5 if torch.device(device).type == "cuda" else 10  # with more robots an update is less noisy
        span, share = train_cfg.runner.averaged_iterations or usual, train_cfg.runner.averaged_share
        self.averaged = AveragedActor(self.alg.get_policy(), span, share)
        self.teacher = None
        if train_cfg.teacher.enabled:
            self.teacher = TeacherInLoop(train_cfg.teacher, env, train_cfg.runner.num_steps_per_env, device, self.group)
        self.logger = Logger(
            train_cfg,
            int(env.max_episode_length),
            None if self.teacher is None else self.teacher.driven,
            self.group,
            log_dir=log_dir,
            cfg=self.cfg,
            env_cfg=env.cfg,
            num_envs=env.num_envs,
            is_distributed=self.is_distributed,
            gpu_world_size=self.gpu_world_size,
            gpu_global_rank=self.gpu_global_rank,
            device=device,
        )
        groups = tuple(name for name, value in env.get_observations().items() if value.is_floating_point())
        self.quarantine = Quarantine(groups, env.num_envs, self.device, self.group)
        self.health = Health(self._learned_tensors)
        self.trace = None
        if train_cfg.trace.robots and log_dir is not None:
            steps = train_cfg.runner.num_steps_per_env
            self.trace = Trace(train_cfg.trace, env, steps, Path(log_dir) / "trace.csv", device)
        self.update_threads = torch.get_num_threads()
        """Threads of an update; they matter only on a CPU."""
        if log_dir is not None and torch.device(device).type == "cpu":
            samples = env.num_envs * train_cfg.runner.num_steps_per_env
            rows = max(1, samples // train_cfg.algorithm.num_mini_batches)
            width = max(*train_cfg.policy.actor_hidden_dims, *train_cfg.policy.critic_hidden_dims)
            self.update_threads = update_threads(train_cfg.runner.update_threads, width, rows)
        self.update_threads = self.group.from_first(self.update_threads)  # another number rounds sums otherwise
        if log_dir is not None and torch.device(device).type == "cpu":
            train_cfg.runner.update_threads = self.update_threads  # a run that goes on from this one takes as many
        self.checkpoints = None
        if log_dir is not None and not self.logger.disable_logs:
            self.checkpoints = Checkpoints(Path(log_dir), train_cfg.runner, self._write_configs)
        self.first_iteration = 0
        """Iteration at which the run began that this one goes on with, to know how much of it is done."""
        self.denoised_until = 0
        """Iteration at which the policy had last learned to act through noise; 0: never."""
        self.robots_go_on = False
        """The robots continue from a checkpoint."""
        self.interrupted = False
        """Set from outside (a signal handler, say) to stop after the current iteration."""
        self.after_iteration: Callable[[dict[str, float]], None] | None = None
        """Called after every iteration with its scalars by tensorboard tag, before a checkpoint is due."""
        self.before_end: Callable[[], None] | None = None
        """Called after the last iteration, before it is saved."""
        if not self.group.first:
            torch.manual_seed(self.group.own_seed(train_cfg.seed))  # same networks, other noise
        if train_cfg.runner.exact_resume and not self.group.alone:
            print("note: several processes cannot resume bit for bit, so --train.runner.exact_resume has no effect")

    def _configure_multi_gpu(self) -> None:
        """Let rsl_rl know of the group that this process has joined."""
        group = self.group
        self.is_distributed, self.gpu_world_size, self.gpu_global_rank = not group.alone, group.size, group.rank
        self.cfg["multi_gpu"] = None
        if not group.alone:
            self.cfg["multi_gpu"] = {"global_rank": group.rank, "world_size": group.size, "group": group}

    def _check_equal(self, env: VecEnv, train_cfg: LeggedRobotCfgPPO) -> None:
        """Raise unless all processes were given the same configs.

        Raises:
            UserError: Names what differs.
        """
        fields: dict[str, Any] = {"num_envs": env.num_envs}
        for scope, cfg in (("env", env.cfg), ("train", train_cfg)):
            if isinstance(cfg, Config):
                fields |= {f"--{scope}.{name}": str(value) for name, value in fields_of(cfg, to_dict(cfg)).items()}
        self.group.check_equal("the processes differ", fields)

    @property
    def log_dir(self) -> str | None:
        """Directory of this run."""
        return self.logger.log_dir

    def _write_configs(self, folder: Path) -> None:
        """Write both configs into a run's folder."""
        if isinstance(self.env.cfg, Config):  # another kind of environment has no configs
            save_json(self.env.cfg, folder / "env_cfg.json")
        save_json(self.train_cfg, folder / "train_cfg.json")

    def _learned_tensors(self) -> dict[str, torch.Tensor]:
        """All tensors that training changes, by name."""
        offset = {} if self.teacher is None else self.teacher.trainer.state_tensors()
        return self.alg.state_tensors() | offset

    def learn(self, num_learning_iterations: int, init_at_random_ep_len: bool = True) -> None:
        """Train, and save checkpoints at the ends of iterations, also of the last one unless it failed half-way.

        The last iterations are not PPO's: in them the policy learns to act through noise, see `DenoisingCfg.run_share`.

        Args:
            num_learning_iterations: Iterations to add.
            init_at_random_ep_len: Spread the robots over the episode, so that time-outs do not come all at once; robots
                that continue from a checkpoint stay as they are.

        Raises:
            UserError: Nothing can be learned any more, or the last checkpoint cannot be written to its folder.
        """
        self.group.copy_first(self._learned_tensors().values())
        self.health.forget()
        if init_at_random_ep_len and not self.robots_go_on:
            self.env.episode_length_buf = torch.randint_like(
                self.env.episode_length_buf, high=int(self.env.max_episode_length)
            )
        obs = self.env.get_observations().to(self.device)
        with torch.inference_mode():  # tensors made in inference mode can only be written in it
            self.quarantine.check(obs)
        self.alg.train_mode()
        if (
            torch.device(self.device).type == "cpu"
            and (note := busy_note(usable_cores() * local_processes())) is not None
        ):
            print(note)
        self.logger.init_logging_writer()
        start_it = self.current_learning_iteration
        total_it = start_it + num_learning_iterations
        whole = total_it - max(self.first_iteration, self.denoised_until)
        denoising = min(denoising_iterations(self.train_cfg.denoising, self.env, whole), num_learning_iterations)
        last = total_it - denoising
        try:
            for it in range(start_it, last):
                self.alg.set_progress((it - self.first_iteration) / (last - self.first_iteration))
                obs = self._iterate(obs, it, start_it, total_it)
                self.interrupted = self.group.any(self.interrupted)
                if self.before_end is not None and (self.interrupted or it + 1 == last):
                    self.before_end()
                if self.checkpoints is not None and self.checkpoints.due(self.current_learning_iteration):
                    self.save_checkpoint()
                if self.interrupted:
                    break
            self.interrupted = self.group.any(self.interrupted)  # `before_end` is the first rank's alone
            if denoising and not self.interrupted:
                self.save_checkpoint()  # if the rest is broken off, this is what there is
                denoise_last(self, denoising)
            self.save_checkpoint(last=True)
        except TrainingBrokenError as error:  # the weights are good ones again, in all processes
            path = self.save_checkpoint(last=True)
            self.group.wait()
            raise TrainingBrokenError(f"{error}; the last good checkpoint is {path}") from None
        finally:
            self.logger.stop_logging_writer()

    def _iterate(self, obs: TensorDict, it: int, start_it: int, total_it: int) -> TensorDict:
        """Run one iteration; returns the last observations."""
        start = time.perf_counter()
        obs = self._collect(obs)
        episodes = own_episodes(self.env)
        collected = time.perf_counter()
        with torch_threads(self.update_threads):
            means = self.alg.learn()
        episodes = merged(self.group.gather(episodes))
        steps = self.cfg["num_steps_per_env"]
        self.env.update_curriculum(episodes["fall_rate"], steps)  # queued while the device learns
        losses = self.alg.read_losses(means)
        learned = time.perf_counter()
        scalars = {f"Loss/{name}": value for name, value in losses.items()}
        scalars["Loss/learning_rate"] = self.alg.learning_rate
        scalars["Policy/mean_std"] = self.alg.get_policy().output_std.mean().item()
        scalars |= {episode_tag(name): value for name, value in episodes.items()}
        if self.teacher is not None:
            scalars |= self.teacher.log(self.cfg["num_steps_per_env"])
        scalars |= {f"Quarantine/{name}": count for name, count in self.quarantine.log().items()}
        self._look_after_weights(scalars, it + 1)
        self.averaged.add(it + 1 - self.first_iteration)
        self.logger.log_iteration(it, start_it, total_it, collected - start, learned - collected, scalars, self.env.dt)
        self.current_learning_iteration = it + 1
        if self.after_iteration is not None:
            self.after_iteration(scalars)
        return obs

    def _look_after_weights(self, scalars: dict[str, float], iteration: int) -> None:
        """Take the iteration back if it spoilt the weights; adds the steps left out to `scalars`."""
        skipped = self.alg.read_skipped()
        said = self.health.check(skipped, iteration)
        if skipped.total or skipped.losses:
            scalars["Loss/skipped_steps"] = float(skipped.total)
        if said is not None:
            print(f"warning: iteration {iteration}: {said}", flush=True)

    def _collect(self, obs: TensorDict) -> TensorDict:
        """Fill the storage with one rollout; returns the observations after it."""
        if self.teacher is not None:
            self.teacher.set_progress(self.alg.iteration)
        if self.trace is not None:
            self.trace.begin(self.current_learning_iteration)
        step: tuple[Any, ...] | None = None
        with torch.inference_mode(), torch_threads(1):
            for _ in range(self.cfg["num_steps_per_env"]):
                if self.teacher is not None:
                    self.teacher.add_reference(obs)
                self._store(step)  # only now, so that the device does it beside the teacher
                actions = self.alg.act(obs)
                if self.teacher is not None:
                    actions = self.teacher.act(actions, obs)
                actions = self.quarantine.release(actions)
                acted_on = obs
                obs, rewards, dones, extras = self.env.step(actions.to(self.env.device))
                obs, rewards, dones = obs.to(self.device), rewards.to(self.device), dones.to(self.device)
                if self.teacher is not None:
                    rewards = self.teacher.add_reward(rewards)
                self.quarantine.check(obs, rewards)
                if self.trace is not None:
                    output = None if self.teacher is None else self.teacher.output
                    self.trace.add(acted_on, actions, rewards, dones, output)
                step = obs, rewards, dones, extras
            if self.teacher is not None:
                self.teacher.end_rollout()
            self._store(step)
            self.alg.compute_returns(obs)
        if self.trace is not None:
            self.trace.end()
        return obs

    def _store(self, step: tuple[Any, ...] | None) -> None:
        """Store and log what `env.step` returned, if there was a step."""
        if step is not None:
            self.alg.process_env_step(*step)
            self.logger.process_env_step(*step[1:])

    def save_checkpoint(self, last: bool = False) -> Path | None:
        """Write `model_<iteration>.pt` into the run's directory, unless it is there.

        Args:
            last: The run ends with it: if its folder fails, save it elsewhere.

        Returns:
            The file; None if it was not written, or there is no directory to write to.
        """
        if self.checkpoints is None:
            return None
        save = self.checkpoints.save_last if last else self.checkpoints.save
        path = save(self.current_learning_iteration, self.checkpoint, simulation_of(self))
        if path is not None:
            self.logger.reopen()
        return path

    def checkpoint(self, infos: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return networks, optimisers, normalisers, counters and random state; `load` takes them over."""
        return checkpoint_of(self, infos)

    def save(self, path: str, infos: dict[str, Any] | None = None) -> None:
        """Write a checkpoint atomically, replacing what is there."""
        os.makedirs(os.path.dirname(path), exist_ok=True)
        save_atomically(self.checkpoint(infos), path)

    def load(
        self, path: str, load_cfg: dict | None = None, strict: bool = True, map_location: str | None = None
    ) -> dict[str, Any] | None:
        """Take over a checkpoint.

        Args:
            path: The file.
            load_cfg: What to load, see rsl_rl; None loads everything and restores counters and random state.
            strict: Parameter names must match.
            map_location: Device for the tensors; the runner's own if None.

        Returns:
            What was saved as `infos`.

        Raises:
            UserError: The file is missing, damaged, no checkpoint, or holds other networks.
        """
        checkpoint = load_checked(path, map_location or self.device)
        whole = load_cfg is None and "optimizer_state_dict" in checkpoint
        try:
            if load_cfg is None and not whole:
                begin_from(self, checkpoint)
                print(f"note: {Path(path).name} holds networks only, so optimisers, rates and robots begin anew")
            else:
                take_over(self, checkpoint, load_cfg, strict)
        except MISFITS as error:
            reason = f"it lacks {error}" if isinstance(error, KeyError) else " ".join(str(error).split())[:200]
            raise UserError(f"{path}: does not fit this task, its networks or its config ({reason})") from None
        if whole:
            take_over_simulation(self, simulation_file(Path(path)))
        self.health.forget()
        return checkpoint.get("infos")

    def get_inference_policy(self, device: str | None = None) -> EstimatorActor:
        """Return the averaged actor, which maps observations to mean actions (N, A), in evaluation mode."""
        return self.averaged.actor.to(device)
