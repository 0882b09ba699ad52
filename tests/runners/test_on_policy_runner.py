"""The runner and PPO on an environment without physics."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from rsl_rl.algorithms import PPO as RslPPO
from rsl_rl.env import VecEnv
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensordict import TensorDict

from legged_gym.algorithms.ppo import PPO
from legged_gym.runners.config import LeggedRobotCfgPPO, rsl_rl_cfg
from legged_gym.runners.on_policy_runner import OnPolicyRunner
from legged_gym.utils.checkpoint import load_checked
from legged_gym.utils.errors import UserError


class DummyEnv(VecEnv):
    """No physics: the reward asks for the action that the observation names."""

    observation_terms = {"policy": [("target", 6)]}
    dt = 0.02

    def __init__(self, num_envs: int = 8, episode_length: int = 10) -> None:
        self.num_envs, self.num_actions, self.max_episode_length = num_envs, 6, episode_length
        self.episode_length_buf = torch.zeros(num_envs, dtype=torch.long)
        self.device, self.cfg = "cpu", {}
        self.generator = torch.Generator().manual_seed(0)
        self.difficulty = 0.0
        self.actions: list[torch.Tensor] = []
        self.overflows: dict[str, int] = {}
        self.sim = SimpleNamespace(overflow_counts=lambda: self.overflows)
        self._observe()

    def _observe(self) -> None:
        target = torch.rand(self.num_envs, 6, generator=self.generator) - 0.5
        policy = torch.cat((target, torch.zeros(self.num_envs, 24)), dim=-1)
        groups = {
            "policy": policy,
            "command": torch.zeros(self.num_envs, 3),
            "velocity": target[:, :3].clone(),
            "history": policy.repeat(1, 10),
            "critic": policy.clone(),
        }
        self.obs = TensorDict(groups, batch_size=[self.num_envs])

    def get_observations(self) -> TensorDict:
        return self.obs

    def step(self, actions: torch.Tensor) -> tuple[TensorDict, torch.Tensor, torch.Tensor, dict[str, Any]]:
        self.actions.append(actions.clone())
        reward = -(actions - self.obs["policy"][:, :6]).square().sum(-1)
        self.episode_length_buf += 1
        done = self.episode_length_buf >= self.max_episode_length
        self.episode_length_buf[done] = 0
        self._observe()
        return self.obs, reward, done, {"time_outs": done}

    def episode_log(self) -> dict[str, float]:
        return {"fall_rate": 0.0}

    def update_curriculum(self, fall_rate: float, steps: int) -> None:
        self.difficulty += 1.0

    def state_dict(self) -> dict[str, torch.Tensor]:
        return {"difficulty": torch.tensor(self.difficulty)}

    def load_state_dict(self, state: dict[str, torch.Tensor]) -> None:
        self.difficulty = float(state["difficulty"])


def small_cfg(**algorithm: Any) -> LeggedRobotCfgPPO:
    cfg = LeggedRobotCfgPPO()
    cfg.policy.actor_hidden_dims = cfg.policy.critic_hidden_dims = (16,)
    cfg.policy.init_noise_std, cfg.policy.symmetric = 0.3, False  # the dummy has no legs to mirror
    cfg.estimator.hidden_dims = (16,)
    cfg.runner.num_steps_per_env, cfg.runner.update_threads = 6, 1  # another number rounds sums otherwise
    cfg.teacher.enabled = False
    for name, value in algorithm.items():
        setattr(cfg.algorithm, name, value)
    return cfg


def runner(log_dir: Path | None = None, cfg: LeggedRobotCfgPPO | None = None) -> OnPolicyRunner:
    return OnPolicyRunner(DummyEnv(), cfg or small_cfg(), None if log_dir is None else str(log_dir))


def parameters(alg: PPO) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in (*alg.actor.parameters(), *alg.critic.parameters())])


def test_learns_what_the_reward_asks_for() -> None:
    cfg = small_cfg(learning_rate=3e-3, schedule="fixed", entropy_coef=0.0)
    cfg.runner.num_steps_per_env = 24
    r = OnPolicyRunner(DummyEnv(num_envs=64), cfg)
    r.learn(40)
    obs = r.env.get_observations()
    error = (r.get_inference_policy()(obs) - obs["policy"][:, :6]).square().sum(-1).mean()
    assert error < 0.15, "a policy that outputs zero has 0.5"
    estimate_error = (r.alg.actor.estimate(obs) - obs["velocity"]).square().mean()
    assert estimate_error < 0.02, "an estimator that outputs zero has 0.083"


def test_without_teacher_the_update_is_rsl_rls_bit_for_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = (runner(cfg=small_cfg(mixed_precision=False)) for _ in range(2))
    for r in (ours, theirs):
        torch.manual_seed(5)
        r._collect(r.env.get_observations())
    monkeypatch.setattr(ours.alg.estimator_trainer, "begin", lambda: torch.zeros(()))
    torch.manual_seed(7)
    losses = ours.alg.update()
    torch.manual_seed(7)
    expected = RslPPO.update(theirs.alg)
    assert torch.equal(parameters(ours.alg), parameters(theirs.alg))
    assert ours.alg.learning_rate == theirs.alg.learning_rate
    for name in ("surrogate", "value", "entropy"):
        assert losses[name] == pytest.approx(expected[name], rel=1e-5)


def with_reference(
    reference: float, weight: float, driven: float, iterations: int, **imitation: float
) -> OnPolicyRunner:
    """Train on a constant reference action, which a teacher would have put into the observations."""
    cfg = small_cfg(learning_rate=3e-3, schedule="fixed")
    cfg.algorithm.imitation.schedule = "constant"
    for name, value in imitation.items():
        setattr(cfg.algorithm.imitation, name, value)
    r = runner(cfg=cfg)
    r.alg = PPO.construct_algorithm(
        r.env.get_observations(), r.env, rsl_rl_cfg(cfg) | {"has_teacher": True, "multi_gpu": None}, "cpu"
    )
    return collect_and_update(r, reference, weight, driven, iterations)


def collect_and_update(
    r: OnPolicyRunner, reference: float, weight: float, driven: float, iterations: int
) -> OnPolicyRunner:
    for _ in range(iterations):
        obs = r.env.get_observations()
        with torch.inference_mode():
            for _ in range(6):
                n = r.env.num_envs
                obs["reference"] = torch.full((n, 6), reference)
                obs["reference_weight"] = torch.full((n, 1), weight)
                obs["teacher_driven"] = torch.full((n, 1), driven)
                actions = r.alg.act(obs)
                obs, rewards, dones, extras = r.env.step(actions)
                r.alg.process_env_step(obs, rewards, dones, extras)
            r.alg.compute_returns(obs)
        r.alg.update()
    return r


def mean_action(r: OnPolicyRunner) -> float:
    return r.alg.get_policy()(r.env.get_observations()).mean().item()


def test_imitation_pulls_the_mean_to_the_reference() -> None:
    assert mean_action(with_reference(0.8, 1.0, 1.0, 40, initial=3.0)) == pytest.approx(0.8, abs=0.1)
    assert abs(mean_action(with_reference(0.8, 0.0, 1.0, 40, initial=3.0))) < 0.25, "weight 0 must pull nothing"
    assert abs(mean_action(with_reference(0.8, 1.0, 1.0, 40, initial=0.0))) < 0.25, "lambda 0 must pull nothing"


def test_imitation_fades_once_the_policy_follows() -> None:
    """At first the mean is 0.8 off in each of six actions, 1.96 in all."""
    clocks = {}
    for error in (0.0, 1e-6, 0.1):
        torch.manual_seed(0)
        r = with_reference(0.8, 1.0, 1.0, 12, initial=3.0, follow_error=error)
        clocks[error] = r.alg.imitation_clock
        other = PPO.construct_algorithm(
            r.env.get_observations(), r.env, rsl_rl_cfg(small_cfg()) | {"multi_gpu": None}, "cpu"
        )
        other.load(r.alg.save(), None, True)
        assert other.imitation_clock == r.alg.imitation_clock
    assert clocks[0.0] == 12 and clocks[1e-6] == 0
    assert 3 < clocks[0.1] < 12, "not while it is still far off"


def test_nobody_follows_a_reference_that_is_not_trusted_or_in_steps_left_out() -> None:
    def clock(weight: float) -> int:
        return with_reference(0.8, weight, 1.0, 3, initial=3.0, follow_error=3.0).alg.imitation_clock

    assert clock(1.0) == clock(0.5) == 3, "all errors are smaller"
    assert clock(0.05) == 0, "no error shows where nothing is weighed"
    apart = [with_reference(0.8, 0.5, 1.0, 1, initial=0.0, follow_error=error) for error in (1.7, 2.3)]
    assert [r.alg.imitation_clock for r in apart] == [0, 1], "1.96 apart, though the loss is weighed by a half"
    r = with_reference(0.8, 1.0, 1.0, 3, initial=3.0, follow_error=3.0)
    collect_and_update(r, float("nan"), 1.0, 1.0, 2)
    assert r.alg.imitation_clock == 3 and r.alg.read_skipped().total > 0
    collect_and_update(r, 0.8, 1.0, 1.0, 1)
    assert r.alg.imitation_clock == 4
    r = with_reference(0.8, 1.0, 1.0, 1, initial=3.0)
    collect_and_update(r, float("nan"), 1.0, 1.0, 2)
    assert r.alg.imitation_clock == 3, "by default λ falls with time, whatever happens"


def test_past_rollouts_are_imitated_as_well() -> None:
    """Where the update itself does nothing, the policy learns from what is replayed, and the less the smaller λ is."""

    def learned(**imitation: float) -> float:
        torch.manual_seed(0)
        r = with_reference(0.8, 1.0, 1.0, 0, initial=3.0, **imitation)
        r.alg.num_learning_epochs = 0
        return mean_action(collect_and_update(r, 0.8, 1.0, 1.0, 20))

    assert learned(replay_mini_batches=20, replay_batch_size=64) == pytest.approx(0.8, abs=0.1)
    assert abs(learned(replay_mini_batches=0)) < 0.25


def test_what_is_replayed_shrinks_with_the_imitation_weight(monkeypatch: pytest.MonkeyPatch) -> None:
    r = with_reference(0.8, 1.0, 0.0, 0, initial=2.0, replay_mini_batches=10, replay_batch_size=8)
    r.alg.imitation |= {"schedule": "linear", "final": 0.0, "decay_steps": 4}
    counts = []
    for _ in range(5):
        steps: list[torch.Tensor] = []
        monkeypatch.setattr(r.alg, "_imitating", steps.append)
        collect_and_update(r, 0.8, 1.0, 0.0, 1)
        counts.append(len(steps))
    assert counts == [10, 7, 5, 2, 0]


def test_while_imitation_is_strong_nothing_is_explored_and_the_learning_rate_stays() -> None:
    """At λ's initial value entropy earns nothing and the rate does not fall; without imitation they do."""
    for initial in (1.0, 0.0):
        torch.manual_seed(0)
        r = with_reference(0.0, 0.0, 1.0, 0, initial=initial)  # all is driven, no reference weighs: entropy is left
        r.alg.estimator_trainer.epochs, before = 0, parameters(r.alg)
        collect_and_update(r, 0.0, 0.0, 1.0, 1)
        assert torch.equal(parameters(r.alg), before) == (initial > 0.0)
        r = with_reference(0.0, 0.0, 0.0, 0, initial=initial)
        r.alg.schedule, r.alg.desired_kl = "adaptive", 1e-9  # any change of the policy is too much
        collect_and_update(r, 0.0, 0.0, 0.0, 1)
        assert (r.alg.learning_rate == pytest.approx(3e-3)) == (initial > 0.0)


