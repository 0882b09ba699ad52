"""w_k: how far the reference may be trusted, 1 where the LIP holds and 0 where it does not."""

from __future__ import annotations

from torch import Tensor

from legged_gym.teacher.config import INDICATORS, ValidityCfg


class ValidityWeight:
    """Product of ramps that fall from 1 to 0 between two thresholds of each indicator.

    The LIP assumes a level base, constant height, a stance foot that holds, contacts as the clock says, a reachable
    foothold and no force but the ground's; the further one of these is violated, the less the reference weighs.

    Args:
        cfg: thresholds (good, bad) of each indicator.
        template: a tensor of the device and dtype to compute on.
    """

    def __init__(self, cfg: ValidityCfg, template: Tensor) -> None:
        limits = template.new_tensor([getattr(cfg, name) for name in INDICATORS])
        self._good, self._bad = limits.split(1, dim=1)  # (6, 1) each

    def __call__(self, indicators: Tensor) -> Tensor:
        """Weight of the reference.

        Args:
            indicators: tilt [rad], height rate [m/s], slip [m/s], mismatch [s], clamp [m], push [m/s], all as
                magnitudes (6, N).

        Returns:
            w_k in [0, 1] (N,); 0 where an indicator is not finite.
        """
        ramps = ((self._bad - indicators) / (self._bad - self._good)).clamp(0.0, 1.0)
        return ramps.nan_to_num(0.0).prod(dim=0)
