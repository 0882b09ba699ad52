"""The reflection in the sagittal plane: of observations and actions against physics, and who refuses it."""

import pytest
import torch

from legged_gym.envs.base.legged_robot import LeggedRobot
from legged_gym.envs.base.symmetry import AXIAL, VECTOR
from legged_gym.sim.sim_state import Placement
from legged_gym.utils.errors import UserError
from legged_gym.utils.mirror import Mirror
from tests.envs.making import CLEAN, MakeEnv

GROUPS = ("policy", "command", "velocity")


def walk_reflected(env: LeggedRobot, steps: int) -> dict[str, torch.Tensor]:
    """Let a robot and its reflection step from a landing to the next one; returns what both observe. Shapes (2, W)."""
    random = torch.Generator().manual_seed(3)

    def draw(width: int, size: float) -> torch.Tensor:
        return size * (2.0 * torch.rand(1, width, generator=random) - 1.0)

    def both(x: torch.Tensor, mirror: Mirror | None = None, signs: tuple[float, ...] = ()) -> torch.Tensor:
        return torch.cat((x, x * x.new_tensor(signs) if mirror is None else mirror(x)))

    joints = env.symmetry().action
    env.reset()
    quaternion = torch.nn.functional.normalize(torch.tensor([[0.06, -0.05, 0.1, 1.0]]))
    placed = Placement(
        both(torch.tensor([[0.0, 0.0, 0.85]]), signs=(1.0, -1.0, 1.0)),
        both(quaternion, signs=(-1.0, 1.0, -1.0, 1.0)),
        both(draw(3, 0.4), signs=VECTOR),
        both(draw(3, 0.4), signs=AXIAL),
        both(draw(6, 0.2), joints),
        both(draw(6, 0.5), joints),
    )
    everyone = torch.ones(2, dtype=torch.bool)
    env.sim.reset(everyone, placed)
    env.gait.clock.copy_(torch.tensor([0.1, 0.6]))
    env.gait.params.copy_(torch.tensor([2.0, 0.5, 0.5, 0.1]))
    env.commands.set(torch.tensor([[0.3, 0.2, 0.4], [0.3, -0.2, -0.4]]), everyone)
    for _ in range(steps):
        observed, *_ = env.step(both(draw(6, 1.5), joints))
    assert not env.episodes.fell.any() and env.state.feet_force_w.abs().sum() > 50.0
    return {name: observed[name] for name in GROUPS}


def test_physics_agrees_with_the_mirror(make_env: MakeEnv) -> None:
    """Each sign and each exchange is told by physics: any other one is far from what the reflected robot observes."""
    env = make_env(2, CLEAN)
    symmetry, observed = env.symmetry(), walk_reflected(env, 16)
    for name in GROUPS:
        mirror, (straight, reflected) = getattr(symmetry, name), observed[name]
        error = (mirror(straight) - reflected).abs()
        assert error.max() < 0.003, f"{name}: as far as the robot itself is symmetric"
        for i in range(len(mirror.rows)):
            wrong = mirror.signs.clone()
            wrong[i] *= -1.0
            size = reflected[i].abs()
            assert (Mirror(mirror.rows, wrong)(straight) - reflected)[i].abs() > 5.0 * error[i] or size < 0.02
    same = Mirror(torch.arange(30), symmetry.policy.signs)
    assert (same(observed["policy"][0]) - observed["policy"][1]).abs()[6:24].max() > 0.3, "legs change places"
    assert observed["policy"][0, symmetry.clock] == pytest.approx(
        torch.sin(torch.tensor(6.2832 * 0.74)).item(), abs=1e-3
    )


def test_a_mirror_undoes_itself() -> None:
    mirror = Mirror(torch.tensor([2, 1, 0]), torch.tensor([-1.0, 1.0, -1.0]))
    x = torch.randn(4, 9)
    thrice = mirror.repeated(3)
    assert torch.equal(thrice(thrice(x)), x)
    assert torch.equal(thrice(x), Mirror.joined([mirror, mirror, mirror])(x))
    assert torch.equal(thrice(x)[:, 3:6], mirror(x[:, 3:6]))


@pytest.mark.parametrize(
    ("setting", "why"),
    [
        ({"init_state.default_joint_angles": (0.1,) * 6}, "init_state.default_joint_angles differ"),
        ({"gait.ranges.offset": (0.4, 0.6)}, "gait.offset is not 0.5"),
        (
            {"observations.policy": ("tests.envs.own_terms:feet_height",)},
            "observation term feet_height: it has no `reflection`",
        ),
    ],
)
def test_what_has_no_known_reflection_is_refused(make_env: MakeEnv, setting: dict, why: str) -> None:
    env = make_env(1, CLEAN, setting)
    with pytest.raises(UserError, match=f"{why}.*--train.policy.symmetric=false"):
        env.symmetry()
