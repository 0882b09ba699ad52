"""Agents that control the robots: trained policies, exported ones, the teacher, and two without any skill."""

from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from tensordict import TensorDict

from legged_gym.runners.teachers import load_offset, make_teacher, use_steps
from legged_gym.teacher.config import DcmCfg
from legged_gym.teacher.dcm_teacher import TeacherOutput
from legged_gym.utils.errors import UserError


class Agent(Protocol):
    """A controller of N robots."""

    def reset(self, seed: int) -> None:
        """Forget the past, and restart the random numbers, if any, from this seed."""

    def act(self, obs: TensorDict) -> torch.Tensor:
        """Choose an action for every robot. Shape (N, J)."""


class ZeroAgent:
    """Holds the default joint angles."""

    def __init__(self, num_actions: int) -> None:
        """Remember the width of an action."""
        self.num_actions = num_actions

    def reset(self, seed: int) -> None:
        """See `Agent.reset`."""

    def act(self, obs: TensorDict) -> torch.Tensor:
        """See `Agent.act`."""
        return torch.zeros(len(obs["policy"]), self.num_actions, device=obs["policy"].device)


class RandomAgent:
    """Draws each action uniformly from [-1, 1]."""

    def __init__(self, num_actions: int) -> None:
        """Remember the width of an action."""
        self.num_actions = num_actions
        self._generator = torch.Generator()

    def reset(self, seed: int) -> None:
        """See `Agent.reset`."""
        self._generator.manual_seed(seed)

    def act(self, obs: TensorDict) -> torch.Tensor:
        """See `Agent.act`."""
        policy = obs["policy"]
        return (2.0 * torch.rand(len(policy), self.num_actions, generator=self._generator) - 1.0).to(policy.device)


class PolicyAgent:
    """A trained actor, without exploration noise."""

    def __init__(self, actor: Any, device: torch.device | str = "cpu") -> None:
        """Wrap an actor that maps an observation TensorDict to actions (N, J)."""
        self.actor = actor
        self.device = torch.device(device)

    def reset(self, seed: int) -> None:
        """See `Agent.reset`."""

    def act(self, obs: TensorDict) -> torch.Tensor:
        """See `Agent.act`."""
        return self.actor(obs.to(self.device)).to(obs.device)


class TeacherAgent:
    """The DCM teacher, which observes the true state."""

    def __init__(self, env: Any, cfg: DcmCfg, offset: str | Path | None = None) -> None:
        """Build the teacher for an environment's robot.

        Args:
            env: The environment it will act in; its gait clock is shifted if the teacher adapts step timing.
            cfg: The teacher's parameters.
            offset: File of a learned DCM offset.
        """
        if offset is not None:
            cfg.offset.enabled = True
        self.teacher = make_teacher(cfg, env, env.device)
        if offset is not None:
            data = load_offset(offset, self.teacher.network, env.device)
            self.teacher.network.load_state_dict(data["offset_network"])
            use_steps(offset, data, self.teacher)
        self._shift = env.shift_gait_clock if cfg.timing.enabled else None
        self.output: TeacherOutput | None = None
        """Output of the last evaluation."""

    def reset(self, seed: int) -> None:
        """See `Agent.reset`; the teacher itself forgets robots whose episode begins."""

    def act(self, obs: TensorDict) -> torch.Tensor:
        """See `Agent.act`."""
        output = self.output = self.teacher.step(obs["teacher"])
        if self._shift is not None:
            self._shift(output.clock_shift)
        return output.action


class OnnxAgent:
    """`encoder.onnx` and `policy.onnx` as the robot runs them: 1-D inputs of 300 and 36.

    If the graph gives the same with a batch axis in front, as plain networks do, all robots are computed at once;
    otherwise one after the other.
    """

    def __init__(self, directory: str | Path) -> None:
        """Load both files.

        Raises:
            UserError: A file is missing or no ONNX model.
        """
        self.encoder = OnnxNetwork(Path(directory) / "encoder.onnx")
        self.policy = OnnxNetwork(Path(directory) / "policy.onnx")

    def reset(self, seed: int) -> None:
        """See `Agent.reset`."""

    def act(self, obs: TensorDict) -> torch.Tensor:
        """See `Agent.act`."""
        history, policy, command = (obs[name].cpu().numpy() for name in ("history", "policy", "command"))
        actions = self.policy(np.concatenate((self.encoder(history), policy, command), axis=-1))
        return torch.from_numpy(actions).to(obs["policy"].device)


