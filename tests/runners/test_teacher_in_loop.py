"""The teacher in a real rollout: data for imitation, driven robots, and Δξ that learns, is saved and comes back."""

import copy
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from tensordict import TensorDict

from legged_gym.algorithms.config import ImitationCfg
from legged_gym.envs.pointfoot.pointfoot_flat import PointFootFlat
from legged_gym.envs.pointfoot.pointfoot_flat_config import PointFootFlatCfg, PointFootFlatCfgPPO
from legged_gym.runners.config import STABILITY
from legged_gym.runners.on_policy_runner import OnPolicyRunner
from legged_gym.runners.teacher_in_loop import TeacherInLoop, foothold_kernel, path_kernel
from legged_gym.runners.teachers import make_teacher
from legged_gym.teacher.config import BodyCfg, DcmCfg
from legged_gym.teacher.dcm_teacher import DcmTeacher, TeacherOutput
from legged_gym.utils.config import ConfigError, load_json, set_by_path, to_dict
from legged_gym.utils.errors import UserError


@pytest.fixture(scope="module")
def env() -> PointFootFlat:
    cfg = PointFootFlatCfg()
    cfg.env.num_envs, cfg.asset.robot_type = 16, "PF_TRON1A"
    return PointFootFlat(cfg)


def train_cfg(**teacher: object) -> PointFootFlatCfgPPO:
    cfg = PointFootFlatCfgPPO()
    cfg.policy.actor_hidden_dims = cfg.policy.critic_hidden_dims = cfg.estimator.hidden_dims = (16,)
    for name, value in teacher.items():
        setattr(cfg.teacher, name, value)
    return cfg


def loop(env: PointFootFlat, **teacher: object) -> TeacherInLoop:
    return TeacherInLoop(train_cfg(**teacher).teacher, env, 24, "cpu")


def observations(env: PointFootFlat) -> TensorDict:
    return env.reset().clone()


def offset_weights(teacher: TeacherInLoop) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in teacher.teacher.network.parameters()])


def test_reference_arrives_as_data(env: PointFootFlat) -> None:
    teacher, obs = loop(env), observations(env)
    with torch.inference_mode():
        teacher.add_reference(obs)
    assert obs["reference"].shape == (16, 6)
    assert obs["reference_weight"].shape == obs["teacher_driven"].shape == (16, 1)
    assert obs["reference"].isfinite().all()
    assert ((obs["reference_weight"] >= 0) & (obs["reference_weight"] <= 1)).all()
    assert obs["reference"].std() > 0.01, "the reference depends on the robot's state"


SERVO: dict[str, tuple[Any, str, Any]] = {
    "control.stiffness": (60.0, "kp", 60.0),
    "control.damping": (2.0, "kd", 2.0),
    "control.action_scale": (0.5, "action_scale", 0.5),
    "control.decimation": (2, "dt", 0.01),
    "sim.dt": (0.004, "dt", 0.016),
    "init_state.default_joint_angles": ((0.1,) * 6, "default_angles", (0.1,) * 6),
}
"""What the environment and the teacher both go by: path and value of the one, name and value of the other."""


def small_cfg() -> Any:
    cfg = PointFootFlatCfg()
    cfg.env.num_envs, cfg.asset.robot_type, cfg.sim.num_threads, cfg.sim.backend = 2, "PF_TRON1A", 1, "mujoco"
    return cfg


def teacher_of(path: str | None = None, value: Any = None) -> DcmTeacher:
    """The teacher of an environment with one field changed; its stance leg answers the swing leg's servo."""
    cfg = small_cfg()
    if path is not None:
        section, name = path.split(".")
        setattr(getattr(cfg, section), name, value)
    env = PointFootFlat(cfg)
    env.sim.close()
    return make_teacher(DcmCfg(body=BodyCfg(swing_reaction=0.5)), env, "cpu")


@pytest.mark.parametrize("path", SERVO)
def test_the_teacher_goes_by_the_servos_of_its_environment(env: PointFootFlat, path: str) -> None:
    """Where one of them is changed, the teacher is told, and makes another action of the same state."""
    value, name, expected = SERVO[path]
    teacher, unchanged = teacher_of(path, value), teacher_of()
    obs = env.step(torch.full((16, 6), 0.5))[0]["teacher"][:2]  # in motion
    action, before = teacher.step(obs).action, unchanged.step(obs).action
    changed, default = teacher.cfg.control, unchanged.cfg.control
    assert getattr(changed, name) == pytest.approx(expected)
    others = [other for other in vars(default) if other != name]
    assert [getattr(changed, other) for other in others] == [getattr(default, other) for other in others]
    assert (action - before).abs().max() > 1e-3


