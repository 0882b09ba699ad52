"""A resolved run: everything behind the command line is built from it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class AgentSpec:
    """What controls the robots."""

    kind: str
    """One of `request.AGENTS`."""
    onnx: Path | None = None
    """Folder of encoder.onnx and policy.onnx, if the agent is one."""
    offset: Path | None = None
    """Learned offset of the teacher."""


@dataclass(frozen=True)
class RunSpec:
    """A run, resolved by `resolve.resolve`; both configs are complete and checked."""

    task: str
    """Its name."""
    env_cfg: Any
    train_cfg: Any
    robot: str
    """Name of the robot: folder of its runs."""
    sim_device: str
    """Where physics runs: `"cpu"` or `"cuda:<index>"`."""
    rl_device: str
    """Device of the networks."""
    headless: bool
    """Without a window."""
    log_root: Path
    """Folder of `<experiment_name>/<robot>/<run>`."""
    checkpoint: Path | None = None
    """File to go on from, or the agent's policy."""
    agent: AgentSpec | None = None
    """The robots' agent; None if a policy is trained."""
    said: frozenset[str] = frozenset()
    """Config fields that the user has set, as `env.<path>` and `train.<path>`: they override restored values."""
    imports: tuple[str, ...] = ()
    """Packages that register the user's tasks."""
    argv: tuple[str, ...] = ()
    """The command line."""

    @property
    def run(self) -> Path | None:
        """Folder of the run to go on from, or of the agent's policy."""
        return None if self.checkpoint is None else self.checkpoint.parent

    @property
    def source(self) -> str | None:
        """Where the agent comes from: run and checkpoint, or folder."""
        if self.checkpoint is not None:
            return f"{self.checkpoint.parent.name}/{self.checkpoint.name}"
        return self.agent.onnx.name if self.agent is not None and self.agent.onnx is not None else None

    @property
    def title(self) -> str:
        """Kind of agent, and where it comes from if from anywhere."""
        kind = "training" if self.agent is None else self.agent.kind
        return kind if self.source is None else f"{kind} {self.source}"
