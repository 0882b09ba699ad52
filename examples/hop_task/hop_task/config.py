"""The configs: those of `pointfoot_flat` with other rewards, one more thing to see, and two events."""

from dataclasses import dataclass, field

from legged_gym.envs.base.legged_robot_config import EventsCfg
from legged_gym.envs.base.observations_config import ObservationsCfg
from legged_gym.envs.pointfoot.pointfoot_flat_config import (
    PointFootFlatCfg,
    PointFootFlatCfgPPO,
    PointFootRewardScalesCfg,
    PointFootRewardsCfg,
)
from legged_gym.runners.config import RunnerCfg


@dataclass
class HopScalesCfg(PointFootRewardScalesCfg):
    """Weight of each reward term per second: those of `pointfoot_flat`, and these."""

    airborne: float = 2.0
    """A method of the environment's class."""
    hop: float = -5.0
    """A function that `HopRewardsCfg.terms` lists."""


@dataclass
class HopRewardsCfg(PointFootRewardsCfg):
    """Parameters of the reward terms."""

    scales: HopScalesCfg = field(default_factory=HopScalesCfg)
    terms: tuple[str, ...] = ("hop_task.terms:hop",)


@dataclass
class HopCfg(PointFootFlatCfg):
    """The environment."""

    rewards: HopRewardsCfg = field(default_factory=HopRewardsCfg)
    observations: ObservationsCfg = field(
        default_factory=lambda: ObservationsCfg(critic=("hop_task.terms:feet_height",))
    )
    events: EventsCfg = field(
        default_factory=lambda: EventsCfg(reset=("hop_task.terms:stand",), step=("hop_task.terms:pull_down",))
    )


@dataclass
class HopCfgPPO(PointFootFlatCfgPPO):
    """How it is learned."""

    runner: RunnerCfg = field(default_factory=lambda: RunnerCfg(experiment_name="pointfoot_hop"))