def test_driven_transitions_stay_out_of_surrogate_and_value() -> None:
    torch.manual_seed(0)
    r = with_reference(0.0, 0.0, 1.0, 1, initial=0.0)
    r.alg.entropy_coef = 0.0
    before = parameters(r.alg)
    obs = r.env.get_observations()
    with torch.inference_mode():
        for _ in range(6):
            obs["reference"], obs["reference_weight"] = torch.zeros(8, 6), torch.zeros(8, 1)
            obs["teacher_driven"] = torch.ones(8, 1)
            obs_next, rewards, dones, extras = r.env.step(r.alg.act(obs))
            r.alg.process_env_step(obs_next, rewards, dones, extras)
            obs = obs_next
        r.alg.compute_returns(obs)
    r.alg.optimizer.state.clear()
    r.alg.estimator_trainer.epochs = 0
    losses = r.alg.update()
    assert losses["surrogate"] == 0.0
    assert losses["value"] == 0.0
    assert torch.equal(parameters(r.alg), before)


def test_checkpoint_restores_everything(tmp_path: Path) -> None:
    r = runner(tmp_path / "run")
    r.learn(3)
    assert sorted(p.name for p in (tmp_path / "run").glob("model_*.pt")) == ["model_3.pt"]
    other = runner(cfg=small_cfg())
    other.load(str(tmp_path / "run" / "model_3.pt"))
    obs = DummyEnv().get_observations()
    assert torch.equal(r.get_inference_policy()(obs), other.get_inference_policy()(obs))
    assert torch.equal(parameters(r.alg), parameters(other.alg))
    assert other.current_learning_iteration == 3
    assert other.alg.iteration == 3
    assert other.alg.learning_rate == r.alg.learning_rate
    assert other.logger.tot_timesteps == 3 * 6 * 8
    assert other.env.difficulty == 3.0
    for owns in (lambda alg: alg, lambda alg: alg.estimator_trainer):
        mine, theirs = owns(r.alg).optimizer.state_dict(), owns(other.alg).optimizer.state_dict()
        assert all(torch.equal(mine["state"][k]["exp_avg"], theirs["state"][k]["exp_avg"]) for k in mine["state"])


