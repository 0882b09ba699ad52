"""From a command line to an environment and an agent; shared by play and evaluate."""

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from legged_gym.evaluation.agents import AGENTS, Agent, OnnxAgent, PolicyAgent, RandomAgent, TeacherAgent, ZeroAgent
from legged_gym.evaluation.shipping import pretrained_checkpoint
from legged_gym.utils import machine
from legged_gym.utils.checkpoint import load_checked
from legged_gym.utils.cli import Override, Parser, apply_args, make_parser
from legged_gym.utils.config import set_by_path
from legged_gym.utils.errors import UserError, unknown_name
from legged_gym.utils.run_setup import apply_robot
from legged_gym.utils.task_registry import choose_devices, find_checkpoint, robot_name, task_registry

_BELONGS_TO = {"onnx": "onnx", "offset": "teacher", "load_run": "checkpoint", "checkpoint": "checkpoint"}
"""Option -> the only agent that it says something about."""


@dataclass
class Session:
    """What the command line asks for, checked, before anything is built."""

    agent: str
    """Kind of agent, one of `AGENTS`."""
    env_cfg: Any
    """Config of the environment: the run's own if the agent is a trained policy, then the user's options."""
    train_cfg: Any
    checkpoint: Path | None = None
    """File of the policy, if the agent is a checkpoint or pretrained."""
    onnx_dir: Path | None = None
    """Folder of encoder.onnx and policy.onnx, if the agent is one."""

    @property
    def source(self) -> str | None:
        """Where the agent comes from: run and checkpoint, or folder."""
        if self.checkpoint is not None:
            return f"{self.checkpoint.parent.name}/{self.checkpoint.name}"
        return self.onnx_dir.name if self.onnx_dir is not None else None

    @property
    def title(self) -> str:
        """Kind of agent, and where it comes from if from anywhere."""
        return self.agent if self.source is None else f"{self.agent} {self.source}"


def make_agent_parser(description: str) -> Parser:
    """Build the shared parser with the options that say which agent is meant."""
    parser = make_parser(description)
    kinds = ", ".join(AGENTS).replace("pretrained", "pretrained[:POLICY]")
    parser.add_argument("--agent", metavar="NAME", help=f"{kinds} (default: checkpoint, see --load_run)")
    parser.add_argument("--onnx", metavar="DIR", help="folder with encoder.onnx and policy.onnx; implies --agent onnx")
    parser.add_argument("--offset", metavar="FILE", help="learned DCM offset of --agent teacher")
    return parser


def open_session(args: argparse.Namespace) -> Session:
    """Read and check the command line; finds the checkpoint, builds nothing.

    Raises:
        UserError: Something is unknown, contradictory or not there.
    """
    agent, _, policy = (args.agent or ("onnx" if args.onnx else "checkpoint")).partition(":")
    if policy and agent != "pretrained":
        raise UserError(f"--agent={args.agent}: only pretrained:POLICY has a part after the colon")
    if agent not in AGENTS:
        raise UserError(unknown_name("agent", agent, AGENTS))
    for option, kind in _BELONGS_TO.items():
        if getattr(args, option) is not None and agent != kind:
            raise UserError(f"--{option} goes with --agent {kind}, not with --agent {agent}")
    args.resume = None
    choose_devices(args, machine.detect())
    env_cfg, train_cfg = task_registry.get_cfgs(args.task)
    _keep_policy_rate(args, env_cfg)
    apply_args(args, env_cfg, train_cfg)
    apply_robot(env_cfg, train_cfg)
    apply_args(args, env_cfg, train_cfg)  # again: what the user says goes before the robot's own values
    session = Session(agent, env_cfg, train_cfg)
    if agent in ("checkpoint", "pretrained"):
        if agent == "pretrained":
            session.checkpoint = pretrained_checkpoint(policy or args.task, robot_name(env_cfg))
        else:
            session.checkpoint = _find_checkpoint(env_cfg, train_cfg)
        load_checked(session.checkpoint)
        session.env_cfg, session.train_cfg = task_registry.get_cfgs(args.task, session.checkpoint.parent)
        apply_args(args, session.env_cfg, session.train_cfg)
    elif agent == "onnx":
        if args.onnx is None:
            raise UserError("--agent onnx needs --onnx=DIR, a folder with encoder.onnx and policy.onnx")
        session.onnx_dir = Path(args.onnx).expanduser()
    return session


