"""State plots of one robot as a PNG."""

from pathlib import Path
from typing import Any

import numpy as np

from legged_gym.evaluation.metrics import COMPONENTS

SIDES = ("left", "right")
VELOCITY_UNITS = ("m/s", "m/s", "rad/s")


def plot_states(arrays: dict[str, np.ndarray], joint_names: tuple[str, ...], path: Path, title: str = "") -> None:
    """Plot joints, torques, base velocity against the command, contact forces and the gait clock.

    Args:
        arrays: From `StateRecorder.arrays`.
        joint_names: Names of the joints, left leg first.
        path: The PNG.
        title: Above the plots.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # no window, whatever the user's settings say
    from matplotlib.figure import Figure

    figure = Figure(figsize=(16, 13))
    axes = figure.subplots(5, 3, sharex=True)
    # Laid out by hand: matplotlib's own layouts draw everything several times, which costs seconds.
    figure.subplots_adjust(left=0.05, right=0.99, bottom=0.04, top=0.95, wspace=0.17, hspace=0.08)
    time = arrays["time"]
    for joint, name in enumerate(joint_names):
        _plot_joint(axes[joint // 3, joint % 3], arrays, joint, name)
    for i, name in enumerate(COMPONENTS):
        ax = axes[2, i]
        ax.plot(time, arrays["velocity"][:, i], label="base")
        ax.plot(time, arrays["command"][:, i], "k--", label="command")
        _label(ax, f"{name} [{VELOCITY_UNITS[i]}]")
    for side, label in enumerate(SIDES):
        ax = axes[3, side]
        for joint in range(3 * side, 3 * side + 3):
            ax.plot(time, arrays["joint_torque"][:, joint], label=joint_names[joint].removesuffix("_Joint"))
        _label(ax, f"torque, {label} [N m]")
        _plot_foot(axes[4, side], arrays, side)
    axes[3, 2].plot(time, np.abs(arrays["joint_torque"]).max(axis=-1), label="largest")
    _label(axes[3, 2], "torque [N m]")
    axes[4, 2].plot(time, arrays["clock"], label="clock")
    _label(axes[4, 2], "gait clock [cycles]")
    for ax in axes[-1]:
        ax.set_xlabel("time [s]")
    figure.suptitle(title)
    FigureCanvasAgg(figure).print_png(str(path))


def _plot_joint(ax: Any, arrays: dict[str, np.ndarray], joint: int, name: str) -> None:
    ax.plot(arrays["time"], arrays["joint_target"][:, joint], color="tab:orange", lw=0.8, label="target")
    ax.plot(arrays["time"], arrays["joint_pos"][:, joint], color="tab:blue", label="position")
    _label(ax, f"{name.removesuffix('_Joint')} [rad]")


def _plot_foot(ax: Any, arrays: dict[str, np.ndarray], side: int) -> None:
    """Contact force, over the stance that the clock asks for."""
    force = arrays["feet_force"][:, side]
    stance = arrays["desired_contact"][:, side] > 0.5
    top = max(float(force.max()), 1.0)
    ax.fill_between(arrays["time"], 0.0, top, where=stance, color="0.88", step="mid", label="stance by the clock")
    ax.plot(arrays["time"], force, label="force")
    _label(ax, f"contact force, {SIDES[side]} [N]")


def _label(ax: Any, name: str) -> None:
    ax.set_ylabel(name)
    ax.grid(alpha=0.3)
    ax.legend(fontsize="x-small", loc="upper right")
