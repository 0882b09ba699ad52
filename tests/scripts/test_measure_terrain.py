"""The height field that terrain is stepped with: a riser of 10 cm is one to a foot, and no foot gets stuck in it."""

import sys
from pathlib import Path

import pytest

from legged_gym.evaluation import results
from legged_gym.scripts import measure_terrain
from legged_gym.sim.robot_model import RobotModel
from legged_gym.sim.robot_model import robot_urdf as urdf
from legged_gym.terrain.config import TerrainCfg
from legged_gym.utils.errors import UserError

ROBOT = RobotModel.from_urdf(urdf("PF_TRON1A"))
CELL = TerrainCfg().horizontal_scale


@pytest.mark.parametrize("clearance", measure_terrain.CLEARANCES)
def test_a_riser_stops_a_foot_as_a_box_does(clearance: float) -> None:
    """Not lifted over it, and stopped where it stands to half a cell."""
    (front, lifted), (box_front, box_lifted) = (
        measure_terrain.swing(measure_terrain.build(ROBOT, cell, measure_terrain.LEG_MASS), ROBOT, clearance)
        for cell in (CELL, None)
    )
    assert abs(front - box_front) < 0.6 * CELL
    assert lifted < 0.005 and box_lifted < 0.005


@pytest.mark.parametrize("x", [-0.02, -0.01, 0.0, 0.01, 0.02])
def test_an_edge_carries_a_foot_as_a_boxs_does(x: float) -> None:
    drops = [
        measure_terrain.drop(measure_terrain.build(ROBOT, cell, 0.5 * ROBOT.total_mass), ROBOT, x)
        for cell in (CELL, None)
    ]
    assert drops[0] == pytest.approx(drops[1], abs=0.002)


def test_stiff_contacts_keep_feet_out_of_the_field() -> None:
    """With MuJoCo's default contacts a foot that is stamped onto it is held, with ours not."""
    default, stiff = (
        measure_terrain.stamp(measure_terrain.build(ROBOT, CELL, measure_terrain.LEG_MASS, constant), ROBOT)
        for constant in measure_terrain.TIME_CONSTANTS
    )
    assert not default[1] and stiff[1]
    assert stiff[0] < 0.7 * default[0]


def test_the_table_has_a_line_for_each_ground_and_the_file_the_same_figures(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(measure_terrain, "CELLS", (0.1,))
    monkeypatch.setattr(measure_terrain, "COSTED_ROBOTS", 2)
    monkeypatch.setattr(measure_terrain, "COSTED_STEPS", 2)
    monkeypatch.setattr(measure_terrain, "COSTED_BLOCKS", 2)
    monkeypatch.setattr(sys, "argv", ["measure_terrain.py", f"--result={tmp_path / 'terrain.json'}"])
    measure_terrain.main()
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("  ")[0] for line in lines].count("box") == 2
    assert sum(line.startswith("10 cm cells") for line in lines) == 3
    assert lines[-2].split()[0] == "plane" and lines[-2].split()[3:] == ["1.00", "(1.00-1.00)"]
    assert all(float(number.replace(",", "")) > 0.0 for number in lines[-1].split()[3:6])
    content = results.load(tmp_path / "terrain.json")
    assert len(content["figures"]) == 2 * (len(measure_terrain.OFFSETS) + len(measure_terrain.CLEARANCES) + 2 + 1)
    box = next(line for line in lines if line.startswith("box")).replace("/", " ").split()[1:]
    last_swing = [results.shown(content, "box, swing at 8 cm", column) for column in ("front", "lifted")]
    assert [float(number) for number in box[-2:]] == [float(number) for number in last_swing]
    assert results.shown(content, "plane, env.step", "against the plane") == "1.00 ± 0.00"
    assert results.shown(content, "10 cm cells, env.step", "cost").replace(",", "") == lines[-1].split()[3]
    held = content["figures"]["10 cm cells, stamp with 20 ms"]["held"]["value"]
    assert held == float("HELD" in next(line for line in reversed(lines[:-3]) if line.startswith("10 cm cells")))


def test_a_result_that_cannot_be_written_is_refused_at_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sys, "argv", ["measure_terrain.py", f"--result={tmp_path / 'nowhere' / 'terrain.json'}"])
    monkeypatch.setattr(measure_terrain, "print_edges", None)
    with pytest.raises(UserError, match="there is no folder"):
        measure_terrain.main()
