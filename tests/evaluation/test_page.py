"""The report page, and the maps in it."""

import json
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from legged_gym.evaluation import figures, page, probes, report, results
from legged_gym.evaluation.metrics import Result
from legged_gym.evaluation.probes import FREQUENCIES, FRICTIONS, PUSHES, SPEEDS, TURNS, Probes
from legged_gym.evaluation.rows import ALL_ROWS, DIRECTIONS, Script, select_rows
from legged_gym.utils.errors import UserError

ROW: Result = {"n": 4, "survival": 0.5, "rmse_vx": 0.1, "rmse_vy": 0.2, "rmse_wz": 0.3, "drift": None}


def make_probes(survival: float = 0.25) -> Probes:
    rings = {kind: [[survival] * DIRECTIONS for _ in sizes] for kind, (_, sizes) in PUSHES.items()}
    cells = {name: [[0.1] * len(SPEEDS) for _ in TURNS] for name in ("rmse_vx", "rmse_wz", "survival")}
    cells["rmse_vx"][0][0] = None  # type: ignore[call-overload]
    steps: dict[str, list[Any]] = {"time": [2.0, 2.02], "contact": [[True, False]] * 2, "asked": [[True, True]] * 2}
    steps |= {"velocity": [[0.4, 0.0, 0.0]] * 2, "command": [[0.4, 0.0, 0.0]] * 2}
    fallen: Result = dict.fromkeys(ROW, None) | {"survival": 0.0}
    return Probes(rings, cells, [ROW] * (len(FREQUENCIES) - 1) + [fallen], [ROW] * len(FRICTIONS), steps)


def subject(title: str, survival: float, agent: str = "checkpoint", **rows: Result) -> page.Subject:
    content = {"agent": agent, "robot": "R", "sim": "mujoco", "physics": "deployed", "task": "t", "seed": 0}
    return page.Subject(title, content | {"rows": {"push_1.0": ROW | {"survival": survival}, **rows}}, make_probes())


