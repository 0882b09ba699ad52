"""The figures of the report, as SVG to be put into a page."""

import io
from collections.abc import Sequence
from typing import Any

import numpy as np

from legged_gym.evaluation.metrics import Result
from legged_gym.evaluation.plots import SIDES
from legged_gym.evaluation.probes import FREQUENCIES, FRICTIONS, PUSHES, SPEEDS, TURNS
from legged_gym.evaluation.rows import DEPLOYED_ERRORS, DIRECTIONS

SURVIVAL_COLORS = "RdYlGn"
"""Red: all fell, green: none."""
NOMINAL = {"frequency": 2.0, "friction": 0.6}
"""Values in all other rows: gait clock [Hz], friction."""
COLORS = ("tab:blue", "tab:orange", "tab:green")
"""Colours of v_x, v_y and w_z."""
LEGS = ("tab:blue", "tab:orange")
"""Colours of the left and the right leg."""


def _figure(width: float, height: float) -> Any:
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def _svg(figure: Any) -> str:
    """Return a figure as an SVG element that takes the page's width and, for its text, the page's fonts."""
    from matplotlib import rc_context
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    buffer = io.StringIO()
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": "legged_gym", "font.family": "sans-serif"}):
        FigureCanvasSVG(figure).print_svg(buffer, metadata={"Date": None})
    text = buffer.getvalue()
    return text[text.index("<svg") :]


def separate_ids(page: str) -> str:
    """Give the SVGs of a page unique ids: if two share one, a browser uses the first for both."""
    text, *drawings = page.split("<svg")
    for k, drawing in enumerate(drawings):
        for mark in ('id="', 'href="#', "url(#"):
            drawing = drawing.replace(mark, f"{mark}f{k}-")
        text += f"<svg{drawing}"
    return text


def push_map(kind: str, survival: Sequence[Sequence[float]]) -> str:
    """Draw which pushes are survived: a sector for each direction, rings for strengths, forward is up.

    Args:
        kind: Kind of push, of `PUSHES`.
        survival: Shares, by strength and direction. Shape (R, DIRECTIONS).
    """
    unit, sizes = PUSHES[kind]
    figure = _figure(3.9, 2.9)
    axis = figure.add_subplot(projection="polar")
    axis.set_theta_zero_location("N")
    edges = np.concatenate(([0.0], sizes))
    pieces = 12  # of a sector: their straight edges look round
    angles = 2.0 * np.pi / DIRECTIONS * (np.arange(pieces * DIRECTIONS + 1) / pieces - 0.5)
    shares = np.repeat(np.asarray(survival), pieces, axis=1)
    colors = axis.pcolormesh(
        angles, edges, shares, cmap=SURVIVAL_COLORS, vmin=0.0, vmax=1.0, edgecolors="face", linewidth=0.3
    )
    axis.set_thetagrids(range(0, 360, 90), ["forward", "left", "back", "right"], fontsize=9)
    ground = {"facecolor": "white", "alpha": 0.75, "edgecolor": "none", "pad": 0.6}
    axis.set_rgrids(sizes[1::2], [f"{size:g}" for size in sizes[1::2]], angle=45.0, fontsize=7, bbox=ground)
    axis.set_rlim(0.0, sizes[-1])
    axis.grid(color="white", linewidth=0.6)
    figure.colorbar(colors, ax=axis, label=f"survival; rings in {unit}", shrink=0.75, pad=0.12)
    return _svg(figure)


def tracking_map(field: str, tracking: dict[str, list[list[float | None]]]) -> str:
    """Draw the error of a velocity over the commands; where not all robots survived, the share that did.

    Args:
        field: "rmse_vx" or "rmse_wz".
        tracking: See `Probes.tracking`.
    """
    label = "v_x error [m/s]" if field == "rmse_vx" else "w_z error [rad/s]"
    figure = _figure(4.6, 3.6)
    axis = figure.subplots()
    survival = np.array(tracking["survival"], dtype=float)
    errors = np.ma.masked_invalid(np.array(tracking[field], dtype=float))
    limit = 3.0 * DEPLOYED_ERRORS[field]
    image = axis.imshow(errors, origin="lower", cmap="viridis_r", vmin=0.0, vmax=limit, aspect="auto")
    axis.set_facecolor("0.85")
    for (row, column), share in np.ndenumerate(survival):
        error = errors[row, column]
        text = "" if error is np.ma.masked else f"{error:.2f}"
        if share < 1.0:
            text += f"\n({share:.0%})"
        dark = error is not np.ma.masked and error > 0.6 * limit
        axis.text(column, row, text, ha="center", va="center", fontsize=6.5, color="white" if dark else "black")
    axis.set_xticks(range(len(SPEEDS)), [f"{x:g}" for x in SPEEDS])
    axis.set_yticks(range(len(TURNS)), [f"{x:g}" for x in TURNS])
    axis.set_xlabel("commanded v_x [m/s]")
    axis.set_ylabel("commanded w_z [rad/s]")
    figure.colorbar(image, ax=axis, label=label, extend="max")
    return _svg(figure)


