"""README and docs: links lead somewhere, the navigation is whole, figures are those of the files, words are plain."""

import importlib.util
import re
import subprocess
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
import yaml

from legged_gym.evaluation import results
from tests.docs import prose

ROOT = prose.ROOT
README = ROOT / "README.md"
PAGES = sorted({*prose.pages(), *(ROOT / "docs").rglob("*.md")})
LINK = re.compile(r"\[([^\]]*)\]\(([^)\s]+)\)")
FIGURE = re.compile(r"\[([^\]]*)\]\(([^)\s#]*results/[^)\s#]+\.json)#([^)\s]+)\)")
_UNITS = r"%|(?:M|k|thousand|million|ms|s|cm|kg|N|GiB|m/s|rad/s|times|of \d+)\b"
QUANTITY = re.compile(rf"(?<![\w.-])(?:\d[\d,.]*\s?(?:{_UNITS})|\d+\.\d+(?![\w.]))")
FACTS = {
    "18.6 kg",
    "3 cm",
    "20 s",
    "95 %",
    "0.2 m/s",
    "0.3 rad/s",
    "0.02 s",
    "1 m/s",
    "2.5 m/s",
    "3.11",
    "0.6",
}
"""Quantities of the README that are no measurement: the robot, definitions, what the picture shows, a row's label."""


def names(path: Path) -> str:
    return str(path.relative_to(ROOT))


def without_code(path: Path) -> str:
    return re.sub(r"```.*?```|`[^`\n]*`", "", path.read_text(encoding="utf-8"), flags=re.S)


