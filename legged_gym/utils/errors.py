"""The exception for mistakes of the user: a single clear line, no traceback, exit code 2."""

import difflib
from collections.abc import Iterable


class UserError(ValueError):
    """Something the user asked for cannot be done; the message is one line that says what to change."""


def unknown_name(kind: str, name: str, known: Iterable[str]) -> str:
    """Builds the text for a name that is not there: the closest match, then every allowed name.

    Args:
        kind: What the name stands for, e.g. `"task"`.
        name: The name that came.
        known: Every allowed name.

    Returns:
        One line.
    """
    known = sorted(known)
    close = difflib.get_close_matches(name, known, n=1)
    hint = f" did you mean '{close[0]}'?" if close else ""
    return f"unknown {kind} '{name}';{hint} known: {', '.join(known) if known else 'none'}"
