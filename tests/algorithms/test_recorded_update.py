"""The update recorded in CUDA graphs is the plain one; on a CPU, where nothing is recorded, it is repeatable."""

import contextlib
import copy
import io
from types import SimpleNamespace

import pytest
import torch
from tensordict import TensorDict

from legged_gym.algorithms.networks import VELOCITY_ESTIMATE
from legged_gym.algorithms.ppo import PPO
from legged_gym.algorithms.precision import tensor_cores
from legged_gym.algorithms.rollout import packed, unpacked
from legged_gym.runners.config import LeggedRobotCfgPPO, rsl_rl_cfg
from legged_gym.utils import cuda_graph
from legged_gym.utils.distributed import ALONE, Group
from legged_gym.utils.mirror import Mirror, Symmetry

needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device: graphs exist only there")
DEVICES = ["cpu", pytest.param("cuda", marks=needs_cuda)]
NUM_ENVS, NUM_STEPS = 16, 6
WIDTHS = {"policy": 30, "command": 3, "velocity": 3, "history": 300, "critic": 40, "teacher": 65}
WIDTHS |= {"reference": 6, "reference_weight": 1, "teacher_driven": 1}


def observations(device: str) -> TensorDict:
    groups = {name: torch.rand(NUM_ENVS, width, device=device) for name, width in WIDTHS.items()}
    groups["teacher_driven"] = groups["teacher_driven"].round()
    return TensorDict(groups, batch_size=[NUM_ENVS])


def symmetry(device: str) -> Symmetry:
    def backwards(width: int) -> Mirror:
        return Mirror(torch.arange(width, device=device).flip(0), -torch.ones(width, device=device))

    mirrors = {name: backwards(WIDTHS[name]) for name in ("policy", "command", "velocity")}
    return Symmetry(**mirrors, action=backwards(6), clock=5)


def algorithm(device: str, group: Group = ALONE, mixed: bool = True) -> PPO:
    cfg = LeggedRobotCfgPPO()
    cfg.algorithm.mixed_precision = mixed
    cfg.algorithm.input_scaling, cfg.estimator.huber_width = True, 0.2
    cfg.runner.num_steps_per_env = NUM_STEPS
    cfg.algorithm.imitation.replay_mini_batches = 3
    cfg.algorithm.imitation.replay_samples = 2 * NUM_ENVS * NUM_STEPS
    cfg.policy.actor_hidden_dims = cfg.policy.critic_hidden_dims = (32, 16)
    env = SimpleNamespace(num_envs=NUM_ENVS, num_actions=6, symmetry=lambda: symmetry(device))
    torch.manual_seed(0)
    shared = None if group.alone else {"global_rank": group.rank, "world_size": group.size, "group": group}
    with contextlib.redirect_stdout(io.StringIO()):
        return PPO.construct_algorithm(observations(device), env, rsl_rl_cfg(cfg) | {"multi_gpu": shared}, device)


def iterate(alg: PPO, device: str) -> dict[str, float]:
    with torch.inference_mode():
        for _ in range(NUM_STEPS):
            obs = observations(device)
            alg.act(obs)
            done = torch.rand(NUM_ENVS, device=device) < 0.1
            alg.process_env_step(obs, torch.rand(NUM_ENVS, device=device), done, {"time_outs": done})
        alg.compute_returns(observations(device))
    return alg.update()


def parameters(alg: PPO) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in (*alg.actor.parameters(), *alg.critic.parameters())])


