"""The rows of the evaluation: commands, disturbances and their times. Plain data without a simulator.

Our own simulator (`suites.py`) and the second opinion (`legged_gym.deployment`) walk the same rows from the same draws.
"""

import math
import zlib
from collections.abc import Iterable
from dataclasses import dataclass, replace

import torch

from legged_gym.evaluation.metrics import Result
from legged_gym.terrain.lanes import LANES
from legged_gym.utils.errors import UserError, unknown_name

Box = tuple[tuple[float, float], tuple[float, float], tuple[float, float]]
FULL_BOX: Box = ((-0.5, 1.0), (-0.3, 0.3), (-0.5, 0.5))
"""v_x, v_y [m/s], w_z [rad/s] of `track`."""
SLOW_BOX: Box = ((-0.5, 0.5), (-0.2, 0.2), (-0.5, 0.5))
"""The same of `track_slow`, payload and friction."""
FORWARD: Box = ((0.4, 0.4), (0.0, 0.0), (0.0, 0.0))
"""The same of kicks, shoves and trips."""
STAND: Box = ((0.0, 0.0), (0.0, 0.0), (0.0, 0.0))
"""The same of `stand`."""
FULL_STICK: Box = ((0.375, 0.375), (0.25, 0.25), (1.0, 1.0))
"""Command of a full stick on the maker's controller, with our policies' command scales."""
UP_THE_LANE: Box = ((0.5, 0.5), (0.0, 0.0), (0.0, 0.0))
"""The same on terrain, but for the yaw rate, which keeps the robots on their lanes."""
LANE_CFG = (
    ("terrain.mesh_type", "trimesh"),
    ("terrain.profile", "lanes"),
    ("terrain.tile_size", "8"),
    ("terrain.platform_size", "2"),
    ("terrain.border_size", "4"),
    ("terrain.spawn_spread", "0.3"),
    ("terrain.curriculum", "false"),
    ("init_state.yaw", "0,0"),
)
"""Config fields that a row on terrain sets; the width of the map's cells stays the user's."""
DIRECTIONS = 8
"""Horizontal directions, evenly spread, from which robots are kicked and shoved."""


@dataclass(frozen=True)
class Row:
    """One row of the evaluation."""

    name: str
    duration: float
    """Time that the robots must last [s]; with a disturbance, counted from its beginning."""
    box: Box
    """Ranges of the commands."""
    meaning: str = ""
    """One sentence for the user."""
    resampling_time: float = math.inf
    """Time between two commands [s]."""
    reversals: bool = False
    """Each command is the last one with the opposite sign; the first signs are drawn."""
    push: float = 0.0
    """Velocity kick of the whole robot [m/s], horizontal."""
    shove: float = 0.0
    """Impulse on the base [N s], horizontal, as a constant force for `lasts`."""
    at_lid: bool = False
    """The shove acts on the lid, and not at the centre of mass of the base."""
    trip: float = 0.0
    """Force on the foot that the clock has in the air, against the heading [N], for `lasts`."""
    lasts: float = 0.1
    """How long a shove or a trip lasts [s]."""
    push_time: float = 3.0
    """Earliest time of the disturbance [s]; it comes at a point of the gait cycle that follows."""
    warm_up: float = 2.0
    """Time at the start during which no error counts [s]."""
    parameters: tuple[tuple[str, tuple[float, ...]], ...] = ()
    """Physical parameters of the simulator that the row changes, with one value for all columns or one for each."""
    frequency: float = 0.0
    """Gait frequency [Hz]; 0 keeps the nominal one."""
    cfg: tuple[tuple[str, str], ...] = ()
    """Fields of the environment's config that the row changes, as (path, text): it needs an environment of its own."""
    lane: str = ""
    """Lane of the terrain that the row walks on, steered straight along it; on a plane if empty."""
    draws: str = ""
    """Rows with the same word here draw the same commands; by default each row draws its own."""

    @property
    def disturbed(self) -> bool:
        """Whether the robots are disturbed."""
        return bool(self.push or self.shove or self.trip)


def _kick(speed: float) -> Row:
    return Row(f"push_{speed}", 4.0, FORWARD, f"the whole robot becomes {speed} m/s faster at once", push=speed)


def _shove(impulse: int, at_lid: bool = False) -> Row:
    name, where = ("shove_lid", "on the lid") if at_lid else ("shove", "at the base's centre of mass")
    meaning = f"{impulse} N s within 0.1 s {where}"
    return Row(f"{name}_{impulse}", 4.0, FORWARD, meaning, shove=float(impulse), at_lid=at_lid)


def _trip(force: int) -> Row:
    return Row(f"trip_{force}", 4.0, FORWARD, f"{force} N hold the swinging foot back for 0.1 s", trip=float(force))


def _with(name: str, meaning: str, parameter: str, *values: float) -> Row:
    return Row(name, 10.0, SLOW_BOX, meaning, 5.0, parameters=((parameter, values),))


