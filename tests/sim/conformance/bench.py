"""The bench on which every simulator backend is tested, the plain MuJoCo that it is compared with, and what the tests
share."""

import importlib
import os
from collections.abc import Callable, Collection
from dataclasses import dataclass, fields
from typing import Any

import mujoco
import numpy as np
import pytest
import torch

from legged_gym.sim.mujoco.spec import build_spec
from legged_gym.sim.process.config import ProcessCfg
from legged_gym.sim.registry import SIMULATORS, make_simulator
from legged_gym.sim.robot_model import RobotModel, robot_urdf
from legged_gym.sim.sim_options import SimOptions
from legged_gym.sim.sim_state import Placement, SimState
from legged_gym.sim.simulator import Simulator
from tests.sim.process.pool import pooled_workers

GRAVITY = 9.81
EVERY_PHYSICS_STEP = SimOptions(decimation=1, num_threads=1)
Vector = tuple[float, ...] | torch.Tensor


@dataclass(frozen=True)
class Backend:
    """How a backend is tested: where it runs, what can be poisoned, how exact it must be."""

    device: str = "cpu"
    atol: float = 1e-4
    """Largest deviation from MuJoCo in float64, relative to 1 m, 1 m/s, 1 rad, 1 rad/s."""
    views: tuple[str, ...] = ()
    """State tensors that are the engine's own memory: to poison them would be to break the robot."""
    sim: str = ""
    """The registry's name; its own key if empty."""
    process: bool = False
    """Runs in a process of its own."""
    stand_in: bool = True
    """Isaac Gym is the stand-in, and workers are used again; else it is the real one, with a process per simulator."""
    has_leg_force: bool = True
    """The state shows the force between the legs; PhysX only tells net forces."""
    explicit_torque: bool = False
    """The torque of a physics step is that of its start; MuJoCo's servos take the change of velocity into account."""


BACKENDS = {
    # A simulator that nothing is said about: on the CPU, in float32.
    **{name: Backend() for name in SIMULATORS},
    # Stepped in float64, read as float32, whose rounding (6e-8) grows in the chain of five links and in differences.
    "mujoco": Backend(device="cpu", atol=2e-5),
    # The same physics in float32, whose rounding adds up over the steps of a test.
    "mujoco_warp": Backend(),
    # The worker's code over a stand-in that runs MuJoCo: float32 states, torques and friction rounded to 1/1024.
    "isaacgym": Backend(device="cpu", atol=1e-4, process=True, explicit_torque=True, has_leg_force=False),
    # For those who have it, see docs/isaacgym.md; another engine in float32, with contacts of its own.
    "isaacgym_binary": Backend(
        device=os.environ.get("ISAACGYM_TEST_DEVICE", ""),
        atol=2e-4,
        sim="isaacgym",
        process=True,
        stand_in=False,
        has_leg_force=False,
        explicit_torque=True,
    ),
    # The same numbers as in this process.
    "mujoco_in_a_process": Backend(device="cpu", atol=2e-5, sim="mujoco", process=True),
    # Through CUDA IPC.
    "mujoco_warp_in_a_process": Backend(device="cuda", atol=1e-4, sim="mujoco_warp", process=True),
}


