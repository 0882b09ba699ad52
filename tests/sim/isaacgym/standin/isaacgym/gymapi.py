"""Structures, constants and `Gym`, as far as they are used."""

from __future__ import annotations

import enum
import json
import os
from typing import Any

import mujoco
import numpy as np

from isaacgym import _world

SIM_PHYSX = 1
UP_AXIS_Z = 1
DOF_MODE_NONE, DOF_MODE_POS, DOF_MODE_VEL, DOF_MODE_EFFORT = range(4)
DOMAIN_ENV, DOMAIN_SIM = 0, 2
ENV_SPACE, LOCAL_SPACE, GLOBAL_SPACE = range(3)


class ContactCollection(enum.IntEnum):
    CC_NEVER = 0
    CC_LAST_SUBSTEP = 1
    CC_ALL_SUBSTEPS = 2


class Struct:
    """A C++ structure: fixed fields of fixed types; anything else raises."""

    FIELDS: dict[str, Any] = {}

    def __init__(self, *values: Any) -> None:
        if len(values) > len(self.FIELDS):
            raise TypeError(f"{type(self).__name__} takes {len(self.FIELDS)} values")
        for name, default in self.FIELDS.items():
            object.__setattr__(self, name, default() if isinstance(default, type) else default)
        for name, value in zip(self.FIELDS, values):
            setattr(self, name, value)

    def __setattr__(self, name: str, value: Any) -> None:
        if name not in self.FIELDS:
            raise AttributeError(f"{type(self).__name__} has no attribute {name}")
        old = getattr(self, name)
        if isinstance(old, bool):
            fits = isinstance(value, (bool, np.bool_))
        elif isinstance(old, float):
            fits = isinstance(value, (int, float, np.floating, np.integer)) and not isinstance(value, bool)
            value = float(np.float32(value)) if fits else value
        elif isinstance(old, int):
            fits = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
        else:
            fits = isinstance(value, type(old))
        if not fits:
            raise TypeError(f"{type(self).__name__}.{name}: incompatible value {value!r}")
        object.__setattr__(self, name, value)

    def to_dict(self) -> dict[str, Any]:
        values = {name: getattr(self, name) for name in self.FIELDS}
        return {name: value.to_dict() if isinstance(value, Struct) else value for name, value in values.items()}


class Vec3(Struct):
    FIELDS = {"x": 0.0, "y": 0.0, "z": 0.0}


class Quat(Struct):
    FIELDS = {"x": 0.0, "y": 0.0, "z": 0.0, "w": 1.0}


class Transform(Struct):
    FIELDS = {"p": Vec3, "r": Quat}


class Mat33(Struct):
    FIELDS = {"x": Vec3, "y": Vec3, "z": Vec3}


class PhysXParams(Struct):
    FIELDS = {
        **{"use_gpu": False, "num_threads": 0, "num_subscenes": 0, "solver_type": 1, "num_position_iterations": 4},
        **{
            "num_velocity_iterations": 1,
            "contact_offset": 0.02,
            "rest_offset": 0.001,
            "friction_offset_threshold": 0.04,
        },
        **{"bounce_threshold_velocity": 0.2, "max_depenetration_velocity": 100.0, "max_gpu_contact_pairs": 2**20},
        **{"default_buffer_size_multiplier": 2.0, "contact_collection": ContactCollection.CC_ALL_SUBSTEPS},
    }


class SimParams(Struct):
    FIELDS = {
        **{"dt": 1.0 / 60.0, "substeps": 2, "gravity": Vec3, "up_axis": 0, "use_gpu_pipeline": False},
        **{"num_client_threads": 0, "physx": PhysXParams},
    }


class PlaneParams(Struct):
    FIELDS = {
        **{"normal": Vec3, "distance": 0.0, "static_friction": 1.0, "dynamic_friction": 1.0, "restitution": 0.0},
        "segmentation_id": 0,
    }


class TriangleMeshParams(Struct):
    FIELDS = {
        **{"nb_vertices": 0, "nb_triangles": 0, "transform": Transform, "static_friction": 1.0},
        **{"dynamic_friction": 1.0, "restitution": 0.0, "segmentation_id": 0},
    }


class AssetOptions(Struct):
    FIELDS = {
        **{"fix_base_link": False, "disable_gravity": False, "collapse_fixed_joints": False, "armature": 0.0},
        **{"replace_cylinder_with_capsule": False, "flip_visual_attachments": True, "default_dof_drive_mode": 0},
        **{"density": 1000.0, "linear_damping": 0.0, "angular_damping": 0.5, "max_linear_velocity": 1000.0},
        **{"max_angular_velocity": 64.0, "thickness": 0.02, "override_com": False, "override_inertia": False},
    }


