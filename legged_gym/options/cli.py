"""What every program's command line has in common: errors in one line, paths with `~`, an exit code."""

import argparse
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from legged_gym.utils.errors import UserError
from legged_gym.utils.limits import renderer_fault


class Parser(argparse.ArgumentParser):
    """Argument parser whose errors are one line."""

    def error(self, message: str) -> NoReturn:
        """Raises instead of printing the usage.

        Raises:
            UserError: Always.
        """
        raise UserError(message)


def path(text: str) -> Path:
    """Reads a path of the user's: `~` is their home also where the shell leaves it as it is, as in `--out=~/x`.

    Raises:
        ArgumentTypeError: `~` stands for nobody here.
    """
    try:
        return Path(text).expanduser()
    except RuntimeError:
        raise argparse.ArgumentTypeError(f"{text}: there is no such home directory") from None


def run_main(main: Callable[[], int | None]) -> NoReturn:
    """Runs a script's main function and exits; a `UserError` becomes one line on stderr and exit code 2.

    Args:
        main: Returns an exit code, or None for 0.
    """
    try:
        code = main()
    except UserError as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        code = 2
    except BrokenPipeError:  # who reads has seen enough, as in `... | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    except (AttributeError, ImportError, RuntimeError):  # as MuJoCo raises on import, if MUJOCO_GL is of no use
        fault = renderer_fault()
        if fault is None:
            raise
        print(f"error: {fault}", file=sys.stderr)
        code = 2
    except KeyboardInterrupt:
        code = 130  # what shells make of Ctrl-C
    sys.exit(code or 0)