class Bench:
    """Builds one backend's simulators and drives them, with all outputs poisoned before every call."""

    def __init__(self, name: str, backend: Backend, factory: Callable[..., Simulator]) -> None:
        self.name, self.backend, self.factory = name, backend, factory
        self.robot = RobotModel.from_urdf(robot_urdf("PF_TRON1A"))
        self.built: list[Simulator] = []

    @property
    def atol(self) -> float:
        return self.backend.atol

    def make(self, num_envs: int, options: SimOptions | None = None) -> Simulator:
        """Build a simulator whose robots are high in the air, at rest, one second above the ground."""
        sim = self.factory(self.robot, num_envs, options or SimOptions(num_threads=1), self.backend.device)
        self.built.append(sim)
        self.place(sim)
        return sim

    def tensor(self, sim: Simulator, value: Vector) -> torch.Tensor:
        """Give every robot the same vector, or take one that is batched already."""
        value = torch.as_tensor(value, dtype=torch.float32, device=sim.device)
        return value.expand(sim.num_envs, -1).clone() if value.ndim == 1 else value

    def everyone(self, sim: Simulator) -> torch.Tensor:
        return torch.ones(sim.num_envs, dtype=torch.bool, device=sim.device)

    def place(
        self,
        sim: Simulator,
        mask: torch.Tensor | None = None,
        *,
        pos: Vector = (0.0, 0.0, 5.0),
        quat: Vector = (0.0, 0.0, 0.0, 1.0),
        lin_vel: Vector = (0.0, 0.0, 0.0),
        ang_vel: Vector = (0.0, 0.0, 0.0),
        q: Vector = (0.0,) * 6,
        qd: Vector = (0.0,) * 6,
    ) -> None:
        """Reset robots; only their outputs are poisoned before, for the others' must not change."""
        mask = self.everyone(sim) if mask is None else mask
        self.poison(sim, mask)
        sim.reset(mask, Placement(*(self.tensor(sim, x) for x in (pos, quat, lin_vel, ang_vel, q, qd))))

    def place_tumbling(self, sim: Simulator, height: float = 5.0) -> None:
        """Give every robot a random pose and twist, seeded."""
        draw = torch.Generator().manual_seed(7)
        n = sim.num_envs

        def uniform(width: int, size: float) -> torch.Tensor:
            return (2.0 * torch.rand(n, width, generator=draw) - 1.0).mul(size).to(sim.device)

        pos = uniform(3, 0.5) + torch.tensor([0.0, 0.0, height], device=sim.device)
        quat = torch.nn.functional.normalize(uniform(4, 1.0), dim=-1)
        self.place(
            sim,
            pos=pos,
            quat=quat,
            lin_vel=uniform(3, 1.0),
            ang_vel=uniform(3, 2.0),
            q=uniform(6, 0.3),
            qd=uniform(6, 2.0),
        )

    def poison(self, sim: Simulator, mask: torch.Tensor) -> None:
        for field in fields(SimState):
            if field.name not in self.backend.views:
                getattr(sim.state, field.name)[mask] = torch.nan

    def step(self, sim: Simulator, targets: Vector = (0.0,) * 6, times: int = 1) -> SimState:
        """Step and return a copy of the state."""
        for _ in range(times):
            self.poison(sim, self.everyone(sim))
            sim.step(self.tensor(sim, targets))
        return self.snapshot(sim)

    @staticmethod
    def snapshot(sim: Simulator) -> SimState:
        return SimState(**{f.name: getattr(sim.state, f.name).clone() for f in fields(SimState)})

    def close(self, actual: torch.Tensor, expected: torch.Tensor, factor: float = 1.0) -> None:
        """Assert that two tensors agree within the backend's tolerance times a factor."""
        torch.testing.assert_close(actual.cpu().double(), expected.cpu().double(), rtol=0.0, atol=factor * self.atol)


class Reference:
    """One robot in plain MuJoCo, float64, without any of the backend's code."""

    def __init__(self, robot: RobotModel) -> None:
        self.robot = robot
        self.model = build_spec(robot).compile()
        self.data = mujoco.MjData(self.model)
        self.bodies = [self.model.body(name).id for name in robot.body_names]
        self.feet = [self.model.body(name).id for name in robot.foot_names]
        self._law: tuple[np.ndarray, np.ndarray] | None = None

    def command(self, target: np.ndarray, explicit_torque: bool) -> None:
        """Set the servos' targets [rad], or keep the torque that they ask for at this instant."""
        m, d = self.model, self.data
        if not explicit_torque:
            d.ctrl[:] = target
            return
        if self._law is None:  # from now on, the servos of the model are plain motors
            self._law = m.actuator_gainprm[:, 0].copy(), m.actuator_biasprm.copy()
            m.actuator_gainprm[:, 0], m.actuator_biasprm[:] = 1.0, 0.0
        gain, bias = self._law
        d.ctrl[:] = gain * target + bias[:, 1] * d.qpos[7:] + bias[:, 2] * d.qvel[6:]

    def load(self, state: SimState, row: int) -> None:
        """Copy a robot's pose and twist; MuJoCo wants the angular velocity in the base frame."""
        d = self.data
        mujoco.mj_resetData(self.model, d)
        x, y, z, w = state.root_quat_xyzw[row].tolist()
        d.qpos[:3], d.qpos[3:7], d.qpos[7:] = state.root_pos_w[row].cpu(), (w, x, y, z), state.joint_pos[row].cpu()
        d.qvel[:3], d.qvel[6:] = state.root_lin_vel_w[row].cpu(), state.joint_vel[row].cpu()
        mujoco.mju_rotVecQuat(d.qvel[3:6], state.root_ang_vel_w[row].cpu().double().numpy(), [w, -x, -y, -z])
        mujoco.mj_forward(self.model, d)
        mujoco.mj_subtreeVel(self.model, d)

    def foot_velocity(self, side: int) -> torch.Tensor:
        twist = torch.zeros(6, dtype=torch.float64).numpy()
        mujoco.mj_objectVelocity(self.model, self.data, mujoco.mjtObj.mjOBJ_XBODY, self.feet[side], twist, 0)
        return torch.from_numpy(twist[3:])


