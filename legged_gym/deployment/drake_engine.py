"""Drake as an engine of the second judge: discrete SAP contact, with its own solver and model of contact."""

import logging
from importlib.metadata import version
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np

from legged_gym.deployment.contract import CONTROL_DT, JOINTS, Sensors
from legged_gym.deployment.engine import Contact, Part, Physics, State, Tally
from legged_gym.utils.errors import UserError

try:
    from pydrake.geometry import Box, HalfSpace, Sphere
    from pydrake.math import RigidTransform
    from pydrake.multibody.math import SpatialForce
    from pydrake.multibody.parsing import Parser
    from pydrake.multibody.plant import (
        AddMultibodyPlantSceneGraph,
        CoulombFriction,
        DiscreteContactApproximation,
        ExternallyAppliedSpatialForce,
    )
    from pydrake.systems.analysis import Simulator
    from pydrake.systems.framework import DiagramBuilder
except ImportError as error:
    raise UserError(
        f"--engine drake: Drake cannot be imported ({error}); install it with: pip install -e '.[sim2sim]'"
    ) from None

DRAKE = "http://drake.mit.edu"
"""Namespace of Drake's own elements in a URDF."""
FEET = ("foot_L_Link", "foot_R_Link")
VITAL = ("base_Link", "abad_L_Link", "abad_R_Link")
"""Links that must not touch anything."""


def refusal(physics: Physics, model: Path) -> str:
    """Return why this engine cannot do a row with these figures, or an empty string."""
    if "contact_time_constant" in physics.changed:
        return "contacts of Drake's SAP have a stiffness and no time constant"
    if physics.lane:
        return "this engine has a plane as its ground only"
    return ""


def dressed_urdf(path: Path, physics: Physics) -> str:
    """Turn a robot's URDF into one for Drake, with the figures of a row.

    Visuals are dropped. Each joint of the contract gets a motor with its rotor's inertia and its passive damping, each
    collision shape its friction, and the base its payload.

    Raises:
        UserError: The file cannot be read, is no URDF, or lacks a joint or link.
    """
    ElementTree.register_namespace("drake", DRAKE)
    try:
        robot = ElementTree.parse(path).getroot()
    except (OSError, ElementTree.ParseError) as error:
        raise UserError(f"--model {path}: cannot be read ({error})") from None
    if robot.tag != "robot":
        raise UserError(f"--model {path}: is no URDF, which is what --engine drake reads")
    links = {link.get("name", ""): link for link in robot.findall("link")}
    joints = {joint.get("name", ""): joint for joint in robot.findall("joint")}
    for kind, names, known in (("joint", JOINTS, joints), ("link", (*FEET, *VITAL), links)):
        missing = [name for name in names if name not in known]
        if missing:
            raise UserError(f"--model {path}: has no {kind} {missing[0]}; its {kind}s: {', '.join(known)}")
    for name, link in links.items():
        for visual in link.findall("visual"):
            link.remove(visual)
        for shape in link.findall("collision"):
            properties = ElementTree.SubElement(shape, f"{{{DRAKE}}}proximity_properties")
            ElementTree.SubElement(properties, f"{{{DRAKE}}}mu_dynamic", value=repr(_surface_friction(name, physics)))
    for name in JOINTS:
        _motorize(robot, joints[name], physics)
    mass = links[VITAL[0]].find("inertial/mass")
    if mass is not None:
        mass.set("value", repr(float(mass.get("value", "0")) + physics.base_mass_added))
    return ElementTree.tostring(robot, encoding="unicode")


def _surface_friction(link: str, physics: Physics) -> float:
    """Return the friction of a link's own surface that gives it and the ground together the friction asked for.

    Drake takes 2ab / (a + b) of two surfaces a and b.
    """
    if len(physics.friction) == 1 or link not in FEET:
        return _ground_friction(physics)
    wanted, ground = physics.foot_friction()[FEET.index(link)], _ground_friction(physics)
    return wanted * ground / (2.0 * ground - wanted)


def _ground_friction(physics: Physics) -> float:
    return physics.friction[0] if len(physics.friction) == 1 else max(physics.friction)


def _motorize(robot: ElementTree.Element, joint: ElementTree.Element, physics: Physics) -> None:
    """Give a joint a motor, its rotor's inertia and its passive damping."""
    dynamics = joint.find("dynamics")
    if dynamics is None:
        dynamics = ElementTree.SubElement(joint, "dynamics")
    dynamics.attrib.pop("friction", None)
    dynamics.set("damping", repr(physics.joint_damping))
    name = joint.get("name", "")
    transmission = ElementTree.SubElement(robot, "transmission", name=f"{name}_transmission")
    ElementTree.SubElement(transmission, "type").text = "SimpleTransmission"
    ElementTree.SubElement(transmission, "joint", name=name)
    motor = ElementTree.SubElement(transmission, "actuator", name=name)
    ElementTree.SubElement(motor, f"{{{DRAKE}}}rotor_inertia", value=repr(physics.armature))
    ElementTree.SubElement(motor, f"{{{DRAKE}}}gear_ratio", value="1")


