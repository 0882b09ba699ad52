"""The teacher's DCM error at touchdown, against numbers worked out by hand."""

from dataclasses import fields

import pytest
import torch

from legged_gym.evaluation import report
from legged_gym.evaluation.rows import select_rows
from legged_gym.evaluation.touchdowns import TouchdownErrors
from legged_gym.teacher.dcm_teacher import TeacherOutput


def output(**given: list) -> TeacherOutput:
    values = {field.name: torch.zeros(4) for field in fields(TeacherOutput)}
    values |= {name: torch.zeros(4, 2) for name in ("offset", "touchdown_error")}
    return TeacherOutput(**values | {name: torch.tensor(value) for name, value in given.items()})


def test_errors_of_two_rows_by_hand() -> None:
    errors = TouchdownErrors(2, 2, "cpu")
    errors.add(output(offset=[[0.01, 0.0]] * 4, weight=[1.0] * 4), torch.ones(2, 2, dtype=torch.bool))  # nobody lands
    landed = output(
        touchdown=[1.0, 1.0, 1.0, 0.0],
        weight=[1.0, 0.5, 1.0, 1.0],
        steady=[1.0, 0.0, 1.0, 1.0],
        touchdown_error=[[0.03, 0.04], [0.0, 0.02], [0.5, 0.0], [0.9, 0.0]],
    )
    errors.add(landed, torch.tensor([[True, True], [False, True]]))
    first, second = errors.results()
    assert first["dcm_error"] == pytest.approx(((25e-4 + 0.5 * 4e-4) / 1.5) ** 0.5)
    assert first["dcm_error_steady"] == pytest.approx(0.05)
    assert first["dcm_error_without_offset"] == pytest.approx(((16e-4 + 16e-4 + 0.5 * (1e-4 + 4e-4)) / 1.5) ** 0.5)
    assert set(second.values()) == {None}  # one of its robots has fallen, the other did not land


def test_only_the_teachers_table_shows_them() -> None:
    row = {"survival": 1.0, "dcm_error": 0.0123, "dcm_error_steady": None}
    rows = select_rows(["track"])
    teachers, others = report.columns("teacher", rows), report.columns("zero", rows)
    assert report.line(teachers, "track", row).split()[-3:] == ["0.0123", "-", "-"]
    assert "DCM err" in report.header(teachers) and "DCM err" not in report.header(others)
    assert "DCM err" in report.units("teacher") and "DCM err" not in report.units("zero")
    assert len(report.line(others, "track", {"survival": 1.0})) == len(report.header(others))
