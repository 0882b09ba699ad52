"""Configuration of the networks and of PPO, with rsl_rl's names where there is one."""

from dataclasses import dataclass, field

from legged_gym.utils.config import Config, ConfigError, bounded, check_ranges

ACTIVATIONS = (
    *("elu", "selu", "relu", "crelu", "lrelu", "tanh"),
    *("sigmoid", "softplus", "gelu", "swish", "mish", "identity"),
)
"""Activation functions that rsl_rl knows."""
WIDEST = 16384
"""Most neurons of a layer."""


def check_layers(cfg: Config, *names: str) -> None:
    """Raise if a network has no hidden layer, or one that is too wide."""
    for name in names:
        widths = getattr(cfg, name)
        if not widths or max(widths) > WIDEST:
            raise ConfigError(
                f"{type(cfg).__name__}.{name}: got {widths}, expected the width of one layer or more, to {WIDEST}"
            )


@dataclass
class PolicyCfg(Config):
    """Actor and critic networks."""

    FORMER = {"symmetric": False}
    actor_hidden_dims: tuple[int, ...] = bounded((512, 256, 128), ge=1)
    """Hidden layers of the actor; its input is velocity estimate, policy observation and command."""
    critic_hidden_dims: tuple[int, ...] = bounded((512, 256, 128), ge=1)
    """Hidden layers of the critic."""
    activation: str = bounded("elu", choices=ACTIVATIONS)
    """Activation function of all hidden layers, by its name in rsl_rl."""
    init_noise_std: float = bounded(1.0, gt=0)
    """Standard deviation of the action at the start."""
    noise_std_range: tuple[float, float] = bounded((0.01, 10.0), gt=0)
    """Bounds of the standard deviation as it is learned."""
    critic_obs_normalization: bool = True
    """Normalise the critic's observation by its running mean and deviation."""
    symmetric: bool = True
    """The actor sees each right step reflected, as a left one, so it treats both sides exactly alike."""

    def validate(self) -> None:
        """Check that there are hidden layers, and that the deviation's bounds are ordered."""
        check_layers(self, "actor_hidden_dims", "critic_hidden_dims")
        check_ranges(self, "noise_std_range")


@dataclass
class EstimatorCfg(Config):
    """The network that estimates the base velocity from the observation history."""

    hidden_dims: tuple[int, ...] = bounded((256, 128), ge=1)
    """Its hidden layers."""
    learning_rate: float = bounded(1e-3, gt=0, le=1)
    """Learning rate of its own optimiser."""
    num_learning_epochs: int = bounded(5, ge=0, le=1000)
    """Passes over the rollout per iteration."""
    num_mini_batches: int = bounded(8, ge=1)
    """Parts of a pass."""
    max_grad_norm: float = bounded(1.0, gt=0)
    """Largest norm of a gradient."""
    huber_width: float = bounded(0.0, ge=0)
    """Error from which on it counts in proportion (Huber's loss) [m/s]: robots that tumble weigh less. Smaller errors
    are squared, and divided by twice this width. 0: all errors are squared."""

    def validate(self) -> None:
        """Check that there are hidden layers."""
        check_layers(self, "hidden_dims")


@dataclass
class ImitationCfg(Config):
    """Imitation of the reference by the policy's mean: its weight λ over the iterations."""

    schedule: str = bounded("exponential", choices=("constant", "linear", "exponential"))
    """Curve of λ from its initial to its final value."""
    initial: float = bounded(1.0, ge=0)
    """λ at the start; 0 switches imitation off."""
    final: float = bounded(0.01, ge=0)
    """λ once the schedule has run out; unused if constant."""
    decay_steps: int = bounded(200, ge=1)
    """Iterations from `initial` to `final`; if λ is constant, until the policy explores in full."""
    follow_error: float = bounded(0.0, ge=0)
    """Only iterations count in which the policy follows the reference this well: root mean square of the distance of
    all joints, in units of the action, over the states in which the reference is trusted. 0 counts all of them."""
    replay_mini_batches: int = bounded(0, ge=0, le=10_000)
    """Mini-batches of past rollouts that are imitated after each update at the initial λ; fewer as λ falls."""
    replay_batch_size: int = bounded(1024, ge=1, le=1_000_000)
    """Samples in each of these mini-batches."""
    replay_samples: int = bounded(200_000, ge=1)
    """Number of newest samples that they are drawn from; each takes 1.4 kB."""


