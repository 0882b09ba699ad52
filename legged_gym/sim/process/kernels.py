"""Warp kernels that note resets and pushes for the worker, see `interventions_warp`. One thread works on one robot."""

# mypy: ignore-errors
# Warp compiles these functions itself: what they may do with an array is not in its Python types.

import warp as wp

wp.set_module_options({"enable_backward": False})  # no gradients: half the code to compile


@wp.kernel
def note_reset(
    mask: wp.array[bool],
    root_pos: wp.array[wp.vec3],
    root_quat: wp.array[wp.quat],
    root_lin_vel: wp.array[wp.vec3],
    root_ang_vel: wp.array[wp.vec3],
    joint_pos: wp.array2d[float],
    joint_vel: wp.array2d[float],
    noted_root_pos: wp.array[wp.vec3],
    noted_root_quat: wp.array[wp.quat],
    noted_root_lin_vel: wp.array[wp.vec3],
    noted_root_ang_vel: wp.array[wp.vec3],
    noted_joint_pos: wp.array2d[float],
    noted_joint_vel: wp.array2d[float],
    noted_mask: wp.array[bool],
    noted_push: wp.array[wp.vec3],
) -> None:
    """Note the placement of robots, and drop their earlier pushes."""
    robot = wp.tid()
    if not mask[robot]:
        return
    noted_root_pos[robot] = root_pos[robot]
    noted_root_quat[robot] = wp.normalize(root_quat[robot])
    noted_root_lin_vel[robot] = root_lin_vel[robot]
    noted_root_ang_vel[robot] = root_ang_vel[robot]
    for joint in range(joint_pos.shape[1]):
        noted_joint_pos[robot, joint] = joint_pos[robot, joint]
        noted_joint_vel[robot, joint] = joint_vel[robot, joint]
    noted_mask[robot] = True
    noted_push[robot] = wp.vec3(0.0, 0.0, 0.0)


@wp.kernel
def push_all(
    mask: wp.array[bool],
    delta_vel: wp.array[wp.vec3],
    noted_push: wp.array[wp.vec3],
    root_lin_vel: wp.array[wp.vec3],
    com_lin_vel: wp.array[wp.vec3],
    feet_lin_vel: wp.array2d[wp.vec3],
) -> None:
    """Note a push, and give the whole robot the same change of velocity."""
    robot = wp.tid()
    if not mask[robot]:
        return
    delta = delta_vel[robot]
    noted_push[robot] = noted_push[robot] + delta
    root_lin_vel[robot] = root_lin_vel[robot] + delta
    com_lin_vel[robot] = com_lin_vel[robot] + delta
    for foot in range(feet_lin_vel.shape[1]):
        feet_lin_vel[robot, foot] = feet_lin_vel[robot, foot] + delta
