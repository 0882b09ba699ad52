"""The command line that all scripts share: named options, `--env.` and `--train.` overrides, errors in one line."""

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NoReturn

from legged_gym.utils.config import Config, ConfigError, check, set_by_path
from legged_gym.utils.errors import UserError, unknown_name
from legged_gym.utils.limits import renderer_fault

SCOPES = ("env", "train")
"""What overrides may change: the environment's config and the training config."""

FIELDS: dict[str, tuple[tuple[str, str], ...]] = {
    "num_envs": (("env", "env.num_envs"),),
    "sim": (("env", "sim.backend"),),
    "sim_process": (("env", "sim.process.enabled"),),
    "seed": (("env", "seed"), ("train", "seed")),
    "max_iterations": (("train", "runner.max_iterations"),),
    "experiment_name": (("train", "runner.experiment_name"),),
    "run_name": (("train", "runner.run_name"),),
    "resume": (("train", "runner.resume"),),
    "load_run": (("train", "runner.load_run"),),
    "checkpoint": (("train", "runner.checkpoint"),),
    "logger": (("train", "runner.logger"),),
    "keep": (("train", "runner.keep"),),
}
"""Config fields behind the named options, as (scope, path)."""


@dataclass(frozen=True)
class Override:
    """One `--<scope>.<path>=<text>` from the command line."""

    scope: str
    path: str
    text: str


class Parser(argparse.ArgumentParser):
    """Argument parser whose errors are one line; see `make_parser`."""

    def error(self, message: str) -> NoReturn:
        """Raises instead of printing the usage.

        Raises:
            UserError: Always.
        """
        raise UserError(message)


def make_parser(description: str) -> Parser:
    """Builds a parser with the options that all scripts share; a script may add its own.

    Args:
        description: What the script does, for `--help`.

    Returns:
        The parser; to be used through `parse_args`.
    """
    parser = Parser(
        description=description,
        allow_abbrev=False,  # --num_env must not silently become --num_envs
        epilog="Any config field: --env.<section>.<field>=VALUE and --train.<section>.<field>=VALUE, "
        "for example --env.commands.resampling_time=3 --env.commands.ranges.lin_vel_x=-0.5,1",
    )
    add = parser.add_argument
    add("--task", default="pointfoot_flat", help="what to learn (default: %(default)s)")
    add("--resume", action="store_true", default=None, help="go on from a checkpoint: --load_run, --checkpoint")
    add("--experiment_name", metavar="NAME", help="folder under logs/")
    add("--run_name", metavar="NAME", help="added to the time in the run's folder name")
    add("--load_run", metavar="RUN", help="folder name of a run, or a path; -1 or nothing: the newest by time")
    add("--checkpoint", type=int, metavar="N", help="iteration to load; -1 or nothing: the last one")
    add("--headless", action=argparse.BooleanOptionalAction, default=False, help="run without a window")
    add("--num_envs", type=int, metavar="N", help="robots simulated side by side")
    add("--seed", type=int, metavar="N", help="seed of all random numbers")
    add("--max_iterations", type=int, metavar="N", help="training iterations of this run")
    add("--sim_device", metavar="DEVICE", help="where physics runs: cpu, cuda, cuda:<index>")
    add("--rl_device", metavar="DEVICE", help="where learning runs: cpu, cuda, cuda:<index>")
    add("--sim", metavar="NAME", help="physics engine, e.g. auto, mujoco, isaacgym (default: auto)")
    add("--sim_process", action="store_true", default=None, help="give the physics engine a process of its own")
    add("--keep", metavar="N,EVERY", help="checkpoints that stay: the newest N (0: all), and one in EVERY for good")
    add("--logger", choices=("tensorboard", "wandb", "neptune"), help="where curves go (default: tensorboard)")
    return parser


def parse_args(parser: Parser, argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Parses a command line.

    Args:
        parser: From `make_parser`.
        argv: Arguments without the program's name; those of the process if None.

    Returns:
        The options, None where not given, plus `overrides`, a list of `Override`, and `argv` as it was given.

    Raises:
        UserError: An option is unknown or its value is of the wrong type.
    """
    argv = list(sys.argv[1:] if argv is None else argv)
    rest, overrides = _split_overrides(argv)
    args, unknown = parser.parse_known_args(rest)
    if unknown:
        options = [option for action in parser._actions for option in action.option_strings if option.startswith("--")]
        name = unknown[0].partition("=")[0]
        if not name.startswith("-"):
            raise UserError(f"unexpected argument '{name}'; options start with --, for example --task={args.task}")
        raise UserError(unknown_name("option", name, [*options, "--env.<field>", "--train.<field>"]))
    args.overrides, args.argv = overrides, argv
    return args


def _split_overrides(argv: Sequence[str]) -> tuple[list[str], list[Override]]:
    """Takes the `--env.a=b` and `--env.a b` pairs out of a command line."""
    rest: list[str] = []
    overrides: list[Override] = []
    words = iter(argv)
    for word in words:
        scope, dot, path = word.removeprefix("--").partition(".")
        if not (word.startswith("--") and dot and scope in SCOPES):
            rest.append(word)
            continue
        path, equals, text = path.partition("=")
        value = text if equals else next(words, None)
        if value is None or (not equals and value.startswith("--")):
            raise UserError(f"--{scope}.{path}: needs a value, e.g. --{scope}.{path}=VALUE")
        overrides.append(Override(scope, path, value))
    return rest, overrides


def apply_args(args: argparse.Namespace, env_cfg: Config, train_cfg: Config) -> None:
    """Writes the options and overrides of a command line into the configs, then checks these.

    Args:
        args: From `parse_args`; options that were not given change nothing.
        env_cfg: The environment's config, changed in place.
        train_cfg: The training config, changed in place.

    Raises:
        ConfigError: A field is unknown or a value not allowed; the text starts with the option's name.
    """
    cfgs = {"env": env_cfg, "train": train_cfg}
    for option, fields in FIELDS.items():
        value = getattr(args, option, None)
        for scope, path in fields if value is not None else ():
            _set(cfgs[scope], path, str(value), f"--{option}")
    for override in args.overrides:
        _set(cfgs[override.scope], override.path, override.text, f"--{override.scope}.{override.path}")
    for scope, cfg in cfgs.items():
        try:
            check(cfg)
        except ConfigError as error:
            raise ConfigError(f"--{scope}.{error}") from None


def _set(cfg: Config, path: str, text: str, label: str) -> None:
    """Sets a field; errors start with the option the user typed instead of the field's path."""
    try:
        set_by_path(cfg, path, text)
    except ConfigError as error:
        raise ConfigError(f"{label}: {str(error).removeprefix(path + ': ')}") from None


def run_main(main: Callable[[], int | None]) -> NoReturn:
    """Runs a script's main function and exits; a `UserError` becomes one line on stderr and exit code 2.

    Args:
        main: Returns an exit code, or None for 0.
    """
    try:
        code = main()
    except UserError as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        code = 2
    except (AttributeError, ImportError, RuntimeError):  # as MuJoCo raises on import, if MUJOCO_GL is of no use
        fault = renderer_fault()
        if fault is None:
            raise
        print(f"error: {fault}", file=sys.stderr)
        code = 2
    except KeyboardInterrupt:
        code = 130  # what shells make of Ctrl-C
    sys.exit(code or 0)
