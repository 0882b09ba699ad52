"""One robot in one row of the evaluation, by the contract. It does not import torch: worker processes start quickly."""

import math
from collections import deque
from dataclasses import dataclass

import numpy as np

from legged_gym.deployment.contract import (
    CONTROL_DT,
    DECIMATION,
    DEFAULT_ANGLES,
    JOINT_ORDERS,
    POLICY_DT,
    STAND_UP_TIME,
    Controller,
    Networks,
    Sensors,
    swing_foot,
)
from legged_gym.deployment.engine import Engine, State, Tally
from legged_gym.deployment.recorder import Recorder

ACTION_DELAY = 0.010
"""Time until a target takes effect on the robot [s]."""
NOISE = {"body_rates": 0.2, "gravity": 0.05, "joint_pos": 0.01, "joint_vel": 1.5}
"""Half-widths of the uniform noise on the policy's inputs, as in training [rad/s, -, rad, rad/s]."""
MAX_TILT, MAX_TILT_TIME = math.radians(84.0), 0.5
"""A robot tilted further [rad] for longer [s] has fallen."""
STEERING_GAIN, STEERING_LIMIT = 1.0, 0.5
"""On lanes: commanded yaw rate per error of the heading [1/s], and its largest value [rad/s]."""
Series = dict[str, np.ndarray]
"""Motion of a robot, by name; one entry per policy step. Shape (T, ...)."""


@dataclass(frozen=True)
class Job:
    """Commands and disturbances of one robot."""

    commands: np.ndarray
    """v_x, v_y [m/s], w_z [rad/s] for each policy step. Shape (T, 3)."""
    seed: tuple[int, ...]
    """Seed of its sensor noise."""
    frequency: float
    """Frequency of its gait [Hz]."""
    delay: float = ACTION_DELAY
    """Delay of its targets [s]."""
    noisy: bool = True
    """Whether its sensors have noise."""
    steered: bool = False
    """Whether the commanded yaw rate keeps it heading along +x."""
    start: int = -1
    """Policy step at which it is disturbed; -1 for never."""
    stop: int = -1
    """First policy step in which no force acts any more."""
    kick: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """Velocity kick [m/s]."""
    force: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """Force on the base [N]."""
    at_lid: bool = False
    """Whether the force acts on the lid instead of the centre of mass."""
    trip: float = 0.0
    """Force on the swinging foot, against the heading [N]."""


class SensorNoise:
    """Uniform noise, drawn anew for each observation."""

    def __init__(self, seed: tuple[int, ...]) -> None:
        """Seed the draws."""
        self._rng = np.random.default_rng(seed)

    def __call__(self, sensors: Sensors) -> Sensors:
        """Return sensors with noise added."""
        noisy = {}
        for name, width in NOISE.items():
            value = getattr(sensors, name)
            noisy[name] = value + width * self._rng.uniform(-1.0, 1.0, value.shape)
        return Sensors(**noisy)


