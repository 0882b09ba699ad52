"""How much of the closed form's landing error can be foreseen: about the least that a Δξ can leave.

The teacher walks in closed form in ideal physics, under the commands of a beginner and at one gait, without pushes.
The state at some phase of a step goes into a regression of the DCM offset error e_n at its end: first what Δξ sees,
then also tilt, rates, joints and velocity of the base, all mirrored like the step. The robots that it is judged on are
not among those that it has seen. What is left is about what a Δξ of these inputs must leave: a better fit may leave a
little less.

    python benchmarks/offset_limit.py [--result FILE] [OPTIONS OF train_teacher.py]
"""

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from legged_gym.evaluation import results
from legged_gym.evaluation.suites import nominal_cfg
from legged_gym.options.cli import run_main
from legged_gym.options.request import make_parser, parse_args
from legged_gym.options.resolve import resolve
from legged_gym.options.setup import make_env
from legged_gym.runners.teachers import make_teacher
from legged_gym.teacher.dcm_teacher import DcmTeacher
from legged_gym.teacher.frame import observe

PHASES = {"at_the_start_of_a_step": 0.0, "after_a_third": 0.3, "after_two_thirds": 0.6}
"""Row -> share of the step at which its end is foreseen."""
POLICY_STEPS = 1500
JUDGED = 4
"""One robot of so many is judged on."""


class Walk(NamedTuple):
    """What the teacher saw and did in each policy step (T, N, ·)."""

    inputs: Tensor
    """Of the offset network."""
    others: Tensor
    """What else it could see, see `others`."""
    touchdown: Tensor
    """1 where a step has ended (T, N)."""
    error: Tensor
    """e_n of that step [m]."""
    weight: Tensor
    """Trust in the touchdown, 0 if the command has changed during the step (T, N)."""
    fresh: Tensor
    """1 where an episode begins (T, N)."""


class Steps(NamedTuple):
    """Steps of all robots (S, ·)."""

    inputs: Tensor
    others: Tensor
    error: Tensor
    """e_n at the end [m]."""
    weight: Tensor
    """(S,)."""
    robot: Tensor
    """(S,)."""


def ideal(cfg: Any) -> Any:
    """Return a task's config in ideal physics, with the commands of a beginner."""
    changed = nominal_cfg(cfg, "ideal")
    changed.commands.ranges = cfg.commands.initial_ranges
    return changed


def others(teacher: DcmTeacher, obs: Tensor) -> Tensor:
    """Tilt, rates and velocity of the base, angles and speeds of stance and swing leg, as in the mirrored frame.

    Args:
        teacher: Whose observation it is.
        obs: The observation (N, num_obs).

    Returns:
        (N, 20); rates in rad/s, speeds in m/s and rad/s, angles in rad.
    """
    state = teacher.layout.parse(obs)
    frame = observe(state)
    left, side = frame.stance[0], frame.side
    rates = side * (frame.base_axes * state.base_ang_vel_b.unsqueeze(1)).sum(dim=0)
    legs = []
    for joints in (state.joint_pos, state.joint_vel):
        pair = torch.stack((joints[:3], -joints[3:]))  # the axes of the two legs are each other's mirror image
        legs += [torch.where(left > 0.0, pair[0], pair[1]), torch.where(left > 0.0, pair[1], pair[0])]
    return torch.cat((frame.base_axes[2, :2], rates, frame.com_vel, *legs)).t()


@torch.inference_mode()
def walk(env: Any, teacher: DcmTeacher, steps: int) -> Walk:
    """Let the teacher walk, and record it."""
    obs, rows = env.reset(), []
    for _ in range(steps):
        out = teacher.step(obs["teacher"])
        trust = out.weight * out.steady  # a plan that came too late for the swing foot says nothing about the law
        seen = others(teacher, obs["teacher"])
        fields = (out.inputs, seen, out.touchdown, out.touchdown_error, trust, out.fresh)
        rows.append([field.clone() for field in fields])
        env.shift_gait_clock(out.clock_shift)
        obs, *_ = env.step(out.action)
    return Walk(*map(torch.stack, zip(*rows, strict=True)))


