"""Files of figures: what they hold, and what is refused."""

import datetime
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from legged_gym.evaluation import results
from legged_gym.utils.errors import UserError

COLUMNS = {"survival": ("", 2), "rmse_vx": ("m/s", 3)}


def save(path: Path, figures: Any) -> dict[str, Any]:
    results.save(path, "Title", "Policies", COLUMNS, figures, "standard error", [0, 1])
    return results.load(path)


def test_a_file_says_what_made_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = Path(results.__file__).parents[1] / "scripts" / "evaluate.py"
    file = tmp_path / "x.json"
    monkeypatch.setattr(sys, "argv", [str(script), "--suite=track", "--result", str(file), "--seed=3"])
    rows = {"track": {"survival": 0.75, "rmse_vx": 0.1234, "drift": None}, "stand": {"survival": 1.0, "rmse_vx": None}}
    content = save(file, results.of_rows(rows, 64))
    assert content["command"] == "python legged_gym/scripts/evaluate.py --suite=track --seed=3"
    assert content["date"] == datetime.date.today().isoformat() and content["seeds"] == [0, 1]
    assert content["commit"] == results.commit() and "CPU cores" in content["hardware"]
    assert results.shown(content, "track", "survival") == "0.75 ± 0.05"
    assert results.shown(content, "track", "rmse_vx") == "0.123"
    with pytest.raises(KeyError):
        results.shown(content, "stand", "rmse_vx")


def test_figures_as_they_are_shown(tmp_path: Path) -> None:
    figures = {"a": {"survival": {"above": 170.0}}, "b": {"survival": {"low": -0.001, "high": 1234.0}}}
    content = save(tmp_path / "x.json", figures)
    assert results.shown(content, "a", "survival") == "> 170.00"
    assert results.shown(content, "b", "survival") == "0.00 to 1,234.00", "no -0"
    assert results.survival(1.0, 16)["spread"] == pytest.approx(0.5 / 17), "that all survive leaves a doubt"


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"commit": None}, "no commit"),
        ({"command": ""}, "command is empty"),
        ({"figures": {"a": {"speed": {"value": 1.0}}}}, "speed is no column"),
        ({"figures": {"a": {"survival": {"low": 1.0}}}}, "got {'low': 1.0}"),
        ({"figures": {"a": {"survival": {"value": float("nan")}}}}, "got {'value': nan}"),
        ({"spread": "", "figures": {"a": {"survival": {"value": 1.0, "spread": 0.1}}}}, "has a spread"),
    ],
)
def test_what_is_no_file_of_figures_is_refused(tmp_path: Path, change: dict[str, Any], text: str) -> None:
    file = tmp_path / "x.json"
    content = save(file, {"a": {"survival": {"value": 1.0}}}) | change
    file.write_text(json.dumps({name: value for name, value in content.items() if value is not None}))
    with pytest.raises(UserError, match=text):
        results.load(file)
