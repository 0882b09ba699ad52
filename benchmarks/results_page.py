"""Writes docs/results.md from the files of benchmarks/results/: `python benchmarks/results_page.py`.

A table for each file, a figure in each cell. A test compares the page with the files.
"""

from pathlib import Path
from typing import Any

from legged_gym.evaluation.report import write_text
from legged_gym.evaluation.results import load, shown

ROOT = Path(__file__).resolve().parents[1]
FILES, PAGE = ROOT / "benchmarks" / "results", ROOT / "docs" / "results.md"
HEAD = """# Results

What was measured, and how. A script writes each file with its command, commit, hardware and date. Older ones were
written by hand from what the script had printed. `python benchmarks/results_page.py` makes this page from the files.
Why things are as they are is in [Decisions](decisions/index.md).

Since 2026-11-28 legs are solid, motors lose torque with speed, and policies are judged [as deployed](physics.md).
Tables with an earlier date are from before. Survival is the share of robots that end a row upright.
`lg-evaluate --list` says what the rows are. `> 170` means: not within 170.
"""


def cell(content: dict[str, Any], row: str, column: str) -> str:
    """Return a figure, or nothing where there is none."""
    return shown(content, row, column) if column in content["figures"][row] else ""


def table(content: dict[str, Any], name: str) -> str:
    """Return a file as a heading, its facts and a table."""
    columns, figures = content["columns"], content["figures"]
    units = [f" [{facts['unit']}]" if facts["unit"] else "" for facts in columns.values()]
    heads = [column.replace("_", " ") + unit for column, unit in zip(columns, units, strict=True)]
    seeds = f"; seeds {', '.join(map(str, content['seeds']))}" if content["seeds"] else ""
    facts = f"{content['hardware']}; {content['date']}; commit {content['commit'][:7]}{seeds}"
    facts += f"; ± is the {content['spread']}" if content["spread"] else ""
    lines = [f"### {content['title']}", "", f"[{name}](../benchmarks/results/{name}): {facts}.", ""]
    lines += [f"`{content['command']}`", ""]
    lines += [content["note"], ""] if content.get("note") else []
    lines += ["| | " + " | ".join(heads) + " |", "|---|" + "---|" * len(heads)]
    for row in figures:
        lines.append(
            f"| {row.replace('_', ' ')} | " + " | ".join(cell(content, row, column) for column in columns) + " |"
        )
    return "\n".join(lines)


def page() -> str:
    """Return the whole page."""
    files = {path.name: load(path) for path in sorted(FILES.glob("*.json"))}
    sections = dict.fromkeys(content["section"] for content in files.values())
    parts = [HEAD]
    for section in sorted(sections):
        parts.append(f"## {section}\n")
        parts += [table(content, name) + "\n" for name, content in files.items() if content["section"] == section]
    return "\n".join(parts)


if __name__ == "__main__":
    write_text(page(), PAGE)
    print(f"written: {PAGE.relative_to(ROOT)}")