def walk(
    engine: Engine,
    networks: Networks,
    job: Job,
    joint_order: str = "legged_gym",
    recorder: Recorder | None = None,
    lift: float = 0.0,
) -> Series:
    """Let one robot stand up and walk.

    Args:
        engine: The scene.
        networks: The policy.
        job: Commands and disturbances of the robot.
        joint_order: Joint order of the policy, of `JOINT_ORDERS`.
        recorder: Records every pass of the control loop.
        lift: Height of the feet above the ground [m] if the hoist holds the base all the time; 0 lets go of it.

    Returns:
        Its policy steps, up to the one in which it fell: `fell`, and the fields of
        `legged_gym.evaluation.metrics.Sample`. Its height is a share of that with all joints at zero.
    """
    noise = {"noise": SensorNoise(job.seed)} if job.noisy else {}
    controller = Controller(networks, job.frequency, JOINT_ORDERS[joint_order], **noise)
    _stand_up(engine, controller, recorder, lift)
    targets = deque([DEFAULT_ANGLES] * round(job.delay / CONTROL_DT))
    state = engine.state()
    start_height = float(state.base_pos_w[2] - state.ground)  # joints at zero
    entries, tilted, tripped = [], 0, 0
    for step, command in enumerate(job.commands):
        command = _steer(command, state) if job.steered else command
        tripped = swing_foot(controller.clock) if step == job.start else tripped
        _disturb(engine, job, step, tripped, state)
        engine.tally = engine.tally.cleared()
        for _ in range(DECIMATION):
            targets.append(controller.control(engine.sensors(), command))
            if recorder is not None:
                recorder.add(engine, command, targets[-1])
            engine.step(targets.popleft())
        state = engine.state()
        entry = _entry(state, engine.tally, command, controller.action, start_height)
        tilted = tilted + 1 if entry["tilt"] > MAX_TILT else 0
        broken = not all(np.isfinite(value).all() for value in entry.values())
        fell = engine.tally.fallen or broken or tilted >= MAX_TILT_TIME / POLICY_DT
        entries.append(entry | {"fell": np.array(fell)})
        if fell:
            break
    engine.push(None)
    return {name: np.array([entry[name] for entry in entries]) for name in entries[0]}


def _stand_up(engine: Engine, controller: Controller, recorder: Recorder | None, lift: float) -> None:
    """Do the controller's first second while the robot hangs on the hoist; then let go if its feet are down."""
    engine.place(lift)
    for k in range(round(STAND_UP_TIME / CONTROL_DT)):
        target = controller.stand_up(k * CONTROL_DT)
        if recorder is not None:
            recorder.add(engine, np.zeros(3), target)
        engine.step(target)
    if not lift:
        engine.release()


def _disturb(engine: Engine, job: Job, step: int, foot: int, state: State) -> None:
    """Apply the disturbances that are due before a policy step."""
    if job.start < 0:
        return
    if step == job.start and any(job.kick):
        engine.kick(np.array(job.kick))
    if step == job.stop:
        engine.push(None)
    if job.start <= step < job.stop and any(job.force):
        engine.push(np.array(job.force), "lid" if job.at_lid else "base")
    if job.start <= step < job.stop and job.trip:
        ahead = _yaw(state)
        engine.push(-job.trip * np.array([math.cos(ahead), math.sin(ahead), 0.0]), f"foot_{foot}")


def _yaw(state: State) -> float:
    return math.atan2(state.base_rot[1, 0], state.base_rot[0, 0])


def _steer(command: np.ndarray, state: State) -> np.ndarray:
    """Replace the commanded yaw rate by one that turns the robot to +x."""
    turn = min(max(-STEERING_GAIN * _yaw(state), -STEERING_LIMIT), STEERING_LIMIT)
    return np.array([command[0], command[1], turn])


def _entry(
    state: State, tally: Tally, command: np.ndarray, action: np.ndarray, start_height: float
) -> dict[str, np.ndarray]:
    """Sum up one policy step; the names are those of `legged_gym.evaluation.metrics.Sample`."""
    yaw = _yaw(state)
    c, s = math.cos(yaw), math.sin(yaw)
    vx, vy, _ = state.base_lin_vel_w
    height = state.base_pos_w[2] - state.ground
    return {
        "velocity_y": np.array([c * vx + s * vy, c * vy - s * vx, state.base_ang_vel_w[2]]),
        "command": np.asarray(command),
        "action": action,
        "torque": state.torque,
        "power": np.array(tally.peak_power),
        "contact": tally.contact,
        "foot_speed": np.hypot(state.feet_vel_w[:, 0], state.feet_vel_w[:, 1]),
        "landing_speed": tally.landing_speed,
        "foot_force": tally.foot_force,
        "other_contact": np.array(tally.others_touch),
        "legs_touch": np.array(tally.legs_touch),
        "base_height": np.array(height),
        "height_share": np.array(height / start_height),
        "tilt": np.array(math.acos(min(max(state.base_rot[2, 2], -1.0), 1.0))),
        "position_w": state.base_pos_w[:2],
        "yaw": np.array(yaw),
    }