def test_limit_and_gravity_are_those_of_the_robot_and_the_engine() -> None:
    env: Any = PointFootFlat(small_cfg())
    control = make_teacher(DcmCfg(), env, "cpu").cfg.control
    assert control.torque_limit == env.sim.robot.torque_limits.min()
    assert control.gravity == -env.sim.models[0].opt.gravity[2]
    env.sim.close()


def test_a_training_config_has_no_second_place_for_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Not on the command line; and what an older run has saved there changes nothing."""
    cfg = PointFootFlatCfgPPO()
    with pytest.raises(ConfigError, match="unknown field 'control'"):
        set_by_path(cfg, "teacher.dcm.control.kp", "60")
    old = to_dict(cfg)
    old["teacher"]["dcm"]["control"] = {"kp": 99.0}
    (tmp_path / "train_cfg.json").write_text(json.dumps(old))
    assert load_json(PointFootFlatCfgPPO(), tmp_path / "train_cfg.json") == cfg
    assert "skipped fields that this version does not have: teacher.dcm.control" in capsys.readouterr().err


def test_driven_robots_execute_the_reference_and_their_share_shrinks(env: PointFootFlat) -> None:
    teacher, obs = loop(env, driven_initial=1.0, driven_final=0.25, driven_decay_steps=10), observations(env)
    actions = torch.full((16, 6), 7.0)
    shares = []
    for iteration in (0, 5, 10, 50):
        teacher.set_progress(iteration)
        teacher.add_reference(obs)
        executed = teacher.act(actions, obs)
        driven = obs["teacher_driven"].squeeze(-1) > 0
        assert torch.equal(executed[driven], obs["reference"][driven])
        assert torch.equal(executed[~driven], actions[~driven])
        shares.append(int(driven.sum()))
    assert shares == [16, 10, 4, 4]


def test_driven_robots_are_spread_over_the_batch(env: PointFootFlat) -> None:
    """On a map the robots of a batch stand tile after tile: the first ones would all be on the easy ones."""
    teacher = loop(env, driven_initial=1.0, driven_final=0.0, driven_decay_steps=16)
    before = set(range(16))
    for iteration in range(16):
        teacher.set_progress(iteration)
        driven = set(teacher.driven.squeeze(-1).nonzero().flatten().tolist())
        assert len(driven) == 16 - iteration and driven <= before
        before = driven
        gaps = np.diff(sorted(driven | {-1, 16}))
        assert gaps.max() <= 2.7 * 17 / (len(driven) + 1), "a part of the batch has none"


@pytest.mark.parametrize("clock", ["never", "driven", "all"])
def test_the_clock_follows_the_teacher_in_the_rollout(env: PointFootFlat, clock: str) -> None:
    """After a kick the teacher wants to land sooner, and the clock of those robots, and no other's, is moved."""
    runner = OnPolicyRunner(env, train_cfg(driven_initial=0.5, driven_final=0.5, clock=clock))
    obs, moved = env.reset(), torch.zeros(16)
    assert runner.teacher is not None
    driven = runner.teacher.driven.squeeze(-1) > 0.0
    assert driven.sum() == 8
    env.sim.push(torch.ones(16, dtype=torch.bool), torch.tensor([[0.8, 0.3, 0.0]]).repeat(16, 1))
    expected = env.gait.clock.clone()
    shift = env.gait.shift

    def listen(delta: torch.Tensor) -> None:
        ordinary = torch.equal(delta, env.gait.params[:, 0] * env.dt)
        moved.add_(0.0 if ordinary else delta.abs())
        shift(delta)

    env.gait.shift = listen  # type: ignore[method-assign]
    try:
        runner._collect(obs)
    finally:
        del env.gait.shift
    assert expected.shape == moved.shape
    follows = {"never": ~(driven | ~driven), "driven": driven, "all": driven | ~driven}[clock]
    assert (moved[follows] > 0.01).float().mean() > 0.7 or clock == "never"
    assert (moved[~follows] == 0.0).all()


