"""Small batched rotations. Quaternions are x, y, z, w."""

import torch


def quat_rotate(quat_xyzw: torch.Tensor, vector: torch.Tensor) -> torch.Tensor:
    """Rotate vectors by unit quaternions.

    Args:
        quat_xyzw: Rotations from frame A to frame B. Shape (N, 4).
        vector: Vectors in frame A. Shape (N, 3).

    Returns:
        The vectors in frame B. Shape (N, 3).
    """
    axis, w = quat_xyzw[:, :3], quat_xyzw[:, 3:]
    t = 2.0 * torch.linalg.cross(axis, vector)
    return vector + w * t + torch.linalg.cross(axis, t)


def quat_rotate_inverse(quat_xyzw: torch.Tensor, vector: torch.Tensor) -> torch.Tensor:
    """Rotate vectors by the inverse of unit quaternions; see `quat_rotate`."""
    axis, w = quat_xyzw[:, :3], quat_xyzw[:, 3:]
    t = 2.0 * torch.linalg.cross(axis, vector)
    return vector - w * t + torch.linalg.cross(axis, t)


def quat_from_rpy(rpy: torch.Tensor) -> torch.Tensor:
    """Quaternions of fixed-axis roll, pitch, yaw angles [rad]. Shape (N, 3) -> (N, 4)."""
    half = 0.5 * rpy
    (cr, cp, cy), (sr, sp, sy) = torch.cos(half).unbind(-1), torch.sin(half).unbind(-1)
    return torch.stack(
        (
            sr * cp * cy - cr * sp * sy,
            cr * sp * cy + sr * cp * sy,
            cr * cp * sy - sr * sp * cy,
            cr * cp * cy + sr * sp * sy,
        ),
        dim=-1,
    )


def yaw_from_quat(quat_xyzw: torch.Tensor) -> torch.Tensor:
    """Heading of the base x axis [rad]. Shape (N, 4) -> (N,)."""
    x, y, z, w = quat_xyzw.unbind(-1)
    return torch.atan2(2.0 * (w * z + x * y), 1.0 - 2.0 * (y * y + z * z))


def rotate_yaw(yaw: torch.Tensor, vector: torch.Tensor) -> torch.Tensor:
    """Turn horizontal components from the heading frame to the world; a negative yaw turns them back.

    Args:
        yaw: Heading [rad]. Shape (N,).
        vector: Shape (N, 2) or (N, 3); z is kept.

    Returns:
        Turned vectors, same shape.
    """
    c, s = torch.cos(yaw), torch.sin(yaw)
    x, y = vector[:, 0], vector[:, 1]
    return torch.cat((torch.stack((c * x - s * y, s * x + c * y), dim=-1), vector[:, 2:]), dim=-1)


def uniform(shape: tuple[int, ...], low: float, high: float, device: torch.device | str) -> torch.Tensor:
    """Draw from the uniform distribution over [low, high)."""
    return torch.rand(shape, device=device) * (high - low) + low
