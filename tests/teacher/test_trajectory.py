"""Laws of the planned motion of CoM and DCM, on robots in the middle of a step."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from legged_gym.teacher import lipm
from legged_gym.teacher.config import TeacherCfg
from legged_gym.teacher.dcm_teacher import DcmTeacher
from legged_gym.teacher.frame import StepFrame
from legged_gym.teacher.kinematics import LegGeometry
from legged_gym.teacher.predictor import StepPlan
from legged_gym.teacher.swing import Motion
from legged_gym.teacher.trajectory import PathTracking, Trajectory, planned_trajectory

from .making import MakeObs, S, make_teacher, start

NUM, STEPS = 16, 4
INSTANT = 1e-6
"""[s]"""


def boundless(geometry: LegGeometry, cfg: TeacherCfg | None = None) -> DcmTeacher:
    """Feet land anywhere, and the yaw force, which makes the steps of the two feet differ, is not looked ahead at."""
    cfg = cfg or TeacherCfg()
    cfg.stepping.yaw_in_preview = False
    teacher = make_teacher(geometry, NUM, cfg)
    teacher.predictor.reach.low.fill_(-1e3)
    teacher.predictor.reach.high.fill_(1e3)
    return teacher


def planned(teacher: DcmTeacher, obs: Tensor) -> tuple[StepFrame, StepPlan]:
    plans: list[tuple[StepFrame, StepPlan]] = []
    teacher.on_plan = lambda *plan: plans.append(plan)
    teacher.evaluate(obs, teacher.memory)
    return plans[-1]


def calm(obs: Tensor) -> Tensor:
    out = obs.clone()
    out[:, S["com_lin_vel_w"]] *= 0.3
    return out


@pytest.fixture
def made(geometry: LegGeometry, make_obs: MakeObs) -> tuple[DcmTeacher, StepFrame, StepPlan, Trajectory]:
    teacher = make_teacher(geometry, NUM)
    frame, plan = planned(teacher, make_obs(NUM))
    return teacher, frame, plan, planned_trajectory(frame, plan, teacher.predictor, STEPS)


Made = tuple[DcmTeacher, StepFrame, StepPlan, Trajectory]


def test_it_starts_at_the_state_and_lands_where_and_when_the_plan_says(made: Made) -> None:
    _, frame, plan, ahead = made
    zero = torch.zeros(1, NUM, dtype=torch.float64)
    com, xi = ahead.at(zero)
    torch.testing.assert_close((com[:, 0], xi[:, 0]), (frame.com_xy, plan.xi))
    (com_soon, _), (com_ago, _) = ahead.at(zero + INSTANT), ahead.at(zero - INSTANT)
    torch.testing.assert_close((com_soon - com_ago)[:, 0] / (2 * INSTANT), frame.com_vel_xy, atol=1e-7, rtol=1e-6)
    assert ahead.begin.shape == (STEPS + 2, NUM) and ahead.feet.shape == (2, STEPS + 2, NUM)
    torch.testing.assert_close(ahead.begin[1], plan.time_left)
    torch.testing.assert_close(ahead.begin[2:] - ahead.begin[1:-1], frame.duration.expand(STEPS, NUM))
    torch.testing.assert_close(ahead.feet[:, :2], torch.stack((0 * plan.foothold, plan.foothold), dim=1))
    torch.testing.assert_close(ahead.at(ahead.begin[1:2])[1][:, 0], plan.xi_end)


def test_com_and_dcm_obey_the_pendulum_within_each_step(made: Made) -> None:
    """xi' = omega (xi - r) and c' = omega (xi - c), by finite differences; r is beside the foot that stands."""
    _, _, plan, ahead = made
    middle = 0.4 * ahead.begin[:-1] + 0.6 * ahead.begin[1:]
    com, xi = ahead.at(middle)
    (com_soon, xi_soon), (com_ago, xi_ago) = ahead.at(middle + INSTANT), ahead.at(middle - INSTANT)
    xi_rate, com_rate = (xi_soon - xi_ago) / (2 * INSTANT), (com_soon - com_ago) / (2 * INSTANT)
    torch.testing.assert_close(xi_rate, ahead.omega * (xi - ahead.pivot), rtol=1e-5, atol=1e-7)
    torch.testing.assert_close(com_rate, ahead.omega * (xi - com), rtol=1e-5, atol=1e-7)
    beside = (ahead.pivot - ahead.feet[:, :-1]).norm(dim=0)
    torch.testing.assert_close(beside[0], plan.pivot.norm(dim=0))
    assert (beside < 0.05).all() and (beside[::2] - beside[:1]).abs().max() < 1e-9, "the yaw force alternates"


def test_nothing_jumps_at_a_touchdown(made: Made) -> None:
    _, _, _, ahead = made
    for before, after in zip(ahead.at(ahead.begin[1:-1] - 1e-9), ahead.at(ahead.begin[1:-1]), strict=True):
        torch.testing.assert_close(before, after, atol=1e-7, rtol=0)
    moved = ahead.pivot[:, 1:] - ahead.pivot[:, :-1]
    assert moved.norm(dim=0).min() > 0.03, "the foot did not change"


def test_it_ends_at_the_periodic_gait_of_the_command(geometry: LegGeometry, make_obs: MakeObs) -> None:
    """While it turns: the DCM is at b of the command from the foot that lands, in the heading that it then has."""
    teacher = boundless(geometry)
    frame, plan = planned(teacher, calm(make_obs(NUM)))
    plan = plan._replace(turn_rate=torch.linspace(-0.8, 0.8, NUM, dtype=torch.float64))
    ahead = planned_trajectory(frame, plan, teacher.predictor, 39)
    gait = teacher.predictor.gaits(plan.omega, frame.duration)
    assert (plan.present - plan.wanted).abs().max() > 0.5
    for step in (37, 38):
        side = torch.tensor([[1.0], [(-1.0) ** step]], dtype=torch.float64)
        landed = ahead.xi[:, step + 1] - ahead.feet[:, step + 1]
        b = side * lipm.rotate(landed, -plan.turn_rate * ahead.begin[step + 1])
        torch.testing.assert_close(b, gait.offset(side * plan.wanted), atol=1e-6, rtol=0)


def test_straight_on_its_last_steps_are_v_t_long_and_a_stance_width_wide(
    geometry: LegGeometry, make_obs: MakeObs
) -> None:
    teacher = boundless(geometry)
    frame, plan = planned(teacher, calm(make_obs(NUM)))
    plan = plan._replace(turn_rate=torch.zeros_like(plan.turn_rate))
    ahead = planned_trajectory(frame, plan, teacher.predictor, 39)
    width = torch.tensor([[0.0], [teacher.cfg.stepping.stance_width]], dtype=torch.float64)
    for step, sign in ((38, -1.0), (39, 1.0)):  # to the other side than the one that the first step stands on, and back
        stride = ahead.feet[:, step + 1] - ahead.feet[:, step]
        torch.testing.assert_close(stride, plan.wanted * frame.duration + sign * width, atol=1e-6, rtol=0)


def test_an_offset_moves_its_foothold_by_itself_and_all_later_ones_by_what_the_dcm_then_does(
    geometry: LegGeometry, make_obs: MakeObs
) -> None:
    """p_1 by dxi; the DCM, left where it was, runs (E - 1) dxi farther from that foot the other way, and every later
    foothold goes with it. This step's motion is that of before.
    """
    obs = calm(make_obs(NUM))
    offset = torch.tensor([[0.02], [-0.01]], dtype=torch.float64)
    made = []
    for constant in ((0.0, 0.0), (0.02, -0.01)):
        cfg = TeacherCfg()
        cfg.stepping.dv, cfg.offset.constant, cfg.timing.enabled = 1e3, constant, False
        teacher = boundless(geometry, cfg)
        made.append(planned_trajectory(*planned(teacher, obs), teacher.predictor, STEPS))
    before, after = made
    growth = (before.omega * (before.begin[2] - before.begin[1])).exp()
    moved = after.feet - before.feet
    torch.testing.assert_close(moved[:, 1], offset.expand(2, NUM))
    for k in range(2, STEPS + 2):
        torch.testing.assert_close(moved[:, k], (1.0 - growth) * offset)
    early, late = (0.5 * (before.begin[k] + before.begin[k + 1]).unsqueeze(0) for k in (0, STEPS))
    for one, other in zip(before.at(early), after.at(early), strict=True):
        torch.testing.assert_close(one, other)
    assert (after.at(late)[0] - before.at(late)[0]).norm(dim=0).min() > 0.005


def test_gradients_reach_the_offset(geometry: LegGeometry, make_obs: MakeObs) -> None:
    """From where the CoM is some steps later to the network's weights, against finite differences."""
    cfg = TeacherCfg()
    cfg.timing.enabled = False
    teacher = make_teacher(geometry, NUM, cfg, learned=True)
    teacher.network.double()
    obs, bias = calm(make_obs(NUM)), teacher.network.net[-1].bias

    def later() -> Tensor:
        ahead = planned_trajectory(*planned(teacher, obs), teacher.predictor, 2)
        com, xi = ahead.at(0.5 * (ahead.begin[2:3] + ahead.begin[3:4]))
        return (com + 0.3 * xi).sum()

    (gradient,) = torch.autograd.grad(later(), bias)
    for k in range(2):
        values = []
        for sign in (1.0, -1.0):
            with torch.no_grad():
                bias[k] += sign * 1e-6
                values.append(later())
                bias[k] -= sign * 1e-6
        assert gradient[k].abs() > 1e-3
        torch.testing.assert_close((values[0] - values[1]) / 2e-6, gradient[k], rtol=1e-4, atol=1e-7)


