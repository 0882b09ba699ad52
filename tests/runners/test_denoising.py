"""A policy that learns to act through noise: its teacher, its steps, and that it gets better."""

import copy

import pytest
import torch

from legged_gym.algorithms.config import DenoisingCfg
from legged_gym.algorithms.networks import EstimatorActor
from legged_gym.evaluation.loading import load_actor
from legged_gym.options import runs
from legged_gym.options.request import parse_args
from legged_gym.options.resolve import resolve
from legged_gym.options.setup import make_env
from legged_gym.runners.denoising import Denoiser, in_trouble
from legged_gym.scripts.denoise import make_denoise_parser
from legged_gym.utils.errors import UserError
from tests.runners.making import small_run

SHORT = DenoisingCfg(num_learning_epochs=1, num_mini_batches=2)
STEPS = 4
"""Of a rollout."""


def small(cfg: DenoisingCfg = SHORT, num_steps: int = STEPS) -> Denoiser:
    """Of a policy that has not learned anything, and four robots."""
    runner = small_run(None)
    return Denoiser(runner.env, runner.alg.get_policy(), cfg, num_steps, "cpu")


def test_what_is_seen_without_noise_is_what_the_noise_is_added_to() -> None:
    env = small_run(None).env
    group, noise = env.observer.groups["policy"], env.cfg.noise.noise_scales
    obs = env.step(torch.zeros(4, 6))[0]
    clear = env.observer.without_noise(env)
    assert torch.equal(clear, env.observer.without_noise(env))
    off = (obs["policy"] - clear).abs()
    rates = group.column("joint_vel")
    width = noise.dof_vel * env.cfg.normalization.obs_scales.dof_vel
    assert 0.0 < off[:, rates : rates + 6].max() <= width
    assert torch.equal(off[:, group.column("last_action") :], torch.zeros(4, 12)), "nobody measures these"
    assert torch.equal(obs["history"][:, -30:], obs["policy"])


def test_the_teacher_is_the_policy_that_sees_clearly() -> None:
    denoiser = small()
    env, actor = denoiser.env, denoiser.actor
    obs = env.reset()
    clear = env.observer.without_noise(env)
    known = torch.cat((obs["velocity"], clear, obs["command"]), dim=-1)
    with torch.no_grad():
        expected = actor.mlp(known)
    _, samples = denoiser._collect(obs)
    torch.testing.assert_close(samples["action"][:4], expected)
    torch.testing.assert_close(samples["seen"][:4], torch.cat((obs["policy"], obs["command"]), dim=-1))
    assert not torch.equal(obs["policy"], clear)
    assert len(samples["action"]) == 4 * STEPS


def test_another_policy_is_the_teacher_of_robots_in_trouble() -> None:
    runner, other = small_run(None), copy.deepcopy(small_run(None).alg.get_policy().mlp)
    with torch.no_grad():
        other[-1].bias.add_(1.0)
    env, actor = runner.env, runner.alg.get_policy()
    denoiser = Denoiser(env, actor, SHORT, 1, "cpu", recoverer=other)
    swapped = Denoiser(env, actor, SHORT, 1, "cpu", walker=other)
    obs = env.reset()
    env.sim.parameters["friction"].fill_(0.6)
    env.commands.reversing.zero_()
    env.disturbances.forget(torch.ones(4, dtype=torch.bool))
    assert not in_trouble(env).any()
    upright = env.state.projected_gravity_b.clone()
    env.state.projected_gravity_b[3] = torch.tensor([0.12, -0.14, -0.98])  # 10.6 degrees
    assert in_trouble(env).tolist() == [False, False, False, True]
    env.state.projected_gravity_b[3] = torch.tensor([0.12, -0.12, -0.98])  # 9.8 degrees
    assert not in_trouble(env).any()
    env.state.projected_gravity_b.copy_(upright)
    env.disturbances._recovery_left[0] = 0.5
    env.commands.reversing[1] = True
    env.sim.parameters["friction"][2, 1] = 0.34
    env.sim.parameters["friction"][3, 1] = 0.36
    trouble = in_trouble(env)
    assert trouble.tolist() == [True, True, True, False]
    known = torch.cat((obs["velocity"], env.observer.without_noise(env), obs["command"]), dim=-1)
    with torch.no_grad():
        told, itself, another = denoiser._told(known), actor.mlp(known), other(known)
        torch.testing.assert_close(swapped._told(known), torch.where(trouble.unsqueeze(-1), itself, another))
    assert (another - itself).abs().max() > 0.5
    torch.testing.assert_close(told, torch.where(trouble.unsqueeze(-1), another, itself))
    _, samples = denoiser._collect(obs)
    torch.testing.assert_close(samples["action"], told)


