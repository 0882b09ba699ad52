"""`python -m legged_gym <script> [options]`: the same as `python legged_gym/scripts/<script>.py [options]`."""

import importlib
import pkgutil
import sys
from pathlib import Path

from legged_gym import scripts
from legged_gym.options.cli import run_main
from legged_gym.utils import signals, startup
from legged_gym.utils.errors import UserError, unknown_name

TRAINING = ("train", "train_teacher", "benchmark_stages")
"""Scripts that a signal ends with a checkpoint."""


def names() -> list[str]:
    """Returns the names of all scripts."""
    return sorted(module.name for module in pkgutil.iter_modules(scripts.__path__))


def run_script(name: str) -> int | None:
    """Runs a script on the command line of this process.

    Raises:
        UserError: There is no such script.
    """
    if name not in names():
        raise UserError(unknown_name("script", name, names()))
    if name in TRAINING:
        signals.watch()  # before the slow imports
        startup.begins()
    return importlib.import_module(f"legged_gym.scripts.{name}").main()


def main() -> int | None:
    """Runs the script that the first argument names."""
    name, *argv = sys.argv[1:] or ["--help"]
    if name in ("-h", "--help"):
        print(f"usage: python -m legged_gym SCRIPT [options]; SCRIPT --help says which\nscripts: {', '.join(names())}")
        return 0
    sys.argv = [f"python -m legged_gym {name}", *argv]
    return run_script(name)


def console() -> None:
    """Runs the script whose console program this is: `lg-train-teacher` runs train_teacher."""
    name = Path(sys.argv[0]).stem.removeprefix("lg-").replace("-", "_")
    run_main(lambda: run_script(name))


if __name__ == "__main__":
    run_main(main)