def test_the_base_reference_follows_the_planned_motion(made: Made) -> None:
    """To second order, by the share that is asked for: a swing foot at rest in the world as the moving base sees it."""
    teacher, frame, plan, ahead = made
    still = Motion(frame.swing, torch.zeros_like(frame.swing), torch.zeros_like(frame.swing))
    seen = teacher.act._around(frame, still, 0.03, (frame.com_xy - plan.pivot) / plan.height)
    com, _ = ahead.at(torch.full((1, NUM), 0.03, dtype=torch.float64))
    inside = plan.time_left > 0.03
    away = (com[:, 0] - frame.com_xy)[:, inside]
    moved = (frame.swing - frame.base - seen[1])[:2, inside]
    constant_speed = 0.03 * frame.com_vel_xy[:, inside]
    assert (moved - away).norm() < 0.2 * (constant_speed - away).norm(), "no better than at constant speed"


def test_the_swing_foot_at_several_times_is_one_motion(made: Made) -> None:
    """Each time is its own, and the velocity is how the position changes."""
    teacher, frame, plan, _ = made
    start, height = Motion(frame.swing, frame.swing_vel, torch.zeros_like(frame.swing)), torch.full((NUM,), 0.1)
    times = (0.01, 0.01 + 1e-4, 0.03)
    near, next_to_it, far = teacher.act.swing_foot.ahead(frame, plan, start, frame.swing, height, times)
    (alone,) = teacher.act.swing_foot.ahead(frame, plan, start, frame.swing, height, times[2:])
    for several, one in zip(far, alone, strict=True):
        torch.testing.assert_close(several, one)
    moving = (near.velocity.norm(dim=0) > 0.1) & (plan.time_left > 0.02)
    assert moving.sum() > NUM // 4
    change = (next_to_it.position - near.position)[:, moving] / 1e-4
    torch.testing.assert_close(change, near.velocity[:, moving].to(change.dtype), rtol=0.02, atol=0.02)


