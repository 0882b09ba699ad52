"""The options that scripts share, read into a `Request`; nothing is decided here."""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from legged_gym.options import cli
from legged_gym.options.cli import Parser
from legged_gym.options.help_config import print_fields
from legged_gym.options.tasks import load_tasks
from legged_gym.utils.errors import UserError, unknown_name

SCOPES = ("env", "train")
"""Configs that overrides may change: the environment's and the training's."""
AGENTS = ("checkpoint", "pretrained", "teacher", "onnx", "zero", "random")
"""Agents that can control the robots."""
FIELDS: dict[str, tuple[str, ...]] = {
    "robot": ("env.asset.robot_type",),
    "num_envs": ("env.env.num_envs",),
    "sim": ("env.sim.backend",),
    "sim_process": ("env.sim.process.enabled",),
    "seed": ("env.seed", "train.seed"),
    "max_iterations": ("train.runner.max_iterations",),
    "experiment_name": ("train.runner.experiment_name",),
    "run_name": ("train.runner.run_name",),
    "resume": ("train.runner.resume",),
    "load_run": ("train.runner.load_run",),
    "checkpoint": ("train.runner.checkpoint",),
    "logger": ("train.runner.logger",),
    "keep": ("train.runner.keep",),
}
"""Config fields behind the named options."""


@dataclass(frozen=True)
class Setting:
    """One config field that the user sets."""

    option: str
    """The option as it is typed, for messages: `--seed`, `--env.sim.dt`."""
    field: str
    """Path of the field with its scope: `env.sim.dt`."""
    text: str


@dataclass(frozen=True)
class Request:
    """The shared part of a command line."""

    task: str
    imports: tuple[str, ...] = ()
    """Packages of the user's to import, which register tasks."""
    settings: tuple[Setting, ...] = ()
    """Settings in order: of two for one field the later one wins."""
    sim_device: str | None = None
    rl_device: str | None = None
    headless: bool = True
    log_root: Path | None = None
    """Folder of the runs; None for the default one."""
    agent: str | None = None
    """Agent that controls the robots, one of `AGENTS` or pretrained:NAME; None if a policy is trained."""
    onnx: Path | None = None
    offset: Path | None = None
    argv: tuple[str, ...] = ()
    """The command line as it was given."""

    def sets(self, field: str) -> bool:
        """Tells whether the user sets a config field."""
        return any(setting.field == field for setting in self.settings)


def with_agent(request: Request, agent: str, option: str) -> Request:
    """Return a request for another agent that differs in nothing else.

    Args:
        request: The request for the first agent.
        agent: One of `AGENTS`, pretrained:NAME, a folder of ONNX files without checkpoints, or what `--load_run` takes.
        option: The option that names it, for messages.

    Raises:
        UserError: It is "onnx", which does not say where the files are.
    """
    if agent == "onnx" and not Path(agent).is_dir():
        raise UserError(f"{option}: got 'onnx', expected the folder of the ONNX files")
    own = [setting for setting in request.settings if setting.field not in _AGENTS_OWN]
    request = replace(request, onnx=None, offset=None, settings=tuple(own))
    if agent.partition(":")[0] in AGENTS:
        return replace(request, agent=agent)
    path = Path(agent).expanduser()
    if (path / "policy.onnx").is_file() and not any(path.glob("model_*.pt")):
        return replace(request, agent="onnx", onnx=path)
    setting = Setting(option, "train.runner.load_run", agent)
    return replace(request, agent="checkpoint", settings=(*own, setting))


_AGENTS_OWN = ("train.runner.load_run", "train.runner.checkpoint")
"""Fields that choose the policy."""


def make_parser(description: str, *, runs: bool = False, training: bool = False, agent: bool = False) -> Parser:
    """Builds a parser with the options that scripts share; a script may add its own.

    Args:
        description: Purpose of the script, for `--help`.
        runs: With the options that choose a saved run; implied by the other two.
        training: With the options of a new run, and of resuming a saved one.
        agent: With the options that choose the agent.

    Returns:
        The parser, for `parse_args`.
    """
    parser = Parser(
        description=description,
        allow_abbrev=False,  # --num_env must not silently become --num_envs
        epilog="Any config field: --env.SECTION.FIELD=VALUE or --train.SECTION.FIELD=VALUE, "
        "as in --env.commands.ranges.lin_vel_x=-0.5,1 (--help_config lists them)",
    )
    add = parser.add_argument_group("task and robot").add_argument
    add("--task", default="pointfoot_flat", help="what to learn (default: %(default)s)")
    add(
        "--import",
        action="append",
        default=[],
        dest="imports",
        metavar="PACKAGE",
        help="import this package first, so that it registers its tasks (may be repeated)",
    )
    add("--help_config", action="store_true", help="list every config field of the task, and stop")
    add("--robot", metavar="ROBOT", help="name of a robot, its folder or its URDF (default: $ROBOT_TYPE, or PF_TRON1A)")
    add("--num_envs", type=int, metavar="N", help="robots simulated side by side")
    add("--seed", type=int, metavar="N", help="seed of all random numbers")
    add = parser.add_argument_group("where it runs").add_argument
    add("--headless", action=argparse.BooleanOptionalAction, default=False, help="run without a window")
    add("--sim_device", metavar="DEVICE", help="where physics runs: cpu, cuda, cuda:<index>")
    add("--rl_device", metavar="DEVICE", help="where learning runs: cpu, cuda, cuda:<index>")
    add("--sim", metavar="NAME", help="physics engine, e.g. auto, mujoco, isaacgym (default: auto)")
    add("--sim_process", action="store_true", default=None, help="give the physics engine a process of its own")
    if runs or training or agent:
        _add_runs(parser)
    if training:
        _add_training(parser)
    if agent:
        _add_agent(parser)
    return parser


