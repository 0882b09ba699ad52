"""From rows to jobs, and from what robots did to results."""

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from legged_gym.deployment.engine import Physics
from legged_gym.deployment.judge import Setup, judge, make_jobs, measure, physics_of
from legged_gym.deployment.rollout import ACTION_DELAY, Series
from legged_gym.evaluation.rows import ALL_ROWS, Row, select_rows
from legged_gym.utils.errors import UserError


def test_every_row_has_a_counterpart() -> None:
    for row in ALL_ROWS.values():
        physics, delay = physics_of(row)
        assert bool(physics.lane) == bool(row.lane)
        changes = set(physics.changed) | ({"action_delay"} if delay != ACTION_DELAY else set())
        expected = len(row.parameters) + len(() if row.lane else row.cfg)
        assert len(changes) == expected, row.name


@pytest.mark.parametrize(
    ("name", "figure", "value"),
    [
        ("payload_5", "base_mass_added", 5.0),
        ("friction_0.25", "friction", (0.25,)),
        ("feet_0.8_0.2", "friction", (0.8, 0.2)),
        ("stiff_2ms", "contact_time_constant", 0.002),
        ("step_2ms", "timestep", 0.002),
        ("kd_2.5", "kd", 2.5),
        ("armature_0.03", "armature", 0.03),
        ("damping_0", "joint_damping", 0.0),
    ],
)
def test_what_rows_change(name: str, figure: str, value: object) -> None:
    physics, delay = physics_of(ALL_ROWS[name])
    assert getattr(physics, figure) == value and figure in physics.changed and delay == ACTION_DELAY


def test_the_delay_is_the_controllers_and_not_the_scenes() -> None:
    assert physics_of(ALL_ROWS["latency_20"]) == (Physics(), 0.02)
    assert physics_of(ALL_ROWS["track"]) == (Physics(), 0.01)


def test_an_unknown_change_is_refused() -> None:
    with pytest.raises(UserError, match=r"this simulator has nothing like sim\.gravity"):
        physics_of(Row("moon", 1.0, ALL_ROWS["track"].box, cfg=(("sim.gravity", "1.6"),)))
    with pytest.raises(UserError, match="this simulator has nothing like restitution"):
        physics_of(Row("ball", 1.0, ALL_ROWS["track"].box, parameters=(("restitution", (0.5,)),)))


def test_jobs_are_the_rows_script() -> None:
    jobs, script = make_jobs(ALL_ROWS["push_1.5"], 16, 0, ACTION_DELAY)
    for robot, one in enumerate(jobs):
        np.testing.assert_allclose(one.kick, script.kick[robot], rtol=1e-6)
        assert (one.start, one.stop) == (script.start[robot], script.stop[robot])
        assert len(one.commands) == one.start + 200 and not any(one.force)
    assert len({one.seed for one in jobs}) == 16 and len({one.start for one in jobs}) == 2
    jobs, _ = make_jobs(ALL_ROWS["shove_lid_18"], 1, 0, ACTION_DELAY)
    np.testing.assert_allclose(jobs[0].force, [180.0, 0.0, 0.0], atol=1e-4)
    assert jobs[0].at_lid and jobs[0].stop - jobs[0].start == 5
    jobs, _ = make_jobs(ALL_ROWS["gait_3.2"], 1, 0, ACTION_DELAY)
    assert jobs[0].frequency == 3.2 and jobs[0].start == -1
    assert make_jobs(ALL_ROWS["trip_200"], 1, 0, ACTION_DELAY)[0][0].trip == 200.0


def series(steps: int, speed: float, fell: bool = False) -> Series:
    """A robot that goes ahead at a constant speed."""
    wide = {"command": 3, "action": 6, "torque": 6, "foot_force": 2, "position_w": 2}
    result: Series = {name: np.zeros((steps, width)) for name, width in wide.items()}
    result |= {name: np.zeros(steps) for name in ("tilt", "yaw")}
    result |= {name: np.zeros(steps, bool) for name in ("fell", "other_contact", "legs_touch")}
    result |= {"velocity_y": np.tile([speed, 0.0, 0.0], (steps, 1)), "contact": np.ones((steps, 2), bool)}
    result |= {"base_height": np.full(steps, 0.8), "power": np.full(steps, 50.0)}
    result |= {"height_share": np.ones(steps), "foot_speed": np.zeros((steps, 2))}
    result["landing_speed"] = np.zeros((steps, 2))
    result["torque"] += 3.0
    result["fell"][-1] = fell
    return result


