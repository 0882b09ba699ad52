"""The simulated scene: PhysX, the ground, and one robot per environment with its own properties. Python 3.8."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from isaacgym import gymapi

GRAVITY = 9.81
"""[m/s^2]"""
FRICTION_STEP = 1.0 / 1024.0
"""Friction coefficients are rounded to this: every value makes a material, and PhysX has room for 64,000."""
COMBINATIONS = {"average": (0.0, 2.0), "multiply": (1.0, 1.0)}
"""Way of combining two coefficients -> the ground's, and a factor on the robot's, to give the asked one."""
INERTIA = ("x", "y", "z")
FILTERS = {
    **{"base": 0b1100, "abad_L": 0b1111, "hip_L": 0b0101, "knee_L": 0b0001, "foot_L": 0b0001},
    **{"abad_R": 0b1111, "hip_R": 0b1010, "knee_R": 0b0010, "foot_R": 0b0010},
}
"""Collision filter of each link's shapes. Two shapes with a common bit do not touch: bits 0 and 1 keep a leg from
itself, 2 and 3 the thighs, which hang too near to it, from the base. Abads touch the ground only."""


class Scene:
    """Builds the simulation, and changes the properties that may change while it runs."""

    def __init__(self, spec: dict[str, Any], mesh: tuple[np.ndarray, np.ndarray] | None) -> None:
        """Create everything.

        Args:
            spec: From the trainer, see `IsaacGymSimulator`.
            mesh: Vertices (V, 3), float32 [m], and triangles (T, 3), uint32; None is the plane z = 0.

        Raises:
            ValueError: PhysX cannot be created on the device, or the asset is not the robot that was described.
        """
        self.gym = gymapi.acquire_gym()
        self.spec = spec
        self.cfg: dict[str, Any] = spec["cfg"]
        self.on_gpu = spec["device"].startswith("cuda")
        self.num_envs = int(spec["num_envs"])
        self._ground_friction, self._friction_factor = COMBINATIONS[self.cfg["friction_combine"]]
        self.sim = self._create_sim()
        self._add_ground(mesh)
        self.asset = self._load_asset()
        self.dofs = self._order("joint", self.gym.get_asset_dof_names(self.asset), spec["joint_names"])
        """Isaac Gym's index of each joint."""
        self.bodies = self._order("body", self.gym.get_asset_rigid_body_names(self.asset), spec["body_names"])
        """Isaac Gym's index of each body."""
        self._shape_links = self._links_of_shapes()
        self.has_foot_sensors = bool(self.cfg["foot_force_sensors"]) or (self.on_gpu and mesh is not None)
        """Net contact forces are unreliable on the GPU's triangle meshes, so feet measure them themselves there."""
        if self.has_foot_sensors:
            self._add_foot_sensors()
        self.envs: list[Any] = []
        self.actors: list[int] = []
        self._create_robots(spacing=0.0 if mesh is not None else float(self.cfg["env_spacing"]))
        origins = [self.gym.get_env_origin(env) for env in self.envs]
        self.origins = np.array([(p.x, p.y, p.z) for p in origins], dtype=np.float32)
        """Origin of each robot's world [m]. Shape (N, 3)."""
        rows = [self.gym.get_actor_index(env, actor, gymapi.DOMAIN_SIM) for env, actor in zip(self.envs, self.actors)]
        if rows != list(range(self.num_envs)):
            raise ValueError("Isaac Gym does not number the actors as they were made")
        nominal = self.gym.get_actor_rigid_body_properties(self.envs[0], self.actors[0])
        self.masses = np.array([nominal[i].mass for i in self.bodies])
        """Nominal masses [kg]. Shape (B,)."""
        self.coms = np.array([[nominal[i].com.x, nominal[i].com.y, nominal[i].com.z] for i in self.bodies])
        """Nominal centres of mass in the bodies' frames [m]. Shape (B, 3)."""
        self._inertias = np.array([_matrix(nominal[i].inertia) for i in self.bodies])  # (B, 3, 3)

    def _create_sim(self) -> Any:
        cfg, params = self.cfg, gymapi.SimParams()
        params.dt = self.spec["timestep"]
        params.substeps = cfg["substeps"]
        params.up_axis = gymapi.UP_AXIS_Z
        params.gravity = gymapi.Vec3(0.0, 0.0, -GRAVITY)
        params.use_gpu_pipeline = self.on_gpu
        physx = params.physx
        physx.use_gpu = self.on_gpu
        physx.num_threads = self.spec["num_threads"]
        physx.num_subscenes = 0
        physx.contact_collection = gymapi.ContactCollection.CC_LAST_SUBSTEP
        for name in (
            *("solver_type", "num_position_iterations", "num_velocity_iterations", "contact_offset", "rest_offset"),
            *("bounce_threshold_velocity", "max_depenetration_velocity", "max_gpu_contact_pairs"),
            "default_buffer_size_multiplier",
        ):
            setattr(physx, name, cfg[name])
        device = int(self.spec["device"].partition(":")[2] or 0) if self.on_gpu else 0
        sim = self.gym.create_sim(device, -1, gymapi.SIM_PHYSX, params)  # -1: no graphics, the trainer draws
        if sim is None:
            raise ValueError("Isaac Gym cannot create a PhysX simulation on {}".format(self.spec["device"]))
        return sim

    def _add_ground(self, mesh: tuple[np.ndarray, np.ndarray] | None) -> None:
        if mesh is None:
            plane = gymapi.PlaneParams()
            plane.normal = gymapi.Vec3(0.0, 0.0, 1.0)
            self._set_material(plane)
            self.gym.add_ground(self.sim, plane)
            return
        vertices, triangles = mesh
        params = gymapi.TriangleMeshParams()
        params.nb_vertices, params.nb_triangles = len(vertices), len(triangles)
        self._set_material(params)
        flat = np.ascontiguousarray(vertices, np.float32).ravel(), np.ascontiguousarray(triangles, np.uint32).ravel()
        self.gym.add_triangle_mesh(self.sim, *flat, params)

    def _set_material(self, params: Any) -> None:
        params.static_friction = params.dynamic_friction = self._ground_friction
        params.restitution = self.cfg["restitution"]

    def _load_asset(self) -> Any:
        options = gymapi.AssetOptions()
        options.collapse_fixed_joints = True  # but for the feet, whose joints say dont_collapse
        options.replace_cylinder_with_capsule = True
        options.default_dof_drive_mode = gymapi.DOF_MODE_EFFORT
        options.fix_base_link = False
        options.disable_gravity = False
        options.flip_visual_attachments = False
        options.density = 0.001
        options.linear_damping = options.angular_damping = 0.0
        options.max_linear_velocity = options.max_angular_velocity = 1000.0
        options.armature = 0.0
        options.thickness = 0.01
        asset = self.gym.load_asset(self.sim, self.spec["asset_root"], self.spec["asset_file"], options)
        if asset is None:
            raise ValueError("Isaac Gym cannot load {asset_root}/{asset_file}".format(**self.spec))
        return asset

    @staticmethod
    def _order(kind: str, theirs: Sequence[str], ours: Sequence[str]) -> list[int]:
        if sorted(theirs) != sorted(ours):
            raise ValueError(f"Isaac Gym sees the {kind} names {sorted(theirs)}, expected {sorted(ours)}")
        return [list(theirs).index(name) for name in ours]

    def _add_foot_sensors(self) -> None:
        properties = gymapi.ForceSensorProperties()
        properties.enable_forward_dynamics_forces = False
        properties.enable_constraint_solver_forces = True
        properties.use_world_frame = True
        for name in self.spec["foot_names"]:
            body = self.gym.find_asset_rigid_body_index(self.asset, name)
            self.gym.create_asset_force_sensor(self.asset, body, gymapi.Transform(), properties)

    def _create_robots(self, spacing: float) -> None:
        dofs = self.gym.get_asset_dof_properties(self.asset)
        dofs["driveMode"][:] = gymapi.DOF_MODE_EFFORT
        for name in ("stiffness", "damping", "friction"):
            dofs[name][:] = 0.0
        dofs["armature"][:] = self.spec["armature"]
        dofs["effort"][self.dofs] = [10.0 * limit for limit in self.spec["torque_limits"]]  # ours to limit
        self._dof_properties, touches_itself = dofs, bool(self.spec["self_collisions"])
        lower = gymapi.Vec3(-0.5 * spacing, -0.5 * spacing, 0.0)
        upper = gymapi.Vec3(0.5 * spacing, 0.5 * spacing, spacing)
        per_row = max(1, int(math.sqrt(self.num_envs)))
        pose = gymapi.Transform()
        pose.p = gymapi.Vec3(0.0, 0.0, self.spec["start_height"])
        for i in range(self.num_envs):
            env = self.gym.create_env(self.sim, lower, upper, per_row)
            # Groups of their own: robots do not touch each other. A common bit: nor does a robot touch itself.
            # Without one the shapes' filters decide.
            actor = self.gym.create_actor(env, self.asset, pose, "robot", i, 0 if touches_itself else 1, 0)
            self.gym.set_actor_dof_properties(env, actor, dofs)
            if touches_itself:
                self._set_filters(env, actor)
            self.envs.append(env)
            self.actors.append(actor)

    def set_friction(self, robot: int, left: float, right: float) -> None:
        """Give a robot's legs the friction coefficients that they have with the ground, and the base their mean."""
        env, actor = self.envs[robot], self.actors[robot]
        shapes = self.gym.get_actor_rigid_shape_properties(env, actor)
        for shape, link in zip(shapes, self._shape_links):
            friction = left if "_L_" in link else right if "_R_" in link else 0.5 * (left + right)
            shape.friction = round(self._friction_factor * friction / FRICTION_STEP) * FRICTION_STEP
            shape.restitution = self.cfg["restitution"]
        self.gym.set_actor_rigid_shape_properties(env, actor, shapes)

    def _set_filters(self, env: Any, actor: int) -> None:
        """Set which of a robot's bodies touch each other."""
        shapes = self.gym.get_actor_rigid_shape_properties(env, actor)
        for shape, link in zip(shapes, self._shape_links):
            shape.filter = FILTERS[link.replace("_Link", "")]
        self.gym.set_actor_rigid_shape_properties(env, actor, shapes)

    def _links_of_shapes(self) -> list[str]:
        """Name of the link that each collision shape belongs to."""
        names = self.gym.get_asset_rigid_body_names(self.asset)
        ranges = self.gym.get_asset_rigid_body_shape_indices(self.asset)
        links = [""] * sum(r.count for r in ranges)
        for name, r in zip(names, ranges):
            links[r.start : r.start + r.count] = [name] * r.count
        return links

    def set_armature(self, robot: int, armature: np.ndarray) -> None:
        """Give a robot's joints rotor inertias (J,) [kg m^2]; with the GPU pipeline only before `gym.prepare_sim`."""
        env, actor = self.envs[robot], self.actors[robot]
        dofs = self._dof_properties.copy()
        dofs["armature"][self.dofs] = armature
        self.gym.set_actor_dof_properties(env, actor, dofs)

    def set_bodies(self, robot: int, masses: np.ndarray, coms: np.ndarray, inertia_scale: np.ndarray) -> None:
        """Give a robot masses (B,) [kg], centres of mass (B, 3) [m] and factors on its nominal inertias (B,).

        With the GPU pipeline only before `gym.prepare_sim`.
        """
        env, actor = self.envs[robot], self.actors[robot]
        properties = self.gym.get_actor_rigid_body_properties(env, actor)
        for k, i in enumerate(self.bodies):
            body = properties[i]
            body.mass = float(masses[k])
            body.com = gymapi.Vec3(*(float(c) for c in coms[k]))
            for row, values in zip(INERTIA, inertia_scale[k] * self._inertias[k]):
                for column, value in zip(INERTIA, values):
                    setattr(getattr(body.inertia, row), column, float(value))
        # False: the inertias are meant as they are, and not to be computed anew.
        self.gym.set_actor_rigid_body_properties(env, actor, properties, False)

    def close(self) -> None:
        """Free PhysX."""
        self.gym.destroy_sim(self.sim)


def _matrix(m: Any) -> list[list[float]]:
    return [[getattr(getattr(m, row), column) for column in INERTIA] for row in INERTIA]
