"""Teaches a policy to act through noise, see runners/denoising.py: `legged_gym/scripts/denoise.py --load_run=RUN`.

Writes `<RUN>_denoised` beside the run, which can be calibrated, played, evaluated, shipped or trained on like any run.
Robots are those of the run's config, at most as hard as its curriculum has become. The config that comes with a shipped
policy says nothing of randomisation and disturbances: these are the task's own.

With `--walk_as` or `--recover_as` another run's policy is the teacher: of robots with which all is well, or of those
that were disturbed, tilt, have a foot on slippery ground, or are driven by a stick that is thrown about.
"""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from legged_gym.algorithms.networks import EstimatorActor
from legged_gym.evaluation.loading import load_actor
from legged_gym.options.cli import Parser, run_main
from legged_gym.options.commands import commands_for, note_command
from legged_gym.options.request import Request, make_parser, parse_args
from legged_gym.options.resolve import resolve, resolve_other
from legged_gym.options.runs import new_run_beside
from legged_gym.options.setup import make_env
from legged_gym.options.spec import RunSpec
from legged_gym.runners.denoising import Denoiser, Learned
from legged_gym.runners.run_state import MISFITS, NEWEST
from legged_gym.utils.checkpoint import load_checked, save_atomically
from legged_gym.utils.config import fields_of, read_json, to_dict
from legged_gym.utils.errors import UserError

SUFFIX = "_denoised"
REPORTS = 10
"""Lines of progress."""
ALONE, WITH_ANOTHER = 100, 300
"""Rollouts: from itself a policy has little to learn, from another one much."""
TEACHERS = {"walk_as": "walker", "recover_as": "recoverer"}
"""Option that names another run -> what its policy is to the `Denoiser`."""
ALIKE = (
    *("asset.robot_type", "env.history_length", "sim.dt", "normalization", "observations"),
    *("control.action_scale", "control.decimation", "control.stiffness", "init_state.default_joint_angles"),
)
"""Parts of two runs' configs that must be equal for the policy of one to teach that of the other: what policies see and
what their actions mean."""


def make_denoise_parser() -> Parser:
    """Build the parser of this script."""
    parser = make_parser("Teach a run's policy to act through noise as it acts without.", runs=True)
    add = parser.add_argument
    add("--iterations", type=int, metavar="N", help=f"rollouts (default: {ALONE}, {WITH_ANOTHER} from another policy)")
    add("--walk_as", metavar="RUN", help="learn to walk undisturbed as another run does: as --load_run, or pretrained")
    add("--recover_as", metavar="RUN", help="learn to recover, and to walk on slippery ground, as another run does")
    parser.set_defaults(headless=True, num_envs=512, seed=0, agent="checkpoint")
    return parser


def learned(
    spec: RunSpec, state: dict[str, Any], iterations: int, teachers: Mapping[str, RunSpec]
) -> dict[str, torch.Tensor]:
    """Return the parameters of actor and estimator after so many rollouts, by name.

    Args:
        spec: The run.
        state: The environment's part of its checkpoint.
        iterations: Rollouts.
        teachers: Other runs whose policies teach, see `TEACHERS`.

    Raises:
        UserError: A checkpoint does not fit, or its policy has no estimator.
    """
    env = make_env(spec)
    try:
        actor = estimating_actor(spec, env)
        others = {name: estimating_actor(other, env).mlp for name, other in teachers.items()}
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
        steps, device = train_cfg.runner.num_steps_per_env, spec.rl_device
        walker, recoverer = others.get("walker"), others.get("recoverer")
        denoiser = Denoiser(env, actor, train_cfg.denoising, steps, device, walker=walker, recoverer=recoverer)
        denoiser.learn(iterations, report)
        return {name: value.detach().cpu() for name, value in denoiser.parameters().items()}
    finally:
        env.sim.close()


def estimating_actor(spec: RunSpec, env: Any) -> EstimatorActor:
    """Load the actor of a run's checkpoint.

    Raises:
        UserError: It does not fit, or has no estimator.
    """
    actor = load_actor(spec, env)
    if not isinstance(actor, EstimatorActor):
        raise UserError(f"{spec.title}: its policy has no estimator of the velocity")
    return actor


def find_teacher(request: Request, spec: RunSpec, option: str, agent: str) -> RunSpec:
    """Find the run of `--walk_as` or `--recover_as`.

    Args:
        request: The request for the run that learns.
        spec: That run.
        option: Which one, without its dashes.
        agent: What the user gave.

    Raises:
        UserError: There is no such run, or its policy sees or moves the robot in another way.
    """
    other = resolve_other(request, agent, f"--{option}")
    if other.checkpoint is None:
        raise UserError(f"--{option}: got '{agent}', expected a run, a checkpoint, pretrained or pretrained:NAME")
    if other.checkpoint == spec.checkpoint:
        raise UserError(f"--{option}: {agent} is the policy that learns; leave the option out, and it teaches itself")
    own = fields_of(spec.env_cfg, to_dict(spec.env_cfg))
    theirs = read_json(spec.env_cfg, other.checkpoint.parent / "env_cfg.json")  # whatever the user has set besides
    for path, value in theirs.items():
        if path.startswith(ALIKE) and own[path] != value:
            raise UserError(f"--{option}: {other.title} has {path} {value}, {spec.title} has {own[path]}")
    return other


def run(spec: RunSpec, iterations: int, teachers: Mapping[str, RunSpec]) -> Path:
    """Teach a run's policy, see `learned`; returns the new run's folder."""
    source = spec.checkpoint
    if source is None:
        raise ValueError("there is no policy to teach")
    with new_run_beside(source.parent, SUFFIX) as folder:
        checkpoint = load_checked(source)
        parameters = learned(spec, checkpoint.get("env_state", {}), iterations, teachers)
        for name in ("actor_state_dict", NEWEST):  # the policy, and the weights that training goes on from
            if name in checkpoint:
                checkpoint[name] = checkpoint[name] | parameters
        save_atomically(checkpoint, folder / source.name)
        note_command(folder, "denoise", spec)
    return folder


def main() -> None:
    """Teach from the command line."""
    args = parse_args(make_denoise_parser())
    spec = resolve(args.request)
    asked = {option: getattr(args, option) for option in TEACHERS if getattr(args, option) is not None}
    teachers = {TEACHERS[option]: find_teacher(args.request, spec, option, agent) for option, agent in asked.items()}
    iterations = (WITH_ANOTHER if teachers else ALONE) if args.iterations is None else args.iterations
    if iterations < 1:
        raise UserError(f"--iterations: got {iterations}, expected at least 1")
    if teachers and "train.denoising.blend" not in spec.said:
        spec.train_cfg.denoising.blend = 1.0  # half-way between two policies is neither
    folder = run(spec, iterations, teachers)
    print(f"run:      {folder}\n{commands_for(spec, folder)}")


if __name__ == "__main__":
    run_main(main)
