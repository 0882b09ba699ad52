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
        self.statics = LegStatics(geometry, cfg.control.gravity)
        self._radius, self._mass = geometry.foot_radius, geometry.total_mass
        default = geometry.abad_pos.new_tensor(cfg.control.default_angles).unsqueeze(-1)  # (6, 1)
        self._zero_action = -default / cfg.control.action_scale
        self._lower, self._upper = geometry.joint_limits.unsqueeze(-1).unbind(1)
        self._signs = geometry.signs.unsqueeze(-1)  # (2, 3, 1)
        self._backwards = geometry.abad_pos.new_full((2, 1), -1.0)
        other = geometry.signs * geometry.signs.flip(0)  # a torque about one leg's axis, about the other leg's
        share = other.new_tensor([cfg.body.swing_reaction, cfg.body.swing_reaction, 0.0])
        self._reaction = (-other * share).unsqueeze(-1)  # (2, 3, 1)
        depth = geometry.foot_radius - cfg.body.hip_height + float(geometry.abad_pos[:, 2].mean())
        self._foot_depth = default.new_full((1,), depth)
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
        joint_vel: Tensor,
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
            joint_vel: (6, N) [rad/s].
            ang_vel_b: base rates (3, N) [rad/s].
        """
        control = self.cfg.control
        swing = self.swing_target(frame, plan, liftoff, liftoff_phase, swing_height)
        swing = swing - (frame.base + self.cfg.swing.lead * frame.com_vel)
        base = frame.base + self.cfg.body.lead * frame.com_vel
        feet, force_b = self._into_base(frame, base, swing, self._ground_force(frame, plan, yaw_force))
        reference = self.inverse(feet).clamp(self._lower, self._upper)
        torque = self.statics.torques(joint_pos, force_b, frame.up_b)
        righting = self._attitude(frame, plan, yaw_force, ang_vel_b)
        righting = righting + self._swing_reaction(reference, joint_pos, joint_vel)
        torque = torch.addcmul(torque.unflatten(0, (2, 3)), righting, frame.stance.unsqueeze(1)).flatten(0, 1)
        target = torch.add(reference, torque, alpha=1.0 / control.kp)
        target = target.clamp(joint_pos - self._range, joint_pos + self._range)
        return torch.add(self._zero_action, target, alpha=1.0 / control.action_scale)

    def swing_target(
        self, frame: StepFrame, plan: StepPlan, liftoff: Tensor, liftoff_phase: Tensor, swing_height: Tensor
    ) -> Tensor:
        """Reference of the swing foot centre, frame M (3, N) [m].

        In the plane the blend h = 3 s^2 - 2 s^3 from lift-off to p*, to which what the servo takes away is added: K_d
        h_dot / K_p of damping (the lead) and I h_ddot / K_p of leg inertia; the flatter the speed, the less the base
        turns against the leg. In height a half-sine over a like blend, a lead ahead of the clock; the landing lies
        `depth` under the terrain.
        """
        cfg = self.cfg.swing
        per_phase = (cfg.landing - liftoff_phase).clamp(min=0.05).reciprocal()  # ds/dphi (N,)
        s = (plan.phase - liftoff_phase) * per_phase
        rate = per_phase / frame.duration  # ds/dt [1/s]
        s, ahead = torch.stack((s, torch.add(s, rate, alpha=cfg.lead_height))).clamp(0.0, 1.0).unbind()
        bump = torch.addcmul(s, s, s, value=-1.0)  # s (1 - s)
        slow_down = torch.where(bump > 0.0, 1.0 - 2.0 * s, 0.0)  # h_ddot / 6, nothing before and after
        blend = torch.addcmul(s, slow_down, bump, value=-1.0)  # 3 s^2 - 2 s^3
        lead = torch.add(bump * (6.0 * cfg.lead), slow_down * rate, alpha=6.0 * cfg.inertia / self.cfg.control.kp)
        planar = torch.addcmul(blend, lead, rate)
        ground = frame.ground[1:] + (self._radius - cfg.depth)
        way = torch.cat((plan.foothold, ground)) - liftoff
        apex = torch.add(swing_height, torch.linalg.vector_norm(way[:2], dim=0), alpha=cfg.lift)
        half_sine = (math.pi * ahead).sin()
        x, y, z = (way * torch.stack((planar, planar, ahead * ahead * (3.0 - 2.0 * ahead)))).unbind()
        return liftoff + torch.stack((x, torch.add(y, half_sine, alpha=cfg.inward), torch.addcmul(z, apex, half_sine)))

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
        world = frame.to_world(torch.stack((swing, force), dim=1))  # (3, 2, N)
        rows = frame.base_to_w.unflatten(0, (3, 3))
        swing_b, force_b = (rows.unsqueeze(2) * world.unsqueeze(1)).sum(dim=0).unbind(1)  # R^T v (3, N)
        stance_x, stance_y = (base[:2] * self._backwards).unbind()
        stance_b = torch.stack((stance_x, stance_y * frame.side, self._foot_depth.expand_as(stance_x)))
        upright = torch.stack((swing[0], swing[1] * frame.side, swing[2]))
        pair = torch.stack((stance_b, torch.lerp(upright, swing_b, self.cfg.swing.true_base)), dim=1)
        return torch.where(frame.left, pair, pair.flip(1)), force_b.unsqueeze(1) * frame.stance

    def _swing_reaction(self, reference: Tensor, joint_pos: Tensor, joint_vel: Tensor) -> Tensor:
        """Stance abad and hip torques against those that drive the swing leg, or the base would turn the other way.

        Of each leg against the other (2, 3, N) [N m]: the servo's K_p (q_ref - q) - K_d q_dot in mid-interval.
        """
        control = self.cfg.control
        ahead = joint_pos + (0.5 * control.dt) * joint_vel
        servo = (control.kp * (reference - ahead) - control.kd * joint_vel).unflatten(0, (2, 3))
        return (servo * self._reaction).flip(0)  # (2, 3, N)

    def _attitude(self, frame: StepFrame, plan: StepPlan, yaw_force: Tensor, ang_vel_b: Tensor) -> Tensor:
        """Abad and hip torques of each leg that right the base in roll and pitch (2, 3, N) [N m].

        The yaw force F_x acts c_z - p_z below the CoM, so the base nods with it, the other way on the other foot:
        theta_ddot = a = -(c_z - p_z) F_x / I_y. The feedback is told of the periodic motion
        theta = a T^2 (phi^2 - phi) / 2, or it would take the yaw force back within the step.
        """
        cfg, t = self.cfg.body, frame.duration
        phase = plan.phase
        nod = yaw_force * (frame.com[2] + self._radius) * t * (-1.0 / cfg.pitch_inertia)  # a T (N,)
        pitch = torch.addcmul(-frame.up_b[0], nod * t, torch.addcmul(phase, phase, phase, value=-1.0), value=0.5)
        rate = torch.addcmul(ang_vel_b[1], nod, phase - 0.5, value=-1.0)
        tilt = torch.stack((frame.up_b[1], pitch)) * cfg.attitude_kp
        roll_torque, pitch_torque = torch.add(tilt, torch.stack((ang_vel_b[0], rate)), alpha=cfg.attitude_kd).unbind()
        return torch.stack((roll_torque, pitch_torque, torch.zeros_like(pitch))) * self._signs  # (2, 3, N)