def _find_checkpoint(env_cfg: Any, train_cfg: Any) -> Path:
    """Find the run that is meant; who has none yet is told of the policies that come with the package."""
    robot_name(env_cfg)  # there are none for an unknown one
    try:
        return find_checkpoint(env_cfg, train_cfg)
    except UserError as error:
        hint = "" if train_cfg.runner.load_run != "-1" else ", or --agent=pretrained"
        raise UserError(f"{error}{hint}") from None


def _keep_policy_rate(args: argparse.Namespace, env_cfg: Any) -> None:
    """With another physics step, change the number of physics steps too, so that the policy still runs at its rate."""
    changed = {override.path: override.text for override in args.overrides if override.scope == "env"}
    if "sim.dt" not in changed or "control.decimation" in changed:
        return
    policy_dt = env_cfg.policy_dt
    set_by_path(env_cfg, "sim.dt", changed["sim.dt"])
    steps = round(policy_dt / env_cfg.sim.dt)
    if steps < 1 or abs(steps * env_cfg.sim.dt - policy_dt) > 1e-6:
        raise UserError(
            f"--env.sim.dt: {env_cfg.sim.dt:g} s does not divide the policy step of {policy_dt:g} s; "
            "set --env.control.decimation too"
        )
    args.overrides.append(Override("env", "control.decimation", str(steps)))


def make_agent(session: Session, args: argparse.Namespace, env: Any) -> Agent:
    """Build the agent for an environment.

    Raises:
        UserError: The policy cannot be loaded or does not fit.
    """
    if session.agent == "zero":
        return ZeroAgent(env.num_actions)
    if session.agent == "random":
        return RandomAgent(env.num_actions)
    if session.agent == "teacher":
        return TeacherAgent(env, session.train_cfg.teacher.dcm, args.offset)
    if session.onnx_dir is not None:
        return OnnxAgent(session.onnx_dir)
    return PolicyAgent(load_actor(session, args, env), args.rl_device)


def make_builder(session: Session, args: argparse.Namespace) -> Callable[[Any], tuple[Any, Agent]]:
    """Return what makes environment and agent from an environment's config that the options are already in."""
    settled = argparse.Namespace(**vars(args) | {"num_envs": None, "seed": None})
    settled.overrides = [override for override in args.overrides if override.scope != "env"]

    def build(cfg: Any) -> tuple[Any, Agent]:
        env, _ = task_registry.make_env(args.task, settled, cfg)
        return env, make_agent(session, settled, env)

    return build


def load_actor(session: Session, args: argparse.Namespace, env: Any) -> Any:
    """Load the actor of the session's checkpoint, in evaluation mode.

    Raises:
        UserError: The checkpoint does not fit the run's config, or its weights are not finite.
    """
    session.train_cfg.runner.resume = False
    session.train_cfg.teacher.enabled = False
    runner, _ = task_registry.make_alg_runner(env, args.task, args, session.train_cfg, log_root=None)
    try:
        runner.load(str(session.checkpoint), load_cfg={"actor": True})
    except (RuntimeError, KeyError) as error:
        raise UserError(f"{session.checkpoint}: does not fit the run's config ({str(error).splitlines()[0]})") from None
    actor = runner.get_inference_policy(args.rl_device)
    broken = [name for name, value in runner.alg.actor.named_parameters() if not bool(value.isfinite().all())]
    if broken:
        raise UserError(f"{session.checkpoint}: holds numbers that are not finite, in {', '.join(broken)}")
    return actor
