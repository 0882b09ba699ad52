"""The rows themselves: which there are, what they ask, and the draws that two judges share."""

import math

import pytest
import torch

from legged_gym.evaluation.rows import (
    ALL_ROWS,
    DEPLOYED_SURVIVAL,
    FORWARD,
    STANDARD_SUITES,
    SUITES,
    Row,
    Script,
    passes_walking_gate,
    select_rows,
)
from legged_gym.terrain.lanes import LANES
from legged_gym.utils.errors import UserError

PUSHES = [f"push_{speed}" for speed in (0.5, 1.0, 1.5, 2.0, 2.5)]
SHOVES = [*(f"shove_{impulse}" for impulse in (9, 18, 28, 37, 46)), *(f"shove_lid_{i}" for i in (9, 18, 28))]
PAYLOADS = [f"payload_{mass}" for mass in (2, 5, 10)]
FRICTIONS = ["friction_0.15", "friction_0.25", "friction_0.4", "friction_1.0", "feet_0.8_0.2"]
PHYSICS = [
    *("step_1ms", "step_2ms", "kd_2.5", "kd_3.5", "armature_0.0", "armature_0.01", "armature_0.03"),
    *("damping_0", "damping_0.01"),
]


def script(name: str, robots: int, seed: int = 0, frequency: float = 2.0) -> Script:
    return Script(ALL_ROWS[name], robots, 0.02, frequency, seed)


def test_the_rows_are_the_agreed_ones() -> None:
    standard = [row.name for row in select_rows(STANDARD_SUITES)]
    assert standard == ["track", "track_slow", *PUSHES, *SHOVES, *PAYLOADS, *FRICTIONS]
    rest = {
        "trip": ["trip_100", "trip_200"],
        "hardware": ["latency_20", "stiff_2ms"],
        "stand": ["stand"],
        "gait": [*(f"gait_{f}" for f in (1.6, 2.0, 2.4, 2.8, 3.2)), "stick"],
        "physics": PHYSICS,
        "terrain": list(LANES),
    }
    assert {name: [row.name for row in rows] for name, rows in SUITES.items() if name not in STANDARD_SUITES} == rest
    assert [row.name for row in select_rows(["all"])] == list(ALL_ROWS)
    assert len(ALL_ROWS) == sum(map(len, SUITES.values())), "two rows have one name"


def test_rows_ask_what_their_names_say() -> None:
    track, slow = ALL_ROWS["track"], ALL_ROWS["track_slow"]
    assert (track.duration, track.resampling_time, slow.duration, slow.resampling_time) == (20.0, 5.0, 10.0, 5.0)
    assert track.box == ((-0.5, 1.0), (-0.3, 0.3), (-0.5, 0.5))
    assert slow.box == ((-0.5, 0.5), (-0.2, 0.2), (-0.5, 0.5))
    for name in (*PUSHES, *SHOVES, "trip_100", "trip_200"):
        row, number = ALL_ROWS[name], float(name.split("_")[-1])
        assert (row.push, row.shove, row.trip) == tuple(number * (name.split("_")[0] == x) for x in KINDS)
        assert row.at_lid == ("lid" in name) and row.box == FORWARD and row.disturbed
        assert (row.duration, row.push_time, row.lasts) == (4.0, 3.0, 0.1)
    given = {
        **{f"payload_{mass}": ("base_mass_added", (mass,)) for mass in (2, 5, 10)},
        **{f"friction_{mu}": ("friction", (mu,)) for mu in (0.15, 0.25, 0.4, 1.0)},
        "feet_0.8_0.2": ("friction", (0.8, 0.2)),
        "latency_20": ("action_delay", (0.02,)),
        "stiff_2ms": ("contact_time_constant", (0.002,)),
    }
    for name, parameter in given.items():
        assert ALL_ROWS[name].parameters == (parameter,) and not ALL_ROWS[name].disturbed
        assert ALL_ROWS[name].resampling_time == 5.0 and ALL_ROWS[name].box == slow.box
    assert ALL_ROWS["stand"].box == ((0.0, 0.0),) * 3 and ALL_ROWS["stand"].duration == 20.0
    assert all(ALL_ROWS[f"gait_{f}"].frequency == f for f in (1.6, 2.0, 2.4, 2.8, 3.2))
    assert all(row.shove == 18.0 for row in SUITES["physics"])
    assert all(row.meaning for row in ALL_ROWS.values())


KINDS = ("push", "shove", "trip")


def test_a_list_may_name_suites_and_rows() -> None:
    names = ["stand", "push_1.5", " track ", "track_slow"]
    assert [row.name for row in select_rows(names)] == ["stand", "push_1.5", "track", "track_slow"], "none twice"
    assert [row.name for row in select_rows(["deployed"])] == list(DEPLOYED_SURVIVAL)
    assert {"track", "push_2.5", "shove_37", "shove_lid_18", "trip_200", "stiff_2ms", "stand"} <= set(DEPLOYED_SURVIVAL)