@pytest.mark.parametrize("device", DEVICES)
def test_recorded_and_plain_updates_agree(device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    recorded = algorithm(device)
    torch.manual_seed(1)
    losses = [iterate(recorded, device) for _ in range(4)]
    monkeypatch.setattr(cuda_graph, "PLAIN_CALLS", 10**9)
    plain = algorithm(device)
    torch.manual_seed(1)
    for given in losses:
        assert iterate(plain, device) == pytest.approx(given, rel=1e-3, abs=1e-5)
    torch.testing.assert_close(parameters(recorded), parameters(plain), atol=1e-4, rtol=1e-3)
    assert recorded.learning_rate == pytest.approx(plain.learning_rate)


@pytest.mark.parametrize("device", DEVICES)
def test_learning_goes_on_after_loading(device: str) -> None:
    first, second = algorithm(device), algorithm(device)
    torch.manual_seed(2)
    for _ in range(2):
        iterate(first, device)
    for _ in range(2):
        iterate(second, device)  # records, with other tensors
    first.replay.clear()  # is not saved
    second.load(copy.deepcopy(first.save()), None, True)
    for alg in (first, second):
        torch.manual_seed(3)
        iterate(alg, device)
    torch.testing.assert_close(parameters(first), parameters(second), atol=1e-4, rtol=1e-3)
    assert first.optimizer.param_groups[0]["lr"] is first._rate
    assert second.learning_rate == pytest.approx(first.learning_rate)


def test_a_critic_that_sees_more_goes_on_with_the_same_values(monkeypatch: pytest.MonkeyPatch) -> None:
    narrow = algorithm("cpu")
    torch.manual_seed(2)
    iterate(narrow, "cpu")
    saved = copy.deepcopy(narrow.save())
    monkeypatch.setitem(WIDTHS, "critic", WIDTHS["critic"] + 7)
    wide = algorithm("cpu")
    wide.load(copy.deepcopy(saved), None, True)
    seen = observations("cpu")
    with torch.no_grad():
        narrower = TensorDict(seen.to_dict() | {"critic": seen["critic"][:, :-7]}, batch_size=seen.batch_size)
        torch.testing.assert_close(wide.critic(seen), narrow.critic(narrower))
    moments = wide.optimizer.state[wide.critic.mlp[0].weight]
    assert torch.equal(moments["exp_avg"][:, :-7], narrow.optimizer.state[narrow.critic.mlp[0].weight]["exp_avg"])
    iterate(wide, "cpu")  # and learns to use them
    assert wide.critic.mlp[0].weight[:, -7:].abs().max() > 0.0
    with pytest.raises(RuntimeError, match="size mismatch"):  # fewer inputs are refused
        monkeypatch.setitem(WIDTHS, "critic", WIDTHS["critic"] - 10)
        algorithm("cpu").load(saved, None, True)


def test_the_normaliser_keeps_its_memory() -> None:
    alg = algorithm("cpu")
    before = {name: buffer.data_ptr() for name, buffer in alg.critic.named_buffers()}
    iterate(alg, "cpu")
    assert {name: buffer.data_ptr() for name, buffer in alg.critic.named_buffers()} == before
    assert not torch.equal(alg.critic.obs_normalizer._std, torch.ones(1, WIDTHS["critic"]))


def test_tensor_cores_are_put_back() -> None:
    before = torch.backends.cuda.matmul.allow_tf32
    with tensor_cores():
        assert torch.backends.cuda.matmul.allow_tf32
    assert torch.backends.cuda.matmul.allow_tf32 == before


def test_a_mini_batch_is_rows_of_the_rollout_and_knows_who_drove() -> None:
    alg = algorithm("cpu")
    with torch.inference_mode():
        for _ in range(NUM_STEPS):
            alg.act(obs := observations("cpu"))
            alg.process_env_step(obs, torch.rand(NUM_ENVS), torch.zeros(NUM_ENVS), {})
        alg.compute_returns(observations("cpu"))
    storage = alg.storage
    rows = torch.randperm(NUM_ENVS * NUM_STEPS)[:60].view(2, 30)
    batches = packed(storage)[rows]
    batch = unpacked(storage, batches[1])
    assert set(batch.observations.keys()) == {*WIDTHS, VELOCITY_ESTIMATE} - {"history", "teacher", "velocity"}
    for name, values in batch.observations.items():
        assert torch.equal(values, storage.observations[name].flatten(0, 1)[rows[1]]), name
    for given, stored in (
        (batch.actions, storage.actions),
        (batch.values, storage.values),
        (batch.advantages, storage.advantages),
        (batch.returns, storage.returns),
        (batch.old_actions_log_prob, storage.actions_log_prob),
        *zip(batch.old_distribution_params, storage.distribution_params, strict=True),
    ):
        assert torch.equal(given, stored.flatten(0, 1)[rows[1]])
    driven = storage.observations["teacher_driven"].flatten()[rows]
    own = [(30.0 - part.sum()).item() for part in driven]
    assert len({*own, 30.0, 0.0}) == 4, "otherwise nothing is tested"
    assert alg._own_samples(batches).tolist() == own
