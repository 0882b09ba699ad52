"""Means the weights of some checkpoints, into a run beside theirs that can be judged, calibrated and shipped.

    python benchmarks/mean_of_checkpoints.py --load_run=RUN --checkpoints=24400,25720
    python benchmarks/mean_of_checkpoints.py --load_run=RUN --other_run=RUN --checkpoints=5050

Writes `<RUN>_mean_24400_25720`: the configs, and the last checkpoint with the mean of all actors (decision 024). With
`--other_run`, the same checkpoints of a second run that went on from the same policy take part, and its name comes
last in the folder's.
"""

import argparse
import re
import shutil
from pathlib import Path

import torch

from legged_gym.options import cli
from legged_gym.options.cli import run_main
from legged_gym.runners.run_state import NEWEST
from legged_gym.utils.checkpoint import load_checked, save_atomically
from legged_gym.utils.errors import UserError

ACTOR = "actor_state_dict"


def mean_of(files: list[Path]) -> dict:
    """Load checkpoints; returns the last one with the mean of all actors, from which training goes on, too.

    Raises:
        UserError: One is missing or damaged, or they hold other networks.
    """
    checkpoints = [load_checked(str(file), "cpu") for file in files]
    actors = [checkpoint.get(ACTOR, {}) for checkpoint in checkpoints]
    for file, actor in zip(files, actors, strict=True):
        if not actor or {name: x.shape for name, x in actor.items()} != {
            name: x.shape for name, x in actors[0].items()
        }:
            raise UserError(f"{file}: its networks are not those of {files[0]}")
    mean = {name: torch.stack([actor[name].float() for actor in actors]).mean(0) for name in actors[0]}
    return {name: part for name, part in checkpoints[-1].items() if name != NEWEST} | {ACTOR: mean}


def main() -> None:
    """Mean from the command line."""
    parser = argparse.ArgumentParser(description="Mean the actors of some checkpoints of a run.")
    parser.add_argument("--load_run", type=cli.path, required=True, metavar="RUN", help="path of the run")
    parser.add_argument("--other_run", type=cli.path, metavar="RUN", help="path of a second run, with the same ones")
    parser.add_argument("--checkpoints", required=True, metavar="LIST", help="iterations, as 24400,25720")
    args = parser.parse_args()
    given = sorted(set(args.checkpoints.split(",")), key=lambda text: (len(text), text))
    run = args.load_run.resolve()
    others = [] if args.other_run is None else [args.other_run.resolve()]
    if run in others:
        raise UserError(f"--other_run: got {args.other_run}, which is --load_run, too")
    if (not others and len(given) < 2) or not all(re.fullmatch(r"\d+", text) for text in given):
        raise UserError(f"--checkpoints: got {args.checkpoints}, expected two numbers or more, as 24400,25720")
    files = [folder / f"model_{number}.pt" for folder in (*others, run) for number in given]
    checkpoint = mean_of(files)
    folder = run.with_name("_".join((run.name, "mean", *given, *(other.name for other in others))))
    folder.mkdir(exist_ok=True)
    for config in run.glob("*.json"):
        shutil.copy(config, folder)
    save_atomically(checkpoint, str(folder / files[-1].name))
    print(f"run:      {folder}")


if __name__ == "__main__":
    run_main(main)
