"""Calibration of a policy's command: a robot's response to it is measured and inverted.

A blind policy that has learned on robots of many kinds walks steadily, but by a constant share slower than commanded.
Its response is linear to a few percent: achieved = G command + o. With the inverse in front of the actor's first layer,
command' = G^-1 (command - o), the robot achieves its commands. The offset o is that of robots that are told to
stand, for there a small one shows: they drift away.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from legged_gym.evaluation.agents import Agent
from legged_gym.evaluation.metrics import Sample
from legged_gym.evaluation.rows import FULL_BOX
from legged_gym.utils.errors import UserError

SETTLING_TIME, AVERAGING_TIME = 1.5, 2.5
"""Time from a command to its response, and time over which that is averaged [s]."""
LEAST_STANDING = 0.9
"""Share of the robots that must not fall while they are measured."""
LEAST_GAIN, LARGEST_GAIN = 0.5, 1.5
"""Bounds of the achieved share of a command: beyond them the policy does not follow it, and is not calibrated."""


@dataclass(frozen=True)
class Response:
    """Velocities achieved by steady commands (v_x, v_y [m/s], w_z [rad/s], heading frame): G command + o."""

    gain: torch.Tensor
    """G. Shape (3, 3)."""
    offset: torch.Tensor
    """o [m/s, m/s, rad/s]. Shape (3,)."""
    error: torch.Tensor
    """Achieved minus asked, rms over the commands [m/s, m/s, rad/s]. Shape (3,)."""

    @staticmethod
    def mean(responses: Sequence["Response"]) -> "Response":
        """Return the mean of some responses."""
        parts = ((r.gain, r.offset, r.error) for r in responses)
        return Response(*(torch.stack(each).mean(dim=0) for each in zip(*parts, strict=True)))

    def symmetric(self) -> "Response":
        """Return the part that a robot reflected in its sagittal plane has as well; the rest is noise."""
        mirror = self.offset.new_tensor([1.0, -1.0, -1.0])
        gain = 0.5 * (self.gain + mirror.unsqueeze(-1) * self.gain * mirror)
        return Response(gain, 0.5 * (self.offset + mirror * self.offset), self.error)


def fit_response(commands: torch.Tensor, achieved: torch.Tensor, standing: torch.Tensor) -> Response:
    """Least squares over K commands, exact on average for robots that are told to stand.

    Args:
        commands: Shape (K, 3).
        achieved: Velocities under these commands. Shape (K, 3).
        standing: Velocities without a command. Shape (M, 3).
    """
    offset = standing.mean(dim=0)
    gain = torch.linalg.lstsq(commands, achieved - offset).solution.t()
    return Response(gain, offset, (achieved - commands).square().mean(dim=0).sqrt())


@torch.inference_mode()
def measure_response(env: Any, agent: Agent, seed: int) -> Response:
    """Let every robot stand, then give it two commands of `FULL_BOX`, one after the other, and fit the response.

    Args:
        env: Built from `suites.evaluation_cfg`: robots as they are deployed, on a plane.
        agent: The agent that controls them.
        seed: Seed of the commands.

    Raises:
        UserError: Too many robots fell; a few that fall are left out.
    """
    generator = torch.Generator().manual_seed(seed)
    low, high = torch.tensor(FULL_BOX).unbind(-1)
    settling, averaging = (round(time / env.dt) for time in (SETTLING_TIME, AVERAGING_TIME))
    torch.manual_seed(seed)
    agent.reset(seed)
    obs = env.reset()
    commands, achieved = [], []
    stands = torch.ones(env.num_envs, dtype=torch.bool, device=env.device)
    for share in (0.0, 1.0, 1.0):
        command = share * (low + (high - low) * torch.rand(env.num_envs, 3, generator=generator))
        env.commands.set(command.to(env.device), torch.ones(env.num_envs, dtype=torch.bool, device=env.device))
        total = torch.zeros(env.num_envs, 3, device=env.device)
        for step in range(settling + averaging):
            obs, *_ = env.step(agent.act(obs))
            stands &= ~env.episodes.fell
            if step >= settling:
                total += Sample.of(env).velocity_y
        commands.append(command)
        achieved.append(total.cpu() / averaging)
    share = stands.float().mean().item()
    if share < LEAST_STANDING:
        raise UserError(f"{1.0 - share:.0%} of the robots fell: calibrate a policy once it walks")
    standing, *moving = (velocity[stands.cpu()] for velocity in achieved)
    asked = [command[stands.cpu()] for command in commands[1:]]
    return fit_response(torch.cat(asked), torch.cat(moving), standing)


def calibrate_actor(state: dict[str, torch.Tensor], response: Response, scale: torch.Tensor) -> None:
    """Put the inverse of a response in front of an actor's first layer.

    Args:
        state: The actor's parameters; the last three inputs of its first layer are the command. That layer's are
            replaced; the tensors themselves stay what they were, for two policies of a checkpoint may share them.
        response: The actor's response to commands.
        scale: Factors on the command in the actor's input. Shape (3,).

    Raises:
        UserError: The policy does not follow its commands.
    """
    achieved = response.gain.diagonal()
    if not bool(((achieved >= LEAST_GAIN) & (achieved <= LARGEST_GAIN)).all()):
        found = ", ".join(f"{x:.2f}" for x in achieved.tolist())
        raise UserError(
            f"the policy achieves {found} of the commanded v_x, v_y, w_z, expected {LEAST_GAIN:g} to {LARGEST_GAIN:g}: "
            "train it further before calibrating it"
        )
    weight, bias = state["mlp.0.weight"], state["mlp.0.bias"]
    columns = weight[:, -3:] * scale.to(weight)  # of the command in SI units
    inverse = torch.linalg.inv(response.gain).to(weight)
    state["mlp.0.bias"] = bias - columns @ inverse @ response.offset.to(weight)
    state["mlp.0.weight"] = torch.cat((weight[:, :-3], columns @ inverse / scale.to(weight)), dim=1)
