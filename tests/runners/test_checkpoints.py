"""When checkpoints are written, which ones stay, and what a disk that fails does to a run."""

import errno
import itertools
import os
import shutil
import socket
from pathlib import Path
from typing import Any

import pytest
import torch

from legged_gym.runners import checkpoints as module
from legged_gym.runners.checkpoints import Checkpoints, simulation_file
from legged_gym.runners.config import RunnerCfg
from legged_gym.utils import checkpoint
from legged_gym.utils.checkpoint import load_checked, sweep
from legged_gym.utils.errors import UserError
from tests.interruptions import interrupted
from tests.runners.making import small_run


def contents() -> dict[str, Any]:
    return {"iter": 1, "x": torch.zeros(2)}


def folder(path: Path, **cfg: Any) -> Checkpoints:
    path.mkdir(exist_ok=True)
    return Checkpoints(path, RunnerCfg(**cfg), lambda folder: (folder / "env_cfg.json").write_text("{}"))


def names(path: Path) -> list[str]:
    return sorted(p.name for p in path.iterdir() if p.name != "env_cfg.json")


def test_checkpoints_come_by_iteration_and_by_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(module.time, "monotonic", lambda: now)
    c = folder(tmp_path, save_interval=50, save_seconds=45)
    assert [c.due(i) for i in (1, 49, 50, 51, 100)] == [False, False, True, False, True]
    now += 46.0
    assert c.due(51)
    c.save(51, contents)
    assert not c.due(52)
    assert not folder(tmp_path, save_seconds=0).due(52)


def test_saving_takes_a_small_share_of_the_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])

    def slow() -> dict[str, Any]:
        now[0] += 10.0
        return contents()

    c = folder(tmp_path)
    c.save(1, slow)
    now[0] += 400.0
    assert not c.due(2), "10 s of saving in 410 s are more than 2 %"
    now[0] += 101.0
    assert c.due(2)


def test_a_checkpoint_is_never_written_again(tmp_path: Path) -> None:
    c = folder(tmp_path)
    path = c.save(1, contents)
    assert path is not None
    before = path.read_bytes()
    assert c.save(1, lambda: {"x": torch.ones(2)}) == path and path.read_bytes() == before


def test_the_newest_and_some_older_ones_stay(tmp_path: Path) -> None:
    c = folder(tmp_path, save_interval=10, keep=(2, 3))
    for iteration in range(5, 75, 5):
        c.save(iteration, contents, contents)
    assert names(tmp_path) == ["model_30.pt", "model_60.pt", "model_65.pt", "model_70.pt", "simulation_70.pt"]
    c = folder(tmp_path / "all", keep=(0, 0))
    for iteration in range(8):
        c.save(iteration, contents)
    assert len(names(tmp_path / "all")) == 8


class FullDisk:
    """Takes a few bytes of files whose path holds a word, and then no more, until it is `full` no longer."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, word: str, number: int = errno.ENOSPC) -> None:
        self.full = True
        whole = Path.open

        def opened(path: Path, *arguments: Any, **options: Any) -> Any:
            file = whole(path, *arguments, **options)
            return Limited(file, number) if self.full and word in str(path) and "wb" in arguments else file

        monkeypatch.setattr(Path, "open", opened)


class Limited:
    """A file that takes some bytes."""

    def __init__(self, file: Any, number: int) -> None:
        self.file, self.number, self.room = file, number, 100

    def __getattr__(self, name: str) -> Any:
        return getattr(self.file, name)

    def __enter__(self) -> "Limited":
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()

    def write(self, data: bytes) -> int:
        self.room -= len(data)
        if self.room < 0:
            raise OSError(self.number, os.strerror(self.number))
        return self.file.write(data)


def test_a_full_disk_is_said_and_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """In the system's words: torch has others for it."""
    c = folder(tmp_path)
    first = c.save(1, contents)
    disk = FullDisk(monkeypatch, "model_")
    assert c.save(2, contents, contents) is None
    said = capsys.readouterr().out
    assert said.count("\n") == 1 and f"{tmp_path}/model_2.pt: cannot be written (No space left on device)" in said
    assert names(tmp_path) == ["model_1.pt"] and first is not None and load_checked(first)["iter"] == 1
    disk.full = False
    assert c.save(3, contents) is not None


