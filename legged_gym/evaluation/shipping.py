"""Trained policies that come with the package: `resources/policies/<ROBOT_TYPE>/<name>/`, each a small run of its own.

A task's policy has the task's name; others of the task have names of their own.

Its files: the checkpoint without the parts that only training needs; the fields of the run's two configs that the
policy depends on (the others come from the task, so that a policy outlives changes of it); `encoder.onnx` and
`policy.onnx` for the robot; `evaluate.json`; and `training.json`, the record of the training with both configs in full.
"""

import shutil
from pathlib import Path
from typing import Any

import torch

from legged_gym.evaluation.agents import OnnxAgent, PolicyAgent
from legged_gym.evaluation.report import write_json
from legged_gym.options import commands
from legged_gym.runners.export import TOLERANCE, export_policy
from legged_gym.utils.checkpoint import load_checked, save_atomically
from legged_gym.utils.config import to_dict
from legged_gym.utils.errors import UserError

KEPT = ("actor_state_dict", "critic_state_dict", "env_state", "infos", "iter", "total_steps", "total_time")
"""Parts of a shipped checkpoint: enough to act, not to continue training."""
ENV_PARTS: dict[str, tuple[str, ...]] = {
    "env": ("history_length",),
    "asset": ("robot_type",),
    "sim": ("dt",),
    **dict.fromkeys(("commands", "control", "gait", "init_state", "normalization"), ()),
}
"""Sections of the environment's config that a policy depends on, and which of their fields; all if none is named."""
TRAIN_PARTS: dict[str, tuple[str, ...]] = {"policy": (), "estimator": ("hidden_dims",)}
"""The same of the training config."""
TRAINING_FILE = "training.json"


def export_agent(agent: PolicyAgent, env: Any, directory: Path) -> list[str]:
    """Export the agent's networks and compare them with the agent on the environment's own observations.

    Returns:
        Lines about the files written and their errors.
    """
    width = {name: sum(w for _, w in terms) for name, terms in env.observation_terms.items()}
    history = env.cfg.env.history_length * width["policy"]
    files = export_policy(agent.actor, directory, history, width["policy"], width["command"])
    obs = env.get_observations()
    with torch.inference_mode():
        error = (agent.act(obs) - OnnxAgent(directory).act(obs)).abs().max().item()
    if not error <= TOLERANCE:
        raise RuntimeError(f"the exported policy acts differently from the checkpoint, by {error:.3g}")
    lines = [f"exported {file.path} (largest difference to torch: {file.max_error:.1e})" for file in files]
    return [*lines, f"encoder.onnx and policy.onnx together act as the checkpoint does (within {error:.1e})"]


def training_record(checkpoint: Path, command: str | None) -> dict[str, Any]:
    """Return the record of a checkpoint's training.

    Args:
        checkpoint: The file, in its run's folder.
        command: The training command, from the user; None for the one that the run noted.

    Raises:
        UserError: The run noted no command and the user gives none.
    """
    noted = checkpoint.parent / commands.FILE
    if command is None and not noted.is_file():
        raise UserError(f"{noted} is missing: give the command that trained the policy, as --command='python ...'")
    data = load_checked(checkpoint)
    return {
        "commands": [command]
        if command is not None
        else noted.read_text(encoding="utf-8", errors="surrogateescape").splitlines(),
        "iterations": data["iter"],
        "robot_steps": data["total_steps"],
        "seconds": round(data["total_time"], 1),
    }


def check_target(folder: Path, replace: bool) -> None:
    """Raise if a folder holds anything, unless that is a shipped policy and may be replaced.

    Raises:
        UserError: The folder holds something else, or may not be replaced.
    """
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return
    if not (folder / TRAINING_FILE).is_file():
        raise UserError(f"{folder}: is there already and is no shipped policy; give another --out=DIR")
    if not replace:
        raise UserError(f"{folder}: a shipped policy is there already; add --replace, or give another --out=DIR")


def write_run(folder: Path, checkpoint: Path, env_cfg: Any, train_cfg: Any, record: dict[str, Any]) -> None:
    """Write the lean checkpoint, the configs' fields that count, and the record into an existing folder."""
    data = load_checked(checkpoint)
    lean = {name: data[name] for name in KEPT} | {"teacher_state": None}
    save_atomically(lean, folder / checkpoint.name)
    full = {"env_cfg": to_dict(env_cfg), "train_cfg": to_dict(train_cfg)}
    runner = full["train_cfg"]["runner"]
    runner["load_run"] = Path(runner["load_run"]).name  # its path on this machine says nothing to others
    files = {TRAINING_FILE: record | full}
    files["env_cfg.json"] = _part(full["env_cfg"], ENV_PARTS)
    files["train_cfg.json"] = _part(full["train_cfg"], TRAIN_PARTS)
    for name, content in files.items():
        write_json(content, folder / name)


def _part(cfg: dict[str, Any], parts: dict[str, tuple[str, ...]]) -> dict[str, Any]:
    """Take some sections of a config, and of these some fields."""
    return {section: {name: cfg[section][name] for name in names or cfg[section]} for section, names in parts.items()}


def put_in_place(made: Path, folder: Path) -> None:
    """Move a policy from the folder beside it into place, replacing a shipped one if there is one."""
    if folder.exists():
        shutil.rmtree(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    made.replace(folder)
