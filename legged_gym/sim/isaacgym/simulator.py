"""Isaac Gym as the trainer sees it: a worker under the interpreter that ISAACGYM_PYTHON names."""

import dataclasses
import os
import shutil
import sys
import tempfile
import weakref
from collections.abc import Mapping
from pathlib import Path

import torch

from legged_gym.sim.isaacgym.asset import ASSET_FILE, write_asset
from legged_gym.sim.isaacgym.config import IsaacGymCfg
from legged_gym.sim.process.config import ProcessCfg
from legged_gym.sim.process.errors import (
    EngineMissing,
    InterpreterMissing,
    LibPythonMissing,
    PackageMissing,
)
from legged_gym.sim.process.launch import Worker
from legged_gym.sim.process.protocol import BODY_PARAMETERS
from legged_gym.sim.process.simulator import ProcessSimulator
from legged_gym.sim.robot_model import RobotModel
from legged_gym.sim.sim_options import SimOptions, motor_speeds
from legged_gym.utils.machine import usable_cores

VARIABLE = "ISAACGYM_PYTHON"
_EXAMPLE = "~/miniconda3/envs/isaacgym/bin/python"
_SET_IT = f"set {VARIABLE} to the python of your Isaac Gym environment (Python 3.8), e.g. {_EXAMPLE}"
REMEDIES: dict[type, str] = {
    InterpreterMissing: _SET_IT,
    EngineMissing: f"install Isaac Gym there (pip install -e isaacgym/python), or {_SET_IT}",
    PackageMissing: "it needs Python 3.8 with numpy and torch, in the versions that Isaac Gym asks for",
    LibPythonMissing: "add the lib folder of that environment to LD_LIBRARY_PATH",
}


def launch() -> Worker:
    """Start a worker.

    Raises:
        WorkerError: The interpreter or its Isaac Gym is missing, or does not start; the text says what to do.
    """
    given = os.environ.get(VARIABLE)
    if not given:
        raise InterpreterMissing(f"the simulator isaacgym: {VARIABLE} is not set; {_SET_IT}")
    found = shutil.which(os.path.expanduser(given))
    if found is None:
        raise InterpreterMissing(f"the simulator isaacgym: {VARIABLE}={given} is no program; {_SET_IT}")
    environment = os.environ | {"LD_LIBRARY_PATH": _library_path(Path(found))}
    environment.pop("PYTHONHOME", None)
    return Worker("isaacgym", [found, str(Path(__file__).with_name("worker.py"))], environment, REMEDIES)


def _library_path(python: Path) -> str:
    """Return LD_LIBRARY_PATH with the interpreter's own libraries in front: Isaac Gym's look for libpython there."""
    own = [str(path.parent.parent / "lib") for path in (python, python.resolve())]  # of an environment and its base
    return os.pathsep.join(filter(None, [*own, os.environ.get("LD_LIBRARY_PATH", "")]))


class IsaacGymSimulator(ProcessSimulator):
    """N robots in PhysX.

    On the GPU pipeline PhysX takes masses, inertias and centres of mass only before its first step. Setting them later
    for all robots, without a mask, restarts PhysX at the next step, with the robots where they are.
    Setting them for some robots has no effect: `parameters` keep the values in force.

    PhysX gives the net force on a body but not its source, so `peak_leg_force` stays zero. Its contacts are rigid.
    """

    UNSUPPORTED = frozenset({"contact_time_constant"})

    def __init__(
        self,
        robot: RobotModel,
        num_envs: int,
        options: SimOptions,
        device: str = "cpu",
        process: ProcessCfg | None = None,
    ) -> None:
        """Start Isaac Gym.

        Args:
            robot: The robot.
            num_envs: Robots.
            options: What every engine is built with; `engine` is an `IsaacGymCfg`.
            device: "cpu" takes the CPU pipeline, a CUDA device the GPU pipeline.
            process: Timeouts and restarts.

        Raises:
            WorkerError: It cannot be started; the text says why and what to do.
        """
        self._stepped, self._on_gpu_pipeline = False, torch.device(device).type == "cuda"
        self._has_warned = self._masses_are_new = False
        terrain = options.terrain
        mesh = {} if terrain is None else {"terrain.vertices": terrain.vertices, "terrain.triangles": terrain.triangles}
        # int32: torch has no such unsigned type
        arrays = {name: array.view("int32") if "triangles" in name else array for name, array in mesh.items()}
        folder = Path(tempfile.mkdtemp(prefix="legged_gym_"))
        weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        write_asset(robot, folder)
        corner_speeds, no_load_speeds = motor_speeds(robot, options)
        spec = {
            "asset_root": str(folder),
            "asset_file": ASSET_FILE,
            "joint_names": robot.joint_names,
            "body_names": robot.body_names,
            "foot_names": robot.foot_names,
            "torque_limits": robot.torque_limits.tolist(),
            "corner_speeds": corner_speeds.tolist(),
            "no_load_speeds": no_load_speeds.tolist(),
            "clamp_targets": options.clamp_targets,
            "self_collisions": options.self_collisions,
            "kp": options.kp,
            "kd": options.kd,
            "start_height": robot.zero_pose_height,
            "num_envs": num_envs,
            "timestep": options.timestep,
            "decimation": options.decimation,
            "armature": options.armature,
            "joint_damping": options.joint_damping,
            "num_threads": options.num_threads or usable_cores(),
            "mesh": terrain is not None,
            "cfg": dataclasses.asdict(options.engine or IsaacGymCfg()),
        }
        super().__init__(robot, num_envs, options, device, process or ProcessCfg(), launch, spec, arrays)

    def step(self, joint_targets: torch.Tensor) -> None:
        """See `Simulator.step`."""
        if self._masses_are_new:
            self._masses_are_new = False
            self.start_anew()
        super().step(joint_targets)
        self._stepped = True

    def set_parameters(self, values: Mapping[str, torch.Tensor], mask: torch.Tensor | None = None) -> None:
        """See `Simulator.set_parameters`, and the note on masses above."""
        late = [name for name in values if name in BODY_PARAMETERS]
        if late and self._stepped and self._on_gpu_pipeline:
            if mask is None:
                self._masses_are_new = True
            else:
                self._warn_that_masses_stay()
                values = {name: value for name, value in values.items() if name not in late}
        super().set_parameters(values, mask)

    def _warn_that_masses_stay(self) -> None:
        if not self._has_warned:
            self._has_warned = True
            print(
                "isaacgym: the GPU pipeline keeps the masses of the first step; with the curriculum these have its"
                " initial difficulty, --env.curriculum.initial",
                file=sys.stderr,
            )
