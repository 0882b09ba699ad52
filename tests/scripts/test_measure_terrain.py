"""The height field that terrain is stepped with: a riser of 10 cm is one to a foot, and no foot gets stuck in it."""

import sys

import pytest

from legged_gym.scripts import measure_terrain
from legged_gym.sim.robot_model import RobotModel
from legged_gym.sim.robot_model import robot_urdf as urdf
from legged_gym.terrain.config import TerrainCfg

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


def test_the_table_has_a_line_for_each_ground(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(measure_terrain, "CELLS", (0.1,))
    monkeypatch.setattr(measure_terrain, "COSTED_ROBOTS", 2)
    monkeypatch.setattr(measure_terrain, "COSTED_STEPS", 2)
    monkeypatch.setattr(measure_terrain, "COSTED_BLOCKS", 2)
    monkeypatch.setattr(sys, "argv", ["measure_terrain.py"])
    measure_terrain.main()
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("  ")[0] for line in lines].count("box") == 2
    assert sum(line.startswith("10 cm cells") for line in lines) == 3
    assert lines[-2].split()[0] == "plane" and lines[-2].split()[3:] == ["1.00", "(1.00-1.00)"]
    assert all(float(number.replace(",", "")) > 0.0 for number in lines[-1].split()[3:6])
