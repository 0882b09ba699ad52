"""Torch's compiler, imported once somebody compiles.

Tensordict and torch's optimisers import it to mark what it must not compile. Nothing here is compiled, and it is half
of the time that imports take. So a module stands for it that leaves functions as they are; whoever asks it for anything
else gets the real one.
"""

import importlib
import sys
from collections.abc import Callable, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

NAME = "torch._dynamo"


def begins() -> None:
    """Let the stand-in be found in place of the compiler, unless that is there; call it before torch is imported."""
    if NAME not in sys.modules:
        sys.meta_path.insert(0, _Finder())


class _StandIn(ModuleType):
    """Takes the calls that mark functions for the compiler."""

    @staticmethod
    def _mark(function: Any = None, *_: Any, **__: Any) -> Any:
        return function if function is not None else lambda marked: marked

    allow_in_graph = assume_constant_result = disable = _mark

    @staticmethod
    def graph_break(msg: str = "") -> None:
        """Where nothing is compiled, nothing has to be broken."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # asked for by those who look at all modules
            raise AttributeError(name)
        return getattr(_real(), name)


class _Finder(MetaPathFinder):
    """Finds the stand-in, and the real compiler for whoever imports a part of it by name."""

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        if name == NAME:
            return ModuleSpec(name, _Made(lambda: _StandIn(name)), is_package=True)
        if name.startswith(f"{NAME}."):
            _real()
            return ModuleSpec(name, _Made(lambda: importlib.import_module(name)))
        return None


class _Made(Loader):
    """Gives a module that is complete."""

    def __init__(self, make: Callable[[], ModuleType]) -> None:
        self._make = make

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return self._make()

    def exec_module(self, module: ModuleType) -> None:
        pass


def _real() -> ModuleType:
    """Import the compiler, in the stand-in's place."""
    sys.meta_path[:] = [finder for finder in sys.meta_path if not isinstance(finder, _Finder)]
    if isinstance(sys.modules.get(NAME), _StandIn):
        del sys.modules[NAME]
    return importlib.import_module(NAME)
