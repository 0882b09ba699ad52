"""Symmetries and sanity of the whole teacher: observation in, action out."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import Tensor

from legged_gym.teacher.config import TeacherCfg
from legged_gym.teacher.dcm_teacher import DcmTeacher, TeacherOutput
from legged_gym.teacher.kinematics import LegGeometry
from legged_gym.teacher.state import TEACHER_TERMS, TeacherLayout

from .conftest import quat_multiply, quat_rotate, yaw_quat
from .making import MakeObs, S, later, make_teacher, run, start


def mirrored(obs: Tensor) -> Tensor:
    """The same robots seen in a mirror in the xz plane."""
    flip = obs.clone()
    for name in ("base_pos_w", "base_lin_vel_w", "com_pos_w", "com_lin_vel_w"):
        flip[:, S[name]][:, 1] *= -1
    flip[:, S["base_quat_xyzw"]] *= torch.tensor([-1.0, 1.0, -1.0, 1.0])
    flip[:, S["base_ang_vel_b"]] *= torch.tensor([-1.0, 1.0, -1.0])
    flip[:, S["command"]] *= torch.tensor([1.0, -1.0, -1.0])
    for name in ("joint_pos", "joint_vel"):  # hip and knee axes are opposite, abad angles are
        flip[:, S[name]] = -obs[:, S[name]].roll(3, dims=-1)
    for name in ("feet_pos_w", "feet_lin_vel_w", "feet_force_w"):
        flip[:, S[name]] = obs[:, S[name]].roll(3, dims=-1) * torch.tensor([1.0, -1.0, 1.0]).repeat(2)
    flip[:, S["feet_ground_height"]] = obs[:, S["feet_ground_height"]].flip(-1)
    flip[:, S["clock"]] = (obs[:, S["clock"]] + 0.5) % 1.0
    return flip


def moved(obs: Tensor, yaw: float, shift: tuple[float, float, float]) -> Tensor:
    """The same robots elsewhere in the world and turned."""
    turn = yaw_quat(torch.full((len(obs),), yaw, dtype=obs.dtype))
    offset = torch.tensor(shift, dtype=obs.dtype)
    out = obs.clone()
    for name in ("base_lin_vel_w", "com_lin_vel_w"):
        out[:, S[name]] = quat_rotate(turn, obs[:, S[name]])
    for name in ("base_pos_w", "com_pos_w"):
        out[:, S[name]] = quat_rotate(turn, obs[:, S[name]]) + offset
    for name in ("feet_pos_w", "feet_lin_vel_w", "feet_force_w"):
        feet = quat_rotate(turn.unsqueeze(1), obs[:, S[name]].unflatten(1, (2, 3)))
        out[:, S[name]] = (feet + offset if name == "feet_pos_w" else feet).flatten(1)
    out[:, S["base_quat_xyzw"]] = quat_multiply(turn, obs[:, S["base_quat_xyzw"]])
    for name in ("feet_ground_height", "ground_ahead"):
        out[:, S[name]] = obs[:, S[name]] + shift[2]
    return out


@pytest.mark.parametrize("law", ["dcm", "raibert"])
@pytest.mark.parametrize("timing", [False, True])
def test_mirror_symmetry(geometry: LegGeometry, make_obs: MakeObs, law: str, timing: bool) -> None:
    obs = make_obs(32)
    pair = []
    for view in (lambda o: o, mirrored):
        cfg = TeacherCfg()
        cfg.stepping.law, cfg.timing.enabled = law, timing
        teacher = make_teacher(geometry, 32, cfg, learned=True)
        pair.append(run(teacher, view(start(obs)), view(obs), view(later(obs))))
    there, back = pair
    torch.testing.assert_close(back.action, -there.action.roll(3, dims=-1), atol=1e-9, rtol=0)
    assert there.touchdown.sum() > 0
    for name in ("weight", "clock_shift", "inputs", "offset", "touchdown", "touchdown_error", "clamped"):
        torch.testing.assert_close(getattr(back, name), getattr(there, name), atol=1e-9, rtol=0, msg=name)
    flip = torch.tensor([1.0, -1.0], dtype=torch.float64)
    torch.testing.assert_close(back.foothold_w, there.foothold_w * flip, atol=1e-9, rtol=0)
    torch.testing.assert_close(back.foothold_error, there.foothold_error * flip, atol=1e-9, rtol=0)


def test_invariant_to_place_and_heading(geometry: LegGeometry, make_obs: MakeObs) -> None:
    obs = make_obs(32)
    here = run(make_teacher(geometry, 32, learned=True), start(obs), obs, later(obs))
    yaw, shift = 2.1, (13.0, -7.0, 0.4)
    sequence = [moved(o, yaw, shift) for o in (start(obs), obs, later(obs))]
    there = run(make_teacher(geometry, 32, learned=True), *sequence)
    for field in dataclasses.fields(TeacherOutput):
        if field.name != "foothold_w":
            a, b = getattr(here, field.name), getattr(there, field.name)
            torch.testing.assert_close(a, b, atol=1e-8, rtol=0, msg=field.name)


def test_single_precision_agrees_with_double(geometry: LegGeometry, make_obs: MakeObs, robots: dict) -> None:
    obs = make_obs(64)
    double = run(make_teacher(geometry, 64), start(obs), obs)
    single = run(make_teacher(LegGeometry.from_model(robots["PF_TRON1A"]), 64), start(obs).float(), obs.float())
    torch.testing.assert_close(single.action.double(), double.action, atol=2e-3, rtol=0)


def test_degenerate_states_give_numbers(geometry: LegGeometry, make_obs: MakeObs) -> None:
    obs = make_obs(8)
    obs[0, S["com_pos_w"]] = obs[0, S["feet_pos_w"]][:3]  # CoM in the foot
    obs[1, S["com_pos_w"]][2] = -1.0  # under the ground
    obs[2, S["base_quat_xyzw"]] = torch.tensor([0.0, -(0.5**0.5), 0.0, 0.5**0.5])  # nose to the sky
    obs[3, S["base_quat_xyzw"]] = torch.tensor([1.0, 0.0, 0.0, 0.0])  # on its head
    obs[4, S["feet_force_w"]] = 0.0
    obs[5, S["com_lin_vel_w"]] = 50.0
    obs[6, S["feet_pos_w"]] = obs[6, S["base_pos_w"]].repeat(2)  # feet in the base
    obs[7, S["gait_frequency"]] = 0.0
    obs.requires_grad_()
    for timing in (False, True):
        cfg = TeacherCfg()
        cfg.timing.enabled = timing
        teacher = make_teacher(geometry, 8, cfg, learned=True)
        output, memory = teacher.evaluate(obs, teacher.memory)
        for part in (output, memory):
            for field in dataclasses.fields(part):
                assert torch.isfinite(getattr(part, field.name)).all(), field.name
        (grad,) = torch.autograd.grad(output.action.sum() + output.foothold_w.sum(), obs)
        assert torch.isfinite(grad).all()


def test_differentiable_from_state_to_action(geometry: LegGeometry, make_obs: MakeObs) -> None:
    teacher = make_teacher(geometry, 2, learned=True)
    teacher.step(start(make_obs(2)))
    columns = torch.cat([torch.arange(S[n].start, S[n].stop) for n in ("com_pos_w", "com_lin_vel_w", "base_pos_w")])
    obs = make_obs(2)

    def action(values: Tensor) -> Tensor:
        return teacher.evaluate(obs.index_copy(1, columns, values), teacher.memory)[0].action

    assert torch.autograd.gradcheck(action, (obs[:, columns].requires_grad_(),), atol=1e-4)


def test_evaluate_is_pure_and_step_keeps_the_memory(geometry: LegGeometry, make_obs: MakeObs) -> None:
    obs = make_obs(8)
    teacher = make_teacher(geometry, 8)
    before = teacher.memory.clone()
    first, _ = teacher.evaluate(obs, teacher.memory)
    again, new = teacher.evaluate(obs, teacher.memory)
    torch.testing.assert_close(first.action, again.action)
    for field in dataclasses.fields(before):
        torch.testing.assert_close(getattr(teacher.memory, field.name), getattr(before, field.name))
    pointer = teacher.memory.liftoff.data_ptr()
    teacher.step(obs)
    assert teacher.memory.liftoff.data_ptr() == pointer
    torch.testing.assert_close(teacher.memory.liftoff, new.liftoff)


def test_the_stance_leg_bears_the_true_mass(geometry: LegGeometry, make_obs: MakeObs) -> None:
    """A payload at the CoM adds a ground force to the feed-forward, in proportion, and nothing to the swing leg."""
    obs = make_obs(32)
    obs[:, S["base_ang_vel_b"]] = 0.0
    obs[:, S["clock"]] = torch.linspace(0.1, 0.4, 32, dtype=torch.float64).unsqueeze(-1)
    actions = []
    for mass in (geometry.total_mass, geometry.total_mass + 5.0, geometry.total_mass + 10.0):
        obs[:, S["mass"]] = mass
        cfg = TeacherCfg()
        cfg.control.torque_limit, cfg.stepping.yaw_in_preview = 1e3, False
        actions.append(make_teacher(geometry, 32, cfg).step(start(obs)).action)
    one, two = actions[1] - actions[0], actions[2] - actions[0]
    torch.testing.assert_close(two, 2.0 * one)
    assert (one[:, :3].abs().amax(-1) > 0.1).all() and (one[:, 3:] == 0.0).all()


def test_torque_stays_feasible(geometry: LegGeometry, make_obs: MakeObs) -> None:
    obs = make_obs(50)
    obs[:, S["base_ang_vel_b"]] = 100.0
    teacher = make_teacher(geometry, 50)
    control = teacher.cfg.control
    target = teacher.step(obs).action * control.action_scale
    torque = control.kp * (target - obs[:, S["joint_pos"]])
    assert torque.abs().max() <= control.torque_limit + 1e-6
    assert torque.abs().max() > 0.99 * control.torque_limit


def test_layout_follows_names_not_columns(geometry: LegGeometry, make_obs: MakeObs) -> None:
    obs = make_obs(5)
    order = list(reversed(TEACHER_TERMS))
    shuffled = torch.cat([obs[:, S[name]] for name, _ in order] + [torch.zeros(5, 2, dtype=obs.dtype)], dim=-1)
    teacher = DcmTeacher(TeacherCfg(), geometry, 5, [*order, ("unknown", 2)])
    torch.testing.assert_close(teacher.step(shuffled).action, make_teacher(geometry, 5).step(obs).action)
    with pytest.raises(ValueError, match=r"lacks \['clock'\]"):
        TeacherLayout([t for t in TEACHER_TERMS if t[0] != "clock"])
    with pytest.raises(ValueError, match="wrong widths"):
        TeacherLayout([(n, 7 if n == "joint_pos" else w) for n, w in TEACHER_TERMS])
    with pytest.raises(ValueError, match="columns"):
        teacher.step(obs)


def test_every_knob_is_live(geometry: LegGeometry, make_obs: MakeObs) -> None:
    """Changing any parameter of the control law changes an output."""
    obs = make_obs(64)
    obs[32:, S["com_lin_vel_w"]] *= 4.0
    obs[:16, S["feet_force_w"]] = 4.5  # contact or not, by the threshold
    asked = later(obs)
    asked[:, S["command"]] += 0.1
    knobs = {
        "control": ("kp", "kd", "torque_limit", "action_scale", "default_angles", "gravity", "dt"),
        "stepping": (
            "stance_width",
            "dv",
            "command_phase",
            "reach_forward",
            "reach_backward",
            "reach_lateral",
            "keep_out",
            "yaw_in_preview",
            "pivot_shift",
            "landing_kick",
            "drift_gain",
            "drift_limit",
            "drift_memory",
            "drift_gate",
        ),
        "swing": (
            *("lead", "measured", "horizon", "last", "inertia", "height", "true_base", "lift", "landing", "depth"),
            *("hurry", "hurried_landing"),
        ),
        "body": (
            "hip_height",
            "attitude_kp",
            "attitude_kd",
            "lead",
            *("swing_reaction", "swing_roll", "swing_pitch", "swing_yaw"),
            "heading_gain",
            "heading_limit",
            "yaw_gain",
            "pitch_inertia",
            "follow",
            "yaw_filter",
            "yaw_force_limit",
        ),
        "timing": (
            *("min_step", "max_step", "min_left", "candidates", "swing_accel", "swing_speed", "tolerance"),
            *("w_outward", "w_viable", "w_time"),
        ),
        "offset": ("constant",),
        "validity": ("push_memory", "contact_force"),
    }
    for section, names in knobs.items():
        for name in names:
            results = []
            for change in (False, True):
                cfg = TeacherCfg()
                cfg.body.yaw_force_limit, cfg.control.torque_limit = 3.0, 20.0
                cfg.stepping.drift_limit = cfg.body.heading_limit = 0.003
                cfg.validity.push = (0.0, 5.0)
                cfg.validity.mismatch = (0.0, 0.1)
                if change:
                    group, value = getattr(cfg, section), getattr(getattr(cfg, section), name)
                    # Of a few step times the best one is taken: it takes much to make it another.
                    setattr(group, name, 0.1 * value if section == "timing" and value != 16 else altered(value))
                output = run(make_teacher(geometry, 64, cfg), start(obs), obs, later(obs), asked)
                results.append(torch.cat((output.action, output.weight.unsqueeze(-1)), dim=-1))
            assert (results[0] - results[1]).abs().max() > 1e-9, f"{section}.{name}"


def altered(value: object) -> object:
    """A different value of the same kind."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, tuple):
        return tuple(0.8 * v + 0.01 for v in value)
    assert isinstance(value, int | float)
    if isinstance(value, int):
        return value + 5
    return 0.8 * value + (0.001 if value == 0.0 else 0.0)
