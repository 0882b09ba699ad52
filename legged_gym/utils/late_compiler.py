"""Torch's compiler, imported once somebody compiles: for runs that are to walk soon, it is half of all imports.

Tensordict and torch's optimisers import it to mark functions for it, and nothing here is compiled. So a module stands
for it that only notes these marks. Whoever asks it for anything else gets the real one, with the marks.
"""

import functools
import importlib
import inspect
import sys
import threading
from collections.abc import Callable, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

NAME = "torch._dynamo"
_lock = threading.Lock()


def begins() -> None:
    """Let the stand-in be found in place of the compiler, unless that is there; call it before torch is imported."""
    if NAME not in sys.modules:
        sys.meta_path.insert(0, _Finder())


class _StandIn(ModuleType):
    """Takes the calls that mark functions; passes them on once the compiler is there."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self._marked: list[tuple[str, Any]] = []

    def _mark(self, how: str, function: Any) -> Any:
        if _there():
            return getattr(_real(), how)(function)
        self._marked.append((how, function))
        return function

    def allow_in_graph(self, function: Any) -> Any:
        return self._mark("allow_in_graph", function)

    def assume_constant_result(self, function: Any) -> Any:
        return self._mark("assume_constant_result", function)

    def disable(self, function: Any = None, *options: Any, **named: Any) -> Any:
        """Return a function that the compiler leaves out once there is one."""
        if function is None:
            return lambda marked: self.disable(marked, *options, **named)
        if _there() or not inspect.isroutine(function):  # a network or a class is more than a call
            return _real().disable(function, *options, **named)
        disabled = functools.cache(lambda: _real().disable(function, *options, **named))

        @functools.wraps(function)
        def late(*inputs: Any, **others: Any) -> Any:
            return (disabled() if _there() else function)(*inputs, **others)

        return late

    def graph_break(self, msg: str = "") -> None:
        if _there():
            _real().graph_break(msg)

    @property
    def trace_rules(self) -> Any:
        """Its cache is cleared by torch's process groups, and is empty so far."""
        return _real().trace_rules if _there() else _NoRules()

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # asked for by those who look at all modules
            raise AttributeError(name)
        return getattr(_real(), name)


class _NoRules:
    """Rules of a compiler that is not there."""

    def clear_lru_cache(self) -> None:
        """There is nothing to clear."""

    def __getattr__(self, name: str) -> Any:
        return getattr(_real().trace_rules, name)


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


def _there() -> bool:
    """Whether the real compiler has been asked for."""
    return not isinstance(sys.modules.get(NAME), _StandIn)


def _real() -> ModuleType:
    """Import the compiler, in the stand-in's place, and mark what was marked."""
    with _lock:
        stands = sys.modules.get(NAME)
        if isinstance(stands, _StandIn):
            sys.meta_path[:] = [finder for finder in sys.meta_path if not isinstance(finder, _Finder)]
            del sys.modules[NAME]
    compiler = importlib.import_module(NAME)
    if isinstance(stands, _StandIn):
        for how, function in stands._marked:
            getattr(compiler, how)(function)
    return compiler
