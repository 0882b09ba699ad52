"""Calibrates a run's policy, see evaluation/calibration.py: `python legged_gym/scripts/calibrate.py --load_run=RUN`.

Writes `<RUN>_calibrated` beside the run: the same but for the actor's first layer, to be played, evaluated, shipped or
trained on like any run.
"""

import argparse
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

import legged_gym.envs  # noqa: F401  registers the tasks
from legged_gym.evaluation.calibration import Response, calibrate_actor, measure_response
from legged_gym.evaluation.loading import Session, make_builder, open_session
from legged_gym.evaluation.suites import evaluation_cfg
from legged_gym.utils import runs
from legged_gym.utils.checkpoint import load_checked, save_atomically
from legged_gym.utils.cli import Parser, make_parser, parse_args, run_main
from legged_gym.utils.errors import UserError

SUFFIX = "_calibrated"


def make_calibrate_parser() -> Parser:
    """Build the parser of this script."""
    parser = make_parser("Make a run's policy do on the nominal robot what it is asked.")
    parser.set_defaults(headless=True, num_envs=256, seed=0, agent="checkpoint", onnx=None, offset=None)
    return parser


def measure(args: argparse.Namespace, session: Session, checkpoint: Path) -> tuple[Response, torch.Tensor]:
    """Measure a checkpoint's response; also returns the factors on the command in the actor's input (3,)."""
    build = make_builder(replace(session, checkpoint=checkpoint), args)
    env, agent = build(evaluation_cfg(session.env_cfg, args.num_envs, args.seed))
    try:
        response = measure_response(env, agent, args.seed)
    finally:
        env.sim.close()
    scales = env.cfg.normalization.obs_scales
    return response, torch.tensor([scales.lin_vel, scales.lin_vel, scales.ang_vel])


def tell(when: str, response: Response) -> None:
    """Print what commands achieve."""
    gain, offset, error = (
        ", ".join(f"{x:.3f}" for x in values.tolist())
        for values in (response.gain.diagonal(), response.offset, response.error)
    )
    print(f"{when}: of v_x, v_y, w_z it achieves {gain} of what is asked, and {offset} more; error {error} rms")


def run(args: argparse.Namespace) -> Path:
    """Calibrate what the command line asks for.

    Returns:
        The new run's folder.
    """
    session = open_session(args)
    source: Any = session.checkpoint
    folder = source.parent.with_name(source.parent.name + SUFFIX)
    if folder.exists():
        raise UserError(f"{folder}: is there already; move it away to calibrate again")
    response, scale = measure(args, session, source)
    tell("before", response)
    checkpoint = load_checked(source)
    calibrate_actor(checkpoint["actor_state_dict"], response, scale)
    shutil.copytree(source.parent, folder, ignore=shutil.ignore_patterns("model_*", "simulation_*", "events.*"))
    try:
        save_atomically(checkpoint, folder / source.name)
        runs.note_command(folder, ["python", "legged_gym/scripts/calibrate.py", *args.argv], source.parent)
        tell("after", measure(args, session, folder / source.name)[0])
    except BaseException:
        shutil.rmtree(folder)
        raise
    return folder


def main() -> None:
    """Calibrate from the command line."""
    folder = run(parse_args(make_calibrate_parser()))
    print(f"run:      {folder}\nevaluate: {sys.executable} legged_gym/scripts/evaluate.py --load_run={folder}")


if __name__ == "__main__":
    run_main(main)
