"""`python -m legged_gym <script> [options]`: the same as `python legged_gym/scripts/<script>.py [options]`."""

import importlib
import pkgutil
import sys

from legged_gym import scripts
from legged_gym.options.cli import run_main
from legged_gym.utils.errors import UserError, unknown_name


def names() -> list[str]:
    """Returns the names of all scripts."""
    return sorted(module.name for module in pkgutil.iter_modules(scripts.__path__))


def main() -> int | None:
    """Runs the script that the command line names."""
    name, *argv = sys.argv[1:] or ["--help"]
    if name in ("-h", "--help"):
        print(f"usage: python -m legged_gym SCRIPT [options]; SCRIPT --help says which\nscripts: {', '.join(names())}")
        return 0
    if name not in names():
        raise UserError(unknown_name("script", name, names()))
    sys.argv = [f"{sys.argv[0]} {name}", *argv]
    return importlib.import_module(f"legged_gym.scripts.{name}").main()


if __name__ == "__main__":
    run_main(main)
