"""The actor with its velocity estimator."""

import torch
from rsl_rl.models import MLPModel
from rsl_rl.modules import MLP
from rsl_rl.modules.distribution import GaussianDistribution
from tensordict import TensorDict
from torch import nn
from torch.distributions import Normal

VELOCITY_ESTIMATE = "velocity_estimate"
"""Observation group that PPO adds: the estimator's output at collection, which the update then sees unchanged."""


class Gaussian(GaussianDistribution):
    """rsl_rl's normal distribution of actions, with an upper bound of the deviation that may change as it learns."""

    def __init__(self, output_dim: int, init_std: float, std_range: tuple[float, float]) -> None:
        """Build it; see rsl_rl's `GaussianDistribution`."""
        super().__init__(output_dim, init_std, std_range)
        self.highest_std = nn.Buffer(torch.tensor(self.std_range[1]), persistent=False)
        """Upper bound of the deviation: a tensor, for recorded updates to see it change. Scalar."""

    def update(self, mlp_output: torch.Tensor) -> None:
        """Bring the distribution up to the network's output (B, A)."""
        std = self.std_param.clamp(min=self.std_range[0]).minimum(self.highest_std)
        self._distribution = Normal(mlp_output, std)

    def sample(self) -> torch.Tensor:
        """Draw actions (N, A), without gradient, and without the host's looking at the deviation first."""
        with torch.no_grad():
            return self.mean + self.std * torch.randn_like(self.mean)


class EstimatorActor(MLPModel):
    """Actor whose input is [velocity estimate (3), policy observation (30), command (3)].

    The estimate is of the base velocity in the base frame [m/s], told from the observation history by an MLP that is
    trained by its own loss; no policy gradient reaches it.
    """

    def __init__(
        self,
        obs: TensorDict,
        obs_groups: dict[str, list[str]],
        obs_set: str,
        output_dim: int,
        estimator_hidden_dims: tuple[int, ...] = (256, 128),
        **kwargs: object,
    ) -> None:
        """Build both networks; see rsl_rl's `MLPModel` for the other arguments."""
        self._estimate_dim = obs["velocity"].shape[-1]
        super().__init__(obs, obs_groups, obs_set, output_dim, **kwargs)
        activation = str(kwargs.get("activation", "elu"))
        self.estimator = MLP(obs["history"].shape[-1], self._estimate_dim, list(estimator_hidden_dims), activation)

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
