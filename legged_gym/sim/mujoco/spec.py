"""The one place that turns a robot's URDF into a MuJoCo model, for MuJoCo and MuJoCo Warp."""

from __future__ import annotations

import itertools
from collections import Counter, defaultdict
from pathlib import Path
from xml.etree import ElementTree

import mujoco
import numpy as np

from legged_gym.sim.mujoco.terrain import HeightField
from legged_gym.sim.robot_model import BASE_NAME, BODY_NAMES, SIDES, RobotModel
from legged_gym.sim.sim_options import CONTACT_TIME_CONSTANT, SimOptions
from legged_gym.utils.errors import UserError

GROUND_NAME = "ground"
CAMERA_NAME = "track"
COLLISION_GROUP = 3
"""Geom group of collision shapes, hidden by MuJoCo's renderers unless asked for."""
VISUAL_GROUP = 1
"""Geom group of visuals."""
SELF_TIME_CONSTANT = 2.0
"""Time constant of contacts between the robot's own bodies [physics steps]: the stiffest that is stable."""
SELF_MARGIN = 0.03
"""Gap at which the robot's own bodies touch each other [m].

A contact is noticed a physics step late: at 10 m/s, which a leg reaches, that is 50 mm, and without a margin feet went
through each other. With this one, one leg driven into the other overlaps by a millimetre at most. Two driven into each
other, at 17 m/s, overlap by 41 mm for a step but do not pass (benchmarks/solid_legs.py). Legs that walk keep 50 mm
apart.
"""
LEG_SENSOR = "contact_legs"
LEG_SHAPES = ("hip", "knee", "foot")
"""Parts of a leg that touch the other leg: thigh, shin and foot."""
BASE_SHAPES = ("knee", "foot")
"""Parts of a leg that touch the base; the thigh hangs too near to it."""
MESH_SUFFIXES = (".stl", ".obj", ".msh")
"""Mesh files that MuJoCo reads."""


def build_spec(
    robot: RobotModel,
    options: SimOptions | None = None,
    *,
    ground: bool = True,
    visuals: bool = True,
    field: HeightField | None = None,
) -> mujoco.MjSpec:
    """Builds the simulated world: one free-floating robot and, if wanted, a flat ground.

    The robot's geoms have the higher contact priority, so the friction coefficient and the time constant of a contact
    with the ground are exactly those of the robot's geom, whatever the ground's are.

    Args:
        robot: The robot; its URDF is loaded.
        options: Time step, servos and joints, and whether the legs are solid; their terrain and the controller are no
            part of the model. None takes the defaults.
        ground: Whether to add the plane z = 0; without it the caller adds geoms with `contype` 1, `conaffinity` 0.
        visuals: Whether to keep the shapes that are only drawn. The engine places every geom in every step, so a model
            without them steps a third faster; state, control and sensors are the same.
        field: The ground instead of the plane; the caller calls its `place` with the compiled model.

    Returns:
        The spec, to be extended or compiled. `ctrl` holds joint targets [rad] in `JOINT_ORDER`; `sensordata` starts
        with the net contact force [N, world frame] on each of `BODY_NAMES`, then that between the legs, then the
        velocity [m/s, world frame] of each foot, then the 6 actuator torques [N m], all at the start of a step.
    """
    options = options or SimOptions()
    spec = _load_urdf(robot, visuals)
    _set_options(spec, options.timestep)
    spec.body(BASE_NAME).pos[2] = robot.zero_pose_height
    spec.body(BASE_NAME).add_freejoint()
    _set_collisions(spec)
    if options.self_collisions:
        _add_self_collisions(spec, options.timestep)
    for name in robot.joint_names:
        joint = spec.joint(name)
        joint.armature = options.armature
        joint.damping[:] = options.joint_damping, 0.0, 0.0
        joint.actfrclimited = mujoco.mjtLimited.mjLIMITED_FALSE
    for name in robot.joint_names:
        _add_servo(spec, name, options.kp, options.kd)
    _add_sensors(spec, robot)
    _add_scenery(spec, robot)
    if field is not None:
        field.add_to(spec)
    elif ground:
        _add_ground(spec)
    return spec


