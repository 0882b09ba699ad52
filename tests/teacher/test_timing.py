"""When the foot lands: the search against a fine one by brute force, its bounds, and what it is for."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from legged_gym.teacher import lipm
from legged_gym.teacher.config import SteppingCfg, TeacherCfg, TimingCfg
from legged_gym.teacher.dcm_teacher import DcmTeacher
from legged_gym.teacher.frame import observe
from legged_gym.teacher.kinematics import LegGeometry
from legged_gym.teacher.predictor import StepPlan
from legged_gym.teacher.state import TEACHER_TERMS, TeacherLayout
from legged_gym.teacher.timing import Reach, StepTiming, viability_bounds, viability_distance, viability_excess

from .making import MakeObs, S, make_teacher, start

TEMPLATE = torch.zeros((), dtype=torch.float64)
OMEGA, DURATION = 4.5, 0.21


def column(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64).unsqueeze(-1)


def search(
    xi: tuple[float, float],
    elapsed: float = 0.0,
    timing: TimingCfg | None = None,
    swing: tuple[float, float] = (-0.1, -0.13),
) -> float:
    stepping, timing = SteppingCfg(), timing or TimingCfg()
    b = lipm.GaitFamily(stepping.stance_width, 0.0, 0.0, TEMPLATE)(column(OMEGA)[0], column(DURATION)[0]).rest
    step_timing = StepTiming(stepping, timing, Reach(stepping, timing, TEMPLATE), TEMPLATE)
    time = step_timing.time_left(
        column(*xi),
        column(0.0, 0.0),
        b,
        column(OMEGA)[0],
        column(elapsed)[0],
        column(DURATION)[0],
        column(*swing),
        column(0.0, 0.0),
    )
    return float(time)


def resting_dcm() -> tuple[float, float]:
    """DCM at the beginning of a step in place."""
    gait = lipm.GaitFamily(SteppingCfg().stance_width, 0.0, 0.0, TEMPLATE)(column(OMEGA)[0], column(DURATION)[0])
    return 0.0, -float(gait.rest[1])


def test_an_undisturbed_step_keeps_its_time() -> None:
    spacing = (TimingCfg().max_step - TimingCfg().min_step) / (TimingCfg().candidates - 1)
    for elapsed in (0.0, 0.04, 0.08):
        grown = 1.0 * math.exp(OMEGA * elapsed)
        x, y = resting_dcm()
        assert search((x, y * grown), elapsed) == pytest.approx(DURATION - elapsed, abs=0.6 * spacing)


def test_a_push_that_the_box_cannot_answer_shortens_the_step() -> None:
    """Ahead, behind and to the swing side: the sooner the foot lands the less far it has to go."""
    x, y = resting_dcm()
    for push in ((0.25, 0.0), (-0.25, 0.0), (0.0, -0.25)):
        assert search((x + push[0], y + push[1])) < DURATION - 0.02, push


def test_steps_are_neither_shorter_nor_longer_than_the_bounds() -> None:
    """Whatever the DCM does, counted from lift-off."""
    cfg = TimingCfg()
    for push in (-0.6, -0.2, 0.0, 0.2, 0.6):
        for elapsed in (0.0, 0.05, 0.11, 0.2, 0.4):
            time = search((push, -0.3 * push), elapsed)
            assert time >= max(cfg.min_step - elapsed, cfg.min_left) - 1e-9
            assert elapsed + time <= max(cfg.max_step, elapsed + cfg.min_left) + 1e-9
            assert time <= 0.98 * DURATION + 1e-9


def test_a_foothold_that_the_foot_cannot_reach_in_time_is_not_waited_for() -> None:
    """The slower the foot the later it lands, as it has to get there."""
    xi = (0.25, resting_dcm()[1])
    fast, slow = (search(xi, 0.0, TimingCfg(swing_accel=accel), swing=(-0.3, -0.13)) for accel in (400.0, 60.0))
    assert slow > fast


def test_the_foot_is_stopped_by_its_acceleration() -> None:
    reach = Reach(SteppingCfg(), TimingCfg(swing_accel=120.0, swing_speed=100.0), TEMPLATE)
    far, time = column(9.0, -9.0), column(0.1)[0]
    rest = reach.in_time(far, column(0.0, 0.0), column(0.0, 0.0), time)
    torch.testing.assert_close(rest, column(0.2, -0.2))  # 120 * 0.1^2 / 6
    moving = reach.in_time(far, column(0.0, 0.0), column(3.0, 0.0), time)
    torch.testing.assert_close(moving, column(0.3, -0.2))
    slow = Reach(SteppingCfg(), TimingCfg(swing_accel=1e4, swing_speed=1.5), TEMPLATE)
    torch.testing.assert_close(slow.in_time(far, column(0.0, 0.0), column(0.0, 0.0), time), column(0.15, -0.15))


def test_viability_bounds_are_where_the_best_steps_just_hold_the_dcm() -> None:
    """Rolling the offset map with the best admissible step: inside it stays bounded for ever, outside it runs away."""
    stepping, duration = SteppingCfg(), 0.15
    omega = torch.tensor([4.5], dtype=torch.float64)
    growth = math.exp(4.5 * duration)
    forward, inner, outer = (float(v) for v in viability_bounds(omega, stepping, duration))
    longest = min(stepping.reach_forward, stepping.reach_backward)

    def sideways(u: float) -> float:
        for _ in range(60):
            nominal = growth * u + 0.05  # any step that aims at an offset within
            u = min(max(nominal, stepping.keep_out), stepping.reach_lateral) - growth * u
        return abs(u)

    def ahead(x: float) -> float:
        for _ in range(60):
            x = growth * x - min(max(growth * x, -longest), longest)
        return abs(x)

    assert sideways(inner + 1e-6) < 1.0 and sideways(outer - 1e-6) < 1.0
    assert sideways(inner - 1e-6) > 10.0 and sideways(outer + 1e-6) > 10.0
    assert ahead(forward - 1e-6) < 1.0 and ahead(forward + 1e-6) > 10.0
    points = torch.tensor([[0.0, forward + 0.1, 0.0, 0.0], [0.05, 0.05, inner - 0.2, outer + 0.3]], dtype=torch.float64)
    excess = viability_excess(points, omega.expand(4), stepping, duration)
    torch.testing.assert_close(excess, torch.tensor([0.0, 0.1, 0.2, 0.3], dtype=torch.float64))
    distance = viability_distance(points, omega.expand(4), stepping, duration)
    torch.testing.assert_close(distance[1:], excess[1:])
    inside = max(-forward, inner - 0.05, 0.05 - outer)
    assert distance[0] == pytest.approx(inside) and inside < -0.01


def plan_of(teacher: DcmTeacher, obs: Tensor, monkeypatch: pytest.MonkeyPatch) -> StepPlan:
    plans: list[StepPlan] = []
    make = teacher.predictor.plan

    def listen(*given: object) -> StepPlan:
        plans.append(make(*given))  # type: ignore[arg-type]
        return plans[-1]

    monkeypatch.setattr(teacher.predictor, "plan", listen)
    teacher.step(obs)
    return plans[-1]


def test_foothold_dcm_and_b_are_those_of_the_time_that_was_chosen(
    geometry: LegGeometry, make_obs: MakeObs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Diverging from the pivot with the yaw force in it, b turned by what the robot turns in the time that is left."""
    obs = make_obs(200)
    cfg = TeacherCfg()
    cfg.stepping.reach_forward = cfg.stepping.reach_backward = cfg.stepping.reach_lateral = 9.0
    cfg.stepping.keep_out = 0.0
    cfg.stepping.command_phase = 1.0
    plan = plan_of(make_teacher(geometry, 200, cfg), start(obs), monkeypatch)
    frame = observe(TeacherLayout(TEACHER_TERMS).parse(obs))
    assert (plan.clock_shift.abs() > 0.01).sum() > 100
    torch.testing.assert_close((1.0 - plan.phase) * frame.duration, plan.time_left)
    torch.testing.assert_close(plan.phase, frame.phase + 2.0 * plan.clock_shift)
    gaits = lipm.GaitFamily(cfg.stepping.stance_width, cfg.stepping.pivot_shift, cfg.stepping.landing_kick, TEMPLATE)
    gait = gaits(plan.omega, frame.duration)
    pivot = gait.pivot - torch.stack((plan.yaw_lever / frame.mass, torch.zeros_like(plan.yaw_lever)))
    xi_end = pivot + (plan.omega * plan.time_left).exp() * (plan.xi - pivot)
    torch.testing.assert_close(plan.xi_end, xi_end)
    inside = plan.clamped == 0.0
    torch.testing.assert_close(plan.foothold[:, inside], (xi_end - plan.offset_b)[:, inside])
    rates = (frame.up_b * obs[:, S["base_ang_vel_b"]].t()).sum(0) * frame.side
    unturned = lipm.rotate(plan.offset_b, -rates * plan.time_left)
    velocity = (unturned - gait.rest) / gait.per_speed
    command = obs[:, S["command"]].t()[:2] * frame.mirror
    assert ((velocity - plan.present).abs() <= cfg.stepping.dv + 1e-6).all()
    toward = (velocity - plan.present) * (command - plan.present)
    assert (toward >= -1e-9).all()


