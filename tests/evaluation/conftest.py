from types import SimpleNamespace

import pytest
import torch

from legged_gym.sim.robot_model import BODY_NAMES, FOOT_NAMES
from legged_gym.sim.simulator import Simulator


class FakeSim:
    """Records what is done to the physics."""

    def __init__(self, num_envs: int) -> None:
        self.robot = SimpleNamespace(
            lid_height=0.25, zero_pose_height=0.8, body_names=BODY_NAMES, foot_names=FOOT_NAMES
        )
        self.parameters = {
            "friction": torch.full((num_envs, 2), 1.0),
            "base_mass_added": torch.zeros(num_envs),
            "contact_time_constant": torch.full((num_envs,), 0.01),
            "action_delay": torch.full((num_envs,), 0.01),
            "kd": torch.full((num_envs, 6), 3.5),
            "armature": torch.full((num_envs, 6), 0.01),
        }
        self.wrench_w = torch.zeros(num_envs, 3, 6)
        self.history: list[tuple[str, float]] = []
        self.pushes: list[tuple[int, torch.Tensor, torch.Tensor]] = []
        self.step = 0
        self.overflows: dict[str, int] = {}

    def set_parameter(self, name: str, value: torch.Tensor) -> None:
        assert name in Simulator.PARAMETERS and value.shape == self.parameters[name].shape
        self.parameters[name].copy_(value)
        self.history.append((name, value.flatten()[0].item()))

    def overflow_counts(self) -> dict[str, int]:
        return self.overflows

    def push(self, mask: torch.Tensor, delta_vel_w: torch.Tensor) -> None:
        self.pushes.append((self.step, mask.clone(), delta_vel_w.clone()))


