"""Lists the fields of a task's configs: name, default, allowed values, and meaning, from the classes' source."""

import ast
import dataclasses
import inspect
import itertools
import textwrap
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, cast

from legged_gym.envs.base.rewards import find_terms
from legged_gym.utils.config import Config, allowed
from legged_gym.utils.task_registry import task_registry

WIDTH = 120


def print_fields(task: str) -> None:
    """Prints every field of a task's two configs as the option that sets it.

    Raises:
        UserError: The task is unknown.
    """
    env_cfg, train_cfg = task_registry.get_cfgs(task)
    terms = find_terms(task_registry.get(task).env_class, env_cfg.rewards) if hasattr(env_cfg, "rewards") else {}
    meanings = {f"--env.rewards.scales.{name}": inspect.getdoc(term) or "" for name, term in terms.items()}
    for scope, cfg in (("env", env_cfg), ("train", train_cfg)):
        for line in describe_fields(cfg, f"--{scope}", meanings):
            print(line)


def describe_fields(cfg: Config, path: str, meanings: Mapping[str, str] = MappingProxyType({})) -> Iterator[str]:
    """Yields the lines about a config, section by section.

    Args:
        cfg: The config, with its defaults.
        path: Its dotted path, put before the names.
        meanings: Meanings of fields without a docstring, by dotted path.
    """
    docs = field_docs(type(cfg))
    sections: list[tuple[Config, str]] = []
    yield f"\n{path}: {_one_line(inspect.getdoc(type(cfg)) or '')}"
    for field in dataclasses.fields(cast(Any, cfg)):
        value, label = getattr(cfg, field.name), f"{path}.{field.name}"
        if isinstance(value, Config):
            sections.append((value, label))
            continue
        yield f"  {label}={_as_text(value)}  ({allowed(type(cfg), field.name)})"
        meaning = docs.get(field.name) or _one_line(meanings.get(label, ""))
        yield from textwrap.wrap(meaning, WIDTH, initial_indent=" " * 6, subsequent_indent=" " * 6)
    for section, label in sections:
        yield from describe_fields(section, label, meanings)


def field_docs(cls: type) -> dict[str, str]:
    """Returns the docstrings under the fields of a config class and its bases, by field name."""
    docs: dict[str, str] = {}
    for base in reversed(cls.__mro__):
        if not (issubclass(base, Config) and base is not Config):
            continue
        try:
            (definition,) = ast.parse(textwrap.dedent(inspect.getsource(base))).body
        except (OSError, TypeError):  # a class without a file, from a prompt
            continue
        body = cast(ast.ClassDef, definition).body
        for statement, following in itertools.pairwise(body):
            if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
                text = _docstring(following)
                if text is not None:
                    docs[statement.target.id] = _one_line(text)
    return docs


def _docstring(statement: ast.stmt) -> str | None:
    """Returns the text of a statement that is a bare string."""
    if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant):
        return statement.value.value if isinstance(statement.value.value, str) else None
    return None


def _one_line(text: str) -> str:
    """Returns the first paragraph of a docstring in one line."""
    return " ".join(inspect.cleandoc(text).partition("\n\n")[0].split())


def _as_text(value: object) -> str:
    """Writes a value as the command line takes it."""
    if isinstance(value, tuple):
        return ",".join(map(_as_text, value)) if len(value) > 1 else f"({','.join(map(_as_text, value))})"
    if value is None or isinstance(value, bool):
        return str(value).lower()
    return str(value)