def _physics(name: str, meaning: str, parameter: str = "", value: float = 0.0, path: str = "", text: str = "") -> Row:
    changes = {"parameters": ((parameter, (value,)),)} if parameter else {"cfg": ((path, text),)}
    return Row(name, 4.0, FORWARD, f"shove_18 with {meaning}", shove=18.0, draws="physics", **changes)


SUITES: dict[str, tuple[Row, ...]] = {
    "track": (
        Row("track", 20.0, FULL_BOX, "a new velocity from the whole range every 5 s", resampling_time=5.0),
        Row("track_slow", 10.0, SLOW_BOX, "the same, slow", resampling_time=5.0),
    ),
    "push": tuple(_kick(speed) for speed in (0.5, 1.0, 1.5, 2.0, 2.5)),
    "shove": (
        *(_shove(impulse) for impulse in (9, 18, 28, 37, 46)),
        *(_shove(impulse, at_lid=True) for impulse in (9, 18, 28)),
    ),
    "trip": tuple(_trip(force) for force in (100, 200)),
    "payload": tuple(
        _with(f"payload_{mass}", f"{mass} kg more in the base", "base_mass_added", mass) for mass in (2, 5, 10)
    ),
    "friction": (
        *(_with(f"friction_{mu}", f"friction {mu}", "friction", mu) for mu in (0.15, 0.25, 0.4, 1.0)),
        _with("feet_0.8_0.2", "friction 0.8 under the left foot, 0.2 under the right one", "friction", 0.8, 0.2),
    ),
    "hardware": (
        _with("latency_20", "actions take effect 20 ms late", "action_delay", 0.02),
        Row(
            "stiff_2ms",
            10.0,
            SLOW_BOX,
            "contacts with a time constant of 2 ms, physics steps of 1 ms",
            resampling_time=5.0,
            parameters=(("contact_time_constant", (0.002,)),),
            cfg=(("sim.dt", "0.001"),),
        ),
    ),
    "stand": (Row("stand", 20.0, STAND, "zero command: how far it drifts, how often it steps"),),
    "gait": (
        *(
            Row(f"gait_{f}", 10.0, FULL_BOX, f"gait clock at {f} Hz", 5.0, frequency=f, draws="gait")
            for f in (1.6, 2.0, 2.4, 2.8, 3.2)
        ),
        Row("stick", 10.0, FULL_STICK, "full stick, thrown to the other side each second", 1.0, reversals=True),
    ),
    "physics": (
        *(_physics(f"step_{ms}ms", f"physics steps of {ms} ms", path="sim.dt", text=f"{ms / 1000}") for ms in (1, 2)),
        *(_physics(f"kd_{kd}", f"K_d {kd} N m s/rad", "kd", kd) for kd in (2.5, 3.5)),
        *(_physics(f"armature_{x}", f"rotor inertia {x} kg m^2", "armature", x) for x in (0.0, 0.01, 0.03)),
        *(
            _physics(f"damping_{x}", f"joint damping {x} N m s/rad", path="sim.joint_damping", text=f"{x}")
            for x in (0, 0.01)
        ),
    ),
    "terrain": tuple(
        Row(lane, 10.0, UP_THE_LANE, f"10 s at 0.5 m/s on the lane {lane}", cfg=LANE_CFG, lane=lane) for lane in LANES
    ),
}
"""Suite -> its rows. Payload, friction and hardware rows are walked like `track_slow`.

Terrain rows are named after their lanes, see `legged_gym.terrain.lanes`, and also say how far robots got in 10 s at
0.5 m/s. The physics rows should not matter to a robust policy: step of the engine, K_d of the servos, rotor inertia and
passive damping of the joints; all of them get the same shoves.
"""
ALL_ROWS: dict[str, Row] = {row.name: row for rows in SUITES.values() for row in rows}
STANDARD_SUITES = ("track", "push", "shove", "payload", "friction")
"""Suites that are walked by default."""
GATE = {"rmse_vx": 0.20, "rmse_vy": 0.20, "rmse_wz": 0.30}
"""Largest errors of the walking gate [m/s, m/s, rad/s]."""
GATE_SURVIVAL = 0.95
DEPLOYED = "deployed"
"""Name of the short list that a policy must pass before it is put on a robot."""
DEPLOYED_SURVIVAL: dict[str, float] = {
    **{"track": 1.0, "push_1.0": 1.0, "push_1.5": 0.96, "push_2.0": 0.85, "push_2.5": 0.70},
    **{"shove_18": 0.98, "shove_28": 0.85, "shove_37": 0.55, "shove_lid_9": 0.98, "shove_lid_18": 0.70},
    **{"trip_100": 0.90, "trip_200": 0.40, "payload_10": 0.99, "friction_0.4": 0.99, "friction_0.25": 0.99},
    **{"feet_0.8_0.2": 0.99, "latency_20": 0.99, "stiff_2ms": 0.99, "stand": 0.99},
}
"""Rows of that list, and the survival that each requires."""
DEPLOYED_ERRORS = {"rmse_vx": 0.10, "rmse_vy": 0.08, "rmse_wz": 0.13}
"""Largest errors of its `track` row [m/s, m/s, rad/s]."""


