"""Footholds, touchdowns and what the teacher remembers of a step."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from legged_gym.teacher import lipm
from legged_gym.teacher.action import TeacherAction
from legged_gym.teacher.config import BodyCfg, TeacherCfg
from legged_gym.teacher.frame import observe, turn
from legged_gym.teacher.kinematics import LegGeometry
from legged_gym.teacher.state import TEACHER_TERMS, TeacherLayout

from .conftest import yaw_quat
from .making import MakeObs, S, later, make_teacher, run, start


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
    shift = (moved_by.foothold_w - plain.foothold_w).t()
    inside = (plain.clamped == 0.0) & (moved_by.clamped == 0.0)
    assert inside.sum() > 8
    expected = torch.tensor([[0.02], [-0.01]], dtype=torch.float64).expand(2, 32)
    torch.testing.assert_close(turn(frame.axes, torch.cat((shift, shift[:1])))[:2, inside], expected[:, inside])


def test_swing_starts_where_and_when_the_foot_left_the_ground(geometry: LegGeometry, make_obs: MakeObs) -> None:
    obs = make_obs(16)
    teacher = make_teacher(geometry, 16)
    teacher.step(start(obs))
    second = later(obs)
    switched = teacher.step(second).touchdown > 0.0
    assert 0 < switched.sum() < 16
    frame = observe(TeacherLayout(TEACHER_TERMS).parse(second))
    torch.testing.assert_close(teacher.memory.liftoff[:3, switched], frame.swing_w[:, switched])
    torch.testing.assert_close(teacher.memory.step_time[switched], frame.elapsed[switched])
    going_on = torch.full_like(frame.elapsed, teacher.cfg.control.dt)  # since the reset
    torch.testing.assert_close(teacher.memory.step_time[~switched], going_on[~switched])


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
    planned: list[tuple[Tensor, Tensor]] = []
    for step in (0.0, 0.1, -0.1):
        teacher = make_teacher(geometry, 32)

        def ground(x: Tensor, y: Tensor, step: float = step) -> Tensor:
            """Higher or lower by `step` everywhere but within 2 cm of where the swing feet lift off."""
            near = torch.hypot(x - frame.swing_w[0], y - frame.swing_w[1]) < 0.02
            return torch.where(near, 0.0, step)

        teacher.ground = ground
        act = teacher.act

        def listen(*given: Any, act: TeacherAction = act) -> tuple[Tensor, Tensor, Tensor]:
            seen, _, _, height, *_ = given
            planned.append((seen.swing_ground_w[0], height - obs[:, S["swing_height"]].squeeze(-1)))
            return act(*given)

        monkeypatch.setattr(teacher, "act", listen)
        action = run(teacher, start(obs)).action
        if step == 0.0:
            torch.testing.assert_close(action, flat_action)
    far = (plain.memory.foothold_w[:2] - frame.swing_w[:2]).norm(dim=0) > 0.1
    assert far.sum() > 10
    for (landing, lift), height, least in zip(planned, (0.0, 0.1, 0.0), (0.0, 0.07, 0.0), strict=True):
        torch.testing.assert_close(landing[far], torch.full_like(landing[far], height))
        assert (lift[far] >= least - 1e-9).all() and (lift[far] <= least + 0.01).all()


def test_the_base_goes_up_and_down_during_the_step(geometry: LegGeometry, make_obs: MakeObs) -> None:
    """By a share of the difference between the last stance foot and this one, and less the later it is."""
    obs = make_obs(8)
    teacher = make_teacher(geometry, 8)
    raised: list[Tensor | None] = []
    act = teacher.act
    teacher.act = lambda *given: (raised.append(given[-1]), act(*given))[1]  # type: ignore[assignment]
    level = run(teacher, start(obs)).action
    assert raised == [None], "without a map"
    frame = observe(TeacherLayout(TEACHER_TERMS).parse(obs))
    actions = []
    for lag in (0.0, 0.25):
        teacher = make_teacher(geometry, 8, TeacherCfg(body=BodyCfg(height_lag=lag)))
        teacher.ground = lambda x, y: torch.zeros_like(x)
        act = teacher.act
        teacher.act = lambda *given, act=act: (raised.append(given[-1]), act(*given))[1]  # type: ignore[assignment]
        actions.append(run(teacher, start(obs)).action)
    torch.testing.assert_close(raised[1], torch.zeros(8, dtype=obs.dtype))
    higher = frame.swing[2].clamp(-0.15, 0.15)
    assert (
        raised[2] is not None and (raised[2] * higher >= 0.0).all() and (raised[2].abs() <= 0.25 * higher.abs()).all()
    )
    assert (raised[2].abs() > 1e-4).any() and (actions[0] - actions[1]).abs().max() > 1e-3 and level.isfinite().all()
