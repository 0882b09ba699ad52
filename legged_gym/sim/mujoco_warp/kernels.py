"""Warp kernels that stand between MuJoCo Warp's arrays and the tensors of the seam, see `simulator`.

One thread works on one robot (or one robot's joint); nothing is read back by the host. Robots outside a `mask` keep
every bit. Vectors are in metres, radians, newtons and seconds, in the world frame unless a name says `_b`. Warp's
quaternions are x, y, z, w as the seam's; the engine's `qpos` holds w, x, y, z.
"""

# mypy: ignore-errors
# Warp compiles these functions itself: what they may do with an array is not in its Python types.

import warp as wp

wp.set_module_options({"enable_backward": False})  # no gradients: half the code to compile

MAX_VALUE = wp.constant(1.0e4)
"""A robot with a number above this [m, rad, m/s, rad/s] in its state is broken."""


@wp.func
def limit_torque(torque: float, speed: float, limit: float, corner: float, no_load: float) -> float:
    """Limit a torque [N m] to what a motor gives at its speed [rad/s], see `servo.limit_torque`."""
    highest = limit * wp.clamp((no_load - speed) / (no_load - corner), 0.0, 1.0)
    lowest = -limit * wp.clamp((no_load + speed) / (no_load - corner), 0.0, 1.0)
    return wp.clamp(torque, lowest, highest)


@wp.kernel
def drive_servos(
    time: float,
    timestep: float,
    last: bool,
    controller: wp.vec2,
    clamps: bool,
    limit: wp.array[float],
    corner_speed: wp.array[float],
    no_load_speed: wp.array[float],
    kp: wp.array2d[float],
    kd: wp.array2d[float],
    strength: wp.array2d[float],
    delay: wp.array[float],
    qpos: wp.array2d[float],
    qvel: wp.array2d[float],
    target: wp.array2d[float],
    previous: wp.array2d[float],
    ctrl: wp.array2d[float],
) -> None:
    """Clamp, delay and limit as `Simulator` says: give a servo the target that makes its torque. Over (N, J).

    `time` is that of the physics step within the policy step [s]; the controller has stiffness and damping. `target`
    is clamped in place and becomes `previous` in the last physics step.
    """
    robot, joint = wp.tid()
    pos = qpos[robot, 7 + joint]
    vel = qvel[robot, 6 + joint]
    asked = target[robot, joint]
    if clamps:
        middle = pos + controller[1] / controller[0] * vel
        half = limit[joint] / controller[0]
        asked = wp.clamp(asked, middle - half, middle + half)
        target[robot, joint] = asked
    held = previous[robot, joint]
    if time > delay[robot] - 0.5 * timestep:
        held = asked
    factor = strength[robot, joint]
    stiffness = kp[robot, joint]
    torque = factor * (stiffness * (held - pos) - kd[robot, joint] * vel)
    given = limit_torque(torque, vel, limit[joint], corner_speed[joint], no_load_speed[joint])
    if given != torque:
        # The engine's servo is a spring: it gives the limited torque at the target that asks for just that.
        held = pos + (given / factor + kd[robot, joint] * vel) / stiffness
    ctrl[robot, joint] = held
    if last:
        previous[robot, joint] = asked


@wp.kernel
def place_robots(
    mask: wp.array[bool],
    root_pos: wp.array[wp.vec3],
    root_quat: wp.array[wp.quat],
    root_lin_vel: wp.array[wp.vec3],
    root_ang_vel: wp.array[wp.vec3],
    joint_pos: wp.array2d[float],
    joint_vel: wp.array2d[float],
    time: wp.array[float],
    qpos: wp.array2d[float],
    qvel: wp.array2d[float],
    qacc: wp.array2d[float],
    warmstart: wp.array2d[float],
    previous_target: wp.array2d[float],
    joint_target: wp.array2d[float],
    torque: wp.array2d[float],
    force: wp.array2d[wp.vec3],
    peak_power: wp.array[float],
    peak_foot_force: wp.array2d[float],
    landing_speed: wp.array2d[float],
    peak_leg_force: wp.array[float],
) -> None:
    """Write a new state into the engine and clear its memory of the old one. Over (N,)."""
    robot = wp.tid()
    if not mask[robot]:
        return
    quat = wp.normalize(root_quat[robot])
    omega_b = wp.quat_rotate_inv(quat, root_ang_vel[robot])
    time[robot] = 0.0
    for i in range(3):
        qpos[robot, i] = root_pos[robot][i]
        qpos[robot, 4 + i] = quat[i]
        qvel[robot, i] = root_lin_vel[robot][i]
        qvel[robot, 3 + i] = omega_b[i]
    qpos[robot, 3] = quat[3]
    for joint in range(joint_pos.shape[1]):
        qpos[robot, 7 + joint] = joint_pos[robot, joint]
        qvel[robot, 6 + joint] = joint_vel[robot, joint]
        previous_target[robot, joint] = joint_pos[robot, joint]
        joint_target[robot, joint] = joint_pos[robot, joint]
        torque[robot, joint] = 0.0
    for dof in range(qacc.shape[1]):
        qacc[robot, dof] = 0.0
        warmstart[robot, dof] = 0.0
    for body in range(force.shape[1]):
        force[robot, body] = wp.vec3(0.0, 0.0, 0.0)
    peak_power[robot] = 0.0
    peak_leg_force[robot] = 0.0
    for foot in range(peak_foot_force.shape[1]):
        peak_foot_force[robot, foot] = 0.0
        landing_speed[robot, foot] = 0.0


