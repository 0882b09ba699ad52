"""Conversion between config values, their types and the text a user types; knows nothing of `Config` itself."""

import ast
import math
import numbers
import types
from typing import Any, Literal, Union, get_args, get_origin


class _Mismatch:
    """Type of `mismatch`; a class of its own so that it never equals a real value."""

    def __repr__(self) -> str:
        return "<mismatch>"


mismatch: Any = _Mismatch()
"""Returned when a value or a text is not of the asked type."""

LARGEST_FLOAT = 3.4e38
"""Largest number of single precision, which tensors have."""
_COMPARISONS = {"ge": ">=", "gt": ">", "le": "<=", "lt": "<"}


def to_type(value: object, hint: Any) -> Any:
    """Converts a value to an annotated type where nothing is lost.

    An int becomes a float, a list a tuple; a bool is no number, and NaN, infinity and what is infinite in a tensor of
    single precision are no float.

    Args:
        value: The value that came.
        hint: The annotation, e.g. `float`, `tuple[float, float]`, `str | None`, `Literal["a", "b"]`.

    Returns:
        The value in that type, or `mismatch`.
    """
    origin, args = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return next((v for v in (to_type(value, arg) for arg in args) if v is not mismatch), mismatch)
    if origin is Literal:
        return value if any(value == a and type(value) is type(a) for a in args) else mismatch
    if origin is tuple or hint is tuple:
        return _to_tuple(value, args)
    if origin is dict:
        return _to_dict(value, args)
    if hint is float:
        return _to_float(value)
    if hint is int:
        return int(value) if isinstance(value, numbers.Integral) and not isinstance(value, bool) else mismatch
    if hint is str and "\0" in str(value):  # in no name of a file
        return mismatch
    return value if hint is Any or isinstance(value, hint) else mismatch


def _to_float(value: object) -> Any:
    """Converts a number that stays finite in a tensor of float32."""
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        return mismatch
    try:
        number = float(value)
    except OverflowError:
        return mismatch
    return number if abs(number) <= LARGEST_FLOAT else mismatch


def _to_tuple(value: object, args: tuple[Any, ...]) -> Any:
    """Converts a list or tuple element by element; `args` are the parameters of the tuple's annotation."""
    if not isinstance(value, list | tuple):
        return mismatch
    if not args:
        return tuple(value)
    hints = (args[0],) * len(value) if args[-1] is Ellipsis else args
    if len(hints) != len(value):
        return mismatch
    items = tuple(to_type(v, h) for v, h in zip(value, hints, strict=True))
    return mismatch if any(v is mismatch for v in items) else items


def _to_dict(value: object, args: tuple[Any, ...]) -> Any:
    """Converts keys and values of a dict; `args` are the parameters of the dict's annotation."""
    if not isinstance(value, dict):
        return mismatch
    items = {to_type(k, args[0]): to_type(v, args[1]) for k, v in value.items()}
    return mismatch if mismatch in items or any(v is mismatch for v in items.values()) else items


def violation(value: object, limits: dict[str, Any]) -> bool:
    """Tells whether a value, or any element of a tuple or dict, is outside a field's limits; None never is."""
    if value is None:
        return False
    if isinstance(value, tuple):
        return any(violation(v, limits) for v in value)
    if isinstance(value, dict):
        return any(violation(v, limits) for v in value.values())
    if "choices" in limits and value not in limits["choices"]:
        return True
    if not isinstance(value, int | float):
        return False
    low = value < limits.get("ge", -math.inf) or value <= limits.get("gt", -math.inf)
    return low or value > limits.get("le", math.inf) or value >= limits.get("lt", math.inf)


def expectation(value: object, hint: Any, limits: dict[str, Any]) -> str:
    """Says what a field accepts, for the message about a wrong value or text."""
    number = _literal(value) if isinstance(value, str) else value
    too_large = isinstance(number, int | float) and abs(number) > LARGEST_FLOAT and float in (hint, *get_args(hint))
    return describe(hint, limits) + f", of at most {LARGEST_FLOAT:.2g}" * too_large


def describe(hint: Any, limits: dict[str, Any]) -> str:
    """Says in words what a field accepts, e.g. `"float, > 0"` or `"(float, float)"`."""
    if "choices" in limits:
        return "one of " + ", ".join(str(c) for c in limits["choices"])
    bounds = [f"{_COMPARISONS[k]} {v}" for k, v in limits.items()]
    return ", ".join([_type_name(hint), " and ".join(bounds)] if bounds else [_type_name(hint)])


def _type_name(hint: Any) -> str:
    """Returns a short readable name of an annotation."""
    origin, args = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return " or ".join(_type_name(a) for a in args)
    if origin is Literal:
        return "one of " + ", ".join(str(a) for a in args)
    if origin is tuple:
        return "(" + ", ".join("..." if a is Ellipsis else _type_name(a) for a in args) + ")"
    if hint is types.NoneType:
        return "none"
    if hint is bool:
        return "true or false"
    return str(hint) if origin else getattr(hint, "__name__", str(hint))


def parse_text(text: str, hint: Any) -> Any:
    """Reads a value of an annotated type from text; nothing is ever evaluated.

    Args:
        text: What the user typed.
        hint: The annotation of the field.

    Returns:
        The value, or `mismatch`.
    """
    origin, args = get_origin(hint), get_args(hint)
    text = text.strip()
    if origin in (Union, types.UnionType):
        # None first: for `str | None` the word "none" means no value, and '"none"' in quotes means the text.
        ordered = sorted(args, key=lambda a: a is not types.NoneType)
        return next((v for v in (parse_text(text, arg) for arg in ordered) if v is not mismatch), mismatch)
    if hint is types.NoneType:
        return None if text.lower() in ("none", "null") else mismatch
    if hint is bool:
        return {"true": True, "1": True, "false": False, "0": False}.get(text.lower(), mismatch)
    if hint is str:
        return _unquoted(text)
    if origin is Literal:
        return next((a for a in args if str(a) == _unquoted(text)), mismatch)
    if origin is tuple:
        return _parse_tuple(text, args)
    return to_type(_literal(text), hint)


def _parse_tuple(text: str, args: tuple[Any, ...]) -> Any:
    """Reads `1,2`, `(1, 2)` or `[1, 2]`; elements may be bare words."""
    value = _literal(text)
    if value is mismatch:
        inner = text[1:-1] if text[:1] + text[-1:] in ("()", "[]") else text
        parts = [p for p in inner.split(",") if p.strip()]
        hints = (args[0],) * len(parts) if args[-1] is Ellipsis else args
        if len(hints) != len(parts):
            return mismatch
        value = tuple(parse_text(p, h) for p, h in zip(parts, hints, strict=True))
    # A single number without brackets is a tuple of one where the field allows that.
    return _to_tuple(value if isinstance(value, list | tuple) else (value,), args)


def _literal(text: str) -> Any:
    """Reads a Python literal; the typographic minus sign counts as a minus."""
    try:
        return ast.literal_eval(text.replace("\u2212", "-"))
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return mismatch


def _unquoted(text: str) -> str:
    """Strips one pair of matching quotes."""
    return text[1:-1] if len(text) >= 2 and text[0] == text[-1] and text[0] in "'\"" else text
