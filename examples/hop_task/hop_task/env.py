"""The environment: that of `pointfoot_flat`, with a reward term of its own."""

import torch

from legged_gym.envs.pointfoot.pointfoot_flat import PointFootFlat


class Hop(PointFootFlat):
    """A biped that is to leave the ground with both feet."""

    def _reward_airborne(self) -> torch.Tensor:
        """1 while no foot touches the ground. Shape (N,)."""
        return (~self.state.feet_contact.any(-1)).float()
