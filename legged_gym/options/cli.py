"""Common parts of all programs' command lines: errors in one line, paths with `~`, an exit code."""

import argparse
import errno
import io
import os
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from legged_gym.options.examples import example_lines
from legged_gym.utils.errors import UserError
from legged_gym.utils.limits import renderer_fault

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO)
"""Errors of a disk that takes nothing more."""
_WIDTH = 130
"""Characters of a line of help, at most."""
_ALL_MEET_IT_WITHIN = 5.0
"""Time within which processes that start together meet the same error [s]."""


class Parser(argparse.ArgumentParser):
    """Argument parser whose errors are one line, and whose help is short and ends with examples."""

    def __init__(self, **kwargs: Any) -> None:
        """See argparse; without a usage line, which would only repeat the options below it."""
        super().__init__(formatter_class=_Formatter, usage="%(prog)s [options]", **kwargs)

    def set_defaults(self, **kwargs: Any) -> None:
        """See argparse; a script that never opens a window hides the options of windows."""
        super().set_defaults(**kwargs)
        if kwargs.get("headless"):
            self.hide("headless")

    def hide(self, *names: str) -> None:
        """Leave options out of the help: they are accepted, but nothing here depends on them."""
        for action in self._actions:
            if action.dest in names:
                action.help = argparse.SUPPRESS

    def format_help(self) -> str:
        """Returns the help, with the examples of this program at its end."""
        examples = example_lines(self.prog)
        return super().format_help() + ("\n".join(["\nexamples:", *examples, ""]) if examples else "")

    def error(self, message: str) -> NoReturn:
        """Raises instead of printing the usage.

        Raises:
            UserError: Always.
        """
        raise UserError(message)


class _Formatter(argparse.HelpFormatter):
    """An option a line, where the terminal is wide enough."""

    def __init__(self, prog: str) -> None:
        columns = shutil.get_terminal_size((_WIDTH, 24)).columns
        super().__init__(prog, max_help_position=30, width=min(_WIDTH, columns))


def path(text: str) -> Path:
    """Reads a path from the user: `~` is their home even if the shell leaves it, as in `--out=~/x`.

    Raises:
        ArgumentTypeError: `~` has no home directory here.
    """
    try:
        return Path(text).expanduser()
    except RuntimeError:
        raise argparse.ArgumentTypeError(f"{text}: there is no such home directory") from None


def printable(text: str) -> str:
    """Returns a text on one line, without characters that move a terminal's cursor."""
    return "".join(letter if letter.isprintable() else "?" for letter in " ".join(text.split()))


def run_main(main: Callable[[], int | None]) -> NoReturn:
    """Runs a script's main function and exits; errors that the user can mend become one line and exit code 2.

    That is a `UserError`, a file that cannot be read or written, and a library that MuJoCo lacks for drawing.

    Args:
        main: Returns an exit code, or None for 0.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a terminal may lack a letter, a name need not be one of Unicode
            stream.reconfigure(errors="backslashreplace")
    try:
        code = main()
    except UserError as error:
        _let_first_speak()
        print(f"error: {printable(str(error))}", file=sys.stderr)
        code = 2
    except BrokenPipeError:  # the reader has closed the pipe, as in `... | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    except OSError as error:
        if error.filename is None and error.errno not in FULL:
            raise
        text = f"{error.filename or 'a file cannot be written'}: {error.strerror}"
        print(f"error: {printable(text)}", file=sys.stderr)
        code = 2
    except (AttributeError, ImportError, RuntimeError):  # as MuJoCo raises on import, if MUJOCO_GL is of no use
        fault = renderer_fault()
        if fault is None:
            raise
        print(f"error: {fault}", file=sys.stderr)
        code = 2
    except KeyboardInterrupt:
        code = 130  # what shells make of Ctrl-C
    sys.exit(code or 0)


def _let_first_speak() -> None:
    """Let only the first of the processes that torchrun started report an error that all have met, and end all."""
    if os.environ.get("LOCAL_RANK", "0") != "0":
        time.sleep(_ALL_MEET_IT_WITHIN)
