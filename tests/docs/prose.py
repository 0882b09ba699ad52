"""How easily the pages read: `python -m tests.docs.prose` reports the Flesch reading ease of each.

Flesch (1948): 206.835 - 1.015 words / sentences - 84.6 syllables / words. 60 to 70 is plain English, below 50 is hard.
Counted are paragraphs and list items; not code, tables, headings, pictures and formulas.
"""

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LEAST_EASE, MOST_LINES, LINE = 50.0, 5, 120
"""Bars: the reading ease of a page, the lines of a paragraph, and characters of a line."""
_SENTENCE = re.compile(r"[.!?](?:\s|$)")


def pages() -> list[Path]:
    """All pages that people have written; docs/results.md is made from files, docs/api/ from docstrings."""
    written = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")]
    found = sorted((ROOT / "docs").rglob("*.md"))
    return written + [path for path in found if path.name != "results.md" and path.parent.name != "api"]


@dataclass(frozen=True)
class Paragraph:
    line: int
    """Where it begins, from 1 on."""
    text: str
    """In one line, as it is shown."""


def paragraphs(markdown: str) -> list[Paragraph]:
    """Return the paragraphs and list items, without code, tables, headings and pictures."""
    found: list[Paragraph] = []
    words: list[str] = []
    start, in_code = 0, False

    def close() -> None:
        if words:
            found.append(Paragraph(start, plain(" ".join(words))))
        words.clear()

    for number, line in enumerate(markdown.splitlines(), start=1):
        text = line.strip()
        if text.startswith("```"):
            in_code = not in_code
            close()
            continue
        item = re.match(r"(?:[-*]|\d+\.)\s+", text)
        is_code = line.startswith("    ") and not item and not words
        if in_code or not text or text[0] in "#|" or text.startswith("![") or is_code:
            close()
            continue
        if item:
            close()
            text = text[item.end() :]
        if not words:
            start = number
        words.append(text.removeprefix("> "))
    close()
    return [paragraph for paragraph in found if paragraph.text]


def plain(text: str) -> str:
    """Return what a reader sees of a paragraph: links by their text, code as one word, no marks."""
    text = re.sub(r"!\[[^\]]*\]\([^)]*\)", "", text)
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", text)
    text = re.sub(r"\*\*|(?<!\w)\*(?!\s)", "", text)
    return text.strip()


def syllables(word: str) -> int:
    """Count groups of vowels, without a silent e at the end."""
    word = word.lower()
    groups = len(re.findall(r"[aeiouy]+", word))
    silent = len(word) > 2 and word.endswith("e") and not word.endswith(("le", "ee"))
    silent |= len(word) > 3 and word.endswith("ed") and word[-3] not in "td"
    silent |= len(word) > 3 and word.endswith("es") and word[-3] not in "scxzg" and not word.endswith("les")
    return max(groups - silent, 1)


def reading_ease(text: str) -> float:
    """Return the Flesch reading ease of some sentences; names in code and formulas count neither way."""
    text = re.sub(r"`[^`]*`", "", text)
    words = [
        word
        for word in re.findall(r"[^\W\d_]+(?:'[a-z]+)?", text)
        if word.isascii() and (len(word) > 1 or word in "aI")
    ]
    if not words:
        return 100.0
    sentences = max(len(_SENTENCE.findall(text + " ")), 1)
    return 206.835 - 1.015 * len(words) / sentences - 84.6 * sum(map(syllables, words)) / len(words)


def page_ease(path: Path) -> float:
    """Return the reading ease of a page."""
    texts = [paragraph.text for paragraph in paragraphs(path.read_text(encoding="utf-8"))]
    return reading_ease(" ".join(text if text[-1] in ".!?" else f"{text}." for text in texts))


def too_long(path: Path) -> list[str]:
    """Name the paragraphs that are longer than five lines."""
    found = paragraphs(path.read_text(encoding="utf-8"))
    return [f"{path.relative_to(ROOT)}:{each.line}" for each in found if len(each.text) > MOST_LINES * LINE]


def main() -> None:
    """Report all pages."""
    for path in pages():
        print(f"{page_ease(path):5.0f}  {path.relative_to(ROOT)}", *too_long(path), sep="  ")


if __name__ == "__main__":
    main()
