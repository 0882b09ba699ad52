"""Small batched rotations. Quaternions are x, y, z, w."""

import torch


def quat_rotate(quat_xyzw: torch.Tensor, vector: torch.Tensor) -> torch.Tensor:
    """Rotate vectors by unit quaternions.

    Args:
        quat_xyzw: Rotations from frame A to frame B. Shape (..., 4).
        vector: Vectors in frame A. Shape (..., 3); leading axes are broadcast.

    Returns:
        The vectors in frame B. Shape (..., 3).
    """
    axis, w = quat_xyzw[..., :3], quat_xyzw[..., 3:]
    t = 2.0 * torch.linalg.cross(axis, vector)
    return vector + w * t + torch.linalg.cross(axis, t)


def quat_rotate_inverse(quat_xyzw: torch.Tensor, vector: torch.Tensor) -> torch.Tensor:
    """Rotate vectors by the inverse of unit quaternions; see `quat_rotate`."""
    axis, w = quat_xyzw[..., :3], quat_xyzw[..., 3:]
    t = 2.0 * torch.linalg.cross(axis, vector)
    return vector - w * t + torch.linalg.cross(axis, t)


def overwrite(target: torch.Tensor, mask: torch.Tensor, value: torch.Tensor) -> None:
    """Replace the rows of `target` (N, ...) that are in `mask` (N,) by those of `value` (N, ...)."""
    torch.where(mask.view(-1, *[1] * (target.ndim - 1)), value, target, out=target)


def known_empty(mask: torch.Tensor) -> bool:
    """Whether no robot is in `mask` (N,), on the CPU; False on a GPU, where to know it would be to wait for it."""
    return mask.device.type == "cpu" and not bool(mask.any())


def quat_from_tilt(tilt: torch.Tensor) -> torch.Tensor:
    """Quaternions of a roll, then a pitch, about fixed axes [rad]. Shape (N, 2) -> (N, 4)."""
    half = 0.5 * tilt
    (cr, cp), (sr, sp) = torch.cos(half).unbind(-1), torch.sin(half).unbind(-1)
    return torch.stack((sr * cp, cr * sp, -sr * sp, cr * cp), dim=-1)


def quat_from_yaw(yaw: torch.Tensor) -> torch.Tensor:
    """Quaternions of a turn about z [rad]. Shape (N,) -> (N, 4)."""
    half = 0.5 * yaw
    zero = torch.zeros_like(half)
    return torch.stack((zero, zero, torch.sin(half), torch.cos(half)), dim=-1)


def yaw_from_quat(quat_xyzw: torch.Tensor) -> torch.Tensor:
    """Heading of the base x axis [rad]. Shape (N, 4) -> (N,)."""
    x, y, z, w = quat_xyzw.unbind(-1)
    return torch.atan2(2.0 * (w * z + x * y), 1.0 - 2.0 * (y * y + z * z))


def rotate_yaw(yaw: torch.Tensor, vector: torch.Tensor) -> torch.Tensor:
    """Turn horizontal components from the heading frame to the world; a negative yaw turns them back.

    Args:
        yaw: Heading [rad]. Shape (...).
        vector: Shape (..., 2) or (..., 3); z is kept. Leading axes are broadcast.

    Returns:
        Turned vectors, same shape as `vector`.
    """
    c, s = torch.cos(yaw), torch.sin(yaw)
    x, y, *rest = vector.unbind(-1)
    return torch.stack((c * x - s * y, s * x + c * y, *rest), dim=-1)
