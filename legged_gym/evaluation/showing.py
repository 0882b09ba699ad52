"""Opens a viewer on an environment, for playing a policy and for watching a training."""

from collections.abc import Callable, Sequence
from typing import Any

from legged_gym.evaluation.agents import Agent, TeacherAgent
from legged_gym.evaluation.driving import Driver, command_limits
from legged_gym.evaluation.planning import StepPlanner
from legged_gym.evaluation.spectator import Spectator
from legged_gym.options.spec import RunSpec
from legged_gym.options.viewing import Viewing
from legged_gym.utils.checkpoint import load_checked
from legged_gym.utils.errors import UserError
from legged_gym.viewer.controls import DRIVING, WATCHING, Controls
from legged_gym.viewer.gamepad import find_gamepad
from legged_gym.viewer.view import Screen
from legged_gym.viewer.viewer import Viewer

WEB_FPS, TRAINING_FPS = 30.0, 10.0
"""Pictures per second of wall time, at most, in a page and of a training [1/s]."""
PAD_INTERVAL = 2
"""Policy steps between two looks at the gamepad."""


def make_planner(spec: RunSpec, env: Any, agent: Agent | None = None) -> StepPlanner | None:
    """Return a planner that draws the stepping teacher's plans; None for a task or a gait without one.

    Args:
        spec: The run.
        env: Its environment.
        agent: The robots' agent; a teacher shows its own offset, a checkpoint the one that it was taught with.
    """
    teacher = getattr(spec.train_cfg, "teacher", None)
    if teacher is None or "teacher" not in env.observation_terms:
        return None
    try:
        planner = StepPlanner(teacher.dcm, env, moves_clock=isinstance(agent, TeacherAgent))
    except UserError:  # a gait that the teacher does not walk
        return None
    if isinstance(agent, TeacherAgent):
        if agent.teacher.cfg.offset.enabled:
            planner.follow_offset(agent.teacher.network, agent.teacher.step_network)
    elif spec.checkpoint is not None and teacher.dcm.offset.enabled:
        saved = load_checked(spec.checkpoint).get("teacher_state") or {}
        planner.use_offset(saved.get("offset_network"))
    return planner


def open_playing(
    kind: str,
    viewing: Viewing,
    env: Any,
    spectator: Spectator,
    title: str,
    policies: Sequence[str] = (),
    policy: str | None = None,
) -> Viewer:
    """Open a viewer to drive the robots with; the environment calls it after every step.

    Args:
        kind: "web" or "native".
        viewing: Address of the page.
        env: The environment, its commands left to the driver.
        spectator: Takes the pictures.
        title: Title of the viewer.
        policies: Names of policies to switch to.
        policy: The present one.
    """
    controls = Controls(command_limits(env.cfg), env.num_envs, DRIVING)
    screen, fps = _open_screen(kind, viewing, env, controls, title, policies, policy)
    viewer = Viewer(screen, spectator.view, env.dt, controls, fps)
    viewer.realtime = True
    viewer.after_step = _after_step(spectator, controls, Driver(env, controls))
    env.viewer = viewer
    return viewer


def open_training(kind: str, viewing: Viewing, env: Any, spectator: Spectator, title: str) -> Viewer:
    """Open a viewer to watch a training with; it does nothing while nobody watches."""
    controls = Controls(command_limits(env.cfg), env.num_envs, WATCHING)
    screen, _ = _open_screen(kind, viewing, env, controls, title)
    viewer = Viewer(screen, spectator.view, env.dt, controls, TRAINING_FPS)

    def after_step() -> None:
        if screen.watched:
            spectator.follow(controls.robot)
            spectator.after_step()

    viewer.after_step = after_step
    env.viewer = viewer
    return viewer


def _open_screen(
    kind: str,
    viewing: Viewing,
    env: Any,
    controls: Controls,
    title: str,
    policies: Sequence[str] = (),
    policy: str | None = None,
) -> tuple[Screen, float]:
    """Open the page or the window, and say so; returns it and its pictures per second."""
    keys = "arrows and q, e drive, space stops, f shoves, " if controls.actions == DRIVING else ""
    if kind == "native":
        window = env.sim.open_window(controls.robot, controls)
        print(f"window: {keys}p pauses, v switches drawing off and on, Esc quits", flush=True)
        return window, 60.0
    from legged_gym.viewer.web import WebPage  # needs viser

    page = WebPage(
        env.sim.make_scene(),
        controls,
        title=title,
        plane=env.sim.options.terrain is None,
        policies=policies,
        policy=policy,
        host=viewing.host,
        port=viewing.port,
    )
    print(f"viewer: {page.invitation()}\n        {keys}p pauses, Ctrl-C ends", flush=True)
    return page, WEB_FPS


def _after_step(spectator: Spectator, controls: Controls, driver: Driver) -> Callable[[], None]:
    """Return the function to call after every step that is played."""
    pad, steps = find_gamepad(controls), 0
    if pad is not None:
        print(f"gamepad: {pad.name}; left stick forward and sideways, right stick turns, A stops, B shoves")

    def after_step() -> None:
        nonlocal steps
        steps += 1
        spectator.follow(controls.robot)
        spectator.after_step()
        if pad is not None and steps % PAD_INTERVAL == 0:
            pad.poll()
        driver.after_step()

    return after_step