def text_of(*subjects: page.Subject, judged: bool = True) -> str:
    rows = [ALL_ROWS[name] for name in subjects[0].rows]
    return page.page(subjects, rows, {"commit": "abc123"}, "evaluate.py --report=x", judged)


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages without drawings, which take seconds."""
    for name in ("push_map", "tracking_map", "sweep", "gait_timeline"):
        monkeypatch.setattr(figures, name, lambda *_: "<svg></svg>")


def test_the_page_fetches_nothing_and_its_drawings_share_no_ids() -> None:
    text = text_of(subject("a", 1.0), subject("b", 0.5))
    fetched = re.findall(r"""(?:src|href|action|data)\s*=\s*["'](?!#|data:)([^"']*)|@import|url\((?!#)""", text)
    assert not fetched and "<script" not in text and "<link" not in text
    assert text.count("<svg") == 2 * (3 + 2 + 2 + 1), "each agent's maps"
    assert "abc123" in text and "evaluate.py --report=x" in text

    ids = re.findall(r'\sid="([^"]+)"', text)
    assert len(ids) == len(set(ids)) > 100
    assert set(re.findall(r'(?:href="#|url\(#)([^")]+)', text)) <= set(ids)


def test_what_the_user_names_is_text(undrawn: None) -> None:
    text = text_of(subject("<script>alert(1)</script>", 1.0))
    assert "<script" not in text and "&lt;script&gt;" in text


def test_verdict_and_shortfalls_are_seen(undrawn: None) -> None:
    bad = text_of(subject("a", 0.9))
    assert "verdict unfit" in bad and "push_1.0 0.900 &lt; 1.00" in bad and "<td class=low>0.900</td>" in bad
    good = text_of(subject("a", 1.0))
    assert "verdict unfit" not in good and "class=low" not in good and "nothing failed, but only 1 of 19" in good
    unjudged = text_of(subject("a", 0.9), judged=False)
    assert report.NO_VERDICT.partition(":")[0] in unjudged and "class=low" not in unjudged
    coarse = text_of(subject("a", 1.0, track=ROW | {"survival": 1.0, "rmse_vx": 0.1}))  # 0.10, 0.08 and 0.13 are wanted
    marked = [f"<td class=low>{error}</td>" in coarse for error in ("0.100", "0.200", "0.300")]
    assert marked == [False, True, True] and "survival ≥ 1.00, rmse ≤ 0.10 / 0.08 / 0.13" in coarse
    whole = {name: ROW | {"survival": 1.0, **dict.fromkeys(report.ERRORS, 0.05)} for name in ALL_ROWS}
    assert "verdict fit" in text_of(subject("a", 1.0, **whole))


def test_two_agents_stand_side_by_side_and_the_better_figure_is_marked(undrawn: None) -> None:
    text = text_of(subject("first", 1.0), subject("second", 1.0, "teacher"))
    assert "--agents: 2" in text and "class=best" not in text and "<th>survival B</th>" in text
    better = subject("second", 1.0)
    better.rows["push_1.0"]["rmse_vx"] = 0.05
    assert text_of(subject("first", 1.0), better).count("<td class=best>0.050</td>") == 1


def test_the_sweeps_of_two_agents_have_one_scale(monkeypatch: pytest.MonkeyPatch, undrawn: None) -> None:
    scales: list[float] = []
    monkeypatch.setattr(figures, "sweep", lambda name, results, largest: scales.append(largest) or "<svg></svg>")
    worse = subject("b", 1.0)
    worse.probes.friction[0] = ROW | {"rmse_vy": 0.9}
    text = text_of(subject("a", 1.0), worse)
    assert scales == [0.3, 0.9, 0.3, 0.9] and text.count("'agents wide'") == 1, "frequency and friction, of a and of b"


def test_other_simulators_are_shown_where_rows_are_shared(undrawn: None, tmp_path: Path) -> None:
    one = subject("a", 1.0)
    one.sim2sim = [{"engine": "Drake", "source": "dir", "rows": {"push_1.0": {"survival": 0.75}}}]
    text = text_of(one)
    assert "Other simulators" in text and "Drake" in text and ">0.75<" in text
    assert text_of(one, subject("b", 1.0)).count("Not walked there.") == 1
    one.sim2sim[0]["rows"] = {"stand": {"survival": 0.75}}
    assert "No row was walked in both" in text_of(one)
    for wrong in ([], {"rows": {}}, {"engine": "x", "rows": {"a": 1}}, {"engine": "x"}):
        with pytest.raises(UserError, match=r"is not what sim2sim\.py --json writes"):
            page.read_sim2sim(wrong, tmp_path / "x.json")


def test_a_robot_that_fell_at_once_has_a_page(undrawn: None) -> None:
    one = subject("a", 0.0)
    one.probes.timeline = {name: [] for name in one.probes.timeline}
    one.rows["push_1.0"] = dict.fromkeys(ROW, None) | {"survival": 0.0}
    assert "fell before its gait" in text_of(one)


def test_the_push_map_shows_the_direction_that_was_pushed() -> None:
    """Forward is up, left is left: the quarter of the picture that is red is the one that fell."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    drawn: list[Any] = []
    survival = np.ones((8, DIRECTIONS))
    survival[:, 2] = 0.0  # a push to the left
    original, figures._svg = figures._svg, lambda figure: drawn.append(figure) or ""  # type: ignore[assignment]
    try:
        figures.push_map("kick", survival.tolist())
    finally:
        figures._svg = original
    canvas = FigureCanvasAgg(drawn[0])
    canvas.draw()
    pixels, axis = np.asarray(canvas.buffer_rgba())[..., :3].astype(int), drawn[0].axes[0]
    box = axis.get_window_extent()
    x, y = box.x0 + box.width / 2, box.y0 + box.height / 2
    red = {}
    for name, dx, dy in (("left", -1, 0), ("right", 1, 0), ("up", 0, 1), ("down", 0, -1)):
        column, row = round(x + 0.3 * box.width * dx + 3), round(y + 0.3 * box.height * dy + 3)
        r, g, _ = pixels[pixels.shape[0] - row, column]
        red[name] = bool(r > g)
    assert red == {"left": True, "right": False, "up": False, "down": False}


def test_directions_are_told_apart() -> None:
    survived = torch.ones(2, 16, dtype=torch.bool)
    survived[1, 3] = survived[1, 11] = survived[1, 4] = False
    assert probes.by_direction(survived) == [[1.0] * 8, [1.0, 1.0, 1.0, 0.0, 0.5, 1.0, 1.0, 1.0]]


def test_maps_push_as_they_say() -> None:
    for kind, field in (("kick", "kick"), ("shove", "force"), ("shove on the lid", "force")):
        rows = probes.push_rows(kind)
        sizes = [getattr(Script(row, 8, 0.02, 2.0, 0), field).norm(dim=-1) for row in rows]
        lasts = 1.0 if kind == "kick" else 0.1
        assert torch.stack(sizes)[:, 0].mul(lasts).tolist() == pytest.approx(PUSHES[kind][1])
        assert all(row.at_lid == (kind == "shove on the lid") for row in rows) and len(rows) == probes.BATCH
    rows = probes.tracking_rows()
    assert rows[1].box == ((SPEEDS[1],) * 2, (0.0, 0.0), (TURNS[0],) * 2), "turn by turn"
    assert len(probes.padded(rows)) == 64 and probes.padded(rows)[: len(rows)] == rows
    assert [row.parameters for row in probes.friction_rows()] == [(("friction", (mu,)),) for mu in FRICTIONS]
    assert [row.frequency for row in probes.frequency_rows()] == list(FREQUENCIES)
    assert [probes.robots_of(n, "cpu") for n in (3, 8, 30, 256)] == [8, 8, 24, 64]


def test_the_commit_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = {"rev-parse": "abc", "status": " M file"}
    monkeypatch.setattr(results.subprocess, "run", lambda words, **_: SimpleNamespace(stdout=answers[words[3]]))
    assert results.commit() == "abc with changes"
    answers["status"] = ""
    assert results.commit() == "abc"
    monkeypatch.setattr(results.subprocess, "run", lambda *_, **__: (_ for _ in ()).throw(FileNotFoundError()))
    assert results.commit().startswith("none; package ")


def test_probes_are_plain_data() -> None:
    data = json.loads(json.dumps(make_probes().as_json()))
    assert data["speeds"] == list(SPEEDS) and len(data["strengths"]["kick"]) == 8
    assert select_rows(["track"], 0.5) == probes.scaled(select_rows(["track"]), 0.5)
