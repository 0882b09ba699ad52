"""Solid bodies in every simulator: legs and base do not pass through each other."""

import dataclasses

import mujoco
import numpy as np
import pytest
import torch

from legged_gym.sim.sim_options import SimOptions
from legged_gym.sim.sim_state import SimState
from tests.sim.conformance.bench import EVERY_PHYSICS_STEP, Bench, Reference, names

LEG_PARTS = ("hip", "knee", "foot")
LEGS = [(f"{one}_L_collision", f"{other}_R_collision") for one in LEG_PARTS for other in LEG_PARTS]
BASE = [("base_collision", f"{part}_{side}_collision") for side in "LR" for part in ("knee", "foot")]
FULL_TORQUE = 30.0
"""Distance of a target that no servo gets near to [rad]."""


class Gaps:
    """Distances between the shapes of a robot, and whether a pair has changed sides: plain MuJoCo's geometry."""

    def __init__(self, bench: Bench, pairs: list[tuple[str, str]]) -> None:
        self.reference = Reference(bench.robot)
        model = self.reference.model
        self.pairs = [(model.geom(one).id, model.geom(other).id) for one, other in pairs]
        self.before: dict[tuple[int, tuple[int, int]], tuple[float, np.ndarray]] = {}
        self.crossed = 0

    def smallest(self, state: SimState) -> np.ndarray:
        """Smallest distance of the pairs in each robot [m]. Shape (N,)."""
        model, data, ends = self.reference.model, self.reference.data, np.zeros(6)
        result = np.full(len(state.joint_pos), np.inf)
        for row in range(len(result)):
            self.reference.load(state, row)
            for pair in self.pairs:
                distance = mujoco.mj_geomDistance(model, data, *pair, 0.3, ends)
                axis = (ends[3:] - ends[:3]) * np.sign(distance)
                axis /= np.linalg.norm(axis) + 1e-9
                last, last_axis = self.before.get((row, pair), (np.inf, axis))
                # Closest points jump where shapes are far apart; close ones face the other way only once they passed.
                self.crossed += bool(min(distance, last) < 0.02 and axis @ last_axis < -0.2)
                self.before[row, pair] = distance, axis
                result[row] = min(result[row], distance)
        return result


def slam(bench: Bench, reach: float, both: bool) -> tuple[np.ndarray, np.ndarray, Gaps]:
    """Let legs spread by `reach` [rad] be driven into each other with full torque, in the air, in eight poses.

    Args:
        bench: Of the backend.
        reach: How far the legs are spread [rad].
        both: Drive both legs, and not the left one into the other, which is held.

    Returns:
        Smallest distance on the way, and at the end [m], shape (N,) each; the gaps, which saw every physics step.
    """
    sim = bench.make(8, EVERY_PHYSICS_STEP)
    draw = torch.Generator().manual_seed(1)
    pose, inwards = torch.zeros(8, 6), torch.tensor([-1.0, 0.0, 0.0, float(both), 0.0, 0.0])
    pose[:, 1:3] = torch.rand(8, 2, generator=draw) - 0.4
    pose[:, 4:6] = -pose[:, 1:3]
    pose[:, 0] = reach - 0.02 * torch.arange(8)
    pose[:, 3] = -pose[:, 0] * both
    bench.place(sim, pos=(0.0, 0.0, 50.0), q=pose)
    gaps = Gaps(bench, LEGS)
    seen = [gaps.smallest(bench.step(sim, pose + FULL_TORQUE * inwards)) for _ in range(160)]
    return np.min(seen, 0), seen[-1], gaps


def test_legs_are_solid(bench: Bench) -> None:
    """A leg driven into the other one with full torque, at 9 m/s, sinks in a little, and rests without overlap."""
    deepest, end, gaps = slam(bench, reach=1.3, both=False)
    assert gaps.crossed == 0, "legs went through each other"
    assert (deepest > -0.020).all(), f"sank in by {-1e3 * deepest.min():.0f} mm"
    assert (end > -0.005).all(), f"rest with an overlap of {-1e3 * end.min():.0f} mm"
    assert deepest.min() < 0.05, "legs do not get near each other: nothing is tested"


