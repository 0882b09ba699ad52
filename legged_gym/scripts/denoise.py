"""Teaches a policy to act through noise, see runners/denoising.py: `legged_gym/scripts/denoise.py --load_run=RUN`.

Writes `<RUN>_denoised` beside the run, which can be calibrated, played, evaluated, shipped or trained on like any run.
Robots are those of the run's config, at most as hard as its curriculum has become. The config that comes with a shipped
policy says nothing of randomisation and disturbances: these are the task's own.
"""

import time
from pathlib import Path
from typing import Any

import torch

from legged_gym.algorithms.networks import EstimatorActor
from legged_gym.evaluation.loading import load_actor
from legged_gym.options.cli import Parser, run_main
from legged_gym.options.commands import commands_for, note_command
from legged_gym.options.request import make_parser, parse_args
from legged_gym.options.resolve import resolve
from legged_gym.options.runs import new_run_beside
from legged_gym.options.setup import make_env
from legged_gym.options.spec import RunSpec
from legged_gym.runners.denoising import Denoiser, Learned
from legged_gym.runners.run_state import MISFITS, NEWEST
from legged_gym.utils.checkpoint import load_checked, save_atomically
from legged_gym.utils.errors import UserError

SUFFIX = "_denoised"
REPORTS = 10
"""Lines of progress."""


def make_denoise_parser() -> Parser:
    """Build the parser of this script."""
    parser = make_parser("Teach a run's policy to act through noise as it acts without.", runs=True)
    parser.add_argument("--iterations", type=int, default=100, metavar="N", help="rollouts (default: %(default)s)")
    parser.set_defaults(headless=True, num_envs=512, seed=0, agent="checkpoint")
    return parser


def learned(spec: RunSpec, state: dict[str, Any], iterations: int) -> dict[str, torch.Tensor]:
    """Return the parameters of actor and estimator after so many rollouts, by name.

    Args:
        spec: The run.
        state: The environment's part of its checkpoint.
        iterations: Rollouts.

    Raises:
        UserError: The checkpoint does not fit, or its policy has no estimator.
    """
    env = make_env(spec)
    try:
        actor = load_actor(spec, env)
        if not isinstance(actor, EstimatorActor):
            raise UserError(f"{spec.title}: its policy has no estimator of the velocity, so there is nothing to teach")
        try:
            env.load_state_dict(state)
        except MISFITS as error:
            raise UserError(f"{spec.checkpoint}: its state of the task does not fit ({error})") from None
        begun = time.perf_counter()

        def report(step: Learned) -> bool:
            if step.iteration == 1 or step.iteration % max(1, iterations // REPORTS) == 0:
                print(
                    f"iteration {step.iteration}/{iterations}  usual error of an action {step.action:.3f}, "
                    f"of a velocity {step.velocity:.3f} m/s  {time.perf_counter() - begun:.0f} s",
                    flush=True,
                )
            return True

        train_cfg = spec.train_cfg
        denoiser = Denoiser(env, actor, train_cfg.denoising, train_cfg.runner.num_steps_per_env, spec.rl_device)
        denoiser.learn(iterations, report)
        return {name: value.detach().cpu() for name, value in denoiser.parameters().items()}
    finally:
        env.sim.close()


def run(spec: RunSpec, iterations: int) -> Path:
    """Teach a run's policy; returns the new run's folder."""
    source = spec.checkpoint
    if source is None:
        raise ValueError("there is no policy to teach")
    with new_run_beside(source.parent, SUFFIX) as folder:
        checkpoint = load_checked(source)
        parameters = learned(spec, checkpoint.get("env_state", {}), iterations)
        for name in ("actor_state_dict", NEWEST):  # the policy, and the weights that training goes on from
            if name in checkpoint:
                checkpoint[name] = checkpoint[name] | parameters
        save_atomically(checkpoint, folder / source.name)
        note_command(folder, "denoise", spec)
    return folder


def main() -> None:
    """Teach from the command line."""
    args = parse_args(make_denoise_parser())
    if args.iterations < 1:
        raise UserError(f"--iterations: got {args.iterations}, expected at least 1")
    spec = resolve(args.request)
    folder = run(spec, args.iterations)
    print(f"run:      {folder}\n{commands_for(spec, folder)}")


if __name__ == "__main__":
    run_main(main)