def names(bench: Bench, *parts: str) -> list[int]:
    """Indices of the bodies whose name contains one of the parts."""
    return [i for i, name in enumerate(bench.robot.body_names) if any(part in name for part in parts)]


def make_bench(name: str) -> Bench:
    """Build a backend's bench; skip where the backend's engine is not installed."""
    sim = BACKENDS[name].sim or name
    module = SIMULATORS[sim].path.partition(":")[0]
    try:
        importlib.import_module(module)
    except ImportError as error:
        pytest.skip(f"{name} is not installed here: {error}")

    backend = BACKENDS[name]
    if backend.device == "cuda" and not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")

    def factory(*arguments: Any) -> Simulator:
        if not (backend.process and backend.stand_in):
            return make_simulator(sim, *arguments)
        with pooled_workers():
            return make_simulator(sim, *arguments, ProcessCfg(enabled=True))

    return Bench(name, backend, factory)


class Idle(Simulator):
    """A backend that does nothing."""

    def _apply_parameters(self, names: Collection[str], mask: torch.Tensor) -> None:
        pass

    def step(self, joint_targets: torch.Tensor) -> None:
        pass

    def reset(self, mask: torch.Tensor, placement: Placement) -> None:
        pass

    def push(self, mask: torch.Tensor, delta_vel_w: torch.Tensor) -> None:
        pass

    def render(self, robot: int = 0, width: int = 640, height: int = 480) -> np.ndarray:
        return np.zeros((height, width, 3), np.uint8)


def assert_same_bits(one: SimState, other: SimState, rows: list[int]) -> None:
    """Assert equality to the last bit; on a GPU, where threads race for the order of contacts, nearly."""
    for field in fields(SimState):
        a, b = getattr(one, field.name)[rows], getattr(other, field.name)[rows]
        assert a.isfinite().all(), f"{field.name} is not finite"
        same = torch.allclose(a, b, rtol=1e-2, atol=1e-2) if a.is_cuda else torch.equal(a, b)
        assert same, f"{field.name} differs"


def randomised(sim: Simulator) -> dict[str, torch.Tensor]:
    """A value for every parameter, different for every robot, joint and body."""
    draw = torch.Generator().manual_seed(3)

    def factor(name: str) -> torch.Tensor:
        shape = sim.parameters[name].shape
        return (0.8 + 0.4 * torch.rand(shape, generator=draw)).to(sim.device)

    return {
        "friction": factor("friction") - 0.4,
        "contact_time_constant": 0.015 * factor("contact_time_constant"),
        "armature": 0.02 * factor("armature"),
        "base_mass_added": 3.0 * factor("base_mass_added"),
        "base_com_offset": 0.3 * (factor("base_com_offset") - 1.0),
        "link_mass_scale": factor("link_mass_scale"),
        "link_inertia_scale": factor("link_inertia_scale"),
        "kp": 42.0 * factor("kp"),
        "kd": 3.5 * factor("kd"),
        "strength": factor("strength"),
        "action_delay": 0.005 * (torch.arange(sim.num_envs, device=sim.device) % 3 + 1.0),
    }