def test_a_row_is_measured_over_all_of_its_robots() -> None:
    row = ALL_ROWS["track_slow"]
    _, script = make_jobs(row, 2, 0, ACTION_DELAY)
    result = measure(row, script, [series(500, 0.3), series(120, 0.9, fell=True)])
    assert result["n"] == 2 and result["survival"] == 0.5
    # 400 steps at 0.3 m/s and 19 at 0.9 m/s lie between the warm-up and the fall.
    assert result["torque_rms"] == pytest.approx(3.0) and result["peak_power"] == pytest.approx(50.0)
    assert result["bias_vx"] == pytest.approx((400 * 0.3 + 19 * 0.9) / 419)


def test_rows_that_an_engine_cannot_do_are_left_out_with_a_reason(urdf: Path, policy_folder: Path) -> None:
    rows = select_rows(["stiff_2ms", "rough_2"], 0.02)
    setup = Setup(policy_folder, "mujoco", urdf)
    verdict = judge(rows, setup, 1, 0, 1)
    assert list(verdict.rows) == ["stiff_2ms", "rough_2"] and not verdict.left_out
    assert verdict.rows["rough_2"]["distance"] is not None
    if find_spec("pydrake") is not None:
        said: list[object] = []
        verdict = judge(rows, Setup(policy_folder, "drake", urdf), 1, 0, 1, lambda *row: said.append(row))
        assert not verdict.rows and list(verdict.left_out) == ["stiff_2ms", "rough_2"] and len(said) == 2
        assert "no time constant" in verdict.left_out["stiff_2ms"] and "plane" in verdict.left_out["rough_2"]


def test_a_base_without_a_box_cannot_be_shoved_on_its_lid(tmp_path: Path, urdf: Path, policy_folder: Path) -> None:
    round_one = tmp_path / "round.urdf"
    round_one.write_text(urdf.read_text().replace('<box size="0.265 0.26 0.18" />', '<sphere radius="0.1" />'))
    for engine in ("mujoco", "drake") if find_spec("pydrake") else ("mujoco",):
        verdict = judge(select_rows(["shove_lid_18"], 0.02), Setup(policy_folder, engine, round_one), 1, 0, 1)
        assert "no lid to shove" in verdict.left_out["shove_lid_18"]


def test_an_unknown_engine(urdf: Path, policy_folder: Path) -> None:
    with pytest.raises(UserError, match="unknown engine 'bullet'; known: drake, mujoco"):
        judge(select_rows(["track"]), Setup(policy_folder, "bullet", urdf), 1, 0, 1)


@pytest.mark.parametrize(("share", "survival"), [(0.85 * 0.84 + 0.01, 1.0), (0.85 * 0.84 - 0.01, 0.5)])
def test_a_survivor_ends_upright(share: float, survival: float) -> None:
    row = ALL_ROWS["track_slow"]
    crouching = series(500, 0.3)
    crouching["height_share"][-20:] = share
    _, script = make_jobs(row, 2, 0, ACTION_DELAY)
    assert measure(row, script, [series(500, 0.3), crouching])["survival"] == survival


def test_standing_is_measured_by_its_drift() -> None:
    row = ALL_ROWS["stand"]
    drifting = series(1000, 0.0)
    drifting["position_w"][:, 1] = np.linspace(0.0, 0.4, 1000)
    drifting["yaw"] = np.linspace(3.0, 3.5, 1000)
    _, script = make_jobs(row, 1, 0, ACTION_DELAY)
    result = measure(row, script, [drifting])
    assert result["drift"] == pytest.approx(0.4) and result["turned"] == pytest.approx(0.5)
