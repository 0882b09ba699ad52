"""Everything the next policy step of an environment depends on, so that a stopped run resumes bit for bit."""

from operator import attrgetter
from typing import Any

import torch
from tensordict import TensorDict

from legged_gym.utils.checkpoint import check_alike

ENVIRONMENT = (
    *(f"actions.{name}" for name in ("now", "applied", "before", "refused", "num_refused")),
    *("state.last_joint_vel", "sensors._before", "observer.history", "curriculum.difficulty"),
    *("episodes.length", "episodes._tilt_steps", "log.sums", "log.finished", "log.not_finite"),
    *("commands.command", "commands.standing", "commands.reversing", "gait.clock", "gait.params"),
    *(f"randomizer.{name}" for name in ("joint_zero_error", "imu_quat", "gyro_bias", "action_delay")),
    *(f"randomizer.{name}" for name in ("observation_delay", "observation_age", "_stale")),
    *(f"disturbances.{kind}.{name}" for kind in ("shove", "trip") for name in ("_phase", "_left", "force_w")),
    *(f"disturbances.{name}" for name in ("_at", "_foot", "_kick_phase", "_recovery_left")),
)
"""Tensors of `LeggedRobot` that keep their memory and that a step starts from, without those it derives anew."""
TILED_GROUND = tuple(f"ground.{name}" for name in ("levels", "_starts", "_commanded", "_walked", "_farthest"))
"""The same of the ground, where there is a terrain."""


def _tensors(env: Any) -> dict[str, torch.Tensor]:
    """The tensors by path, in place."""
    paths = ENVIRONMENT + (TILED_GROUND if hasattr(env.ground, "levels") else ())
    return {path: attrgetter(path)(env) for path in paths}


def exact_state(env: Any) -> dict[str, Any] | None:
    """Return the state of an environment between two steps.

    Args:
        env: A `LeggedRobot`.

    Returns:
        Tensors by name, in place; None if the simulator cannot return its state.
    """
    simulator = env.sim.exact_state()
    if simulator is None:
        return None
    groups = (*env.observer.groups, "history")
    observed = {name: env.get_observations()[name] for name in groups}
    return {"environment": _tensors(env), "observations": observed, "simulator": simulator}


@torch.inference_mode()
def load_exact_state(env: Any, state: dict[str, Any]) -> None:
    """Take over what `exact_state` returned.

    Raises:
        ValueError: The state has another number of robots, another robot or another kind of ground; nothing is changed.
    """
    own = exact_state(env)
    if own is None:
        raise ValueError("this simulator cannot take over a state")
    check_alike(state, own, "environment")
    for name, tensor in own["environment"].items():
        tensor.copy_(state["environment"][name])
    env.sim.load_exact_state(state["simulator"])
    env.state.refresh()
    observed = {name: value.to(env.device).clone() for name, value in state["observations"].items()}
    env._observations = TensorDict(observed, batch_size=[env.num_envs], device=env.device)
