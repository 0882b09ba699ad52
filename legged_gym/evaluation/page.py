"""The report of an evaluation as one HTML page, which fetches nothing: agents side by side, a column each."""

import datetime
import html
import platform
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from legged_gym.evaluation import figures, report
from legged_gym.evaluation.metrics import Result
from legged_gym.evaluation.probes import PUSHES, Probes
from legged_gym.evaluation.results import commit
from legged_gym.evaluation.rows import ALL_ROWS, DEPLOYED_ERRORS, DEPLOYED_SURVIVAL, Row
from legged_gym.utils.errors import UserError

STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; color: #1c2733; max-width: 1180px; margin: 2rem auto; padding: 0 1rem }
h1 { font-size: 1.6rem; margin-bottom: .2rem } h2 { font-size: 1.15rem; margin: 2.2rem 0 .4rem }
h3 { font-size: .95rem; margin: .8rem 0 .2rem; overflow-wrap: anywhere }
p { margin: .3rem 0; max-width: 80ch } .note { color: #5b6875; font-size: .9rem }
.agents { display: grid; gap: 1.2rem; grid-template-columns: repeat(var(--agents), minmax(0, 1fr)) }
.figures { display: flex; flex-wrap: wrap; gap: .6rem }
.figures > figure { flex: 1 1 300px; max-width: 560px }
figure { margin: 0 } figcaption { font-weight: 600; font-size: .9rem } svg { width: 100%; height: auto; display: block }
.verdict { border-left: 6px solid #8a949e; background: #f3f5f7; padding: .6rem .9rem; border-radius: 4px }
.verdict.fit { border-color: #2e8b57 } .verdict.unfit { border-color: #c0392b }
.scroll { overflow-x: auto } table { border-collapse: collapse; font-size: .85rem }
th, td { padding: .2rem .55rem; text-align: right; white-space: nowrap; border-bottom: 1px solid #e3e7eb }
th:first-child, td:first-child { text-align: left } thead th { border-bottom: 2px solid #b6c0c9 }
td.low { color: #c0392b; font-weight: 600 } td.best { background: #e8f5ec }
td.what { text-align: left; color: #5b6875; white-space: normal; min-width: 16rem }
pre { white-space: pre-wrap; color: #5b6875; font-size: .8rem }
dt { float: left; clear: left; width: 8rem; color: #5b6875 }
.agents.wide { grid-template-columns: minmax(0, 1fr) }
@media (max-width: 760px) { .agents { grid-template-columns: minmax(0, 1fr) } }
"""


@dataclass
class Subject:
    """An agent of the report."""

    title: str
    """Name and origin of the agent."""
    content: dict[str, Any]
    """Content of evaluate.py's JSON for it."""
    probes: Probes
    sim2sim: list[dict[str, Any]] = field(default_factory=list)
    """Contents of sim2sim.py's JSON files about it."""

    @property
    def rows(self) -> dict[str, Result]:
        """Results by row."""
        return self.content["rows"]


def escape(text: Any) -> str:
    """Return a text as HTML."""
    return html.escape(str(text))


def machine_facts() -> dict[str, str]:
    """Return where and from what the page was made."""
    import mujoco
    import torch

    facts = {"date": datetime.datetime.now().astimezone().strftime("%Y-%m-%d %H:%M %Z")}
    facts["machine"] = f"{platform.node()}, {platform.system()} {platform.machine()}, {_processor()}"
    if torch.cuda.is_available():
        facts["machine"] += f", {torch.cuda.get_device_name()}"
    facts["software"] = f"Python {platform.python_version()}, torch {torch.__version__}, MuJoCo {mujoco.__version__}"
    return facts | {"commit": commit()}


def _processor() -> str:
    """Return the processor's name."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or "unknown processor"
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def read_sim2sim(content: Any, path: Path) -> dict[str, Any]:
    """Check that a JSON file is sim2sim.py's.

    Raises:
        UserError: It is another file.
    """
    rows = content.get("rows") if isinstance(content, dict) else None
    whole = isinstance(rows, dict) and all(isinstance(row, dict) and "survival" in row for row in rows.values())
    if not whole or "engine" not in content:
        raise UserError(f"--sim2sim={path}: is not what sim2sim.py --json writes")
    return content


def page(subjects: Sequence[Subject], rows: Sequence[Row], facts: dict[str, str], command: str, judged: bool) -> str:
    """Return the report.

    Args:
        subjects: One agent, or two to compare.
        rows: The rows they walked.
        facts: From `machine_facts`.
        command: The command line.
        judged: The rows are whole and walked as deployed, so that there is a verdict.
    """
    first = subjects[0].content
    title = " against ".join(subject.title for subject in subjects)
    facts = {"robot": first["robot"], "simulator": first["sim"], "physics": first["physics"], **facts}
    parts = [
        f"<h1>{escape(title)}</h1><p class=note>{escape(first['task'])} on {escape(first['robot'])}</p>",
        _verdicts(subjects, judged),
        "<h2>Rows</h2>",
        "<p>Each row is a test; survival is the share of robots that end it upright. Errors are rms, against the "
        "command. The last column says what the robot must reach before it is deployed"
        f"{'; red: it does not' if judged else ''}.</p>",
        _comparison(subjects, rows, judged),
        *(_full_table(subject) for subject in subjects),
        *_sections(subjects),
        "<h2>Where this was measured</h2><dl>",
        *(f"<dt>{escape(name)}</dt><dd>{escape(text)}</dd>" for name, text in facts.items()),
        f"<dt>command</dt><dd><code>{escape(command)}</code></dd></dl>",
    ]
    head = f'<meta charset="utf-8"><title>{escape(title)}</title><meta name="viewport" content="width=device-width">'
    body = figures.separate_ids("\n".join(parts))
    root = f"<style>{STYLE}:root {{ --agents: {len(subjects)} }}</style>"
    return f'<!doctype html>\n<html lang="en"><head>{head}{root}</head>\n<body>\n{body}\n</body></html>\n'


def _verdicts(subjects: Sequence[Subject], judged: bool) -> str:
    blocks = []
    for subject in subjects:
        lines = report.verdict(subject.rows) if judged else [report.NO_VERDICT]
        fit = any(line.startswith("fit to") for line in lines)
        unfit = any(line.startswith("not fit") for line in lines)
        kind = "fit" if fit else "unfit" if unfit else ""
        text = "".join(f"<p>{escape(line)}</p>" for line in lines or [report.NO_VERDICT])
        heading = f"<h3>{escape(subject.title)}</h3>" if len(subjects) > 1 else ""
        blocks.append(f"<div>{heading}<div class='verdict {kind}'>{text}</div></div>")
    return f"<h2>Verdict</h2><div class=agents>{''.join(blocks)}</div>"


def _comparison(subjects: Sequence[Subject], rows: Sequence[Row], judged: bool) -> str:
    """Return the table of survival and errors, the agents' columns beside each other."""
    fields = [column for column in report.COLUMNS if column[0] in ("survival", *report.ERRORS)]
    several = len(subjects) > 1
    heads = "".join(
        f"<th>{escape(heading)}{f' {letter}' if several else ''}</th>"
        for _, heading, _ in fields
        for letter in "AB"[: len(subjects)]
    )
    lines = []
    for row in rows:
        cells = "".join(_cells(row.name, column, subjects, judged) for column in fields)
        meaning = ALL_ROWS[row.name].meaning if row.name in ALL_ROWS else row.meaning
        what = "; ".join(filter(None, (meaning, _wanted(row.name))))
        lines.append(f"<tr><td>{escape(row.name)}</td>{cells}<td class=what>{escape(what)}</td></tr>")
    legend = (
        "<p class=note>" + "; ".join(f"{a}: {escape(s.title)}" for a, s in zip("AB", subjects, strict=False)) + "</p>"
    )
    table = f"<table><thead><tr><th>row</th>{heads}<th></th></tr></thead><tbody>{''.join(lines)}</tbody></table>"
    return f"{legend if several else ''}<div class=scroll>{table}</div>"


def _wanted(row: str) -> str:
    """Return a row's requirement for deployment; empty for rows without one."""
    if row not in DEPLOYED_SURVIVAL:
        return ""
    errors = " / ".join(f"{limit:.2f}" for limit in DEPLOYED_ERRORS.values())
    return f"survival ≥ {DEPLOYED_SURVIVAL[row]:.2f}" + (f", rmse ≤ {errors}" if row == "track" else "")


def _cells(row: str, column: report.Column, subjects: Sequence[Subject], judged: bool) -> str:
    """Return the cells of a figure, one for each agent; the best one is marked, and those below the requirement."""
    name, _, form = column
    values = [subject.rows[row].get(name) for subject in subjects]
    known = [value for value in values if value is not None]
    best = (max if name == "survival" else min)(known) if len(set(known)) > 1 else None
    cells = []
    for value in values:
        short, leads = judged and report.is_short(row, name, value), best is not None and value == best
        mark = " class=low" if short else " class=best" if leads else ""
        cells.append(f"<td{mark}>{'' if value is None else format(value, form).strip()}</td>")
    return "".join(cells)


def _full_table(subject: Subject) -> str:
    columns = report.filled(report.all_columns(subject.content["agent"]), subject.rows.values())
    heads = "".join(f"<th>{escape(heading)}</th>" for _, heading, _ in columns)
    lines = []
    for name, row in subject.rows.items():
        texts = ("" if row.get(field) is None else format(row[field], form).strip() for field, _, form in columns)
        lines.append(f"<tr><td>{escape(name)}</td>{''.join(f'<td>{text}</td>' for text in texts)}</tr>")
    table = f"<table><thead><tr><th>row</th>{heads}</tr></thead><tbody>{''.join(lines)}</tbody></table>"
    units = f"<pre>{escape(report.units(subject.content['agent'], columns))}</pre>"
    title = f"All figures of {escape(subject.title)}"
    return f"<details><summary>{title}</summary><div class=scroll>{table}</div>{units}</details>"


def _sections(subjects: Sequence[Subject]) -> list[str]:
    """Return the figures, the agents' ones beside each other."""

    def pushes(subject: Subject) -> str:
        drawn = {kind: figures.push_map(kind, subject.probes.pushes[kind]) for kind in PUSHES}
        maps = (f"<figure><figcaption>{kind}</figcaption>{svg}</figure>" for kind, svg in drawn.items())
        return f"<div class=figures>{''.join(maps)}</div>"

    def tracking(subject: Subject) -> str:
        drawn = (figures.tracking_map(field, subject.probes.tracking) for field in ("rmse_vx", "rmse_wz"))
        return f"<div class=figures>{''.join(f'<figure>{svg}</figure>' for svg in drawn)}</div>"

    def sweeps(subject: Subject) -> str:
        drawn = (
            figures.sweep(name, getattr(subject.probes, name), _largest_error(name, subjects))
            for name in ("frequency", "friction")
        )
        return f"<div class=figures>{''.join(f'<figure>{svg}</figure>' for svg in drawn)}</div>"

    def gait(subject: Subject) -> str:
        if not subject.probes.timeline["time"]:
            return "<p>The robot fell before its gait could be shown.</p>"
        return figures.gait_timeline(subject.probes.timeline)

    sections = [
        _section(
            "Which pushes it survives",
            "Walking at 0.4 m/s, pushed at all phases of its gait. The angle is the push's direction, the radius its "
            "strength. A kick makes the whole robot faster at once. A shove is a force of 0.1 s, on the base's "
            "centre of mass or on the lid.",
            pushes,
            subjects,
        ),
        _section(
            "How well it follows commands",
            "Steady commands at v_y = 0. In brackets: the share still standing, if not all. Grey: not measured.",
            tracking,
            subjects,
        ),
        _section(
            "Gait clock and friction",
            "Commands from the whole range, a new one every 5 s. Dotted: the value in all other rows.",
            sweeps,
            subjects,
        ),
        _section("Gait", "One robot at 0.4 m/s.", gait, subjects, wide=True),
    ]
    if any(subject.sim2sim for subject in subjects):
        sections.append(
            _section(
                "Other simulators",
                "The same rows in other simulators, where the policy runs as the maker's controller runs it.",
                _second_opinion,
                subjects,
                wide=True,
            )
        )
    return sections


def _largest_error(sweep: str, subjects: Sequence[Subject]) -> float:
    """Return the largest error of a sweep, of all agents: their drawings have one scale."""
    results = [result for subject in subjects for result in getattr(subject.probes, sweep)]
    return max((result[name] for result in results for name in report.ERRORS if result[name] is not None), default=1.0)


def _second_opinion(subject: Subject) -> str:
    others = {content["engine"]: content["rows"] for content in subject.sim2sim}
    if not others:
        return "<p>Not walked there.</p>"
    if not any(name in subject.rows for rows in others.values() for name in rows):
        return "<p>No row was walked in both.</p>"
    sources = ", ".join(escape(content.get("source", "?")) for content in subject.sim2sim)
    return f"{figures.second_opinion(subject.rows, others)}<p class=note>Judged there: {sources}</p>"


def _section(
    title: str, text: str, draw: Callable[[Subject], str], subjects: Sequence[Subject], wide: bool = False
) -> str:
    """Return a section with a drawing of each agent, beside each other or, if they are wide, below each other."""
    blocks = []
    for letter, subject in zip("AB", subjects, strict=False):
        heading = f"<h3>{letter}: {escape(subject.title)}</h3>" if len(subjects) > 1 else ""
        blocks.append(f"<div>{heading}{draw(subject)}</div>")
    place = "'agents wide'" if wide else "agents"
    return f"<h2>{escape(title)}</h2><p>{escape(text)}</p><div class={place}>{''.join(blocks)}</div>"
