"""Programs that train start without garbage collection, and train with it."""

import gc
import importlib.util
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from legged_gym import __main__ as programs
from legged_gym.utils import startup


@pytest.fixture(autouse=True)
def collecting() -> Iterator[None]:
    yield
    gc.enable()
    gc.unfreeze()


@pytest.mark.parametrize("name", ["train", "train_teacher", "play"])
def test_only_what_trains_starts_so(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    seen: list[bool] = []
    script = importlib.import_module(f"legged_gym.scripts.{name}")
    monkeypatch.setattr(script, "main", lambda: seen.append(gc.isenabled()))
    monkeypatch.setattr(programs.signals, "watch", lambda: None)
    programs.run_script(name)
    assert seen == [name == "play"]


def test_what_is_there_at_the_end_is_not_looked_at_again() -> None:
    gc.unfreeze()
    startup.ends()
    assert gc.isenabled() and gc.get_freeze_count() == 0, "where the start never began, nothing changes"
    startup.begins()
    assert not gc.isenabled()
    startup.ends()
    assert gc.isenabled() and gc.get_freeze_count() > 1000


@pytest.mark.parametrize(
    ("argv", "rank", "judged"),
    [
        (["train.py", "--until_walking"], "0", True),
        (["train.py", "--until_walking"], "1", False),
        (["train.py", "--headless", "--evaluate_every=5000"], "0", True),
        (["train.py", "--evaluate_every", "5000"], "0", True),
        (["train.py", "--headless"], "0", False),
    ],
)
def test_what_walks_the_gate_is_imported_beside(
    monkeypatch: pytest.MonkeyPatch, argv: list[str], rank: str, judged: bool
) -> None:
    begun: list[str] = []
    waits: list[bool] = []
    monkeypatch.setattr(startup.early_server, "begins", begun.append)
    monkeypatch.setattr(startup.late_compiler, "begins", lambda: waits.append(True))
    monkeypatch.setattr(sys, "argv", argv)
    monkeypatch.setenv("RANK", rank)
    startup.begins()
    assert begun == ["legged_gym.evaluation.judge_imports"] * judged
    assert all(importlib.util.find_spec(name) for name in begun)
    assert bool(waits) == ("--until_walking" in argv), "longer training is a user's, who may compile"


def test_when_this_process_began_is_known_to_a_fraction_of_a_second() -> None:
    before = time.time()
    code = "import time; now = time.time(); from legged_gym.utils import startup; print(startup.process_began(), now)"
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    began, first = map(float, output.split())
    assert before - 0.05 < began < first, "after it was asked for, and before its first line"