def compile_spec(spec: mujoco.MjSpec, robot: RobotModel) -> mujoco.MjModel:
    """Compiles a robot's world, and checks the assumptions of our kinematics.

    Args:
        spec: From `build_spec`, perhaps extended.
        robot: Its robot.

    Raises:
        UserError: MuJoCo refuses what it reads in the URDF, the joints are not in the robot's order, or their frames
            are turned at zero joint angles.
    """
    try:
        model = spec.compile()
    except ValueError as error:
        raise _unusable(robot, error) from None
    joints = tuple(model.joint(i).name for i in range(1, model.njnt))
    if joints != tuple(robot.joint_names):
        raise UserError(f"{robot.urdf}: joints are {joints}, expected {tuple(robot.joint_names)}")
    if np.abs(model.body_quat[2:] - [1, 0, 0, 0]).max() > 1e-9:
        raise UserError(f"{robot.urdf}: joint frames must be unrotated (rpy 0) below the base")
    return model


def _unusable(robot: RobotModel, error: Exception) -> UserError:
    return UserError(f"{robot.urdf}: MuJoCo cannot use it: {' '.join(str(error).split())[:200]}")


def _load_urdf(robot: RobotModel, visuals: bool) -> mujoco.MjSpec:
    """Loads the URDF; links on fixed joints are merged into their parents, but not the feet, which a sensor names."""
    root = robot.urdf_root()
    settings = {"discardvisual": str(not visuals).lower(), "fusestatic": "true", "strippath": "false"}
    settings["inertiafromgeom"] = "false"  # masses are those of the URDF alone, with and without visuals
    extension = ElementTree.Element("mujoco")
    ElementTree.SubElement(extension, "compiler", settings)
    root.insert(0, extension)
    _resolve_meshes(root, robot.urdf)
    try:
        return mujoco.MjSpec.from_string(ElementTree.tostring(root, encoding="unicode"))
    except ValueError as error:
        raise _unusable(robot, error) from None


def _resolve_meshes(root: ElementTree.Element, urdf: Path) -> None:
    """Makes mesh file names absolute and drops visuals whose mesh MuJoCo cannot load.

    Args:
        root: The URDF, changed in place.
        urdf: Its file; `package://name/path` is looked up in the folders above it.

    Raises:
        UserError: The mesh of a collision shape is not there.
    """
    folder = urdf.parent
    for link in root.iterfind("link"):
        for shape in [*link.findall("visual"), *link.findall("collision")]:
            mesh = shape.find("geometry/mesh")
            if mesh is None:
                continue
            name = mesh.get("filename", "").removeprefix("file://")
            path = folder / name
            if name.startswith("package://"):
                _, _, path_in_package = name.removeprefix("package://").partition("/")
                candidates = [parent / path_in_package for parent in folder.parents]
                path = next((candidate for candidate in candidates if candidate.is_file()), path)
            if path.is_file() and path.suffix.lower() in MESH_SUFFIXES:
                mesh.set("filename", str(path))
            elif shape.tag == "visual":
                link.remove(shape)
            else:
                kinds = ", ".join(MESH_SUFFIXES)
                raise UserError(f"{urdf}: link {link.get('name')}: cannot load collision mesh {name} (kinds: {kinds})")


def _set_options(spec: mujoco.MjSpec, timestep: float) -> None:
    """Sets integrator and solver; docs/decisions/011-physics-options.md has the measurements.

    Implicit integration of the servos' damping is what 5 ms steps need. The elliptic cone gives the same friction in
    every direction, the pyramidal one up to 30 % less along its diagonals. Ten Newton iterations are more than falling
    robots were seen to need; `impratio` stays 1, as larger values make the solver fail when its iterations are few.
    """
    spec.option.timestep = timestep
    spec.option.integrator = mujoco.mjtIntegrator.mjINT_IMPLICITFAST
    spec.option.solver = mujoco.mjtSolver.mjSOL_NEWTON
    spec.option.jacobian = mujoco.mjtJacobian.mjJAC_DENSE
    spec.option.cone = mujoco.mjtCone.mjCONE_ELLIPTIC
    spec.option.impratio = 1.0
    spec.option.iterations = 10
    spec.option.ls_iterations = 20