def test_a_planned_landing_is_as_far_from_its_gait_as_box_and_limit_keep_it(
    geometry: LegGeometry, make_obs: MakeObs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where neither holds it back the plan lands at b; where +-dv does, by the limited velocity's share of b."""
    obs, cfg = make_obs(64), TeacherCfg()
    obs[:, S["base_ang_vel_b"]] = 0.0
    teacher = make_teacher(geometry, 64, cfg)
    plan = plan_of(teacher, start(obs), monkeypatch)
    frame = observe(TeacherLayout(TEACHER_TERMS).parse(obs))
    *delta, distance = teacher.predictor.stability(frame, plan)
    growth = (plan.omega * frame.duration).exp()
    limited = (plan.velocity - plan.wanted) * frame.duration / (growth - 1.0)
    inside, free = plan.clamped == 0.0, (plan.velocity - plan.wanted).abs().sum(0) < 1e-9
    assert (inside & free).sum() > 3 and (inside & ~free).sum() > 3
    torch.testing.assert_close(torch.stack(delta)[:, inside], limited[:, inside])
    torch.testing.assert_close(torch.stack(delta)[:, inside & free].norm(), TEMPLATE, atol=1e-9, rtol=0)
    landed = plan.xi_end - plan.foothold
    excess = viability_excess(landed, plan.omega, cfg.stepping, cfg.timing.min_step)
    assert ((distance > 0.0) == (excess > 0.0)).all()


def test_only_robots_whose_clock_follows_plan_another_time(
    geometry: LegGeometry, make_obs: MakeObs, monkeypatch: pytest.MonkeyPatch
) -> None:
    obs = make_obs(40)
    teacher = make_teacher(geometry, 40)
    teacher.memory.adapts[::2] = 0.0
    plan = plan_of(teacher, obs, monkeypatch)
    frame = observe(TeacherLayout(TEACHER_TERMS).parse(obs))
    torch.testing.assert_close(plan.clock_shift[::2], torch.zeros(20, dtype=torch.float64))
    torch.testing.assert_close(plan.time_left[::2], (frame.duration - frame.elapsed)[::2])
    assert (plan.clock_shift[1::2].abs() > 1e-3).sum() > 10
    assert teacher.memory.adapts.tolist() == [0.0, 1.0] * 20


def test_no_step_is_shorter_than_the_shortest_though_the_clock_is_advanced(
    geometry: LegGeometry, make_obs: MakeObs
) -> None:
    """Under pushes that ask for haste: counted by the evaluations from switch to switch, not by the clock."""
    cfg, num = TeacherCfg(), 64
    cfg.timing.min_step, dt = 0.15, TeacherCfg().control.dt
    teacher = make_teacher(geometry, num, cfg)
    obs = start(make_obs(num))
    obs[:, S["clock"]], obs[:, S["gait_frequency"]] = 0.01, 2.4
    obs[:, S["com_lin_vel_w"]] *= 6.0
    since, lengths = torch.zeros(num), []
    for _ in range(60):
        output = teacher.step(obs)
        obs[:, S["episode_time"]] = 1.0
        since += 1.0
        landed = output.touchdown > 0.0
        lengths += (since[landed] * dt).tolist()
        since[landed] = 0.0
        clock = obs[:, S["clock"]].squeeze(-1) + output.clock_shift + 2.4 * dt
        obs[:, S["clock"]] = (clock % 1.0).unsqueeze(-1)
    assert len(lengths) > 200 and min(lengths[num:]) < 1.0 / 4.8 - dt, "no step was shortened"
    assert min(lengths[num:]) >= cfg.timing.min_step - dt, "of which a part lies between two evaluations"
