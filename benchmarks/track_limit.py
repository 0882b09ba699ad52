"""The least error that the row `track` allows a robot which steps by the clock: a pendulum, steered at its best.

The pendulum (Kajita et al., ICRA 2001) has a point foot, a constant height and nothing but its footholds to steer with.
Within a step, with x = c - p, ẍ = ω²x. At each touchdown the foot goes where the squared error of the velocity over the
rest of the command is least (least squares over all footholds to come, no limit of reach, no delay, no noise, no
foreknowledge of the next command). The lateral one must keep its feet apart. So these are lower bounds for a body that
does not use its angular momentum; a robot that breaks the clock may get below them.

    python benchmarks/track_limit.py [--result FILE]
"""

import argparse

import numpy as np

from legged_gym.evaluation import results
from legged_gym.evaluation.rows import FULL_BOX, SUITES

GRAVITY = 9.81
HEIGHT = 0.72
"""Centre of mass over the ground of a PF_TRON1A that walks [m]."""
FEET_APART = 0.115
"""Least distance of the feet that rewards and solid legs allow [m]."""
SAMPLES = 40
"""Points of a step at which the error counts."""
PHASES = 12
"""Phases of the step at which a command changes."""


def step_maps(omega: float, duration: float, offset: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Velocity within what is left of a step, as rows (a, b) of v(t) = a x + b v, and its end state map (2, 2)."""
    t = np.linspace(offset, duration, SAMPLES, endpoint=False) + 0.5 * (duration - offset) / SAMPLES - offset
    rows = np.stack((omega * np.sinh(omega * t), np.cosh(omega * t)), axis=-1)
    left = omega * (duration - offset)
    end = np.array([[np.cosh(left), np.sinh(left) / omega], [omega * np.sinh(left), np.cosh(left)]])
    return rows, end


def steady_start(omega: float, duration: float, speed: float) -> np.ndarray:
    """State (x, v) at touchdown of the gait that walks at a mean speed: it begins and ends a step with the same v."""
    x = -0.5 * speed * duration  # the step is as long as the way
    return np.array([x, -x * omega * np.sinh(omega * duration) / (np.cosh(omega * duration) - 1.0)])


def best_error(omega: float, duration: float, before: float, after: float, phase: float, hold: float) -> float:
    """Least mean squared error after a change of the command, over the time it holds.

    Args:
        omega: Of the pendulum [1/s].
        duration: Of a step [s].
        before: Speed that it walks at, and that it is to walk at from now on [m/s].
        after: The same afterwards [m/s].
        phase: Share of the step that is over when the command changes.
        hold: How long the command holds [s].

    Returns:
        [m²/s²].
    """
    offset = phase * duration
    now = step_maps(omega, duration)[1] if offset == 0.0 else step_maps(omega, offset)[1]
    state = steady_start(omega, duration, before)
    state = state if offset == 0.0 else now @ state
    rows, end = step_maps(omega, duration, offset)
    weight = [(duration - offset) / SAMPLES] * SAMPLES
    errors = [rows @ state - after]
    matrix = [np.zeros((SAMPLES, 0))]
    constant, gain = (end @ state)[1], np.zeros(0)  # v at the next touchdown: constant + gain @ footholds
    rows, end = step_maps(omega, duration)
    steps = int((hold - (duration - offset)) / duration)
    for _ in range(steps):  # each adds one foothold, the x that its step begins with
        errors.append(rows[:, 1] * constant - after)
        matrix.append(np.concatenate((np.outer(rows[:, 1], gain), rows[:, :1]), axis=1))
        weight += [duration / SAMPLES] * SAMPLES
        constant, gain = end[1, 1] * constant, np.append(end[1, 1] * gain, end[1, 0])
    full = np.concatenate([np.pad(part, ((0, 0), (0, steps - part.shape[1]))) for part in matrix])
    error, root = np.concatenate(errors), np.sqrt(np.array(weight))
    footholds = np.linalg.lstsq(full * root[:, None], -error * root, rcond=None)[0]
    left = (error + full @ footholds) * root
    return float(left @ left / np.sum(weight))


def sway(omega: float, duration: float) -> float:
    """Mean squared lateral velocity of a robot that steps in place with its feet as near as they may be [m²/s²]."""
    rows, _ = step_maps(omega, duration)
    x = 0.5 * FEET_APART  # it falls inwards and back out again: v at the ends is ∓, in the middle 0
    start = np.array([x, -x * omega * np.tanh(0.5 * omega * duration)])
    return float(np.mean((rows @ start) ** 2))


def main() -> None:
    """Print the bounds."""
    columns = {name: ("m/s", 3) for name in ("rmse_vx", "rmse_vx_steady", "rmse_vy", "rmse_vy_steady")}
    figures = {}
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=200, help="pairs of commands that are drawn (default: 200)")
    results.add_option(parser)
    args = parser.parse_args()
    row, omega = SUITES["track"][0], (GRAVITY / HEIGHT) ** 0.5
    draw = np.random.default_rng(0)
    # Of the commands of a row, the first is met at rest and counts from its warm-up on only: all errors are of changes
    # in what follows, and of the steady gait before.
    share = 1.0 - (row.resampling_time - row.warm_up) / (row.duration - row.warm_up)
    print("gait [Hz]  rmse v_x [m/s]  of it steady  rmse v_y [m/s]  of it steady")
    for frequency in (1.6, 2.0, 2.4, 2.8, 3.2):
        duration, bounds = 0.5 / frequency, []
        for low, high in FULL_BOX[:2]:
            changed, steady = [], []
            for _ in range(args.pairs):
                before, after = draw.uniform(low, high, 2)
                phase = draw.integers(PHASES) / PHASES
                changed.append(best_error(omega, duration, before, after, phase, row.resampling_time))
                steady.append(best_error(omega, duration, after, after, 0.0, row.resampling_time))
            bounds.append((share * np.mean(changed) + (1.0 - share) * np.mean(steady), np.mean(steady)))
        (x, x_steady), (y, y_steady) = bounds
        side = sway(omega, duration)
        roots = [x**0.5, x_steady**0.5, (y + side) ** 0.5, (y_steady + side) ** 0.5]
        figures[f"{frequency:.1f}_Hz"] = {name: {"value": root} for name, root in zip(columns, roots, strict=True)}
        print(f"{frequency:9.1f}  {roots[0]:14.3f}  {roots[1]:12.3f}  {roots[2]:14.3f}  {roots[3]:12.3f}")
    if args.result is not None:
        note = f"{args.pairs} pairs of commands are drawn for each frequency and axis."
        results.save(
            args.result,
            "Least error on track of a pendulum that steps by the clock",
            "Walking",
            columns,
            figures,
            "",
            [0],
            note=note,
        )


if __name__ == "__main__":
    main()