def test_it_learns_in_place_and_its_teacher_does_not() -> None:
    denoiser = small()
    policy, teacher = copy.deepcopy(denoiser.actor.state_dict()), copy.deepcopy(denoiser.walker.state_dict())
    said = []
    assert denoiser.learn(2, lambda learned: said.append(learned) or True)
    assert [learned.iteration for learned in said] == [1, 2]
    assert all(0.0 < learned.action < 10.0 and 0.0 < learned.velocity < 10.0 for learned in said)
    assert all(0.0 < learned.collect_time < 60.0 and 0.0 < learned.learn_time < 60.0 for learned in said)
    for name, before in teacher.items():
        assert torch.equal(denoiser.walker.state_dict()[name], before)
    for name, before in policy.items():
        learns = name.startswith(("mlp.", "estimator.")) and name.endswith(("weight", "bias"))
        assert torch.equal(denoiser.actor.state_dict()[name], before) != learns, name


def test_the_policy_drives_and_explores(monkeypatch: pytest.MonkeyPatch) -> None:
    denoiser, done = small(num_steps=1), []
    obs, step = denoiser.env.reset(), denoiser.env.step

    def stepped(actions: torch.Tensor) -> object:
        done.append(actions.clone())
        return step(actions)

    monkeypatch.setattr(denoiser.env, "step", stepped)
    with torch.no_grad():
        mean = denoiser.actor(obs).clone()
    _, samples = denoiser._collect(obs)
    noise = done[0] - mean
    deviation = denoiser.actor.distribution.std_param.mean().item()
    assert 0.4 * deviation < noise.std() < 2.0 * deviation, "its own mean action, and the noise of exploration"
    assert not torch.allclose(done[0] - samples["action"], noise), "which is not its teacher's"


def test_the_estimator_learns_the_velocity_too() -> None:
    ends = []
    for weight in (0.0, 10.0):
        torch.manual_seed(0)
        denoiser = small(DenoisingCfg(velocity_weight=weight, learning_rate=0.01))
        _, samples = denoiser._collect(denoiser.env.reset())
        ends += [[denoiser._learn(samples)[1] for _ in range(20)][-1]]
    assert ends[1] < 0.8 * ends[0]


def test_robots_get_new_bodies_and_ages(monkeypatch: pytest.MonkeyPatch) -> None:
    denoiser, refreshed = small(), []
    refresh = denoiser.env.randomizer.refresh_bodies
    monkeypatch.setattr(denoiser.env.randomizer, "refresh_bodies", lambda: refreshed.append(refresh()))
    denoiser.learn(3)
    assert len(refreshed) == 1 + 3, "once by the reset, and once for each rollout"
    assert len(set(denoiser.env.episode_length_buf.tolist())) > 1


def test_a_broken_robot_begins_anew_and_the_others_teach(monkeypatch: pytest.MonkeyPatch) -> None:
    denoiser, done = small(DenoisingCfg(num_mini_batches=1), num_steps=3), []
    obs, step = denoiser.env.reset(), denoiser.env.step

    def broken(actions: torch.Tensor) -> object:
        done.append(actions.clone())
        seen, *rest = step(actions)
        if len(done) == 1:
            seen["history"][2, 5] = torch.nan
        return seen, *rest

    monkeypatch.setattr(denoiser.env, "step", broken)
    _, samples = denoiser._collect(obs)
    assert [bool(actions.isnan().any()) for actions in done] == [False, True, False]
    assert done[1].isnan().all(dim=1).tolist() == [False, False, True, False]
    assert all(values.isfinite().all() for values in samples.values())


def test_a_policy_of_which_nothing_can_be_learned_is_refused() -> None:
    denoiser = small()
    with torch.no_grad():
        list(denoiser.walker.parameters())[-1].fill_(torch.nan)
    with pytest.raises(UserError, match="4 of 4 steps were not finite"):
        denoiser.learn(2)


def test_the_weights_end_between_what_they_were_and_what_was_learned(monkeypatch: pytest.MonkeyPatch) -> None:
    denoiser = small(DenoisingCfg(blend=0.25), num_steps=1)

    def learned(_: object) -> tuple[float, float]:
        with torch.no_grad():
            for parameter in denoiser.actor.parameters():
                parameter.add_(1.0)
        return 0.0, 0.0

    monkeypatch.setattr(denoiser, "_learn", learned)
    before = copy.deepcopy(denoiser.actor.state_dict())
    denoiser.learn(2)
    for name, value in denoiser.actor.state_dict().items():
        if name.endswith(("weight", "bias")):
            torch.testing.assert_close(value, before[name] + 0.5, msg=name)


@pytest.mark.parametrize(("another", "share"), [(False, 1.0 / 3.0), (True, 1.0 / 2.0)])
def test_robots_are_disturbed_more_and_less(monkeypatch: pytest.MonkeyPatch, another: bool, share: float) -> None:
    runner, seen = small_run(None), []
    actor = runner.alg.get_policy()
    denoiser = Denoiser(runner.env, actor, SHORT, 1, "cpu", walker=actor.mlp if another else None)
    difficulty = denoiser.env.curriculum.difficulty
    monkeypatch.setattr(denoiser, "_learn", lambda _: seen.append(difficulty.item()) or (0.0, 0.0))
    difficulty.fill_(0.5)
    denoiser.learn(40)
    assert difficulty == 0.5, "training may go on"
    assert min(seen) < 0.05 and max(seen) > 0.3 and sum(seen) / len(seen) == pytest.approx(0.5 * share, abs=0.08)


