"""Trains a task with skrl's PPO: `python examples/train_skrl.py --num_envs 64 --iterations 50`.

Needs `pip install -e '.[gym]'`. Neither the teacher nor the velocity estimator takes part: this is where another
library's algorithm can be tried on the same robots, not the way to a good gait.
"""

import argparse
from typing import Any

import gymnasium
import torch
from skrl.agents.torch.ppo import PPO, PPO_CFG
from skrl.envs.wrappers.torch import wrap_env
from skrl.memories.torch import RandomMemory
from skrl.models.torch import DeterministicMixin, GaussianMixin, Model
from skrl.trainers.torch import SequentialTrainer, SequentialTrainerCfg
from skrl.utils import set_seed
from torch import nn

import legged_gym.gym  # noqa: F401  registers the tasks

STEPS = 24
"""Policy steps of a rollout."""


def mlp(inputs: int, outputs: int) -> nn.Sequential:
    """Builds a network of two hidden layers."""
    return nn.Sequential(nn.Linear(inputs, 128), nn.ELU(), nn.Linear(128, 64), nn.ELU(), nn.Linear(64, outputs))


class Policy(GaussianMixin, Model):
    """Normal distribution of actions about the network's output."""

    def __init__(self, **spaces: Any) -> None:
        """Build the network; the deviation starts at 0.2."""
        Model.__init__(self, **spaces)
        GaussianMixin.__init__(self)
        self.net = mlp(self.num_observations, self.num_actions)
        self.log_std = nn.Parameter(torch.full((self.num_actions,), -1.6))

    def compute(self, inputs: dict[str, Any], role: str) -> tuple[torch.Tensor, dict[str, Any]]:
        """Return the mean action and its deviation's logarithm."""
        return self.net(inputs["observations"]), {"log_std": self.log_std}


class Value(DeterministicMixin, Model):
    """Value of an observation."""

    def __init__(self, **spaces: Any) -> None:
        """Build the network."""
        Model.__init__(self, **spaces)
        DeterministicMixin.__init__(self)
        self.net = mlp(self.num_observations, 1)

    def compute(self, inputs: dict[str, Any], role: str) -> tuple[torch.Tensor, dict[str, Any]]:
        """Return the value."""
        return self.net(inputs["observations"]), {}


def train(task: str, num_envs: int, iterations: int, seed: int = 1) -> PPO:
    """Trains a policy.

    Args:
        task: Name of the task.
        num_envs: Robots simulated side by side.
        iterations: Rollouts to learn from.
        seed: Of all random numbers.

    Returns:
        The agent.
    """
    set_seed(seed)
    env = wrap_env(gymnasium.make_vec(f"legged_gym/{task}-v0", num_envs=num_envs))
    spaces = {"observation_space": env.observation_space, "action_space": env.action_space, "device": env.device}
    agent = PPO(
        models={"policy": Policy(**spaces), "value": Value(**spaces)},
        memory=RandomMemory(memory_size=STEPS, num_envs=num_envs, device=env.device),
        cfg=PPO_CFG(
            rollouts=STEPS,
            learning_epochs=5,
            mini_batches=4,
            discount_factor=0.98,
            learning_rate=1e-3,
            rewards_shaper=lambda rewards, *_: 0.1 * rewards,
            experiment={"write_interval": 0, "checkpoint_interval": 0},
        ),
        **spaces,
    )
    cfg = SequentialTrainerCfg(timesteps=STEPS * iterations, headless=True, disable_progressbar=None)
    cfg.close_environment_at_exit = False  # it is closed here
    SequentialTrainer(env=env, agents=agent, cfg=cfg).train()
    env.close()
    return agent


@torch.inference_mode()
def survived(agent: PPO, task: str, num_envs: int, steps: int = 250, seed: int = 2) -> float:
    """Returns how long a robot stays on its feet on average, up to `steps` policy steps [policy steps]."""
    env = gymnasium.make_vec(f"legged_gym/{task}-v0", num_envs=num_envs)
    obs, _ = env.reset(seed=seed)
    standing, total = torch.ones(num_envs, dtype=torch.bool), 0.0
    for _ in range(steps):
        mean = agent.policy.net(torch.as_tensor(obs, device=agent.device))
        obs, _, terminated, _, _ = env.step(mean.cpu().numpy())
        standing &= ~torch.as_tensor(terminated)
        total += standing.float().mean().item()
    env.close()
    return total


def main() -> None:
    """Trains from the command line, and says how long robots stay up before and after."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--task", default="pointfoot_flat")
    parser.add_argument("--num_envs", type=int, default=64)
    parser.add_argument("--iterations", type=int, default=50)
    args = parser.parse_args()
    for iterations in (0, args.iterations):
        agent = train(args.task, args.num_envs, iterations)
        print(f"{iterations} iterations: on its feet for {survived(agent, args.task, args.num_envs):.0f} policy steps")


if __name__ == "__main__":
    main()
