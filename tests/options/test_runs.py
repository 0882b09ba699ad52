"""Which run and which checkpoint is meant."""

import json
import os
import random
import shutil
import time
from datetime import datetime
from pathlib import Path

import pytest

from legged_gym.options import runs
from legged_gym.utils.checkpoint_names import checkpoints, iteration
from legged_gym.utils.errors import UserError


def make_run(parent: Path, name: str, mtime: float | None, *iterations: int) -> Path:
    """Makes a run with empty checkpoints; None leaves the time to the file system."""
    run = parent / name
    run.mkdir(parents=True)
    for number in iterations:
        path = run / f"model_{number}.pt"
        path.touch()
        if mtime is not None:
            os.utime(path, (mtime, mtime))
    return run


def names(parent: Path) -> list[str]:
    return [run.name for run in runs.runs_by_time(parent)]


def refusal(*args: object) -> str:
    with pytest.raises(UserError) as caught:
        runs.find_checkpoint(*args)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_the_newest_run_is_the_one_that_saved_last(tmp_path: Path) -> None:
    make_run(tmp_path, "Nov30_23-00-00_a", 1000.0, 1)
    make_run(tmp_path, "Dec01_08-00-00_b", 2000.0, 1)
    make_run(tmp_path, "Apr01_08-00-00_c", 500.0, 1)
    assert names(tmp_path) == ["Apr01_08-00-00_c", "Nov30_23-00-00_a", "Dec01_08-00-00_b"]
    make_run(tmp_path, "Nov29_23-00-00_long", 9000.0, 1)
    assert names(tmp_path)[-1] == "Nov29_23-00-00_long"


@pytest.mark.parametrize(
    "expected",
    [
        ["2025-11-30_23-59-59", "2025-12-01_00-00-00"],
        ["2024-12-05_10-00-00_b", "2025-08-01_10-00-00_a", "2026-01-05_10-00-00"],
        ["2024-03-01_00-00-00_z", "Dec24_10-00-00", "Jan02_10-00-00_x", "2025-01-03_10-00-00_a"],
        ["final", "2024-02-29_10-00-00", "Mar01_10-00-00"],
    ],
)
def test_runs_copied_together_are_sorted_by_the_time_in_their_names(tmp_path: Path, expected: list[str]) -> None:
    """Earlier versions wrote no year: then it is the last one before the checkpoints, here of January 2025."""
    shuffled = random.Random(0).sample(expected, len(expected))
    for name in shuffled:
        make_run(tmp_path, name, datetime(2025, 1, 4).timestamp(), 1)
    assert names(tmp_path) == expected


def test_a_run_without_a_checkpoint_is_no_run_to_load(tmp_path: Path) -> None:
    make_run(tmp_path, "Nov01_00-00-00", 10.0, 1)
    make_run(tmp_path, "Nov02_00-00-00", None)
    assert names(tmp_path) == ["Nov01_00-00-00"]
    assert "no checkpoint (model_<iteration>.pt) in" in refusal(tmp_path, "Nov02_00-00-00")


@pytest.mark.parametrize("newest", [-1, "-1", None, ""])
def test_newest_and_last_in_every_spelling(tmp_path: Path, newest: str | int | None) -> None:
    make_run(tmp_path, "Nov01_00-00-00", 10.0, 0, 9, 10, 100)
    assert runs.find_checkpoint(tmp_path, newest, newest).name == "model_100.pt"


def test_checkpoints_are_ordered_by_number(tmp_path: Path) -> None:
    run = make_run(tmp_path, "Nov01_00-00-00", 10.0, 9, 10, 2)
    (run / "model_best.pt").touch()
    (run / ".model_11.pt.123").touch()
    assert list(checkpoints(run)) == [2, 9, 10]
    assert runs.find_checkpoint(tmp_path).name == "model_10.pt"
    assert runs.find_checkpoint(tmp_path, run.name, 9).name == "model_9.pt"
    assert iteration(runs.find_checkpoint(tmp_path)) == 10


def test_a_run_can_be_given_as_a_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = make_run(tmp_path / "elsewhere", "good", 10.0, 3)
    monkeypatch.chdir(tmp_path)
    for path in (str(run), "elsewhere/good", "./elsewhere/good/"):
        assert runs.find_checkpoint(tmp_path / "logs", path) == run / "model_3.pt"


def test_a_checkpoint_can_be_given_as_a_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = make_run(tmp_path / "elsewhere", "good", 10.0, 3, 20)
    monkeypatch.chdir(run)
    for path in (str(run / "model_3.pt"), "model_3.pt", "./model_3.pt", "../good/model_3.pt"):
        for number in (-1, 3, "3"):
            assert runs.find_checkpoint(tmp_path / "logs", path, number) == run / "model_3.pt"
    assert "give one of them" in refusal(tmp_path, "model_3.pt", 20)
    (run / "other.pt").touch()
    assert "is not named model_<iteration>.pt" in refusal(tmp_path, "other.pt")
    assert f"there is nothing at {run / 'model_4.pt'}" in refusal(tmp_path, "model_4.pt")


