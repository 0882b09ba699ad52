"""The table, and what it comes to."""

import pytest

from legged_gym.evaluation import report
from legged_gym.evaluation.metrics import Result
from legged_gym.evaluation.rows import ALL_ROWS, DEPLOYED_SURVIVAL, select_rows

TRACK: Result = {"survival": 1.0, "rmse_vx": 0.10, "rmse_vy": 0.08, "rmse_wz": 0.13}
GATE = "walking gate (track: survival >= 0.95, rmse_vx <= 0.20, rmse_vy <= 0.20, rmse_wz <= 0.30): "


def passing() -> dict[str, Result]:
    """Each row of the deployed list just passes."""
    rows: dict[str, Result] = {name: {"survival": survival} for name, survival in DEPLOYED_SURVIVAL.items()}
    return rows | {"track": dict(TRACK)}


def test_a_policy_that_passes_every_row_is_fit() -> None:
    rows = len(DEPLOYED_SURVIVAL)
    assert report.verdict(passing()) == [
        GATE + "passed",
        f"fit to be deployed: all {rows} rows of the deployed suite passed",
    ]
    extra: dict[str, Result] = {"friction_0.15": {"survival": 0.0}, "gait_3.2": {"survival": 0.0}}
    assert report.verdict(passing() | extra) == report.verdict(passing()), "rows of other suites do not count"


def test_what_failed_is_named() -> None:
    rows = passing()
    rows["shove_28"] = {"survival": 0.8477}
    rows["stand"] = {"survival": 0.0}
    rows["track"] = TRACK | {"rmse_vy": 0.08001, "survival": 0.9996}
    gate, verdict = report.verdict(rows)
    assert gate == GATE + "passed"
    assert verdict == (
        f"not fit to be deployed ({len(rows)} of {len(rows)} rows of the deployed suite walked): track 0.999 < 1.00; "
        "track rmse_vy 0.081 > 0.08; shove_28 0.847 < 0.85; stand 0.000 < 0.99"
    )


@pytest.mark.parametrize("name", DEPLOYED_SURVIVAL)
def test_each_row_of_the_list_counts(name: str) -> None:
    rows = passing()
    rows[name] = rows[name] | {"survival": DEPLOYED_SURVIVAL[name] - 0.01}
    assert f"not fit to be deployed (19 of 19 rows of the deployed suite walked): {name} " in report.verdict(rows)[-1]


@pytest.mark.parametrize("field", ["rmse_vx", "rmse_vy", "rmse_wz"])
def test_each_error_of_the_track_counts(field: str) -> None:
    for error, said in ((0.5, "0.500"), (None, "-")):
        gate, verdict = report.verdict({"track": TRACK | {field: error}})
        assert gate == GATE + "not passed" and f"track {field} {said} > " in verdict


def test_a_part_of_the_list_is_no_verdict() -> None:
    assert report.verdict({"track": dict(TRACK)})[1] == (
        f"nothing failed, but only 1 of {len(DEPLOYED_SURVIVAL)} rows of the deployed suite walked"
    )
    assert report.verdict({"friction_0.15": {"survival": 0.0}}) == [report.NO_VERDICT]
    (line,) = report.verdict({"push_2.5": {"survival": 0.1}})
    assert line.startswith("not fit to be deployed (1 of 19") and line.endswith("push_2.5 0.100 < 0.70"), "no gate"


def test_a_policy_that_fell_at_once_fails_without_figures() -> None:
    gate, verdict = report.verdict({"track": dict.fromkeys(TRACK, None) | {"survival": 0.0}})
    assert gate.endswith("not passed") and verdict.endswith(
        "track 0.000 < 1.00; track rmse_vx - > 0.10; track rmse_vy - > 0.08; track rmse_wz - > 0.13"
    )


def test_columns_are_those_that_some_row_fills_in() -> None:
    def names(agent: str, *rows: str) -> list[str]:
        return [field for field, _, _ in report.columns(agent, select_rows(rows))]

    plain = names("zero", "track", "shove")
    for field in ("survival", "peak_power", "touchdown_speed", "foot_force", "other_contacts", "legs_touch"):
        assert field in plain
    assert {"distance", "drift", "turned", "dcm_error"}.isdisjoint(plain)
    assert set(names("zero", "track", "stand")) - set(plain) == {"drift", "turned"}
    assert set(names("zero", "track", "rough_2")) - set(plain) == {"distance"}
    assert set(names("teacher", "track")) - set(plain) == {"dcm_error", "dcm_error_steady", "dcm_error_without_offset"}


