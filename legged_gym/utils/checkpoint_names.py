"""Names of checkpoints: `model_<iteration>.pt` in the folder of a run."""

import re
from pathlib import Path

from legged_gym.utils.errors import UserError

_NAME = re.compile(r"model_(\d+)\.pt")


def checkpoints(run: Path) -> dict[int, Path]:
    """Returns the checkpoints of a run by iteration, in order of iteration."""
    if not run.is_dir():
        return {}
    found = ((_NAME.fullmatch(path.name), path) for path in run.iterdir())
    return dict(sorted((int(match[1]), path) for match, path in found if match))


def iteration(checkpoint: Path) -> int:
    """Returns the iteration in a checkpoint's name, `model_<iteration>.pt`."""
    match = _NAME.fullmatch(checkpoint.name)
    if match is None:
        raise UserError(f"{checkpoint}: is not named model_<iteration>.pt")
    return int(match[1])