def _set_collisions(spec: mujoco.MjSpec) -> None:
    """Lets the robot touch the ground only, with its own friction and stiffness, and sorts geoms into groups."""
    shapes: Counter[str] = Counter()
    for geom in spec.geoms:
        is_collision = bool(geom.contype or geom.conaffinity)
        geom.contype = 0
        geom.conaffinity = int(is_collision)
        geom.group = COLLISION_GROUP if is_collision else VISUAL_GROUP
        if is_collision:
            name = geom.parent.name.replace("_Link", "_collision")
            geom.name = f"{name}_{shapes[name]}" if shapes[name] else name  # a link may have several
            shapes[name] += 1
            geom.condim = 3
            geom.priority = 1
            # The cells of a height field are separate bodies to MuJoCo. Once a foot is deep between them, as it can be
            # with MuJoCo's default of 20 ms, they hold it from all sides and nothing lifts it.
            geom.solref[0] = CONTACT_TIME_CONSTANT
            if geom.type == mujoco.mjtGeom.mjGEOM_CYLINDER:  # as in Isaac Gym, and several times cheaper to each other
                geom.type = mujoco.mjtGeom.mjGEOM_CAPSULE


def _add_self_collisions(spec: mujoco.MjSpec, timestep: float) -> None:
    """Makes the legs solid to each other, and their lower parts solid to the base.

    Explicit pairs, so that they have a stiffness of their own and leave the contacts with the ground as they are. They
    are frictionless: one row of constraints each.
    """
    shapes: dict[str, list[str]] = defaultdict(list)
    for geom in spec.geoms:
        if geom.conaffinity:
            shapes[geom.parent.name].append(geom.name)
    left, right = ([f"{part}_{side}_Link" for part in LEG_SHAPES] for side in SIDES)
    links = [(one, other) for one in left for other in right]
    links += [(BASE_NAME, f"{part}_{side}_Link") for side in SIDES for part in BASE_SHAPES]
    pairs = [pair for one, other in links for pair in itertools.product(shapes[one], shapes[other])]
    for one, other in pairs:
        pair = spec.add_pair(geomname1=one, geomname2=other, condim=1)
        pair.solref[0] = SELF_TIME_CONSTANT * timestep
        pair.margin = SELF_MARGIN


def _add_servo(spec: mujoco.MjSpec, joint: str, kp: float, kd: float) -> None:
    """Adds a position servo: torque = kp (target - q) - kd dq.

    The simulator keeps the torque within its limits through the target. If MuJoCo clipped the servo, its damping would
    lose the implicit integration, and a target right at the limit would flip between the two.
    """
    servo = spec.add_actuator(
        name=joint,
        target=joint,
        trntype=mujoco.mjtTrn.mjTRN_JOINT,
        gaintype=mujoco.mjtGain.mjGAIN_FIXED,
        biastype=mujoco.mjtBias.mjBIAS_AFFINE,
        forcelimited=mujoco.mjtLimited.mjLIMITED_FALSE,
        ctrllimited=mujoco.mjtLimited.mjLIMITED_FALSE,
    )
    servo.gainprm[0] = kp
    servo.biasprm[1], servo.biasprm[2] = -kp, -kd


