"""Bars are for who looks at a terminal, and for nobody else."""

import io
from contextlib import redirect_stdout
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from legged_gym.evaluation.recording import FilmRecorder, filming
from legged_gym.utils import progress
from legged_gym.utils.progress import progress_bar


class Terminal(io.StringIO):
    """Takes a bar."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    monkeypatch.setenv("TERM", "xterm")
    return Terminal()


def test_a_file_gets_what_is_printed_and_no_bar(capsys: pytest.CaptureFixture[str]) -> None:
    with progress_bar("work", 3) as bar:
        bar.set(1.0, "more work")
        print("a line")
        bar.advance()
    assert capsys.readouterr().out == "a line\n" and bar.done == 2.0


def test_a_terminal_shows_how_far_it_is_and_lines_above(terminal: Terminal) -> None:
    with redirect_stdout(terminal), progress_bar("work", 4, whole=True) as bar:
        bar.set(3.0, "the rest")
        print("a line")
        bar._progress.refresh()  # type: ignore[union-attr]
    text = terminal.getvalue()
    assert "a line" in text and "the rest" in text and "3/4" in text
    assert progress._shown == []


def test_work_within_work_shows_no_bar_of_its_own_and_a_failure_takes_it_away(terminal: Terminal) -> None:
    with redirect_stdout(terminal), pytest.raises(ValueError), progress_bar("outer", 1):
        with progress_bar("inner", 1) as bar:
            bar.set(0.5)
        assert "inner" not in terminal.getvalue()
        raise ValueError
    assert progress._shown == [] and "outer" in terminal.getvalue()


def test_a_film_says_how_much_of_it_is_there(terminal: Terminal) -> None:
    class Film(FilmRecorder):
        render_size = (4, 2)

        def _append(self, picture: Any, caption: str) -> None:
            pass

        def _finish(self) -> None:
            pass

    sim = SimpleNamespace(render=lambda *_, **__: None)
    film = Film(SimpleNamespace(dt=0.02, sim=sim), Path("film.mp4"), 50.0)
    with redirect_stdout(terminal), filming(film, 0.2):
        for _ in range(5):
            film.add()
        assert film.bar is not None and film.bar._progress is not None
        film.bar._progress.refresh()
        assert film.bar.done == pytest.approx(0.1)
    assert "50 %" in terminal.getvalue()
    with filming(None, 1.0), filming(film, float("inf")):
        film.add()


@pytest.mark.parametrize("name", ["dumb", "unknown"])
def test_a_terminal_that_cannot_draw_gets_none(terminal: Terminal, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv("TERM", name)
    with redirect_stdout(terminal), progress_bar("work", 1) as bar:
        bar.set(1.0)
    assert terminal.getvalue() == ""
