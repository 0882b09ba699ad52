"""What a policy makes of its commands: fitted, and taken back in the first layer."""

import pytest
import torch

from legged_gym.evaluation.calibration import Response, calibrate_actor, fit_response
from legged_gym.utils.errors import UserError

GAIN = torch.tensor([[0.75, -0.02, 0.01], [0.03, 0.7, 0.0], [-0.05, 0.02, 0.95]])
OFFSET = torch.tensor([-0.04, 0.02, 0.1])
SCALE = torch.tensor([2.0, 2.0, 0.25])


def test_a_linear_response_is_found() -> None:
    generator = torch.Generator().manual_seed(0)
    commands = torch.rand(50, 3, generator=generator) - 0.5
    response = fit_response(commands, commands @ GAIN.t() + OFFSET, OFFSET.expand(4, 3))
    torch.testing.assert_close(response.gain, GAIN)
    torch.testing.assert_close(response.offset, OFFSET)
    torch.testing.assert_close(response.error, (commands @ GAIN.t() + OFFSET - commands).square().mean(0).sqrt())


def test_robots_that_are_told_to_stand_do_not_drift_after_it() -> None:
    """A response that bends: its best straight line would leave robots without a command a velocity."""
    commands = torch.linspace(-0.5, 1.0, 40).unsqueeze(-1).expand(-1, 3)
    achieved = 0.8 * commands + 0.3 * commands.square() - 0.05
    response = fit_response(commands, achieved, torch.full((9, 3), -0.05))
    torch.testing.assert_close(response.offset, torch.full((3,), -0.05))


def test_the_first_layer_sees_the_command_that_achieves_what_is_asked() -> None:
    """For each command c the calibrated layer gives what the layer gave for G^-1 (c - o), other inputs alike."""
    torch.manual_seed(0)
    layer = torch.nn.Linear(36, 8).double()
    response = Response(GAIN.double(), OFFSET.double(), torch.zeros(3))
    others, command = torch.randn(5, 33).double(), torch.randn(5, 3).double()
    wanted = (command - response.offset) @ torch.linalg.inv(response.gain).t()
    with torch.no_grad():
        expected = layer(torch.cat((others, SCALE * wanted), dim=-1))
        state = {f"mlp.0.{name}": x for name, x in layer.state_dict().items()}
        calibrate_actor(state, response, SCALE)
        layer.load_state_dict({name: state[f"mlp.0.{name}"] for name in layer.state_dict()})
        torch.testing.assert_close(layer(torch.cat((others, SCALE * command), dim=-1)), expected)


def test_a_symmetric_actor_is_calibrated_alike_for_both_feet() -> None:
    """For the reflected command (v_x, -v_y, -w_z) it achieves the reflected velocity, and the mean of both remains."""
    mirror = torch.tensor([1.0, -1.0, -1.0])
    response = Response(GAIN, OFFSET, OFFSET).symmetric()
    command = torch.randn(7, 3)
    achieved, of_reflected = (c @ response.gain.t() + response.offset for c in (command, mirror * command))
    torch.testing.assert_close(of_reflected, mirror * achieved)
    torch.testing.assert_close(response.gain.diagonal(), GAIN.diagonal())
    assert response.gain[1, 2] == GAIN[1, 2] and response.gain[0, 1] == 0.0
    assert response.offset.tolist() == [OFFSET[0].item(), 0.0, 0.0]


def test_a_policy_that_does_not_follow_is_left_alone() -> None:
    layer = torch.nn.Linear(36, 8)
    state = {f"mlp.0.{name}": x for name, x in layer.state_dict().items()}
    before = dict(state)
    with pytest.raises(UserError, match=r"achieves 0\.75, 0\.20, 0\.95"):
        calibrate_actor(state, Response(torch.diag(torch.tensor([0.75, 0.2, 0.95])), OFFSET, OFFSET), SCALE)
    assert all(state[name] is x for name, x in before.items())
