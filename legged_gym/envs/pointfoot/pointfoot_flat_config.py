"""Configuration of the task `pointfoot_flat`."""

from dataclasses import dataclass, field

from legged_gym.envs.base.legged_robot_config import LeggedRobotCfg
from legged_gym.utils.config import Config, bounded


@dataclass
class PointFootFlatCfg(LeggedRobotCfg):
    """The point-foot biped on flat ground."""


@dataclass
class PolicyCfg(Config):
    """Actor and critic networks."""

    actor_hidden_dims: tuple[int, ...] = bounded((512, 256, 128), ge=1)
    """Hidden layers of the actor; its input is velocity estimate, policy observation and command: 36."""
    critic_hidden_dims: tuple[int, ...] = bounded((512, 256, 128), ge=1)
    activation: str = "elu"
    init_noise_std: float = bounded(1.0, gt=0)
    """Standard deviation of the action at the start."""
    critic_obs_normalization: bool = True
    """Normalise the critic's observation by its running mean and deviation."""


@dataclass
class EstimatorCfg(Config):
    """The network that tells the base velocity from the observation history."""

    hidden_dims: tuple[int, ...] = bounded((256, 128), ge=1)
    learning_rate: float = bounded(1e-3, gt=0)
    num_learning_epochs: int = bounded(1, ge=0)
    """Passes over the rollout per iteration."""
    max_grad_norm: float = bounded(1.0, gt=0)


@dataclass
class AlgorithmCfg(Config):
    """PPO, with rsl_rl's names."""

    value_loss_coef: float = bounded(1.0, ge=0)
    use_clipped_value_loss: bool = True
    clip_param: float = bounded(0.2, gt=0)
    entropy_coef: float = bounded(0.01, ge=0)
    num_learning_epochs: int = bounded(5, ge=1)
    num_mini_batches: int = bounded(4, ge=1)
    learning_rate: float = bounded(1e-3, gt=0)
    schedule: str = bounded("adaptive", choices=("adaptive", "fixed"))
    gamma: float = bounded(0.99, gt=0, le=1)
    lam: float = bounded(0.95, ge=0, le=1)
    desired_kl: float = bounded(0.01, gt=0)
    max_grad_norm: float = bounded(1.0, gt=0)


@dataclass
class RunnerCfg(Config):
    """Length, place and habits of a training run."""

    num_steps_per_env: int = bounded(24, ge=1)
    """Policy steps per robot and iteration."""
    max_iterations: int = bounded(1500, ge=1)
    save_interval: int = bounded(50, ge=1)
    """Iterations between two checkpoints."""
    experiment_name: str = "pointfoot_flat"
    run_name: str = ""
    resume: bool = False
    load_run: str = "-1"
    """Name of the run to load; -1 is the newest."""
    checkpoint: int = bounded(-1, ge=-1)
    """Iteration to load; -1 is the last."""
    logger: str = "tensorboard"


@dataclass
class PointFootFlatCfgPPO(Config):
    """How the task is learned."""

    seed: int = bounded(1, ge=0)
    policy: PolicyCfg = field(default_factory=PolicyCfg)
    estimator: EstimatorCfg = field(default_factory=EstimatorCfg)
    algorithm: AlgorithmCfg = field(default_factory=AlgorithmCfg)
    runner: RunnerCfg = field(default_factory=RunnerCfg)
