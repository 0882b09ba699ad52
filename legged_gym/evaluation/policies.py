"""The checkpoints of a run, to switch between while one plays."""

import time
from dataclasses import replace
from typing import Any

import torch

from legged_gym.evaluation.agents import Agent, PolicyAgent
from legged_gym.evaluation.loading import load_actor
from legged_gym.options.spec import RunSpec
from legged_gym.utils.checkpoint_names import checkpoints, iteration
from legged_gym.utils.errors import UserError

LOOK_INTERVAL = 1.0
"""Time between two looks for new checkpoints [s]."""


class Policies:
    """The checkpoints of a run, to switch between while one plays."""

    def __init__(self, spec: RunSpec, env: Any, agent: Agent) -> None:
        """Begin with the agent's own checkpoint."""
        self._spec, self._env, self._agent = spec, env, agent
        self._grows = spec.agent is not None and spec.agent.kind == "checkpoint"  # a shipped run does not
        self._looked_at = 0.0

    @property
    def names(self) -> list[str]:
        """Checkpoints to switch to, the newest last; empty for an agent that is no checkpoint."""
        spec = self._spec
        if spec.run is None or not isinstance(self._agent, PolicyAgent):
            return []
        found = [path.stem for path in checkpoints(spec.run).values()]
        return found if len(found) > 1 or self._grows else []

    @property
    def present(self) -> str | None:
        """Name of the agent's own checkpoint."""
        return None if self._spec.checkpoint is None else self._spec.checkpoint.stem

    def due(self) -> bool:
        """It is time to look for new checkpoints."""
        now = time.monotonic()
        if now - self._looked_at < LOOK_INTERVAL:
            return False
        self._looked_at = now
        return True

    def switch(self, name: str) -> None:
        """Let another checkpoint control the robots; prints why if it cannot."""
        if self._spec.run is None or not isinstance(self._agent, PolicyAgent) or name not in self.names:
            return
        path = self._spec.run / f"{name}.pt"
        try:
            with torch.inference_mode(False):  # networks are made, not only used
                self._agent.actor = load_actor(replace(self._spec, checkpoint=path), self._env)
        except UserError as error:
            print(f"policy:   {error}", flush=True)
            return
        print(f"policy:   {path.name} (iteration {iteration(path)})", flush=True)
