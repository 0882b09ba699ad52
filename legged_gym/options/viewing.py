"""The choice of a viewer: the options of play and train, and the default without them."""

import argparse
import importlib.util
import sys
from dataclasses import dataclass

from legged_gym.options.cli import Parser
from legged_gym.utils.errors import UserError
from legged_gym.utils.machine import require_display

VIEWERS = ("web", "native", "none")
PORT = 8080


@dataclass(frozen=True)
class Viewing:
    """The user's options of the viewer."""

    viewer: str | None = None
    """One of `VIEWERS`; None leaves the choice."""
    host: str = "localhost"
    """Address that the web page listens on."""
    port: int = PORT
    """The first port that it tries."""


def add_viewer_options(parser: Parser, default: str) -> None:
    """Add the options of a viewer.

    Args:
        parser: The script's.
        default: Description of the default viewer, for `--help`.
    """
    add = parser.add_argument
    add("--viewer", choices=VIEWERS, help=f"web page, window of this display, or nothing (default: {default})")
    add("--viewer_port", type=int, default=PORT, metavar="N", help="first port of the web page (default: %(default)s)")
    add(
        "--viewer_host",
        default="localhost",
        metavar="HOST",
        help="serve the web page to localhost only, or with 0.0.0.0 to the network (default: %(default)s)",
    )


def read_viewing(args: argparse.Namespace) -> Viewing:
    """Read what `add_viewer_options` has added.

    Raises:
        UserError: A port is out of range.
    """
    if not 0 < args.viewer_port < 65536:
        raise UserError(f"--viewer_port: got {args.viewer_port}, expected 1 to 65535")
    return Viewing(args.viewer, args.viewer_host, args.viewer_port)


def choose_viewer(viewing: Viewing, headless: bool, *, required: bool, films: bool = False) -> str:
    """Choose the viewer; one that the user names must be possible.

    Args:
        viewing: The user's options.
        headless: Without a window.
        required: Without a display, raise instead of showing something else.
        films: A film is recorded: without a display nothing has to be shown.

    Returns:
        One of `VIEWERS`.

    Raises:
        UserError: There is no display, or viser is not installed.
    """
    if viewing.viewer == "web":
        require_viser()
    if viewing.viewer == "native":
        if headless:
            raise UserError("--viewer=native opens a window and --headless forbids one: give only one of them")
        require_display()
    if viewing.viewer is not None:
        return viewing.viewer
    if headless:
        return "none"
    try:
        require_display()
    except UserError as error:
        if required:
            raise UserError(f"{error}, or --viewer=web to watch in a browser") from None
        page = not films and has_viser() and sys.stdin is not None and sys.stdin.isatty()
        return "web" if page else "none"
    return "native"


def has_viser() -> bool:
    """Whether web pages can be made."""
    return importlib.util.find_spec("viser") is not None


def require_viser() -> None:
    """Refuse to make a web page where viser is missing.

    Raises:
        UserError: It is missing; the text says how to install it.
    """
    if not has_viser():
        raise UserError("--viewer=web needs viser: pip install -e '.[viewer]'")
