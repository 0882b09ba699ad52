"""Where CoM and DCM go if the plan is kept: the rest of this step and some steps more, in closed form.

One motion from now on: over each step's pivot both obey the LIP, and where a step ends the next one begins. Footholds
drive it. That of this step is p* with the learned offset and at the time that was chosen for it; from where it lands
the stepping law goes on. Later steps have no offset of their own: it repairs what the LIP leaves out, and the LIP is
all that is known of them.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from legged_gym.teacher import lipm
from legged_gym.teacher.frame import StepFrame
from legged_gym.teacher.predictor import DcmPredictor, StepPlan
from legged_gym.teacher.preview import preview_steps


class Trajectory(NamedTuple):
    """Motion over K steps, the present one first, in its frame M: points are (2, K, N), from the stance foot."""

    omega: Tensor
    """Natural frequency (N,) [rad/s]."""
    begin: Tensor
    """When each step begins, from now, and when the last one ends (K + 1, N) [s]."""
    feet: Tensor
    """Stance foot of each step, and where the last one lands (2, K + 1, N) [m]."""
    pivot: Tensor
    """Point from which the DCM diverges in each step (2, K, N) [m]."""
    com: Tensor
    """CoM when each step begins (2, K, N) [m]."""
    xi: Tensor
    """DCM when each step begins (2, K, N) [m]."""

    def at(self, time: Tensor) -> tuple[Tensor, Tensor]:
        """CoM and DCM (2, S, N) each [m] at times from now (S, N) [s]; differentiable in all but the step they are in.

        Before now and beyond the end the first and the last step go on.
        """
        step = (time.unsqueeze(1) >= self.begin[1:-1]).sum(dim=1)  # (S, N)
        pivot, com, xi = (rows.gather(1, step.expand(2, -1, -1)) for rows in (self.pivot, self.com, self.xi))
        since = time - self.begin.gather(0, step)
        return (
            lipm.propagate_com(com, xi, pivot, self.omega, since),
            lipm.propagate_dcm(xi, pivot, self.omega, since),
        )


def planned_trajectory(frame: StepFrame, plan: StepPlan, predictor: DcmPredictor, steps: int) -> Trajectory:
    """Rolls a plan ahead.

    Args:
        frame: the state at the stance foot.
        plan: the present step's.
        predictor: the stepping law of the later steps; that of Raibert is followed by this step only.
        steps: how many steps to look beyond this one H; each takes the gait's nominal time.

    Returns:
        The motion over K = H + 1 steps; differentiable in state and learned offset.
    """
    duration = frame.duration
    lands = plan.foothold - (plan.xi_end - plan.offset_b)  # the learned offset, and by how much the box moved it
    zero = torch.zeros_like(lands)
    parts = {
        "xi": plan.xi,
        "pivot": plan.pivot,
        "time": plan.time_left,
        "plan": plan.xi_end - plan.offset_b,
        "velocity": plan.velocity,
        "wanted": plan.wanted,
        "command": torch.cat((plan.wanted, zero[:1])),
        "turn_rate": plan.turn_rate,
        "yaw_force": zero[0],
        "yaw_shift": plan.pivot - predictor.gaits(plan.omega, duration).pivot,
        "omega": plan.omega,
        "duration": duration,
    }
    offset = iter([lands, *[zero] * steps])
    begin, origin, com = torch.zeros_like(duration), zero, frame.com_xy
    side = torch.ones_like(zero)
    begins, feet, pivots, coms, xis = [begin], [origin], [], [com], []
    for step in preview_steps(parts, lambda _: next(offset), [0.0] * (steps + 1), predictor):
        turned = plan.turn_rate * begin  # of this step's frame against that of now, whose y is the first step's
        xi, pivot, foothold = (
            lipm.rotate(side * point, turned) + origin
            for point in (step.parts["xi"], step.parts["pivot"], step.foothold)
        )
        com = lipm.propagate_com(com, xi, pivot, plan.omega, step.parts["time"])
        begin, origin, side = begin + step.parts["time"], foothold, torch.stack((side[0], -side[1]))
        begins.append(begin)
        feet.append(origin)
        pivots.append(pivot)
        coms.append(com)
        xis.append(xi)
    return Trajectory(
        omega=plan.omega,
        begin=torch.stack(begins),
        feet=torch.stack(feet, dim=1),
        pivot=torch.stack(pivots, dim=1),
        com=torch.stack(coms[:-1], dim=1),
        xi=torch.stack(xis, dim=1),
    )


class PathTracking:
    """Follows the CoM beside the path that was planned for it.

    In each step that is the path of the last plan before the step began: it leads over where the foot was to land, and
    begins where CoM and DCM were to be then. So it shows both whether the foot landed there and whether the body then
    moved as the LIP does. The first step of an episode has the path from its own beginning.

    Args:
        num_envs: number of robots N.
        dt: time between two evaluations [s].
        template: a tensor of the device and dtype to compute on.
    """

    def __init__(self, num_envs: int, dt: float, template: Tensor) -> None:
        self._dt = template.new_tensor(dt)
        self.buffer = template.new_zeros(2, 3, 2, num_envs)
        """CoM, DCM and pivot in W [m]: now on the path of this step; on that of the next one when it begins."""

    def __call__(
        self, frame: StepFrame, plan: StepPlan, predictor: DcmPredictor, landed: Tensor, fresh: Tensor
    ) -> Tensor:
        """Distance of the CoM from its path (N,) [m]; due at every evaluation of the teacher.

        Args:
            frame: the state at the stance foot.
            plan: the step that was planned from there.
            predictor: the stepping law.
            landed: where the step has just begun (N,), bool.
            fresh: where the episode has just begun (N,), bool.
        """
        ahead = planned_trajectory(frame, plan, predictor, 1)
        rows = torch.stack((ahead.com, ahead.xi, ahead.pivot), dim=0)  # (3, 2, K, N)
        planned = frame.to_world(rows.permute(2, 0, 1, 3).flatten(0, 1)).view_as(self.buffer) + frame.stance_w[:2]
        path = torch.where(landed, self.buffer[1], self.buffer[0])
        since = torch.where(landed, frame.elapsed, self._dt)
        com, xi, pivot = path
        followed = (
            lipm.propagate_com(com, xi, pivot, plan.omega, since),
            lipm.propagate_dcm(xi, pivot, plan.omega, since),
            pivot,
        )
        self.buffer[0] = torch.where(fresh, planned[0], torch.stack(followed))
        self.buffer[1] = planned[1]
        return torch.hypot(*(planned[0, 0] - self.buffer[0, 0]).unbind())
