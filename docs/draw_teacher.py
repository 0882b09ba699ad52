"""Draws the figures of teacher.md: `python docs/draw_teacher.py [--offset FILE]`.

One robot walks, turns and is pushed, driven by the teacher on nominal physics; footholds, CoM and DCM are drawn from
above, and the DCM offset, its error and the learned offset over time.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import torch

from legged_gym.envs.pointfoot.pointfoot_flat import PointFootFlat
from legged_gym.envs.pointfoot.pointfoot_flat_config import PointFootFlatCfg
from legged_gym.evaluation.suites import evaluation_cfg
from legged_gym.runners.config import TeacherInLoopCfg
from legged_gym.teacher.dcm_teacher import DcmTeacher
from legged_gym.teacher.frame import observe
from legged_gym.teacher.kinematics import LegGeometry
from legged_gym.utils.checkpoint import load_checked

FIGURES = Path(__file__).parent / "figures"
SCHEDULE = ((0.0, (0.0, 0.0, 0.0)), (1.5, (0.5, 0.0, 0.0)), (5.0, (0.5, 0.0, 0.5)), (8.0, (0.0, 0.2, 0.0)))
"""(time [s], command) of the walk."""
PUSH_TIME, PUSH = 3.5, (0.0, 0.5)
"""A sideways kick [s], [m/s] in W."""
DURATION = 10.0


@torch.inference_mode()
def walk(offset: Path | None) -> dict[str, np.ndarray]:
    """One robot's walk; arrays over time."""
    cfg = evaluation_cfg(PointFootFlatCfg(), 1, seed=0)
    cfg.init_state.yaw = (0.0, 0.0)
    env = PointFootFlat(cfg)
    teacher_cfg = TeacherInLoopCfg().dcm
    teacher_cfg.offset.enabled = offset is not None
    teacher = DcmTeacher(teacher_cfg, LegGeometry.from_model(env.sim.robot), 1, env.observation_terms["teacher"])
    if offset is not None:
        teacher.network.load_state_dict(load_checked(offset)["offset_network"])
    torch.manual_seed(0)
    obs = env.reset()
    rows: dict[str, list[np.ndarray]] = {}
    for k in range(round(DURATION / env.dt)):
        command = [c for t, c in SCHEDULE if t <= k * env.dt][-1]
        env.commands.set(torch.tensor([command]), torch.ones(1, dtype=torch.bool))
        if k == round(PUSH_TIME / env.dt):
            env.sim.push(torch.ones(1, dtype=torch.bool), torch.tensor([[*PUSH, 0.0]]))
        obs["teacher"] = env.get_observations()["teacher"]
        output = teacher.step(obs["teacher"])
        env.shift_gait_clock(output.clock_shift)
        state = teacher.layout.parse(obs["teacher"])
        frame = observe(state)
        relative = teacher.network.unpack(output.inputs)["xi"]
        xi = frame.to_world(torch.cat((relative, frame.com[2:])))[:2] + frame.stance_w[:2]
        sample = {
            "time": torch.tensor([k * env.dt]),
            "com": state.com_pos_w[:2, 0],
            "xi": xi[:, 0],
            "stance": frame.stance_w[:2, 0],
            "left": frame.stance[0],
            "plan": output.foothold_w[0],
            "touchdown": output.touchdown,
            "error": output.touchdown_error[0],
            "offset": output.offset[0],
            "b": teacher.memory.offset_b[:, 0],
            "relative": relative[:, 0],
            "velocity": frame.com_vel[:2, 0],
            "command": torch.tensor(command),
        }
        for name, value in sample.items():
            rows.setdefault(name, []).append(value.clone().numpy())
        obs, *_ = env.step(output.action)
    env.sim.close()
    return {name: np.stack(values) for name, values in rows.items()}


