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
        num_envs: number of robots N.
    """

    def __init__(self, cfg: TeacherCfg, geometry: LegGeometry, num_envs: int) -> None:
        self.cfg = cfg
        like = geometry.abad_pos
        self.inverse = InverseKinematics(geometry)
        self.statics = LegStatics(geometry, cfg.control.gravity)
        self._mass = geometry.total_mass
        default = like.new_tensor(cfg.control.default_angles).unsqueeze(-1)  # (6, 1)
        self._zero_action = -default / cfg.control.action_scale
        self._lower, self._upper = geometry.joint_limits.unsqueeze(-1).unbind(1)
        depth = geometry.foot_radius - cfg.body.hip_height + float(geometry.abad_pos[:, 2].mean())
        self._foot_depth = like.new_full((1, num_envs), depth)
        self._range = cfg.control.torque_limit / cfg.control.kp
        self._forward = like.new_tensor([[1.0], [0.0]])
        self._weight = like.new_full((1, num_envs), geometry.total_mass * cfg.control.gravity)
        self._vertical = like.new_tensor([[0.0], [0.0], [1.0]]).repeat(1, num_envs)
        self._zero = like.new_zeros((1, num_envs))
        # All that acts on the joints is linear in the rows of `moments`, `_attitude` and `_swing_servo`.
        self._offsets = torch.cat((self.statics.matrix, self._righting(geometry), self._reaction(geometry)), dim=-1)
        self._offsets /= cfg.control.kp
        swing, kp = cfg.swing, cfg.control.kp
        self._one, self._half, self._pi = (like.new_tensor(value) for value in (1.0, 0.5, math.pi))
        # h_dot = 6 s (1 - s) ds/dt, h_ddot = 6 (1 - 2 s) (ds/dt)^2, ds/dt = 2 f ds/dphi
        self._ahead = like.new_tensor([[0.0], [0.0], [2.0 * swing.lead_height]])  # (3, 1)
        self._planar = like.new_tensor([[1.0], [1.0], [0.0]])
        self._damping, self._inertia = like.new_tensor(12.0 * swing.lead), 24.0 * swing.inertia / kp
        self._landing_z = like.new_tensor(geometry.foot_radius - swing.depth)
        self._landing = like.new_tensor(swing.landing)
        self._inward, self._up = like.new_tensor([[0.0], [swing.inward], [0.0]]), like.new_tensor([[0.0], [0.0], [1.0]])

    def _righting(self, geometry: LegGeometry) -> Tensor:
        """Torques per row of `_attitude` (6, 12): PD on base roll by the stance abad, on pitch by the stance hip.

        The rows: the world's z axis in the base frame along x and y, the rates about x and y, theta and its rate, for
        each leg.
        """
        body, g = self.cfg.body, self.cfg.control.gravity
        nod = g / body.pitch_inertia
        roll = geometry.signs.new_tensor([0.0, body.attitude_kp, body.attitude_kd, 0.0, 0.0, 0.0])
        pitch = geometry.signs.new_tensor(
            [-body.attitude_kp, 0.0, 0.0, body.attitude_kd, -0.5 * nod * body.attitude_kp, nod * body.attitude_kd]
        )
        torque = torch.stack((roll, pitch, torch.zeros_like(roll)))  # (3, 6)
        return torch.einsum("lj,jr,lm->ljrm", geometry.signs, torque, torch.eye(2).to(torque)).reshape(6, 12)

    def _reaction(self, geometry: LegGeometry) -> Tensor:
        """Torques per row of `_swing_servo` (6, 6): stance abad and hip against those that drive the swing leg.

        Otherwise the base would turn the other way.
        """
        share = self.cfg.body.swing_reaction * self.cfg.control.kp
        shares = geometry.signs.new_tensor([-share, -share, 0.0])
        other = geometry.signs * geometry.signs.flip(0) * shares  # about one leg's axis, about the other leg's (2, 3)
        swap, same = torch.eye(2).flip(0).to(other), torch.eye(3).to(other)
        return torch.einsum("lj,lm,jk->ljmk", other, swap, same).reshape(6, 6)

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
        swing = self.swing_target(frame, plan, liftoff, liftoff_phase, swing_height)
        swing = swing - torch.add(frame.base, frame.com_vel, alpha=self.cfg.swing.lead)
        feet, loads = self._into_base(frame, swing, self._ground_force(frame, plan, yaw_force))
        way = self.inverse(feet).clamp(self._lower, self._upper) - joint_pos
        moments = (
            *self.statics.moments(joint_pos, loads),
            self._attitude(frame, plan, ang_vel_b),
            self._swing_servo(frame, way, joint_vel),
        )
        way = torch.addmm(way, self._offsets, torch.cat(moments)).clamp(-self._range, self._range)
        return torch.add(self._zero_action, joint_pos + way, alpha=1.0 / self.cfg.control.action_scale)

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
        span = (self._landing - liftoff_phase).clamp(min=0.05)
        rate = frame.frequency / span  # half of ds/dt [1/s]
        s = torch.addcmul((plan.phase - liftoff_phase) / span, self._ahead, rate).clamp(0.0, 1.0)  # (3, N)
        bump = torch.addcmul(s, s, s, value=-1.0)  # s (1 - s)
        slow_down = torch.sub(self._one, s, alpha=2.0)  # 1 - 2 s
        blend = torch.addcmul(s, slow_down, bump, value=-1.0)  # 3 s^2 - 2 s^3
        moving = slow_down * bump.sign()  # nothing before and after
        lead = torch.addcmul(bump * self._damping, moving, rate, value=self._inertia)
        blend = torch.addcmul(blend, lead, rate * self._planar)
        landing = frame.swing_ground_w - frame.stance_w[2] + self._landing_z
        way = torch.cat((plan.foothold, landing)) - liftoff
        x, y, _ = way.unbind()
        apex = torch.add(swing_height, torch.hypot(x, y), alpha=cfg.lift)
        swing = torch.addcmul(liftoff, way, blend)
        bow = torch.addcmul(self._inward, self._up, apex)
        return torch.addcmul(swing, bow, (s[2] * self._pi).sin())

    def _ground_force(self, frame: StepFrame, plan: StepPlan, yaw_force: Tensor) -> Tensor:
        """LIP ground force from the foot through the CoM plus the yaw force, frame M, horizontally (2, N) [N]."""
        return torch.addcdiv(self._forward * yaw_force, frame.com_xy, plan.height, value=self._mass)

    def _into_base(self, frame: StepFrame, swing: Tensor, force: Tensor) -> tuple[Tensor, Tensor]:
        """Left-right foot positions (3, 2, N), and the `loads` of `LegStatics.moments`, base frame.

        The stance foot is placed against an upright base at its height over the stance ground, so that the servo rights
        it; the swing foot between that one and the base as it is (`true_base`): the one keeps the swing leg from
        answering the base's nodding, the other makes it land where it should.
        """
        x, y = force.split_with_sizes((1, 1))
        # swing foot, z, F and z x F = (-F_y, F_x, 0)
        vectors = torch.cat((swing, self._vertical, force, self._weight, -y, x, self._zero))
        turned = (vectors.view(4, 1, 3, -1) * frame.base_axes).sum(dim=2)  # R^T v (xyz, N)
        swing_b, loads = turned.split_with_sizes((1, 3))
        swing_b = torch.lerp(swing * frame.reflection, swing_b[0], self.cfg.swing.true_base)
        under = torch.add(frame.base[:2], frame.com_vel_xy, alpha=self.cfg.body.lead) * frame.backwards
        stance_b = torch.cat((under, self._foot_depth))
        feet = torch.lerp(swing_b.unsqueeze(1), stance_b.unsqueeze(1), frame.stance)
        return feet, loads.view(3, 3, 1, 1, -1) * frame.bears.view(3, 1, 1, 2, -1)

    def _swing_servo(self, frame: StepFrame, way: Tensor, joint_vel: Tensor) -> Tensor:
        """Torques that drive the swing leg, by K_p: q_ref - q - K_d/K_p q_dot in mid-interval (6, N) [rad]."""
        control = self.cfg.control
        return torch.sub(way, joint_vel, alpha=0.5 * control.dt + control.kd / control.kp) * frame.swing_joints

    def _attitude(self, frame: StepFrame, plan: StepPlan, ang_vel_b: Tensor) -> Tensor:
        """What rights the base in roll and pitch, on the stance leg: tilt, rates and nod (12, N).

        The yaw force F_x acts c_z - p_z below the CoM, so the base nods with it, the other way on the other foot:
        theta_ddot = a = -(c_z - p_z) F_x / I_y. The feedback is told of the periodic motion
        theta = a T^2 (phi^2 - phi) / 2, or it would take the yaw force back within the step.
        """
        nod = plan.yaw_lever * frame.duration  # -I_y / g a T (N,)
        arc = plan.phase * plan.time_left  # T (phi - phi^2)
        told = torch.stack((arc, plan.phase - self._half)) * nod  # theta and its rate, but for constant factors
        return (torch.cat((frame.up_b[:2], ang_vel_b[:2], told)).unsqueeze(1) * frame.stance).view(12, -1)
