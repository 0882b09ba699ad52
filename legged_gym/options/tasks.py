"""Brings in the tasks: the package's own, those of installed packages, and those of packages that the user names."""

import functools
import importlib
import importlib.metadata
import os
import sys
from collections.abc import Sequence

from legged_gym.utils.errors import UserError

GROUP = "legged_gym.tasks"
"""Entry points of this group name modules; importing one registers its tasks."""


def load_tasks(imports: Sequence[str] = ()) -> None:
    """Imports all modules that register tasks; a module is imported once, however often this is called.

    An installed package that cannot be imported is named on stderr and left out: its tasks may not be wanted.

    Args:
        imports: Names of further modules, which may also lie in the working directory.

    Raises:
        UserError: One of `imports` is not there.
    """
    importlib.import_module("legged_gym.envs")
    _load_installed()
    if imports and os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())  # as `python -m` does; last, so that it hides nothing
    for name in imports:
        _import(name)


@functools.cache
def _load_installed() -> None:
    """Imports the modules that installed packages name, once."""
    for entry in importlib.metadata.entry_points(group=GROUP):
        try:
            entry.load()
        except Exception as error:  # noqa: BLE001  whatever another's package does
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            print(f"warning: tasks of {entry.value} are left out ({reason})", file=sys.stderr)


def _import(name: str) -> None:
    """Imports a module that the user names; what goes wrong inside of it is shown as it is."""
    if not all(part.isidentifier() for part in name.split(".")):
        raise UserError(f"--import={name}: expected the name of a package, as in `import` of Python")
    try:
        importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not (name == error.name or name.startswith(f"{error.name}.")):
            raise
        raise UserError(f"--import={name}: no such package, neither installed nor in {os.getcwd()}") from None
