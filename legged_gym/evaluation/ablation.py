"""Ablation of the teacher and of the task: arms, the result of a run, their comparison, and the figure."""

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from legged_gym.evaluation.metrics import Result
from legged_gym.evaluation.report import write_json
from legged_gym.evaluation.rows import GATE, GATE_SURVIVAL, passes_walking_gate

CLOSED_FORM = {"train.teacher.offset_update": "never", "train.teacher.dcm.offset.enabled": "false"}
WITH_OFFSET = {"train.teacher.dcm.offset.enabled": "true"}
RAIBERT = CLOSED_FORM | {
    "train.teacher.dcm.stepping.law": "raibert",
    "train.teacher.dcm.stepping.dv": "10",  # walks with the command itself: the DCM alone limits v_ref
    "train.teacher.dcm.offset.constant": "0.01,0",  # to follow v_x without a bias
}
FIXED = {"train.teacher.dcm.timing.enabled": "false"}
TIMED = {"train.teacher.clock": "all"}
"""Lets all robots' clocks follow the planned step times; without it, only those of robots the teacher drives."""
TEACHERS: dict[str, dict[str, str]] = {
    "ppo": {
        "train.teacher.enabled": "false",
        "train.policy.init_noise_std": "1.0",
        "train.policy.noise_std_range": "0.01,10",
        "train.algorithm.learning_rate": "0.001",
        "train.algorithm.entropy_coef": "0.01",
        "train.algorithm.num_mini_batches": "4",
    },
    "dcm": CLOSED_FORM,
    "dcm-fixed": CLOSED_FORM | FIXED,
    "dcm-timed": CLOSED_FORM | TIMED,
    "dcm+offset": WITH_OFFSET,
    "dcm+offset-timed": WITH_OFFSET | TIMED,
    "dcm+offset-plain": WITH_OFFSET | {"train.policy.symmetric": "false"},
    "raibert": RAIBERT,
    "raibert-fixed": RAIBERT | FIXED,
    "raibert-timed": RAIBERT | TIMED,
}
"""What teaches: arm -> config fields that differ from the task's."""
MEASURES: dict[str, dict[str, str]] = {
    "task": {},
    "no-solid-legs": {"env.asset.self_collisions": "false"},
    "no-shoves": {"env.domain_rand.shove_robots": "false"},
    "no-trips": {"env.domain_rand.trip_robots": "false"},
    "no-slippery-ground": {
        "env.domain_rand.randomize_friction": "false",
        "env.domain_rand.randomize_foot_friction": "false",
    },
    "no-delay": {
        "env.control.action_delay": "0",
        "env.domain_rand.randomize_action_delay": "false",
        "env.domain_rand.randomize_observation_delay": "false",
    },
    "no-symmetry": {"train.policy.symmetric": "false"},
    "no-step-times": FIXED,
    "no-offset": CLOSED_FORM,
}
"""What makes a policy sturdy: arm -> the one measure that the task's config loses."""
ARMS = TEACHERS | MEASURES
"""Arm -> fields of the environment's (`env.`) and the training config (`train.`) that differ from the task's."""

BASELINE = "ppo"
PANELS = {
    "return": "return per training episode",
    "survival": "survival on track",
    "tracking": "velocity error on track [m/s]",
}
"""Panel of the figure -> axis label."""
BOUNDS = {"survival": GATE_SURVIVAL, "tracking": math.hypot(GATE["rmse_vx"], GATE["rmse_vy"])}
"""Panel -> what the walking gate asks for."""
GATE_KEYS = ("steps", "seconds")
AXES = ("robot-steps", "training time [s]")
"""Horizontal axes of the panels; training time is without evaluations."""


@dataclass
class Run:
    """One arm with one seed."""

    arm: str
    seed: int
    iterations: int
    """Training iterations of the run."""
    curve: list[dict[str, float | None]]
    """For each snapshot: `steps` [robot-steps], `seconds` of training, `return` in training, result of `track`."""
    gate: dict[str, float] | None
    """`steps` and `seconds` of the first snapshot that passed the walking gate."""
    rows: dict[str, Result]
    """The last policy's results, by row of the suites."""
    evaluation_seconds: float
    """Time spent judging, after training [s]."""

    @classmethod
    def load(cls, path: Path) -> "Run":
        """Read what `save` wrote."""
        return cls(**json.loads(path.read_text()))

    def save(self, path: Path) -> None:
        """Write it all as JSON."""
        write_json(asdict(self), path)

    def points(self, panel: str) -> np.ndarray:
        """Return the curve of a panel: steps, seconds and value, at the snapshots that have one. Shape (K, 3)."""
        rows = [(p["steps"], p["seconds"], p[panel]) for p in self.curve if p[panel] is not None]
        return np.array(rows, dtype=float).reshape(-1, 3)


def make_curve(snapshots: Sequence[dict[str, Any]], results: Sequence[Result]) -> list[dict[str, float | None]]:
    """Join the snapshots' costs and results; `tracking` is the error of the horizontal velocity."""
    curve = []
    for snapshot, result in zip(snapshots, results, strict=True):
        earned = snapshot["return"]
        point: dict[str, float | None] = {name: snapshot[name] for name in ("steps", "seconds")}
        point |= {"return": earned if math.isfinite(earned) else None} | result
        x, y = result["rmse_vx"], result["rmse_vy"]
        curve.append(point | {"tracking": None if x is None or y is None else math.hypot(x, y)})
    return curve


def find_gate(curve: Sequence[dict[str, float | None]]) -> dict[str, float] | None:
    """Return `steps` and `seconds` of the first point that passes the walking gate, if one does."""
    for point in curve:
        if passes_walking_gate(point):
            return {name: point[name] or 0.0 for name in GATE_KEYS}
    return None


