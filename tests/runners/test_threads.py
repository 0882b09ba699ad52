"""Threads of an update: measured, noted, and kept by runs that go on."""

from pathlib import Path

import pytest
import torch

from legged_gym.runners import threads
from legged_gym.runners.threads import busy_note, update_threads
from tests.runners.making import small_run


@pytest.fixture(autouse=True)
def free(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)


@pytest.mark.parametrize(("together", "chosen"), [(0.5, 4), (0.95, 1), (14.0, 1)])
def test_more_threads_only_where_they_are_faster(monkeypatch: pytest.MonkeyPatch, together: float, chosen: int) -> None:
    monkeypatch.setattr(threads, "_seconds", lambda run, count: 1.0 if count == 1 else together)
    assert update_threads(0, 64, 128, available=4) == chosen


def test_who_says_a_number_gets_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "_seconds", None)  # nothing is measured
    assert update_threads(3, 64, 128, available=4) == 3
    assert update_threads(0, 64, 128, available=1) == 1
    monkeypatch.setenv("OMP_NUM_THREADS", "4")
    assert update_threads(0, 64, 128, available=4) == 4


def test_measuring_draws_no_random_number_and_changes_no_setting() -> None:
    state, count = torch.get_rng_state(), torch.get_num_threads()
    assert update_threads(0, 16, 32, available=2) in (1, 2)
    assert torch.equal(torch.get_rng_state(), state) and torch.get_num_threads() == count


def test_the_choice_is_noted_in_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    monkeypatch.setattr(threads, "_seconds", lambda run, count: float(count))
    run = small_run(tmp_path / "run", **{"train.runner.update_threads": 0})
    assert run.update_threads == run.train_cfg.runner.update_threads == 1


def test_a_busy_machine_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.getloadavg", lambda: (7.9, 0.0, 0.0))
    assert busy_note(2) == "note: this machine is busy (load 7.9 on 2 cores): training is slower for it"
    assert busy_note(64) is None
