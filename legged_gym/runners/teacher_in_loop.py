"""The teacher in the rollout: references for imitation as data, robots that it drives, and its own learning."""

from dataclasses import fields, replace
from typing import Any

import torch
from rsl_rl.env import VecEnv
from tensordict import TensorDict

from legged_gym.algorithms.losses import scheduled_weight
from legged_gym.runners.config import STABILITY, TeacherInLoopCfg
from legged_gym.runners.teachers import load_offset, make_teacher
from legged_gym.teacher.dcm_teacher import TeacherOutput
from legged_gym.teacher.frame import StepFrame
from legged_gym.teacher.offset_trainer import OffsetTrainer
from legged_gym.teacher.predictor import StepPlan
from legged_gym.teacher.trajectory import PathTracking
from legged_gym.utils.checkpoint import check_alike
from legged_gym.utils.cuda_graph import Branch, Graphed
from legged_gym.utils.distributed import ALONE, Group
from legged_gym.utils.math import known_empty

GOLDEN = 0.5 * (5.0**0.5 - 1.0)
"""Its multiples, modulo 1, are spread evenly, however many are taken."""


class TeacherInLoop:
    """Evaluates the teacher once per policy step on the observation group `teacher`, and trains its offset Δξ.

    On a GPU all that happens on a branch, beside the policy's evaluation and update.
    """

    def __init__(self, cfg: TeacherInLoopCfg, env: VecEnv, num_steps: int, device: str, group: Group = ALONE) -> None:
        """Build the teacher for the environment's robot.

        Args:
            cfg: Configuration; `offset_file` is loaded.
            env: The environments.
            num_steps: Policy steps per rollout.
            device: Where the teacher lives.
            group: Processes that train the same Δξ, each on its own robots.
        """
        self.cfg = cfg
        self.env = env
        self.group = group
        self.teacher = make_teacher(cfg.dcm, env, device)
        self.adapts_clock = cfg.dcm.timing.enabled and cfg.clock != "never"
        """Whether the environment's gait clock follows the teacher, at least that of some robots."""
        self.teacher.memory.adapts.zero_()
        self.interval = cfg.offset_update_steps if cfg.offset_update == "steps" else num_steps
        """Policy steps between two updates of Δξ."""
        self.trainer = OffsetTrainer(self.teacher, self.interval, group)
        if cfg.offset_file is not None:
            self.trainer.load_state_dict(load_offset(cfg.offset_file, self.teacher.network, device, trains=True))
        self.driven = torch.zeros(env.num_envs, 1, device=device)
        """1 for the robots that the teacher drives. Shape (N, 1)."""
        # Spread evenly over the batch, however many they are: rows of a map stand in it one after the other.
        self._rank = (torch.arange(1, env.num_envs + 1, device=device, dtype=torch.float64) * GOLDEN).frac().argsort()
        self._rank = (self._rank.argsort().float().unsqueeze(-1) + 0.5) / env.num_envs
        self.left = False
        """The teacher has left: it drives no robot, and its references have no weight."""
        self._nothing = {
            "reference": torch.zeros(env.num_envs, env.num_actions, device=device),
            "reference_weight": torch.zeros(env.num_envs, 1, device=device),
        }
        template = self.teacher.geometry.abad_pos
        self._path = PathTracking(env.num_envs, env.dt, template) if cfg.com_reward > 0.0 else None
        self._plan: tuple[StepFrame, StepPlan] | None = None
        self._off_path = torch.zeros(env.num_envs, device=device)
        self._stability = torch.zeros(env.num_envs, len(STABILITY), device=device)
        if self._path is not None or cfg.store_stability:
            self.teacher.on_plan = self._keep
        if cfg.store_stability:
            self._nothing["stability"] = torch.zeros_like(self._stability)
        self._output: TeacherOutput | None = None
        self._last_offset = torch.zeros(env.num_envs, 2, device=device)
        self._sums = torch.zeros(6, device=device)
        self._broken = torch.zeros(env.num_envs, dtype=torch.bool, device=device)
        self._not_finite = torch.zeros((), device=device)
        self._no_number = torch.tensor(torch.nan, device=device)
        self._recorded = 0
        self._fitted: torch.Tensor | None = None
        self._branch = Branch(device)
        self._evaluate = Graphed(self._step, device, copies=False)
        self.set_progress(0)

    def set_progress(self, iteration: int) -> None:
        """Set the share of robots that the teacher drives in this iteration, or let it leave for good."""
        c = self.cfg
        self.left = 0 < c.last_iteration <= iteration
        self.share = scheduled_weight("linear", c.driven_initial, c.driven_final, iteration / c.driven_decay_steps)
        if self.left:
            self.join()
            self.share, self._output, self._fitted = 0.0, None, None
            self._broken.zero_()
        self.driven.copy_((self._rank < self.share).float())
        if self.adapts_clock:
            follows = self.driven if c.clock == "driven" else torch.ones_like(self.driven)
            self.teacher.memory.adapts.copy_(follows.squeeze(-1))

    def add_reference(self, obs: TensorDict) -> None:
        """Evaluate the teacher and add `reference`, `reference_weight`, `teacher_driven`, by config `stability`.

        On a GPU they are there after the next `act` if the teacher drives robots, and else only after the next
        `add_reference` or `end_rollout`: meanwhile it is evaluated beside the simulation.
        """
        obs["teacher_driven"] = self.driven
        if self.left:
            obs.update(self._nothing)
            return
        self.join()
        with self._branch.fork():
            output = self._output = self._evaluate(obs["teacher"])
            obs["reference"] = output.action.clone()
            obs["reference_weight"] = output.weight.view(-1, 1).clone()
            if self.cfg.store_stability:
                obs["stability"] = self._stability.clone()

    def _step(self, obs: torch.Tensor) -> TeacherOutput:
        """Evaluate the teacher on its observation (N, ·) and add up what is logged."""
        output = self._without_broken(self.teacher.step(obs))
        if self._path is not None and self._plan is not None:
            landed, fresh = output.touchdown > 0.0, output.fresh > 0.0
            self._off_path.copy_(self._path(*self._plan, self.teacher.predictor, landed, fresh))
        if self.cfg.store_stability and self._plan is not None:
            planned = self.teacher.predictor.stability(*self._plan).t()
            columns = (output.touchdown.unsqueeze(-1), output.touchdown_error, planned)
            torch.nan_to_num(torch.cat(columns, dim=-1), out=self._stability)
        landed, error = output.touchdown, output.touchdown_error
        # The foot moves one-to-one with the offset: the error without it is the error plus the offset.
        squares = [error, error + self._last_offset, output.foothold_error]
        sums = [landed.sum(), *((landed * x.square().sum(-1)).sum() for x in squares)]
        self._sums += torch.stack((*sums, output.weight.mean(), output.offset.norm(dim=-1).mean()))
        self._last_offset.copy_(output.offset)
        return output

    def _keep(self, frame: StepFrame, plan: StepPlan) -> None:
        self._plan = frame, plan

    def _without_broken(self, output: TeacherOutput) -> TeacherOutput:
        """Let the robots of which the teacher's answer is not finite teach nothing; `act` has them begin anew."""
        values = {field.name: getattr(output, field.name) for field in fields(output)}
        sums = [value.flatten(1).sum(-1) if value.ndim > 1 else value for value in values.values()]
        torch.logical_not(torch.stack(sums).sum(0).isfinite(), out=self._broken)
        if known_empty(self._broken):
            return output
        self._not_finite += self._broken.sum()
        for name, value in values.items():
            values[name] = value.masked_fill(self._broken.view(-1, *[1] * (value.ndim - 1)), 0.0)
        return replace(output, **values)

    def act(self, actions: torch.Tensor, obs: TensorDict) -> torch.Tensor:
        """Replace the driven robots' actions by the reference; note what is executed, and train Δξ if that is due.

        Args:
            actions: What the policy chose. Shape (N, A).
            obs: The observations, with the reference.

        Returns:
            What is to be executed; not a number for a robot that is to begin anew because the teacher's memory of it
            is broken. Shape (N, A).
        """
        executed = actions
        if self.adapts_clock and self._output is not None:
            self.join()
            self.env.shift_gait_clock(self._output.clock_shift.to(self.env.device))
        if self.share > 0.0:
            self.join()
            executed = torch.where(self.driven > 0.0, obs["reference"], actions)
        if self.cfg.offset_update != "never" and self._output is not None:
            with self._branch.fork():
                self.trainer.record(self._output, executed)
            self._recorded += 1
            if self.cfg.offset_update == "steps" and self._recorded % self.interval == 0:
                self._fit()
        if known_empty(self._broken):
            return executed
        self.join()
        return torch.where(self._broken.unsqueeze(-1), self._no_number, executed)

    def end_rollout(self) -> None:
        """Complete what was added to the last observations, then train Δξ if it is trained once per collection."""
        self.join()
        if self.cfg.offset_update == "collection" and not self.left:
            self._fit()

    def _fit(self) -> None:
        with self._branch.fork(), torch.inference_mode(False):
            self._fitted = self.trainer.fit()

    def join(self) -> None:
        """Let what is queued from now on come after what is queued here."""
        self._branch.join()

    @property
    def output(self) -> TeacherOutput | None:
        """Of the last evaluation."""
        self.join()
        return self._output

    def add_reward(self, rewards: torch.Tensor) -> torch.Tensor:
        """Add what footholds and path earn that the last evaluation saw, that is one step late. Shape (N,)."""
        c = self.cfg
        if c.foothold_reward == c.com_reward == 0.0 or (output := self.output) is None:
            return rewards
        if c.foothold_reward > 0.0:
            rewards = rewards + c.foothold_reward * foothold_kernel(output, c.foothold_width)
        if c.com_reward > 0.0:
            rewards = rewards + c.com_reward * path_kernel(self._off_path, c.com_width)
        return rewards

    def log(self, steps: int) -> dict[str, float]:
        """Means over the last `steps` policy steps and the robots of all processes, by tensorboard tag.

        None once the teacher has left.
        """
        if self.left:
            return {}
        self.join()
        sums = self.group.sum(torch.cat((self._sums, self._not_finite.view(1))))
        landed, *squares, weight, offset, broken = sums.tolist()
        self._sums.zero_()
        self._not_finite.zero_()
        fitted = {} if self._fitted is None else self.trainer.read(self._fitted)
        dcm, dcm_without, foothold = ((square / max(landed, 1.0)) ** 0.5 for square in squares)
        return {
            "Teacher/dcm_offset_error_rms": dcm,
            "Teacher/dcm_offset_error_without_offset_rms": dcm_without,
            "Teacher/foothold_error_rms": foothold,
            "Teacher/weight": weight / (steps * self.group.size),
            "Teacher/offset_abs": offset / (steps * self.group.size),
            "Teacher/driven_share": self.share,
            **({"Teacher/not_finite_reference": broken} if broken else {}),
        } | {f"Offset/{name}": value for name, value in fitted.items()}

    def exact_state(self) -> dict[str, Any]:
        """Return what the teacher remembers of the robots, in place."""
        self.join()
        return self._own_state() | {"teacher": self.teacher.exact_state(), "trainer": self.trainer.exact_state()}

    def _own_state(self) -> dict[str, Any]:
        own = {"last_offset": self._last_offset, "broken": self._broken, "recorded": self._recorded}
        return own if self._path is None else own | {"path": self._path.buffer}

    def load_exact_state(self, state: dict[str, Any]) -> None:
        """Take over what `exact_state` returned."""
        own = self._own_state()
        check_alike({name: state[name] for name in own}, own, "teacher")
        self.teacher.load_exact_state(state["teacher"])
        self._last_offset.copy_(state["last_offset"])
        self._broken.copy_(state["broken"])
        if self._path is not None:
            self._path.buffer.copy_(state["path"])
        self._recorded = state["recorded"]
        self.trainer.load_exact_state(state["trainer"])

    def state_dict(self) -> dict[str, Any]:
        """Return Δξ and its optimiser."""
        self.join()
        return self.trainer.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over what `state_dict` returned."""
        self.trainer.load_state_dict(state)


def foothold_kernel(output: TeacherOutput, width: float) -> torch.Tensor:
    """exp(-|landed - p*|²/width²) where a step has just ended, 0 elsewhere. Shape (N,)."""
    return output.touchdown * (-output.foothold_error.square().sum(-1) / width**2).exp()


def path_kernel(off: torch.Tensor, width: float) -> torch.Tensor:
    """exp(-d²/width²) of distances d from the path (N,) [m]; 0 where d is not finite. Shape (N,)."""
    return (-off.square() / width**2).exp().nan_to_num(0.0)
