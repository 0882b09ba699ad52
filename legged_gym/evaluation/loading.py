"""From a resolved run to an environment and an agent, for everything that judges or shows one."""

import copy
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from legged_gym.evaluation.agents import Agent, OnnxAgent, PolicyAgent, RandomAgent, TeacherAgent, ZeroAgent
from legged_gym.options.setup import make_env, make_runner
from legged_gym.options.spec import RunSpec
from legged_gym.utils.errors import UserError


def make_agent(spec: RunSpec, env: Any) -> Agent:
    """Build the agent for an environment.

    Raises:
        UserError: The policy cannot be loaded or does not fit.
    """
    agent = spec.agent
    if agent is None:
        raise ValueError(f"{spec.title}: a run that trains has no agent")
    if agent.kind == "zero":
        return ZeroAgent(env.num_actions)
    if agent.kind == "random":
        return RandomAgent(env.num_actions)
    if agent.kind == "teacher":
        return TeacherAgent(env, copy.deepcopy(spec.train_cfg.teacher.dcm), agent.offset)
    if agent.onnx is not None:
        return OnnxAgent(agent.onnx)
    return PolicyAgent(load_actor(spec, env), spec.rl_device)


def make_builder(spec: RunSpec) -> Callable[[Any], tuple[Any, Agent]]:
    """Return a function that builds environment and agent from an environment's config."""

    def build(cfg: Any) -> tuple[Any, Agent]:
        env = make_env(spec, cfg)
        return env, make_agent(spec, env)

    return build


def load_actor(spec: RunSpec, env: Any) -> Any:
    """Load the actor of a run's checkpoint, in evaluation mode.

    Raises:
        UserError: The checkpoint does not fit the run's config, or holds numbers that are not finite.
    """
    cfg = copy.deepcopy(spec.train_cfg)
    cfg.teacher.enabled = False
    runner = make_runner(replace(spec, train_cfg=cfg), env, write=False)
    try:
        runner.load(str(spec.checkpoint), load_cfg={"actor": True})
    except (RuntimeError, KeyError) as error:
        raise UserError(f"{spec.checkpoint}: does not fit the run's config ({str(error).splitlines()[0]})") from None
    return runner.get_inference_policy(spec.rl_device)