@pytest.mark.parametrize("reach", [0.1, 1.39], ids=["from_a_stand", "from_a_split"])
def test_legs_never_pass_each_other(bench: Bench, reach: float) -> None:
    """Not even both at full torque, at 14 to 17 m/s: more than the size of a foot in a physics step."""
    deepest, end, gaps = slam(bench, reach, both=True)
    assert gaps.crossed == 0 and (end > -0.005).all() and (deepest > -0.055).all()
    assert deepest.min() < 0.05, "legs do not get near each other: nothing is tested"


def test_a_foot_does_not_enter_the_base(bench: Bench) -> None:
    """Legs folded up with full torque stop at the base or at the joints' limits."""
    sim = bench.make(4, EVERY_PHYSICS_STEP)
    hips = torch.tensor([1.2, 0.6, -0.4, -0.9])
    pose = torch.stack((0.0 * hips, hips, -0.5 + 0.0 * hips, 0.0 * hips, -hips, 0.5 + 0.0 * hips), -1)
    fold = torch.tensor([0.0, -1.0, 1.0, 0.0, 1.0, -1.0])
    bench.place(sim, pos=(0.0, 0.0, 50.0), q=pose)
    forwards = torch.tensor([1.0, -1.0, 1.0] * 2)
    directions = torch.where(torch.arange(4).view(-1, 1) % 2 == 0, fold, fold * forwards)
    target = pose + FULL_TORQUE * directions
    gaps = Gaps(bench, BASE)
    seen = np.array([gaps.smallest(bench.step(sim, target)) for _ in range(160)])
    assert gaps.crossed == 0 and seen.min() > -0.020 and seen[-1].min() > -0.005
    assert seen.min() < 0.06, "no leg gets near the base: nothing is tested"


def test_forces_between_legs_are_equal_and_opposite(bench: Bench) -> None:
    """Legs that press against each other in the air: the net forces of all bodies sum to zero, both legs feel it."""
    sim = bench.make(1)
    pose = torch.tensor([0.1, 0.0, 0.0, -0.1, 0.0, 0.0])
    bench.place(sim, pos=(0.0, 0.0, 50.0), q=pose)
    state = bench.step(sim, pose + torch.tensor([-1.0, 0.0, 0.0, 1.0, 0.0, 0.0]), times=40)
    force = state.contact_force_w[0].cpu()
    left, right = force[names(bench, "_L_")].sum(0), force[names(bench, "_R_")].sum(0)
    assert left.norm() > 20.0
    torch.testing.assert_close(left, -right, rtol=1e-3, atol=0.05)
    assert force[names(bench, "base", "abad")].abs().max() < 1e-3
    if bench.backend.has_leg_force:
        assert state.peak_leg_force[0] >= 0.99 * left.norm()


def test_legs_pass_where_collisions_are_off(bench: Bench) -> None:
    """`self_collisions=False` is what it says: the same slam goes through, and nothing is felt."""
    sim = bench.make(1, dataclasses.replace(EVERY_PHYSICS_STEP, self_collisions=False))
    pose = torch.tensor([0.3, 0.0, 0.0, -0.3, 0.0, 0.0])
    bench.place(sim, pos=(0.0, 0.0, 50.0), q=pose)
    gaps = Gaps(bench, LEGS)
    deepest = min(gaps.smallest(bench.step(sim, -3.0 * pose)).min() for _ in range(80))
    assert deepest < -0.03 and (sim.state.contact_force_w == 0.0).all()


def test_a_walk_feels_no_phantom_contact(bench: Bench) -> None:
    """In the default pose and where legs stride past each other as in a walk, nothing touches."""
    sim = bench.make(2, SimOptions(num_threads=1))
    bench.place(sim, pos=(0.0, 0.0, 50.0))
    for k in range(25):
        swing = 0.4 * np.sin(2.0 * np.pi * k / 25)
        lift = 0.5 * max(np.sin(2.0 * np.pi * k / 25), 0.0)
        state = bench.step(sim, (0.0, swing, lift, 0.0, swing, lift))
        assert (state.contact_force_w == 0.0).all() and (state.peak_leg_force == 0.0).all()
    assert state.joint_vel.abs().max() > 0.5, "the legs do not move: nothing is tested"
