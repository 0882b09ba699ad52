"""Files that are written whole or not at all."""

import contextlib
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give the body a temporary path that replaces the file at the end; if the body fails, nothing changes.

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