def anchors(path: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub and the site make them."""
    heads = re.findall(r"^#+ +(.+)$", re.sub(r"```.*?```", "", path.read_text(encoding="utf-8"), flags=re.S), re.M)
    return {re.sub(r"[^\w\- ]", "", prose.plain(head).lower()).strip().replace(" ", "-") for head in heads}


def broken_links(path: Path) -> list[str]:
    found = []
    for _, target in LINK.findall(without_code(path)):
        if target.startswith(("http://", "https://")):
            continue
        file, _, anchor = unquote(target).partition("#")
        there = (path.parent / file).resolve() if file else path
        if not there.exists() or (anchor and there.suffix == ".md" and anchor not in anchors(there)):
            found.append(target)
    return found


@pytest.mark.parametrize("path", PAGES, ids=names)
def test_links_lead_somewhere(path: Path) -> None:
    assert not broken_links(path)


def test_broken_links_are_found(tmp_path: Path) -> None:
    (tmp_path / "there.md").write_text("# A head, it is\n")
    page = tmp_path / "page.md"
    page.write_text("[a](there.md) [b](there.md#a-head-it-is) [c](there.md#gone) [d](gone.md) `[e](code.md)`")
    assert broken_links(page) == ["there.md#gone", "gone.md"]


def nav_pages(entries: Any) -> list[str]:
    if isinstance(entries, str):
        return [entries]
    entries = [next(iter(entry.values())) if isinstance(entry, dict) else entry for entry in entries]
    return [page for entry in entries for page in nav_pages(entry)]


def test_every_page_is_in_the_navigation_once() -> None:
    text = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    listed = nav_pages(yaml.safe_load(text)["nav"])
    beside = {"index.md", "contributing.md", "changelog.md"}
    pages = {str(path.relative_to(ROOT / "docs")) for path in (ROOT / "docs").rglob("*.md")} - {"decisions/index.md"}
    decisions = {page for page in pages if page.startswith("decisions/")}
    assert len(listed) == len(set(listed))
    assert set(listed) - {"decisions/index.md"} == (pages - decisions) | beside
    index = (ROOT / "docs/decisions/index.md").read_text(encoding="utf-8")
    assert {f"decisions/{target}" for _, target in LINK.findall(index)} >= decisions


def misquoted(path: Path) -> list[str]:
    """Name the quoted figures that are not those of their files."""
    wrong = []
    for text, file, place in FIGURE.findall(path.read_text(encoding="utf-8")):
        content = results.load((path.parent / file).resolve())
        row, _, column = place.rpartition("/")
        try:
            expected = results.shown(content, row, column)
        except KeyError:
            expected = "no such figure"
        if text != expected:
            wrong.append(f"{place}: {text}, expected {expected}")
    return wrong


@pytest.mark.parametrize("path", PAGES, ids=names)
def test_quoted_figures_are_those_of_their_files(path: Path) -> None:
    assert not misquoted(path)


def test_wrong_figures_are_found(tmp_path: Path) -> None:
    file = ROOT / "benchmarks/results/flat_policy.json"
    page = tmp_path / "page.md"
    right = results.shown(results.load(file), "push_2.0", "survival")
    page.write_text(f"[{right}]({file}#push_2.0/survival) [0.99]({file}#push_2.0/survival) [1]({file}#push_9/survival)")
    assert [wrong.split(":")[0] for wrong in misquoted(page)] == ["push_2.0/survival", "push_9/survival"]


def unsourced(text: str) -> list[str]:
    """Return the quantities of a text that no file is named for."""
    text = re.sub(r"\]\(https?:[^)]*\)", "]", text)
    text = FIGURE.sub("", re.sub(r"```.*?```|`[^`\n]*`", "", text, flags=re.S))
    return [found for found in QUANTITY.findall(text) if found.strip() not in FACTS]


def test_every_figure_of_the_readme_is_from_a_file() -> None:
    assert not unsourced(README.read_text(encoding="utf-8"))
    assert unsourced(
        "It walks after 36 s, at 0.2 m/s, for 9.8 k steps and 3 of 3 seeds, survival 0.93; `--x=5 s`."
    ) == [
        "36 s",
        "9.8 k",
        "3 of 3",
        "0.93",
    ]
    first_screen = README.read_text(encoding="utf-8").partition("\n## ")[0]
    assert 1 <= len(FIGURE.findall(first_screen)) <= 5


def test_the_results_page_is_made_from_the_files() -> None:
    spec = importlib.util.spec_from_file_location("results_page", ROOT / "benchmarks/results_page.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.PAGE.read_text(encoding="utf-8") == module.page(), "run: python benchmarks/results_page.py"
    assert len(list(module.FILES.glob("*.json"))) > 10


def test_the_commits_of_the_files_are_in_the_history() -> None:
    """A file that names a commit of before a rebase cannot be measured again."""
    git = ["git", "-C", str(ROOT)]
    if (
        not (ROOT / ".git").exists()
        or subprocess.run([*git, "rev-parse", "--is-shallow-repository"], capture_output=True, text=True).stdout.strip()
        != "false"
    ):
        pytest.skip("needs the whole history")
    for path in sorted((ROOT / "benchmarks/results").glob("*.json")):
        commit = results.load(path)["commit"].removesuffix(" with changes")
        done = subprocess.run([*git, "merge-base", "--is-ancestor", commit, "HEAD"], capture_output=True, text=True)
        assert done.returncode == 0, f"{path.name}: commit {commit} {done.stderr}"


@pytest.mark.parametrize("path", prose.pages(), ids=names)
def test_pages_read_easily(path: Path) -> None:
    assert prose.page_ease(path) > prose.LEAST_EASE
    assert not prose.too_long(path)


def test_reading_ease_by_hand() -> None:
    assert [prose.syllables(word) for word in ("walk", "robot", "table", "asked", "needed", "the", "simulator")] == [
        1, 2, 2, 1, 2, 1, 4,
    ]  # fmt: skip
    assert prose.reading_ease("The cat sat. The dog ran.") == pytest.approx(206.835 - 1.015 * 3 - 84.6)
    hard = "Randomisation of multidimensional parameterisations necessitates considerable computational experimentation"
    assert prose.reading_ease(hard) < 0.0
    text = "# Head\n\nOne `code`\nline.\n\n- item\n  goes on\n- next\n\n```\ncode\n```\n| a | b |\n"
    assert [each.text for each in prose.paragraphs(text)] == ["One `code` line.", "item goes on", "next"]
