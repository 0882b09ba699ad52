"""Typed nested configs that check themselves on construction and on every assignment.

A config is a dataclass derived from `Config`; every field has a default and sections are nested configs:

    @dataclass
    class CommandsCfg(Config):
        resampling_time: float = bounded(5.0, gt=0)
        '''Time between two commands [s].'''

    @dataclass
    class EnvironmentCfg(Config):
        commands: CommandsCfg = field(default_factory=CommandsCfg)

Leaves are int, float, bool, str, `Literal`, tuples, dicts with str keys, and unions of these (`X | None`).
"""

import dataclasses
import json
import sys
from pathlib import Path
from typing import Any, ClassVar, TypeVar, cast, get_type_hints

from legged_gym.utils.config_types import describe, expectation, mismatch, parse_text, to_type, violation
from legged_gym.utils.errors import UserError, unknown_name
from legged_gym.utils.files import replacing

Range = tuple[float, float]
"""(low, high)"""
T = TypeVar("T")
ConfigT = TypeVar("ConfigT", bound="Config")


_SPECS: dict[type, dict[str, tuple[Any, dict[str, Any]]]] = {}


class ConfigError(UserError):
    """A config field is unknown, or its value is not allowed."""


def bounded(
    default: T,
    *,
    ge: float | None = None,
    gt: float | None = None,
    le: float | None = None,
    lt: float | None = None,
    choices: tuple[Any, ...] | None = None,
) -> T:
    """Declares a config field with limits, which hold for each element of a tuple.

    Args:
        default: Value when none is given.
        ge: The value must be greater than or equal to this.
        gt: The value must be greater than this.
        le: The value must be less than or equal to this.
        lt: The value must be less than this.
        choices: The only values allowed.

    Returns:
        A dataclass field, typed as its value so that type checkers follow.
    """
    limits = {"ge": ge, "gt": gt, "le": le, "lt": lt, "choices": choices}
    return dataclasses.field(default=default, metadata={k: v for k, v in limits.items() if v is not None})


def _specs(cls: type["Config"]) -> dict[str, tuple[Any, dict[str, Any]]]:
    """Returns the type and the limits of every field of a config class, by name; worked out once per class."""
    if cls not in _SPECS:
        hints = get_type_hints(cls)
        specs = {f.name: (hints[f.name], dict(f.metadata)) for f in dataclasses.fields(cast(Any, cls))}
        # A default overridden without its annotation is ignored by dataclasses: a knob that looks set and is not.
        for name in vars(cls):
            if name in specs and name not in vars(cls).get("__annotations__", {}):
                raise ConfigError(f"{cls.__name__}.{name}: a new default needs its annotation: '{name}: <type> = ...'")
        _SPECS[cls] = specs
    return _SPECS[cls]


def _checked(spec: tuple[Any, dict[str, Any]], value: object, label: str) -> Any:
    """Returns `value` converted to a field's type, or raises an error that starts with `label`."""
    hint, limits = spec
    converted = to_type(value, hint)
    if converted is mismatch or violation(converted, limits):
        raise ConfigError(f"{label}: got {value!r}, expected {expectation(value, hint, limits)}")
    return converted


class Config:
    """Base class of every config section; see the module's docstring."""

    FORMER: ClassVar[dict[str, Any]] = {}
    """Values, by field, for files saved before the field existed; other fields take their default."""

    def __new__(cls, *args: object, **kwargs: object) -> "Config":
        """Refuses keyword arguments that are no field before the generated constructor sees them."""
        for name in kwargs:
            if name not in _specs(cls):
                raise ConfigError(unknown_name(f"field of {cls.__name__}", name, _specs(cls)))
        return super().__new__(cls)

    def __post_init__(self) -> None:
        """Runs the cross-field checks once every field is set."""
        self.validate()

    def __setattr__(self, name: str, value: object) -> None:
        """Checks and converts a value before it is stored."""
        specs = _specs(type(self))
        if name not in specs:
            raise ConfigError(unknown_name(f"field of {type(self).__name__}", name, specs))
        object.__setattr__(self, name, _checked(specs[name], value, f"{type(self).__name__}.{name}"))

    def validate(self) -> None:
        """Hook for checks across fields: raise `ConfigError` with one line. Called on construction and by `check`."""


