"""The ground under the robots: its height where they stand, where they start on it, and how hard it is for each."""

from collections.abc import Callable

import torch

from legged_gym.sim.sim_state import SimState
from legged_gym.terrain.config import TerrainCfg
from legged_gym.terrain.terrain import EDGE_MARGIN, Terrain
from legged_gym.utils.math import overwrite, rotate_yaw, yaw_from_quat

AHEAD = (0.15, 0.3, 0.45, 0.6)
"""Distances ahead of the robot at which the teacher reads the ground's height [m]."""
UNDER_BASE = (-0.3, 0.0, 0.3)
"""The height of the ground under the base is a mean over points at these distances along x and y [m]: one tread of the
stairs apart, so that it rises evenly on stairs."""
LANDING = (-0.2, -0.1, 0.0, 0.1, 0.2)
"""A robot starts over the highest ground at these distances along x and y from its start [m]."""
HIGHEST_AROUND = 1.0
"""Bound of the heights around the robot [m]."""
UP_SHARE, DOWN_SHARE = 0.8, 0.5
"""Share of the commanded distance that must be walked to move to a harder row, and not to move to an easier one."""
THROUGH, LASTING = 0.5, 0.3
"""Distance from the start, in tiles, from which a robot has walked off its tile, and from which it need not, to move to
a harder row, if it lasts to the end of the episode."""
LEAST_COMMANDED = 1.0
"""With a shorter commanded distance a robot stays on its row [m]."""


