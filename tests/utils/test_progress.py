"""Bars are for who looks at a terminal, and for nobody else."""

import io
import sys

import pytest

from legged_gym.utils import progress
from legged_gym.utils.progress import progress_bar


class Terminal(io.StringIO):
    """Takes a bar."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    made = Terminal()
    monkeypatch.setattr(sys, "stdout", made)
    monkeypatch.setenv("TERM", "xterm")
    return made


def test_a_file_gets_what_is_printed_and_no_bar(capsys: pytest.CaptureFixture[str]) -> None:
    with progress_bar("work", 3) as bar:
        bar.set(1.0, "more work")
        print("a line")
        bar.advance()
    assert capsys.readouterr().out == "a line\n" and bar.done == 2.0


def test_a_terminal_shows_how_far_it_is_and_lines_above(terminal: Terminal) -> None:
    with progress_bar("work", 4, whole=True) as bar:
        bar.set(3.0, "the rest")
        print("a line")
        bar._progress.refresh()  # type: ignore[union-attr]
    text = terminal.getvalue()
    assert "a line" in text and "the rest" in text and "3/4" in text
    assert progress._shown == []


def test_work_within_work_shows_no_bar_of_its_own_and_a_failure_takes_it_away(terminal: Terminal) -> None:
    with pytest.raises(ValueError), progress_bar("outer", 1):
        with progress_bar("inner", 1) as bar:
            bar.set(0.5)
        assert "inner" not in terminal.getvalue()
        raise ValueError
    assert progress._shown == [] and "outer" in terminal.getvalue()


@pytest.mark.parametrize("name", ["dumb", "unknown"])
def test_a_terminal_that_cannot_draw_gets_none(terminal: Terminal, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv("TERM", name)
    with progress_bar("work", 1) as bar:
        bar.set(1.0)
    assert terminal.getvalue() == ""
