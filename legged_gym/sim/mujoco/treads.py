"""Level ground under feet, as boxes: on the cells of a height field MuJoCo takes several times as long."""

from __future__ import annotations

import math
from collections.abc import Sequence

import mujoco
import torch

from legged_gym.sim.robot_model import RobotModel
from legged_gym.terrain.terrain import Terrain

MARGIN = 0.03
"""Smallest distance around a foot in which the ground is looked at [m]."""
UNFORESEEN = 0.01
"""Part of that for a foot's travel in a policy step beyond its velocity's [m]."""
FIELD = 1
"""Bit in `geom_conaffinity` of geoms that touch the height field; higher bits are for the boxes of each foot."""


class Treads:
    """Four boxes for each foot of each robot, meeting at the edges nearby: they replace ground that is so simple.

    Around a foot the map is often level, or has one riser, or two that cross. There the foot touches boxes instead of
    the field: a contact or two in closed form instead of one for each triangle that it dips into, found by a search.
    Risers are vertical and stand under their upper edges, as those of `Terrain.mesh` do. On any other ground, or if it
    gets too far in a policy step, a foot touches the field.
    """

    def __init__(self, terrain: Terrain, robot: RobotModel, dt: float) -> None:
        """Keep the map.

        Args:
            terrain: The map.
            robot: The robot whose feet stand on it.
            dt: Policy step [s].
        """
        self._heights, self._columns = torch.from_numpy(terrain.heights).flatten(), terrain.heights.shape[1]
        self._cell, self._dt = terrain.horizontal_scale, dt
        around = math.ceil((robot.foot_radius + MARGIN) / self._cell + 0.5)  # samples on each side of the nearest one
        self._max_travel = (around - 0.5) * self._cell - robot.foot_radius - UNFORESEEN
        """How far from the middle of the window a foot may get in half a policy step without leaving it [m]."""
        self._window = torch.arange(-around, around + 1, dtype=torch.int)
        self._last = torch.tensor(terrain.heights.shape, dtype=torch.int) - 1
        self._far = 2.0 * max(terrain.half_size) + 1.0
        """Stand-in for an edge where there is none [m]; the boxes' half width is twice that."""
        self._feet = [name.replace("_Link", "_collision") for name in robot.foot_names]
        sides = 2.0 * self._far * torch.tensor([-1.0, 1.0], dtype=torch.float64)
        self._aside = torch.stack((*torch.meshgrid(sides, sides, indexing="ij"), sides[:1].expand(2, 2)), dim=-1)
        """From the middle of a box's upper edge to its middle [m]. Shape (2, 2, 3)."""

    def add_to(self, spec: mujoco.MjSpec) -> None:
        """Add the boxes."""
        spec.option.disableflags |= int(mujoco.mjtDisableBit.mjDSBL_MIDPHASE)  # which expects ground to stay in place
        for k, foot in enumerate(self._feet):
            spec.geom(foot).conaffinity = FIELD | _bit(k)
            for corner in range(4):
                spec.worldbody.add_geom(
                    name=f"tread_{k}_{corner}",
                    type=mujoco.mjtGeom.mjGEOM_BOX,
                    size=[2.0 * self._far] * 3,
                    pos=[0.0, 0.0, -4.0 * self._far],
                    contype=_bit(k),
                    conaffinity=0,
                )

    def attach(self, models: Sequence[mujoco.MjModel]) -> None:
        """Take over the robots' models, compiled from the spec. All feet touch the field until `follow` is called."""
        model, feet = models[0], range(len(self._feet))
        self._geoms = [model.geom(foot).id for foot in self._feet]
        first = [model.geom(f"tread_{k}_0").id for k in feet]
        self._places = [[m.geom_pos[start : start + 4].reshape(2, 2, 3) for start in first] for m in models]
        self._affinity = [m.geom_conaffinity for m in models]
        for affinity in self._affinity:
            affinity[self._geoms] = FIELD
        self._pos = torch.zeros(len(models), len(feet), 2, 2, 3, dtype=torch.float64)
        self._in_use = torch.zeros(len(models), len(feet), dtype=torch.bool)

    def follow(self, pos_w: torch.Tensor, vel_w: torch.Tensor) -> None:
        """Show each foot the ground that it may reach in the next policy step.

        Args:
            pos_w: Feet [m, world]. Shape (N, F, 3).
            vel_w: [m/s]. Shape (N, F, 3).
        """
        simple, pos = self._fit_boxes(pos_w[..., :2], 0.5 * self._dt * vel_w[..., :2])
        # Few feet have new ground under them: only their models are written to, one by one, for each is its own.
        moved = simple & (pos != self._pos).flatten(2).any(-1)
        for (robot, k), place in zip(moved.nonzero().tolist(), pos[moved].numpy(), strict=True):
            self._places[robot][k][:] = place
        self._pos[moved] = pos[moved]
        for robot, k in (simple != self._in_use).nonzero().tolist():
            self._affinity[robot][self._geoms[k]] = FIELD if self._in_use[robot, k] else _bit(k)
        self._in_use.copy_(simple)

    def _fit_boxes(self, pos: torch.Tensor, travel: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Find the boxes that equal the ground around feet.

        Args:
            pos: Feet [m, world]. Shape (N, F, 2).
            travel: Half of what they travel in a policy step [m]. Shape (N, F, 2).

        Returns:
            Whether boxes equal the ground within the foot's reach (N, F), and their middles (N, F, 2, 2, 3) [m, world].
        """
        # The window lies around the middle of what the foot will travel; a broken robot's is anywhere.
        middle = (pos + travel).nan_to_num(0.0)
        near = (middle / self._cell + 0.5 * self._last).round().int()  # (N, F, 2)
        i, j = (near.unsqueeze(-1) + self._window).clamp_min(0).minimum(self._last.unsqueeze(-1)).unbind(-2)
        at = i.unsqueeze(-1) * self._columns + j.unsqueeze(-2)  # (N, F, W, W)
        ground = self._heights.index_select(0, at.flatten()).view(at.shape)
        # Boxes are enough if at most one riser crosses the window along each axis.
        step_x = (ground[..., 1:, :] != ground[..., :-1, :]).any(-1)  # (N, F, W - 1)
        step_y = (ground[..., 1:] != ground[..., :-1]).any(-2)
        simple = (step_x.sum(-1) <= 1) & (step_y.sum(-1) <= 1) & (travel.abs().amax(-1) < self._max_travel)
        end = len(self._window) - 1
        top = ground[..., ::end, ::end]  # (N, F, 2, 2)
        x = self._edge(step_x, i, 0, top[..., 0, :] > top[..., 1, :]).unsqueeze(-2).expand(top.shape)
        y = self._edge(step_y, j, 1, top[..., 0] > top[..., 1]).unsqueeze(-1).expand(top.shape)
        return simple, torch.stack((x, y, top), dim=-1) + self._aside

    def _edge(self, step: torch.Tensor, index: torch.Tensor, axis: int, falls: torch.Tensor) -> torch.Tensor:
        """Return where the boxes on either side of a riser meet: under its upper edge.

        Args:
            step: Between which samples the riser is. Shape (N, F, W - 1).
            index: Their numbers. Shape (N, F, W).
            axis: Along which they stand.
            falls: The ground gets lower along the axis, for both pairs of boxes. Shape (N, F, 2).

        Returns:
            [m, world], float64. Shape (N, F, 2).
        """
        before = index.gather(-1, step.long().argmax(-1, keepdim=True))
        edge = (before + (~falls).long() - 0.5 * self._last[axis]).double() * self._cell
        return torch.where(step.any(-1, keepdim=True), edge, self._far)


def _bit(foot: int) -> int:
    """Bit of a foot's boxes in contype and conaffinity."""
    return FIELD << (1 + foot)