def summary(runs: Sequence[Run], budget: float) -> dict[str, Any]:
    """Compare arms.

    Args:
        runs: All of them.
        budget: Robot-steps of each run.

    Returns:
        By arm: medians of steps and seconds to the walking gate, null if most seeds never passed it, since such a seed
        is infinitely late; `steps_over_ppo`, the ratio of these medians to the baseline's, which is an upper bound if
        the baseline never passed; mean and spread (lowest, highest) over the seeds of the last policies' rows.
    """
    arms = list(dict.fromkeys(run.arm for run in runs))
    base = _median_to_gate(_of(runs, BASELINE), "steps") if BASELINE in arms else None
    return {arm: _entry(_of(runs, arm), base, budget) for arm in arms}


def _entry(runs: Sequence[Run], base: float | None, budget: float) -> dict[str, Any]:
    """Sum up one arm; `base` is the baseline's median of steps, if there is a baseline."""
    medians = {key: _median_to_gate(runs, key) for key in GATE_KEYS}
    entry: dict[str, Any] = {"seeds": len(runs), "passed": sum(run.gate is not None for run in runs)}
    entry |= {f"median_{key}_to_gate": value if value < math.inf else None for key, value in medians.items()}
    if base is not None and medians["steps"] < math.inf:
        entry["steps_over_ppo"] = medians["steps"] / min(base, budget)
        entry["steps_over_ppo_is_bound"] = base == math.inf
    return entry | {"rows": {row: _spread([run.rows[row] for run in runs]) for row in runs[0].rows}}


def _of(runs: Sequence[Run], arm: str) -> list[Run]:
    return [run for run in runs if run.arm == arm]


def _median_to_gate(runs: Sequence[Run], key: str) -> float:
    return float(np.median([math.inf if run.gate is None else run.gate[key] for run in runs]))


def _spread(results: Sequence[Result]) -> dict[str, list[float]]:
    """Return mean, lowest and highest of the figures that all seeds have."""
    found = {name: [result[name] for result in results] for name in results[0]}
    numbers = {name: [v for v in values if v is not None] for name, values in found.items()}
    return {
        name: [sum(values) / len(values), min(values), max(values)]
        for name, values in numbers.items()
        if len(values) == len(results)
    }


def table(arms: dict[str, Any]) -> str:
    """Return the comparison as lines of text."""
    lines = [f"{'arm':<20}{'passed':>8}{'M steps':>10}{'seconds':>9}{'steps/ppo':>11}  survival of the last policies"]
    for arm, entry in arms.items():
        steps, seconds, ratio = entry["median_steps_to_gate"], entry["median_seconds_to_gate"], "-"
        if "steps_over_ppo" in entry:
            ratio = f"{'< ' if entry['steps_over_ppo_is_bound'] else ''}{entry['steps_over_ppo']:.3f}"
        cells = f"{entry['passed']:>5}/{entry['seeds']:<2}{'-' if steps is None else f'{steps / 1e6:.2f}':>10}"
        cells += f"{'-' if seconds is None else f'{seconds:.0f}':>9}{ratio:>11}"
        last = "  ".join(f"{row} {values['survival'][0]:.2f}" for row, values in entry["rows"].items())
        lines.append(f"{arm:<20}{cells}  {last}")
    return "\n".join(lines)


def draw(runs: Sequence[Run], path: Path) -> None:
    """Draw every panel against robot-steps and against training time: the arms' means, and their spread as a band.

    Dotted: the walking gate's bounds, and each arm's median on the way to it.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 3.2 * len(PANELS)), layout="constrained")
    axes = figure.subplots(len(PANELS), len(AXES), squeeze=False, sharex="col")
    for row, (panel, label) in zip(axes, PANELS.items(), strict=True):
        for column, (axis, unit) in enumerate(zip(row, AXES, strict=True)):
            for i, arm in enumerate(dict.fromkeys(run.arm for run in runs)):
                series = [run.points(panel)[:, [column, 2]] for run in _of(runs, arm)]
                _draw_arm(axis, [s for s in series if len(s) > 1], arm, f"C{i}")
                gate = _median_to_gate(_of(runs, arm), GATE_KEYS[column])
                if gate < math.inf:
                    axis.axvline(gate, color=f"C{i}", linestyle=":", linewidth=1.0)
            axis.set_xscale("log")  # the arms may be a factor of ten apart
            axis.set_xlabel(unit if panel == list(PANELS)[-1] else "")
            axis.set_ylabel(label)
            axis.grid(alpha=0.3)
            if panel in BOUNDS:
                axis.axhline(BOUNDS[panel], color="0.4", linestyle=":", linewidth=1.0)
            if panel == "tracking":
                axis.set_ylim(0.0, 1.0)  # above, robots are falling
    if axes[0, 0].get_legend_handles_labels()[0]:
        axes[0, 0].legend()
    FigureCanvasAgg(figure).print_figure(path, dpi=110)


def _draw_arm(axis: Any, series: Sequence[np.ndarray], arm: str, color: str) -> None:
    """Draw the mean of curves (K, 2) where all of them have values, and the band that holds them."""
    start, end = (max(s[0, 0] for s in series), min(s[-1, 0] for s in series)) if series else (1.0, 0.0)
    if start >= end:
        return
    x = np.geomspace(start, end, 200)
    y = np.stack([np.interp(x, *s.T) for s in series])
    axis.plot(x, y.mean(0), color=color, label=f"{arm}, {len(series)} seed{'s' * (len(series) > 1)}")
    axis.fill_between(x, y.min(0), y.max(0), color=color, alpha=0.2, linewidth=0)
