"""Files that are whole, whatever happens while they are written."""

import contextlib
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give the body another name to write to, which takes the file's place at the end; if it fails, all is as before.

    Args:
        path: The file, which may be there already.
    """
    temporary = path.with_name(f".{path.stem}.tmp{path.suffix}")  # with its suffix, which says its format to many
    try:
        yield temporary
        temporary.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise
