"""Train a point-foot biped to walk, helped by a DCM stepping teacher."""

from pathlib import Path

LEGGED_GYM_ROOT_DIR = Path(__file__).resolve().parent.parent
"""Root of the repository: the folder that holds `resources/` and `logs/`."""


def resources_dir() -> Path:
    """Returns the folder of robots and policies, of the repository or of an installed wheel."""
    in_repository = LEGGED_GYM_ROOT_DIR / "resources"
    return in_repository if (in_repository / "robots").is_dir() else Path(__file__).parent / "resources"