def test_the_averaged_actor_is_deployed_and_the_newest_one_trained_on(tmp_path: Path) -> None:
    """Also on resume; to act, to ship and to calibrate, a checkpoint's actor is the averaged one."""
    r = runner(tmp_path)
    r.learn(12)
    obs, path = DummyEnv().get_observations(), tmp_path / "model_12.pt"
    averaged, newest = r.get_inference_policy()(obs), r.alg.get_policy()(obs)
    assert (averaged - newest).abs().max() > 1e-4
    untrained = runner().get_inference_policy()(obs)
    assert (averaged - newest).abs().mean() < 0.5 * (averaged - untrained).abs().mean(), "it follows"
    other, acting = runner(), runner()
    other.load(str(path))
    acting.load(str(path), load_cfg={"actor": True})
    assert torch.equal(other.alg.get_policy()(obs), newest)
    assert torch.equal(other.get_inference_policy()(obs), averaged)
    assert torch.equal(acting.get_inference_policy()(obs), averaged)
    weights = load_checked(path)["actor_state_dict"]
    assert all(torch.equal(weights[name], value) for name, value in r.averaged.actor.state_dict().items())


def test_resumed_run_learns_as_the_unbroken_one_on_the_same_environment(tmp_path: Path) -> None:
    whole = runner(tmp_path / "whole")
    whole.learn(4, init_at_random_ep_len=False)
    first = runner(tmp_path / "first")
    first.learn(2, init_at_random_ep_len=False)
    second = OnPolicyRunner(first.env, small_cfg(), str(tmp_path / "second"))
    second.load(str(tmp_path / "first" / "model_2.pt"))
    second.learn(2, init_at_random_ep_len=False)
    assert second.current_learning_iteration == 4
    assert torch.equal(parameters(whole.alg), parameters(second.alg))
    for name, value in whole.averaged.actor.state_dict().items():
        assert torch.equal(value, second.averaged.actor.state_dict()[name]), name


