"""Calibrates a run's policy, see evaluation/calibration.py: `python legged_gym/scripts/calibrate.py --load_run=RUN`.

Writes `<RUN>_calibrated` beside the run. It differs in the actor's first layer only, and can be played, evaluated,
shipped or trained on like any run.
"""

from dataclasses import replace
from pathlib import Path

import torch

from legged_gym.evaluation.calibration import Response, calibrate_actor, measure_response
from legged_gym.evaluation.loading import make_builder
from legged_gym.evaluation.suites import evaluation_cfg
from legged_gym.options.cli import Parser, run_main
from legged_gym.options.commands import commands_for, note_command
from legged_gym.options.request import make_parser, parse_args
from legged_gym.options.resolve import resolve
from legged_gym.options.runs import new_run_beside
from legged_gym.options.spec import RunSpec
from legged_gym.runners.run_state import NEWEST
from legged_gym.utils.checkpoint import load_checked, save_atomically

SUFFIX = "_calibrated"
DAMPINGS = (2.5, 3.5)
"""Derivative gains K_d [N m s/rad] that a policy is calibrated between: the maker's controller has the second one, and
a robot whose joints are damped less achieves a few percent less than one at that gain."""


def make_calibrate_parser() -> Parser:
    """Build the parser of this script."""
    parser = make_parser("Calibrate a run's policy: scale commands so that the robot achieves them.", runs=True)
    parser.set_defaults(headless=True, num_envs=256, seed=0, agent="checkpoint")
    return parser


def measure(spec: RunSpec) -> tuple[Response, torch.Tensor]:
    """Measure a checkpoint's mean response; also return the factors on the command in the actor's input (3,)."""
    responses, scales = [], spec.env_cfg.normalization.obs_scales
    for damping in DAMPINGS:
        cfg = evaluation_cfg(spec.env_cfg, spec.env_cfg.env.num_envs, spec.env_cfg.seed)
        cfg.control.damping = damping
        env, agent = make_builder(spec)(cfg)
        try:
            responses.append(measure_response(env, agent, cfg.seed))
        finally:
            env.sim.close()
        print(f"  at K_d {damping}: {described(responses[-1])}")
    return Response.mean(responses), torch.tensor([scales.lin_vel, scales.lin_vel, scales.ang_vel])


def described(response: Response) -> str:
    """Say what commands achieve."""
    gain, offset, error = (
        ", ".join(f"{x:.3f}" for x in values.tolist())
        for values in (response.gain.diagonal(), response.offset, response.error)
    )
    return f"it achieves {gain} of the commanded v_x, v_y, w_z, plus {offset}; rms error {error}"


def run(spec: RunSpec) -> Path:
    """Calibrate a run's checkpoint.

    Returns:
        The new run's folder.
    """
    source = spec.checkpoint
    if source is None:
        raise ValueError("there is no policy to calibrate")
    with new_run_beside(source.parent, SUFFIX) as folder:
        print("before:")
        response, scale = measure(spec)
        if spec.train_cfg.policy.symmetric:  # the actor's first layer sees right steps reflected
            response = response.symmetric()
        checkpoint = load_checked(source)
        for name in ("actor_state_dict", NEWEST):  # the policy, and the weights that training goes on from
            if name in checkpoint:
                calibrate_actor(checkpoint[name], response, scale)
        save_atomically(checkpoint, folder / source.name)
        note_command(folder, "calibrate", spec)
        print("after:")
        measure(replace(spec, checkpoint=folder / source.name))
    return folder


def main() -> None:
    """Calibrate from the command line."""
    spec = resolve(parse_args(make_calibrate_parser()).request)
    folder = run(spec)
    print(f"run:      {folder}\n{commands_for(spec, folder)}")


if __name__ == "__main__":
    run_main(main)