class ForceSensorProperties(Struct):
    FIELDS = {
        **{"enable_forward_dynamics_forces": True, "enable_constraint_solver_forces": True, "use_world_frame": False},
    }


class RigidBodyProperties(Struct):
    FIELDS = {"mass": 0.0, "invMass": 0.0, "com": Vec3, "inertia": Mat33, "invInertia": Mat33, "flags": 0}


class RigidShapeProperties(Struct):
    FIELDS = {
        **{"friction": 1.0, "rolling_friction": 0.0, "torsion_friction": 0.0, "restitution": 0.0, "compliance": 0.0},
        **{"thickness": 0.0, "filter": 0},
    }


class IndexRange:
    def __init__(self, start: int, count: int) -> None:
        self.start, self.count = start, count


class Tensor:
    """Describes an array: device, dtype, shape, address."""

    def __init__(self, array: np.ndarray) -> None:
        self.array = array

    def checked(self, what: str, dtype: type, shape: tuple[int, ...]) -> np.ndarray:
        if self.array.dtype != dtype:
            raise TypeError(f"{what}: expected dtype {np.dtype(dtype)}, got {self.array.dtype}")
        if self.array.size != np.prod(shape):
            raise ValueError(f"{what}: expected {shape} numbers, got shape {self.array.shape}")
        return self.array.reshape(shape)


class Env:
    def __init__(self, sim: Sim, origin: np.ndarray) -> None:
        self.sim, self.origin = sim, origin
        self.actors: list[int] = []


class Sim:
    """All that is simulated; `actors` are MuJoCo worlds with one robot each."""

    def __init__(self, params: SimParams) -> None:
        self.params = params
        self.ground: dict[str, Any] | None = None
        self.ground_friction = 0.0
        self.envs: list[Env] = []
        self.actors: list[_world.World] = []
        self.prepared, self.fetched = False, True

    def allocate(self) -> None:
        n, actors = len(self.actors), self.actors
        joints, bodies, sensors = len(actors[0].asset.dofs), len(actors[0].asset.bodies), len(actors[0].asset.sensors)
        shapes = {"root": (n, 13), "dof": (n * joints, 2), "body": (n * bodies, 13), "contact": (n * bodies, 3)}
        shapes["sensor"] = (n * sensors, 6)
        self.tensors = {name: np.zeros(shape, np.float32) for name, shape in shapes.items()}
        self.torques = np.zeros(n * joints, np.float32)


def acquire_gym() -> Gym:
    return Gym()


