"""A CSV of some robots during training, step by step, for analysis offline. Off by default; see `TraceCfg`."""

from pathlib import Path

import numpy as np
import torch
from rsl_rl.env import VecEnv
from tensordict import TensorDict
from torch import Tensor

from legged_gym.runners.config import TraceCfg
from legged_gym.teacher import lipm
from legged_gym.teacher.dcm_teacher import TeacherOutput
from legged_gym.teacher.frame import observe
from legged_gym.teacher.state import TeacherLayout

COLUMNS: dict[str, tuple[str, ...]] = {
    "command": ("vx", "vy", "wz"),
    "base_pos_w": ("x", "y", "z"),
    "base_quat": ("x", "y", "z", "w"),
    "base_lin_vel_w": ("x", "y", "z"),
    "base_ang_vel_b": ("x", "y", "z"),
    "com_pos_w": ("x", "y", "z"),
    "clock": ("",),
    "dcm_w": ("x", "y"),
    "foothold_w": ("x", "y"),
    "offset": ("x", "y"),
    "foot_left_w": ("x", "y", "z"),
    "foot_right_w": ("x", "y", "z"),
    "foot_force": ("left", "right"),
    "action": tuple("012345"),
    "reference": tuple("012345"),
    "weight": ("",),
    "driven": ("",),
    "reward": ("",),
    "done": ("",),
}
"""Column -> its components; after `iteration`, `step` and `robot`. SI units; the state is the one that was acted on.

`_w` world, `_b` base, command in the heading frame. `foothold_w` is p*, where the swing foot is to land; `offset` the
applied Δξ, in the heading frame mirrored such that the stance foot is to the left. `action` is what was executed,
`reference` the teacher's a_ref with its `weight` w_k, `driven` whether the teacher's was executed; these three groups
and p*, Δξ are not a number without a teacher. `reward` and `done` are what the step led to.
"""
HEADER = ("iteration", "step", "robot", *(f"{name}_{part}".rstrip("_") for name in COLUMNS for part in COLUMNS[name]))


class Trace:
    """Notes some robots on the device, step by step, and appends them to a CSV file once per rollout."""

    def __init__(self, cfg: TraceCfg, env: VecEnv, num_steps: int, path: Path, device: str) -> None:
        """Allocate; the file is begun, or gone on with, at the first rollout that is due.

        Args:
            cfg: How many robots and how often.
            env: The environments, with the observation group `teacher`.
            num_steps: Policy steps per rollout T.
            path: The file.
            device: Where the rollout is.
        """
        self.cfg, self.path, self.num_steps = cfg, path, num_steps
        self._layout = TeacherLayout(env.observation_terms["teacher"])
        self._foot_radius = float(env.sim.robot.foot_radius)
        count = min(cfg.robots, env.num_envs)
        self._robots = (torch.arange(count, device=device) * env.num_envs) // count  # from all parts of the batch
        self._rows = torch.zeros(num_steps, count, len(HEADER) - 3, device=device)
        self._step = 0
        self._active = False

    def begin(self, iteration: int) -> None:
        """Begin a rollout."""
        self._iteration, self._step = iteration, 0
        self._active = iteration % self.cfg.every == 0

    def add(
        self, obs: TensorDict, actions: Tensor, rewards: Tensor, dones: Tensor, output: TeacherOutput | None
    ) -> None:
        """Note a policy step, if this rollout is to be noted; nothing is read back from the device.

        Args:
            obs: What was observed before it.
            actions: What was executed. Shape (N, J).
            rewards: What it earned. Shape (N,).
            dones: Whether it ended the episode. Shape (N,).
            output: The teacher's answer to `obs`, if there is a teacher.
        """
        if not self._active:
            return
        rows = self._robots
        values = self._state(obs["teacher"][rows]) | {
            "action": actions[rows],
            "reward": rewards[rows],
            "done": dones[rows].float(),
        }
        if output is not None:
            values |= {"foothold_w": output.foothold_w[rows], "offset": output.offset[rows]}
            values |= {"reference": output.action[rows], "weight": output.weight[rows]}
            values["driven"] = obs["teacher_driven"][rows]
        nothing = torch.full((len(rows), 1), torch.nan, device=rows.device)
        parts = [
            values[name].view(len(rows), len(parts)) if name in values else nothing.expand(-1, len(parts))
            for name, parts in COLUMNS.items()
        ]
        self._rows[self._step].copy_(torch.cat(parts, dim=-1))
        self._step += 1

    def _state(self, obs: Tensor) -> dict[str, Tensor]:
        """Columns of the robots' state, from their `teacher` observation (K, ·)."""
        s = self._layout.parse(obs)
        omega = lipm.natural_frequency(observe(s).com[2] + self._foot_radius)
        named = {
            "command": s.command,
            "base_pos_w": s.base_pos_w,
            "base_quat": s.base_quat_xyzw,
            "base_lin_vel_w": s.base_lin_vel_w,
            "base_ang_vel_b": s.base_ang_vel_b,
            "com_pos_w": s.com_pos_w,
            "dcm_w": lipm.dcm(s.com_pos_w[:2], s.com_lin_vel_w[:2], omega),
            "foot_left_w": s.feet_pos_w[0],
            "foot_right_w": s.feet_pos_w[1],
            "foot_force": s.feet_load,
        }
        return {name: value.t() for name, value in named.items()} | {"clock": s.clock}

    def end(self) -> None:
        """Append the rollout to the file; waits for the device."""
        if not self._active:
            return
        values = self._rows[: self._step].cpu().double().numpy()
        steps, robots = np.meshgrid(np.arange(self._step), self._robots.cpu().numpy(), indexing="ij")
        first = [np.full(steps.shape, self._iteration), self._iteration * self.num_steps + steps, robots]
        table = np.concatenate((np.stack(first, axis=-1), values), axis=-1).reshape(-1, len(HEADER))
        begun = self.path.is_file()
        with self.path.open("a") as file:
            np.savetxt(file, table, fmt="%.6g", delimiter=",", header="" if begun else ",".join(HEADER), comments="")
