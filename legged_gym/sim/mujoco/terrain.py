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

    MuJoCo splits the cells of a field as `Terrain` does, so robots stand at `Terrain.height`.
    """

    def __init__(self, terrain: Terrain, name: str, extent: float | None = None) -> None:
        """Scale the map for MuJoCo.

        Args:
            terrain: The map.
            name: Name of the geom, the height field and the material.
            extent: Side of the part [m]; the whole map if None.
        """
        self.name = name
        self._scale = terrain.horizontal_scale
        self._heights = np.ascontiguousarray(terrain.heights.T)  # rows along y
        self._low, self._span = _range(self._heights)
        wanted = max(self._heights.shape) if extent is None else round(extent / self._scale) + 1
        self._rows, self._cols = (min(n, wanted) for n in self._heights.shape)

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
        """Show the part of the map around a point, as near to it as the map's edge allows.

        Args:
            model: Compiled from the spec.
            x: [m, world].
            y: [m, world].
            stride: The part moves by multiples of this only [m]; 0 takes the width of a cell.

        Returns:
            The middle of the part [m, world].
        """
        row, col = self._corner(y, 0, self._rows, stride), self._corner(x, 1, self._cols, stride)
        heights = self._heights[row : row + self._rows, col : col + self._cols]
        low, span = _range(heights)  # of this part, so that what is over it needs no closer look
        field, geom = model.hfield(self.name), model.geom(self.name)
        shares = field.data.reshape(self._rows, self._cols)
        np.subtract(heights, low, out=shares)
        np.multiply(shares, 1.0 / span, out=shares)
        field.size[2] = span
        middle = self._middle(col, 1, self._cols), self._middle(row, 0, self._rows)
        geom.pos[:] = *middle, low
        geom.sameframe[:] = 0  # or its position is taken to be the world's
        return middle

    def _corner(self, position: float, axis: int, width: int, stride: float) -> int:
        """First sample of a part of `width` samples whose middle is near to a position."""
        step = max(1, round(stride / self._scale))
        centred = 0.5 * (self._heights.shape[axis] - width)
        moved = step * round(position / (self._scale * step))
        return min(max(round(centred + moved), 0), self._heights.shape[axis] - width)

    def _middle(self, corner: int, axis: int, width: int) -> float:
        return (corner - 0.5 * (self._heights.shape[axis] - width)) * self._scale


def _range(heights: np.ndarray) -> tuple[float, float]:
    """Lowest height and difference to the highest one [m]."""
    low = float(heights.min())
    return low, max(float(heights.max()) - low, LEAST_SPAN)
