"""Closed-form kinematics and statics of the two three-joint legs (abad, hip, knee), both at once.

Each leg: an abad joint about the base's x axis, hip and knee joints about the leg's y axis (the abad frame turned by
the abad angle). Left and right hip and knee axes point in opposite directions; their signs come from the robot model,
and so do all lengths, per side. Leg index 0 is left, 1 is right. Angles "about +y" below are signed joint angles.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor


class RobotLike(Protocol):
    """What the teacher needs of a robot model (numpy arrays; see sim/robot_model.py)."""

    joint_limits: Any
    joint_axes: Any
    total_mass: float
    abad_pos_b: Any
    hip_pos: Any
    thigh: Any
    shank: Any
    foot_radius: float
    link_masses: Any
    link_coms: Any


@dataclass(frozen=True)
class LegGeometry:
    """Leg constants as tensors of one dtype on one device."""

    abad_pos: Tensor
    """Abad joint in the base frame (2, 3) [m]."""
    hip_pos: Tensor
    """Hip joint in the abad frame (2, 3) [m]."""
    thigh: Tensor
    """Knee joint in the hip frame (2, 3) [m]."""
    shank: Tensor
    """Foot centre in the knee frame (2, 3) [m]."""
    signs: Tensor
    """Direction of each joint axis along +x (abad) or +y (hip, knee) (2, 3)."""
    joint_limits: Tensor
    """(6, 2) [rad]."""
    link_masses: Tensor
    """Abad, hip, knee and foot link (2, 4) [kg]."""
    link_coms: Tensor
    """Their centres of mass, each in its link's frame (2, 4, 3) [m]."""
    total_mass: float
    """Whole robot [kg]."""
    foot_radius: float
    """[m]."""

    @classmethod
    def from_model(
        cls, robot: RobotLike, device: torch.device | str = "cpu", dtype: torch.dtype = torch.float32
    ) -> LegGeometry:
        """Copies what is needed out of a robot model and checks that the leg is of the kind solved here."""

        def tensor(array: Any) -> Tensor:
            return torch.as_tensor(array, dtype=dtype, device=device)

        axes = tensor(robot.joint_axes).view(2, 3, 3)
        main = torch.tensor([0, 1, 1], device=device)
        signs = torch.gather(axes, 2, main.view(1, 3, 1).expand(2, 3, 1)).squeeze(-1)
        if not bool(torch.allclose(signs.abs(), torch.ones_like(signs), atol=1e-6)):
            raise ValueError(f"leg axes must be abad along x, hip and knee along y; got {axes.tolist()}")
        return cls(
            abad_pos=tensor(robot.abad_pos_b),
            hip_pos=tensor(robot.hip_pos),
            thigh=tensor(robot.thigh),
            shank=tensor(robot.shank),
            signs=signs,
            joint_limits=tensor(robot.joint_limits),
            link_masses=tensor(robot.link_masses),
            link_coms=tensor(robot.link_coms),
            total_mass=float(robot.total_mass),
            foot_radius=float(robot.foot_radius),
        )