def test_an_unknown_suite_lists_the_known_ones() -> None:
    known = ", ".join(sorted(["all", "deployed", *SUITES]))
    text = rf"unknown suite 'trak'; did you mean 'track'\? known: {known}; a row's name goes, too"
    with pytest.raises(UserError, match=text):
        select_rows(["track", "trak"])


def test_rows_scale_in_time_and_are_not_repeated() -> None:
    rows = select_rows(["track", "track"], time_scale=0.1)
    assert [row.name for row in rows] == ["track", "track_slow"]
    assert rows[0].duration == pytest.approx(2.0) and rows[0].warm_up == pytest.approx(0.2)
    for scale in (0.0, -1.0, math.nan, math.inf):
        with pytest.raises(UserError, match=r"--time_scale: got .*, expected a number > 0"):
            select_rows(["track"], scale)


# -- scripts -----------------------------------------------------------------------------------------------------------


def test_kicks_come_from_eight_directions_at_all_phases() -> None:
    """200 robots: 25 of each direction, spread evenly over the 25 policy steps of a gait cycle of 0.5 s."""
    kick = script("push_1.5", 200)
    angle = torch.atan2(kick.kick[:, 1], kick.kick[:, 0])
    assert torch.allclose(kick.kick.norm(dim=-1), torch.tensor(1.5)) and (kick.kick[:, 2] == 0.0).all()
    eighth = torch.remainder(torch.round(angle / (math.pi / 4.0)), 8.0)
    assert torch.allclose(torch.cos(angle - eighth * math.pi / 4.0), torch.tensor(1.0))
    assert eighth.tolist() == [i % 8 for i in range(200)]
    for direction in range(8):
        assert sorted(kick.start[direction::8].tolist()) == list(range(150, 175)), "from 3 s on"
    assert (kick.end - kick.start == 200).all() and kick.num_steps >= kick.end.max()


def test_the_window_is_a_cycle_of_the_rows_own_gait() -> None:
    assert script("push_1.5", 800, frequency=1.0).start.max() == 199
    assert script("push_1.5", 800, frequency=4.0).start.max() == 161
    assert script("push_1.5", 8).start.tolist() == [150] * 8, "each direction begins at the window's beginning"


def test_a_shove_is_its_impulse_over_its_time() -> None:
    shove = script("shove_18", 16)
    assert torch.allclose(shove.force.norm(dim=-1), torch.tensor(180.0))
    assert (shove.stop - shove.start == 5).all() and (shove.kick == 0.0).all()
    assert shove.ends >= shove.stop.max()


def test_trips_are_spread_robot_by_robot() -> None:
    trip = script("trip_100", 50)
    assert trip.start.tolist() == [150 + i // 2 for i in range(50)] and (trip.force == 0.0).all()


def test_the_stick_is_thrown_to_the_other_side_each_second() -> None:
    stick = script("stick", 64)
    for second in range(9):
        now, later = (stick.command(50 * second + offset) for offset in (0, 50))
        assert torch.equal(later, -now) and torch.equal(stick.command(50 * second + 49), now)
        assert torch.equal(now.abs(), torch.tensor([0.375, 0.25, 1.0]).expand(64, 3))
    assert {tuple(sign) for sign in stick.command(0).sign().tolist()} == {
        (x, y, z) for x in (-1.0, 1.0) for y in (-1.0, 1.0) for z in (-1.0, 1.0)
    }


def test_draws_depend_on_seed_and_name_alone() -> None:
    assert torch.equal(script("track", 9).commands, script("track", 9).commands)
    assert not torch.equal(script("track", 9).commands, script("track", 9, seed=1).commands)
    assert not torch.equal(script("track_slow", 9).commands, script("payload_2", 9).commands)
    assert torch.equal(script("gait_1.6", 9).commands, script("gait_3.2", 9).commands), "told apart by the clock alone"
    torch.manual_seed(4)
    before = torch.rand(1)
    torch.manual_seed(4)
    script("track", 9)
    assert torch.equal(torch.rand(1), before)


def test_a_row_that_nothing_befalls_is_over_after_its_duration() -> None:
    track = script("track", 3)
    assert track.num_steps == 1000 and track.end.tolist() == [1000] * 3 and track.interval == 250
    short = Script(Row("x", 0.001, FORWARD), 3, 0.02, 2.0, 0)
    assert short.num_steps == 1 and torch.equal(short.command(5), short.command(0))


@pytest.mark.parametrize(
    ("change", "passes"),
    [
        ({}, True),
        ({"survival": 0.949}, False),
        ({"rmse_vx": 0.201}, False),
        ({"rmse_vy": 0.201}, False),
        ({"rmse_wz": 0.301}, False),
        ({"rmse_vx": None}, False),
        ({"bias_vx": 9.0}, True),
    ],
)
def test_the_walking_gate(change: dict[str, float | None], passes: bool) -> None:
    edge = {"survival": 0.95, "rmse_vx": 0.20, "rmse_vy": 0.20, "rmse_wz": 0.30}
    assert passes_walking_gate(edge | change) is passes
