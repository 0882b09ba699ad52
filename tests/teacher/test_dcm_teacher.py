"""Symmetries and sanity of the whole teacher: observation in, action out."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from legged_gym.teacher import lipm
from legged_gym.teacher.action import TeacherAction
from legged_gym.teacher.config import TeacherCfg
from legged_gym.teacher.dcm_teacher import DcmTeacher, TeacherOutput
from legged_gym.teacher.frame import observe, turn
from legged_gym.teacher.kinematics import LegGeometry
from legged_gym.teacher.state import TEACHER_TERMS, TeacherLayout

from .conftest import quat_multiply, quat_rotate, slices, yaw_quat

MakeObs = Callable[..., Tensor]
S = slices()


def make_teacher(geometry: LegGeometry, num: int, cfg: TeacherCfg | None = None, learned: bool = False) -> DcmTeacher:
    cfg = cfg or TeacherCfg()
    cfg.offset.enabled = learned
    torch.manual_seed(1)
    teacher = DcmTeacher(cfg, geometry, num)
    if learned:
        for parameter in teacher.network.parameters():
            torch.nn.init.normal_(parameter, std=0.2)
    return teacher


def run(teacher: DcmTeacher, *observations: Tensor) -> TeacherOutput:
    for obs in observations:
        output = teacher.step(obs)
    return output


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


def later(obs: Tensor) -> Tensor:
    """A different instant, half a step on: stance feet change for some robots."""
    out = obs.clone()
    out[:, S["clock"]] = (obs[:, S["clock"]] + 0.23) % 1.0
    out[:, S["com_pos_w"]] += 0.1 * obs[:, S["com_lin_vel_w"]]
    out[:, S["base_ang_vel_b"]] *= 0.5
    return out


def start(obs: Tensor) -> Tensor:
    """The same state right after a reset."""
    out = obs.clone()
    out[:, S["episode_time"]] = 0.0
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


def test_reset_forgets_only_the_reset_robots(geometry: LegGeometry, make_obs: MakeObs) -> None:
    obs = make_obs(8)
    teacher = make_teacher(geometry, 8)
    teacher.step(start(obs))
    teacher.step(obs)
    second = later(obs)
    second[4:, S["episode_time"]] = 0.0
    kept = teacher.memory.clone()
    output = teacher.step(second)
    assert (output.touchdown[4:] == 0).all()
    assert (output.touchdown_error[4:] == 0).all()
    assert (output.fresh == torch.tensor([0.0] * 4 + [1.0] * 4)).all()
    clean = make_teacher(geometry, 8)
    torch.testing.assert_close(clean.step(second).action[4:], output.action[4:])
    same = second[:4, S["clock"]].squeeze(-1).lt(0.5) == kept.stance_left[:4].gt(0.5)
    torch.testing.assert_close(teacher.memory.liftoff[:, :4][:, same], kept.liftoff[:, :4][:, same])


def test_touchdown_error_is_the_dcm_offset_error(geometry: LegGeometry, make_obs: MakeObs) -> None:
    """A robot that lands exactly where it was asked to, with the DCM at the nominal offset, has no error."""
    obs = make_obs(4)
    obs[:, S["base_quat_xyzw"]] = yaw_quat(torch.zeros(4, dtype=torch.float64))
    obs[:, S["clock"]] = torch.tensor([[0.4], [0.9], [0.4], [0.9]])
    teacher = make_teacher(geometry, 4)
    teacher.step(start(obs))
    landed = obs.clone()
    landed[:, S["clock"]] = torch.tensor([[0.5], [0.0], [0.5], [0.0]])  # the instant of the switch
    side = torch.tensor([1.0, -1.0, 1.0, -1.0], dtype=torch.float64)  # of the step that ended
    swing = [slice(S["feet_pos_w"].start + k, S["feet_pos_w"].start + k + 3) for k in (3, 0, 3, 0)]
    wrong = torch.tensor([[0.0, 0.0], [0.0, 0.0], [0.03, 0.01], [0.03, 0.01]], dtype=torch.float64)
    for i in range(4):
        foot = landed[i, swing[i]]
        foot[:2] = teacher.memory.foothold_w[:2, i]
        b = teacher.memory.offset_b[:, i] + wrong[i]
        com = landed[i, S["com_pos_w"]]
        omega = lipm.natural_frequency(com[2] - foot[2] + geometry.foot_radius)
        velocity = landed[i, S["com_lin_vel_w"]]
        velocity[:2] = (foot[:2] + b * torch.stack((torch.ones(()), side[i])) - com[:2]) * omega
    output = teacher.step(landed)
    assert (output.touchdown == 1.0).all()
    torch.testing.assert_close(output.foothold_error, torch.zeros(4, 2, dtype=torch.float64), atol=1e-9, rtol=0)
    torch.testing.assert_close(output.touchdown_error, wrong, atol=1e-9, rtol=0)


def test_feet_never_cross_and_stay_in_reach(geometry: LegGeometry, make_obs: MakeObs) -> None:
    obs = make_obs(200)
    obs[:, S["com_lin_vel_w"]] *= 8.0
    teacher = make_teacher(geometry, 200)
    output = teacher.step(obs)
    frame = observe(TeacherLayout(TEACHER_TERMS).parse(obs))
    step = turn(frame.axes, torch.cat((output.foothold_w.t() - frame.stance_w[:2], frame.stance_w[2:])))
    cfg = teacher.cfg.stepping
    assert (output.clamped > 0.0).any()
    assert (step[0] <= cfg.reach_forward + 1e-9).all() and (step[0] >= -cfg.reach_backward - 1e-9).all()
    assert (step[1] <= -cfg.keep_out + 1e-9).all() and (step[1] >= -cfg.reach_lateral - 1e-9).all()


def test_reference_velocity_never_jumps(geometry: LegGeometry, make_obs: MakeObs) -> None:
    obs = make_obs(50)
    slow, fast = obs.clone(), obs.clone()
    slow[:, S["command"]], fast[:, S["command"]] = 0.0, torch.tensor([3.0, 0.0, 0.0], dtype=torch.float64)
    teacher = make_teacher(geometry, 50)
    plan = {}
    for name, o in (("slow", slow), ("fast", fast)):
        plan[name] = teacher.evaluate(o, teacher.memory)[0].inputs
    velocity = {name: teacher.network.unpack(inputs)["velocity"] for name, inputs in plan.items()}
    assert ((velocity["fast"] - velocity["slow"]).abs() <= 2 * teacher.cfg.stepping.dv + 1e-9).all()


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
        "control": ("kp", "torque_limit", "action_scale", "default_angles", "gravity", "dt"),
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
        "swing": ("lead", "lead_height", "inward", "inertia", "true_base", "lift", "landing", "depth"),
        "body": (
            "hip_height",
            "attitude_kp",
            "attitude_kd",
            "lead",
            "swing_reaction",
            "heading_gain",
            "heading_limit",
            "yaw_gain",
            "pitch_inertia",
            "yaw_filter",
            "yaw_force_limit",
        ),
        "timing": ("min_step", "max_shift", "margin", "across"),
        "offset": ("constant",),
        "validity": ("push_memory", "contact_force"),
    }
    for section, names in knobs.items():
        for name in names:
            results = []
            for change in (False, True):
                cfg = TeacherCfg()
                cfg.timing.enabled, cfg.timing.max_shift = True, 0.05 if name == "max_shift" else 1.0
                cfg.body.yaw_force_limit, cfg.control.torque_limit = 3.0, 20.0
                cfg.stepping.drift_limit = cfg.body.heading_limit = 0.003
                cfg.validity.push = (0.0, 5.0)
                cfg.validity.mismatch = (0.0, 0.1)
                if change:
                    group, value = getattr(cfg, section), getattr(getattr(cfg, section), name)
                    setattr(group, name, altered(value))
                output = run(make_teacher(geometry, 64, cfg), start(obs), obs, later(obs), asked)
                results.append(torch.cat((output.action, output.weight.unsqueeze(-1)), dim=-1))
            assert (results[0] - results[1]).abs().max() > 1e-9, f"{section}.{name}"


def altered(value: object) -> object:
    """A different value of the same kind."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, tuple):
        return tuple(0.8 * v + 0.01 for v in value)
    assert isinstance(value, float)
    return 0.8 * value + (0.001 if value == 0.0 else 0.0)


