"""Train a point-foot biped to walk, helped by a DCM stepping teacher."""

from pathlib import Path

LEGGED_GYM_ROOT_DIR = Path(__file__).resolve().parent.parent
"""Root of the repository: the folder that holds `resources/` and `logs/`."""
