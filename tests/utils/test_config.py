"""Typed configs: what is accepted, what is refused, and what the refusal says."""

import copy
import json
import math
import pickle
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest

from legged_gym.utils.config import (
    Config,
    ConfigError,
    bounded,
    check,
    fields_of,
    from_dict,
    load_json,
    save_json,
    set_by_path,
    to_dict,
)


@dataclass
class CommandsCfg(Config):
    resampling_time: float = bounded(5.0, gt=0)
    lin_vel_x: tuple[float, float] = bounded((-1.0, 1.0), ge=-3, le=3)
    heading: bool = False
    points: tuple[float, ...] = ()
    names: tuple[str, ...] = ("base_Link",)

    def validate(self) -> None:
        if self.lin_vel_x[0] > self.lin_vel_x[1]:
            raise ConfigError(f"lin_vel_x: the lower end is above the upper end: {self.lin_vel_x}")


@dataclass
class AssetCfg(Config):
    robot_type: str | None = None
    fix: Literal["free", "fixed"] = "free"
    delay: float | None = bounded(None, ge=0)
    stiffness: dict[str, float] = field(default_factory=lambda: {"hip": 42.0})


@dataclass
class RobotCfg(Config):
    num_envs: int = bounded(4, ge=1)
    mesh_type: str = bounded("plane", choices=("plane", "heightfield"))
    commands: CommandsCfg = field(default_factory=CommandsCfg)
    asset: AssetCfg = field(default_factory=AssetCfg)


@dataclass
class FastCommandsCfg(CommandsCfg):
    extra: int = 1


@dataclass
class FastRobotCfg(RobotCfg):
    commands: CommandsCfg = field(default_factory=FastCommandsCfg)


def refusal(call: Any, *args: Any, **kwargs: Any) -> str:
    """Returns the text of the ConfigError a call raises, after checking that it is one line."""
    with pytest.raises(ConfigError) as caught:
        call(*args, **kwargs)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_construction_checks_and_converts() -> None:
    cfg = CommandsCfg(resampling_time=3, lin_vel_x=(0, 1))
    assert type(cfg.resampling_time) is float and cfg.lin_vel_x == (0.0, 1.0)
    assert type(cfg.lin_vel_x[0]) is float
    text = refusal(CommandsCfg, resampling_time=0)
    assert text == "CommandsCfg.resampling_time: got 0, expected float, > 0"
    assert "did you mean 'resampling_time'" in refusal(CommandsCfg, **{"resampling_tme": 1.0})


def test_assignment_checks_value_and_name() -> None:
    cfg = RobotCfg()
    assert refusal(setattr, cfg, "num_envs", 0) == "RobotCfg.num_envs: got 0, expected int, >= 1"
    assert cfg.num_envs == 4
    text = refusal(setattr, cfg, "num_env", 8)
    assert "unknown field of RobotCfg 'num_env'; did you mean 'num_envs'?" in text
    assert "asset, commands, mesh_type, num_envs" in text
    assert "one of plane, heightfield" in refusal(setattr, cfg, "mesh_type", "trimesh")
    assert "expected CommandsCfg" in refusal(setattr, cfg, "commands", AssetCfg())


@pytest.mark.parametrize("value", [True, 1.0, "1", None, math.nan])
def test_int_field_takes_only_ints(value: object) -> None:
    refusal(setattr, RobotCfg(), "num_envs", value)


@pytest.mark.parametrize("value", [True, "1", None, math.nan, math.inf, 1e39, 10**400])
def test_float_field_takes_only_finite_numbers(value: object) -> None:
    refusal(setattr, CommandsCfg(), "resampling_time", value)


def test_numpy_numbers_become_plain_ones() -> None:
    cfg = RobotCfg(num_envs=np.int64(8))  # type: ignore[arg-type]
    cfg.commands.resampling_time = np.float32(0.5)  # type: ignore[assignment]
    assert type(cfg.num_envs) is int and type(cfg.commands.resampling_time) is float


