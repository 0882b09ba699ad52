"""Functions of a user's own package that a config names: reward terms, observation terms, events."""

import importlib
from collections.abc import Callable, Sequence
from typing import Any

from legged_gym.utils.config import ConfigError


def load_function(reference: str, field: str) -> Callable[..., Any]:
    """Returns a function that a config names.

    Args:
        reference: `package.module:function`.
        field: The config field that names it, for messages.

    Raises:
        ConfigError: There is no such module, or no such function in it.
    """
    module, colon, name = reference.partition(":")
    if not (colon and name.isidentifier() and all(part.isidentifier() for part in module.split("."))):
        raise ConfigError(f"{field}: got '{reference}', expected package.module:function")
    try:
        function = getattr(importlib.import_module(module), name, None)
    except ModuleNotFoundError as error:
        if error.name is None or not (module == error.name or module.startswith(f"{error.name}.")):
            raise  # something that the user's module imports is missing: its traceback says where
        raise ConfigError(f"{field}: no module {module}; install its package, or name it with --import") from None
    if not callable(function):
        raise ConfigError(f"{field}: there is no function {name} in {module}")
    return function


def load_functions(references: Sequence[str], field: str) -> dict[str, Callable[..., Any]]:
    """Returns the functions that a config field lists, by name.

    Raises:
        ConfigError: One is not there, or two have one name.
    """
    functions: dict[str, Callable[..., Any]] = {}
    for reference in references:
        function, name = load_function(reference, field), reference.rpartition(":")[2]
        if name in functions:
            raise ConfigError(f"{field}: two functions are named {name}")
        functions[name] = function
    return functions
