from types import SimpleNamespace

import pytest
import torch

from legged_gym.sim.simulator import Simulator


class FakeSim:
    """Records what is done to the physics."""

    def __init__(self, num_envs: int) -> None:
        self.parameters = {"friction": torch.full((num_envs,), 1.0), "base_mass_added": torch.zeros(num_envs)}
        self.history: list[tuple[str, float]] = []
        self.pushes: list[tuple[int, torch.Tensor, torch.Tensor]] = []
        self.step = 0
        self.overflows: dict[str, int] = {}

    def set_parameter(self, name: str, value: torch.Tensor) -> None:
        assert name in Simulator.PARAMETERS
        self.parameters[name].copy_(value)
        self.history.append((name, value[0].item()))

    def overflow_counts(self) -> dict[str, int]:
        return self.overflows

    def push(self, mask: torch.Tensor, delta_vel_w: torch.Tensor) -> None:
        self.pushes.append((self.step, mask.clone(), delta_vel_w.clone()))


class FakeEnv:
    """Robots that move at the command plus a fixed error; robot `falls[0]` falls in policy step `falls[1]`."""

    error = torch.tensor([0.1, -0.2, 0.3])

    def __init__(self, num_envs: int = 4, falls: tuple[int, int] | None = None) -> None:
        self.num_envs, self.num_actions, self.dt, self.device = num_envs, 6, 0.02, torch.device("cpu")
        self.falls = falls
        self.sim = FakeSim(num_envs)
        self.gait = SimpleNamespace(params=torch.tensor([[2.0, 0.5, 0.5, 0.05]]).repeat(num_envs, 1))
        command = torch.zeros(num_envs, 3)
        self.commands = SimpleNamespace(command=command, set=lambda value, mask: command.copy_(value))
        self.commands_seen: list[torch.Tensor] = []
        self.reset()

    def reset(self) -> dict[str, torch.Tensor]:
        self.sim.step = 0
        self._observe(torch.zeros(self.num_envs, self.num_actions))
        return {"policy": torch.zeros(self.num_envs, 30)}

    def step(self, actions: torch.Tensor) -> tuple:
        self.sim.step += 1
        self.commands_seen.append(self.commands.command.clone())
        self._observe(actions)
        return {"policy": torch.zeros(self.num_envs, 30)}, None, None, {}

    def _observe(self, actions: torch.Tensor) -> None:
        n = self.num_envs
        self.actions = actions
        velocity = self.commands.command + self.error
        if self.falls is not None and self.sim.step >= self.falls[1]:
            velocity[self.falls[0]] = 100.0  # what happens after the fall is not to count
        self.fell = torch.zeros(n, dtype=torch.bool)
        if self.falls is not None:
            self.fell[self.falls[0]] = self.sim.step == self.falls[1]
        self.base_lin_vel_y = torch.cat((velocity[:, :2], torch.zeros(n, 1)), dim=-1)
        self.state = SimpleNamespace(
            root_ang_vel_w=torch.cat((torch.zeros(n, 2), velocity[:, 2:]), dim=-1),
            joint_torque=torch.tensor([3.0, 4.0, 0.0, 0.0, 0.0, 0.0]).repeat(n, 1),
            joint_vel=torch.tensor([2.0, -1.0, 5.0, 0.0, 0.0, 0.0]).repeat(n, 1),
            feet_lin_vel_w=torch.tensor([[0.3, 0.4, 9.0], [1.0, 0.0, 0.0]]).repeat(n, 1, 1),
        )
        on_left = self.sim.step % 50 < 25
        self.feet_contact = torch.tensor([on_left, not on_left]).repeat(n, 1)
        self.base_height = torch.full((n,), 0.7)


class AlternatingAgent:
    """Its action jumps by 0.5 from step to step."""

    def reset(self, seed: int) -> None:
        self.value = 0.0

    def act(self, obs: dict[str, torch.Tensor]) -> torch.Tensor:
        self.value = 0.5 - self.value
        return torch.full((len(obs["policy"]), 6), self.value)


@pytest.fixture
def fake_env() -> type[FakeEnv]:
    return FakeEnv


@pytest.fixture
def agent() -> AlternatingAgent:
    return AlternatingAgent()
