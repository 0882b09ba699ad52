"""Hosts Isaac Gym; run by its path, under the interpreter that has isaacgym, with the arguments of `open_channel`.

Python 3.8. Every import happens where a missing package can be reported, and isaacgym comes before torch.
"""

from __future__ import annotations

import importlib
import os
import sys
import types
from typing import Any


def _find_siblings() -> None:
    """Make `legged_gym` mean the folder that this file is in, without running its `__init__`.

    Nothing is put on the path: the folder may lie among another Python's packages. Nor is a legged_gym of this Python's
    own found. The script's own folder is taken off: no other package's `import config` means ours.
    """
    here = os.path.dirname(os.path.abspath(__file__))
    sys.path[:] = [folder for folder in sys.path if os.path.abspath(folder) != here]
    package = types.ModuleType("legged_gym")
    package.__path__ = [os.path.dirname(os.path.dirname(here))]
    sys.modules["legged_gym"] = package


def hello() -> dict[str, Any]:
    """Import isaacgym, then the rest, and return the versions."""
    from legged_gym.sim.process.protocol import Failure
    from legged_gym.sim.process.serve import Refusal

    versions = {}
    for name, failure in (
        *(("numpy", Failure.NO_PACKAGE), ("isaacgym", Failure.NO_ENGINE), ("isaacgym.gymapi", Failure.NO_ENGINE)),
        *(("isaacgym.gymtorch", Failure.NO_ENGINE), ("torch", Failure.NO_PACKAGE)),
    ):
        try:
            module = importlib.import_module(name)
        except Exception as error:
            if "libpython" in str(error):
                failure = Failure.NO_LIBPYTHON
            raise Refusal(failure, f"cannot import {name} ({type(error).__name__}: {error})") from error
        versions[name] = str(getattr(module, "__version__", "?"))
    return {name: version for name, version in versions.items() if "." not in name}


def build(spec: dict[str, Any], shared: dict[str, Any]) -> Any:
    """Build the backend."""
    from legged_gym.sim.isaacgym.engine import IsaacGymBackend

    return IsaacGymBackend(spec, shared)


def main() -> None:
    """Serve until the trainer is gone."""
    _find_siblings()
    from legged_gym.sim.process.serve import Server, open_channel

    Server(open_channel(*map(int, sys.argv[1:])), hello, build).run()


if __name__ == "__main__":
    main()
