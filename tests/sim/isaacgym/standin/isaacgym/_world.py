"""The stand-in's physics: an asset read from a URDF as Isaac Gym would, and one MuJoCo world per robot."""

from __future__ import annotations

import copy
import os
from collections.abc import Sequence
from typing import Any
from xml.etree import ElementTree as Xml

import mujoco
import numpy as np

SELF_MARGIN = 0.03
"""As in the MuJoCo backend [m]; PhysX looks ahead by its own means."""
DOF_DTYPE = np.dtype(
    [("hasLimits", "?"), ("lower", "<f4"), ("upper", "<f4"), ("driveMode", "<i4"), ("velocity", "<f4")]
    + [(name, "<f4") for name in ("effort", "stiffness", "damping", "friction", "armature")]
)


def numbers(element: Any, key: str, default: str = "0 0 0") -> np.ndarray:
    return np.array([float(word) for word in (default if element is None else element.get(key, default)).split()])


def rotation(rpy: np.ndarray) -> np.ndarray:
    quat, matrix = np.zeros(4), np.zeros(9)
    mujoco.mju_euler2Quat(quat, rpy, "XYZ")
    mujoco.mju_quat2Mat(matrix, quat)
    return matrix.reshape(3, 3)


def text(values: Any) -> str:
    return " ".join(f"{value:.17g}" for value in values)


class Asset:
    """The tree of links; those over fixed joints are merged into their parents, unless the joint says not to."""

    def __init__(self, path: str, options: Any) -> None:
        self.options = options
        root = Xml.parse(path).getroot()
        self.links = {link.get("name"): link for link in root.iterfind("link")}
        self.joints = list(root.iterfind("joint"))
        children = {joint.find("child").get("link") for joint in self.joints}
        (base,) = set(self.links) - children
        self.bodies: list[str] = []
        self.shape_counts: list[int] = []
        self.dofs: list[str] = []
        self.sensors: list[int] = []
        self.model: Any = None
        self._limits: list[tuple[float, ...]] = []
        self.tree = self._body(base, None)
        self.dof_properties = np.zeros(len(self.dofs), DOF_DTYPE)
        self.dof_properties["hasLimits"] = True
        for name, column in zip(("lower", "upper", "effort", "velocity"), zip(*self._limits)):
            self.dof_properties[name] = column

    def _body(self, name: str, joint: Any) -> Xml.Element:
        """MuJoCo's element of a link and all that hangs on it, in Isaac Gym's order: depth first, by name."""
        self.bodies.append(name)
        self.shape_counts.append(0)
        number = len(self.bodies) - 1
        origin = None if joint is None else joint.find("origin")
        body = Xml.Element("body", name=name, pos=text(numbers(origin, "xyz")))
        if numbers(origin, "rpy").any():
            raise ValueError("the stand-in knows unrotated joints only")
        if joint is not None and joint.get("type") == "revolute":
            limit = joint.find("limit")
            self.dofs.append(joint.get("name"))
            self._limits.append(tuple(float(limit.get(key)) for key in ("lower", "upper", "effort", "velocity")))
            axis, span = text(numbers(joint.find("axis"), "xyz", "1 0 0")), text(self._limits[-1][:2])
            Xml.SubElement(body, "joint", name=joint.get("name"), type="hinge", axis=axis, limited="true", range=span)
        parts: list[tuple[float, np.ndarray, np.ndarray]] = []
        kept = self._merge(name, np.eye(3), np.zeros(3), body, parts)
        self.shape_counts[number] = len(body.findall("geom"))
        mass = sum(m for m, _, _ in parts)
        com = sum(m * c for m, c, _ in parts) / mass
        inertia = sum(i + m * ((c - com) @ (c - com) * np.eye(3) - np.outer(c - com, c - com)) for m, c, i in parts)
        full = inertia[[0, 1, 2, 0, 0, 1], [0, 1, 2, 1, 2, 2]]
        Xml.SubElement(body, "inertial", mass=text([mass]), pos=text(com), fullinertia=text(full))
        order = sorted(kept, key=lambda j: j.get("name"), reverse=bool(os.environ.get("STANDIN_REVERSED")))
        for child in order:
            body.append(self._body(child.find("child").get("link"), child))
        return body

    def _merge(self, name: str, turn: np.ndarray, pos: np.ndarray, body: Xml.Element, parts: list[Any]) -> list[Any]:
        """Add a link's masses and shapes to a body; returns the joints that lead on."""
        inertial = self.links[name].find("inertial")
        if inertial is not None:
            i = inertial.find("inertia")
            xx, xy, xz, yy, yz, zz = (float(i.get("i" + key)) for key in ("xx", "xy", "xz", "yy", "yz", "zz"))
            tensor = np.array([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]])
            origin = inertial.find("origin")
            own = turn @ rotation(numbers(origin, "rpy"))
            com = pos + turn @ numbers(origin, "xyz")
            parts.append((float(inertial.find("mass").get("value")), com, own @ tensor @ own.T))
        for collision in self.links[name].iterfind("collision"):
            self._add_geom(collision, turn, pos, body)
        kept = []
        for joint in self.joints:
            if joint.find("parent").get("link") != name:
                continue
            collapses = self.options.collapse_fixed_joints and joint.get("dont_collapse") != "true"
            if joint.get("type") == "fixed" and collapses:
                origin = joint.find("origin")
                there = pos + turn @ numbers(origin, "xyz")
                child = joint.find("child").get("link")
                kept += self._merge(child, turn @ rotation(numbers(origin, "rpy")), there, body, parts)
            else:
                kept.append(joint)
        return kept

    def _add_geom(self, collision: Any, turn: np.ndarray, pos: np.ndarray, body: Xml.Element) -> None:
        (shape,) = collision.find("geometry")
        origin = collision.find("origin")
        quat = np.zeros(4)
        mujoco.mju_mat2Quat(quat, (turn @ rotation(numbers(origin, "rpy"))).ravel())
        kind, size = shape.tag, 0.5 * numbers(shape, "size")
        if kind == "sphere":
            size = numbers(shape, "radius")
        elif kind == "cylinder":
            size = np.array([float(shape.get("radius")), 0.5 * float(shape.get("length"))])
            kind = "capsule" if self.options.replace_cylinder_with_capsule else kind
        place = {"pos": text(pos + turn @ numbers(origin, "xyz")), "quat": text(quat)}
        Xml.SubElement(
            *(body, "geom", place), type=kind, size=text(size), contype="0", conaffinity="1", condim="3", priority="1"
        )
        geoms = body.findall("geom")
        geoms[-1].set("name", f"{body.get('name')}/{len(geoms)}")


