"""Terrain as MuJoCo's height field: the whole map, or a window on it that moves."""

from __future__ import annotations

import mujoco
import numpy as np

from legged_gym.terrain.terrain import Terrain

DEPTH = 1.0
"""Thickness of the ground under its lowest place [m]."""
LEAST_SPAN = 0.01
"""Least height that the field can show, for MuJoCo takes heights as shares of it [m]."""


class HeightField:
    """Puts a terrain, or a square part of it, into models as the geom and the height field `name`.

    MuJoCo cuts the cells of a field as `Terrain` does: what robots stand on is what `Terrain.height` says.
    """

    def __init__(self, terrain: Terrain, name: str, extent: float | None = None) -> None:
        """Scale the map for MuJoCo.

        Args:
            terrain: The map.
            name: Of the geom, the height field and the material.
            extent: Side of the part [m]; the whole map if None.
        """
        self.name = name
        self._scale = terrain.horizontal_scale
        self._low, self._span = float(terrain.heights.min()), max(float(np.ptp(terrain.heights)), LEAST_SPAN)
        self._shares = np.ascontiguousarray((terrain.heights.T - self._low) / self._span)  # rows along y
        wanted = max(self._shares.shape) if extent is None else round(extent / self._scale) + 1
        self._rows, self._cols = (min(n, wanted) for n in self._shares.shape)

    def add_to(self, spec: mujoco.MjSpec) -> None:
        """Add the field, all at height 0 yet: `place` fills it in once the model is compiled."""
        half = 0.5 * self._scale
        spec.add_hfield(
            name=self.name,
            size=[half * (self._cols - 1), half * (self._rows - 1), self._span, DEPTH],
            nrow=self._rows,
            ncol=self._cols,
            userdata=np.zeros(self._rows * self._cols),
        )
        spec.worldbody.add_geom(
            name=self.name,
            type=mujoco.mjtGeom.mjGEOM_HFIELD,
            hfieldname=self.name,
            pos=[0.0, 0.0, self._low],
            contype=1,
            conaffinity=0,
            material=self.name,
        )

    def place(self, model: mujoco.MjModel, x: float = 0.0, y: float = 0.0, stride: float = 0.0) -> tuple[float, float]:
        """Show the part of the map around a point, as near to it as the map's end allows.

        Args:
            model: Compiled from the spec.
            x: [m, world].
            y: [m, world].
            stride: The part moves by multiples of this only [m]; 0 takes the width of a cell.

        Returns:
            The middle of the part [m, world].
        """
        row, col = self._corner(y, 0, self._rows, stride), self._corner(x, 1, self._cols, stride)
        data = model.hfield(self.name).data.reshape(self._rows, self._cols)
        data[:] = self._shares[row : row + self._rows, col : col + self._cols]
        middle = self._middle(col, 1, self._cols), self._middle(row, 0, self._rows)
        geom = model.geom(self.name)
        geom.pos[:2] = middle
        geom.sameframe[:] = 0  # or its position is taken to be the world's
        return middle

    def _corner(self, position: float, axis: int, width: int, stride: float) -> int:
        """First sample of a part of `width` samples whose middle is near to a position."""
        step = max(1, round(stride / self._scale))
        centred = 0.5 * (self._shares.shape[axis] - width)
        moved = step * round(position / (self._scale * step))
        return int(np.clip(round(centred + moved), 0, self._shares.shape[axis] - width))

    def _middle(self, corner: int, axis: int, width: int) -> float:
        return (corner - 0.5 * (self._shares.shape[axis] - width)) * self._scale
