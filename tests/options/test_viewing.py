"""Which viewer is meant."""

import sys

import pytest

from legged_gym.options import viewing
from legged_gym.options.viewing import Viewing, choose_viewer
from legged_gym.utils.errors import UserError


class Terminal:
    def isatty(self) -> bool:
        return True


@pytest.fixture
def no_display(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> None:
        raise UserError("no display")

    monkeypatch.setattr(viewing, "require_display", refuse)
    monkeypatch.setattr(viewing, "has_viser", lambda: True)


def choose(viewer: str | None = None, *, headless: bool = False, required: bool = False, films: bool = False) -> str:
    return choose_viewer(Viewing(viewer), headless, required=required, films=films)


def test_a_display_gets_a_window(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(viewing, "require_display", lambda: None)
    assert choose() == choose("native") == choose(films=True) == "native"
    assert choose(headless=True) == choose("none") == "none"


def test_without_a_display_a_terminal_gets_a_page_and_a_program_a_film(
    no_display: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", Terminal())
    assert choose() == choose("web") == choose("web", headless=True) == "web"
    assert choose(films=True) == "none", "who asks for a film does not wait for a visitor"
    monkeypatch.setattr(sys, "stdin", None)
    assert choose() == "none"


def test_training_without_a_display_says_what_to_do(no_display: None) -> None:
    with pytest.raises(UserError, match="--viewer=web"):
        choose(required=True)
    assert choose(headless=True, required=True) == "none"


def test_what_is_named_has_to_be_possible(no_display: None, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match="no display"):
        choose("native")
    monkeypatch.setattr(viewing, "has_viser", lambda: False)
    with pytest.raises(UserError, match=r"pip install -e '\.\[viewer\]'"):
        choose("web")
    monkeypatch.setattr(sys, "stdin", Terminal())
    assert choose() == "none", "a page is not offered where it cannot be made"