@wp.kernel
def clear_constraint_rows(mask: wp.array[bool], jacobian: wp.array3d[float], inverse_mass: wp.array2d[float]) -> None:
    """Zero the placed robots' old constraint rows. Over (N, rows).

    The solver multiplies unused rows of a tile by zero instead of leaving them out, which would hand on the NaN of a
    broken robot for ever.
    """
    robot, row = wp.tid()
    if not mask[robot]:
        return
    inverse_mass[robot, row] = 0.0
    for dof in range(jacobian.shape[2]):
        jacobian[robot, row, dof] = 0.0


@wp.kernel
def push_bases(mask: wp.array[bool], delta_vel: wp.array[wp.vec3], qvel: wp.array2d[float]) -> None:
    """Add a velocity to the base. Over (N,)."""
    robot = wp.tid()
    if mask[robot]:
        for i in range(3):
            qvel[robot, i] = qvel[robot, i] + delta_vel[robot][i]


@wp.kernel
def write_contact(
    leg: wp.array[int],
    friction: wp.array2d[float],
    time_constant: wp.array[float],
    geom_friction: wp.array2d[wp.vec3],
    geom_solref: wp.array2d[wp.vec2],
) -> None:
    """Give the robot's geoms the friction of their leg, the base's the mean, and a stiffness. Over (N, geoms).

    `leg` is 0 for the left one, 1 for the right one, -1 for the base and -2 for what is not the robot's.
    """
    robot, geom = wp.tid()
    if leg[geom] == -2:
        return
    slide = 0.5 * (friction[robot, 0] + friction[robot, 1])
    if leg[geom] >= 0:
        slide = friction[robot, leg[geom]]
    old = geom_friction[robot, geom]
    geom_friction[robot, geom] = wp.vec3(slide, old[1], old[2])
    geom_solref[robot, geom] = wp.vec2(time_constant[robot], geom_solref[robot, geom][1])


@wp.kernel
def apply_wrenches(bodies: wp.array[int], wrench: wp.array3d[float], applied: wp.array2d[wp.spatial_vector]) -> None:
    """Hand the external forces and torques to the engine. Over (N, 1 + F)."""
    robot, k = wp.tid()
    force = wp.vec3(wrench[robot, k, 0], wrench[robot, k, 1], wrench[robot, k, 2])
    torque = wp.vec3(wrench[robot, k, 3], wrench[robot, k, 4], wrench[robot, k, 5])
    applied[robot, bodies[k]] = wp.spatial_vector(force, torque)


@wp.kernel
def write_gains(
    kp: wp.array2d[float],
    kd: wp.array2d[float],
    strength: wp.array2d[float],
    gain: wp.array3d[float],
    bias: wp.array3d[float],
) -> None:
    """Make the servos' torque strength (kp (target - q) - kd dq). Over (N, J)."""
    robot, joint = wp.tid()
    stiffness = strength[robot, joint] * kp[robot, joint]
    gain[robot, joint, 0] = stiffness
    bias[robot, joint, 1] = -stiffness
    bias[robot, joint, 2] = -strength[robot, joint] * kd[robot, joint]


