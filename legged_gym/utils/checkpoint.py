"""Checkpoints that are either whole or not there, and that run no code when they are loaded."""

import os
import pickle
import warnings
from pathlib import Path
from typing import Any

import torch

from legged_gym.utils.errors import UserError

FORMAT = "legged_gym checkpoint"
"""Marks a file as ours."""
VERSION = 1
"""Raised when older files can no longer be read."""


def save_atomically(obj: dict[str, Any], path: str | Path) -> None:
    """Writes a checkpoint so that an interruption never leaves half of one.

    Args:
        obj: What to save: tensors, numbers, strings and containers of these.
        path: The file; an existing one stays whole until the new one is complete.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with temporary.open("wb") as file:
            torch.save({"format": FORMAT, "version": VERSION, **obj}, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:  # also Ctrl-C: the temporary file must go, then the exception goes on
        temporary.unlink(missing_ok=True)
        raise


def load_checked(path: str | Path, map_location: str | torch.device = "cpu") -> dict[str, Any]:
    """Reads a checkpoint that `save_atomically` wrote.

    Args:
        path: The file.
        map_location: Device of the loaded tensors.

    Returns:
        What was saved, with `format` and `version`.

    Raises:
        UserError: The file is missing, damaged, or something else than a checkpoint of this package.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f"no such checkpoint: {path}")
    try:
        with warnings.catch_warnings(action="ignore"):  # about foreign files; the error below says it all
            data = torch.load(path, map_location=map_location, weights_only=True)
    except (
        pickle.UnpicklingError,
        RuntimeError,
        EOFError,
        OSError,
        ValueError,
        KeyError,
        AttributeError,
        TypeError,
    ) as e:
        raise UserError(f"{path}: is damaged or no checkpoint of legged_gym ({_first_words(e)})") from None
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        raise UserError(f"{path}: is a torch file, but no checkpoint of legged_gym")
    if data.get("version") != VERSION:
        raise UserError(
            f"{path}: has checkpoint version {data.get('version')}, this legged_gym reads version {VERSION}"
        )
    return data


def _first_words(error: Exception) -> str:
    """Returns the start of an error's text on one line."""
    text = " ".join(str(error).split())
    if " " not in text:  # a bare key or number says nothing
        text = type(error).__name__
    return text if len(text) <= 100 else text[:97] + "..."
