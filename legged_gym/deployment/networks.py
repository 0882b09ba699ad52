"""The exported networks, `encoder.onnx` and `policy.onnx`, checked before they are run."""

from pathlib import Path

import numpy as np

from legged_gym.deployment.contract import ENCODER_INPUTS, ENCODER_OUTPUTS, POLICY_INPUTS, POLICY_OUTPUTS
from legged_gym.utils.errors import UserError


class OnnxNetworks:
    """See `legged_gym.deployment.contract.Networks`."""

    def __init__(self, folder: Path) -> None:
        """Load both files.

        Raises:
            UserError: The folder or a file is missing, or the controller could not load a file.
        """
        if not folder.is_dir():
            raise UserError(f"no such folder: {folder}; --onnx takes a folder with encoder.onnx and policy.onnx")
        self._encoder = OnnxNetwork(folder / "encoder.onnx", ENCODER_INPUTS, ENCODER_OUTPUTS)
        self._policy = OnnxNetwork(folder / "policy.onnx", POLICY_INPUTS, POLICY_OUTPUTS)

    def encode(self, history: np.ndarray) -> np.ndarray:
        """See `Networks.encode`."""
        return self._encoder(history)

    def act(self, inputs: np.ndarray) -> np.ndarray:
        """See `Networks.act`."""
        return self._policy(inputs)


class OnnxNetwork:
    """A graph with one float32 vector as its input and one as its output."""

    def __init__(self, path: Path, inputs: int, outputs: int) -> None:
        """Load the graph and try it.

        Args:
            path: The file.
            inputs: Width of the input that the controller gives.
            outputs: Width of the output that the controller expects.

        Raises:
            UserError: The file is missing or no ONNX model, or its widths or numbers are not usable.
        """
        import onnxruntime

        if not path.is_file():
            raise UserError(f"no such file: {path}; --onnx takes a folder with encoder.onnx and policy.onnx")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = 1, 1  # the robots share the cores already
        options.log_severity_level = 4
        try:
            self._session = onnxruntime.InferenceSession(str(path), options)
        except Exception as error:  # noqa: BLE001  onnxruntime raises classes of its own for broken files
            raise UserError(f"{path}: is no ONNX model ({str(error).splitlines()[0][:100]})") from None
        self._path = path
        self._check_shapes(inputs, outputs)
        self._input = self._session.get_inputs()[0].name
        for probe in (np.zeros(inputs), np.random.default_rng(0).standard_normal(inputs)):
            try:
                width = self(probe.astype(np.float32)).shape
            except UserError:
                raise
            except Exception as error:  # noqa: BLE001  onnxruntime raises classes of its own
                raise UserError(f"{path}: cannot be run ({str(error).splitlines()[0][:100]})") from None
            if width != (outputs,):
                raise UserError(f"{path}: gives numbers of shape {list(width)}, the controller expects [{outputs}]")

    def _check_shapes(self, inputs: int, outputs: int) -> None:
        """Compare the file's declared shapes with the contract."""
        got = [value.shape for value in self._session.get_inputs()], [v.shape for v in self._session.get_outputs()]
        for what, shapes, width in zip(("input", "output"), got, (inputs, outputs), strict=True):
            if len(shapes) != 1:
                raise UserError(f"{self._path}: has {len(shapes)} {what}s, the controller's contract is one")
            if shapes != [[width]]:
                shown = " and ".join(str(shape) for shape in shapes)
                raise UserError(f"{self._path}: its {what} has shape {shown}, the controller's contract is [{width}]")
        kind = self._session.get_inputs()[0].type
        if kind != "tensor(float)":
            raise UserError(f"{self._path}: its input is of type {kind}, the controller gives float32")

    def __call__(self, inputs: np.ndarray) -> np.ndarray:
        """Run the graph.

        Raises:
            UserError: The answer holds NaN or infinity.
        """
        (answer,) = self._session.run(None, {self._input: inputs})
        if not np.isfinite(answer).all() and np.isfinite(inputs).all():
            raise UserError(f"{self._path}: answers with NaN or infinity; its weights are broken")
        return answer