def test_a_run_can_be_the_working_directory_or_lie_at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = make_run(tmp_path / "elsewhere", "good", 10.0, 3)
    (run / "play").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path))
    for folder, path in ((run, "."), (run / "play", ".."), (tmp_path, "~/elsewhere/good")):
        monkeypatch.chdir(folder)
        assert runs.find_checkpoint(tmp_path / "logs", path) == run / "model_3.pt"
    monkeypatch.chdir(run.parent)
    assert "it holds runs, name one of them: good" in refusal(tmp_path / "logs", ".")


def test_a_run_that_went_on_from_another_is_newer_whatever_the_clock_said(tmp_path: Path) -> None:
    first = make_run(tmp_path, "2026-05-01_12-00-00", 9000.0, 100)
    second = make_run(tmp_path, "2026-05-01_11-00-00", 8000.0, 200)
    make_run(tmp_path, "2026-05-01_10-00-00", 7000.0, 5000)
    assert runs.newest_run(tmp_path) == first
    (second / "train_cfg.json").write_text(json.dumps({"runner": {"resume": True, "load_run": str(first)}}))
    assert runs.newest_run(tmp_path) == second
    (first / "train_cfg.json").write_text(json.dumps({"runner": {"resume": True, "load_run": str(second)}}))
    assert runs.newest_run(tmp_path) == second, "no one can go round in circles"


def test_times_in_the_future_are_not_believed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ahead = make_run(tmp_path, "2026-05-01_12-00-00", time.time() + 1e6, 100)
    longest = make_run(tmp_path, "2026-05-01_11-00-00", time.time() - 10.0, 200)
    make_run(tmp_path, "2026-05-01_10-00-00", time.time(), 50)
    assert runs.find_checkpoint(tmp_path) == longest / "model_200.pt"
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"warning: checkpoints in {ahead} are dated in the future") and longest.name in line


def test_missing_things_list_what_is_there(tmp_path: Path) -> None:
    assert "no run with a checkpoint in" in refusal(tmp_path / "nowhere")
    for number in range(10):
        make_run(tmp_path, f"Nov{number + 10}_00-00-00", 100.0 * number, 1, 2)
    text = refusal(tmp_path, "Nov09_00-00-00")
    assert "no run 'Nov09_00-00-00' in" in text and "there are: Nov19_00-00-00, Nov18" in text
    assert text.endswith("and 2 older")
    assert "no checkpoint 3 in" in refusal(tmp_path, -1, 3) and "there are: 2, 1" in refusal(tmp_path, -1, 3)
    assert "no checkpoint two in" in refusal(tmp_path, -1, "two")


def test_new_run_directories(tmp_path: Path) -> None:
    now = datetime(2026, 11, 2, 3, 4, 5)
    assert runs.new_run_dir(tmp_path / "a" / "b", "mine", now).name == "2026-11-02_03-04-05_mine"
    assert runs.new_run_dir(tmp_path, "", now).name == "2026-11-02_03-04-05"
    assert runs.new_run_dir(tmp_path, "", now).name == "2026-11-02_03-04-06"
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"/file/a: cannot be made \(Not a directory\)"):
        runs.new_run_dir(tmp_path / "file" / "a", "")


@pytest.mark.parametrize("name", ["", "a/b", "..", "a\\b", "a\nb", "a\x1b[31m", "a\udcff"])
def test_names_that_lead_elsewhere_are_refused(name: str) -> None:
    with pytest.raises(UserError, match="--run_name"):
        runs.check_name("--run_name", name)
    runs.check_name("--run_name", "", may_be_empty=True)


def test_empty_run_directories_go_again(tmp_path: Path) -> None:
    (tmp_path / "keep").touch()
    run = runs.new_run_dir(tmp_path / "experiment" / "robot", "")
    runs.remove_if_empty(run)
    assert [path.name for path in tmp_path.iterdir()] == ["keep"]


def test_other_weights_get_nothing_that_was_said_of_these(tmp_path: Path) -> None:
    """Else a second judge would walk the old policy.onnx that lies beside the new checkpoint."""
    shipped = runs.policies_dir() / "PF_TRON1A" / "pointfoot_flat"
    run = tmp_path / "run"
    shutil.copytree(shipped, run)
    for name in ("exported/policy.onnx", "command.txt", "events.out.1", "simulation_3.pt"):
        (run / name).parent.mkdir(exist_ok=True)
        (run / name).touch()
    with runs.new_run_beside(run, "_other") as folder:
        assert {path.name for path in folder.iterdir()} == {"env_cfg.json", "train_cfg.json", "command.txt"}
    assert folder == tmp_path / "run_other" and folder.is_dir()
    with pytest.raises(UserError, match="is there already"), runs.new_run_beside(run, "_other"):
        pass
    assert folder.is_dir()


def test_a_run_beside_another_is_removed_if_it_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = make_run(tmp_path, "run", None, 1)
    with pytest.raises(KeyboardInterrupt), runs.new_run_beside(run, "_other"):
        raise KeyboardInterrupt

    def full(*_: object, **__: object) -> None:
        raise shutil.Error([("run/env_cfg.json", "run_other/env_cfg.json", "No space left on device")])

    monkeypatch.setattr(shutil, "copytree", full)
    with (
        pytest.raises(UserError, match=r"run_other: cannot be written \(No space left"),
        runs.new_run_beside(run, "_other"),
    ):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["run"]