@dataclass
class AlgorithmCfg(Config):
    """Proximal policy optimisation."""

    value_loss_coef: float = bounded(1.0, ge=0)
    """Weight of the value loss."""
    use_clipped_value_loss: bool = True
    """Clip the change of the value, as for the policy."""
    clip_param: float = bounded(0.2, gt=0)
    """Largest change of the probability ratio that is rewarded."""
    entropy_coef: float = bounded(0.01, ge=0)
    """Weight of the entropy, while nothing is imitated."""
    num_learning_epochs: int = bounded(5, ge=1, le=1000)
    """Passes over a rollout."""
    num_mini_batches: int = bounded(4, ge=1)
    """Parts of a pass."""
    learning_rate: float = bounded(1e-3, gt=0, le=1)
    """Learning rate of policy and value; its initial value, if the schedule is adaptive."""
    schedule: str = bounded("adaptive", choices=("adaptive", "fixed"))
    """adaptive: the learning rate follows the policy's divergence per update; fixed: it stays."""
    gamma: float = bounded(0.99, gt=0, le=1)
    """Discount of a policy step."""
    lam: float = bounded(0.95, ge=0, le=1)
    """Decay λ of generalised advantage estimation."""
    desired_kl: float = bounded(0.01, gt=0)
    """Divergence per update that an adaptive rate aims at."""
    max_grad_norm: float = bounded(1.0, gt=0)
    """Largest norm of a gradient, of policy and of value."""
    mixed_precision: bool = True
    """Train critic and estimator with hidden layers in bfloat16 on devices with units for it: CUDA, newer CPUs."""
    input_scaling: bool = False
    """Divide steps of the first layers of actor and estimator by the size of their inputs: what only small inputs tell
    is then learned as fast. Nothing of a policy's files changes."""
    polish_share: float = bounded(0.0, ge=0, le=1)
    """Last share of a run's iterations, in which the policy stops exploring: the noise sinks to `polish_noise_std`, the
    weight of the entropy to 0. With less noise a policy learns finer motions, closer to those deployed."""
    polish_noise_std: float = bounded(0.12, gt=0)
    """Bound of the actions' standard deviation at the end of the run."""
    imitation: ImitationCfg = field(default_factory=ImitationCfg)


@dataclass
class DenoisingCfg(Config):
    """The policy learns from itself to act through noise, see runners/denoising.py."""

    run_share: float = bounded(0.0, ge=0, le=0.5)
    """Last share of a run's iterations that is spent on it; 0 for none. By default a little of one on a GPU."""
    num_learning_epochs: int = bounded(2, ge=1, le=1000)
    """Passes over a rollout."""
    num_mini_batches: int = bounded(8, ge=1)
    """Parts of a pass."""
    learning_rate: float = bounded(5e-4, gt=0, le=1)
    """At the beginning; it falls to zero by a cosine."""
    max_grad_norm: float = bounded(1.0, gt=0)
    """Largest norm of a gradient."""
    action_width: float = bounded(0.5, gt=0)
    """Errors of an action beyond this count linearly: robots that fall ask for much [action units]."""
    velocity_weight: float = bounded(0.3, ge=0)
    """Weight of the error of the estimated velocity, beside that of the action."""
    velocity_width: float = bounded(0.2, gt=0)
    """Errors of the velocity beyond this count linearly [m/s]."""
    blend: float = bounded(0.65, ge=0, le=1)
    """Weights go so far from what they were to what was learned: between the two a policy keeps what it could do in
    states that were rare here (Wortsman et al., Robust fine-tuning of zero-shot models, 2022, arXiv 2109.01903)."""