def test_raibert_differs_and_law_is_checked(geometry: LegGeometry, make_obs: MakeObs) -> None:
    cfg = TeacherCfg()
    cfg.stepping.law = "raibert"
    obs = make_obs(8)
    a, b = make_teacher(geometry, 8, cfg).step(obs), make_teacher(geometry, 8).step(obs)
    assert (a.foothold_w - b.foothold_w).abs().max() > 1e-3
    gains = []
    for gain in (0.1, 0.2):
        cfg.stepping.raibert_gain = gain
        gains.append(make_teacher(geometry, 8, cfg).step(obs).foothold_w)
    assert (gains[0] - gains[1]).abs().max() > 1e-3


def test_offset_moves_the_foothold_one_to_one(geometry: LegGeometry, make_obs: MakeObs) -> None:
    obs = make_obs(32)
    obs[:, S["com_lin_vel_w"]] *= 0.3
    cfg = TeacherCfg()
    cfg.stepping.keep_out = 0.0
    plain = make_teacher(geometry, 32, cfg).step(obs)
    cfg.offset.constant = (0.02, -0.01)
    moved_by = make_teacher(geometry, 32, cfg).step(obs)
    frame = observe(TeacherLayout(TEACHER_TERMS).parse(obs))
    way = (moved_by.foothold_w - plain.foothold_w).t()
    inside = (plain.clamped == 0.0) & (moved_by.clamped == 0.0)
    assert inside.sum() > 8
    expected = torch.tensor([[0.02], [-0.01]], dtype=torch.float64).expand(2, 32)
    torch.testing.assert_close(turn(frame.axes, torch.cat((way, way[:1])))[:2, inside], expected[:, inside])