class HeightMap:
    """Looks up the height of a terrain on the device."""

    def __init__(self, terrain: Terrain, device: torch.device | str) -> None:
        """Copy the map to the device."""
        nx, self._ny = terrain.heights.shape
        self._heights = torch.as_tensor(terrain.heights).flatten().to(device)
        self._per_metre = 1.0 / terrain.horizontal_scale
        self._cells = (nx - 1, self._ny - 1)

    def height(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """Height of the surface that engines collide with, as `Terrain.height` has it.

        Args:
            x: [m, world]; where it is not a number, some height of the map is returned.
            y: [m, world], same shape.

        Returns:
            [m], same shape.
        """
        i, u = self._cell(x, 0)
        j, v = self._cell(y, 1)
        near = i.mul_(self._ny).add_(j)
        corner = torch.where(u > v, near + self._ny, near + 1)  # the corner of the triangle that is off the diagonal
        h, h_corner, h_far = self._at(near), self._at(corner), self._at(near.add_(self._ny + 1))
        return h + torch.maximum(u, v) * (h_corner - h) + torch.minimum(u, v) * (h_far - h_corner)

    def _cell(self, position: torch.Tensor, axis: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Cell of positions along an axis [m], and where in it they are, 0 to 1."""
        cells = self._cells[axis]
        at = (position * self._per_metre + 0.5 * cells).nan_to_num_(0.0).clamp_(0.0, cells)
        cell = at.int().clamp_(max=cells - 1)  # half as much to move as int64
        return cell, at - cell

    def _at(self, sample: torch.Tensor) -> torch.Tensor:
        """Heights of samples [m], in a quarter of the time that `take` needs."""
        return self._heights.index_select(0, sample.view(-1)).view(sample.shape)


class Plane:
    """The plane z = 0: its heights are zero and stay so. Its tensors keep their memory."""

    def __init__(self, num_envs: int, num_feet: int, device: torch.device) -> None:
        """Allocate heights of zero."""
        self.under_feet = torch.zeros(num_envs, num_feet, device=device)
        """Height of the ground under each foot [m]. Shape (N, F)."""
        self.under_base = torch.zeros(num_envs, device=device)
        """Mean height of the ground around the base [m]. Shape (N,)."""
        self.ahead = torch.zeros(num_envs, len(AHEAD), device=device)
        """Height of the ground at `AHEAD` [m]. Shape (N, 4)."""
        self.around = torch.zeros(num_envs, 0, device=device)
        """Height of the ground around the robot over `under_base` [m], if it is measured. Shape (N, P)."""
        self.is_level = torch.ones(num_envs, dtype=torch.bool, device=device)
        """Robots that only ever walk on level ground. Shape (N,)."""

    def lookup(self, device: torch.device | str) -> Callable[[torch.Tensor, torch.Tensor], torch.Tensor] | None:
        """Return `HeightMap.height` on a device, or None where there is nothing to look up."""
        return None

    def start_columns(self) -> dict[str, list[tuple[float, float, float]]]:
        """Quantities that are drawn at every reset to choose a start, see `Draws`."""
        return {}

    def look(self, state: SimState) -> None:
        """Read the heights that rewards need."""

    def look_around(self, state: SimState) -> None:
        """Read the heights that only observations need."""

    def left(self, state: SimState) -> torch.Tensor | None:
        """Robots that are about to leave the ground. Shape (N,); None if the ground has no edge."""
        return None

    def add_progress(self, state: SimState, command: torch.Tensor) -> None:
        """Add up how far robots were commanded to walk in a policy step, and how far they walked.

        Args:
            state: After the step.
            command: v_x, v_y [m/s], w_z [rad/s]. Shape (N, 3).
        """

    def finish(self, mask: torch.Tensor, fell: torch.Tensor) -> None:
        """Choose the next row of robots whose episode ends.

        Args:
            mask: Those robots. Shape (N,).
            fell: Robots that fell. Shape (N,).
        """

    def start(self, above_ground: torch.Tensor, start: dict[str, torch.Tensor], mask: torch.Tensor) -> torch.Tensor:
        """Return where robots start.

        Args:
            above_ground: Start positions on a plane [m]. Shape (N, 3).
            start: Draws of the quantities in `start_columns`, by name.
            mask: Robots that start now, bool. Shape (N,).

        Returns:
            Base positions [m, world]. Shape (N, 3).
        """
        return above_ground

    def episode_log(self) -> dict[str, float]:
        """Say on which rows robots are; waits for the device."""
        return {}

    def state_dict(self) -> dict[str, torch.Tensor]:
        """Return what training has changed."""
        return {}

    def load_state_dict(self, state: dict[str, torch.Tensor]) -> None:
        """Take over what `state_dict` returned, for this or another number of robots."""


class TiledGround(Plane):
    """A terrain: each robot stays in one column, a kind of tile, and moves between rows, which differ in difficulty."""

    def __init__(
        self,
        cfg: TerrainCfg,
        terrain: Terrain,
        num_envs: int,
        num_feet: int,
        dt: float,
        device: torch.device,
    ) -> None:
        """Copy the map to the device and spread the robots.

        Args:
            cfg: The configuration.
            terrain: The map that was made from it.
            num_envs: Number of robots N.
            num_feet: Number of feet F.
            dt: Policy step [s].
            device: Where the robots are.
        """
        super().__init__(num_envs, num_feet, device)
        self.map, self._terrain = HeightMap(terrain, device), terrain
        self._curriculum, self._spread, self._tile = cfg.curriculum, cfg.spawn_spread, cfg.tile_size
        self._dt = dt
        self._origins = torch.as_tensor(terrain.origins).to(device)  # (rows, columns, 3)
        self._end = torch.tensor(terrain.half_size, device=device) - EDGE_MARGIN
        self._type_names, self._rows = terrain.types, len(terrain.levels)
        robots = torch.arange(num_envs, device=device)
        self.types = robots * len(terrain.types) // num_envs
        """Each robot's column. Shape (N,), integer."""
        self.is_level = torch.tensor([name == "flat" for name in terrain.types], device=device)[self.types]
        self.levels = robots % (min(cfg.max_init_terrain_level + 1, self._rows) if cfg.curriculum else self._rows)
        """Each robot's row. Shape (N,), integer."""
        self._starts = torch.zeros(num_envs, 2, device=device)
        self._commanded = torch.zeros(num_envs, device=device)
        self._walked = torch.zeros(num_envs, device=device)
        self._farthest = torch.zeros(num_envs, device=device)
        self._under_base = _grid(UNDER_BASE, UNDER_BASE, device)  # (2, 9)
        self._landing = _grid(LANDING, LANDING, device)  # (2, 25)
        self._around = torch.tensor([AHEAD, (0.0,) * len(AHEAD)], device=device)  # (2, P)
        if cfg.measure_heights:
            points = _grid(cfg.measured_points_x, cfg.measured_points_y, device)
            self._around = torch.cat((self._around, points), dim=1)
            self.around = torch.zeros(num_envs, points.shape[-1], device=device)

    def lookup(self, device: torch.device | str) -> Callable[[torch.Tensor, torch.Tensor], torch.Tensor] | None:
        """See `Plane.lookup`."""
        return (self.map if torch.device(device) == self.levels.device else HeightMap(self._terrain, device)).height

    def start_columns(self) -> dict[str, list[tuple[float, float, float]]]:
        """See `Plane.start_columns`."""
        return {"spot": [(0.0, -self._spread, self._spread)] * 2}

    def look(self, state: SimState) -> None:
        """See `Plane.look`."""
        x, y, _ = state.root_pos_w.unsqueeze(1).unbind(-1)  # (N, 1)
        feet_x, feet_y, _ = state.feet_pos_w.unbind(-1)  # (N, F)
        dx, dy = self._under_base
        heights = self.map.height(torch.cat((feet_x, x + dx), dim=1), torch.cat((feet_y, y + dy), dim=1))
        feet = feet_x.shape[-1]
        self.under_feet.copy_(heights[:, :feet])
        self.under_base.copy_(heights[:, feet:].mean(-1))

    def look_around(self, state: SimState) -> None:
        """See `Plane.look_around`."""
        x, y, _ = state.root_pos_w.unsqueeze(1).unbind(-1)  # (N, 1)
        yaw, (ahead, left) = yaw_from_quat(state.root_quat_xyzw).unsqueeze(1), self._around
        cos, sin = torch.cos(yaw), torch.sin(yaw)
        heights = self.map.height(x + cos * ahead - sin * left, y + sin * ahead + cos * left)  # (N, P)
        self.ahead.copy_(heights[:, : len(AHEAD)])
        around = heights[:, len(AHEAD) :] - self.under_base.unsqueeze(-1)
        self.around.copy_(around.clamp_(-HIGHEST_AROUND, HIGHEST_AROUND))

    def left(self, state: SimState) -> torch.Tensor | None:
        """See `Plane.left`."""
        return (state.root_pos_w[:, :2].abs() > self._end).any(-1)

    def add_progress(self, state: SimState, command: torch.Tensor) -> None:
        """See `Plane.add_progress`. Distance counts along the commanded direction, however the robot turns."""
        velocity = rotate_yaw(-yaw_from_quat(state.root_quat_xyzw), state.root_lin_vel_w)
        speed = command[:, :2].norm(dim=-1)
        along = (command[:, :2] * velocity[:, :2]).sum(-1) / speed.clamp(min=1e-6)
        self._commanded += self._dt * speed
        self._walked += self._dt * along
        distance = (state.root_pos_w[:, :2] - self._starts).norm(dim=-1)
        torch.maximum(self._farthest, distance, out=self._farthest)

    def finish(self, mask: torch.Tensor, fell: torch.Tensor) -> None:
        """See `Plane.finish`.

        A robot that walks most of the commanded distance moves to a harder row, or from the hardest to a random one, if
        it gets off its tile, or lasts without a fall and gets well off the platform. A robot that walks less than half
        of the commanded distance, or falls on the platform, moves to an easier row. Other falls do not count, since
        pushes make robots fall, too.
        """
        if not self._curriculum:
            return
        counts = self._commanded > LEAST_COMMANDED
        far = self._farthest > self._tile * torch.where(fell, THROUGH, LASTING)
        up = counts & far & (self._walked > UP_SHARE * self._commanded)
        stuck = fell & (self._farthest < 0.25 * self._tile)
        down = counts & (stuck | (self._walked < DOWN_SHARE * self._commanded))
        level = (self.levels + up.long() - down.long()).clamp_(min=0)
        anywhere = (torch.rand(len(mask), device=mask.device) * self._rows).long().clamp_(max=self._rows - 1)
        overwrite(self.levels, mask, torch.where(level < self._rows, level, anywhere))

    def start(self, above_ground: torch.Tensor, start: dict[str, torch.Tensor], mask: torch.Tensor) -> torch.Tensor:
        """See `Plane.start`. Robots start over the highest ground nearby, so that no foot starts inside it."""
        spot = self._origins[self.levels, self.types, :2] + start["spot"] + above_ground[:, :2]
        x, y = spot.unsqueeze(1).unbind(-1)  # (N, 1)
        ground = self.map.height(x + self._landing[0], y + self._landing[1]).amax(-1)
        overwrite(self._starts, mask, spot)
        for progress in (self._commanded, self._walked, self._farthest):
            progress.masked_fill_(mask, 0.0)
        return torch.cat((spot, (above_ground[:, 2] + ground).unsqueeze(-1)), dim=-1)

    def episode_log(self) -> dict[str, float]:
        """See `Plane.episode_log`: the mean row, of all robots and of those on each kind of tile; rows count from 0."""
        columns = torch.zeros(2, len(self._type_names), device=self.levels.device)
        columns.index_add_(1, self.types, torch.stack((torch.ones_like(self.levels), self.levels)).float())
        totals: dict[str, tuple[float, float]] = {}
        for name, robots, levels in zip(self._type_names, *columns.tolist(), strict=True):
            before = totals.get(name, (0.0, 0.0))
            totals[name] = before[0] + robots, before[1] + levels
        log = {f"terrain_level_{name}": levels / robots for name, (robots, levels) in totals.items() if robots}
        robots, levels = map(sum, zip(*totals.values(), strict=True))
        return log | {"terrain_level": levels / robots}

    def state_dict(self) -> dict[str, torch.Tensor]:
        """See `Plane.state_dict`."""
        return {"terrain_levels": self.levels}

    def load_state_dict(self, state: dict[str, torch.Tensor]) -> None:
        """See `Plane.load_state_dict`. Robots, and those of the state, fill the columns in order."""
        levels = state.get("terrain_levels")
        if levels is None:  # saved by robots on a plane
            return
        robots = torch.arange(len(self.levels), device=levels.device) * len(levels) // len(self.levels)
        self.levels.copy_(levels[robots].clamp(max=self._rows - 1))


def _grid(x: tuple[float, ...], y: tuple[float, ...], device: torch.device) -> torch.Tensor:
    """All points with these coordinates [m]. Shape (2, len(x) * len(y))."""
    points = torch.cartesian_prod(torch.tensor(x, device=device), torch.tensor(y, device=device)).view(-1, 2)
    return points.t().contiguous()
