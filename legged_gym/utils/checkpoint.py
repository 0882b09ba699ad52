"""Checkpoints that are either whole or not there, hold finite numbers only, and run no code when they are loaded."""

import contextlib
import io
import os
import re
import socket
import warnings
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import torch

from legged_gym.utils.errors import UserError
from legged_gym.utils.finite import first_not_finite

FORMAT = "legged_gym checkpoint"
"""Marks a file as ours."""
VERSION = 1
"""Raised when older files can no longer be read."""
SIMULATION = "simulation"
"""Name of a part that may hold any number: an engine's own state may be infinite."""
_UNCHECKED = (SIMULATION, "return")  # the latter is a figure of a snapshot, none before an episode has ended
_TEMPORARY = re.compile(r"\..+\.pt\.(?P<host>.+)\.(?P<pid>\d+)")


class NotFiniteError(UserError):
    """The content to be saved holds a number that is not finite."""


def save_atomically(obj: dict[str, Any], path: str | Path) -> None:
    """Writes a checkpoint so that an interruption never leaves half of one; see `staged`."""
    with staged(obj, path):
        pass


@contextlib.contextmanager
def staged(obj: dict[str, Any], path: str | Path) -> Iterator[None]:
    """Writes a checkpoint that takes its name at the end of the body: once it is there, the body's files are, too.

    Args:
        obj: What to save: tensors, numbers, strings and containers of these.
        path: The file; an existing one stays whole until the new one is complete.

    Raises:
        NotFiniteError: Something in it is not finite, except under `SIMULATION`.
        OSError: It cannot be written; what was there before is still there.
    """
    path = Path(path)
    if broken := _broken(obj):
        raise NotFiniteError(f"{path}: was not written, because {broken} is not finite")
    temporary = path.with_name(f".{path.name}.{_host()}.{os.getpid()}")
    try:
        with temporary.open("wb") as file:
            _write({"format": FORMAT, "version": VERSION, **obj}, file)
            file.flush()
            os.fsync(file.fileno())
        yield
        os.replace(temporary, path)
        _sync_folder(path.parent)
    except BaseException:  # also Ctrl-C: the temporary file must go, then the exception goes on
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise


def _write(obj: dict[str, Any], file: BinaryIO) -> None:
    """Writes an object in torch's format, all at once.

    torch writes pieces from C++. A full disk and a signal, if they interrupt a piece, come out as the same error, so a
    signal would be taken for a full disk. In memory nothing interrupts a piece.

    Raises:
        OSError: It cannot be written.
    """
    content = io.BytesIO()
    torch.save(obj, content)
    file.write(content.getbuffer())


def _broken(data: dict[str, Any]) -> str | None:
    """Returns where a checkpoint's content is not finite, if anywhere."""
    return first_not_finite({name: value for name, value in data.items() if name not in _UNCHECKED})


def _host() -> str:
    """Returns a name of this machine that can be part of a file's."""
    return re.sub(r"[^\w-]", "-", socket.gethostname())


def _sync_folder(folder: Path) -> None:
    """Lets a new name in a folder outlive a power failure, where the file system can do that."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def sweep(folder: Path) -> int:
    """Removes the temporary files that processes of this machine left in a folder when they were killed.

    Returns:
        How many.
    """
    removed = 0
    for path in folder.glob(".*.pt.*"):
        match = _TEMPORARY.fullmatch(path.name)
        if match is None or match["host"] != _host() or _alive(int(match["pid"])):
            continue
        with contextlib.suppress(OSError):
            path.unlink()
            removed += 1
    return removed


def _alive(pid: int) -> bool:
    """Tells whether a process is there."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):  # it is there and not ours, or the number is none of a process
        return True
    return True


def load_checked(path: str | Path, map_location: str | torch.device = "cpu") -> dict[str, Any]:
    """Reads a checkpoint that `save_atomically` wrote.

    Args:
        path: The file.
        map_location: Device of the loaded tensors.

    Returns:
        What was saved, with `format` and `version`.

    Raises:
        UserError: The file is missing, damaged, or something else than a checkpoint of this package, or holds numbers
            that are not finite.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f"no such checkpoint: {path}")
    try:
        _check_archive(path)
        with warnings.catch_warnings(action="ignore"):  # torch warns of foreign files; the error below is enough
            data = torch.load(path, map_location=map_location, weights_only=True)
    except Exception as error:  # noqa: BLE001  a damaged file may raise anything in the unpickler
        raise UserError(f"{path}: is damaged or no checkpoint of legged_gym ({_first_words(error)})") from None
    if not isinstance(data, dict) or not isinstance(data.get("format"), str) or data["format"] != FORMAT:
        raise UserError(f"{path}: is a torch file, but no checkpoint of legged_gym")
    version = data.get("version")
    if not isinstance(version, int) or version != VERSION:
        raise UserError(f"{path}: has checkpoint version {version!s:.20}, this legged_gym reads version {VERSION}")
    if broken := _broken(data):
        raise UserError(f"{path}: is of no use: {broken} is not finite")
    return data


def check_alike(given: Any, own: Any, name: str) -> None:
    """Raises unless a saved state has the form of the present one; values are not compared.

    Args:
        given: The saved state: tensors and counts in nested dicts.
        own: The present state.
        name: Its name, for the message.

    Raises:
        ValueError: Names, kinds or shapes differ.
    """
    if isinstance(own, Mapping):
        if not isinstance(given, Mapping) or given.keys() != own.keys():
            differ = given.keys() ^ own.keys() if isinstance(given, Mapping) else own
            raise ValueError(f"{name}: saved and expected entries differ: {', '.join(sorted(map(str, differ)))}")
        for key, value in own.items():
            check_alike(given[key], value, f"{name}.{key}")
    elif isinstance(own, torch.Tensor):
        if not isinstance(given, torch.Tensor) or given.layout != own.layout or given.dtype != own.dtype:
            raise ValueError(f"{name} is {_kind(given)}, here {_kind(own)}")
        if given.shape != own.shape:
            raise ValueError(f"{name} has shape {tuple(given.shape)}, here {tuple(own.shape)}")
    elif type(given) is not type(own):
        raise ValueError(f"{name} is {_kind(given)}, here {_kind(own)}")


def _kind(value: object) -> str:
    return f"of {value.dtype}".replace("torch.", "") if isinstance(value, torch.Tensor) else f"a {type(value).__name__}"


def _check_archive(path: Path) -> None:
    """Raises unless a file is an archive as torch writes it: uncompressed, each part with the right checksum."""
    if not zipfile.is_zipfile(path):
        raise ValueError("it is cut short, or no archive of torch")
    with zipfile.ZipFile(path) as archive:
        parts = archive.infolist()
        if any(part.compress_type != zipfile.ZIP_STORED or part.flag_bits & 1 for part in parts):
            raise ValueError("its parts are compressed or encrypted")  # so that it cannot grow when it is read
        if sum(part.file_size for part in parts) > path.stat().st_size:
            raise ValueError("its parts are larger than the file")
        if (damaged := archive.testzip()) is not None:
            raise ValueError(f"the checksum of {damaged!r:.60} is wrong")


def _first_words(error: Exception) -> str:
    """Returns the start of an error's text on one line."""
    text = " ".join(str(error).split())
    if " " not in text:  # a bare key or number says nothing
        text = type(error).__name__
    text = "".join(letter if letter.isprintable() else "?" for letter in text)
    return text if len(text) <= 100 else text[:97] + "..."