def test_swing_starts_where_and_when_the_foot_left_the_ground(geometry: LegGeometry, make_obs: MakeObs) -> None:
    obs = make_obs(16)
    teacher = make_teacher(geometry, 16)
    teacher.step(start(obs))
    second = later(obs)
    switched = teacher.step(second).touchdown > 0.0
    assert 0 < switched.sum() < 16
    frame = observe(TeacherLayout(TEACHER_TERMS).parse(second))
    torch.testing.assert_close(teacher.memory.liftoff[:3, switched], frame.swing_w[:, switched])
    torch.testing.assert_close(teacher.memory.liftoff[5, switched], frame.phase[switched])
    first = observe(TeacherLayout(TEACHER_TERMS).parse(obs))
    torch.testing.assert_close(teacher.memory.liftoff[5, ~switched], first.phase[~switched])


def test_a_step_is_steady_unless_its_linear_command_changes(geometry: LegGeometry, make_obs: MakeObs) -> None:
    obs = make_obs(16)
    obs[:, S["clock"]] = 0.1
    teacher = make_teacher(geometry, 16)
    teacher.step(start(obs))
    second, third = obs.clone(), obs.clone()
    second[:, S["clock"]], third[:, S["clock"]] = 0.2, 0.5
    for row, share in zip((0, 1, 2), second[:12].view(3, 4, -1), strict=True):
        share[:, S["command"].start + row] += 0.1  # v_x, v_y; w_z: what keeps a heading changes it all the time
    teacher.step(second)
    third[:, S["command"]] += 0.1  # of the next step
    output = teacher.step(third)
    assert (output.touchdown == 1.0).all()
    assert output.steady.tolist() == [0.0] * 8 + [1.0] * 8


def test_a_command_that_comes_late_in_a_step_waits_for_the_next(geometry: LegGeometry, make_obs: MakeObs) -> None:
    obs, limit = make_obs(12), TeacherCfg().stepping.command_phase
    obs[:, S["clock"]] = 0.1
    outputs = []
    for change in (0.0, 0.2):
        teacher = make_teacher(geometry, 12)
        teacher.step(start(obs))
        new = obs.clone()
        new[:, S["command"]] += change
        new[:6, S["clock"]], new[6:, S["clock"]] = 0.5 * limit - 0.02, 0.5 * limit + 0.02
        outputs.append(teacher.step(new).foothold_w)
        new[:, S["clock"]] = 0.51
        outputs.append(teacher.step(new).foothold_w)
    at_once, later_on = ((a - b).abs().amax(dim=-1) for a, b in zip(outputs[:2], outputs[2:], strict=True))
    assert (at_once[:6] > 1e-3).all() and (at_once[6:] == 0.0).all() and (later_on[6:] > 1e-3).sum() >= 3


def test_the_swing_foot_is_aimed_at_the_ground_under_the_foothold(
    geometry: LegGeometry, make_obs: MakeObs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At the height of a step up that it has yet to reach, lifted over it; down only once it is over the lower ground;
    and on level ground as without a map.
    """
    obs = make_obs(32)
    obs[:, S["feet_ground_height"]] = 0.0
    obs[:, S["feet_pos_w"]][:, 2::3] = geometry.foot_radius  # both on the ground: one stands, one lifts off
    frame = observe(TeacherLayout(TEACHER_TERMS).parse(obs))
    plain = make_teacher(geometry, 32)
    flat_action = run(plain, start(obs)).action
    told: list[tuple[Tensor, Tensor]] = []
    for step in (0.0, 0.1, -0.1):
        teacher = make_teacher(geometry, 32)

        def ground(x: Tensor, y: Tensor, step: float = step) -> Tensor:
            """Higher or lower by `step` everywhere but within 2 cm of where the swing feet lift off."""
            near = torch.hypot(x - frame.swing_w[0], y - frame.swing_w[1]) < 0.02
            return torch.where(near, 0.0, step)

        teacher.ground = ground
        act = teacher.act

        def listen(*given: Any, act: TeacherAction = act) -> Tensor:
            seen, _, _, _, height, *_ = given
            told.append((seen.swing_ground_w[0], height - obs[:, S["swing_height"]].squeeze(-1)))
            return act(*given)

        monkeypatch.setattr(teacher, "act", listen)
        action = run(teacher, start(obs)).action
        if step == 0.0:
            torch.testing.assert_close(action, flat_action)
    far = (plain.memory.foothold_w[:2] - frame.swing_w[:2]).norm(dim=0) > 0.1
    assert far.sum() > 10
    for (landing, lift), height, least in zip(told, (0.0, 0.1, 0.0), (0.0, 0.07, 0.0), strict=True):
        torch.testing.assert_close(landing[far], torch.full_like(landing[far], height))
        assert (lift[far] >= least - 1e-9).all() and (lift[far] <= least + 0.01).all()
