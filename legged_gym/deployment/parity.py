"""Checks that exported files answer like the trained networks, on observations recorded by the contract."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from legged_gym.deployment.contract import GAIT, POLICY_DT, Networks
from legged_gym.deployment.engine import Physics
from legged_gym.deployment.mujoco_engine import MujocoEngine
from legged_gym.deployment.robot_log import SHORT_JOINTS
from legged_gym.deployment.rollout import Job, walk

TOLERANCE = 1e-4
"""Largest difference that still counts as rounding [units of the output]."""
OBSERVATIONS = 600
"""Number of observations to compare."""
WALK = 6.0
"""Length of a recorded walk [s]; if a robot falls, another one follows."""
COMMANDS = (1.0, 0.5, 1.0)
"""Largest commands of the walks, either sign [m/s, m/s, rad/s]."""
KICK = 1.0
"""Velocity kick halfway through each walk, which makes observations more varied [m/s]."""
ESTIMATES = ("estimate_x", "estimate_y", "estimate_z")
Batch = Callable[[np.ndarray], np.ndarray]
"""A network on a batch. Shape (n, inputs) -> (n, outputs)."""


@dataclass
class Recording:
    """Networks that record their inputs; see `legged_gym.deployment.contract.Networks`."""

    networks: Networks
    histories: list[np.ndarray] = field(default_factory=list)
    inputs: list[np.ndarray] = field(default_factory=list)

    def encode(self, history: np.ndarray) -> np.ndarray:
        """See `Networks.encode`."""
        self.histories.append(history.copy())
        return self.networks.encode(history)

    def act(self, inputs: np.ndarray) -> np.ndarray:
        """See `Networks.act`."""
        self.inputs.append(inputs.copy())
        return self.networks.act(inputs)


def record_observations(networks: Networks, model: Path, count: int | None = None) -> Recording:
    """Let robots walk by the contract in plain MuJoCo, and keep the networks' inputs.

    Args:
        networks: The exported networks.
        model: URDF or MJCF.
        count: Observations wanted; `OBSERVATIONS` if None.
    """
    count = OBSERVATIONS if count is None else count
    recording, engine = Recording(networks), MujocoEngine(model, Physics())
    seed = 0
    while len(recording.inputs) < count:
        rng = np.random.default_rng(seed)
        steps = round(WALK / POLICY_DT)
        commands = np.repeat(rng.uniform(-1.0, 1.0, (3, 3)) * COMMANDS, -(-steps // 3), axis=0)[:steps]
        kick = KICK * np.append(rng.choice([-1.0, 1.0], 2) / np.sqrt(2.0), 0.0)
        job = Job(commands, (seed,), GAIT[0], start=steps // 2, stop=steps, kick=tuple(kick))
        walk(engine, recording, job)
        seed += 1
    engine.close()
    del recording.histories[count:], recording.inputs[count:]
    return recording


def compare(recording: Recording, encoder: Batch, policy: Batch) -> dict[str, dict[str, float]]:
    """Compare the exported files with the trained networks, output by output.

    Args:
        recording: Inputs of the exported files.
        encoder: The trained velocity estimator.
        policy: The trained actor.

    Returns:
        For each output, `worst` and `mean`, the largest and mean difference, and `range`, the largest answer.
    """
    pairs = (
        (ESTIMATES, recording.histories, recording.networks.encode, encoder),
        (tuple(f"action_{name}" for name in SHORT_JOINTS), recording.inputs, recording.networks.act, policy),
    )
    outputs: dict[str, dict[str, float]] = {}
    for names, seen, exported, trained in pairs:
        answers = np.stack([exported(inputs) for inputs in seen])
        differences = np.abs(answers - trained(np.stack(seen)))
        for column, name in enumerate(names):
            worst, mean = float(differences[:, column].max()), float(differences[:, column].mean())
            outputs[name] = {"worst": worst, "mean": mean, "range": float(np.abs(answers[:, column]).max())}
    return outputs


def report(outputs: dict[str, dict[str, float]], observations: int) -> list[str]:
    """Return the lines of the parity report."""
    lines = [f"torch against ONNX, {observations} observations recorded by the contract in plain MuJoCo"]
    lines.append(f"{'output':<16}{'worst':>10}{'mean':>10}{'range':>10}")
    for name, row in outputs.items():
        lines.append(f"{name:<16}{row['worst']:>10.1e}{row['mean']:>10.1e}{row['range']:>10.2f}")
    return lines


def failed(outputs: dict[str, dict[str, float]]) -> list[str]:
    """Return the outputs that differ by more than rounding, or are not finite."""
    return [name for name, row in outputs.items() if not row["worst"] <= TOLERANCE]