@wp.kernel
def read_motion(
    mask: wp.array[bool],
    base: int,
    leg_bodies: wp.array2d[int],
    body_pos: wp.array2d[wp.vec3],
    joint_axis: wp.array2d[wp.vec3],
    body_mass: wp.array2d[float],
    body_com: wp.array2d[wp.vec3],
    qpos: wp.array2d[float],
    qvel: wp.array2d[float],
    root_pos: wp.array[wp.vec3],
    root_quat: wp.array[wp.quat],
    root_lin_vel: wp.array[wp.vec3],
    root_ang_vel: wp.array[wp.vec3],
    joint_pos: wp.array2d[float],
    joint_vel: wp.array2d[float],
    feet_pos: wp.array2d[wp.vec3],
    feet_lin_vel: wp.array2d[wp.vec3],
    com_pos: wp.array[wp.vec3],
    com_lin_vel: wp.array[wp.vec3],
) -> None:
    """Show the engine's state, with feet and CoM at that very state. Over (N,).

    The engine's own `xpos` and `cvel` lag behind `qpos` by a physics step; this walks down both legs instead, link i of
    a leg hanging on its joint i and the foot being fixed to the last one. Joint frames are unrotated at zero angles.
    """
    robot = wp.tid()
    if not mask[robot]:
        return
    broken = bool(False)  # noqa: UP018 - Warp takes a literal for a constant
    for i in range(qpos.shape[1]):
        broken = broken or not (wp.abs(qpos[robot, i]) < MAX_VALUE)
    for i in range(qvel.shape[1]):
        broken = broken or not (wp.abs(qvel[robot, i]) < MAX_VALUE)
    if broken:  # stays so until it is placed anew
        for i in range(qpos.shape[1]):
            qpos[robot, i] = wp.nan

    origin = wp.vec3(qpos[robot, 0], qpos[robot, 1], qpos[robot, 2])
    quat = wp.quat(qpos[robot, 4], qpos[robot, 5], qpos[robot, 6], qpos[robot, 3])
    velocity = wp.vec3(qvel[robot, 0], qvel[robot, 1], qvel[robot, 2])
    omega = wp.quat_rotate(quat, wp.vec3(qvel[robot, 3], qvel[robot, 4], qvel[robot, 5]))
    root_pos[robot] = origin
    root_quat[robot] = quat
    root_lin_vel[robot] = velocity
    root_ang_vel[robot] = omega
    for joint in range(joint_pos.shape[1]):
        joint_pos[robot, joint] = qpos[robot, 7 + joint]
        joint_vel[robot, joint] = qvel[robot, 6 + joint]

    mass = body_mass[robot, base]
    lever = wp.quat_rotate(quat, body_com[robot, base])
    moment = mass * (origin + lever)
    momentum = mass * (velocity + wp.cross(omega, lever))
    for leg in range(leg_bodies.shape[0]):
        pos = origin
        rot = quat
        vel = velocity
        spin = omega
        links = leg_bodies.shape[1]
        for link in range(links):
            body = leg_bodies[leg, link]
            arm = wp.quat_rotate(rot, body_pos[0, body])
            pos = pos + arm
            vel = vel + wp.cross(spin, arm)
            if link + 1 < links:
                joint = leg * (links - 1) + link
                axis = joint_axis[0, 1 + joint]
                spin = spin + qvel[robot, 6 + joint] * wp.quat_rotate(rot, axis)
                rot = rot * wp.quat_from_axis_angle(axis, qpos[robot, 7 + joint])
            lever = wp.quat_rotate(rot, body_com[robot, body])
            moment = moment + body_mass[robot, body] * (pos + lever)
            momentum = momentum + body_mass[robot, body] * (vel + wp.cross(spin, lever))
            mass = mass + body_mass[robot, body]
        feet_pos[robot, leg] = pos
        feet_lin_vel[robot, leg] = vel
    com_pos[robot] = moment / mass
    com_lin_vel[robot] = momentum / mass