class OnnxNetwork:
    """An ONNX graph with one 1-D float32 input, run on a batch."""

    def __init__(self, path: Path) -> None:
        """Load the graph and find out whether it takes a batch."""
        import onnx
        import onnxruntime

        if not path.is_file():
            raise UserError(f"no such file: {path}; --onnx takes a folder with encoder.onnx and policy.onnx")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.log_severity_level = 1, 4
        try:
            model = onnx.load(str(path))
            self._single = onnxruntime.InferenceSession(model.SerializeToString(), options)
        except Exception as error:  # noqa: BLE001  protobuf and onnxruntime raise classes of their own for broken files
            raise UserError(f"{path}: is no ONNX model ({str(error).splitlines()[0][:100]})") from None
        for what, values in (("input", self._single.get_inputs()), ("output", self._single.get_outputs())):
            if len(values) != 1:
                raise UserError(f"{path}: has {len(values)} {what}s, expected one")
            shape = values[0].shape
            if len(shape) != 1 or not isinstance(shape[0], int) or values[0].type != "tensor(float)":
                raise UserError(f"{path}: its {what} is {values[0].type} of shape {shape}, expected floats on one axis")
        source = self._single.get_inputs()[0]
        self._input, self.width = source.name, source.shape[0]
        self._check_answers(path)
        self._batched = self._with_batch_axis(model, options)

    def _check_answers(self, path: Path) -> None:
        """Refuse a graph that cannot be run, or that turns finite inputs into numbers that are not finite."""
        probes = np.stack((np.zeros(self.width), np.random.default_rng(0).standard_normal(self.width)))
        try:
            answers = self._one_by_one(probes.astype(np.float32))
        except Exception as error:  # noqa: BLE001  onnxruntime raises classes of its own
            raise UserError(f"{path}: cannot be run ({str(error).splitlines()[0][:100]})") from None
        if not np.isfinite(answers).all():
            raise UserError(f"{path}: answers with NaN or infinity; its weights are broken")

    def _with_batch_axis(self, model: Any, options: Any) -> Any | None:
        """Make a session of the same graph for inputs (N, width), or None if that changes its results."""
        import onnxruntime

        del model.graph.value_info[:]
        for value in (model.graph.input[0], model.graph.output[0]):
            shape = value.type.tensor_type.shape
            widths = list(shape.dim)
            del shape.dim[:]
            shape.dim.add().dim_param = "batch"
            shape.dim.extend(widths)
        probe = np.random.default_rng(0).standard_normal((3, self.width), dtype=np.float32)
        try:
            session = onnxruntime.InferenceSession(model.SerializeToString(), options)
            (batched,) = session.run(None, {self._input: probe})
        except Exception:  # noqa: BLE001  the graph takes no batch: onnxruntime's own exception classes
            return None
        return session if np.allclose(batched, self._one_by_one(probe), atol=1e-4) else None

    def _one_by_one(self, batch: np.ndarray) -> np.ndarray:
        return np.stack([self._single.run(None, {self._input: row})[0] for row in batch])

    def __call__(self, batch: np.ndarray) -> np.ndarray:
        """Run the graph on a batch.

        Args:
            batch: Float32. Shape (N, width).

        Returns:
            Shape (N, outputs).
        """
        if batch.shape[-1] != self.width:
            raise UserError(f"the ONNX model takes {self.width} numbers, the environment gives {batch.shape[-1]}")
        if self._batched is None:
            return self._one_by_one(batch)
        return self._batched.run(None, {self._input: batch})[0]