def test_interrupt_saves_and_stops(tmp_path: Path) -> None:
    r = runner(tmp_path)
    r.interrupted = True
    r.learn(100)
    assert r.current_learning_iteration == 1
    assert (tmp_path / "model_1.pt").is_file()


def test_load_refuses_what_is_no_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "model_1.pt"
    path.write_bytes(b"not a checkpoint")
    with pytest.raises(UserError, match=r"model_1\.pt"):
        runner().load(str(path))


def test_tensorboard_has_losses_speed_and_episodes(tmp_path: Path) -> None:
    runner(tmp_path).learn(3)
    events = EventAccumulator(str(tmp_path))
    events.Reload()
    tags = set(events.Tags()["scalars"])
    assert {"Loss/surrogate", "Loss/value", "Loss/estimator", "Loss/learning_rate", "Perf/total_fps"} <= tags
    assert {"Train/mean_reward", "Train/mean_episode_length", "Policy/mean_std", "Train/fall_rate"} <= tags
    length = events.Scalars("Train/mean_episode_length")[-1]
    assert length.value == pytest.approx(10.0, abs=6.0)
    assert length.step == 3 * 6 * 8, "robot-steps"


def test_episodes_are_summed_up_from_end_to_end() -> None:
    """Robot 0 ends after 2 and after 3 more steps of 2.0 each, robot 1 after 5 steps; nobody else ends."""
    logger = runner().logger
    for step in range(1, 7):
        done = torch.zeros(8)
        done[0], done[1] = step in (2, 5), step == 5
        logger.process_env_step(torch.full((8,), 2.0), done, {"time_outs": done})
    scalars: dict[str, float] = {}
    logger.log_iteration(0, 0, 2, 1.0, 1.0, scalars, 0.02)
    assert scalars["Train/mean_episode_length"] == pytest.approx((2 + 3 + 5) / 3)
    assert scalars["Train/mean_reward"] == pytest.approx(2.0 * (2 + 3 + 5) / 3)
    scalars = {}
    logger.log_iteration(1, 0, 2, 1.0, 1.0, scalars, 0.02)
    assert "Train/mean_reward" not in scalars, "of the episodes since then"