def test_bounds_hold_for_each_element() -> None:
    assert "(float, float), >= -3 and <= 3" in refusal(CommandsCfg, lin_vel_x=(-4.0, 1.0))
    refusal(CommandsCfg, lin_vel_x=(0.0, 1.0, 2.0))


def test_cross_field_checks_run_on_construction_and_by_check() -> None:
    assert "lower end is above" in refusal(CommandsCfg, lin_vel_x=(1.0, -1.0))
    cfg = RobotCfg()
    cfg.commands.lin_vel_x = (2.0, 1.0)
    assert refusal(check, cfg).startswith("commands: lin_vel_x: the lower end")
    cfg.commands.lin_vel_x = (1.0, 2.0)
    check(cfg)


def test_check_sees_a_dict_changed_in_place() -> None:
    cfg = RobotCfg()
    cfg.asset.stiffness["hip"] = "stiff"  # type: ignore[assignment]
    assert refusal(check, cfg).startswith("asset.stiffness: got")


@pytest.mark.parametrize(
    ("path", "text", "value"),
    [
        ("commands.resampling_time", "3", 3.0),
        ("commands.resampling_time", "1e-1", 0.1),
        ("num_envs", "16", 16),
        ("mesh_type", "heightfield", "heightfield"),
        ("commands.heading", "True", True),
        ("commands.heading", "false", False),
        ("commands.lin_vel_x", "-1,1", (-1.0, 1.0)),
        ("commands.lin_vel_x", "(-1, 1)", (-1.0, 1.0)),
        ("commands.lin_vel_x", "[-1,1]", (-1.0, 1.0)),
        ("commands.lin_vel_x", "(\u22121,1)", (-1.0, 1.0)),
        ("commands.points", "2", (2.0,)),
        ("commands.points", "()", ()),
        ("commands.names", "base_Link,abad_L_Link", ("base_Link", "abad_L_Link")),
        ("commands.names", "['a', 'b']", ("a", "b")),
        ("asset.robot_type", "PF_TRON1A", "PF_TRON1A"),
        ("asset.robot_type", "none", None),
        ("asset.robot_type", "'none'", "none"),
        ("asset.delay", "0.5", 0.5),
        ("asset.delay", "None", None),
        ("asset.fix", "fixed", "fixed"),
        ("asset.stiffness", "{'hip': 3}", {"hip": 3.0}),
    ],
)
def test_set_by_path(path: str, text: str, value: object) -> None:
    cfg = RobotCfg()
    set_by_path(cfg, path, text)
    node: Any = cfg
    for name in path.split("."):
        node = getattr(node, name)
    assert node == value and type(node) is type(value)


@pytest.mark.parametrize(
    ("path", "text", "message"),
    [
        ("commands.resampling_time", "fast", "commands.resampling_time: got 'fast', expected float, > 0"),
        ("commands.resampling_time", "-1", "commands.resampling_time: got -1.0, expected float, > 0"),
        ("commands.resampling_time", "1e39", "got '1e39', expected float, > 0, of at most 3.4e+38"),
        ("commands.resampling_tme", "1", "commands.resampling_tme: unknown field 'resampling_tme'; did you mean"),
        ("comands.heading", "1", "did you mean 'commands'"),
        ("commands", "1", "commands: is a section; set one of its fields: resampling_time, lin_vel_x"),
        ("num_envs.x", "1", "num_envs.x: 'num_envs' is a value, not a section"),
        ("num_envs", "2.0", "num_envs: got '2.0', expected int, >= 1"),
        ("num_envs", "__import__('os').getcwd()", "expected int"),
        ("commands.lin_vel_x", "1", "expected (float, float)"),
        ("commands.heading", "maybe", "expected true or false"),
        ("asset.fix", "loose", "expected one of free, fixed"),
        ("asset.delay", "-1", "expected float or none, >= 0"),
        ("asset.robot_type", "a\0b", r"got 'a\x00b', expected str or none"),
        ("", "1", "unknown field ''"),
    ],
)
def test_set_by_path_refusals(path: str, text: str, message: str) -> None:
    cfg = RobotCfg()
    assert message in refusal(set_by_path, cfg, path, text)
    assert cfg == RobotCfg()


