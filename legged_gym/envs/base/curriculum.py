"""The curriculum: one number for how hard the task is."""

import torch

from legged_gym.envs.base.legged_robot_config import CurriculumCfg


class Curriculum:
    """Difficulty, 0 to 1: it rises while robots rarely fall, and sinks while they fall often."""

    def __init__(self, cfg: CurriculumCfg, device: torch.device) -> None:
        """Start with the initial difficulty, or with 1 if there is no curriculum."""
        self.cfg = cfg
        self.difficulty = torch.tensor(cfg.initial if cfg.enabled else 1.0, device=device)
        """Shared with all that it scales, which read it at each draw. Scalar."""

    def update(self, fall_rate: float, seconds: float) -> None:
        """Make the task harder or easier, by how often robots fell [1/s] while each walked for `seconds`."""
        cfg = self.cfg
        if cfg.enabled:
            up, down = (low + (high - low) * self.difficulty for low, high in (cfg.fall_rate_up, cfg.fall_rate_down))
            # Between the two rates the difficulty stays: one threshold alone would be crossed back and forth.
            change = (up > fall_rate).float() - (down < fall_rate).float()
            self.difficulty.add_(cfg.pace * seconds * change).clamp_(0.0, 1.0)