def test_progress_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runner(tmp_path).learn(2)
    line = capsys.readouterr().out.splitlines()[-1]
    for part in ("iteration 2/2", "steps/s", "return", "survival", "ETA"):
        assert part in line


def test_progress_says_nothing_of_episodes_before_one_has_ended(capsys: pytest.CaptureFixture[str]) -> None:
    runner().logger.log_iteration(0, 0, 1, 1.0, 1.0, {}, 0.02)
    line = capsys.readouterr().out
    assert "iteration 1/1" in line and "return" not in line and "nan" not in line and "level" not in line


def test_a_logger_that_is_not_installed_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before anything is written; who writes nothing, as play does, needs none."""
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    cfg = small_cfg()
    cfg.runner.logger = "wandb"
    with pytest.raises(UserError, match="--logger=wandb: it is not installed here; pip install wandb"):
        runner(tmp_path / "run", cfg)
    assert not (tmp_path / "run").exists()
    runner(None, cfg)


def test_progress_tells_the_terrain_level(capsys: pytest.CaptureFixture[str]) -> None:
    runner().logger.log_iteration(0, 0, 1, 1.0, 1.0, {"Train/terrain_level": 4.678, "Train/difficulty": 0.25}, 0.02)
    assert "  difficulty 0.25  level 4.68  " in capsys.readouterr().out


def test_overflows_of_the_simulator_are_logged(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """By name in tensorboard, and one line of warning; nothing if there were none."""
    env = DummyEnv()
    runner = OnPolicyRunner(env, small_cfg(), str(tmp_path))
    logged: list[dict[str, float]] = []
    runner.after_iteration = logged.append
    runner.learn(1)
    assert "warning" not in capsys.readouterr().out and not any(tag.startswith("Sim/") for tag in logged[0])
    env.overflows = {"NEFC": 3, "NARROWPHASE": 1200}
    runner.learn(1)
    assert logged[1]["Sim/overflow_NEFC"] == 3 and logged[1]["Sim/overflow_NARROWPHASE"] == 1200
    assert (
        capsys.readouterr().out.count(
            "warning: buffers of the simulator overflowed, so it left something out: NEFC 3, NARROWPHASE 1,200\n"
        )
        == 1
    )


def test_rollouts_take_one_torch_thread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And the update as many as were chosen for it."""
    env, seen = DummyEnv(), []
    step = env.step
    monkeypatch.setattr(env, "step", lambda actions: (seen.append(torch.get_num_threads()), step(actions))[1])
    cfg = small_cfg()
    cfg.runner.update_threads = 2
    runner = OnPolicyRunner(env, cfg, str(tmp_path))
    learn, before = runner.alg.learn, torch.get_num_threads()
    monkeypatch.setattr(runner.alg, "learn", lambda: (seen.append(torch.get_num_threads()), learn())[1])
    torch.set_num_threads(3)
    try:
        runner.learn(1)
    finally:
        torch.set_num_threads(before)
    assert set(seen[:-1]) == {1} and seen[-1] == 2


@pytest.mark.parametrize("stopped", [False, True])
def test_what_comes_last_is_in_the_last_checkpoint(tmp_path: Path, stopped: bool) -> None:
    """As when the walking gate returns to the policy that has passed; also where a checkpoint is due just then."""
    cfg = LeggedRobotCfgPPO()
    cfg.runner.save_interval, cfg.teacher.enabled, cfg.policy.symmetric = 1, False, False
    runner = OnPolicyRunner(DummyEnv(), cfg, str(tmp_path))
    seen: list[int] = []

    def before_end() -> None:
        seen.append(runner.current_learning_iteration)
        with torch.no_grad():
            for parameter in runner.averaged.actor.parameters():
                parameter.fill_(0.25)

    def after_iteration(scalars: dict[str, float]) -> None:
        runner.interrupted = stopped and runner.current_learning_iteration == 2

    runner.before_end, runner.after_iteration = before_end, after_iteration
    runner.learn(3)
    last = 2 if stopped else 3
    assert seen == [last]
    saved = load_checked(tmp_path / f"model_{last}.pt")["actor_state_dict"]
    assert all((saved[name] == 0.25).all() for name, _ in runner.averaged.actor.named_parameters())