def _add_runs(parser: Parser) -> None:
    add = parser.add_argument_group("saved runs").add_argument
    add("--log_root", type=cli.path, metavar="DIR", help="folder of the runs (default: logs/)")
    add("--experiment_name", metavar="NAME", help="folder of the task's runs inside --log_root")
    add(
        "--load_run", metavar="RUN", help="name or path of a run, or path of a checkpoint (default, and -1: the newest)"
    )
    add("--checkpoint", type=int, metavar="N", help="iteration to load (default, and -1: the last one)")


def _add_training(parser: Parser) -> None:
    add = parser.add_argument_group("this run").add_argument
    add("--resume", action="store_true", default=None, help="go on from the checkpoint of --load_run, --checkpoint")
    add("--run_name", metavar="NAME", help="added to the time in the run's folder name")
    add("--max_iterations", type=int, metavar="N", help="training iterations of this run")
    add("--keep", metavar="N,EVERY", help="keep the newest N checkpoints (0: all), and each EVERY-th for good")
    add("--logger", choices=("tensorboard", "wandb", "neptune"), help="where curves go (default: tensorboard)")


def _add_agent(parser: Parser) -> None:
    add = parser.add_argument_group("agent").add_argument
    kinds = ", ".join(AGENTS).replace("pretrained", "pretrained[:POLICY]")
    add("--agent", metavar="NAME", help=f"{kinds} (default: checkpoint, see --load_run)")
    add("--onnx", type=cli.path, metavar="DIR", help="folder with encoder.onnx and policy.onnx; implies --agent onnx")
    add("--offset", type=cli.path, metavar="FILE", help="learned DCM offset of --agent teacher")


def parse_args(parser: Parser, argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Parses a command line.

    Args:
        parser: From `make_parser`.
        argv: Arguments without the program's name; those of the process if None.

    Returns:
        The script's own options, with the shared ones as `request`.

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
    if args.help_config:
        load_tasks(args.imports)
        print_fields(args.task)
        parser.exit()
    args.request = _request(args, overrides, argv)
    return args


def _request(args: argparse.Namespace, overrides: list[Setting], argv: Sequence[str]) -> Request:
    given = vars(args)
    named = [
        Setting(f"--{option}", field, str(given[option]))
        for option, fields in FIELDS.items()
        for field in fields
        if given.get(option) is not None
    ]
    return Request(
        task=args.task,
        imports=tuple(args.imports),
        settings=(*named, *overrides),  # a field by its own name goes before the option that stands for it
        sim_device=args.sim_device,
        rl_device=args.rl_device,
        headless=args.headless,
        log_root=given.get("log_root"),
        agent=_agent(given),
        onnx=given.get("onnx"),
        offset=given.get("offset") if "agent" in given else None,
        argv=tuple(argv),
    )


def _agent(given: dict[str, object]) -> str | None:
    """Returns the agent that is named or implied; None for a script without agents."""
    if "agent" not in given:
        return None
    implied = "onnx" if given.get("onnx") is not None else "checkpoint"
    return str(given["agent"] or implied)


def _split_overrides(argv: Sequence[str]) -> tuple[list[str], list[Setting]]:
    """Takes the `--env.a=b` and `--env.a b` pairs out of a command line."""
    rest: list[str] = []
    overrides: list[Setting] = []
    words = iter(argv)
    for word in words:
        field, equals, text = word.removeprefix("--").partition("=")
        scope, dot, _ = field.partition(".")
        if not (word.startswith("--") and dot and scope in SCOPES):
            rest.append(word)
            continue
        value = text if equals else next(words, None)
        if value is None or (not equals and value.startswith("--")):
            raise UserError(f"--{field}: needs a value, e.g. --{field}=VALUE")
        overrides.append(Setting(f"--{field}", field, value))
    return rest, overrides