class InverseKinematics:
    """Joint angles that put the feet somewhere, exact and closed form, with a smoothly clamped reach.

    With the foot relative to the abad joint (X, Y, Z), y_0 the leg's constant lateral offset, rho = hypot(Y, Z)
    without y_0, x = X - hip_x, r^2 = x^2 + rho^2, thigh and shank lengths l_1, l_2 and their directions d_1, d_2 at
    zero angle (measured from straight down, positive forward):

        abad    = atan2(Y, -Z) - atan2(y_0, rho)
        kappa   = +-acos((r^2 - l_1^2 - l_2^2) / (2 l_1 l_2)),  the bend from thigh to shank; knee = kappa - d_1 + d_2
        hip     = d_1 - atan2(l_2 sin kappa, l_1 + l_2 cos kappa) - atan2(x, rho)

    (law of cosines in the leg's plane). The sign of kappa is that of the zero pose: the knees point backwards.

    Args:
        geometry: leg constants.
        margin: width of the zone in which the reach saturates, inside [min, max] [m].
        min_reach: shortest hip-to-foot distance [m].
        max_stretch: longest hip-to-foot distance as a fraction of l_1 + l_2 [1].
    """

    def __init__(
        self, geometry: LegGeometry, margin: float = 0.01, min_reach: float = 0.2, max_stretch: float = 0.9925
    ) -> None:
        self.geometry = geometry
        thigh, shank = geometry.thigh, geometry.shank
        l1 = torch.hypot(thigh[:, 0], thigh[:, 2])
        l2 = torch.hypot(shank[:, 0], shank[:, 2])
        d1 = torch.atan2(thigh[:, 0], -thigh[:, 2])
        d2 = torch.atan2(shank[:, 0], -shank[:, 2])
        self._origin = geometry.abad_pos  # (2, 3)
        self._hip_x, self._hip_z = geometry.hip_pos[:, 0], geometry.hip_pos[:, 2]
        self._y0 = geometry.hip_pos[:, 1] + thigh[:, 1] + shank[:, 1]
        self._l1, self._l2, self._d1 = l1, l2, d1
        self._l2_signed = l2 * torch.sign(d1 - d2)
        self._square_sum, self._two_l1_l2 = l1**2 + l2**2, 2.0 * l1 * l2
        self._margin = margin
        self._inner, self._outer = min_reach + margin, max_stretch * (l1 + l2) - margin
        ones = torch.ones_like(d1)
        self._scale = geometry.signs * torch.stack((ones, ones, torch.sign(d1 - d2)), dim=-1)  # (2, 3)
        self._zero = geometry.signs * torch.stack((0.0 * ones, d1, d2 - d1), dim=-1)  # (2, 3)
        self._flat = bool((self._y0.abs() < 1e-9).all())

    def __call__(self, feet: Tensor) -> Tensor:
        """Solves both legs.

        Args:
            feet: foot centres in the base frame (N, 2, 3) [m].

        Returns:
            Joint angles (N, 6) [rad]; out of reach, those of the nearest reachable point on the same ray.
        """
        x, y, z = (feet - self._origin).unbind(-1)  # (N, 2) each
        x = x - self._hip_x
        abad, down = self._lateral(y, z)
        down = down + self._hip_z
        square = torch.addcmul(x * x, down, down)
        reach = square.clamp(min=1e-8).sqrt()
        core = torch.minimum(reach.clamp(min=self._inner), self._outer)
        reach = core + self._margin * ((reach - core) / self._margin).tanh()
        cosine = (reach * reach - self._square_sum) / self._two_l1_l2
        bend = cosine.acos()  # inside (0, pi): the reach is clamped
        turn = torch.atan2(self._l2_signed * bend.sin(), torch.addcmul(self._l1, self._l2, cosine))
        hip = -turn - torch.atan2(x, down)
        angles = torch.stack((abad, hip, bend), dim=-1)  # about +x, +y, +y, from the straight leg
        return torch.addcmul(self._zero, angles, self._scale).flatten(1)

    def _lateral(self, y: Tensor, z: Tensor) -> tuple[Tensor, Tensor]:
        """Abad angle [rad] and the foot's depth under the abad axis in the turned leg plane [m], (N, 2) each."""
        square = torch.addcmul(y * y, z, z)
        if not self._flat:
            square = square - self._y0**2
        depth = square.clamp(min=1e-6).sqrt()
        abad = torch.atan2(y, -z)
        if not self._flat:
            abad = abad - torch.atan2(self._y0.expand_as(depth), depth)
        return abad, depth