def rasterise(vertices: np.ndarray) -> dict[str, Any]:
    """Turn the vertices of a mesh over a square grid into heights of its top; MuJoCo's own meshes are convex."""
    low, high = vertices[:, :2].min(0), vertices[:, :2].max(0)
    steps = np.diff(np.unique(np.round(vertices[:, 0], 4)))
    cell = steps[steps > 1e-3].min()
    columns, rows = (np.round((high - low) / cell).astype(int) + 1).tolist()
    heights = np.full((rows, columns), -np.inf)
    column, row = np.round((vertices[:, :2] - low) / cell).astype(int).T
    np.maximum.at(heights, (row, column), vertices[:, 2])
    while np.isinf(heights).any():  # a vertex stands under its neighbour, at the foot of a vertical face
        padded = np.pad(np.where(np.isinf(heights), np.inf, heights), 1, constant_values=np.inf)
        lowest = np.min([padded[:-2, 1:-1], padded[2:, 1:-1], padded[1:-1, :-2], padded[1:-1, 2:]], 0)
        heights = np.where(np.isinf(heights), lowest, heights)
    return {"heights": heights, "middle": 0.5 * (low + high), "half": 0.5 * (high - low)}


class World:
    """One robot and the ground, in coordinates that all environments share."""

    def __init__(self, sim: Any, asset: Asset, pos: np.ndarray) -> None:
        self.asset, self._ground_friction = asset, sim.ground_friction
        self._substeps = sim.params.substeps
        self._at_com = os.environ.get("STANDIN_VELOCITY", "com") == "com"
        if asset.model is None:
            asset.model = self._compile(sim, asset)
        self.model = copy.copy(asset.model)
        self.data = mujoco.MjData(self.model)
        self.data.qpos[:3] = pos
        self._bodies = [self.model.body(name).id for name in asset.bodies]
        first = self.model.body_geomadr[self._bodies[0]]
        self._geoms = slice(int(first), self.model.ngeom)
        self.set_friction([1.0] * (self.model.ngeom - int(first)))
        self.filters: list[int] = []
        self._contact = np.zeros((self.model.nbody, 3))
        self._show()

    @staticmethod
    def _compile(sim: Any, asset: Asset) -> mujoco.MjModel:
        g, ground = sim.params.gravity, sim.ground
        root = Xml.Element("mujoco")
        Xml.SubElement(root, "compiler", angle="radian", boundmass="1e-9", boundinertia="1e-12")
        option = Xml.SubElement(root, "option", timestep=text([sim.params.dt / sim.params.substeps]))
        option.set("gravity", text((g.x, g.y, g.z)))
        for key, value in (("integrator", "implicitfast"), ("cone", "elliptic"), ("jacobian", "dense")):
            option.set(key, value)
        option.set("iterations", "10")
        option.set("ls_iterations", "20")
        Xml.SubElement(option, "flag", {name: "disable" for name in ("autoreset",)})
        world = Xml.SubElement(root, "worldbody")
        if ground is not None and "heights" in ground:
            heights, half = ground["heights"], ground["half"]
            rise = max(float(np.ptp(heights)), 1e-3)
            field = Xml.SubElement(
                Xml.SubElement(root, "asset"), "hfield", name="ground", size=text((*half, rise, 1.0))
            )
            field.set("nrow", str(heights.shape[0]))
            field.set("ncol", str(heights.shape[1]))
            place = text((*ground["middle"], heights.min()))
            Xml.SubElement(world, "geom", type="hfield", hfield="ground", pos=place, contype="1", conaffinity="0")
        elif ground is not None:
            Xml.SubElement(world, "geom", type="plane", size="0 0 0.05", contype="1", conaffinity="0")
        body = Xml.fromstring(Xml.tostring(asset.tree))
        body.insert(0, Xml.Element("freejoint"))
        world.append(body)
        geoms = [(parent, geom.get("name")) for parent in body.iter("body") for geom in parent.findall("geom")]
        children = {(parent, child) for parent in body.iter("body") for child in parent.findall("body")}
        pairs = Xml.SubElement(root, "contact")
        for k, (body_a, a) in enumerate(geoms):
            for body_b, b in geoms[k + 1 :]:
                if body_a is not body_b and (body_a, body_b) not in children:
                    Xml.SubElement(pairs, "pair", geom1=a, geom2=b, condim="1", solref="0.01 1", margin="-10")
        model = mujoco.MjModel.from_xml_string(Xml.tostring(root, encoding="unicode"))
        model.geom_solref[:, 0] = 0.01  # as in the MuJoCo backend
        if ground is not None and "heights" in ground:
            model.hfield_data[:] = ((ground["heights"] - ground["heights"].min()) / rise).ravel()
        return model

    # -- properties ----------------------------------------------------------------------------------------------------

    def set_dofs(self, props: np.ndarray) -> None:
        self.model.dof_armature[6:] = props["armature"]

    def set_friction(self, friction: Sequence[float]) -> None:
        """PhysX takes the mean of the two coefficients."""
        self.friction = np.array(friction)
        self.model.geom_friction[self._geoms, 0] = 0.5 * (self.friction + self._ground_friction)

    def set_filters(self, filters: Sequence[int]) -> None:
        """Shapes touch each other unless their filters have a common bit."""
        self.filters, m, first = list(filters), self.model, self._geoms.start
        for k in range(m.npair):
            one, other = (filters[geom - first] for geom in (m.pair_geom1[k], m.pair_geom2[k]))
            m.pair_margin[k] = SELF_MARGIN if (one & other) == 0 else -10.0

    def apply_wrenches(self, wrenches: np.ndarray) -> None:
        """Forces and torques on the bodies' centres of mass, for the next step only."""
        self.data.xfrc_applied[self._bodies] = wrenches

    def body_properties(self) -> list[tuple[float, np.ndarray, np.ndarray]]:
        result, m = [], self.model
        for i in self._bodies:
            turn = np.zeros(9)
            mujoco.mju_quat2Mat(turn, m.body_iquat[i])
            axes = turn.reshape(3, 3)
            result.append((float(m.body_mass[i]), m.body_ipos[i].copy(), axes @ np.diag(m.body_inertia[i]) @ axes.T))
        return result

    def set_bodies(self, masses: Sequence[float], coms: Sequence[Any], inertias: Sequence[Any]) -> None:
        m = self.model
        for i, mass, com, inertia in zip(self._bodies, masses, coms, inertias):
            moments, axes = np.linalg.eigh(np.array(inertia))
            axes[:, 0] *= np.linalg.det(axes)  # a rotation, not a reflection
            m.body_mass[i], m.body_ipos[i], m.body_inertia[i] = mass, com, moments
            mujoco.mju_mat2Quat(m.body_iquat[i], axes.ravel())
        mujoco.mj_setConst(m, mujoco.MjData(m))

    # -- state ---------------------------------------------------------------------------------------------------------

    def set_root(self, state: np.ndarray) -> None:
        d, (x, y, z, w) = self.data, state[3:7] / np.linalg.norm(state[3:7])
        d.qpos[:3], d.qpos[3:7] = state[:3], (w, x, y, z)
        mujoco.mju_rotVecQuat(d.qvel[3:6], state[10:13], np.array([w, -x, -y, -z]))
        arm = np.zeros(3)
        mujoco.mju_rotVecQuat(arm, self.model.body_ipos[self._bodies[0]], d.qpos[3:7])
        d.qvel[:3] = state[7:10] - (np.cross(state[10:13], arm) if self._at_com else 0.0)
        self._show()

    def set_dof_state(self, states: np.ndarray) -> None:
        d = self.data
        d.qpos[7:], d.qvel[6:] = states.T
        d.time, d.qacc_warmstart[:] = 0.0, 0.0
        self._show()

    def simulate(self, torques: np.ndarray) -> None:
        self.data.qfrc_applied[6:] = torques
        for _ in range(self._substeps):
            mujoco.mj_step(self.model, self.data)
        self.data.xfrc_applied[:] = 0.0
        self._contact[:] = 0.0
        force, frame = np.zeros(6), np.zeros(3)
        for k, contact in enumerate(self.data.contact):
            mujoco.mj_contactForce(self.model, self.data, k, force)
            mujoco.mju_mulMatTVec(frame, contact.frame.reshape(3, 3), force[:3])
            for geom, sign in ((contact.geom1, -1.0), (contact.geom2, 1.0)):
                self._contact[self.model.geom_bodyid[geom]] += sign * frame
        self._show()

    def _show(self) -> None:
        """Bring poses and velocities of the bodies to the current state; contacts stay those of the last step."""
        mujoco.mj_kinematics(self.model, self.data)
        mujoco.mj_comPos(self.model, self.data)
        mujoco.mj_comVel(self.model, self.data)

    def read(self, name: str) -> np.ndarray:
        """Rows of a tensor, in Isaac Gym's order."""
        d = self.data
        if name == "dof":
            return np.stack((d.qpos[7:], d.qvel[6:]), -1)
        if name == "contact":
            return self._contact[self._bodies]
        if name == "sensor":
            forces = self._contact[[self._bodies[i] for i in self.asset.sensors]]
            return np.concatenate((forces, np.zeros_like(forces)), -1)
        ids = self._bodies[:1] if name == "root" else self._bodies
        return np.stack([self._body_state(i) for i in ids])

    def _body_state(self, body: int) -> np.ndarray:
        d, twist = self.data, np.zeros(6)
        point = mujoco.mjtObj.mjOBJ_BODY if self._at_com else mujoco.mjtObj.mjOBJ_XBODY
        mujoco.mj_objectVelocity(self.model, d, point, body, twist, 0)
        return np.concatenate((d.xpos[body], np.roll(d.xquat[body], -1), twist[3:], twist[:3]))
