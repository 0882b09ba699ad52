"""Learned step times and swing heights: who fell after which step, what is learned from that, and what it changes."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from legged_gym.envs.pointfoot.pointfoot_flat import PointFootFlat
from legged_gym.envs.pointfoot.pointfoot_flat_config import PointFootFlatCfg
from legged_gym.evaluation.agents import TeacherAgent
from legged_gym.evaluation.suites import evaluation_cfg
from legged_gym.runners.teacher_runner import TeacherRunner
from legged_gym.teacher.config import DcmCfg, TeacherCfg
from legged_gym.teacher.dcm_teacher import DcmTeacher
from legged_gym.teacher.kinematics import LegGeometry
from legged_gym.teacher.step_network import NUM_INPUTS, StepNetwork
from legged_gym.teacher.step_trainer import StepTrainer, outcomes
from legged_gym.utils.checkpoint import load_checked, save_atomically
from legged_gym.utils.errors import UserError

from .making import MakeObs, later, make_teacher, run, start
from .test_dcm_teacher import mirrored


def with_steps(teacher: DcmTeacher, bias: tuple[float, float] | None = None) -> DcmTeacher:
    """Give a teacher random step changes, or always the same ones [by their bounds, before tanh]."""
    torch.manual_seed(3)
    network = StepNetwork(teacher.cfg.step_change).to(teacher.geometry.abad_pos)
    last = network.net[-1]
    assert isinstance(last, torch.nn.Linear)
    if bias is None:
        torch.nn.init.normal_(last.weight, std=0.3)
    else:
        last.bias.data.copy_(torch.tensor(bias))
    teacher.step_network = network
    return teacher


@pytest.mark.parametrize("horizon", [1, 3, 5])
def test_outcomes_against_looking_ahead(horizon: int) -> None:
    generator = torch.Generator().manual_seed(4)
    ended = (torch.rand(12, 40, generator=generator) < 0.15).float()
    fell = ended * (torch.rand(12, 40, generator=generator) < 0.5).float()
    outcome, known = outcomes(fell, ended, horizon)
    for k in range(12):
        for n in range(40):
            ahead = slice(k, k + horizon)
            ends = ended[ahead, n].nonzero().flatten()
            if len(ends):
                by_fall = fell[k + int(ends[0]), n]
                assert outcome[k, n] == by_fall and known[k, n] == by_fall, "other ends tell nothing"
            else:
                assert outcome[k, n] == 0.0 and known[k, n] == float(k + horizon <= 12)


def test_without_a_network_or_with_a_new_one_steps_are_the_gaits(geometry: LegGeometry, make_obs: MakeObs) -> None:
    plain, new = make_teacher(geometry, 16), make_teacher(geometry, 16)
    new.step_network = StepNetwork(new.cfg.step_change).to(geometry.abad_pos)
    obs = make_obs()
    for view in (start(obs), later(obs)):
        before, after = plain.step(view), new.step(view)
        assert torch.equal(before.action, after.action) and not after.change.any()
    assert before.step_inputs.shape == (16, 0) and after.step_inputs.shape == (16, NUM_INPUTS)


def test_a_change_is_chosen_when_a_step_begins_and_held(geometry: LegGeometry, make_obs: MakeObs) -> None:
    teacher = with_steps(make_teacher(geometry, 16))
    obs = make_obs()
    first = run(teacher, start(obs))
    assert first.begun.all() and (first.change[:, 1] != 0.0).all()
    time, height = first.change.t()
    assert (time <= 0.0).all() and (time < 0.0).any() and (time >= -teacher.cfg.step_change.max_time).all()
    assert (height.abs() <= teacher.cfg.step_change.max_height).all()
    second = run(teacher, later(obs))
    begun = second.begun > 0.0
    assert begun.any() and not begun.all()
    assert torch.equal(second.change[~begun], first.change[~begun])
    assert (second.change[begun, 1] != first.change[begun, 1]).all()


def test_changes_are_those_of_the_mirrored_robot(geometry: LegGeometry, make_obs: MakeObs) -> None:
    obs = start(make_obs())
    changes = [run(with_steps(make_teacher(geometry, 16)), view).change for view in (obs, mirrored(obs))]
    torch.testing.assert_close(*changes)


def test_a_time_moves_the_landing_and_a_height_the_swing_foot(geometry: LegGeometry, make_obs: MakeObs) -> None:
    """A step ends sooner by as much as was learned, but not before the shortest one; a higher one lifts the foot."""
    obs, left, actions = start(make_obs()), {}, {}
    for name, bias in {"none": (0.0, 0.0), "short": (-2.0, 0.0), "high": (0.0, 2.0)}.items():
        teacher = with_steps(make_teacher(geometry, 16), bias)
        teacher.on_plan = lambda frame, plan, name=name: left.update({name: plan.time_left})
        actions[name] = run(teacher, obs).action
    cfg = teacher.cfg
    sooner = left["none"] - cfg.step_change.max_time * torch.tanh(torch.tensor(2.0, dtype=torch.float64))
    torch.testing.assert_close(left["short"], sooner.clamp(min=cfg.timing.min_step))
    assert (sooner > cfg.timing.min_step).any() and torch.equal(left["high"], left["none"])
    assert (actions["high"] != actions["none"]).any()


def make_trainer(robots: dict, **changed: object) -> StepTrainer:
    cfg = TeacherCfg()
    small = {"updates": 150, "batch_size": 512, "horizon": 0.1, "hidden_dims": (16,)}
    cfg.step_change = replace(cfg.step_change, **(small | changed))
    torch.manual_seed(0)
    return StepTrainer(DcmTeacher(cfg, LegGeometry.from_model(robots["PF_TRON1A"]), 512), 6)


def inputs_of(ahead: Tensor) -> Tensor:
    """Inputs of robots whose DCM is ahead, or behind."""
    inputs = torch.randn(len(ahead), NUM_INPUTS)
    inputs[:, 0] = torch.where(ahead, 1.0, -1.0)
    return inputs


def teach(trainer: StepTrainer, rollouts: int, slope: float) -> dict[str, float]:
    """Robots whose DCM is ahead fall the more the longer a step is, times `slope`; others hardly fall."""
    for _ in range(rollouts):
        with torch.inference_mode():
            for k in range(6):
                ahead = torch.rand(512) < 0.5
                trainer.explore()
                assert trainer.teacher.exploration is not None
                inputs = inputs_of(ahead)
                change = trainer.network.limit(trainer.network(inputs) + trainer.teacher.exploration)
                chance = torch.where(ahead, (-slope * (change[:, 0] / trainer.network.least[0] - 0.5)).sigmoid(), 0.02)
                fell = (torch.rand(512) < chance).float() if k == 0 else torch.zeros(512)
                trainer.record(fake(change, inputs, torch.full((512,), float(k == 0))), fell, fell)  # type: ignore[arg-type]
        logs = trainer.update()
    return logs


@torch.no_grad()
def learned(trainer: StepTrainer, ahead: bool) -> Tensor:
    """Mean changes of time and height, by their bounds (2,)."""
    return trainer.network(inputs_of(torch.full((256,), ahead))).mean(0) / -trainer.network.least


def test_learns_to_leave_out_what_makes_robots_fall(robots: dict) -> None:
    """Robots fall where a step is long, but only those whose DCM is ahead; the height does nothing."""
    trainer = make_trainer(robots)
    logs = teach(trainer, 6, slope=5.0)
    assert logs["steps_known"] == 6 * 512
    ahead, behind = learned(trainer, True), learned(trainer, False)
    assert ahead[0] < -0.7 and behind[0] > 0.5 * ahead[0]
    assert abs(ahead[1]) < 0.25 and abs(behind[1]) < 0.25
    mean_time = 0.5 * (ahead[0] + behind[0]).abs() * trainer.cfg.max_time
    assert logs["step_time"] == pytest.approx(mean_time.item(), rel=0.2), "without what is added to explore"


def test_a_step_that_should_long_be_longer_can_get_shorter_again(robots: dict) -> None:
    """It is never made longer, and does not run off to where no gradient brings it back."""
    trainer = make_trainer(robots, kept=1024)
    teach(trainer, 8, slope=-5.0)
    assert learned(trainer, True)[0] > -0.02
    teach(trainer, 3, slope=5.0)
    assert learned(trainer, True)[0] < -0.5


def test_a_loss_that_is_not_finite_changes_nothing(robots: dict) -> None:
    trainer = make_trainer(robots)
    teach(trainer, 1, slope=5.0)
    networks = trainer.network, trainer.falls
    before = [{name: value.clone() for name, value in network.state_dict().items()} for network in networks]
    trainer._fit(torch.full((8, NUM_INPUTS), math.nan), torch.zeros(8, 2), torch.zeros(8))
    for network, state in zip(networks, before, strict=True):
        assert first_difference(network.state_dict(), state) is None


def fake(change: Tensor, inputs: Tensor, begun: Tensor) -> object:
    """As much of a `TeacherOutput` as the trainer reads."""

    class Output:
        pass

    output = Output()
    output.change, output.step_inputs, output.begun = change, inputs, begun  # type: ignore[attr-defined]
    return output


def test_the_outcome_of_late_steps_is_waited_for(robots: dict) -> None:
    """A fall in the next rollout is that of a step of this one."""
    cfg = TeacherCfg()
    cfg.step_change = replace(cfg.step_change, updates=1, horizon=0.1)
    trainer = StepTrainer(DcmTeacher(cfg, LegGeometry.from_model(robots["PF_TRON1A"]), 2), 6)
    begun = torch.ones(2)
    for rollout in range(2):
        for k in range(6):
            fell = torch.tensor([float(rollout == 1 and k == 1), 0.0])
            output = fake(torch.full((2, 2), 0.01), torch.full((2, NUM_INPUTS), float(6 * rollout + k)), begun)
            trainer.record(output, fell, fell)  # type: ignore[arg-type]
        logs = trainer.update()
        assert logs["steps_known"] == (4 if rollout == 0 else 16), "but the last four of each robot's twelve"
    steps, fell = trainer._known_inputs[:, 0], trainer._known_fell
    assert sorted(steps[fell > 0.0].tolist()) == [3.0, 4.0, 5.0, 6.0, 7.0]


def test_a_file_of_them_is_used_by_the_teacher(tmp_path: Path) -> None:
    env = PointFootFlat(evaluation_cfg(PointFootFlatCfg(), 4, seed=0))
    cfg = DcmCfg()
    cfg.step_change.updates, cfg.step_change.horizon = 3, 0.2
    runner = TeacherRunner(env, cfg, 30, tmp_path, learn_steps=True)
    scalars = runner.learn(2)
    assert scalars["steps_known"] > 0 and math.isfinite(scalars["step_loss"])
    file = tmp_path / "offset_2.pt"
    agent = TeacherAgent(env, DcmCfg(), file)
    assert agent.teacher.step_network is not None and agent.teacher.exploration is None
    saved = load_checked(file)["step_network"]
    for name, value in agent.teacher.step_network.state_dict().items():
        assert torch.equal(value, saved[name])
    other = DcmCfg()
    other.step_change.hidden_dims = (8,)
    with pytest.raises(UserError, match=r"step_change\.hidden_dims"):
        TeacherAgent(env, other, file)
    with pytest.raises(UserError, match=r"step_change\.hidden_dims"):
        TeacherRunner(env, other, 30, None, learn_steps=True).load(file)
    with pytest.raises(UserError, match="go on with --learn_steps"):
        TeacherRunner(env, cfg, 30, None).load(file)
    resumed = TeacherRunner(env, cfg, 30, None, learn_steps=True)
    resumed.load(file)
    assert resumed.step_trainer is not None and runner.step_trainer is not None
    state, before = resumed.step_trainer.state_dict(), runner.step_trainer.state_dict()
    assert first_difference(state, before) is None and len(state) == 4
    new = TeacherRunner(env, cfg, 30, None, learn_steps=True).step_trainer
    assert new is not None and first_difference(new.state_dict(), before) is not None


def first_difference(one: object, other: object, path: str = "") -> str | None:
    """Where two nested states differ."""
    if isinstance(one, dict) and isinstance(other, dict) and one.keys() == other.keys():
        found = (first_difference(one[key], other[key], f"{path}.{key}") for key in one)
        return next(filter(None, found), None)
    if isinstance(one, Tensor) and isinstance(other, Tensor):
        return None if torch.equal(one, other) else path
    return None if one == other else path


@pytest.mark.parametrize("broken", [None, 3, {"net.0.weight": None}])
def test_a_broken_file_of_steps_is_refused_in_a_line(tmp_path: Path, broken: object) -> None:
    env = PointFootFlat(evaluation_cfg(PointFootFlatCfg(), 2, seed=0))
    runner = TeacherRunner(env, DcmCfg(), 30, None)
    save_atomically({**runner.trainer.state_dict(), "step_network": broken, "iteration": 0}, tmp_path / "broken.pt")
    with pytest.raises(UserError, match=r"broken\.pt: its step times do not fit"):
        TeacherAgent(env, DcmCfg(), tmp_path / "broken.pt")
