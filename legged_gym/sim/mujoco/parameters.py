"""Writes the parameters of `Simulator.PARAMETERS` into MuJoCo's models: each robot has a model of its own."""

from collections.abc import Callable, Collection, Mapping, Sequence

import mujoco
import numpy as np
import torch

from legged_gym.sim.robot_model import SIDES, RobotModel


class ModelParameters:
    """The parameters in force in N models, and the masses that the centre of mass is computed from."""

    def __init__(self, robot: RobotModel, nominal: mujoco.MjModel, models: Sequence[mujoco.MjModel]) -> None:
        """Find the robot's bodies and geoms.

        Args:
            robot: The robot.
            nominal: The model that all were copied from; it is not changed.
            models: One for each robot.
        """
        self._nominal, self._models = nominal, models
        self._scratch = mujoco.MjData(nominal)
        self._bodies = [nominal.body(name).id for name in robot.body_names]
        self._geoms = np.flatnonzero(nominal.geom_conaffinity)
        self._friction_shares = self._shares_of_legs()
        mass = torch.as_tensor(nominal.body_mass[self._bodies])
        self.mass_share = (mass / mass.sum()).float().repeat(len(models), 1)
        """Share of each body in its robot's mass. Shape (N, B)."""
        self._nominal_base_com = torch.as_tensor(nominal.body_ipos[self._bodies[0]]).float()
        self.base_com = self._nominal_base_com.repeat(len(models), 1)
        """Centre of mass of the base [m, base frame]. Shape (N, 3)."""
        self._writers: dict[Callable[..., None], tuple[str, ...]] = {
            self._write_contact: ("friction", "contact_time_constant"),
            self._write_gains: ("kp", "kd", "strength"),
            self._write_inertia: (
                *("base_mass_added", "base_com_offset", "link_mass_scale", "link_inertia_scale"),
                "armature",
            ),
        }
        """Functions that write parameters into a model, and the parameters that each takes."""

    def _shares_of_legs(self) -> np.ndarray:
        """Weights of the legs' frictions in the friction of each of the robot's geoms. Shape (geoms, F)."""
        shares = []
        for geom in self._geoms:
            body = self._nominal.body(self._nominal.geom_bodyid[geom]).name
            own = np.array([f"_{side}_" in body for side in SIDES], dtype=float)
            shares.append(own if own.any() else np.full(len(SIDES), 1.0 / len(SIDES)))
        return np.array(shares)

    def write(self, names: Collection[str], parameters: Mapping[str, torch.Tensor], rows: torch.Tensor) -> None:
        """Write parameters into the models of some robots.

        Args:
            names: Their names; those that no model holds are left out.
            parameters: By name, for all N robots.
            rows: The robots. Shape (K,).
        """
        models = [self._models[i] for i in rows.tolist()]
        # Models are written one by one, in Python: only what has changed, and constants only where masses have.
        for write, inputs in self._writers.items():
            if not any(name in inputs for name in names):
                continue
            values = [parameters[name][rows].double().numpy() for name in inputs]
            for model, *row in zip(models, *values, strict=True):
                write(model, *row)
            if write == self._write_inertia:
                mass = torch.from_numpy(np.stack([model.body_mass[self._bodies] for model in models]))
                self.mass_share[rows] = (mass / mass.sum(-1, keepdim=True)).float()
                self.base_com[rows] = self._nominal_base_com + parameters["base_com_offset"][rows]

    def _write_contact(self, model: mujoco.MjModel, friction: np.ndarray, time_constant: float) -> None:
        model.geom_friction[self._geoms, 0] = self._friction_shares @ friction
        model.geom_solref[self._geoms, 0] = time_constant

    def _write_gains(self, model: mujoco.MjModel, kp: np.ndarray, kd: np.ndarray, strength: np.ndarray) -> None:
        """Set MuJoCo's affine actuators to strength (kp (target - q) - kd dq)."""
        model.actuator_gainprm[:, 0] = strength * kp
        model.actuator_biasprm[:, 1] = -strength * kp
        model.actuator_biasprm[:, 2] = -strength * kd

    def _write_inertia(
        self,
        model: mujoco.MjModel,
        added: float,
        com_offset: np.ndarray,
        mass: np.ndarray,
        inertia: np.ndarray,
        armature: np.ndarray,
    ) -> None:
        bodies, base, nominal = self._bodies, self._bodies[0], self._nominal
        model.body_mass[bodies] = nominal.body_mass[bodies] * mass
        model.body_mass[base] += added
        model.body_inertia[bodies] = nominal.body_inertia[bodies] * inertia[:, None]
        model.body_ipos[base] = nominal.body_ipos[base] + com_offset
        model.dof_armature[6:] = armature
        # Constants that MuJoCo derived from masses when it compiled the model, above all the solver's scaling.
        mujoco.mj_setConst(model, self._scratch)