def sweep(name: str, results: Sequence[Result], largest: float) -> str:
    """Draw survival and errors over the clock's frequency or the friction.

    Args:
        name: "frequency" or "friction".
        results: Result at each of `FREQUENCIES` or `FRICTIONS`.
        largest: Error at the upper end of the scale [m/s, rad/s].
    """
    values, label = (
        (FREQUENCIES, "gait clock [Hz]") if name == "frequency" else (FRICTIONS, "friction of the ground [1]")
    )
    figure = _figure(4.6, 3.4)
    top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=(1, 2))
    top.plot(values, [row["survival"] for row in results], "o-", color="tab:green", markersize=4)
    top.set_ylim(-0.05, 1.08)
    top.set_ylabel("survival")
    for field, text, color in zip(DEPLOYED_ERRORS, ("v_x [m/s]", "v_y [m/s]", "w_z [rad/s]"), COLORS, strict=True):
        errors = [np.nan if row[field] is None else row[field] for row in results]
        bottom.plot(values, errors, "o-", color=color, label=text, markersize=4)
    bottom.set_ylim(0.0, 1.05 * largest)
    bottom.set_ylabel("rms error")
    bottom.set_xlabel(label)
    bottom.legend(fontsize=8)
    for axis in (top, bottom):
        axis.grid(alpha=0.3)
        axis.axvline(NOMINAL[name], color="0.5", linestyle=":", linewidth=1.0)
    return _svg(figure)


def gait_timeline(timeline: dict[str, list[Any]]) -> str:
    """Draw when each foot is on the ground and when the clock wants it there, above the forward velocity.

    Args:
        timeline: See `Probes.timeline`.
    """
    figure = _figure(8.6, 2.7)
    feet, speed = figure.subplots(2, 1, sharex=True, height_ratios=(3, 2))
    time, contact, asked = (np.array(timeline[name]) for name in ("time", "contact", "asked"))
    step = float(np.diff(time).mean()) if len(time) > 1 else 0.02
    for side, name in enumerate(SIDES):
        place = 1.0 - side
        _bars(feet, time, asked[:, side], step, (place - 0.42, 0.84), facecolor="0.88")
        _bars(feet, time, contact[:, side], step, (place - 0.28, 0.56), facecolor=LEGS[side], label=name)
    feet.set_yticks((1.0, 0.0), SIDES)
    feet.set_ylim(-0.6, 1.6)
    feet.set_title("colour: foot on the ground; grey: stance by the clock", fontsize=9)
    speed.plot(time, np.array(timeline["velocity"])[:, 0], color=COLORS[0])
    speed.plot(time, np.array(timeline["command"])[:, 0], "k--", linewidth=1.0)
    speed.set_ylabel("v_x [m/s]")
    speed.set_xlabel("time [s]")
    speed.grid(alpha=0.3)
    return _svg(figure)


def _bars(axis: Any, time: np.ndarray, on: np.ndarray, step: float, place: tuple[float, float], **look: Any) -> None:
    """Draw a bar over each time in which something is on."""
    changes = np.flatnonzero(np.diff(np.concatenate(([0], on.astype(int), [0]))))
    spans = [(time[a] - step, (b - a) * step) for a, b in changes.reshape(-1, 2)]
    axis.broken_barh(spans, place, **look)


def second_opinion(ours: dict[str, Result], others: dict[str, dict[str, Result]]) -> str:
    """Draw the survival of the rows that other simulators have walked too.

    Args:
        ours: Results by row.
        others: Engine -> its results by row.
    """
    rows = [name for name in ours if any(name in results for results in others.values())]
    figure = _figure(8.6, 0.9 + 0.22 * (len(others) + 1.6) * len(rows))
    axis = figure.subplots()
    bars = {"ours": ours} | others
    height = 0.8 / len(bars)
    for i, (engine, results) in enumerate(bars.items()):
        found = [(k, results[name]["survival"] or 0.0) for k, name in enumerate(rows) if name in results]
        places = [k + (i - 0.5 * (len(bars) - 1)) * height for k, _ in found]
        drawn = axis.barh(places, [share for _, share in found], 0.9 * height, color=f"C{i}", label=engine)
        axis.bar_label(drawn, fmt="%.2f", fontsize=7, padding=2)
    axis.set_yticks(range(len(rows)), rows)
    axis.invert_yaxis()
    axis.set_xlim(0.0, 1.1)
    axis.set_xlabel("survival")
    axis.legend(fontsize=8, loc="lower left")
    return _svg(figure)