def test_commands_come_from_ranges_as_wide_as_they_have_become(monkeypatch: pytest.MonkeyPatch) -> None:
    denoiser, asked = small(num_steps=1), []
    commands, everybody = denoiser.env.commands, torch.ones(4, dtype=torch.bool)

    def largest() -> float:
        denoiser.env.curriculum.difficulty.zero_()
        drawn = []
        for _ in range(50):
            commands.resample(everybody)
            drawn.append(commands.command[:, 0].min().item())
        return -min(drawn)

    monkeypatch.setattr(denoiser, "_learn", lambda _: asked.append(largest()) or (0.0, 0.0))
    before = largest()
    denoiser.env.curriculum.difficulty.fill_(0.8)  # back to -0.9 m/s
    denoiser.learn(1)
    assert before <= 0.5 and largest() <= 0.5, "those of the difficulty"
    assert 0.8 < asked[0] <= 0.9


def test_a_policy_that_is_broken_off_is_what_it_was() -> None:
    denoiser, said = small(), []
    before = copy.deepcopy(denoiser.actor.state_dict())
    assert not denoiser.learn(5, lambda learned: said.append(learned) or len(said) < 2)
    assert len(said) == 2
    for name, value in denoiser.actor.state_dict().items():
        assert torch.equal(value, before[name]), name


def test_an_exception_leaves_the_curriculum_where_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    runner = small_run(None, **{"env.terrain.profile": "mixed"})
    denoiser = Denoiser(runner.env, runner.alg.get_policy(), SHORT, STEPS, "cpu")
    state = denoiser.env.state_dict()
    state["difficulty"].fill_(0.5)
    before = {name: value.clone() for name, value in state.items()}
    assert before.keys() == {"difficulty", "terrain_levels"}

    def interrupted(_: object) -> None:
        for value in state.values():
            value.add_(1)
        raise KeyboardInterrupt

    monkeypatch.setattr(denoiser, "_learn", interrupted)
    with pytest.raises(KeyboardInterrupt):
        denoiser.learn(1)
    for name, value in denoiser.env.state_dict().items():
        assert torch.equal(value, before[name]), name


def test_the_rate_falls_to_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    denoiser, rates = small(), []
    monkeypatch.setattr(denoiser, "_learn", lambda samples: rates.append(denoiser._rate.item()) or (0.0, 0.0))
    denoiser.learn(4)
    cosine = 0.5 * (1.0 + torch.cos(torch.pi * torch.arange(4) / 4))
    torch.testing.assert_close(torch.tensor(rates), SHORT.learning_rate * cosine)


def test_numbers_that_are_not_finite_teach_nothing() -> None:
    denoiser = small()
    _, samples = denoiser._collect(denoiser.env.reset())
    before = copy.deepcopy(denoiser.actor.state_dict())
    denoiser._learn(samples | {"action": samples["action"] * torch.nan})
    for name, value in denoiser.actor.state_dict().items():
        assert torch.equal(value, before[name]), name


def test_the_shipped_policy_comes_nearer_to_what_it_does_without_noise() -> None:
    """Bent by noise on its weights first: so there is something to learn, whatever policy is shipped."""
    source = runs.policies_dir() / "PF_TRON1A" / "pointfoot_flat"
    argv = [f"--load_run={source}", "--num_envs=48", "--sim_device=cpu", "--rl_device=cpu", "--sim=mujoco"]
    spec = resolve(parse_args(make_denoise_parser(), argv).request)
    env = make_env(spec)
    actor = load_actor(spec, env)
    assert isinstance(actor, EstimatorActor)
    denoiser = Denoiser(env, actor, DenoisingCfg(), 24, "cpu")
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in actor.mlp.parameters():
            parameter.add_(0.02 * torch.randn_like(parameter))
    errors, obs = [], env.reset()
    for _ in range(6):  # as hard in the end as at first
        obs, samples = denoiser._collect(obs)
        errors.append(denoiser._learn(samples)[0])
    assert errors[-1] < 0.75 * errors[0]
    env.sim.close()


def test_trouble_begins_with_the_step_that_shows_it() -> None:
    """The kick is in the velocity of the very observation that the policy is to answer."""
    env = small_run(None, **{"env.domain_rand.push_interval_s": 0.1, "env.domain_rand.max_push_vel_xy": 1.0}).env
    env.curriculum.difficulty.fill_(1.0)
    env.reset()
    kicked = 0
    for _ in range(30):
        env.step(torch.zeros(4, 6))
        kick = env.disturbances.kick_w.norm(dim=-1) > 0.0
        kicked += int(kick.sum())
        assert in_trouble(env)[kick].all()
    assert kicked > 0
