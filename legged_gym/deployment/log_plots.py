"""Figures of a log beside the simulator."""

from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from legged_gym.deployment.comparison import AXES, cycle_mean
from legged_gym.deployment.leg_model import Feet, runs_of
from legged_gym.deployment.robot_log import SHORT_JOINTS, RobotLog

SHOWN = 4.0
"""Time span of the joints' figure [s]: a longer one is unreadable."""
Walk = tuple[RobotLog, Feet]
"""A log, and the feet in its rows."""


def plot_joints(log: RobotLog, simulated: np.ndarray, file: Path) -> None:
    """Draw target, logged and simulated angle of each joint.

    Args:
        log: The log.
        simulated: Angles of legs in the air [rad], NaN elsewhere. Shape (T, 6).
        file: PNG to write.
    """
    known = np.flatnonzero(np.isfinite(simulated).any(axis=1))
    first = int(known[0]) if known.size else 0
    rows = slice(first, first + round(SHOWN / log.dt))
    figure = _figure(14.0, 7.0)
    for joint, name in enumerate(SHORT_JOINTS):
        axes = figure.add_subplot(2, 3, joint + 1)
        axes.plot(log.time[rows], log.target[rows, joint], color="0.7", lw=0.8, label="target")
        axes.plot(log.time[rows], log.joint_pos[rows, joint], color="C0", lw=1.0, label="log")
        axes.plot(log.time[rows], simulated[rows, joint], color="C1", lw=1.0, label="simulated, in the air")
        axes.set(title=name, xlabel="time [s]", ylabel="[rad]" if joint % 3 == 0 else "")
    figure.axes[0].legend(fontsize=8)
    figure.savefig(file)


def plot_walks(log: Walk, simulator: Walk | None, file: Path) -> None:
    """Draw stances and velocities of the log and of the simulated robot.

    Args:
        log: The robot's walk.
        simulator: The simulated robot's, if there is one.
        file: PNG to write.
    """
    walks = {"log": log} | ({} if simulator is None else {"simulator": simulator})
    figure = _figure(12.0, 9.0)
    axes = figure.add_subplot(4, 1, 1)
    for line, (name, (rows, feet)) in enumerate(walks.items()):
        for foot, side in enumerate("LR"):
            bars = [((a * rows.dt), (b - a) * rows.dt) for a, b in runs_of(feet.contact[:, foot], True)]
            axes.broken_barh(bars, (2 * line + foot - 0.4, 0.8), facecolors=f"C{line}")
            axes.text(0.0, 2 * line + foot, f"{name} {side} ", ha="right", va="center", fontsize=8)
    axes.set(yticks=[], title="stances", xlim=(0.0, min(2.0 * SHOWN, log[0].time[-1] - log[0].time[0])))
    for axis, name in enumerate(AXES):
        axes = figure.add_subplot(4, 1, axis + 2)
        if log[0].command is not None:
            axes.plot(_time(log[0]), log[0].command[:, axis], color="0.6", label="command")
        for line, (which, (rows, feet)) in enumerate(walks.items()):
            values = feet.velocity[:, axis] if axis < 2 else rows.body_rates[:, 2]
            axes.plot(_time(rows), cycle_mean(values, rows.dt), color=f"C{line}", label=which)
        axes.set(ylabel=f"{name} [{'rad/s' if axis == 2 else 'm/s'}]", xlabel="time [s]" if axis == 2 else "")
    figure.axes[1].legend(fontsize=8)
    figure.savefig(file)


def _time(log: RobotLog) -> np.ndarray:
    return log.time - log.time[0]


def _figure(width: float, height: float) -> Figure:
    with matplotlib.rc_context({"font.size": 9}):
        return Figure(figsize=(width, height), dpi=100, layout="constrained")