def steps_of(walked: Walk, phase: float) -> Steps:
    """Cut what was recorded into whole steps, each with what was seen at a share of it."""
    found = []
    episode = walked.fresh.cumsum(0)
    for robot in range(walked.touchdown.shape[1]):
        ends = walked.touchdown[:, robot].nonzero().flatten()
        start, end = ends[:-1], ends[1:]
        whole = episode[start, robot] == episode[end, robot]
        start, end = start[whole], end[whole]
        found.append(torch.stack((start + ((end - start) * phase).long(), end, torch.full_like(end, robot))))
    seen, ends, robots = torch.cat(found, dim=1)
    chosen = (walked.inputs[seen, robots], walked.others[seen, robots])
    return Steps(*chosen, walked.error[ends, robots], walked.weight[ends, robots], robots)


def left_over(features: Tensor, steps: Steps, passes: int = 60) -> float:
    """Fit the error by a network; returns what is left of it on other robots, as a share of its root mean square."""
    judged = steps.robot % JUDGED == 0
    mean, deviation = features[~judged].mean(0), features[~judged].std(0) + 1e-6
    scaled, unit = ((features - mean) / deviation).clamp(-5.0, 5.0), steps.error[~judged].std(0)
    network = nn.Sequential(nn.Linear(scaled.shape[1], 128), nn.ELU(), nn.Linear(128, 128), nn.ELU(), nn.Linear(128, 2))
    optimizer = torch.optim.AdamW(network.parameters(), 2e-3, weight_decay=1e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, passes)
    rows = (~judged).nonzero().flatten()
    for _ in range(passes):
        for batch in rows[torch.randperm(len(rows))].split(2048):
            miss = (network(scaled[batch]) - steps.error[batch] / unit).square().sum(-1)
            optimizer.zero_grad()
            (steps.weight[batch] * miss).mean().backward()
            optimizer.step()
        schedule.step()
    with torch.no_grad():
        miss = (steps.error - network(scaled) * unit)[judged].square().sum(-1)
        whole, weight = steps.error[judged].square().sum(-1), steps.weight[judged]
        return math.sqrt(((weight * miss).sum() / (weight * whole).sum()).item())


def main() -> None:
    """Measure from the command line."""
    parser = make_parser("What of the landing error can be foreseen.")
    results.add_option(parser)
    parser.set_defaults(headless=True, num_envs=256)
    args = parse_args(parser)
    spec = resolve(args.request, ideal)
    env = make_env(spec)
    cfg = spec.train_cfg.teacher.dcm
    cfg.offset.enabled = False
    walked = walk(env, make_teacher(cfg, env, spec.rl_device), POLICY_STEPS)
    figures: dict[str, dict[str, results.Figure]] = {}
    for name, phase in PHASES.items():
        steps = steps_of(walked, phase)
        both = torch.cat((steps.inputs, steps.others), dim=-1)
        shares = left_over(steps.inputs, steps), left_over(both, steps)
        figures[name] = {"inputs": {"value": shares[0]}, "all": {"value": shares[1]}}
        print(
            f"{name}: of {len(steps.error)} steps {shares[0]:.2f} of the error is left, {shares[1]:.2f} by all",
            flush=True,
        )
    if args.result is not None:
        columns = {"inputs": ("of the closed form's error", 2), "all": ("of the closed form's error", 2)}
        title = "What a regression cannot foresee of the closed form's landing error"
        note = "inputs: from what Δξ sees. all: also from tilt, rates, joints and velocity of the base."
        results.save(args.result, title, "Teacher", columns, figures, "", [spec.env_cfg.seed], note=note)


if __name__ == "__main__":
    run_main(main)