def test_lines_are_as_wide_as_the_header_and_show_a_dash_for_nothing() -> None:
    columns = report.columns("zero", select_rows(["all"]))
    row: Result = {"survival": 0.5, "touchdown_speed": 1.234, "foot_force": None, "drift": 0.0567}
    header, line = report.header(columns), report.line(columns, "stairs_down_13", row)
    assert len(header) == len(line)
    cells = dict(zip([field for field, _, _ in columns], line.split()[1:], strict=True))
    assert (cells["survival"], cells["touchdown_speed"], cells["foot_force"]) == ("0.500", "1.23", "-")
    assert cells["drift"] == "0.057" and cells["turned"] == "-"
    for _, heading, _ in columns:
        assert heading in header


def test_the_table_has_no_column_of_dashes_and_explains_those_it_has() -> None:
    fell: Result = dict.fromkeys((field for field, _, _ in report.COLUMNS), None) | {"survival": 0.0}
    text = report.table("zero", {"track": fell, "push_1.0": fell})
    assert text.splitlines()[0].split() == ["row", "survival"] and "-" not in text
    assert text.splitlines()[-1].startswith("survival: share")
    stood = fell | {"rmse_vx": 0.25, "drift": 0.1}
    lines = report.table("zero", {"track": fell, "stand": stood}).splitlines()
    assert lines[0].split() == ["row", "survival", "rmse", "vx", "drift"]
    assert lines[1].split() == ["track", "0.000", "-", "-"] and lines[2].split()[1:] == ["0.000", "0.250", "0.100"]
    assert lines[-1].startswith("drift [m]") and not any("landing" in line for line in lines)


def test_a_wide_table_is_broken_where_the_terminal_ends() -> None:
    row: Result = {field: 1.0 for field, _, _ in report.COLUMNS}
    narrow = report.table("zero", {"track": row}, width=80).splitlines()
    assert max(map(len, narrow[:8])) <= 80 and sum(line.startswith("track ") for line in narrow) == 4
    assert sum(line.startswith("track ") for line in report.table("zero", {"track": row}, width=500).splitlines()) == 1


def test_how_robots_fail_that_do_not_fall_is_said() -> None:
    upright: Result = {"survival": 0.75, "fell": 0.25, "ended_low": 0.0, "ended_tilted": 0.0, "ended_touching": 0.0}
    leaning = upright | {"survival": 0.5, "ended_tilted": 0.125, "ended_touching": 0.25}
    (line,) = report.endings({"track": upright, "stairs_down_13": leaning, "push_1.0": {"survival": 0.5, "fell": 0.5}})
    assert line.split()[:2] == ["stairs_down_13", "0.250"]
    assert line.endswith("0.125 tilted, 0.250 touching with more than feet") and "low" not in line


def test_a_row_is_told_as_soon_as_it_is_there() -> None:
    assert report.row_line("track", TRACK) == "track           survival 1.000  off by 0.100 m/s, 0.080 m/s, 0.130 rad/s"
    assert report.row_line("track", dict.fromkeys(TRACK, None)) == "track           survival 0.000"


def test_each_row_is_explained_in_a_line() -> None:
    lines = report.explanations(select_rows(["all"]))
    assert len(lines) == len(ALL_ROWS) and all("\n" not in line for line in lines)
    found = {line.split()[0]: line for line in lines}
    lid = "9 N s within 0.1 s on the lid; deployed: survival >= 0.98"
    assert found["shove_lid_9"].split(maxsplit=3)[1:] == ["4", "s", lid]
    assert "200 N hold the swinging foot back for 0.1 s; deployed: " in found["trip_200"]
    assert found["stand"].split()[1] == "20" and found["gait_2.8"].endswith("gait clock at 2.8 Hz")
    assert found["kd_2.5"].endswith("shove_18 with K_d 2.5 N m s/rad")
