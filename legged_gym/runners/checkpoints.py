"""The checkpoints of a run: when one is due, which ones stay, and what happens if the disk is full."""

import contextlib
import shutil
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from legged_gym.runners.config import RunnerCfg
from legged_gym.utils.checkpoint import save_atomically, staged, sweep
from legged_gym.utils.checkpoint_names import checkpoints
from legged_gym.utils.errors import UserError

SHARE_OF_TIME = 0.02
"""Largest share of the time that saves may take: if a save takes long, fewer are made."""
RETRY_AFTER = 10.0
"""Time after which a save that failed is tried again [s]."""

Contents = Callable[[], Mapping[str, Any]]
"""Makes what a checkpoint holds."""


def simulation_file(checkpoint: Path) -> Path:
    """Return the file beside a checkpoint that holds the robots' state and what is replayed."""
    return checkpoint.with_name(checkpoint.name.replace("model_", "simulation_"))


class Checkpoints:
    """Writes `model_<iteration>.pt` into a run's folder, each once and never again.

    Beside the newest one lies `simulation_<iteration>.pt`, if a run is to go on exactly where it was.
    """

    def __init__(self, folder: Path, cfg: RunnerCfg, write_configs: Callable[[Path], None]) -> None:
        """Sweep what killed processes have left in this folder and in its neighbours.

        Args:
            folder: The run's folder.
            cfg: When to save, and what to keep.
            write_configs: Writes the run's configs into a folder that had to be made again.
        """
        self.folder, self.cfg, self._write_configs = folder, cfg, write_configs
        self._due_at = time.monotonic() + cfg.save_seconds
        for run in (folder, *folder.parent.glob("*/")):
            with contextlib.suppress(OSError):
                sweep(run)

    def due(self, iteration: int) -> bool:
        """Tell whether a checkpoint is due after so many iterations, by their number or by time."""
        by_time = self.cfg.save_seconds > 0.0 and time.monotonic() >= self._due_at
        return by_time or iteration % self.cfg.save_interval == 0

    def path(self, iteration: int) -> Path:
        """Return the path of an iteration's checkpoint, whether it exists or not."""
        return self.folder / f"model_{iteration}.pt"

    def save(self, iteration: int, contents: Contents, simulation: Contents | None = None) -> Path | None:
        """Write a checkpoint, unless it is there, and remove older ones.

        If that fails, a line says why, and the next try comes soon.

        Args:
            iteration: Iterations done.
            contents: Makes the checkpoint's contents.
            simulation: Makes the contents of the file beside it; None for no such file.

        Returns:
            The file; None if it could not be written.
        """
        try:
            return self._save(iteration, contents, simulation)
        except (OSError, UserError) as error:
            self._due_at = time.monotonic() + RETRY_AFTER
            reason = _said(error, self.path(iteration))
            print(f"warning: no checkpoint: {reason}; training goes on and tries again in {RETRY_AFTER:.0f} s")
            return None

    def save_last(self, iteration: int, contents: Contents, simulation: Contents | None = None) -> Path:
        """Write the checkpoint that a run ends with: if need be, into the folder for temporary files.

        Raises:
            UserError: It could not be written into the run's folder; says where it is now.
        """
        try:
            return self._save(iteration, contents, simulation)
        except (OSError, UserError) as error:
            reason = _said(error, self.path(iteration))
        elsewhere = Path(tempfile.mkdtemp(prefix="legged_gym_")) / self.folder.name
        try:
            self._write(elsewhere, iteration, contents, None)
        except (OSError, UserError) as error:
            shutil.rmtree(elsewhere.parent, ignore_errors=True)
            raise UserError(
                f"{reason}, nor {_said(error, elsewhere)}: what was learned since the last checkpoint is lost"
            ) from None
        raise UserError(f"{reason}; it is in {elsewhere}: go on with --resume --load_run={elsewhere}")

    def _save(self, iteration: int, contents: Contents, simulation: Contents | None) -> Path:
        """Write a checkpoint, unless it is there, note when the next one is due, and remove older ones."""
        started = time.monotonic()
        path = self._write(self.folder, iteration, contents, simulation)
        now = time.monotonic()
        self._due_at = now + max(self.cfg.save_seconds, (now - started) / SHARE_OF_TIME)
        self._prune(path)
        return path

    def _write(self, folder: Path, iteration: int, contents: Contents, simulation: Contents | None) -> Path:
        path = folder / self.path(iteration).name
        if path.exists():
            return path
        if not (folder / "env_cfg.json").is_file():  # removed: made again, so that the run can be resumed
            folder.mkdir(parents=True, exist_ok=True)
            self._write_configs(folder)
        with staged(dict(contents()), path):  # on a nearly full disk the checkpoint comes first
            fault = None if simulation is None else _failure(simulation_file(path), simulation)
        if fault is not None:
            print(f"warning: {fault}; a run that resumes {path.name} will begin with new robots")
        return path

    def _prune(self, newest: Path) -> None:
        """Remove the checkpoints that are neither among the newest nor kept for good, and what lies beside old ones."""
        newest_count, every = self.cfg.keep
        found = list(checkpoints(self.folder).items())
        for_good = self.cfg.save_interval * every
        old = found[:-newest_count] if newest_count else []
        with contextlib.suppress(OSError):
            for iteration, path in old:
                if not every or iteration % for_good:
                    path.unlink()
            for path in self.folder.glob("simulation_*.pt"):
                if path != simulation_file(newest):
                    path.unlink()


def _failure(path: Path, contents: Contents) -> str | None:
    """Write a file; returns what went wrong, if anything."""
    try:
        save_atomically(dict(contents()), path)
    except (OSError, UserError) as error:
        return _said(error, path)
    return None


def _said(error: OSError | UserError, path: Path) -> str:
    """Say on one line why a file could not be saved, with its path."""
    return str(error) if isinstance(error, UserError) else f"{path}: {_reason(error)}"


def _reason(error: OSError) -> str:
    """Say on one line why a file could not be written."""
    return f"cannot be written ({error.strerror or error})"