def check_ranges(cfg: Config, *names: str) -> None:
    """Raises if a (low, high) field of a config has low > high."""
    for name in names:
        low, high = getattr(cfg, name)
        if low > high:
            raise ConfigError(f"{type(cfg).__name__}.{name}: low {low} is above high {high}")


def check(cfg: Config, path: str = "") -> None:
    """Checks a config and all its sections again: to be called once after a group of assignments.

    Args:
        cfg: The config.
        path: Dotted path of `cfg`, put before the messages.

    Raises:
        ConfigError: On the first value, or combination of values, that is not allowed.
    """
    for name, spec in _specs(type(cfg)).items():
        label = f"{path}.{name}" if path else name
        value = getattr(cfg, name)
        _checked(spec, value, label)
        if isinstance(value, Config):
            check(value, label)
    try:
        cfg.validate()
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}" if path else str(error)) from None


def parse_field(cfg: Config, path: str, text: str) -> Any:
    """Reads a value of one field from text, as it comes from a command line; changes nothing.

    Limits of the field itself are checked; call `check` after the last assignment for checks across fields.

    Args:
        cfg: The config that has the field.
        path: Dotted path of the field, e.g. `"commands.resampling_time"`.
        text: The value, e.g. `"3"`, `"true"`, `"none"`, `"-1,1"`, `"(-1, 1)"`, `"[-1, 1]"`.

    Returns:
        The value, in the type of the field.

    Raises:
        ConfigError: When the path is unknown or the text is not a value of the field.
    """
    section, name = _locate(cfg, path)
    spec = _specs(type(section))[name]
    value = parse_text(text, spec[0])
    if value is mismatch:
        raise ConfigError(f"{path}: got '{text}', expected {expectation(text, *spec)}")
    return _checked(spec, value, path)


def set_field(cfg: Config, path: str, value: object) -> None:
    """Sets one field to a value.

    Raises:
        ConfigError: When the path is unknown or the value not allowed.
    """
    section, name = _locate(cfg, path)
    object.__setattr__(section, name, _checked(_specs(type(section))[name], value, path))


def set_by_path(cfg: Config, path: str, text: str) -> None:
    """Sets one field from text; see `parse_field`."""
    set_field(cfg, path, parse_field(cfg, path, text))


def get_field(cfg: Config, path: str, default: T | None = None) -> Any:
    """Returns the value of a field, or the default if the config has no such field."""
    try:
        section, name = _locate(cfg, path)
    except ConfigError:
        return default
    return getattr(section, name)


def allowed(cls: type[Config], name: str) -> str:
    """Says in words what a field of a config class accepts."""
    return describe(*_specs(cls)[name])


def _locate(cfg: Config, path: str) -> tuple[Config, str]:
    """Returns the section that holds a field, and the field's name.

    Raises:
        ConfigError: When there is no such field, or it is a section itself.
    """
    *sections, name = path.split(".")
    node = cfg
    for section in sections:
        _require_field(node, section, path)
        child = getattr(node, section)
        if not isinstance(child, Config):
            raise ConfigError(f"{path}: '{section}' is a value, not a section")
        node = child
    _require_field(node, name, path)
    if isinstance(getattr(node, name), Config):
        raise ConfigError(
            f"{path}: is a section; set one of its fields: {', '.join(_specs(type(getattr(node, name))))}"
        )
    return node, name


def _require_field(cfg: Config, name: str, path: str) -> None:
    """Raises when `cfg` has no field `name`."""
    if name not in _specs(type(cfg)):
        raise ConfigError(f"{path}: {unknown_name('field', name, _specs(type(cfg)))}")