class LegStatics:
    """Forward kinematics and static joint torques of both legs, in the leg plane, without building Jacobians.

    Static equilibrium of everything beyond joint j under forces f_k at points x_k:
        tau_j = - axis_j . sum_k (x_k - o_j) x f_k,   that is tau = -J_p^T F - sum_i J_i^T m_i g
    with F the ground force on the foot and m_i g the weights of the links beyond the joint.
    """

    def __init__(self, geometry: LegGeometry) -> None:
        g = geometry
        masses, coms = g.link_masses, g.link_coms
        shank_mass = masses[:, 2] + masses[:, 3]  # (2,) knee and foot links move as one
        shank_com = (masses[:, 2:3] * coms[:, 2] + masses[:, 3:] * (g.shank + coms[:, 3])) / shank_mass[:, None]
        points = torch.stack((coms[:, 1], g.thigh, shank_com, g.shank), dim=1).view(2, 2, 2, 3)  # side, link, com/tip
        self._px, self._pz = points[..., 0].contiguous(), points[..., 2].contiguous()  # (2, 2, 2)
        zero = torch.zeros_like(shank_mass)
        self._weights = torch.stack((masses[:, 1], shank_mass, shank_mass, zero), -1).view(2, 2, 2)
        self._loads = torch.tensor([[0.0, 1.0], [0.0, 1.0]], dtype=masses.dtype, device=masses.device)
        beyond = torch.stack((masses[:, 0], masses[:, 1], shank_mass), -1)  # (2, 3)
        hip_y = g.hip_pos[:, 1]
        lateral = torch.stack((coms[:, 0, 1], hip_y + coms[:, 1, 1], hip_y + g.thigh[:, 1] + shank_com[:, 1]), -1)
        self._mass_y = (beyond * lateral).sum(-1)  # (2,)
        self._mass_z = masses[:, 0] * coms[:, 0, 2] + (masses[:, 1] + shank_mass) * g.hip_pos[:, 2]
        self._foot_y = hip_y + g.thigh[:, 1] + g.shank[:, 1]
        self._hip_x, self._hip_z = g.hip_pos[:, 0], g.hip_pos[:, 2]
        self._abad_pos, self._signs, self._radius = g.abad_pos, g.signs, g.foot_radius

    def _planar(self, joint_pos: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Points of thigh and shank (com, tip), x and z from their joint (N, 2, 2, 2); abad sine, cosine (N, 2)."""
        abad, hip, knee = (joint_pos.view(-1, 2, 3) * self._signs).unbind(-1)
        angles = torch.stack((abad, hip, hip + knee), dim=-1)  # (N, 2, 3)
        sine, cosine = angles.sin(), angles.cos()
        s, c = sine[..., 1:, None], cosine[..., 1:, None]
        px = torch.addcmul(c * self._px, s, self._pz)
        pz = torch.addcmul(c * self._pz, s, self._px, value=-1.0)
        return px, pz, sine[..., 0], cosine[..., 0]

    def feet(self, joint_pos: Tensor) -> Tensor:
        """Foot centres in the base frame (N, 2, 3) [m] from joint angles (N, 6) [rad]."""
        px, pz, s, c = self._planar(joint_pos)
        x = px[..., 1].sum(-1) + self._hip_x
        depth = pz[..., 1].sum(-1) + self._hip_z
        y, z = c * self._foot_y - s * depth, s * self._foot_y + c * depth
        return torch.stack((x, y, z), dim=-1) + self._abad_pos

    def torques(self, joint_pos: Tensor, force: Tensor, gravity: Tensor) -> Tensor:
        """Joint torques that hold the legs' own weight and balance a ground force on each foot.

        Args:
            joint_pos: (N, 6) [rad].
            force: ground force on each foot's contact point, base frame (N, 2, 3) [N].
            gravity: gravitational acceleration, base frame (N, 3) [m/s^2].

        Returns:
            Torques (N, 6) [N m].
        """
        px, pz, s, c = self._planar(joint_pos)
        both = torch.stack((force, gravity.unsqueeze(1).expand_as(force)), dim=-1)  # (N, 2, 3, 2): F and g
        s2, c2 = s.unsqueeze(-1), c.unsqueeze(-1)
        bx, by, bz = both.unbind(2)  # (N, 2, 2)
        ly = torch.addcmul(c2 * by, s2, bz)  # into the leg plane: R_x(-abad)
        lz = torch.addcmul(c2 * bz, s2, by, value=-1.0)
        planar = torch.stack((bx, lz), dim=-2)  # (N, 2, {x, z}, {F, g})
        shared = planar[..., None, None, 1] * self._weights.unsqueeze(1)  # (N, 2, {x, z}, link, point)
        fx, fz = (shared + planar[..., None, None, 0] * self._loads).unbind(2)
        moments = torch.addcmul(pz * fx, px, fz, value=-1.0).sum(-1)  # about +y (N, 2, {thigh, shank})
        rolled = self._contact_lever(planar, ly)  # (N, 2, 2): about +x and +y
        shank = moments[..., 1] + rolled[..., 1]
        hip = shank + moments[..., 0]
        depth = self._hip_z + pz[..., 1].sum(-1)
        mass_z = self._mass_z + (pz * self._weights).sum((-1, -2))
        side = self._foot_y * lz[..., 0] - depth * ly[..., 0] + self._mass_y * lz[..., 1] - mass_z * ly[..., 1]
        return -(torch.stack((side + rolled[..., 0], hip, shank), dim=-1) * self._signs).flatten(1)

    def _contact_lever(self, planar: Tensor, lateral: Tensor) -> Tensor:
        """Moments of the ground force about the foot centre: it acts one foot radius further down (N, 2, 2) [N m]."""
        gx, gy, gz = planar[..., 0, 1], lateral[..., 1], planar[..., 1, 1]
        scale = self._radius / (gx * gx + gy * gy + gz * gz).sqrt()
        fx, fy, fz = planar[..., 0, 0], lateral[..., 0], planar[..., 1, 0]
        return torch.stack((gy * fz - gz * fy, gz * fx - gx * fz), dim=-1) * scale.unsqueeze(-1)