class DrakeEngine:
    """See `legged_gym.deployment.engine.Engine`."""

    def __init__(self, model: Path, physics: Physics) -> None:
        """Build the plant.

        Args:
            model: URDF.
            physics: Figures of the scene.

        Raises:
            UserError: The model cannot be used.
        """
        logging.getLogger("drake").setLevel(logging.ERROR)
        self._physics, text = physics, dressed_urdf(model, physics)
        builder = DiagramBuilder()
        self._plant, self._scene = AddMultibodyPlantSceneGraph(builder, physics.timestep)
        self._plant.set_discrete_contact_approximation(DiscreteContactApproximation.kSap)
        try:
            Parser(self._plant).AddModelsFromString(text, "urdf")
        except RuntimeError as error:
            raise UserError(f"--model {model}: Drake cannot use it ({' '.join(str(error).split())[:200]})") from None
        friction = _ground_friction(physics)
        ground = self._plant.world_body(), RigidTransform(), HalfSpace(), "floor"
        self._plant.RegisterCollisionGeometry(*ground, CoulombFriction(friction, friction))
        self._plant.Finalize()
        self._diagram = builder.Build()
        self._simulator = Simulator(self._diagram)
        self._context = self._plant.GetMyMutableContextFromRoot(self._simulator.get_mutable_context())
        self._look_up()
        self._substeps = round(CONTROL_DT / physics.timestep)
        self._steps, self._broken, self._held = 0, False, False
        self._torque = np.zeros(len(JOINTS))
        self.title = f"Drake {version('drake')}"
        self.tally = Tally()
        self.figures = self._figures()

    def _look_up(self) -> None:
        """Find the robot's coordinates, bodies and ports."""
        plant = self._plant
        joints = [plant.GetJointByName(name) for name in JOINTS]
        self._q = np.array([joint.position_start() for joint in joints])
        self._v = np.array([joint.velocity_start() for joint in joints])
        self._base = plant.GetBodyByName(VITAL[0])
        if not self._base.is_floating_base_body():
            raise UserError("--engine drake: the base is fixed to the world, expected a free one")
        self._base_v = self._base.floating_velocities_start_in_v()
        self._feet = [plant.GetBodyByName(name) for name in FEET]
        self._motors = np.array([plant.GetJointActuatorByName(name).input_start() for name in JOINTS])
        plant_bodies = [plant.get_body(index) for index in plant.GetBodyIndices(self._base.model_instance())]
        self._parts = {int(body.index()): _part(body.name()) for body in plant_bodies}
        self._parts[int(plant.world_body().index())] = Part(ground=True)
        inspector = self._scene.model_inspector()
        spheres, boxes = self._shapes(self._feet[0], Sphere), self._shapes(self._base, Box)
        if not spheres:
            raise UserError(f"--engine drake: {FEET[0]} has no sphere as its collision shape")
        self._radius = inspector.GetShape(spheres[0]).radius()
        self.lid: float | None = None
        if boxes:
            self.lid = inspector.GetPoseInFrame(boxes[0]).translation()[2] + 0.5 * inspector.GetShape(boxes[0]).height()

    def _shapes(self, body: Any, kind: type) -> list[Any]:
        """Return a body's collision shapes of a kind."""
        shapes = self._plant.GetCollisionGeometriesForBody(body)
        return [shape for shape in shapes if isinstance(self._scene.model_inspector().GetShape(shape), kind)]

    def _figures(self) -> dict[str, object]:
        physics = self._physics
        return {
            "timestep": physics.timestep,
            "contact": "point contact, SAP, Drake's own stiffness and dissipation",
            "friction": list(physics.foot_friction()),
            "armature": physics.armature,
            "joint_damping": physics.joint_damping,
            "kp": physics.kp,
            "kd": physics.kd,
            "mass": float(self._plant.CalcTotalMass(self._context)),
        }

    def place(self, lift: float = 0.0) -> None:
        """See `Engine.place`."""
        plant, context = self._plant, self._context
        root = self._simulator.get_mutable_context()
        self._diagram.SetDefaultContext(root)
        root.SetTime(0.0)
        plant.SetPositions(context, np.zeros(plant.num_positions()))
        self._base_pose(0.0)
        lowest = min(plant.EvalBodyPoseInWorld(context, foot).translation()[2] for foot in self._feet) - self._radius
        self._base_pose(lift - lowest)
        plant.SetVelocities(context, np.zeros(plant.num_velocities()))
        self._base.Lock(context)
        self._steps, self._broken = 0, False
        self.push(None)
        plant.get_actuation_input_port().FixValue(context, np.zeros(len(JOINTS)))
        self._simulator.Initialize()
        self.tally = Tally()

    def _base_pose(self, height: float) -> None:
        self._plant.SetFreeBodyPose(self._context, self._base, RigidTransform([0.0, 0.0, height]))

    def release(self) -> None:
        """See `Engine.release`."""
        self._base.Unlock(self._context)

    def step(self, target: np.ndarray) -> None:
        """See `Engine.step`."""
        if self._broken:
            return
        plant, context = self._plant, self._context
        actuation, command = plant.get_actuation_input_port(), np.zeros(len(JOINTS))
        for _ in range(self._substeps):
            positions, velocities = plant.GetPositions(context), plant.GetVelocities(context)
            self._torque = self._physics.torque(target, positions[self._q], velocities[self._v])
            falling = [-plant.EvalBodySpatialVelocityInWorld(context, foot).translational()[2] for foot in self._feet]
            command[self._motors] = self._torque
            actuation.FixValue(context, command)
            self._steps += 1
            try:
                self._simulator.AdvanceTo(self._steps * self._physics.timestep)
            except RuntimeError:  # the solver gave up: the state is beyond repair
                self._broken = True
                return
            power = float(np.abs(self._torque * velocities[self._v]).sum())
            self.tally.add(self._contacts(), power, falling.__getitem__)

    def _contacts(self) -> list[Contact]:
        """Return the contacts of the last physics step."""
        results = self._plant.get_contact_results_output_port().Eval(self._context)
        found = []
        for k in range(results.num_point_pair_contacts()):
            contact = results.point_pair_contact_info(k)
            parts = self._parts[int(contact.bodyA_index())], self._parts[int(contact.bodyB_index())]
            found.append((*parts, contact.contact_force()))
        return found

    def sensors(self) -> Sensors:
        """See `Engine.sensors`."""
        positions, velocities = self._plant.GetPositions(self._context), self._plant.GetVelocities(self._context)
        rot = self._plant.EvalBodyPoseInWorld(self._context, self._base).rotation().matrix()
        rates = rot.T @ velocities[self._base_v : self._base_v + 3]  # Drake has them in the world frame
        return Sensors(rates, -rot[2], positions[self._q], velocities[self._v])

    def state(self) -> State:
        """See `Engine.state`."""
        plant, context = self._plant, self._context
        velocities = plant.GetVelocities(context)
        pose = plant.EvalBodyPoseInWorld(context, self._base)
        feet = [plant.EvalBodyPoseInWorld(context, foot).translation() for foot in self._feet]
        moves = [plant.EvalBodySpatialVelocityInWorld(context, foot).translational() for foot in self._feet]
        broken = np.nan if self._broken else 0.0
        return State(
            base_pos_w=pose.translation() + broken,
            base_rot=pose.rotation().matrix(),
            base_lin_vel_w=velocities[self._base_v + 3 : self._base_v + 6],
            base_ang_vel_w=velocities[self._base_v : self._base_v + 3],
            joint_pos=plant.GetPositions(context)[self._q],
            joint_vel=velocities[self._v],
            torque=self._torque,
            feet_pos_w=np.array(feet),
            feet_vel_w=np.array(moves),
            ground=0.0,
        )

    def kick(self, velocity: np.ndarray) -> None:
        """See `Engine.kick`."""
        velocities = self._plant.GetVelocities(self._context)
        velocities[self._base_v + 3 : self._base_v + 6] += velocity
        self._plant.SetVelocities(self._context, velocities)

    def push(self, force: np.ndarray | None, where: str = "base") -> None:
        """See `Engine.push`."""
        forces = []
        if force is not None:
            on_base = not where.startswith("foot_")
            body = self._base if on_base else self._feet[int(where.removeprefix("foot_"))]
            point = self._base.default_com().copy() if on_base else np.zeros(3)
            point[2] = self.lid if where == "lid" else point[2]
            forces = [ExternallyAppliedSpatialForce()]
            forces[0].body_index, forces[0].p_BoBq_B = body.index(), point
            forces[0].F_Bq_W = SpatialForce(np.zeros(3), np.asarray(force, np.float64))
        self._plant.get_applied_spatial_force_input_port().FixValue(self._context, forces)

    def close(self) -> None:
        """See `Engine.close`."""


def _part(link: str) -> Part:
    """Return the part of the robot that a link belongs to, by its name."""
    side = 0 if "_L_" in link else 1 if "_R_" in link else -1
    return Part(foot=FEET.index(link) if link in FEET else -1, side=side, vital=link in VITAL)
