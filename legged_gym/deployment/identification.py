"""Joint friction, damping, rotor inertia and delay from a log: least squares over batched simulation of its air time.

The residuals are the differences between simulated and logged joint angles and rates, in units of the log's own
noise. `mujoco.minimize.least_squares`, which comes with MuJoCo, asks for many candidates at once, and `mujoco.rollout`
simulates these on all cores. The covariance of the estimate shows which parameters the data cannot tell.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import mujoco.minimize
import numpy as np

from legged_gym.deployment.air_replay import AirReplay
from legged_gym.deployment.joint_parameters import DELAY, GROUPS, NAMES, JointParameters
from legged_gym.deployment.leg_model import runs_of
from legged_gym.deployment.recorder import GRAVITY
from legged_gym.deployment.robot_log import RobotLog
from legged_gym.utils.errors import UserError

SCALES = {"friction": 1.0, "damping": 0.5, "armature": 0.02, DELAY: 0.01}
"""Usual size of each kind of parameter: the unit that the search counts in [N m, N m s/rad, kg m^2, s]."""
LIMITS = {"friction": 8.0, "damping": 4.0, "armature": 0.3, DELAY: 0.05}
"""Largest values that are searched; the smallest are 0."""
START = {"friction": 0.3, "damping": 0.1, "armature": 0.02, DELAY: 0.01}
RESOLUTION = {"friction": 0.02, "damping": 0.008, "armature": 0.001, DELAY: 0.0005}
"""A parameter counts as known if its standard error is below this, however small its value."""
RELATIVE = 0.03
"""Otherwise the standard error must be below this share of the value."""
MOVING = 0.2
"""A joint whose rate has a smaller rms in the air [rad/s] mostly sticks. It only shows a lower bound of its friction,
and least squares would take that bound for its value."""
LEAST_EXPLAINED = 0.75
"""Share of the difference between simulated and logged rates, beyond the noise, that the fit must take away. Errors are
those of a model that holds; where it does not, a value may be far off and its error small."""
NOISE_FLOOR = np.array([2e-4, 1e-2])
"""No encoder is better than this [rad, rad/s]. Else a simulated log without noise would explain everything."""
HANGING = 0.05
"""If the feet seem to stand for less than this share of the time, the robot hangs on a hoist."""
SHAKING = 1.5
"""Where the base is thrown about by less than this (rms) [m/s^2], it does not walk; steps give it 3 and more."""
WINDOW = {True: 1.0, False: 0.14}
"""Longest stretch that is simulated from one start [s], by whether both legs are free all the time."""
STOP = 0.03
"""A joint this near to its stop [rad] may be held by it."""
GUARD = 0.02
"""Time next to a stance that does not count as air [s]."""
MAX_STEP = 0.0055
"""Longest time between rows of a usable log [s]: targets and motors act faster than that."""
BLOCK = 0.14
"""Residuals closer together than this [s] are not independent."""
FINITE_DIFFERENCE = 1e-3
"""Step of the finite differences [units of `SCALES`]."""
MAX_ITERATIONS = 40


@dataclass(frozen=True)
class Stretch:
    """A piece of the log in which at least one leg is in the air."""

    rows: slice
    legs: tuple[bool, bool]
    """Which legs are in the air."""


@dataclass(frozen=True)
class Estimate:
    """Estimate of one parameter."""

    value: float
    error: float
    """Standard error; infinite if the log does not tell."""
    identified: bool
    why_not: str = ""


@dataclass(frozen=True)
class Identification:
    """The joint parameters that a log tells."""

    parameters: dict[str, Estimate]
    """Estimates by name of `NAMES`."""
    rms_before: np.ndarray
    """Rms of simulated minus logged angles and rates with the maker's values [rad, rad/s]. Shape (2,)."""
    rms_after: np.ndarray
    """The same with the estimates."""
    air_time: tuple[float, float]
    """Time in the air that counted, left and right leg [s]."""
    hanging: bool
    """Whether the robot hung on a hoist."""

    def joints(self) -> JointParameters:
        """Return the identified values, and the maker's for the others."""
        known = {name: estimate.value for name, estimate in self.parameters.items() if estimate.identified}
        return JointParameters.from_values(known)


def hangs(log: RobotLog, contact: np.ndarray) -> bool:
    """Say whether the robot hangs on a hoist.

    Torques do not tell the force along a stretched leg, so a leg that swings in the air may seem to stand now and then.
    A base that is at rest meanwhile gives the hoist away; one that is at rest on feet that stand throughout does not.

    Args:
        log: The log.
        contact: Whether the foot seems to stand. Shape (T, 2), bool.
    """
    if contact.mean() < HANGING:
        return True
    if log.acceleration is None or contact.mean() > 0.5:
        return False
    return bool(np.sqrt(np.mean((np.linalg.norm(log.acceleration, axis=1) - GRAVITY) ** 2)) < SHAKING)