def test_a_gait_that_the_teacher_does_not_walk_is_refused(env: PointFootFlat) -> None:
    kept = env.cfg.gait
    for name in ("offset", "duration"):
        for place in ("nominal", "ranges"):
            env.cfg.gait = copy.deepcopy(kept)
            setattr(getattr(env.cfg.gait, place), name, 0.6 if place == "nominal" else (0.5, 0.6))
            with pytest.raises(UserError, match=rf"gait.{name} is .*0.6.*--train.teacher.enabled=false"):
                make_teacher(DcmCfg(), env, "cpu")
    env.cfg.gait = kept
    make_teacher(DcmCfg(), env, "cpu")


def test_a_policy_with_constant_imitation_explores_in_the_end(env: PointFootFlat) -> None:
    shares = {}
    for schedule in ("constant", "linear"):
        cfg = train_cfg()
        cfg.algorithm.imitation = ImitationCfg(schedule=schedule, initial=2.0, final=0.0, decay_steps=10)
        alg = OnPolicyRunner(env, cfg).alg
        shares[schedule] = []
        for alg.imitation_clock in (0, 5, 10, 50):
            shares[schedule].append(alg.imitation_share)
            assert alg.imitation_weight == (2.0 if schedule == "constant" else alg.imitation_share * 2.0)
    assert shares["constant"] == shares["linear"] == pytest.approx([1.0, 0.5, 0.0, 0.0])


def test_the_planned_stance_costs_no_reward(env: PointFootFlat) -> None:
    assert DcmCfg().stepping.stance_width >= env.cfg.rewards.min_feet_distance


def test_the_teacher_knows_the_true_mass(env: PointFootFlat) -> None:
    """Of base, payload and links as they are."""
    parameters = env.sim.parameters
    nominal = {name: parameters[name].clone() for name in ("base_mass_added", "link_mass_scale")}
    env.sim.set_parameter("base_mass_added", torch.linspace(-1.0, 10.0, 16))
    env.sim.set_parameter("link_mass_scale", 0.8 + 0.4 * torch.rand(16, 9))
    column = dict(env.observation_terms["teacher"])
    start = sum(width for name, width in list(column.items())[: list(column).index("mass")])
    mass = env.observe_anew()["teacher"][:, start].clone()
    expected = (parameters["link_mass_scale"] * torch.tensor(env.sim.robot.body_masses).float()).sum(-1)
    torch.testing.assert_close(mass, expected + parameters["base_mass_added"])
    assert mass.std() > 0.5
    assert env.sim.robot.body_masses.sum() == pytest.approx(env.sim.robot.total_mass)
    for name, values in nominal.items():
        env.sim.set_parameter(name, values)


def test_offset_learns_only_when_asked(env: PointFootFlat) -> None:
    changed = {}
    for update in ("never", "steps", "collection"):
        teacher = loop(env, offset_update=update, offset_update_steps=8, driven_final=1.0)
        before, steps = offset_weights(teacher), []
        obs = env.reset()
        with torch.inference_mode():
            for step in range(48):
                teacher.add_reference(obs)
                obs, *_ = env.step(teacher.act(torch.zeros(16, 6), obs))
                if step % 24 == 23:
                    teacher.end_rollout()
                after = offset_weights(teacher)
                if not torch.equal(before, after):
                    steps.append(step)
                before = after
        changed[update] = steps
        assert teacher.log(48)["Teacher/driven_share"] == 1.0
    assert changed["never"] == []
    assert set(changed["collection"]) <= {23, 47}
    assert 47 in changed["collection"]
    assert set(changed["steps"]) <= set(range(7, 48, 8))
    assert len(changed["steps"]) > 2


def test_offset_is_checkpointed(env: PointFootFlat, tmp_path: Path) -> None:
    runner = OnPolicyRunner(env, train_cfg(), str(tmp_path))
    runner.learn(2)
    assert runner.teacher is not None
    other = OnPolicyRunner(env, train_cfg())
    assert other.teacher is not None
    assert not torch.equal(offset_weights(runner.teacher), offset_weights(other.teacher))
    other.load(str(tmp_path / "model_2.pt"))
    assert torch.equal(offset_weights(runner.teacher), offset_weights(other.teacher))


def test_without_teacher_nothing_of_it_runs(env: PointFootFlat) -> None:
    runner = OnPolicyRunner(env, train_cfg(enabled=False))
    assert runner.teacher is None
    assert "reference" not in runner.alg.storage.observations
    runner.learn(1)


