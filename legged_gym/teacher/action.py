"""From foothold to joint action: swing trajectory, base target, inverse kinematics, feed-forward torques."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from legged_gym.teacher.config import TeacherCfg
from legged_gym.teacher.frame import StepFrame
from legged_gym.teacher.kinematics import InverseKinematics, LegGeometry, LegStatics
from legged_gym.teacher.predictor import StepPlan


class TeacherAction:
    """Joint action that carries a step plan out.

    Position references through inverse kinematics, plus torques through the servo's stiffness:
    a = (q_ref + tau / K_p - q_default) / action_scale, clipped to the torque-feasible range q +- tau_max / K_p.

    Args:
        cfg: the teacher's parameters.
        geometry: leg constants.
    """

    def __init__(self, cfg: TeacherCfg, geometry: LegGeometry) -> None:
        self.cfg = cfg
        self.inverse = InverseKinematics(geometry)
        self.statics = LegStatics(geometry)
        like = geometry.abad_pos
        self._radius, self._mass = geometry.foot_radius, geometry.total_mass
        self._default = like.new_tensor(cfg.control.default_angles)
        self._lower, self._upper = geometry.joint_limits.unbind(-1)
        self._signs = geometry.signs
        self._range = cfg.control.torque_limit / cfg.control.kp

    def __call__(
        self,
        frame: StepFrame,
        plan: StepPlan,
        liftoff: Tensor,
        liftoff_phase: Tensor,
        swing_height: Tensor,
        yaw_force: Tensor,
        joint_pos: Tensor,
        ang_vel_b: Tensor,
    ) -> Tensor:
        """Action (N, 6).

        Args:
            frame: the state at the stance foot.
            plan: the next step.
            liftoff: where the swing foot left the ground, frame M (N, 3) [m].
            liftoff_phase: phase at that instant (N, 1).
            swing_height: apex (N, 1) [m].
            yaw_force: fore-aft force for the heading (N, 1) [N].
            joint_pos: (N, 6) [rad].
            ang_vel_b: base rates (N, 3) [rad/s].
        """
        control = self.cfg.control
        base = frame.base + self.cfg.swing.lead * frame.com_vel
        swing, acceleration = self.swing_target(frame, plan, liftoff, liftoff_phase, swing_height)
        swing = swing - base
        stance = self._stance_target(frame, base)
        force = self._ground_force(frame, plan, yaw_force)
        feet, force_b = self._into_base(frame, stance, swing, force, ang_vel_b)
        reference = torch.minimum(torch.maximum(self.inverse(feet), self._lower), self._upper)
        torque = self.statics.torques(joint_pos, force_b, frame.up_b * -control.gravity)
        torque = torque + self._attitude(frame, plan, yaw_force, acceleration, ang_vel_b)
        target = torch.addcmul(reference, torque, torch.ones_like(torque), value=1.0 / control.kp)
        target = torch.minimum(torch.maximum(target, joint_pos - self._range), joint_pos + self._range)
        return (target - self._default) / control.action_scale

    def swing_target(
        self, frame: StepFrame, plan: StepPlan, liftoff: Tensor, liftoff_phase: Tensor, swing_height: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Swing foot centre a servo's lead ahead of the clock, frame M (N, 3) [m].

        h = 3 s^2 - 2 s^3 in the plane, a half-sine over the line from lift-off to landing in height; the landing lies
        `depth` under the terrain.
        """
        cfg = self.cfg.swing
        phase = 1.0 - plan.time_left / frame.duration
        rate = 1.0 / ((cfg.landing - liftoff_phase).clamp(min=0.05) * frame.duration)  # ds/dt
        s = (phase - liftoff_phase) * frame.duration * rate
        ahead = (s + cfg.lead * rate).clamp(0.0, 1.0)
        s = s.clamp(0.0, 1.0)
        rest = 1.0 - s
        blend = s * s * s * (10.0 + s * (6.0 * s - 15.0))
        speed = 30.0 * (s * rest).square() * rate
        acceleration = 60.0 * s * rest * (1.0 - 2.0 * s) * rate * rate
        planar = blend + cfg.lead * speed + cfg.inertia / self.cfg.control.kp * acceleration
        landing = torch.cat((plan.foothold, frame.swing_ground + (self._radius - cfg.depth)), dim=-1)
        vertical = ahead * ahead * (3.0 - 2.0 * ahead)
        way = landing - liftoff
        apex = swing_height + cfg.clearance
        height = vertical * way[:, 2:] + apex * (math.pi * ahead).sin()
        return liftoff + torch.cat((planar * way[:, :2], height), dim=-1), acceleration * way[:, :2]

    def _stance_target(self, frame: StepFrame, base: Tensor) -> Tensor:
        """Stance foot relative to an upright base at its height over the stance ground (N, 3) [m]."""
        height = torch.full_like(base[:, :1], self._radius - self.cfg.body.base_height)
        return torch.cat((-base[:, :2], height), dim=-1)

    def _ground_force(self, frame: StepFrame, plan: StepPlan, yaw_force: Tensor) -> Tensor:
        """LIP ground force from the foot through the CoM, F_z = m g, plus the yaw force, frame M (N, 3) [N]."""
        weight = self._mass * self.cfg.control.gravity
        planar = frame.com[:, :2] * (self._mass * plan.omega * plan.omega)
        forward, lateral = planar.split(1, dim=-1)
        return torch.cat((forward + yaw_force, lateral, torch.full_like(forward, weight)), dim=-1)

    def _into_base(
        self, frame: StepFrame, stance: Tensor, swing: Tensor, force: Tensor, ang_vel_b: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Left-right foot positions and ground forces in the base frame, (N, 2, 3) each.

        The stance foot is placed against an upright base, so that the servo rights it; the swing foot against the base
        as it is, so that it lands where it should.
        """
        mirror = torch.ones_like(stance)
        mirror[:, 1:2] = frame.side
        world = torch.stack((frame.to_world(swing), frame.to_world(force)), dim=1)
        swing_b, force_b = torch.matmul(world, frame.base_to_w).unbind(1)
        swing_b = torch.lerp(swing * mirror, swing_b, self.cfg.swing.true_base)
        pair = torch.stack((stance * mirror, swing_b), dim=1)
        left = frame.left.unsqueeze(-1)  # (N, 1, 1)
        feet = torch.where(left, pair, pair.flip(1))
        loads = torch.stack((force_b, torch.zeros_like(force_b)), dim=1)
        return feet, torch.where(left, loads, loads.flip(1))

    def _attitude(
        self, frame: StepFrame, plan: StepPlan, yaw_force: Tensor, acceleration: Tensor, ang_vel_b: Tensor
    ) -> Tensor:
        """Stance abad and hip torques that right the base in roll and pitch (N, 6) [N m].

        The yaw force F_x acts c_z - p_z below the CoM, so the base nods with it, the other way on the other foot:
        theta_ddot = a = -(c_z - p_z) F_x / I_y. The feedback is told of the periodic motion
        theta = a T^2 (phi^2 - phi) / 2, or it would take the yaw force back within the step.
        """
        cfg = self.cfg.body
        phase, t = 1.0 - plan.time_left / frame.duration, frame.duration
        nod = yaw_force * (frame.com[:, 2:] + self._radius) * t / -cfg.pitch_inertia  # a T (N, 1)
        pitch = -frame.up_b[:, :1] - 0.5 * nod * t * (phase * phase - phase)
        rate = ang_vel_b[:, 1:2] - nod * (phase - 0.5)
        tilt = torch.cat((frame.up_b[:, 1:2], pitch), dim=-1)
        moment = torch.add(cfg.attitude_kp * tilt, torch.cat((ang_vel_b[:, :1], rate), dim=-1), alpha=cfg.attitude_kd)
        reaction = self.cfg.swing.inertia * cfg.reaction / 0.5 * acceleration  # (N, 2)
        moment = moment + torch.cat((-reaction[:, 1:] * frame.side, reaction[:, :1]), dim=-1)
        moment = torch.cat((moment, torch.zeros_like(moment[:, :1])), dim=-1).unsqueeze(1)  # (N, 1, 3)
        stance = torch.cat((frame.left, ~frame.left), dim=-1).unsqueeze(-1)  # (N, 2, 1)
        return (moment * self._signs * stance).flatten(1)