def test_json_round_trip_restores_tuples(tmp_path: Path) -> None:
    cfg = RobotCfg(num_envs=7)
    cfg.commands.lin_vel_x = (-0.5, 0.5)
    save_json(cfg, tmp_path / "cfg.json")
    assert load_json(RobotCfg(), tmp_path / "cfg.json") == cfg


def test_fields_are_read_strictly_and_the_config_stays() -> None:
    cfg = RobotCfg()
    assert fields_of(cfg, {"commands": {"heading": True, "lin_vel_x": [0, 1]}}) == {
        "commands.heading": True,
        "commands.lin_vel_x": (0.0, 1.0),
    }
    assert cfg == RobotCfg()
    assert refusal(fields_of, cfg, {"commands": {"headng": True}}).startswith("commands.headng: unknown field")
    assert "expected a section" in refusal(fields_of, cfg, {"commands": 3})


def test_a_config_from_nested_dicts() -> None:
    assert from_dict(RobotCfg, {"commands": {"heading": True}}).commands.resampling_time == 5.0
    assert "lower end is above" in refusal(from_dict, RobotCfg, {"commands": {"lin_vel_x": [2, 1]}})


def test_a_saved_config_keeps_what_the_file_does_not_name(tmp_path: Path) -> None:
    """Defaults of the task's, which need not be those of the class, and the fields that a task has added."""
    (tmp_path / "cfg.json").write_text(json.dumps({"commands": {"extra": 2}}))
    cfg = load_json(FastRobotCfg(num_envs=9), tmp_path / "cfg.json")
    assert isinstance(cfg.commands, FastCommandsCfg) and cfg.commands.extra == 2 and cfg.num_envs == 9
    (tmp_path / "cfg.json").write_text(json.dumps({"commands": {"lin_vel_x": [2, 1]}}))
    assert "lower end is above" in refusal(load_json, RobotCfg(), tmp_path / "cfg.json")


def test_load_json_errors_name_the_file(tmp_path: Path) -> None:
    assert "cannot be read" in refusal(load_json, RobotCfg(), tmp_path / "none.json")
    (tmp_path / "bad.json").write_text("{")
    assert "bad.json: is not a JSON config" in refusal(load_json, RobotCfg(), tmp_path / "bad.json")
    (tmp_path / "odd.json").write_text(json.dumps({"num_envs": -1}))
    assert "odd.json: num_envs: got -1" in refusal(load_json, RobotCfg(), tmp_path / "odd.json")


def test_load_json_skips_fields_that_are_no_more_and_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old = {"num_envs": 7, "num_legs": 2, "commands": {"jump": 0.3, "heading": True}, "gone": {"a": 1}}
    (tmp_path / "old.json").write_text(json.dumps(old))
    cfg = load_json(RobotCfg(), tmp_path / "old.json")
    assert cfg.num_envs == 7 and cfg.commands.heading
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"warning: {tmp_path / 'old.json'}: ") and line.endswith(": num_legs, commands.jump, gone")
    save_json(cfg, tmp_path / "new.json")
    assert load_json(RobotCfg(), tmp_path / "new.json") == cfg
    assert capsys.readouterr().err == ""


def test_copies_are_independent() -> None:
    cfg = RobotCfg()
    for other in (copy.deepcopy(cfg), pickle.loads(pickle.dumps(cfg))):
        assert other == cfg
        other.commands.heading = True
        assert not cfg.commands.heading
    to_dict(cfg)["asset"]["stiffness"]["hip"] = 0.0
    assert cfg.asset.stiffness["hip"] == 42.0


def test_default_overridden_without_annotation_is_refused() -> None:
    @dataclass
    class Bad(CommandsCfg):
        heading = True

    assert "needs its annotation" in refusal(Bad)