class FakeEnv:
    """Robots that move at the command plus a fixed error; robot `falls[0]` falls in policy step `falls[1]`.

    They stand upright at 0.7 m, where a robot that walks is at 0.672 m, but for those in `postures`: robot, what it
    does, and the first and last policy step of that.
    """

    error = torch.tensor([0.1, -0.2, 0.3])

    def __init__(
        self,
        num_envs: int = 4,
        falls: tuple[int, int] | None = None,
        postures: tuple[tuple[int, str, int, int], ...] = (),
    ) -> None:
        self.num_envs, self.num_actions, self.dt, self.device = num_envs, 6, 0.02, torch.device("cpu")
        self.falls, self.postures = falls, postures
        self.sim = FakeSim(num_envs)
        self.gait = SimpleNamespace(
            params=torch.tensor([[2.0, 0.5, 0.5, 0.1]]).repeat(num_envs, 1),
            clock=torch.linspace(0.0, 0.9, num_envs),
        )
        command = torch.zeros(num_envs, 3)
        self.commands = SimpleNamespace(command=command, set=lambda value, mask: command.copy_(value))
        self.quat = torch.tensor([[0.0, 0.0, 0.0, 1.0]]).repeat(num_envs, 1)
        self.drift_w = torch.zeros(num_envs, 2)
        self.turn_rate = torch.zeros(num_envs)
        self.commands_seen: list[torch.Tensor] = []
        self.wrenches: list[torch.Tensor] = []
        self.clocks: list[torch.Tensor] = []
        self.reset()

    def reset(self) -> dict[str, torch.Tensor]:
        self.sim.step = 0
        self.gait.params[:, 0] = 2.0
        self._observe(torch.zeros(self.num_envs, self.num_actions))
        return self.observe_anew()

    def observe_anew(self) -> dict[str, torch.Tensor]:
        return {"policy": torch.cat((torch.zeros(self.num_envs, 26), self.gait.params), dim=-1)}

    def step(self, actions: torch.Tensor) -> tuple:
        self.sim.step += 1
        self.commands_seen.append(self.commands.command.clone())
        self.wrenches.append(self.sim.wrench_w.clone())
        self.clocks.append(self.gait.clock.clone())
        self.gait.clock.add_(self.gait.params[:, 0] * self.dt).remainder_(1.0)
        self._observe(actions)
        return self.observe_anew(), None, None, {}

    def _observe(self, actions: torch.Tensor) -> None:
        n, time = self.num_envs, self.sim.step * self.dt
        self.actions = SimpleNamespace(applied=actions)
        velocity = self.commands.command + self.error
        if self.falls is not None and self.sim.step >= self.falls[1]:
            velocity[self.falls[0]] = 100.0  # what happens after the fall is not to count
        fell = torch.zeros(n, dtype=torch.bool)
        if self.falls is not None:
            fell[self.falls[0]] = self.sim.step == self.falls[1]
        self.episodes = SimpleNamespace(fell=fell)
        on_left = self.sim.step % 50 < 25
        self.state = SimpleNamespace(
            base_lin_vel_y=torch.cat((velocity[:, :2], torch.zeros(n, 1)), dim=-1),
            yaw=torch.remainder(self.turn_rate * time + torch.pi, 2.0 * torch.pi) - torch.pi,
            feet_contact=torch.tensor([on_left, not on_left]).repeat(n, 1),
            base_height=torch.full((n,), 0.7),
            projected_gravity_b=torch.tensor([[0.0, 0.0, -1.0]]).repeat(n, 1),
            root_pos_w=torch.cat((self.drift_w * time + 3.0, torch.full((n, 1), 0.7)), dim=-1),
            root_quat_xyzw=self.quat,
            root_ang_vel_w=torch.cat((torch.zeros(n, 2), velocity[:, 2:]), dim=-1),
            joint_torque=torch.tensor([3.0, 4.0, 0.0, 0.0, 0.0, 0.0]).repeat(n, 1),
            peak_power=torch.full((n,), 10.0),
            feet_lin_vel_w=torch.tensor([[0.3, 0.4, 9.0], [1.0, 0.0, 0.0]]).repeat(n, 1, 1),
            contact_force_w=torch.zeros(n, 9, 3),
            landing_speed=torch.full((n, 2), 0.804),
            peak_foot_force=torch.full((n, 2), 212.0),
            peak_leg_force=torch.full((n,), 5.0 if self.sim.step % 4 == 0 else 0.0),
        )
        for robot, posture, first, last in self.postures:
            if first <= self.sim.step <= last:
                self._take_posture(robot, posture)

    def _take_posture(self, robot: int, posture: str) -> None:
        """Each is just beyond what is upright, or just within it if its name says so."""
        if posture in ("crouches", "crouches a little"):
            self.state.base_height[robot] = 0.57 if posture == "crouches" else 0.573  # 0.85 * 0.84 * 0.8 = 0.5712
        elif posture in ("leans", "leans a little"):
            tilt = torch.tensor(20.5 if posture == "leans" else 19.5).deg2rad()
            self.state.projected_gravity_b[robot] = torch.stack((torch.zeros(()), tilt.sin(), -tilt.cos()))
        elif posture in ("touches with a shin", "touches with a foot"):
            body = "knee_R_Link" if posture == "touches with a shin" else "foot_R_Link"
            self.state.contact_force_w[robot, BODY_NAMES.index(body)] = torch.tensor([0.8, 0.8, 0.0])
        else:
            assert posture == "lies"
            self.state.base_height[robot], self.state.projected_gravity_b[robot] = 0.15, torch.tensor([1.0, 0.0, 0.0])
            self.state.contact_force_w[robot, 0, 2] = 150.0


class AlternatingAgent:
    """Its action jumps by 0.5 from step to step."""

    def reset(self, seed: int) -> None:
        self.value = 0.0
        self.seen: list[torch.Tensor] = []

    def act(self, obs: dict[str, torch.Tensor]) -> torch.Tensor:
        self.value = 0.5 - self.value
        self.seen.append(obs["policy"])
        return torch.full((len(obs["policy"]), 6), self.value)


@pytest.fixture
def fake_env() -> type[FakeEnv]:
    return FakeEnv


@pytest.fixture
def agent() -> AlternatingAgent:
    return AlternatingAgent()
