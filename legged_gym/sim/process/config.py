"""When and how a simulator runs in a process of its own."""

from dataclasses import dataclass

from legged_gym.utils.config import Config, bounded


@dataclass
class ProcessCfg(Config):
    """The simulator's process. Isaac Gym always has one, the others if asked."""

    enabled: bool = False
    """Run the simulator in a process of its own: if the engine crashes, the trainer does not."""
    start_timeout: float = bounded(600.0, gt=0, le=86400)
    """Longest time for building a simulator, including kernels that have to be compiled [s]. The end of a worker is
    noticed at once."""
    timeout: float = bounded(30.0, gt=0, le=86400)
    """Longest time for any other answer, a policy step for example, before the worker counts as hung [s]."""
    restarts: int = bounded(0, ge=0)
    """Number of times that a worker that died or hung is replaced; all robots then start a new episode."""
