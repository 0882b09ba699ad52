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
        self._radius, self._mass = geometry.foot_radius, geometry.total_mass
        self._default = geometry.abad_pos.new_tensor(cfg.control.default_angles).unsqueeze(-1)  # (6, 1)
        self._lower, self._upper = geometry.joint_limits.unsqueeze(-1).unbind(1)
        self._roll_sign, self._pitch_sign = geometry.signs[:, 0:1], geometry.signs[:, 1:2]  # (2, 1)
        self._foot_depth = geometry.foot_radius - cfg.body.hip_height + float(geometry.abad_pos[:, 2].mean())
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
        """Action (6, N).

        Args:
            frame: the state at the stance foot.
            plan: the next step.
            liftoff: where the swing foot left the ground, frame M (3, N) [m].
            liftoff_phase: phase at that instant (N,).
            swing_height: apex (N,) [m].
            yaw_force: fore-aft force for the heading (N,) [N].
            joint_pos: (6, N) [rad].
            ang_vel_b: base rates (3, N) [rad/s].
        """
        control = self.cfg.control
        base = frame.base + self.cfg.swing.lead * frame.com_vel
        swing = self.swing_target(frame, plan, liftoff, liftoff_phase, swing_height) - base
        feet, force_b = self._into_base(frame, base, swing, self._ground_force(frame, plan, yaw_force))
        reference = self.inverse(feet).clamp(self._lower, self._upper)
        torque = self.statics.torques(joint_pos, force_b, frame.up_b * -control.gravity)
        torque = torque + self._attitude(frame, plan, yaw_force, ang_vel_b)
        target = reference + torque / control.kp
        target = target.clamp(joint_pos - self._range, joint_pos + self._range)
        return (target - self._default) / control.action_scale

    def swing_target(
        self, frame: StepFrame, plan: StepPlan, liftoff: Tensor, liftoff_phase: Tensor, swing_height: Tensor
    ) -> Tensor:
        """Reference of the swing foot centre, frame M (3, N) [m].

        In the plane a minimum-jerk blend h = 10 s^3 - 15 s^4 + 6 s^5 from lift-off to p*, to which what the servo takes
        away is added: K_d h_dot / K_p of damping (the lead) and I h_ddot / K_p of leg inertia. In height a half-sine
        over the line from lift-off to landing, a lead ahead of the clock; the landing lies `depth` under the terrain.
        """
        cfg = self.cfg.swing
        rate = 1.0 / ((cfg.landing - liftoff_phase).clamp(min=0.05) * frame.duration)  # ds/dt (N,)
        s = ((1.0 - liftoff_phase) * frame.duration - plan.time_left) * rate
        ahead = (s + cfg.lead * rate).clamp(0.0, 1.0)
        s = s.clamp(0.0, 1.0)
        bump = s - s * s  # s (1 - s)
        pull = (60.0 * cfg.inertia / self.cfg.control.kp) * (1.0 - 2.0 * s) * rate
        planar = s * s * s * (10.0 + s * (6.0 * s - 15.0)) + bump * rate * ((30.0 * cfg.lead) * bump + pull)
        from_x, from_y, from_z = liftoff.unbind()
        to_x, to_y = plan.foothold.unbind()
        rise = frame.ground[1] + (self._radius - cfg.depth) - from_z
        way_x, way_y = to_x - from_x, to_y - from_y
        apex = swing_height + cfg.clearance + cfg.lift * (way_x * way_x + way_y * way_y + 1e-8).sqrt()
        height = rise * (ahead * ahead * (3.0 - 2.0 * ahead)) + apex * (math.pi * ahead).sin()
        return liftoff + torch.stack((planar * way_x, planar * way_y, height))

    def _ground_force(self, frame: StepFrame, plan: StepPlan, yaw_force: Tensor) -> Tensor:
        """LIP ground force from the foot through the CoM, F_z = m g, plus the yaw force, frame M (3, N) [N]."""
        x, y = (frame.com[:2] * (self._mass * plan.omega * plan.omega)).unbind()
        return torch.stack((x + yaw_force, y, torch.full_like(x, self._mass * self.cfg.control.gravity)))

    def _into_base(self, frame: StepFrame, base: Tensor, swing: Tensor, force: Tensor) -> tuple[Tensor, Tensor]:
        """Left-right foot positions and ground forces in the base frame, (3, 2, N) each.

        The stance foot is placed against an upright base at its height over the stance ground, so that the servo rights
        it; the swing foot between that one and the base as it is (`true_base`): the one keeps the swing leg from
        answering the base's nodding, the other makes it land where it should.
        """
        x, y, z = frame.to_world(torch.stack((swing, force), dim=1)).unbind()  # (2, N) each
        rows = frame.base_to_w.unflatten(0, (3, 3)).unsqueeze(2)  # (3, 3, 1, N)
        swing_b, force_b = (rows[0] * x + rows[1] * y + rows[2] * z).unbind(1)  # R^T v (3, N)
        height = torch.full_like(frame.side, self._foot_depth)
        stance_b = torch.stack((-base[0], -base[1] * frame.side, height))
        upright = torch.stack((swing[0], swing[1] * frame.side, swing[2]))
        swing_b = torch.lerp(upright, swing_b, self.cfg.swing.true_base)
        left, zero = frame.left, torch.zeros_like(force_b)
        feet = (torch.where(left, stance_b, swing_b), torch.where(left, swing_b, stance_b))
        loads = (torch.where(left, force_b, zero), torch.where(left, zero, force_b))
        return torch.stack(feet, dim=1), torch.stack(loads, dim=1)

    def _attitude(self, frame: StepFrame, plan: StepPlan, yaw_force: Tensor, ang_vel_b: Tensor) -> Tensor:
        """Stance abad and hip torques that right the base in roll and pitch (6, N) [N m].

        The yaw force F_x acts c_z - p_z below the CoM, so the base nods with it, the other way on the other foot:
        theta_ddot = a = -(c_z - p_z) F_x / I_y. The feedback is told of the periodic motion
        theta = a T^2 (phi^2 - phi) / 2, or it would take the yaw force back within the step.
        """
        cfg, t = self.cfg.body, frame.duration
        phase = 1.0 - plan.time_left / t
        nod = yaw_force * (frame.com[2] + self._radius) * t / -cfg.pitch_inertia  # a T (N,)
        up_x, up_y, _ = frame.up_b.unbind()
        pitch = -up_x - (0.5 * nod) * t * (phase * phase - phase)
        rate = ang_vel_b[1] - nod * (phase - 0.5)
        stance = torch.stack((frame.left, ~frame.left))  # (2, N)
        roll_torque = (cfg.attitude_kp * up_y + cfg.attitude_kd * ang_vel_b[0]) * self._roll_sign
        pitch_torque = (cfg.attitude_kp * pitch + cfg.attitude_kd * rate) * self._pitch_sign
        torque = torch.stack((roll_torque, pitch_torque, torch.zeros_like(pitch_torque)), dim=1)  # (2, 3, N)
        return (torque * stance.unsqueeze(1)).flatten(0, 1)