def _add_sensors(spec: mujoco.MjSpec, robot: RobotModel) -> None:
    """Adds the net contact force per body, the force between the legs, the feet's velocity and the torque per joint."""
    sensors = [
        spec.add_sensor(
            name=f"contact_{body}",
            type=mujoco.mjtSensor.mjSENS_CONTACT,
            reftype=mujoco.mjtObj.mjOBJ_BODY,  # as the second side of the contact: the force ON the body
            refname=body,
        )
        for body in BODY_NAMES
    ]
    left, right = (f"abad_{side}_Link" for side in SIDES)
    legs = {"objtype": mujoco.mjtObj.mjOBJ_XBODY, "reftype": mujoco.mjtObj.mjOBJ_XBODY}  # with all that hangs on them
    sensors.append(
        spec.add_sensor(name=LEG_SENSOR, type=mujoco.mjtSensor.mjSENS_CONTACT, objname=left, refname=right, **legs)
    )
    for sensor in sensors:
        data = 1 << int(mujoco.mjtConDataField.mjCONDATA_FORCE)
        sensor.intprm[0], sensor.intprm[1], sensor.intprm[2] = data, 3, 1  # force; reduced to one net force; one slot
    for foot in robot.foot_names:
        spec.add_sensor(
            name=f"velocity_{foot}",
            type=mujoco.mjtSensor.mjSENS_FRAMELINVEL,
            objtype=mujoco.mjtObj.mjOBJ_XBODY,  # of the link's origin
            objname=foot,
        )
    for joint in robot.joint_names:
        spec.add_sensor(
            name=f"torque_{joint}",
            type=mujoco.mjtSensor.mjSENS_ACTUATORFRC,
            objtype=mujoco.mjtObj.mjOBJ_ACTUATOR,
            objname=joint,
        )


def _add_ground(spec: mujoco.MjSpec) -> None:
    """Adds the plane z = 0 with a checker pattern."""
    spec.worldbody.add_geom(
        name=GROUND_NAME,
        type=mujoco.mjtGeom.mjGEOM_PLANE,
        size=[0, 0, 0.05],
        contype=1,
        conaffinity=0,
        material=GROUND_NAME,
    )


def _add_scenery(spec: mujoco.MjSpec, robot: RobotModel) -> None:
    """Adds sky, ground material, a sun and a camera that follow the robot, and the off-screen buffer size."""
    spec.stat.extent = 1.5
    spec.visual.global_.offwidth, spec.visual.global_.offheight = 1280, 720
    spec.visual.headlight.ambient[:], spec.visual.headlight.diffuse[:] = 0.35, 0.25
    spec.visual.quality.shadowsize = 4096
    spec.visual.map.zfar = 100.0
    spec.add_texture(
        name="sky",
        type=mujoco.mjtTexture.mjTEXTURE_SKYBOX,
        builtin=mujoco.mjtBuiltin.mjBUILTIN_GRADIENT,
        rgb1=[0.62, 0.76, 0.90],
        rgb2=[0.93, 0.95, 0.97],
        width=256,
        height=256,
    )
    spec.add_texture(
        name=GROUND_NAME,
        type=mujoco.mjtTexture.mjTEXTURE_2D,
        builtin=mujoco.mjtBuiltin.mjBUILTIN_CHECKER,
        mark=mujoco.mjtMark.mjMARK_EDGE,
        rgb1=[0.52, 0.56, 0.60],
        rgb2=[0.46, 0.50, 0.54],
        markrgb=[0.66, 0.70, 0.74],
        width=300,
        height=300,
    )
    material = spec.add_material(name=GROUND_NAME, texrepeat=[1, 1], texuniform=True, specular=0.1)
    material.textures[int(mujoco.mjtTextureRole.mjTEXROLE_RGB)] = GROUND_NAME
    middle = -robot.zero_pose_height / 2
    base = spec.body(BASE_NAME)
    base.add_light(
        name="sun",
        type=mujoco.mjtLightType.mjLIGHT_DIRECTIONAL,
        mode=mujoco.mjtCamLight.mjCAMLIGHT_TRACKCOM,
        pos=[1.2, -1.6, 3.0],
        dir=[-0.25, 0.3, -1.0],  # steep, or the far end of its shadows' map draws speckles on the ground
        diffuse=[0.65, 0.65, 0.65],
        castshadow=True,
    )
    base.add_camera(
        name=CAMERA_NAME,
        mode=mujoco.mjtCamLight.mjCAMLIGHT_TRACKCOM,
        pos=[1.3, -1.56, 0.4 + middle],
        xyaxes=[1.56, 1.3, 0.0, -0.52, 0.624, 5.7],  # so far up that the arrows over the base are in the picture
        fovy=35,
    )