def test_the_action_follows_the_plan_by_config(geometry: LegGeometry, make_obs: MakeObs) -> None:
    actions = []
    for share in (0.0, 0.5, 1.0):
        cfg = TeacherCfg()
        cfg.body.follow = share
        actions.append(make_teacher(geometry, NUM, cfg).step(make_obs(NUM)).action)
    none, half, whole = actions
    free = (whole - none).abs() > 1e-3  # of the clamp
    assert free.sum() > NUM
    assert ((half - none) * (whole - half) > 0.0)[free].float().mean() > 0.9


def test_path_tracking_is_zero_for_a_pendulum_and_shows_a_foot_that_lands_elsewhere(
    geometry: LegGeometry, make_obs: MakeObs
) -> None:
    """Robots are moved along the planned motion by hand; in the second step over another foot than was planned."""
    teacher = make_teacher(geometry, NUM)
    frame, plan = planned(teacher, start(make_obs(NUM)))
    yes, no = torch.ones(NUM, dtype=torch.bool), torch.zeros(NUM, dtype=torch.bool)
    ahead = planned_trajectory(frame, plan, teacher.predictor, 1)
    dt = 0.004

    def later(time: Tensor, elapsed: Tensor) -> StepFrame:
        com, _ = ahead.at(time.unsqueeze(0))
        return frame._replace(com_xy=com[:, 0], elapsed=elapsed)

    tracking = PathTracking(NUM, dt, plan.omega)
    off = tracking(frame, plan, teacher.predictor, no, yes)
    torch.testing.assert_close(off, torch.zeros_like(off), atol=1e-12, rtol=0)
    time = torch.full((NUM,), dt, dtype=torch.float64)
    off = tracking(later(time, frame.elapsed + dt), plan, teacher.predictor, no, no)
    torch.testing.assert_close(off, torch.zeros_like(off), atol=1e-12, rtol=0)
    # The plan of the last evaluation, in which the touchdown is yet to come, is that of `plan`; it landed 7 ms ago.
    tracking.buffer[1] = torch.stack((ahead.com[:, 1], ahead.xi[:, 1], ahead.pivot[:, 1]))
    tracking.buffer[1] = frame.to_world(tracking.buffer[1]) + frame.stance_w[:2]
    since = torch.full((NUM,), 0.007, dtype=torch.float64)
    off = tracking(later(ahead.begin[1] + since, since), plan, teacher.predictor, yes, no)
    torch.testing.assert_close(off, torch.zeros_like(off), atol=1e-12, rtol=0)
    shifted = later(ahead.begin[1] + since + dt, since + dt)
    off = tracking(shifted._replace(com_xy=shifted.com_xy + 0.03), plan, teacher.predictor, no, no)
    torch.testing.assert_close(off, torch.full_like(off, 0.03 * 2**0.5))
