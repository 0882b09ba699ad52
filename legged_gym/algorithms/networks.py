"""The actor with its velocity estimator."""

import torch
from rsl_rl.models import MLPModel
from rsl_rl.modules import MLP
from rsl_rl.modules.distribution import GaussianDistribution
from tensordict import TensorDict
from torch import nn
from torch.distributions import Normal

from legged_gym.utils.mirror import Mirror, Symmetry

VELOCITY_ESTIMATE = "velocity_estimate"
"""Observation group that PPO adds: the estimator's output at collection, which the update then sees unchanged."""


class Gaussian(GaussianDistribution):
    """rsl_rl's normal distribution of actions, whose deviation can leave its bounds again.

    A deviation that is clamped only where it is used has no gradient past a bound, and would stay there for good.
    Here the parameter itself is kept within the bounds, of which the upper one may change as the policy learns.
    """

    def __init__(self, output_dim: int, init_std: float, std_range: tuple[float, float]) -> None:
        """Build it; see rsl_rl's `GaussianDistribution`."""
        super().__init__(output_dim, init_std, std_range)
        self.highest_std = nn.Buffer(torch.tensor(self.std_range[1]), persistent=False)
        """Upper bound of the deviation: a tensor, so that recorded updates see it change. Scalar."""
        self.alike = nn.Buffer(torch.arange(output_dim), persistent=False)
        """For each action, the index of the one with the same deviation: the other leg's, if symmetric. Shape (A,)."""

    def update(self, mlp_output: torch.Tensor) -> None:
        """Set the distribution by the network's output (B, A)."""
        with torch.no_grad():
            self.std_param.clamp_(min=self.std_range[0]).copy_(self.std_param.minimum(self.highest_std))
        std = 0.5 * (self.std_param + self.std_param[self.alike])
        self._distribution = Normal(mlp_output, std)

    def sample(self) -> torch.Tensor:
        """Draw actions (N, A) without gradient; nothing waits for the device."""
        with torch.no_grad():
            return self.mean + self.std * torch.randn_like(self.mean)


class SymmetricMLP(nn.Sequential):
    """Layers that see each step as one of the left foot, so that one network serves both (frame M of the teacher).

    While the right foot is stance, the layers get the input reflected in the sagittal plane, and their output is
    reflected back. The action of a reflected robot, half a cycle later, is then exactly the reflected action (the
    "phase" method of Abdolhosseini et al., On Learning Symmetric Locomotion, MIG 2019).
    """

    def __init__(self, layers: nn.Sequential, clock: int, seen: Mirror, given: Mirror) -> None:
        """Take over layers; the parameters keep their names.

        Args:
            layers: From (..., I) to (..., O).
            clock: Index of the input that is positive while the left foot is stance.
            seen: Reflection of the input, I numbers.
            given: Reflection of the output, O numbers.
        """
        super().__init__(*layers)
        self.clock = clock
        self.input_rows, self.input_signs = (nn.Buffer(x.clone(), persistent=False) for x in (seen.rows, seen.signs))
        self.output_rows, self.output_signs = (
            nn.Buffer(x.clone(), persistent=False) for x in (given.rows, given.signs)
        )

    def on_left(self, x: torch.Tensor) -> torch.Tensor:
        """Return which inputs (..., I) belong to a step on the left foot. Shape (..., 1)."""
        return x[..., self.clock : self.clock + 1] >= 0.0

    def to_left(self, x: torch.Tensor, on_left: torch.Tensor) -> torch.Tensor:
        """Reflect the inputs (..., I) of right steps."""
        return torch.where(on_left, x, x.index_select(-1, self.input_rows) * self.input_signs)

    def to_robot(self, y: torch.Tensor, on_left: torch.Tensor) -> torch.Tensor:
        """Reflect the outputs (..., O) of right steps back."""
        return torch.where(on_left, y, y.index_select(-1, self.output_rows) * self.output_signs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (..., I) to (..., O)."""
        on_left = self.on_left(x)
        x = self.to_left(x, on_left)
        for layer in self:
            x = layer(x)
        return self.to_robot(x, on_left)


class EstimatorActor(MLPModel):
    """Actor whose input is [velocity estimate (3), policy observation (30), command (3)].

    The estimate is of the base velocity in the base frame [m/s], computed from the observation history by an MLP that
    has its own loss; no policy gradient reaches it.
    """

    def __init__(
        self,
        obs: TensorDict,
        obs_groups: dict[str, list[str]],
        obs_set: str,
        output_dim: int,
        estimator_hidden_dims: tuple[int, ...] = (256, 128),
        symmetry: Symmetry | None = None,
        **kwargs: object,
    ) -> None:
        """Build both networks, symmetric if `symmetry` is given; see rsl_rl's `MLPModel`."""
        self._estimate_dim = obs["velocity"].shape[-1]
        super().__init__(obs, obs_groups, obs_set, output_dim, **kwargs)
        activation = str(kwargs.get("activation", "elu"))
        self.estimator = MLP(obs["history"].shape[-1], self._estimate_dim, list(estimator_hidden_dims), activation)
        if symmetry is not None:
            s, history = symmetry, obs["history"].shape[-1] // len(symmetry.policy.rows)
            newest = (history - 1) * len(s.policy.rows)
            self.estimator = SymmetricMLP(self.estimator, newest + s.clock, s.policy.repeated(history), s.velocity)
            seen = Mirror.joined((s.velocity, s.policy, s.command))
            self.distribution.alike.copy_(s.action.rows)
            self.mlp: nn.Sequential = SymmetricMLP(self.mlp, self._estimate_dim + s.clock, seen, s.action)

    def _get_latent_dim(self) -> int:
        return self._estimate_dim + self.obs_dim

    def estimate(self, obs: TensorDict) -> torch.Tensor:
        """Estimate the base velocity from the history, without gradient. Shape (N, 3)."""
        with torch.no_grad():
            return self.estimator(obs["history"])

    def get_latent(self, obs: TensorDict, masks: object = None, hidden_state: object = None) -> torch.Tensor:
        """Concatenate the actor's input. Shape (N, 36)."""
        estimate = obs[VELOCITY_ESTIMATE] if VELOCITY_ESTIMATE in obs else self.estimate(obs)
        return torch.cat([estimate, *(obs[group] for group in self.obs_groups)], dim=-1)
