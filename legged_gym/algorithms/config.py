"""Configuration of the networks and of PPO, with rsl_rl's names where there is one."""

from dataclasses import dataclass, field

from legged_gym.utils.config import Config, bounded


@dataclass
class PolicyCfg(Config):
    """Actor and critic networks."""

    actor_hidden_dims: tuple[int, ...] = bounded((512, 256, 128), ge=1)
    """Hidden layers of the actor; its input is velocity estimate, policy observation and command."""
    critic_hidden_dims: tuple[int, ...] = bounded((512, 256, 128), ge=1)
    activation: str = "elu"
    init_noise_std: float = bounded(1.0, gt=0)
    """Standard deviation of the action at the start."""
    noise_std_range: tuple[float, float] = bounded((0.01, 10.0), gt=0)
    """Bounds of the standard deviation as it is learned."""
    critic_obs_normalization: bool = True
    """Normalise the critic's observation by its running mean and deviation."""


@dataclass
class EstimatorCfg(Config):
    """The network that tells the base velocity from the observation history."""

    hidden_dims: tuple[int, ...] = bounded((256, 128), ge=1)
    learning_rate: float = bounded(1e-3, gt=0)
    num_learning_epochs: int = bounded(5, ge=0)
    """Passes over the rollout per iteration."""
    num_mini_batches: int = bounded(8, ge=1)
    max_grad_norm: float = bounded(1.0, gt=0)


@dataclass
class ImitationCfg(Config):
    """How strongly the policy's mean follows the reference: the weight λ over the iterations."""

    schedule: str = bounded("exponential", choices=("constant", "linear", "exponential"))
    initial: float = bounded(1.0, ge=0)
    """λ at the start; 0 switches imitation off."""
    final: float = bounded(0.01, ge=0)
    """λ once the schedule has run out; unused if constant."""
    decay_steps: int = bounded(200, ge=1)
    """Iterations from `initial` to `final`; if λ is constant, until the policy explores in full."""
    replay_mini_batches: int = bounded(0, ge=0)
    """Mini-batches of past rollouts that are imitated after each update at the initial λ; fewer as λ falls."""
    replay_batch_size: int = bounded(1024, ge=1)
    """Samples in each of them."""
    replay_samples: int = bounded(200_000, ge=1)
    """How many of the last samples they are drawn from; each takes 1.4 kB."""


@dataclass
class AlgorithmCfg(Config):
    """Proximal policy optimisation."""

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
    mixed_precision: bool = True
    """On CUDA, compute the hidden layers of actor and critic in bfloat16 while training."""
    imitation: ImitationCfg = field(default_factory=ImitationCfg)
