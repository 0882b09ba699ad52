"""Means over seeds of evaluate.py's files."""

import json
import sys
from pathlib import Path

import pytest

from benchmarks import mean_of_seeds
from legged_gym.evaluation import results
from legged_gym.utils.errors import UserError


def write(path: Path, seed: int, survival: float, row: str = "track") -> str:
    values = {"n": 50, "survival": survival, "rmse_vx": 0.1 * seed, "dcm_error": None}
    path.write_text(json.dumps({"seed": seed, "rows": {row: values}}))
    return str(path)


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> None:
    monkeypatch.setattr(sys, "argv", ["mean_of_seeds.py", "--title=Two seeds", *arguments])
    mean_of_seeds.main()


def test_survival_is_that_of_all_robots_and_errors_are_means(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    files = [write(tmp_path / "0.json", 1, 0.9), write(tmp_path / "1.json", 3, 0.7)]
    run(monkeypatch, f"--result={tmp_path / 'result.json'}", *files)
    content = results.load(tmp_path / "result.json")
    assert content["seeds"] == [1, 3] and content["spread"] == "standard error of 100 robots"
    assert content["figures"] == {
        "track": {"rmse_vx": {"value": pytest.approx(0.2)}, "survival": results.survival(0.8, 100)}
    }


def test_files_that_do_not_belong_together_are_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    one, other = write(tmp_path / "0.json", 0, 0.9), write(tmp_path / "1.json", 1, 0.7, row="push_1.0")
    result = tmp_path / "result.json"
    with pytest.raises(UserError, match=r"1.json: has the rows \['push_1.0'\], .*0.json has \['track'\]"):
        run(monkeypatch, f"--result={result}", one, other)
    with pytest.raises(UserError, match=r"the seeds are \[0, 0\]: give each file once"):
        run(monkeypatch, f"--result={result}", one, one)
    assert not result.exists()
