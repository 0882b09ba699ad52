"""What MuJoCo's options cost and change."""

import sys
from pathlib import Path

import pytest

from legged_gym.evaluation import results
from legged_gym.scripts import measure_physics
from legged_gym.utils.errors import UserError


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> None:
    monkeypatch.setattr(sys, "argv", ["measure_physics.py", *arguments])
    measure_physics.main()


@pytest.mark.parametrize("argument", ["--num_envs=0", "--repeats=0", "--seconds=0.1"])
def test_nothing_to_measure_is_refused(monkeypatch: pytest.MonkeyPatch, argument: str) -> None:
    with pytest.raises(UserError, match="--num_envs and --repeats are 1 or more, --seconds"):
        run(monkeypatch, argument)


def test_an_unknown_robot_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROBOT_TYPE", "PF_X")
    with pytest.raises(UserError, match="unknown ROBOT_TYPE 'PF_X', known: PF_P441A"):
        run(monkeypatch)


def test_it_prints_a_line_per_variant_and_writes_the_same_figures(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """The grip is the friction of 0.5 it was given; the pyramidal cone's along its axes only."""
    monkeypatch.setenv("ROBOT_TYPE", "PF_TRON1A")
    run(monkeypatch, "--num_envs=2", "--repeats=1", "--seconds=0.3", f"--result={tmp_path / 'physics.json'}")
    rows = {line[:24].strip(): line.split()[-2:] for line in capsys.readouterr().out.splitlines()[2:]}
    assert list(rows) == [variant.name for variant in measure_physics.VARIANTS]
    grips = {name: [float(x) for x in grip] for name, grip in rows.items() if name != "no contact sensors"}
    assert all(along == pytest.approx(0.5, abs=0.02) for along, _ in grips.values())
    assert any(across < 0.42 for _, across in grips.values())
    content = results.load(tmp_path / "physics.json")
    assert list(content["figures"]) == list(rows)
    for name, (along, across) in rows.items():
        if name == "no contact sensors":
            assert not any(column.startswith("friction") for column in content["figures"][name])
        else:
            assert results.shown(content, name, "friction at 0 deg") == along
            assert results.shown(content, name, "friction at 45 deg") == across
    assert all(float(row["speed"]["value"]) > 0.0 for row in content["figures"].values())


def test_a_result_that_cannot_be_written_is_refused_at_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(measure_physics, "measure", None)
    with pytest.raises(UserError, match="there is no folder"):
        run(monkeypatch, f"--result={tmp_path / 'nowhere' / 'physics.json'}")
