"""From foothold to joint action: base target, inverse kinematics, feed-forward torques."""

from __future__ import annotations

import torch
from torch import Tensor

from legged_gym.teacher.config import TeacherCfg
from legged_gym.teacher.frame import StepFrame
from legged_gym.teacher.kinematics import InverseKinematics, LegGeometry, LegStatics
from legged_gym.teacher.predictor import StepPlan
from legged_gym.teacher.swing import LegInertia, Motion, SwingFoot

STEP = 0.01
"""Time between the poses whose differences give joint velocities and accelerations [s]."""


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
        template = geometry.abad_pos
        self.inverse = InverseKinematics(geometry)
        self.statics = LegStatics(geometry, cfg.control.gravity)
        self.swing_foot = SwingFoot(cfg.swing, geometry.foot_radius)
        self.inertia = LegInertia(geometry)
        default = template.new_tensor(cfg.control.default_angles).unsqueeze(-1)  # (6, 1)
        self._zero_action = -default / cfg.control.action_scale
        self._lower, self._upper = geometry.joint_limits.unsqueeze(-1).unbind(1)
        depth = geometry.foot_radius - cfg.body.hip_height + float(geometry.abad_pos[:, 2].mean())
        self._foot_depth = template.new_full((1, num_envs), depth)
        self._range = cfg.control.torque_limit / cfg.control.kp
        self._forward = template.new_tensor([[1.0], [0.0]])
        self._vertical = template.new_tensor([[0.0], [0.0], [1.0]]).repeat(1, num_envs)
        self._zero = template.new_zeros((1, num_envs))
        # All torques on the joints are linear in the rows of `moments`, `_attitude` and `_swing_servo`.
        self._offsets = torch.cat((self.statics.matrix, self._righting(geometry), self._reaction(geometry)), dim=-1)
        self._offsets /= cfg.control.kp

    def _righting(self, geometry: LegGeometry) -> Tensor:
        """Torques per row of `_attitude` (6, 16): PD on base roll by the stance abad, on pitch by the stance hip.

        The rows: the world's z axis in the base frame along x and y, the rates about x and y, theta and its rate, the
        swing foot's acceleration upwards and forward, for each leg.
        """
        body, g = self.cfg.body, self.cfg.control.gravity
        nod = g / body.pitch_inertia
        roll = geometry.signs.new_tensor([0.0, body.attitude_kp, body.attitude_kd, 0.0, 0.0, 0.0, body.swing_roll, 0.0])
        pitch = geometry.signs.new_tensor(
            [
                *(-body.attitude_kp, 0.0, 0.0, body.attitude_kd),
                *(-0.5 * nod * body.attitude_kp, nod * body.attitude_kd, 0.0, body.swing_pitch),
            ]
        )
        torque = torch.stack((roll, pitch, torch.zeros_like(roll)))  # (3, 8)
        return torch.einsum("lj,jr,lm->ljrm", geometry.signs, torque, torch.eye(2).to(torque)).reshape(6, 16)

    def _reaction(self, geometry: LegGeometry) -> Tensor:
        """Torques per row of `_swing_servo` (6, 6): stance abad and hip oppose the torques that drive the swing leg.

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
        swing_height: Tensor,
        yaw_force: Tensor,
        wanted: Tensor,
        wanted_vel: Tensor,
        joint_pos: Tensor,
        joint_vel: Tensor,
        ang_vel_b: Tensor,
        raised: Tensor | None,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Action (6, N), and the swing foot's reference at the next evaluation: position [m], velocity, frame M (3, N).

        Args:
            frame: the state at the stance foot.
            plan: the next step.
            liftoff: where the swing foot left the ground, frame M (3, N) [m].
            swing_height: apex (N,) [m].
            yaw_force: fore-aft force for the heading (N,) [N].
            wanted: the swing foot's reference position now, frame M (3, N) [m].
            wanted_vel: its velocity then (3, N) [m/s].
            joint_pos: (6, N) [rad].
            joint_vel: (6, N) [rad/s].
            ang_vel_b: base rates (3, N) [rad/s].
            raised: height of the base over its usual one above the stance foot (N,) [m]; None: 0.
        """
        control, cfg = self.cfg.control, self.cfg.swing
        start = Motion(
            torch.lerp(wanted, frame.swing, cfg.measured),
            torch.lerp(wanted_vel, frame.swing_vel, cfg.measured),
            torch.zeros_like(wanted),
        )
        middle = 0.5 * control.dt + cfg.lead
        now, then = self.swing_foot.ahead(frame, plan, start, liftoff, swing_height, (middle, control.dt))
        com_acc = self.cfg.body.follow * (frame.com_xy - plan.pivot) / plan.height
        swing = self._around(frame, now, middle, com_acc)
        depth = self._foot_depth if raised is None else self._foot_depth - raised
        force = self._ground_force(frame, plan, yaw_force, now.acceleration)
        feet, loads = self._into_base(frame, swing, com_acc, force, depth)
        joints = self.inverse(feet.permute(1, 2, 0, 3).flatten(2)).view(6, len(swing), -1)
        before, target, after = joints.clamp(self._lower.unsqueeze(1), self._upper.unsqueeze(1)).unbind(1)
        velocity = (after - before) / (2.0 * STEP)
        acceleration = (after - 2.0 * target + before) / STEP**2
        drive = control.kd * velocity + cfg.inertia * self.inertia.torques(joint_pos, acceleration)
        deflection = target - joint_pos + drive * frame.swing_joints / control.kp
        moments = (
            *self.statics.moments(joint_pos, loads),
            self._attitude(frame, plan, ang_vel_b, now.acceleration),
            self._swing_servo(frame, deflection, joint_vel),
        )
        deflection = torch.addmm(deflection, self._offsets, torch.cat(moments)).clamp(-self._range, self._range)
        action = self._zero_action + (joint_pos + deflection) / control.action_scale
        return action, then.position, then.velocity

    def _around(self, frame: StepFrame, swing: Motion, ahead: float, com_acc: Tensor) -> Tensor:
        """The swing foot relative to the base, at an instant ahead and a `STEP` before and after it (3, 3, N) [m].

        Joint velocities and accelerations are the differences between the three poses: exact to second order.

        Args:
            frame: the state at the stance foot.
            swing: the swing foot's motion then.
            ahead: how far ahead that is [s].
            com_acc: reference acceleration of the base, frame M (2, N) [m/s^2].
        """
        acc = torch.cat((com_acc, self._zero))
        position = swing.position - frame.base - ahead * torch.add(frame.com_vel, acc, alpha=0.5 * ahead)
        velocity = swing.velocity - torch.add(frame.com_vel, acc, alpha=ahead)
        curve = position + 0.5 * STEP**2 * swing.acceleration
        return torch.stack((curve - STEP * velocity, position, curve + STEP * velocity))

    def _ground_force(self, frame: StepFrame, plan: StepPlan, yaw_force: Tensor, swing_acc: Tensor) -> Tensor:
        """LIP ground force from the foot through the CoM plus the yaw force, frame M, horizontally (2, N) [N].

        A leg that is thrown forward turns the base to its side, and so does a force forward on the other foot. So that
        one is held back while the swing foot gets faster, and helped while it gets slower (`swing_yaw`).

        Args:
            frame: the state at the stance foot.
            plan: the step.
            yaw_force: fore-aft force for the heading (N,) [N].
            swing_acc: the swing foot's acceleration, frame M (3, N) [m/s^2].
        """
        body = self.cfg.body
        against = (-body.swing_yaw * swing_acc[0]).clamp(-body.yaw_force_limit, body.yaw_force_limit)
        return frame.mass * frame.com_xy / plan.height + self._forward * (yaw_force + against)

    def _into_base(
        self, frame: StepFrame, swing: Tensor, com_acc: Tensor, force: Tensor, depth: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Left-right foot positions (K, 3, 2, N), and the `loads` of `LegStatics.moments`, base frame.

        The stance foot is placed against an upright base at its height over the stance ground, so that the servo rights
        it; the swing foot between that one and the base as it is (`true_base`): the one keeps the swing leg from
        answering the base's nodding, the other makes it land where it should.

        Args:
            frame: the state at the stance foot.
            swing: swing foot from the base, at K instants, frame M (K, 3, N) [m].
            com_acc: reference acceleration of the base, frame M (2, N) [m/s^2].
            force: horizontal ground force, frame M (2, N) [N].
            depth: z of the stance foot's centre from an upright base (1, N) [m].
        """
        x, y = force.split_with_sizes((1, 1))
        weight = (frame.mass * self.cfg.control.gravity).unsqueeze(0)
        # z, F and z x F = (-F_y, F_x, 0)
        vectors = torch.cat((swing.flatten(0, 1), self._vertical, force, weight, -y, x, self._zero))
        turned = (vectors.view(len(swing) + 3, 1, 3, -1) * frame.base_axes).sum(dim=2)  # R^T v (xyz, N)
        swing_b, loads = turned.split_with_sizes((len(swing), 3))
        swing_b = torch.lerp(swing * frame.reflection, swing_b, self.cfg.swing.true_base)
        lead = self.cfg.body.lead
        ahead = lead * torch.add(frame.com_vel_xy, com_acc, alpha=0.5 * lead)
        under = (frame.base[:2] + ahead) * frame.backwards
        stance_b = torch.cat((under, depth))
        feet = torch.lerp(swing_b.unsqueeze(2), stance_b.unsqueeze(1), frame.stance)
        return feet, loads.view(3, 3, 1, 1, -1) * frame.load_shares.view(3, 1, 1, 2, -1)

    def _swing_servo(self, frame: StepFrame, deflection: Tensor, joint_vel: Tensor) -> Tensor:
        """Torques that drive the swing leg, by K_p: q_ref - q - K_d/K_p q_dot in mid-interval (6, N) [rad]."""
        control = self.cfg.control
        return (deflection - (0.5 * control.dt + control.kd / control.kp) * joint_vel) * frame.swing_joints

    def _attitude(self, frame: StepFrame, plan: StepPlan, ang_vel_b: Tensor, swing_acc: Tensor) -> Tensor:
        """Inputs of the base's roll and pitch control by the stance leg: tilt, rates, nod, and the swing foot (16, N).

        The yaw force F_x acts c_z - p_z below the CoM, so the base nods with it, the other way on the other foot:
        theta_ddot = a = -(c_z - p_z) F_x / I_y. The feedback knows the periodic motion
        theta = a T^2 (phi^2 - phi) / 2, or it would take the yaw force back within the step.
        """
        nod = plan.yaw_lever * frame.duration  # -I_y / g a T (N,)
        arc = plan.phase * plan.time_left  # T (phi - phi^2)
        periodic = torch.stack((arc, plan.phase - 0.5)) * nod  # theta and its rate, but for constant factors
        lifted = frame.side * swing_acc[2]  # it weighs on the side that swings
        rows = torch.cat((frame.up_b[:2], ang_vel_b[:2], periodic, lifted.unsqueeze(0), swing_acc[:1]))
        return (rows.unsqueeze(1) * frame.stance).view(16, -1)