def to_dict(cfg: Config) -> dict[str, Any]:
    """Returns a config as nested dicts that share nothing with it; tuples stay tuples."""
    return dataclasses.asdict(cast(Any, cfg))


def from_dict(cls: type[ConfigT], data: dict[str, Any]) -> ConfigT:
    """Builds a config from nested dicts; fields that are not in `data` keep their defaults.

    Raises:
        ConfigError: On an unknown field or a value that is not allowed.
    """
    cfg = cls()
    for path, value in fields_of(cfg, data).items():
        set_field(cfg, path, value)
    check(cfg)
    return cfg


def fields_of(cfg: Config, data: object, unknown: list[str] | None = None, path: str = "") -> dict[str, Any]:
    """Reads nested dicts as fields of a config, which stays as it is.

    Args:
        cfg: The config.
        data: Values by field name; lists become tuples where the field is a tuple.
        unknown: Takes the paths of unknown fields, which are then skipped; None to refuse them.
        path: Dotted path of `cfg`, put before those of the fields.

    Returns:
        Values by the path of their field, in the fields' types.

    Raises:
        ConfigError: On an unknown field or a value that is not allowed.
    """
    if not isinstance(data, dict):
        raise ConfigError(f"{path or type(cfg).__name__}: got {data!r}, expected a section (name: value pairs)")
    found: dict[str, Any] = {}
    for name, value in data.items():
        label = f"{path}.{name}" if path else str(name)
        if unknown is not None and name not in _specs(type(cfg)):
            unknown.append(label)
            continue
        _require_field(cfg, str(name), label)
        child = getattr(cfg, name)
        if isinstance(child, Config):
            found |= fields_of(child, value, unknown, label)
        else:
            found[label] = _checked(_specs(type(cfg))[name], value, label)
    return found


def save_json(cfg: Config, path: str | Path) -> None:
    """Writes a config as indented JSON."""
    try:
        with replacing(Path(path)) as temporary:
            temporary.write_text(json.dumps(to_dict(cfg), indent=2) + "\n")
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written ({error.strerror})") from None


def read_json(cfg: Config, path: str | Path) -> dict[str, Any]:
    """Reads what `save_json` wrote, perhaps with another version of the package.

    Fields that no longer exist are skipped, with a line on stderr that names them, so that old runs can be read.

    Args:
        cfg: A config of the class that was saved; stays as it is.
        path: The file.

    Returns:
        Values by the path of their field.

    Raises:
        ConfigError: When the file is missing, is no JSON, or holds values that are not allowed.
    """
    try:
        data = json.loads(Path(path).read_text())
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror})") from None
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{path}: is not a JSON config ({str(error).splitlines()[0]})") from None
    unknown: list[str] = []
    try:
        found = fields_of(cfg, data, unknown) | _former_fields(cfg, data)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from None
    if unknown:
        print(f"warning: {path}: skipped fields that this version does not have: {', '.join(unknown)}", file=sys.stderr)
    return found


def _former_fields(cfg: Config, data: dict[str, Any], path: str = "") -> dict[str, Any]:
    """Returns values for fields that saved sections lack, by path; see `Config.FORMER`."""
    found = {path + name: value for name, value in cfg.FORMER.items() if name not in data}
    for name, value in data.items():
        child = getattr(cfg, name, None)
        if isinstance(child, Config):
            found |= _former_fields(child, value, f"{path}{name}.")
    return found


def load_json(cfg: ConfigT, path: str | Path) -> ConfigT:
    """Puts a file of `save_json` into a config, which keeps its other fields; returns the config.

    Raises:
        ConfigError: See `read_json`.
    """
    for name, value in read_json(cfg, path).items():
        set_field(cfg, name, value)
    try:
        check(cfg)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from None
    return cfg