def draw_top_view(data: dict[str, np.ndarray], path: Path) -> None:
    """Footholds, CoM and DCM from above."""
    figure, axis = plt.subplots(figsize=(10, 5))
    axis.plot(*data["com"].T, color="black", label="CoM $c$")
    axis.plot(*data["xi"].T, color="tab:red", linewidth=0.8, label=r"DCM $\xi$")
    landed = np.flatnonzero(data["touchdown"][:, 0] > 0)
    for side, colour, name in ((1.0, "tab:blue", "left"), (0.0, "tab:green", "right")):
        steps = [k for k in landed if data["left"][k, 0] == side]
        axis.plot(*data["stance"][steps].T, "o", color=colour, label=f"{name} foot")
        axis.plot(*data["plan"][[k - 1 for k in steps]].T, "x", color=colour, label=f"$p^*$ of the {name} foot")
    for time, text in ((PUSH_TIME, "push"), *((t, f"$({c[0]:g}, {c[1]:g}, {c[2]:g})$") for t, c in SCHEDULE[1:])):
        k = int(np.argmin(np.abs(data["time"][:, 0] - time)))
        axis.annotate(
            text,
            data["com"][k],
            xytext=(-32, 24),
            textcoords="offset points",
            ha="center",
            arrowprops={"arrowstyle": "->"},
        )
    axis.margins(x=0.1)
    axis.set(xlabel="x [m]", ylabel="y [m]", aspect="equal")
    axis.legend(fontsize=8, ncols=3)
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    plt.close(figure)


def draw_time_series(runs: dict[str, dict[str, np.ndarray]], path: Path) -> None:
    """Velocity, DCM offset error at touchdown and offset over time."""
    figure, axes = plt.subplots(3, 1, figsize=(10, 7), sharex=True)
    for (name, data), colour in zip(runs.items(), ("tab:orange", "tab:blue"), strict=False):
        time, landed = data["time"][:, 0], data["touchdown"][:, 0] > 0
        axes[0].plot(time, data["velocity"][:, 0], color=colour, label=name)
        axes[1].plot(
            time[landed], 100 * data["error"][landed, 0], "o-", color=colour, markersize=3, label=f"{name}, forward"
        )
        axes[1].plot(
            time[landed], 100 * data["error"][landed, 1], ".:", color=colour, markersize=4, label=f"{name}, sideways"
        )
        axes[2].plot(time, 100 * data["offset"][:, 0], color=colour, label=f"{name}, forward")
        axes[2].plot(time, 100 * data["offset"][:, 1], ":", color=colour, label=f"{name}, sideways")
    first = next(iter(runs.values()))
    axes[0].plot(first["time"][:, 0], first["command"][:, 0], "k--", linewidth=0.8, label="command")
    for axis, label in zip(axes, (r"forward velocity [m/s]", r"$e_n$ [cm]", r"$\Delta\xi$ [cm]"), strict=True):
        axis.set_ylabel(label)
        axis.axvline(PUSH_TIME, color="grey", linewidth=0.8)
        axis.grid(alpha=0.3)
        axis.legend(fontsize=8, ncols=3)
    axes[2].set_xlabel("time [s]")
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    plt.close(figure)


def draw_step(data: dict[str, np.ndarray], path: Path) -> None:
    """The DCM relative to the stance foot over some steps, with the nominal offset it should land at.

    The next step's stance side is the other one: seen from this step, its sideways offset has the other sign.
    """
    figure, axes = plt.subplots(2, 1, figsize=(10, 5), sharex=True)
    window = (data["time"][:, 0] >= 1.0) & (data["time"][:, 0] <= 3.4)
    time = data["time"][window, 0]
    for axis, row, label in zip(axes, (0, 1), ("forward", "towards the stance side"), strict=True):
        sign, name = ((1.0, "$b$"), (-1.0, "$-b$"))[row]
        axis.plot(time, 100 * data["relative"][window, row], color="tab:red", label=r"$\xi - p$")
        target = 100 * sign * data["b"][window, row]
        axis.plot(time, target, color="black", linewidth=0.8, label=f"{name}, where it is to be after the touchdown")
        axis.set_ylabel(f"{label} [cm]")
        axis.grid(alpha=0.3)
        axis.legend(fontsize=8)
    axes[1].set_xlabel("time [s]")
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    plt.close(figure)


def main() -> None:
    """Draws all figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--offset", type=Path, help="learned offset to compare with the closed form")
    args = parser.parse_args()
    FIGURES.mkdir(exist_ok=True)
    runs = {"closed form": walk(None)}
    if args.offset is not None:
        runs[r"with $\Delta\xi$"] = walk(args.offset)
    last = list(runs.values())[-1]
    draw_top_view(last, FIGURES / "teacher_footholds.png")
    draw_step(last, FIGURES / "teacher_dcm.png")
    draw_time_series(runs, FIGURES / "teacher_offset.png")


if __name__ == "__main__":
    main()