def passes_walking_gate(row: Result) -> bool:
    """Tell whether a `track` row is walking: survival >= 0.95 and errors within `GATE`."""
    errors = {name: row[name] for name in GATE}
    within = all(error is not None and error <= GATE[name] for name, error in errors.items())
    return within and (row["survival"] or 0.0) >= GATE_SURVIVAL


def select_rows(suites: Iterable[str], time_scale: float = 1.0) -> list[Row]:
    """Collect the rows of some suites.

    Args:
        suites: Names of `SUITES`, `DEPLOYED`, names of single rows, or "all".
        time_scale: Factor on all times of the rows, for tests; below 1 the numbers mean little.

    Raises:
        UserError: A name is unknown, or the factor is no number > 0.
    """
    if not (math.isfinite(time_scale) and time_scale > 0.0):
        raise UserError(f"--time_scale: got {time_scale}, expected a number > 0")
    lists = dict(SUITES)
    lists[DEPLOYED] = tuple(ALL_ROWS[name] for name in DEPLOYED_SURVIVAL)
    lists["all"] = tuple(ALL_ROWS.values())
    rows: dict[str, Row] = {}
    for name in map(str.strip, suites):
        if name not in lists and name not in ALL_ROWS:
            raise UserError(unknown_name("suite", name, ["all", DEPLOYED, *SUITES]) + "; a row's name goes, too")
        rows |= {row.name: row for row in lists.get(name, (ALL_ROWS.get(name),)) if row is not None}
    times = ("duration", "resampling_time", "push_time", "warm_up")
    return [replace(row, **{name: getattr(row, name) * time_scale for name in times}) for row in rows.values()]


def row_seed(seed: int, *rows: Row) -> int:
    """Seed of the draws of rows that are walked side by side."""
    return zlib.crc32(f"{seed}/{'+'.join(row.draws or row.name for row in rows)}".encode())


class Script:
    """Commands and disturbances of the robots of one row, known beforehand and the same on every device.

    Robot i is kicked or shoved in direction i mod 8, at times that are spread over a gait cycle for each direction.
    """

    def __init__(self, row: Row, robots: int, dt: float, frequency: float, seed: int) -> None:
        """Draw.

        Args:
            row: The row.
            robots: Number of its robots n.
            dt: Policy step [s].
            frequency: Frequency of the gait [Hz].
            seed: Seed of the evaluation.
        """
        generator = torch.Generator().manual_seed(row_seed(seed, row))
        self.row = row
        window = round(1.0 / (frequency * dt)) if row.disturbed else 0  # a gait cycle [policy steps]
        self.begins = round(row.push_time / dt) if row.disturbed else 0
        """First policy step at which a robot may be disturbed."""
        length = max(1, round(row.lasts / dt)) if row.shove or row.trip else 1
        self.ends = self.begins + window + length
        """First policy step from which on no robot is disturbed any more."""
        lasts = max(1, round(row.duration / dt))
        self.num_steps = self.begins + window + lasts
        self.interval = max(1, round(min(row.resampling_time, row.duration + row.push_time + 1e3) / dt))
        """Policy steps between two commands."""
        self.commands = self._commands(generator, robots)  # (K, n, 3)
        robot = torch.arange(robots)
        # Trips have one direction, so every robot gets a point of the cycle of its own.
        group = 1 if row.trip else DIRECTIONS
        phase = (robot // group).double() / -(-robots // group)
        self.start = self.begins + (phase * window).long()
        """Policy step at which each robot's disturbance begins. Shape (n,)."""
        self.stop = self.start + length
        angle = 2.0 * math.pi * (robot % DIRECTIONS) / DIRECTIONS
        self.direction = torch.stack((torch.cos(angle), torch.sin(angle), torch.zeros(robots)), dim=-1)
        """Unit vectors of kicks and shoves, world frame. Shape (n, 3)."""
        self.end = self.start + lasts if row.disturbed else torch.full_like(robot, lasts)
        """Policy step before which each robot's row is over. Shape (n,)."""

    def _commands(self, generator: torch.Generator, robots: int) -> torch.Tensor:
        row, low_high = self.row, torch.tensor(self.row.box)
        low, high = low_high.unbind(-1)
        draws = torch.rand(self.num_steps // self.interval + 1, robots, 3, generator=generator)
        if not row.reversals:
            return low + (high - low) * draws
        signs = torch.where(draws[:1] < 0.5, -1.0, 1.0)
        turns = (-1.0) ** torch.arange(len(draws)).view(-1, 1, 1)
        return high * signs * turns

    def command(self, step: int) -> torch.Tensor:
        """Command from policy step `step` on; the last one stays once the row is over. Shape (n, 3)."""
        return self.commands[min(step // self.interval, len(self.commands) - 1)]

    @property
    def kick(self) -> torch.Tensor:
        """Change of the whole robot's velocity at `start` [m/s, world frame]. Shape (n, 3)."""
        return self.row.push * self.direction

    @property
    def force(self) -> torch.Tensor:
        """Force on the base from `start` until before `stop` [N, world frame]. Shape (n, 3)."""
        return self.row.shove / self.row.lasts * self.direction
