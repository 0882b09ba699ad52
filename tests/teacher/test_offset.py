"""The learned offset: network, losses against hand-computed numbers, preview, and that training removes an error."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from legged_gym.sim.robot_model import RobotModel, robot_urdf
from legged_gym.teacher import lipm
from legged_gym.teacher.config import OffsetCfg, TeacherCfg
from legged_gym.teacher.dcm_teacher import DcmTeacher, TeacherOutput
from legged_gym.teacher.kinematics import LegGeometry
from legged_gym.teacher.losses import (
    assign_touchdowns,
    follow_weight,
    landing_cost,
    magnitude_loss,
    stability_loss,
    tracking_loss,
)
from legged_gym.teacher.offset_network import OffsetNetwork
from legged_gym.teacher.offset_trainer import OffsetTrainer
from legged_gym.teacher.predictor import DcmPredictor
from legged_gym.teacher.preview import preview_steps

PREDICTOR = DcmPredictor(TeacherCfg(), 0.032, torch.zeros((), dtype=torch.float64))


def previewed(network: OffsetNetwork, inputs: Tensor, disturbance: Tensor, predictor: DcmPredictor, steps: int) -> list:
    """The preview with the network in the loop."""
    offset = lambda parts: network(network.pack(parts)).t()  # noqa: E731
    start = network.unpack(inputs)
    return list(preview_steps(start | {"wanted": start["command"][:2]}, offset, [disturbance] * steps, predictor))


def random_network(seed: int = 0) -> OffsetNetwork:
    torch.manual_seed(seed)
    network = OffsetNetwork(hidden_dims=(16, 16)).double()
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return network


def walking_inputs(network: OffsetNetwork, velocity: float = 0.3, num: int = 4) -> Tensor:
    """Inputs at the start of a step of the periodic gait."""
    omega, duration = torch.full((num,), 4.0).double(), torch.full((num,), 0.25).double()
    v = torch.tensor([[velocity], [0.0]]).double().expand(2, num)
    gait = PREDICTOR.gaits(omega, duration)
    b = gait.offset(v)
    xi = torch.stack((b[0], -b[1]))
    rows = {name: torch.zeros(width, num).double() for name, width in zip(network.names, network.widths, strict=True)}
    plan = lipm.propagate_dcm(xi, gait.pivot, omega, duration) - b
    rows |= {"xi": xi, "plan": plan, "velocity": v, "omega": omega, "duration": duration}
    rows["command"] = torch.cat((v, 0 * v[:1]))
    return network.pack(rows)


def test_network_starts_at_the_closed_form_and_is_bounded() -> None:
    network = OffsetNetwork(max_offset=0.05)
    inputs = torch.randn(50, network.num_inputs) * 10
    assert (network(inputs) == 0.0).all()
    torch.nn.init.normal_(network.net[-1].weight, std=100.0)
    offset = network(inputs)
    assert offset.abs().max() <= 0.05 and offset.abs().max() > 0.049


def test_pack_and_unpack_are_inverse() -> None:
    network = OffsetNetwork(num_ahead=3)
    inputs = torch.randn(5, network.num_inputs)
    torch.testing.assert_close(network.pack(network.unpack(inputs)), inputs)
    assert network.unpack(inputs)["ground_ahead"].shape == (3, 5)


def test_tracking_loss_by_hand() -> None:
    offset, applied = torch.tensor([[0.01, 0.0], [0.0, 0.02]]), torch.tensor([[0.0, 0.0], [0.0, 0.01]])
    error, weight = torch.tensor([[0.03, 0.0], [0.01, 0.01]]), torch.tensor([1.0, 3.0])
    # residuals (0.02, 0) and (0.01, 0): (1 * 4e-4 + 3 * 1e-4) / 4
    assert tracking_loss(offset, applied, error, weight).item() == pytest.approx(1.75e-4)
    assert tracking_loss(applied + error, applied, error, weight).item() == pytest.approx(0.0)
    assert tracking_loss(offset, applied, error, torch.zeros(2)).item() == 0.0


def test_magnitude_stability_and_follow_by_hand() -> None:
    weight = torch.tensor([1.0, 1.0])
    assert magnitude_loss(torch.tensor([[0.03, 0.04], [0.0, 0.0]]), weight).item() == pytest.approx(1.25e-3)
    landed = torch.tensor([[0.3, 0.4], [0.1, 0.0]])  # distances 0.5 and 0.1
    assert stability_loss(landed, torch.tensor([0.3, 0.3]), weight).item() == pytest.approx(0.02)
    executed, reference = torch.zeros(2, 6), torch.tensor([[0.0] * 6, [0.5] * 6])
    torch.testing.assert_close(follow_weight(executed, reference, 0.5), torch.tensor([1.0, 0.36787944]))


def test_each_step_gets_the_touchdown_it_led_to() -> None:
    touchdown = torch.tensor([0, 0, 1, 0, 0, 1, 0]).float().unsqueeze(-1)
    error = torch.arange(7.0).view(7, 1, 1).expand(7, 1, 2) * touchdown.unsqueeze(-1)
    fresh = torch.tensor([0, 0, 0, 0, 1, 0, 0]).float().unsqueeze(-1)
    trust = torch.tensor([1, 1, 0.5, 1, 1, 1, 1]).unsqueeze(-1)
    target, found = assign_touchdowns(error, touchdown, fresh, trust)
    # steps 0, 1 -> touchdown 2; 2, 3 fell before 5 (reset at 4); 4 -> 5; 5, 6 have none
    assert found.squeeze(-1).tolist() == [0.5, 0.5, 0, 0, 1, 0, 0]
    assert (target[..., 0].squeeze(-1) * (found > 0).squeeze(-1)).tolist() == [2, 2, 0, 0, 5, 0, 0]


def test_preview_of_the_periodic_gait_stays_on_it() -> None:
    network = OffsetNetwork().double()
    inputs = walking_inputs(network)
    zero = torch.zeros(2, 4).double()
    steps = previewed(network, inputs, zero, PREDICTOR, 4)
    assert len(steps) == 4
    for step in steps:
        torch.testing.assert_close(step.error, zero, atol=1e-12, rtol=0)
        torch.testing.assert_close(step.landed, steps[0].landed, atol=1e-12, rtol=0)


def test_preview_shows_a_disturbance_and_the_offset_that_removes_it() -> None:
    network = OffsetNetwork().double()
    inputs = walking_inputs(network)
    disturbance = torch.tensor([[0.02], [-0.01]]).double().expand(2, 4)
    steps = previewed(network, inputs, disturbance, PREDICTOR, 3)
    for step in steps:
        torch.testing.assert_close(step.error, disturbance)
    network.net[-1].bias.data = torch.atanh(disturbance[:, 0] / network.max_offset)
    for step in previewed(network, inputs, disturbance, PREDICTOR, 3):
        torch.testing.assert_close(step.error, torch.zeros_like(step.error), atol=1e-12, rtol=0)


def test_preview_has_the_yaw_force_alternate_with_the_feet() -> None:
    network = OffsetNetwork().double()
    row = sum(network.widths[: network.names.index("yaw_force")])
    first, last = network.net[0], network.net[-1]
    for layer in network.net:
        if isinstance(layer, torch.nn.Linear):
            torch.nn.init.zeros_(layer.weight)
            torch.nn.init.zeros_(layer.bias)
    first.weight.data[:2, row] = torch.tensor([1.0, -1.0]).double()
    network.net[2].weight.data[:2, :2] = torch.eye(2).double()
    last.weight.data[0, :2] = torch.tensor([1.0, -1.0]).double()  # forward: an odd function of the yaw force alone
    parts = network.unpack(walking_inputs(network))
    inputs = network.pack(parts | {"yaw_force": torch.full((4,), 3.0).double()})
    steps = previewed(network, inputs, torch.zeros(2, 4).double(), PREDICTOR, 3)
    forward = torch.stack([step.error[0] for step in steps])
    assert (forward[0].abs() > 1e-3).all()
    torch.testing.assert_close(forward[1:], -forward[:-1], atol=1e-3, rtol=0)


def test_loss_gradients_against_finite_differences(geometry: LegGeometry, make_obs: Callable[..., Tensor]) -> None:
    cfg = TeacherCfg()
    cfg.offset.hidden_dims, cfg.offset.w_vstab, cfg.offset.w_preview, cfg.offset.w_stability = (6,), 0.5, 0.5, 0.5
    teacher = DcmTeacher(cfg, geometry, 4)
    teacher.network = OffsetNetwork(hidden_dims=(6,)).double()
    torch.manual_seed(3)
    for parameter in teacher.network.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    trainer = OffsetTrainer(teacher, 1)
    inputs = walking_inputs(teacher.network, 1.6) + 0.02 * torch.randn(4, teacher.network.num_inputs).double()
    applied, target = 0.01 * torch.randn(4, 2).double(), 0.02 * torch.randn(4, 4).double()
    limited, (weight, any_weight) = 0.1 * torch.randn(4, 2).double(), torch.rand(2, 4).double()
    names, values = zip(*teacher.network.named_parameters(), strict=True)

    def loss(*parameters: Tensor) -> Tensor:
        offset = dict(zip(names, parameters, strict=True))

        class Functional(torch.nn.Module):
            def __call__(self, x: Tensor) -> Tensor:
                return torch.func.functional_call(network, offset, (x,))

            pack, unpack = network.pack, network.unpack

        teacher.network = Functional()  # type: ignore[assignment]
        return trainer.losses(inputs, applied, limited, target, weight, any_weight)["loss"]

    network = teacher.network
    for name in ("vstab", "stability"):
        part = trainer.losses(inputs, applied, limited, target, weight, any_weight)[name]
        gradient = torch.autograd.grad(part, list(network.parameters()))
        assert part > 1e-3 and max(values.abs().max() for values in gradient) > 1e-4, f"nothing to check {name} with"
    assert torch.autograd.gradcheck(loss, tuple(v.detach().clone().requires_grad_() for v in values), atol=1e-7)


def test_every_weight_of_the_loss_counts(geometry: LegGeometry) -> None:
    totals = {}
    for name in (None, "w_track", "w_mag", "w_preview", "w_vstab", "w_stability"):
        cfg = TeacherCfg()
        cfg.offset = OffsetCfg(w_track=0.0, w_mag=0.0, w_preview=0.0, w_vstab=0.0, w_stability=0.0)
        if name:
            setattr(cfg.offset, name, 1.0)
        teacher = DcmTeacher(cfg, geometry, 4)
        teacher.network = random_network()
        inputs = walking_inputs(teacher.network, 2.0)
        target, weight = torch.full((4, 4), 0.3).double(), torch.ones(4).double()
        losses = OffsetTrainer(teacher, 1).losses(
            inputs, 0.0 * target[:, :2], 0.0 * target[:, :2], target, weight, weight
        )
        totals[name] = losses["loss"].item()
    assert totals.pop(None) == 0.0
    assert all(value > 0.0 for value in totals.values())
    assert len(set(totals.values())) == 5


def stability_trainer(**offset: object) -> OffsetTrainer:
    """Whose loss is the stability term, and nothing else."""
    cfg = TeacherCfg()
    cfg.offset = OffsetCfg(w_track=0.0, w_mag=0.0, w_preview=0.0, w_stability=1.0, **offset)  # type: ignore[arg-type]
    teacher = DcmTeacher(cfg, LegGeometry.from_model(RobotModel.from_urdf(robot_urdf("PF_TRON1A"))), 4)
    teacher.network = random_network()
    teacher.predictor = PREDICTOR
    return OffsetTrainer(teacher, 1)


def stability(trainer: OffsetTrainer, inputs: Tensor, applied: Tensor, delta: Tensor) -> Tensor:
    none, whole = torch.zeros(len(inputs)).double(), torch.ones(len(inputs)).double()
    target = torch.cat((torch.full_like(delta, 9.0), delta), dim=-1)  # e_n is not looked at
    return trainer.losses(inputs, applied, 0.0 * delta, target, none, whole)["loss"]


def test_landing_cost_by_hand() -> None:
    cfg = OffsetCfg(w_speed=0.04, w_viable=0.5, viable_width=0.02, outlier=0.1)
    delta, error = (
        torch.tensor([[0.03, 0.04], [0.0, 0.0], [3.0, 4.0]]),
        torch.tensor([[0.0, 0.0], [0.5, 0.0], [0.0, 0.0]]),
    )
    cost = landing_cost(delta, error, torch.tensor([-9.0, -9.0, 0.04]), cfg)
    small = [2 * 0.01 * ((1 + square / 0.01) ** 0.5 - 1) for square in (2.5e-3, 0.01)]
    far = 0.02 * (2501.0**0.5 - 1.0) + 0.5 * 2.126928  # softplus(2); by the distance, not by its square
    torch.testing.assert_close(cost, torch.tensor([*small, far]))


def test_a_recorded_landing_costs_what_it_was_and_moves_with_the_offset_as_far_as_the_box_lets_it() -> None:
    """Whatever was applied; where the box holds the foothold the network moves nothing and is told so."""
    trainer = stability_trainer(preview_steps=0, w_speed=0.0, w_viable=0.0, outlier=10.0)
    network = trainer.teacher.network
    inputs = walking_inputs(network)
    delta = 0.02 * torch.randn(4, 2, generator=torch.Generator().manual_seed(0)).double()
    offset = network(inputs).detach()
    torch.testing.assert_close(
        stability(trainer, inputs, offset, delta), delta.square().sum(-1).mean(), rtol=1e-4, atol=0
    )
    applied = torch.zeros(4, 2).double()
    moved = (delta - offset).square().sum(-1).mean()
    torch.testing.assert_close(stability(trainer, inputs, applied, delta), moved, rtol=1e-4, atol=0)
    parts = network.unpack(inputs)
    crossed = network.pack(parts | {"plan": parts["plan"] + torch.tensor([[2.0], [2.0]]).double()})
    cost = stability(trainer, crossed, applied, delta)
    torch.testing.assert_close(cost, delta.square().sum(-1).mean(), rtol=1e-3, atol=0)
    assert all(part.abs().max() == 0.0 for part in torch.autograd.grad(cost, list(network.parameters())))


def test_every_number_of_the_stability_loss_counts() -> None:
    numbers = {
        "discount": 0.5,
        "w_speed": 0.1,
        "w_viable": 0.1,
        "viable_width": 0.1,
        "outlier": 0.01,
        "preview_steps": 1,
    }
    delta, applied = torch.full((4, 2), 0.1).double(), torch.zeros(4, 2).double()
    values = []
    for changed in ({}, *({name: value} for name, value in numbers.items())):
        trainer = stability_trainer(**changed)
        values.append(stability(trainer, walking_inputs(trainer.teacher.network), applied, delta).item())
    assert len(set(values)) == len(values)


def test_later_landings_have_the_residuals_of_other_samples() -> None:
    """Of four like samples one landed ahead: in their previews it is seen by another one at each further step."""
    trainer = stability_trainer(preview_steps=3, w_speed=0.0, w_viable=0.0, discount=1.0)
    torch.nn.init.zeros_(trainer.teacher.network.net[-1].weight)
    torch.nn.init.zeros_(trainer.teacher.network.net[-1].bias)
    inputs = walking_inputs(trainer.teacher.network)
    delta = torch.zeros(4, 2).double()
    delta[2, 0] = 0.02
    seen = []
    for sample in range(4):
        whole = torch.zeros(4).double()
        whole[sample] = 1.0
        target = torch.cat((delta, delta), dim=-1)
        seen.append(trainer.losses(inputs, 0.0 * delta, 0.0 * delta, target, 0.0 * whole, whole)["loss"].item())
    once = 2.0 * 0.01 * ((1.0 + 4e-4 / 0.01) ** 0.5 - 1.0)
    assert seen == pytest.approx([once] * 4, rel=1e-6)


def fake_output(teacher: DcmTeacher, inputs: Tensor, touchdown: float, bias: Tensor) -> TeacherOutput:
    """A teacher whose steps land `bias` away from where the offset puts them."""
    n = teacher.num_envs
    offset = teacher.network(inputs).detach()
    zero, action = torch.zeros(n), torch.zeros(n, 6)
    return TeacherOutput(
        action=action,
        weight=torch.ones(n),
        clock_shift=zero,
        inputs=inputs,
        offset=offset,
        change=torch.zeros(n, 2),
        step_inputs=torch.zeros(n, 0),
        begun=zero,
        limited=torch.zeros(n, 2),
        fresh=zero,
        touchdown=torch.full((n,), touchdown),
        touchdown_error=(bias - offset) * touchdown,
        steady=torch.ones(n),
        foothold_error=torch.zeros(n, 2),
        foothold_w=torch.zeros(n, 2),
        clamped=zero,
    )


def test_training_removes_a_constant_error_and_resumes(robots: dict) -> None:
    cfg = TeacherCfg()
    cfg.offset.enabled, cfg.offset.learning_rate, cfg.offset.w_mag = True, 1e-3, 0.0
    cfg.offset.num_mini_batches = 1  # the preview of states drawn at random pulls elsewhere, in the long run
    torch.manual_seed(0)
    teacher = DcmTeacher(cfg, LegGeometry.from_model(robots["PF_TRON1A"]), 64)
    trainer = OffsetTrainer(teacher, 8)
    bias, logs = torch.tensor([0.03, -0.01]), []
    for _ in range(60):
        with torch.inference_mode():
            for k in range(8):
                noise = torch.randn(64, teacher.network.num_inputs)
                inputs = teacher.network.mean + 0.3 * noise / teacher.network.scale
                trainer.record(fake_output(teacher, inputs, float(k % 4 == 3), bias), torch.zeros(64, 6))
        logs.append(trainer.update())
    assert logs[0]["offset_error_rms"] == pytest.approx(bias.norm().item(), rel=1e-4)
    assert logs[-1]["offset_error_rms"] < 0.33 * logs[0]["offset_error_rms"]
    assert logs[-1]["touchdowns"] == 128
    other = OffsetTrainer(DcmTeacher(cfg, teacher.geometry, 64), 8)
    other.load_state_dict(trainer.state_dict())
    probe = torch.randn(3, teacher.network.num_inputs)
    torch.testing.assert_close(other.teacher.network(probe), teacher.network(probe))
    with pytest.raises(RuntimeError, match="holds 8 steps"):
        for _ in range(9):
            trainer.record(fake_output(teacher, inputs, 0.0, bias), torch.zeros(64, 6))


def test_of_a_pushed_robot_the_stability_loss_learns_and_the_others_do_not(robots: dict) -> None:
    """Where the reference has no weight. And e_n is seen from the b that +-dv keeps v_ref from."""
    cfg = TeacherCfg()
    cfg.offset.enabled, cfg.offset.w_mag, cfg.offset.w_stability = True, 0.0, 1.0
    teacher = DcmTeacher(cfg, LegGeometry.from_model(robots["PF_TRON1A"]), 16)
    trainer = OffsetTrainer(teacher, 4)
    parts = {
        name: torch.zeros(width, 16) for name, width in zip(teacher.network.names, teacher.network.widths, strict=True)
    }
    parts |= {"omega": torch.full((1, 16), 4.0), "duration": torch.full((1, 16), 0.25)}
    parts |= {"velocity": torch.tensor([[0.6], [0.1]]).expand(2, 16), "command": torch.full((3, 16), 0.3)}
    inputs = teacher.network.pack(parts)
    for k in range(4):
        output = fake_output(teacher, inputs, float(k == 3), torch.tensor([0.04, 0.0]))
        limited = torch.tensor([0.4, -0.1]).expand(16, 2)
        trainer.record(replace(output, weight=torch.zeros(16), limited=limited), output.action)
    scalars = trainer.update()
    assert scalars["track"] == scalars["preview"] == 0.0 and scalars["stability"] > 1e-3
    per_speed = 0.25 / (torch.tensor(1.0).exp() - 1.0)
    error, delta = trainer._data["target"][-4].split(2, dim=-1)
    torch.testing.assert_close(error, torch.tensor([0.04, 0.0]).expand(16, 2))
    torch.testing.assert_close(delta - error, (torch.tensor([0.4, -0.1]) * per_speed).expand(16, 2))
    assert (teacher.network(inputs).abs() > 0.0).any(), "nothing was learned"


def small_trainer(robots: dict) -> tuple[DcmTeacher, OffsetTrainer]:
    """Of 16 robots and 4 steps; nothing but what they land at counts."""
    cfg = TeacherCfg()
    cfg.offset.enabled, cfg.offset.w_mag = True, 0.0
    teacher = DcmTeacher(cfg, LegGeometry.from_model(robots["PF_TRON1A"]), 16)
    return teacher, OffsetTrainer(teacher, 4)


def test_a_policy_that_does_not_follow_teaches_nothing(robots: dict) -> None:
    teacher, trainer = small_trainer(robots)
    for k in range(4):
        inputs = torch.randn(16, teacher.network.num_inputs)
        trainer.record(
            fake_output(teacher, inputs, float(k == 3), torch.tensor([0.04, 0.0])), torch.full((16, 6), 50.0)
        )
    assert trainer.update()["track"] == pytest.approx(0.0, abs=1e-9)


def test_a_step_under_a_new_command_teaches_nothing_and_is_not_counted(robots: dict) -> None:
    teacher, trainer = small_trainer(robots)
    for k in range(4):
        inputs = torch.randn(16, teacher.network.num_inputs)
        output = fake_output(teacher, inputs, float(k == 3), torch.tensor([0.04, 0.0]))
        steady = torch.ones(16) if k < 3 else torch.zeros(16)
        trainer.record(replace(output, steady=steady), output.action)
    scalars = trainer.update()
    assert scalars["track"] == pytest.approx(0.0, abs=1e-9)
    assert scalars["offset_error_rms"] == 0.0 and scalars["touchdowns"] == 16


def test_the_learning_rate_is_a_share_of_the_configured_one(robots: dict) -> None:
    trainer = OffsetTrainer(DcmTeacher(TeacherCfg(), LegGeometry.from_model(robots["PF_TRON1A"]), 2), 1)
    for share in (0.5, 0.25):
        trainer.anneal(share)
        assert float(trainer.optimizer.param_groups[0]["lr"]) == pytest.approx(share * OffsetCfg().learning_rate)


@pytest.mark.parametrize("interval", [1, 3, 12, 24])
def test_every_step_teaches_once_however_often_the_network_is_updated(robots: dict, interval: int) -> None:
    """Steps of 8 evaluations: with updates more often than that, or in the middle of one, none is lost or counted
    twice, and an error is learned away all the same.
    """
    cfg = TeacherCfg()
    cfg.offset.enabled, cfg.offset.w_mag, cfg.offset.w_preview, cfg.offset.learning_rate = True, 0.0, 0.0, 1e-2
    cfg.offset.num_mini_batches = cfg.offset.epochs = 1
    torch.manual_seed(0)
    teacher = DcmTeacher(cfg, LegGeometry.from_model(robots["PF_TRON1A"]), 8)
    trainer = OffsetTrainer(teacher, interval)
    taught: list[Tensor] = []
    losses = trainer.losses

    def listen(inputs: Tensor, *others: Tensor) -> dict[str, Tensor]:
        *_, weight, _ = others
        taught.append(inputs[weight > 0.0, 0].clone())
        return losses(inputs, *others)

    trainer.losses = listen  # type: ignore[method-assign]
    steps, bias = 96, torch.tensor([0.03, -0.01])
    for k in range(steps):
        inputs = teacher.network.mean.expand(8, -1).clone()
        inputs[:, 0] = 1e-3 * (torch.arange(8) + 8 * k)
        trainer.record(fake_output(teacher, inputs, float(k % 8 == 7), bias), torch.zeros(8, 6))
        if k % interval == interval - 1:
            trainer.update()
    names = (torch.cat(taught) * 1e3).round().long().sort().values
    assert names.tolist() == list(range(8 * (steps - 1)))  # the last step leads to no touchdown
    left = (bias - teacher.network(inputs).detach()).norm(dim=-1).max()
    assert left < 0.8 * bias.norm(), "nothing was learned"