@wp.kernel
def read_forces(
    elliptic: bool,
    geom_body: wp.array[int],
    body_slot: wp.array[int],
    equality_rows: wp.array[int],
    friction_rows: wp.array[int],
    limit_rows: wp.array[int],
    rows: wp.array[int],
    row_force: wp.array2d[float],
    row_contact: wp.array2d[int],
    contact_dim: wp.array[int],
    contact_geom: wp.array[wp.vec2i],
    contact_frame: wp.array[wp.mat33],
    contact_friction: wp.array2d[float],
    actuator_force: wp.array2d[float],
    qvel: wp.array2d[float],
    first: bool,
    last: bool,
    leg: wp.array[int],
    foot_slot: wp.vec2i,
    foot_body: wp.vec2i,
    base: int,
    spin_and_velocity: wp.array2d[wp.spatial_vector],
    body_pos: wp.array2d[wp.vec3],
    reference: wp.array2d[wp.vec3],
    foot_touched: wp.array2d[bool],
    overflow: wp.array[int],
    torque: wp.array2d[float],
    force: wp.array2d[wp.vec3],
    peak_power: wp.array[float],
    peak_foot_force: wp.array2d[float],
    landing_speed: wp.array2d[float],
    peak_leg_force: wp.array[float],
    overflow_counts: wp.array[int],
) -> None:
    """Show a physics step's torques and the net contact force on each body, keep the peaks since the first physics step
    of the policy step, and count full buffers in its last one. Over (N,).

    Velocities of bodies are the engine's, at the start of the physics step: angular and linear, the latter at the point
    of the body that is at `reference`, the robot's centre of mass.

    A robot's constraint rows are those of its joint limits, then a run of rows per contact: one without friction, as
    between the legs; else in the elliptic cone normal and two tangents, in the pyramidal one the four edges n + mu t1,
    n - mu t1, n + mu t2, n - mu t2. The first row of a contact's frame is the normal, from the first geom to the
    second, on whose body the force acts; the other body feels its opposite.
    """
    robot = wp.tid()
    power = float(0.0)  # noqa: UP018
    for joint in range(torque.shape[1]):
        torque[robot, joint] = actuator_force[robot, joint]
        power = power + wp.abs(actuator_force[robot, joint] * qvel[robot, 6 + joint])
    between_legs = wp.vec3(0.0, 0.0, 0.0)
    for body in range(force.shape[1]):
        force[robot, body] = wp.vec3(0.0, 0.0, 0.0)
    row = equality_rows[robot] + friction_rows[robot] + limit_rows[robot]
    end = wp.min(rows[robot], row_force.shape[1])
    while row < end:
        contact = row_contact[robot, row]
        local = wp.vec3(row_force[robot, row], 0.0, 0.0)
        width = contact_dim[contact]
        # A contact whose rows did not all fit into the buffer shows its normal force only.
        if width > 1 and elliptic:
            if row + 2 < end:
                local = wp.vec3(row_force[robot, row], row_force[robot, row + 1], row_force[robot, row + 2])
        elif width > 1:
            width = 2 * (width - 1)
            if row + 3 < end:
                a = row_force[robot, row]
                b = row_force[robot, row + 1]
                c = row_force[robot, row + 2]
                d = row_force[robot, row + 3]
                local = wp.vec3(
                    a + b + c + d,
                    contact_friction[contact, 0] * (a - b),
                    contact_friction[contact, 1] * (c - d),
                )
        world = wp.transpose(contact_frame[contact]) * local
        one = contact_geom[contact][0]
        other = contact_geom[contact][1]
        from_slot = body_slot[geom_body[one]]
        on_slot = body_slot[geom_body[other]]
        if from_slot >= 0:
            force[robot, from_slot] = force[robot, from_slot] - world
        if on_slot >= 0:
            force[robot, on_slot] = force[robot, on_slot] + world
        if leg[one] >= 0 and leg[other] >= 0:
            between_legs = between_legs + world
        row += wp.max(1, width)
    if first:
        peak_power[robot] = 0.0
        peak_leg_force[robot] = 0.0
        for foot in range(peak_foot_force.shape[1]):
            peak_foot_force[robot, foot] = 0.0
            landing_speed[robot, foot] = 0.0
    peak_power[robot] = wp.max(peak_power[robot], power)
    peak_leg_force[robot] = wp.max(peak_leg_force[robot], wp.length(between_legs))
    for foot in range(peak_foot_force.shape[1]):
        size = wp.length(force[robot, foot_slot[foot]])
        peak_foot_force[robot, foot] = wp.max(peak_foot_force[robot, foot], size)
        lands = size > 0.0 and not foot_touched[robot, foot]
        foot_touched[robot, foot] = size > 0.0
        if lands:  # with the velocity before the contact took it away
            body = foot_body[foot]
            twist = spin_and_velocity[robot, body]
            arm = body_pos[robot, body] - reference[robot, base]
            velocity = wp.spatial_bottom(twist) + wp.cross(wp.spatial_top(twist), arm)
            landing_speed[robot, foot] = wp.max(landing_speed[robot, foot], -velocity[2])
    bits = overflow[robot]
    if last and bits != 0:
        for bit in range(overflow_counts.shape[0]):
            if (bits & (1 << bit)) != 0:
                wp.atomic_add(overflow_counts, bit, 1)
        overflow[robot] = 0