def air_stretches(log: RobotLog, contact: np.ndarray, limits: np.ndarray) -> tuple[list[Stretch], bool]:
    """Find the stretches to simulate, all of one length: legs in the air, their joints away from their stops.

    Args:
        log: The log.
        contact: Whether the foot stands. Shape (T, 2), bool.
        limits: Lower and upper stop of each joint [rad]. Shape (6, 2).

    Returns:
        The stretches, and whether the robot hangs.

    Raises:
        UserError: There are too few, or the log is too coarse.
    """
    if log.dt > MAX_STEP:
        raise UserError(
            f"rows are {1e3 * log.dt:.3g} ms apart, expected {1e3 * MAX_STEP:.2g} ms at most: log every pass of the "
            "control loop (2 ms), as sim2sim.py --log does; play.py logs policy steps only"
        )
    hanging = hangs(log, contact)
    near_stop = (log.joint_pos < limits[:, 0] + STOP) | (log.joint_pos > limits[:, 1] - STOP)
    held = np.asarray(near_stop.reshape(-1, 2, 3).any(axis=-1))
    if not hanging:
        held = held | contact
    free_throughout = not held.any()
    length = round(WINDOW[free_throughout] / log.dt)
    stretches = []
    for whole in log.pieces():
        # The targets sent before a piece are unknown, but still act in its first moments.
        piece = slice(min(whole.start + round(LIMITS[DELAY] / log.dt), whole.stop), whole.stop)
        for legs in [(True, True)] if free_throughout else [(True, False), (False, True)]:
            free = ~held[piece, legs.index(True)]
            guard = 0 if free_throughout else round(GUARD / log.dt)
            for first, last in runs_of(free, True):
                first, last = piece.start + first + guard, piece.start + last - guard
                count = (last - first) // length
                stretches += [Stretch(slice(first + k * length, first + (k + 1) * length), legs) for k in range(count)]
    if len(stretches) < 2:
        raise UserError(
            f"too little time in the air: a foot must be off the ground for {WINDOW[False]:g} s at a time. Log a walk "
            "of some seconds, or better, the robot on the hoist with its feet free and the policy on"
        )
    return stretches, hanging


