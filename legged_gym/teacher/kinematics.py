"""Closed-form kinematics and statics of the two three-joint legs (abad, hip, knee), both at once.

Each leg: an abad joint about the base's x axis, hip and knee joints about the leg's y axis (the abad frame turned by
the abad angle). Left and right hip and knee axes point in opposite directions; their signs come from the robot model,
and so do all lengths, per side. Leg index 0 is left, 1 is right.

Components come first, robots last, as everywhere in the teacher: foot positions are (3, 2, N), joint angles (6, N).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from legged_gym.utils.errors import UserError


class RobotLike(Protocol):
    """The parts of a robot model that the teacher needs (numpy arrays; see sim/robot_model.py)."""

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
        """Copies the geometry from a robot model, and checks that the legs are of the kind solved here."""

        def tensor(array: Any) -> Tensor:
            return torch.as_tensor(array, dtype=dtype, device=device)

        axes = tensor(robot.joint_axes).view(2, 3, 3)
        main = torch.tensor([0, 1, 1], device=device)
        signs = torch.gather(axes, 2, main.view(1, 3, 1).expand(2, 3, 1)).squeeze(-1)
        if not bool(torch.allclose(signs.abs(), torch.ones_like(signs), atol=1e-6)):
            raise UserError(f"leg axes must be abad along x, hip and knee along y; got {axes.tolist()}")
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
    """Joint angles for given foot positions, exact and in closed form, with a smoothly clamped reach.

    With the foot relative to the abad joint (X, Y, Z), y_0 the leg's constant lateral offset, rho its depth in the
    turned leg plane, x = X - hip_x, r^2 = x^2 + rho^2, thigh and shank lengths l_1, l_2 and their directions d_1, d_2
    at zero angle (measured from straight down, positive forward), angles about +x (abad) and +y (hip, knee):

        abad    = atan2(Y, -Z) - atan2(y_0, rho),  rho^2 = Y^2 + Z^2 - y_0^2
        kappa   = +-acos((r^2 - l_1^2 - l_2^2) / (2 l_1 l_2)),  the bend from thigh to shank; knee = kappa - d_1 + d_2
        hip     = d_1 - atan2(l_2 sin kappa, l_1 + l_2 cos kappa) - atan2(x, rho)

    (law of cosines in the leg's plane). The sign of kappa is that of the zero pose: the knees point backwards.

    Args:
        geometry: leg constants.
        margin: width of the zone in which the reach saturates, inside of its bounds [m].
        min_reach: shortest hip-to-foot distance [m].
        max_stretch: longest hip-to-foot distance as a fraction of l_1 + l_2 [1].
    """

    def __init__(
        self, geometry: LegGeometry, margin: float = 0.01, min_reach: float = 0.2, max_stretch: float = 0.9925
    ) -> None:
        thigh, shank = geometry.thigh.t().unsqueeze(-1), geometry.shank.t().unsqueeze(-1)  # (3, 2, 1)
        l1, l2 = torch.hypot(thigh[0], thigh[2]), torch.hypot(shank[0], shank[2])  # (2, 1)
        d1, d2 = torch.atan2(thigh[0], -thigh[2]), torch.atan2(shank[0], -shank[2])
        hip = geometry.hip_pos.t().unsqueeze(-1)
        shift = torch.stack((hip[0], torch.zeros_like(hip[0]), torch.zeros_like(hip[0])))
        self._downwards = hip.new_tensor([1.0, 1.0, -1.0]).view(3, 1, 1)  # z counts downwards here
        self._origin = (geometry.abad_pos.t().unsqueeze(-1) + shift) * self._downwards  # (3, 2, 1)
        self._hip_z = hip[2]
        self._y0 = hip[1] + thigh[1] + shank[1]
        self._l1, self._l2_signed = l1, l2 * torch.sign(d1 - d2)
        self._l2, self._margin = l2, margin
        self._inner = torch.full_like(l1, min_reach + margin)
        self._outer = max_stretch * (l1 + l2) - margin
        ones = torch.ones_like(d1)
        signs = geometry.signs.unsqueeze(-1)  # (2, 3, 1)
        self._signs = signs * torch.stack((ones, -ones, torch.sign(d1 - d2)), dim=1)
        self._zero = signs * torch.stack((0.0 * ones, d1, d2 - d1), dim=1)
        self._centred = bool((self._y0.abs() < 1e-9).all() and (self._hip_z == 0.0).all())

    def __call__(self, feet: Tensor) -> Tensor:
        """Solves both legs.

        Args:
            feet: foot centres in the base frame (3, 2, N) [m].

        Returns:
            Joint angles (6, N) [rad]; out of reach, those of the nearest reachable point on the same ray.
        """
        x, y, down = (self._downwards * feet - self._origin).unbind()  # (2, N) each
        abad, depth = self._lateral(y, down)
        reach = (x * x + depth * depth).sqrt()
        core = reach.clamp(self._inner, self._outer)
        reach = core + self._margin * ((reach - core) / self._margin).tanh()
        cosine = (reach * reach - self._l1**2 - self._l2**2) / (2.0 * self._l1 * self._l2)
        bend = cosine.acos()  # inside (0, pi): the reach is clamped
        turn = torch.atan2(self._l2_signed * bend.sin(), self._l1 + self._l2 * cosine)
        angles = torch.stack((abad, turn + torch.atan2(x, depth), bend), dim=1)  # (2, 3, N)
        return (self._zero + self._signs * angles).flatten(0, 1)

    def _lateral(self, y: Tensor, down: Tensor) -> tuple[Tensor, Tensor]:
        """Abad angle [rad] and the foot's depth under the hip in the turned leg plane [m], (2, N) each."""
        square = y * y + down * down - self._y0**2
        depth = square.clamp(min=1e-6).sqrt()
        abad = torch.atan2(y, down)
        if self._centred:
            return abad, depth
        return abad - torch.atan2(self._y0.expand_as(depth), depth), depth + self._hip_z


class LegStatics:
    """Forward kinematics and static joint torques of both legs in the leg plane: the Jacobians written out.

    Static equilibrium of everything beyond joint j under forces f_k at points x_k:
        tau_j = - axis_j . sum_k (x_k - o_j) x f_k,   that is tau = -J_p^T F - sum_i J_i^T m_i g
    with F the ground force on the foot and m_i g the weights of the links beyond the joint. Per link, the masses beyond
    its joint act like their first moment, a constant vector that turns with the link.

    All products of what turns with the joints are in `moments`, 30 rows; the torques are linear in them: `matrix`.

    Args:
        geometry: leg constants.
        gravity: gravitational acceleration [m/s^2].
    """

    def __init__(self, geometry: LegGeometry, gravity: float = 9.81) -> None:
        g = geometry
        masses, coms = -gravity * g.link_masses, g.link_coms  # weights along z (2, 4) [N], (2, 4, 3)
        knee, foot = masses[:, 2:3], masses[:, 3:]  # move as one link, the shank
        shank_mass = knee + foot  # (2, 1)
        thigh_moment = masses[:, 1:2] * coms[:, 1] + shank_mass * g.thigh  # (2, 3) [N m]
        shank_moment = knee * coms[:, 2] + foot * (g.shank + coms[:, 3])
        vectors = torch.stack((thigh_moment, shank_moment, g.thigh, g.shank))  # (4, 2, 3): two moments, two tips
        pairs = vectors.view(2, 2, 2, 3).unsqueeze(-2)  # ({moment, tip}, link, side, 1, xyz)
        px, pz = pairs[..., 0], pairs[..., 2]  # (2, 2, 2, 1)
        self._cosine_part, self._sine_part = torch.stack((px, pz)), torch.stack((pz, -px))
        beyond = masses[:, 1:2] + shank_mass
        moment = masses[:, :1] * coms[:, 0] + beyond * g.hip_pos + thigh_moment + shank_moment
        moment_z = masses[:, 0] * coms[:, 0, 2] + beyond[:, 0] * g.hip_pos[:, 2]
        foot_y = (g.hip_pos + g.thigh + g.shank)[:, 1]
        self.matrix = self._matrix(
            torch.stack((moment[:, 1], foot_y)), torch.stack((moment_z, g.hip_pos[:, 2])), g.foot_radius, g.signs
        )
        angles = torch.zeros_like(self.matrix[:, :6]).view(3, 2, 2, 3)
        for leg, (abad_sign, hip_sign, knee_sign) in enumerate(g.signs):
            angles[:2, leg, leg, 1], angles[1, leg, leg, 2], angles[2, leg, leg, 0] = hip_sign, knee_sign, abad_sign
        self._angles = angles.view(6, 6).repeat(2, 1)  # of thigh, shank, abad link, twice
        self._quarter = torch.zeros_like(self._angles[:, :1])  # cos a = sin(a + pi / 2)
        self._quarter[6:] = 0.5 * math.pi
        self._foot_y, self._hip_x, self._hip_z = foot_y.unsqueeze(-1), g.hip_pos[:, :1], g.hip_pos[:, 2:]
        self._abad_pos = g.abad_pos.t().unsqueeze(-1)  # (3, 2, 1)

    @staticmethod
    def _matrix(arm_y: Tensor, arm_z: Tensor, radius: float, signs: Tensor) -> Tensor:
        """Torques of the six joints per row of `moments` (6, 30).

        Args:
            arm_y: constant lever along y, of the first moments [N m] and of the foot [m] (2, side).
            arm_z: the same along z, between abad and hip axis.
            radius: from the foot's centre to its contact point [m].
            signs: direction of the joint axes (side, 3).
        """
        bend, roll = signs.new_zeros(2, 2, 3, 2, 2, 2)
        along_y, along_z = signs.new_zeros(2, 2, 3, 3, 2)
        along_x = signs.new_zeros(2, 3, 2)
        for leg in (0, 1):
            bend[leg, 1, :, :, leg] = bend[leg, 2, :, 1, leg] = 1.0  # the hip carries both links, the knee the shank
            roll[leg, 0, :, :, leg] = -1.0
            along_y[leg, 0, :2, leg], along_z[leg, 0, :2, leg] = -arm_z[:, leg], arm_y[:, leg]
            along_y[leg, 1:, 2, leg] = along_x[leg, 0, leg] = -radius
        rows = torch.cat([part.flatten(2) for part in (bend, roll, along_y, along_z, along_x)], dim=-1)
        return (rows * -signs.unsqueeze(-1)).flatten(0, 1)

    def _planar(self, joint_pos: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Turned moments and tips of the links, x and z ({moment, tip}, link, side, N); abad sine, cosine (1, 2, N)."""
        turned = torch.addmm(self._quarter, self._angles, joint_pos).sin().view(6, 2, -1)
        s, abad_s, c, abad_c = turned.split_with_sizes((2, 1, 2, 1))  # thigh and shank, abad
        px, pz = c * self._cosine_part + s * self._sine_part
        return px, pz, abad_s, abad_c

    def feet(self, joint_pos: Tensor) -> Tensor:
        """Foot centres in the base frame (3, 2, N) [m] from joint angles (6, N) [rad]."""
        px, pz, (s,), (c,) = self._planar(joint_pos)
        x = px[1].sum(dim=0) + self._hip_x
        z = pz[1].sum(dim=0) + self._hip_z
        y = self._foot_y
        return torch.stack((x, c * y - s * z, s * y + c * z)) + self._abad_pos

    def moments(self, joint_pos: Tensor, loads: Tensor) -> tuple[Tensor, ...]:
        """Terms of the torques: turning levers times loads, and loads.

        Args:
            joint_pos: (6, N) [rad].
            loads: in the base frame the world's z axis, the ground force F on each foot's contact point, and z x F, as
                that point is a foot radius under the foot's centre ({z, F, z x F}, xyz, 1, side, N) [1, N, N].

        Returns:
            Rows, in the order of the columns of `matrix`; 30 in all.
        """
        px, pz, s, c = self._planar(joint_pos)
        x, y, z = loads.unbind(1)  # (3, 1, side, N)
        y, z = c * y + s * z, c * z - s * y  # leg plane: R_x(-abad)
        bend = pz * x[:2] - px * z[:2]  # ({moment, tip}, link, side, N)
        roll = pz * y[:2]
        return tuple(part.flatten(0, -2) for part in (bend, roll, y, z, x[2]))
