"""The swing leg: the motion of its foot to the foothold, and the torques that its inertia needs."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from legged_gym.teacher.config import SwingCfg
from legged_gym.teacher.frame import StepFrame
from legged_gym.teacher.kinematics import LegGeometry
from legged_gym.teacher.predictor import StepPlan


class Motion(NamedTuple):
    """A point in motion at some instant."""

    position: Tensor
    """[m]."""
    velocity: Tensor
    """[m/s]."""
    acceleration: Tensor
    """[m/s^2]."""


def cubic(start: Motion, end: Motion, duration: Tensor, time: Tensor) -> Motion:
    """The motion at a time, on the Hermite cubic from one state to another in a duration.

    All are of one shape, but for the time, which may be several times (T, ...).

    Of all motions between the two states it has the least mean square of the acceleration. The accelerations of start
    and end are not used.
    """
    s = time / duration
    path, u, v = end.position - start.position, start.velocity * duration, end.velocity * duration
    s2, s3 = s.square(), s.square() * s
    position = start.position + path * (3.0 * s2 - 2.0 * s3) + u * (s - 2.0 * s2 + s3) + v * (s3 - s2)
    velocity = path * (6.0 * s - 6.0 * s2) + u * (1.0 - 4.0 * s + 3.0 * s2) + v * (3.0 * s2 - 2.0 * s)
    acceleration = path * (6.0 - 12.0 * s) + u * (6.0 * s - 4.0) + v * (6.0 * s - 2.0)
    return Motion(position, velocity / duration, acceleration / duration.square())


class SwingFoot:
    """Reference of the swing foot's centre, planned anew at every evaluation from the motion that it is in.

    So a new foothold or step time bends the motion and never makes it jump.

    Args:
        cfg: parameters.
        foot_radius: from the foot's centre to its contact point [m].
    """

    def __init__(self, cfg: SwingCfg, foot_radius: float) -> None:
        self.cfg = cfg
        self.landing_z = foot_radius - cfg.depth

    def ahead(
        self,
        frame: StepFrame,
        plan: StepPlan,
        start: Motion,
        liftoff: Tensor,
        swing_height: Tensor,
        times: tuple[float, ...],
    ) -> list[Motion]:
        """The motion in frame M (3, N) each at some times from now.

        Horizontally the foot comes to rest over p* about when the step ends (`late`). In height it follows an arc,
        aiming at the arc's height `horizon` ahead.

        Args:
            frame: the state at the stance foot.
            plan: the step.
            start: present motion of the foot, frame M (3, N).
            liftoff: where it left the ground, frame M (3, N) [m].
            swing_height: apex (N,) [m].
            times: ahead of now [s].
        """
        cfg = self.cfg
        late = self.late(frame, plan)
        left = (plan.time_left + late).clamp(min=cfg.last)
        height, climb = self.arc(frame, plan, liftoff, swing_height)
        zero = torch.zeros_like(plan.foothold)
        end = Motion(torch.cat((plan.foothold, height)), torch.cat((zero, climb)), start.acceleration)
        duration = torch.stack((left, left, torch.full_like(left, cfg.horizon)))
        reached = torch.stack([duration.clamp(max=time) for time in times])  # (T, 3, N)
        return [Motion(*motion) for motion in zip(*cubic(start, end, duration, reached), strict=True)]

    def late(self, frame: StepFrame, plan: StepPlan) -> Tensor:
        """Time after the step's end at which the foot would come to rest (N,) [s]."""
        cfg = self.cfg
        return (cfg.landing - 1.0 + (cfg.hurried_landing - cfg.landing) * plan.hurry) * frame.duration

    def arc(self, frame: StepFrame, plan: StepPlan, liftoff: Tensor, swing_height: Tensor) -> tuple[Tensor, Tensor]:
        """Height of the foot over the stance foot `horizon` ahead [m], and its rate [m/s], (1, N) each.

        A half-sine over a line from lift-off to `depth` under the ground at the landing; long swings go higher.
        """
        cfg = self.cfg
        span = (plan.elapsed + plan.time_left + self.late(frame, plan)).clamp(min=0.05)
        s = (plan.elapsed + cfg.horizon) / span
        moving, s = (s < 1.0).to(s.dtype), s.clamp(max=1.0)
        x, y = plan.foothold - liftoff[:2]
        share = cfg.height + (1.0 - cfg.height) * plan.hurry
        apex = share * swing_height + cfg.lift * torch.hypot(x, y)
        start, landing = liftoff[2], frame.swing_ground_w[0] - frame.stance_w[2] + self.landing_z
        height = start + (landing - start) * (3.0 * s**2 - 2.0 * s**3) + apex * (math.pi * s).sin()
        climb = (landing - start) * 6.0 * (s - s**2) + apex * math.pi * (math.pi * s).cos() * moving
        return height.unsqueeze(0), (climb / span).unsqueeze(0)


class LegInertia:
    """Inertia of a leg that hangs on a base at rest, about its three joints; the links are points at their centres.

    Only hip and knee are coupled; the abad axis is perpendicular to the leg's plane.

    Args:
        geometry: leg constants.
    """

    def __init__(self, geometry: LegGeometry) -> None:
        g = geometry
        zero = torch.zeros_like(g.thigh)
        # Three points (hip link, knee link, foot), each at a vector that turns with the thigh plus one with the shank.
        with_thigh = torch.stack((g.link_coms[:, 1], g.thigh, g.thigh))  # (3, 2, 3)
        with_shank = torch.stack((zero, g.link_coms[:, 2], g.shank + g.link_coms[:, 3]))
        self._vectors = torch.stack((with_thigh, with_shank)).unsqueeze(-1)  # (2, 3, 2, 3, 1)
        self._masses = g.link_masses[:, 1:].t().unsqueeze(-1)  # (3, 2, 1)
        self._hip_z = g.hip_pos[:, 2:]
        self._signs = g.signs.unsqueeze(-1)  # (2, 3, 1)

    def torques(self, joint_pos: Tensor, acceleration: Tensor) -> Tensor:
        """Joint torques (6, N) [N m] for joint accelerations (6, N) [rad/s^2] at joint positions (6, N) [rad]."""
        _, hip, knee = (joint_pos.view(2, 3, -1) * self._signs).unbind(1)  # (2, N) each, about +y
        a = acceleration.view(2, 3, -1) * self._signs
        angles = torch.stack((hip, hip + knee)).unsqueeze(1)  # (2, 1, 2, N)
        x, _, z = self._vectors.unbind(3)
        cos, sin = angles.cos(), angles.sin()
        x, z = x * cos + z * sin, z * cos - x * sin  # (2, 3, 2, N)
        (_, shank_x), (_, shank_z) = x, z
        x, z = x.sum(dim=0), z.sum(dim=0)  # from the hip axis (3, 2, N)
        m = self._masses
        about_abad = (m * (z + self._hip_z).square()).sum(dim=0)
        about_hip = (m * (x.square() + z.square())).sum(dim=0)
        about_knee = (m * (shank_x.square() + shank_z.square())).sum(dim=0)
        hip_knee = (m * (x * shank_x + z * shank_z)).sum(dim=0)
        torque = torch.stack(
            (about_abad * a[:, 0], about_hip * a[:, 1] + hip_knee * a[:, 2], hip_knee * a[:, 1] + about_knee * a[:, 2]),
            dim=1,
        )
        return (torque * self._signs).flatten(0, 1)
