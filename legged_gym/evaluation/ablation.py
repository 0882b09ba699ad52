"""Ablation of the teacher: what the arms are, their learning curves, and the figure of them."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from legged_gym.evaluation.suites import passes_walking_gate

ARMS: dict[str, dict[str, str]] = {
    "ppo": {
        "teacher.enabled": "false",
        "policy.init_noise_std": "1.0",
        "policy.noise_std_range": "0.01,10",
        "algorithm.learning_rate": "0.001",
        "algorithm.entropy_coef": "0.01",
        "algorithm.num_mini_batches": "4",
    },
    "dcm": {"teacher.offset_update": "never", "teacher.dcm.offset.enabled": "false"},
    "dcm+offset": {"teacher.dcm.offset.enabled": "true"},
    "raibert": {
        "teacher.dcm.stepping.law": "raibert",
        "teacher.offset_update": "never",
        "teacher.dcm.offset.enabled": "false",
    },
}
"""Arm -> training config fields that differ from the task's."""

CURVES = {
    "return": ("Train/mean_reward", "return per episode"),
    "survival": ("Eval/survival", "survival on track"),
    "rmse_vx": ("Eval/rmse_vx", "RMSE of v_x [m/s]"),
}
"""Panel -> (tensorboard tag, axis label)."""


@dataclass
class Run:
    """One arm with one seed."""

    arm: str
    seed: int
    directory: Path
    curves: dict[str, np.ndarray]
    """By panel: columns are robot-steps, training time [s], value. Shape (K, 3)."""
    gate: dict[str, float] | None
    """Robot-steps and training time [s] to the first policy that passed the walking gate."""


def read_run(arm: str, seed: int, directory: Path) -> Run:
    """Read a run's curves from the tensorboard events below a directory, the parts of a resumed run in their order."""
    scalars: dict[str, dict[int, float]] = {}
    for part in sorted(
        {path.parent for path in directory.rglob("events.out.*")}, key=lambda path: path.stat().st_mtime
    ):
        events = EventAccumulator(str(part), size_guidance={"scalars": 0})
        events.Reload()
        for tag in events.Tags()["scalars"]:
            scalars.setdefault(tag, {}).update({event.step: event.value for event in events.Scalars(tag)})

    def values(tag: str) -> dict[int, float]:
        return scalars.get(tag, {})

    steps, seconds = values("Perf/total_steps"), values("Perf/total_time")
    curves = {}
    for panel, (tag, _) in CURVES.items():
        rows = [(steps[i], seconds[i], value) for i, value in values(tag).items() if i in steps]
        curves[panel] = np.array(rows).reshape(-1, 3)
    evaluations = {name: values(f"Eval/{name}") for name in ("survival", "rmse_vx", "rmse_vy", "rmse_wz")}
    gate = None
    for i in sorted(evaluations["survival"]):
        row: dict[str, Any] = {name: series.get(i) for name, series in evaluations.items()}
        if passes_walking_gate(row) and i in steps:
            gate = {"steps": steps[i], "seconds": seconds[i]}
            break
    return Run(arm, seed, directory, curves, gate)


def summary(runs: list[Run]) -> dict[str, Any]:
    """Median steps and seconds to the walking gate by arm; a seed that never passed it is infinitely late (null)."""
    result = {}
    for arm in dict.fromkeys(run.arm for run in runs):
        gates = [run.gate for run in runs if run.arm == arm]
        entry: dict[str, Any] = {"seeds": len(gates), "passed": sum(gate is not None for gate in gates)}
        for key in ("steps", "seconds"):
            median = float(np.median([np.inf if gate is None else gate[key] for gate in gates]))
            entry[f"median_{key}_to_gate"] = median if np.isfinite(median) else None
        result[arm] = entry
    return result


def draw(runs: list[Run], path: Path) -> None:
    """Draw every panel against robot-steps and against training time: the arms' means, and their spread as a band."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 3.2 * len(CURVES)), layout="constrained")
    axes = figure.subplots(len(CURVES), 2, squeeze=False)
    for row, (panel, (_, label)) in zip(axes, CURVES.items(), strict=True):
        for column, (axis, unit) in enumerate(zip(row, ("robot-steps", "training time [s]"), strict=True)):
            for i, arm in enumerate(dict.fromkeys(run.arm for run in runs)):
                series = [run.curves[panel] for run in runs if run.arm == arm and len(run.curves[panel]) > 1]
                if not series:
                    continue
                end = min(s[-1, column] for s in series)
                x = np.linspace(max(s[0, column] for s in series), end, 200)
                y = np.stack([np.interp(x, s[:, column], s[:, 2]) for s in series])
                axis.plot(x, y.mean(0), color=f"C{i}", label=f"{arm} ({len(series)} seeds)")
                axis.fill_between(x, y.min(0), y.max(0), color=f"C{i}", alpha=0.2, linewidth=0)
            axis.set_xlabel(unit)
            axis.set_ylabel(label)
            axis.grid(alpha=0.3)
    axes[0, 0].legend()
    FigureCanvasAgg(figure).print_figure(path, dpi=110)