class Gym:
    """The interface; a method takes the simulation or an environment first."""

    # -- set-up --------------------------------------------------------------------------------------------------------

    def create_sim(self, compute_device: int, graphics_device: int, type: int, params: SimParams) -> Sim | None:
        if type != SIM_PHYSX or not isinstance(params, SimParams):
            raise TypeError("create_sim(): incompatible arguments")
        if params.use_gpu_pipeline or params.physx.use_gpu:
            print("[Error] [carb.gym.plugin] no CUDA in the stand-in")
            return None
        if params.up_axis != UP_AXIS_Z:
            raise ValueError("the stand-in knows z up only")
        return Sim(params)

    def add_ground(self, sim: Sim, params: PlaneParams) -> None:
        if (params.normal.x, params.normal.y, params.normal.z) != (0.0, 0.0, 1.0):
            raise ValueError("the stand-in knows a horizontal plane only")
        sim.ground = {"plane": True}
        sim.ground_friction = params.dynamic_friction
        self._record(plane=params)

    def add_triangle_mesh(
        self, sim: Sim, vertices: np.ndarray, triangles: np.ndarray, params: TriangleMeshParams
    ) -> None:
        if vertices.dtype != np.float32 or triangles.dtype != np.uint32 or vertices.ndim != 1 or triangles.ndim != 1:
            raise TypeError("add_triangle_mesh(): expected flat arrays of float32 and uint32")
        if len(vertices) != 3 * params.nb_vertices or len(triangles) != 3 * params.nb_triangles:
            raise ValueError("add_triangle_mesh(): the counts do not fit the arrays")
        p = params.transform.p
        sim.ground = _world.rasterise(vertices.reshape(-1, 3) + np.array((p.x, p.y, p.z)))
        sim.ground_friction = params.dynamic_friction
        self._record(mesh=params)

    def load_asset(self, sim: Sim, rootpath: str, filename: str, options: AssetOptions) -> _world.Asset | None:
        path = os.path.join(rootpath, filename)
        if not os.path.isfile(path):
            return None
        self._record(asset=options)
        return _world.Asset(path, options)

    def get_asset_dof_names(self, asset: _world.Asset) -> list[str]:
        return list(asset.dofs)

    def get_asset_rigid_body_names(self, asset: _world.Asset) -> list[str]:
        return list(asset.bodies)

    def get_asset_rigid_body_shape_indices(self, asset: _world.Asset) -> list[IndexRange]:
        starts = np.cumsum([0, *asset.shape_counts])
        return [IndexRange(int(start), count) for start, count in zip(starts, asset.shape_counts)]

    def find_asset_rigid_body_index(self, asset: _world.Asset, name: str) -> int:
        return asset.bodies.index(name) if name in asset.bodies else -1

    def get_asset_dof_properties(self, asset: _world.Asset) -> np.ndarray:
        return asset.dof_properties.copy()

    def create_asset_force_sensor(
        self, asset: _world.Asset, body_idx: int, local_pose: Transform, props: ForceSensorProperties
    ) -> int:
        if not 0 <= body_idx < len(asset.bodies) or not isinstance(local_pose, Transform):
            return -1
        if props.enable_forward_dynamics_forces or not props.use_world_frame:
            raise ValueError("the stand-in's sensors measure contact forces in the world frame")
        asset.sensors.append(body_idx)
        return len(asset.sensors) - 1

    def create_env(self, sim: Sim, lower: Vec3, upper: Vec3, num_per_row: int) -> Env:
        if sim.prepared:
            raise RuntimeError("create_env() after prepare_sim()")
        if not isinstance(num_per_row, int):
            raise TypeError("create_env(): num_per_row must be an int")
        row, column = divmod(len(sim.envs), num_per_row)
        self._record(env_lower=lower, env_upper=upper)
        sim.envs.append(Env(sim, np.array([column * (upper.x - lower.x), row * (upper.y - lower.y), 0.0])))
        return sim.envs[-1]

    def get_env_origin(self, env: Env) -> Vec3:
        return Vec3(*env.origin)

    def create_actor(
        self, env: Env, asset: _world.Asset, pose: Transform, name: str, group: int, filter: int, segmentation: int = 0
    ) -> int:
        if not isinstance(pose, Transform) or not isinstance(name, str):
            raise TypeError("create_actor(): incompatible arguments")
        if group != len(env.sim.actors):
            raise ValueError("the stand-in's robots do not touch each other")
        world = _world.World(env.sim, asset, env.origin + np.array((pose.p.x, pose.p.y, pose.p.z)))
        world.set_filters([filter] * len(world.friction))
        env.sim.actors.append(world)
        env.actors.append(len(env.sim.actors) - 1)
        return len(env.actors) - 1

    def get_actor_index(self, env: Env, handle: int, domain: int) -> int:
        if domain != DOMAIN_SIM:
            raise ValueError("get_actor_index(): the stand-in knows DOMAIN_SIM only")
        return env.actors[handle]

    def set_actor_dof_properties(self, env: Env, handle: int, props: np.ndarray) -> bool:
        if props.dtype != _world.DOF_DTYPE:
            raise TypeError("set_actor_dof_properties(): wrong dtype")
        if (props["driveMode"] != DOF_MODE_EFFORT).any() or props["stiffness"].any() or props["damping"].any():
            raise ValueError("the stand-in's joints take efforts only")
        self._world(env, handle).set_dofs(props)
        return True

    def get_actor_rigid_shape_properties(self, env: Env, handle: int) -> list[RigidShapeProperties]:
        world = self._world(env, handle)
        shapes = [RigidShapeProperties(float(friction)) for friction in world.friction]
        for shape, filter in zip(shapes, world.filters):
            shape.filter = filter
        return shapes

    def set_actor_rigid_shape_properties(self, env: Env, handle: int, props: list[RigidShapeProperties]) -> bool:
        self._world(env, handle).set_friction([p.friction for p in props])
        self._world(env, handle).set_filters([p.filter for p in props])
        return True

    def get_actor_rigid_body_properties(self, env: Env, handle: int) -> list[RigidBodyProperties]:
        result = []
        for mass, com, inertia in self._world(env, handle).body_properties():
            properties = RigidBodyProperties(mass, 1.0 / mass)
            properties.com = Vec3(*com)
            properties.inertia = Mat33(*(Vec3(*row) for row in inertia))
            result.append(properties)
        return result

    def set_actor_rigid_body_properties(
        self, env: Env, handle: int, props: list[RigidBodyProperties], recomputeInertia: bool = False
    ) -> bool:
        if recomputeInertia:
            raise ValueError("the stand-in does not recompute inertias")
        rows = ((p.inertia.x, p.inertia.y, p.inertia.z) for p in props)
        inertias = [[[v.x, v.y, v.z] for v in row] for row in rows]
        self._world(env, handle).set_bodies(
            [p.mass for p in props], [(p.com.x, p.com.y, p.com.z) for p in props], inertias
        )
        return True

    @staticmethod
    def _world(env: Env, handle: int) -> _world.World:
        return env.sim.actors[env.actors[handle]]

    def prepare_sim(self, sim: Sim) -> bool:
        sim.allocate()
        sim.prepared = True
        self._record(params=sim.params)
        return True

    def destroy_sim(self, sim: Sim) -> None:
        sim.actors.clear()

    @staticmethod
    def _record(**structs: Struct) -> None:
        path = os.environ.get("STANDIN_RECORD")
        if path:
            with open(path, "a") as file:
                for name, struct in structs.items():
                    file.write(json.dumps({"name": name, "values": struct.to_dict()}) + "\n")

    # -- tensors -------------------------------------------------------------------------------------------------------

    def _acquire(self, sim: Sim, name: str) -> Tensor:
        if not sim.prepared:
            raise RuntimeError("tensors are acquired after prepare_sim()")
        return Tensor(sim.tensors[name])

    def acquire_actor_root_state_tensor(self, sim: Sim) -> Tensor:
        return self._acquire(sim, "root")

    def acquire_dof_state_tensor(self, sim: Sim) -> Tensor:
        return self._acquire(sim, "dof")

    def acquire_rigid_body_state_tensor(self, sim: Sim) -> Tensor:
        return self._acquire(sim, "body")

    def acquire_net_contact_force_tensor(self, sim: Sim) -> Tensor:
        return self._acquire(sim, "contact")

    def acquire_force_sensor_tensor(self, sim: Sim) -> Tensor:
        return self._acquire(sim, "sensor")

    @staticmethod
    def _refresh(sim: Sim, name: str) -> bool:
        if not sim.fetched:
            raise RuntimeError("the CPU pipeline needs fetch_results() before a refresh")
        rows = sim.tensors[name].reshape(len(sim.actors), -1)
        for row, world in zip(rows, sim.actors):
            row[:] = world.read(name).ravel()
        return True

    def refresh_actor_root_state_tensor(self, sim: Sim) -> bool:
        return self._refresh(sim, "root")

    def refresh_dof_state_tensor(self, sim: Sim) -> bool:
        return self._refresh(sim, "dof")

    def refresh_rigid_body_state_tensor(self, sim: Sim) -> bool:
        return self._refresh(sim, "body")

    def refresh_net_contact_force_tensor(self, sim: Sim) -> bool:
        return self._refresh(sim, "contact")

    def refresh_force_sensor_tensor(self, sim: Sim) -> bool:
        return self._refresh(sim, "sensor")

    @staticmethod
    def _indices(sim: Sim, indices: Tensor, count: int) -> np.ndarray:
        rows = indices.checked("indices", np.int32, (count,))
        if len(set(rows)) != count or not ((rows >= 0) & (rows < len(sim.actors))).all():
            raise ValueError(f"indices must be different actors, got {rows}")
        return rows

    def set_actor_root_state_tensor_indexed(self, sim: Sim, states: Tensor, indices: Tensor, count: int) -> bool:
        values = states.checked("root states", np.float32, (len(sim.actors), 13))
        for row in self._indices(sim, indices, count):
            sim.actors[row].set_root(values[row].astype(float))
        return True

    def set_dof_state_tensor_indexed(self, sim: Sim, states: Tensor, indices: Tensor, count: int) -> bool:
        values = states.checked("dof states", np.float32, sim.tensors["dof"].shape).reshape(len(sim.actors), -1, 2)
        for row in self._indices(sim, indices, count):
            sim.actors[row].set_dof_state(values[row].astype(float))
        return True

    def set_dof_actuation_force_tensor(self, sim: Sim, forces: Tensor) -> bool:
        sim.torques[:] = forces.checked("forces", np.float32, sim.torques.shape)
        return True

    def apply_rigid_body_force_tensors(self, sim: Sim, forces: Tensor, torques: Tensor, space: int) -> bool:
        if space != ENV_SPACE:
            raise ValueError("apply_rigid_body_force_tensors(): the stand-in knows ENV_SPACE only")
        shape = sim.tensors["contact"].shape
        values = [tensor.checked("forces", np.float32, shape) for tensor in (forces, torques)]
        wrenches = np.concatenate(values, -1).reshape(len(sim.actors), -1, 6)
        for world, wrench in zip(sim.actors, wrenches):
            world.apply_wrenches(wrench.astype(float))
        return True

    # -- running -------------------------------------------------------------------------------------------------------

    def simulate(self, sim: Sim) -> None:
        if not sim.prepared:
            raise RuntimeError("simulate() before prepare_sim()")
        for world, torques in zip(sim.actors, sim.torques.reshape(len(sim.actors), -1)):
            world.simulate(torques)
        sim.fetched = False

    def fetch_results(self, sim: Sim, wait: bool) -> None:
        sim.fetched = True


mujoco.set_mju_user_warning(lambda message: None)  # an unstable robot is what some tests are about
