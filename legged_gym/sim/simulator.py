"""The seam between the environment and physics: what every simulator does, and nothing else.

Tensors are as in `sim_state`: batched over N robots, float32, SI units, on one device.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from dataclasses import fields
from typing import TYPE_CHECKING

import numpy as np
import torch

from legged_gym.sim.robot_model import RobotModel
from legged_gym.sim.sim_options import CONTACT_TIME_CONSTANT, SimOptions
from legged_gym.sim.sim_state import Placement, SimState
from legged_gym.utils.math import overwrite
from legged_gym.viewer.controls import Controls
from legged_gym.viewer.primitives import Layers
from legged_gym.viewer.view import Screen, View
from legged_gym.viewer.viewer import Viewer

if TYPE_CHECKING:
    from legged_gym.sim.mujoco.scene import Scene


class Simulator(ABC):
    """N robots, one engine.

    The controller, the motors and the delay run inside the engine's loop of physics steps. With the limit L of a
    joint's torque [N m] and the nominal gains of `SimOptions`, known to the controller, each physics
    step does:

    1. Controller: ``target = clip(target, q + (kd_nominal dq -+ L) / kp_nominal)``. A clamped target stays until the
    next policy step gives a new one.
    2. Delay: the motor follows this target once `action_delay` has passed since the policy step began, and until then
       the last one of the policy step before.
    3. Motor: ``torque = strength (kp (target - q) - kd dq)``, limited to L up to the corner speed and falling linearly
       to zero at the no-load speed in the direction of motion; against it the motor brakes with L.
    """

    PARAMETERS: dict[str, str] = {
        "friction": "sliding friction between each leg and the ground; the base takes their mean, (N, F)",
        "contact_time_constant": "time constant of contacts with the ground, at least two physics steps [s], (N,)",
        "base_mass_added": "mass added to the base at its centre of mass [kg], (N,)",
        "base_com_offset": "shift of the base's centre of mass [m, base frame], (N, 3)",
        "link_mass_scale": "factor on every body's mass, (N, B)",
        "link_inertia_scale": "factor on every body's rotational inertia, (N, B)",
        "armature": "rotor inertia seen by each joint [kg m^2], (N, J)",
        "kp": "joint stiffness [N m/rad], (N, J)",
        "kd": "joint damping [N m s/rad], (N, J)",
        "strength": "factor on the PD torque, (N, J)",
        "action_delay": "delay of a new joint target, rounded to physics steps [s], 0..policy_dt, (N,)",
    }
    """Randomisable parameters, their meaning and shape."""
    UNSUPPORTED: frozenset[str] = frozenset()
    """Parameters that this engine does not have: setting them changes nothing in the motion."""

    def __init__(
        self,
        robot: RobotModel,
        num_envs: int,
        options: SimOptions,
        device: str,
        shared: Mapping[str, torch.Tensor] | None = None,
    ) -> None:
        """Allocate state and nominal parameters.

        Args:
            robot: The robot.
            num_envs: Robots.
            options: Options of the engine.
            device: Where it runs.
            shared: Memory that another process sees, see `_live_in`. That process sets the parameters, and shows its
                resets and pushes in the state: only a step writes the state here.
        """
        self.robot = robot
        self.num_envs = num_envs
        self.options = options
        self.device = torch.device(device)
        self._scene: Scene | None = None
        self.shows_interventions = shared is None
        """Resets and pushes show in `state` at once."""
        if shared is None:
            self.state = SimState.zeros(num_envs, robot, self.device)
            self.parameters = self._nominal_parameters()
            """Values in force, by name; read them freely, change them through `set_parameter`."""
            self.wrench_w = torch.zeros(num_envs, 1 + len(robot.foot_names), 6, device=self.device)
            """External force [N] and torque [N m] on the centre of mass of the base and of each foot link, acting in
            every step until it is changed: write it freely, keep its memory. Shape (N, 1 + F, 6)."""
        else:
            self._live_in(shared)

    def _live_in(self, shared: Mapping[str, torch.Tensor]) -> None:
        """Use memory that two processes see for state, parameters and forces.

        Args:
            shared: By name: `state.<field>`, `parameter.<name>`, and `wrench_w`.
        """
        self.state = SimState(**{f.name: shared[f"state.{f.name}"] for f in fields(SimState)})
        self.parameters = {name: shared[f"parameter.{name}"] for name in self.PARAMETERS}
        self.wrench_w = shared["wrench_w"]

    def _nominal_parameters(self) -> dict[str, torch.Tensor]:
        joints, bodies = len(self.robot.joint_names), len(self.robot.body_names)
        nominal = {
            "friction": torch.full((self.num_envs, len(self.robot.foot_names)), 1.0),
            "contact_time_constant": torch.full((self.num_envs,), CONTACT_TIME_CONSTANT),
            "armature": torch.full((self.num_envs, joints), self.options.armature),
            "base_mass_added": torch.zeros(self.num_envs),
            "base_com_offset": torch.zeros(self.num_envs, 3),
            "link_mass_scale": torch.ones(self.num_envs, bodies),
            "link_inertia_scale": torch.ones(self.num_envs, bodies),
            "kp": torch.full((self.num_envs, joints), self.options.kp),
            "kd": torch.full((self.num_envs, joints), self.options.kd),
            "strength": torch.ones(self.num_envs, joints),
            "action_delay": torch.zeros(self.num_envs),
        }
        return {name: value.to(self.device) for name, value in nominal.items()}

    @property
    def policy_dt(self) -> float:
        """Duration of one `step` [s]."""
        return self.options.timestep * self.options.decimation

    def set_parameter(self, name: str, value: torch.Tensor, mask: torch.Tensor | None = None) -> None:
        """Change one parameter; see `set_parameters`."""
        self.set_parameters({name: value}, mask)

    def set_parameters(self, values: Mapping[str, torch.Tensor], mask: torch.Tensor | None = None) -> None:
        """Change parameters of `PARAMETERS` for the robots in `mask` (all if None).

        Args:
            values: By name, new values for all N robots; rows outside the mask are ignored.
            mask: Robots to change, bool. Shape (N,).

        Raises:
            KeyError: A name is not a parameter.
            ValueError: A shape does not fit or, seen on the CPU only, a delay is out of range. Nothing is changed.
        """
        everyone = torch.ones(self.num_envs, dtype=torch.bool, device=self.device) if mask is None else mask
        # All are checked before any is set: a refused call changes nothing.
        for name, value in values.items():
            self._check_parameter(name, value, everyone)
        for name, value in values.items():
            if value is not self.parameters[name]:  # else it was written where it is in force
                overwrite(self.parameters[name], everyone, value)
        self._apply_parameters(values.keys(), everyone)

    def _check_parameter(self, name: str, value: torch.Tensor, mask: torch.Tensor) -> None:
        if name not in self.PARAMETERS:
            raise KeyError(f"unknown simulation parameter '{name}'; known: {', '.join(self.PARAMETERS)}")
        expected = self.parameters[name].shape
        if value.shape != expected:
            raise ValueError(f"{name}: got shape {tuple(value.shape)}, expected {tuple(expected)}")
        longest = self.policy_dt
        seen = value.device.type == "cpu"  # where it costs no wait for the device
        if name == "action_delay" and seen and (mask & ~((value >= 0) & (value <= longest + 1e-6))).any():
            raise ValueError(f"action_delay must lie in 0..{longest:g} s, a policy step")

    @abstractmethod
    def _apply_parameters(self, names: Collection[str], mask: torch.Tensor) -> None:
        """Hand the `parameters` of these names to the engine, for the robots in `mask`."""

    def prepare(self) -> None:
        """Get ready for the next step: no more resets, pushes or parameters are likely. May do nothing."""
        return

    @abstractmethod
    def step(self, joint_targets: torch.Tensor) -> None:
        """Advance one policy step and refresh `state`.

        A robot whose simulation diverges shows non-finite numbers until it is reset; the others go on undisturbed.

        Args:
            joint_targets: Joint position targets [rad]. Shape (N, J).
        """

    @abstractmethod
    def reset(self, mask: torch.Tensor, placement: Placement) -> None:
        """Place the robots in `mask`; the others' state stays as it is, bit for bit.

        The reset robots' torques, contact forces and peaks read zero until the next step; their delayed target is
        the placement's `joint_pos`.

        Args:
            mask: Robots to place, bool. Shape (N,).
            placement: Their poses and velocities.
        """

    @abstractmethod
    def push(self, mask: torch.Tensor, delta_vel_w: torch.Tensor) -> None:
        """Add a velocity to the base of the robots in `mask`.

        Args:
            mask: Robots to push, bool. Shape (N,).
            delta_vel_w: Velocity change [m/s]. Shape (N, 3).
        """

    def exact_state(self) -> dict[str, torch.Tensor] | None:
        """Return all that the next step depends on, by name, in place; None if the engine cannot."""
        return None

    def load_exact_state(self, state: Mapping[str, torch.Tensor]) -> None:
        """Take over what `exact_state` of a like simulator returned: from then on both do the same, bit for bit."""
        raise NotImplementedError(f"{type(self).__name__} cannot take over a state")

    def render(
        self,
        robot: int = 0,
        width: int = 640,
        height: int = 480,
        layers: Layers | None = None,
        others: Sequence[int] = (),
    ) -> np.ndarray:
        """Draw one robot, seen from a camera that follows it. MuJoCo draws, whatever the engine.

        Args:
            robot: Its index.
            width: Width of the picture [pixels].
            height: Height of the picture [pixels].
            layers: Overlays.
            others: Robots that are drawn as ghosts.

        Returns:
            RGB image, uint8. Shape (height, width, 3).

        Raises:
            RuntimeError: Off-screen rendering does not work here; the text says what to install.
        """
        if self._scene is None:
            self._scene = self.make_scene()
        return self._scene.image(self.poses([robot, *others]), width, height, layers=layers, ghosts=True)

    def poses(self, robots: Sequence[int]) -> np.ndarray:
        """Read where robots are, as `View.poses` has it; waits for the device. Shape (R, 7 + J)."""
        parts = (self.state.root_pos_w, self.state.root_quat_xyzw, self.state.joint_pos)
        index = torch.as_tensor(list(robots), device=self.device)
        return torch.cat([part.index_select(0, index) for part in parts], dim=-1).cpu().numpy().astype(float)

    def make_scene(self) -> Scene:
        """Make the scene that draws this robot on this ground: with MuJoCo, whatever the engine."""
        from legged_gym.sim.mujoco.scene import Scene  # not needed to simulate

        return Scene(self.robot, self.options.terrain)

    def step_engine(self) -> None:
        """Advance the engine by a policy step at the last targets and leave `state` alone: the yardstick for `step`."""
        raise NotImplementedError(f"{type(self).__name__} does not step its engine alone")

    def overflow_counts(self) -> dict[str, int]:
        """Count how often each buffer of the engine overflowed since the last call, by the buffer's name.

        Waits for the device: call it once per iteration.
        """
        return {}

    def open_window(self, robot: int = 0, controls: Controls | None = None) -> Screen:
        """Open a window. MuJoCo draws, whatever the engine.

        Args:
            robot: Index of the robot that it shows first.
            controls: Take the user's keys.
        """
        from legged_gym.sim.mujoco.window import MujocoWindow  # needs a display's libraries

        return MujocoWindow(self.make_scene(), self.poses([robot])[0], controls)

    def open_viewer(self, robot: int = 0) -> Viewer:
        """Open a window that shows one robot and nothing else."""
        return Viewer(self.open_window(robot), lambda: View(self.poses([robot])), self.policy_dt)

    def close(self) -> None:
        """Free the renderer; an engine that holds more frees it, too. The simulator is not used afterwards."""
        if self._scene is not None:
            self._scene.close()
            self._scene = None