def test_landing_on_the_foothold_earns_reward_by_config(env: PointFootFlat, monkeypatch: pytest.MonkeyPatch) -> None:
    earned, landings, step = [], [], env.step

    def watched(actions: torch.Tensor) -> tuple:
        result = step(actions)
        earned.append(result[1].clone())
        output = runner.teacher.output
        landings.append((output.touchdown.clone(), output.foothold_error.clone()))
        return result

    monkeypatch.setattr(env, "step", watched)
    for weight in (0.0, 0.5):
        earned.clear(), landings.clear()
        runner = OnPolicyRunner(env, train_cfg(driven_final=1.0, foothold_reward=weight, foothold_width=0.1))
        runner._collect(env.reset())
        bonus = runner.alg.storage.rewards.squeeze(-1) - torch.stack(earned)
        touchdown, error = (torch.stack(values) for values in zip(*landings, strict=True))
        assert touchdown.sum() >= 16, "24 steps of 0.02 s: almost a gait cycle, two landings of each robot"
        expected = weight * touchdown * torch.exp(-(error.norm(dim=-1) ** 2) / 0.01)
        assert torch.allclose(bonus, expected, atol=1e-5)
        assert (bonus.abs().sum() > 0.0) == (weight > 0.0)


def test_keeping_to_the_path_earns_reward_by_config(env: PointFootFlat, monkeypatch: pytest.MonkeyPatch) -> None:
    """The teacher drives: most of the reward is earned, less after a push, and none is given by default."""
    earned, step = [], env.step

    def watched(actions: torch.Tensor) -> tuple:
        result = step(actions)
        earned.append(result[1].clone())
        return result

    monkeypatch.setattr(env, "step", watched)
    shares = {}
    for weight, pushed in ((0.0, False), (0.5, False), (0.5, True)):
        earned.clear()
        runner = OnPolicyRunner(env, train_cfg(driven_final=1.0, com_reward=weight, com_width=0.05))
        assert ("path" in runner.teacher.exact_state()) == (weight > 0.0)
        obs = runner._collect(env.reset())
        if pushed:
            env.sim.push(torch.ones(env.num_envs, dtype=torch.bool), torch.tensor([[0.8, 0.0, 0.0]]))
            earned.clear()
            runner.alg.storage.clear()
            runner._collect(obs)
        shares[weight, pushed] = (runner.alg.storage.rewards.squeeze(-1) - torch.stack(earned)).mean().item()
    assert shares[0.0, False] == 0.0
    assert 0.5 * 0.7 < shares[0.5, False] <= 0.5
    assert shares[0.5, True] < shares[0.5, False] - 0.02


def test_stability_is_stored_beside_the_reference_by_config(
    env: PointFootFlat, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Touchdowns as the trainer of the offset sees them; and plans, which land well inside the bounds."""
    assert "stability" not in OnPolicyRunner(env, train_cfg(driven_final=1.0)).alg.storage.observations
    runner = OnPolicyRunner(env, train_cfg(driven_final=1.0, store_stability=True, offset_update="collection"))
    outputs, record = [], runner.teacher.trainer.record

    def listen(output: TeacherOutput, executed: torch.Tensor) -> None:
        outputs.append((output.touchdown.clone(), output.touchdown_error.clone()))
        record(output, executed)

    monkeypatch.setattr(runner.teacher.trainer, "record", listen)
    runner._collect(env.reset())
    stored = runner.alg.storage.observations["stability"]
    assert stored.shape[-1] == len(STABILITY)
    touchdown, error, delta, distance = stored.split((1, 2, 2, 1), dim=-1)
    seen_touchdown, seen_error = (torch.stack(values) for values in zip(*outputs, strict=True))
    assert torch.equal(touchdown.squeeze(-1), seen_touchdown) and torch.equal(error, seen_error)
    assert touchdown.sum() >= 16 and error.abs().sum() > 0.0
    assert 0.0 < delta.norm(dim=-1).median() < 0.2 and -0.3 < distance.median() < -0.02
    runner.teacher.left = True
    obs = env.get_observations()
    runner.teacher.add_reference(obs)
    assert (obs["stability"] == 0.0).all()


def test_the_path_kernel_by_hand() -> None:
    off = torch.tensor([0.0, 0.05, float("nan"), float("inf")])
    torch.testing.assert_close(path_kernel(off, 0.05), torch.tensor([1.0, 0.36787944, 0.0, 0.0]))


def test_the_foothold_kernel_by_hand() -> None:
    output = SimpleNamespace(touchdown=torch.tensor([1.0, 1.0, 0.0]), foothold_error=torch.zeros(3, 2))
    output.foothold_error[1] = torch.tensor([0.03, 0.04])
    torch.testing.assert_close(foothold_kernel(output, 0.05), torch.tensor([1.0, 0.36787944, 0.0]))