class _Problem:
    """Residuals of candidates, given as arrays in units of `SCALES`."""

    def __init__(self, replay: AirReplay, log: RobotLog, stretches: Sequence[Stretch]) -> None:
        self._replay, self._log, self._stretches = replay, log, stretches
        self.scales = np.array([SCALES[_kind(name)] for name in NAMES])
        self.noise = np.maximum([_noise(log.joint_pos), _noise(log.joint_vel)], NOISE_FLOOR[:, None])  # (2, 6)
        self.block = max(1, round(BLOCK / log.dt))
        self._starts: list[np.ndarray] = []

    def differences(
        self, candidates: Sequence[JointParameters], shifts: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return simulated minus logged angles and rates; legs on the ground are zero.

        Returns:
            Shape (candidates, stretches, T, 2, 6), and which of them count, shape (stretches, 6).
        """
        replays = self._replay.run([stretch.rows for stretch in self._stretches], candidates, shifts)
        log, found = self._log, []
        for replay in replays:
            logged = np.stack((log.joint_pos[replay.rows], log.joint_vel[replay.rows]), axis=1)
            found.append(np.stack((replay.joint_pos, replay.joint_vel), axis=2) - logged)
        legs = np.array([np.repeat(stretch.legs, 3) for stretch in self._stretches])
        return np.stack(found, axis=1) * legs[None, :, None, None, :], legs

    def learn_starts(self, joints: JointParameters) -> None:
        """Find out how an error in each stretch's start carries on, so that `residuals` can discount it.

        A start is known up to the sensors' noise. Its covariance P makes that of the residuals I + S P S^T, with S
        their derivatives with respect to the start; the residuals are whitened with it. Let U and s be the singular
        vectors and values of S P^(1/2): whitening subtracts U (1 - 1 / sqrt(1 + s^2)) U^T of them.
        """
        shifts = np.zeros((7, 2, 6))  # the first one is zero
        for joint in range(3):
            for kind in range(2):  # legs do not affect each other: both at once
                both = [joint, joint + 3]
                shifts[1 + 2 * joint + kind, kind, both] = self.noise[kind, both]
        differences, _ = self.differences([joints] * len(shifts), shifts)
        sensitivity = (differences[1:] - differences[:1]) / self.noise  # (6, stretches, T, 2, 6)
        self._starts = []
        for leg in range(2):
            own = sensitivity[..., 3 * leg : 3 * leg + 3].reshape(6, len(self._stretches), -1)
            vectors, values, _ = np.linalg.svd(own.transpose(1, 2, 0), full_matrices=False)
            self._starts.append(vectors * np.sqrt(1.0 - 1.0 / np.sqrt(1.0 + values**2))[:, None])

    def residuals(self, x: np.ndarray) -> np.ndarray:
        """Return the residuals of one or more candidates. Shape (P,) or (P, n) -> (R, n)."""
        columns = x.reshape(len(NAMES), -1).T
        differences, _ = self.differences([self.joints(column) for column in columns])
        residuals = differences / self.noise
        for leg, spread in enumerate(self._starts):
            own = residuals[..., 3 * leg : 3 * leg + 3]
            flat = own.reshape(*own.shape[:2], -1, 1)
            own -= (spread @ (spread.transpose(0, 2, 1) @ flat)).reshape(own.shape)
        return residuals.reshape(len(columns), -1).T

    def joints(self, x: np.ndarray) -> JointParameters:
        """Return the joint parameters of an array in units of `SCALES`."""
        return JointParameters.from_values(dict(zip(NAMES, (x * self.scales).tolist(), strict=True)))

    def rates(self) -> dict[str, float]:
        """Return the rms rate in the air of each kind of joint, without the noise [rad/s]."""
        squares = np.zeros(6)
        counts = np.zeros(6)
        for stretch in self._stretches:
            legs = np.repeat(stretch.legs, 3)
            squares += legs * (self._log.joint_vel[stretch.rows] ** 2 - self.noise[1] ** 2).mean(axis=0)
            counts += legs
        means = np.maximum(squares, 0.0) / np.maximum(counts, 1.0)
        return {group: float(np.sqrt(means[list(joints)].max())) for group, joints in GROUPS.items()}

    def rms(self, joints: JointParameters) -> np.ndarray:
        """Return the differences' rms [rad, rad/s]. Shape (2,)."""
        differences, legs = self.differences([joints])
        squares = (differences[0] ** 2).sum(axis=(0, 1, 3))
        return np.sqrt(squares / (differences.shape[2] * legs.sum()))

    def jacobian(self, x: np.ndarray) -> np.ndarray:
        """Return the derivatives of the residuals by forward differences, inwards at the limits. Shape (R, P)."""
        steps = np.where(x > 1.0, -1.0, 1.0) * FINITE_DIFFERENCE
        columns = np.column_stack((x, x[:, None] + np.diag(steps)))
        residuals = self.residuals(columns)
        return (residuals[:, 1:] - residuals[:, :1]) / steps

    def blocks(self, residuals: np.ndarray) -> list[np.ndarray]:
        """Split rows of residuals into blocks in time that are independent. Shape (R, ...) -> list of (r, ...)."""
        per_row = 2 * 6
        rows = residuals.reshape(len(self._stretches), -1, per_row, *residuals.shape[1:])
        blocks = []
        for stretch in rows:
            for first in range(0, len(stretch), self.block):
                blocks.append(stretch[first : first + self.block].reshape(-1, *residuals.shape[1:]))
        return blocks


def identify(
    replay: AirReplay, log: RobotLog, contact: np.ndarray, progress: Callable[[str], None] | None = None
) -> Identification:
    """Find the joint parameters with which the simulated legs move like the logged ones.

    Args:
        replay: Simulates the log.
        log: The log.
        contact: Whether the foot stands. Shape (T, 2), bool.
        progress: Called with a line after each iteration.

    Raises:
        UserError: The log is not usable.
    """
    stretches, hanging = air_stretches(log, contact, replay.joint_limits)
    problem = _Problem(replay, log, stretches)
    bounds = np.zeros(len(NAMES)), np.array([LIMITS[_kind(name)] for name in NAMES]) / problem.scales
    start = np.array([START[_kind(name)] for name in NAMES]) / problem.scales

    def report(trace: list[Any]) -> None:
        if progress is not None:
            progress(f"iteration {len(trace)}: cost {float(np.squeeze(trace[-1].objective)):.4g}")

    x = start
    for _ in range(2):  # how an error in a start carries on depends, a little, on the joints
        problem.learn_starts(problem.joints(x))
        x, _ = mujoco.minimize.least_squares(
            x,
            problem.residuals,
            bounds=bounds,
            eps=FINITE_DIFFERENCE,
            xtol=1e-3,
            max_iter=MAX_ITERATIONS,
            mu_factor=2.0,
            verbose=mujoco.minimize.Verbosity.SILENT,
            iter_callback=report,
        )
        x = np.asarray(x).reshape(-1)
    errors = standard_errors(problem.jacobian(x), problem.residuals(x)[:, 0], problem.blocks)
    rates = problem.rates()
    before, after = problem.rms(JointParameters()), problem.rms(problem.joints(x))
    left = _share_left(before[1], after[1], float(np.sqrt(np.mean(problem.noise[1] ** 2))))
    parameters = {
        name: _judge(name, float(value), float(error), rates, left)
        for name, value, error in zip(NAMES, x * problem.scales, errors * problem.scales, strict=True)
    }
    lasting = [(stretch.rows.stop - stretch.rows.start) * log.dt for stretch in stretches]
    counted = np.array(lasting) @ np.array([stretch.legs for stretch in stretches])
    return Identification(
        parameters,
        before,
        after,
        (float(counted[0]), float(counted[1])),
        hanging,
    )


def standard_errors(
    jacobian: np.ndarray, residuals: np.ndarray, blocks: Callable[[np.ndarray], list[np.ndarray]]
) -> np.ndarray:
    """Return the standard error of each parameter of a least-squares fit.

    Neighbouring residuals are correlated, so a block of them counts as one observation (the sandwich estimator of Huber
    and White, clustered). White noise of size 1 is the least that is assumed.

    Args:
        jacobian: J. Shape (R, P).
        residuals: r, in units of their noise. Shape (R,).
        blocks: Splits rows into independent blocks.

    Returns:
        Standard errors, infinite for parameters that the residuals do not depend on. Shape (P,).
    """
    normal = jacobian.T @ jacobian
    size = np.sqrt(np.diag(normal))
    seen = size > 1e-6 * max(float(size.max(initial=0.0)), 1e-12)
    errors = np.full(len(size), np.inf)
    if not seen.any():
        return errors
    unit = size[seen]
    correlations = normal[np.ix_(seen, seen)] / np.outer(unit, unit)
    inverse = np.linalg.pinv(correlations, rcond=1e-9, hermitian=True)
    scores = [(part[:, :-1][:, seen] / unit).T @ part[:, -1] for part in blocks(np.column_stack((jacobian, residuals)))]
    spread = sum((np.outer(score, score) for score in scores), np.zeros_like(inverse))
    covariance = inverse @ (spread + correlations) @ inverse
    errors[seen] = np.sqrt(np.maximum(np.diag(covariance), 0.0)) / unit
    # Two parameters may only act together: the pseudo-inverse hides it, the eigenvector does not.
    values, vectors = np.linalg.eigh(correlations)
    hidden = (np.abs(vectors[:, values < 1e-9 * values[-1]]) > 0.1).any(axis=1)
    errors[np.flatnonzero(seen)[hidden]] = np.inf
    return errors


def _share_left(before: float, after: float, noise: float) -> float:
    """Return the share of a difference beyond the noise that a fit leaves; 0 where there is hardly any [rad/s]."""
    if after < 1.2 * noise:
        return 0.0
    return float(np.sqrt((after**2 - noise**2) / max(before**2 - noise**2, 1e-12)))


def _judge(name: str, value: float, error: float, rates: dict[str, float], left: float) -> Estimate:
    """Judge whether a parameter is known.

    Args:
        name: The parameter.
        value: Its estimate.
        error: Standard error of that.
        rates: Rms rate of each kind of joint [rad/s].
        left: Share of the difference to the log that the fit has left.
    """
    kind, _, group = name.partition("_")
    if left > 1.0 - LEAST_EXPLAINED:
        return Estimate(value, error, False, f"the fit leaves {left:.0%} of the difference to the log")
    if group and rates[group] < MOVING:
        return Estimate(value, error, False, f"the joint hardly moves in the air, {rates[group]:.2f} rad/s rms")
    if not error <= max(RELATIVE * value, RESOLUTION[kind]):
        return Estimate(value, error, False, "the log hardly depends on it")
    if value > 0.999 * LIMITS[kind]:
        return Estimate(value, error, False, f"it is at the end of what was searched, {LIMITS[kind]:g}")
    return Estimate(value, error, True)


def _kind(name: str) -> str:
    return name.partition("_")[0]


def _noise(values: np.ndarray) -> np.ndarray:
    """Estimate the white noise of each column from third differences, in which little of a smooth signal is left.

    The median ignores the jumps of an impact. Shape (T, 6) -> (6,).
    """
    differences = np.abs(np.diff(values, n=3, axis=0))
    return np.median(differences, axis=0) / 0.6745 / np.sqrt(20.0)