def test_a_checkpoint_does_not_fail_with_what_lies_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of which there may be a hundred times as much."""
    FullDisk(monkeypatch, "simulation_", errno.EDQUOT)
    c = folder(tmp_path)
    assert c.save(1, contents, contents) == tmp_path / "model_1.pt" and names(tmp_path) == ["model_1.pt"]
    said = capsys.readouterr().out
    assert said.count("\n") == 1 and "simulation_1.pt: cannot be written (Disk quota exceeded)" in said
    assert "a run that resumes model_1.pt will begin with new robots" in said


def test_a_signal_leaves_no_checkpoint_without_what_lies_beside_it(tmp_path: Path) -> None:
    """A run that is stopped at once while it saves goes on with its robots, from this checkpoint or the one before."""
    for call in itertools.count():
        run = tmp_path / str(call)
        c = folder(run)
        c.save(1, contents, contents)
        stopped = False
        try:
            with interrupted(call):
                c.save(2, contents, contents)
        except KeyboardInterrupt:
            stopped = True
        newest = max(run.glob("model_*.pt"), key=lambda path: path.name)
        assert load_checked(newest) and load_checked(simulation_file(newest)), f"stopped in call {call}"
        assert not list(run.glob(".*")), f"stopped in call {call}"
        if not stopped:
            break
    assert names(run) == ["model_1.pt", "model_2.pt", "simulation_2.pt"]
    assert call > 100


def test_the_last_one_goes_elsewhere_rather_than_nowhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(module.tempfile, "mkdtemp", lambda prefix: str(tmp_path / "elsewhere"))
    c = folder(tmp_path / "run")
    FullDisk(monkeypatch, str(tmp_path / "run"), errno.EROFS)
    with pytest.raises(UserError) as caught:
        c.save_last(7, contents)
    elsewhere = tmp_path / "elsewhere" / "run"
    assert str(caught.value) == (
        f"{tmp_path}/run/model_7.pt: cannot be written (Read-only file system); it is in {elsewhere}: go on with "
        f"--resume --load_run={elsewhere}"
    )
    assert names(elsewhere) == ["model_7.pt"] and (elsewhere / "env_cfg.json").is_file(), "so it can be resumed"
    assert names(tmp_path / "run") == [] and capsys.readouterr().out == "", "there is no next try to speak of"


def test_the_last_one_is_lost_only_where_nothing_can_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module.tempfile, "mkdtemp", lambda prefix: str(tmp_path / "elsewhere"))
    c = folder(tmp_path / "run")
    FullDisk(monkeypatch, "")
    with pytest.raises(UserError, match=r"nor .*elsewhere.* since the last checkpoint is lost") as caught:
        c.save_last(7, contents)
    assert "\n" not in str(caught.value) and not (tmp_path / "elsewhere").exists()


def test_a_run_whose_folder_was_removed_goes_on(tmp_path: Path) -> None:
    run = small_run(tmp_path / "run", **{"train.runner.save_interval": 1})
    run.after_iteration = lambda scalars: shutil.rmtree(tmp_path / "run", ignore_errors=True)
    run.learn(2)
    assert {"env_cfg.json", "train_cfg.json", "model_2.pt"} <= {path.name for path in (tmp_path / "run").iterdir()}


def test_an_update_that_fails_overwrites_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = small_run(tmp_path / "run", **{"train.runner.save_interval": 1})
    run.learn(2)
    before = {path.name: path.read_bytes() for path in (tmp_path / "run").glob("*.pt")}

    def half() -> None:
        with torch.no_grad():
            run.alg.actor.mlp[0].weight.fill_(1.0)
        raise KeyboardInterrupt

    monkeypatch.setattr(run.alg, "learn", half)
    with pytest.raises(KeyboardInterrupt):
        run.learn(2)
    assert {path.name: path.read_bytes() for path in (tmp_path / "run").glob("*.pt")} == before


def test_temporary_files_of_dead_processes_are_swept(tmp_path: Path) -> None:
    host = checkpoint._host()
    dead = 2**22 - 3  # above what Linux gives out by default, or nobody's for long
    kept = [f".model_1.pt.{host}.{os.getpid()}", f".model_1.pt.elsewhere.{dead}", "model_1.pt", ".model_2.pt.x"]
    for name in (*kept, f".model_1.pt.{host}.{dead}", f".simulation_1.pt.{host}.{dead}"):
        (tmp_path / name).touch()
    assert sweep(tmp_path) == 2 and names(tmp_path) == sorted(kept)
    assert "/" not in host and socket.gethostname()


def test_neighbouring_runs_are_swept_at_the_start(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    left = tmp_path / "other" / f".model_1.pt.{checkpoint._host()}.{2**22 - 3}"
    left.touch()
    folder(tmp_path / "run")
    assert not left.exists()


def test_curves_go_on_after_a_full_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = small_run(tmp_path / "run", **{"train.runner.save_interval": 2})
    written = []

    full = []

    def add(writer: object, tag: str, value: float, step: int, *_: object) -> None:
        if not full:
            full.append(step)
            raise OSError(errno.ENOSPC, "No space left on device")
        written.append(step)

    monkeypatch.setattr("legged_gym.runners.curves.TensorboardWriter.add_scalar", add)
    run.learn(4)
    assert ": curves cannot be written (" in capsys.readouterr().out
    assert {step // full[0] for step in written} == {3, 4}, "from the next checkpoint on"
    assert simulation_file(tmp_path / "run" / "model_4.pt").is_file()
