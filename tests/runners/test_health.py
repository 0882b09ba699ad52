"""What is not finite stays out of weights, checkpoints and robots, and training goes on."""

from pathlib import Path

import pytest
import torch

from legged_gym.runners.health import PATIENCE, TrainingBrokenError
from legged_gym.utils.checkpoint import NotFiniteError, load_checked, save_atomically
from legged_gym.utils.errors import UserError
from tests.runners.injections import KINDS, survive
from tests.runners.making import small_run

needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")


@pytest.fixture(scope="module")
def run() -> object:
    return small_run(None)


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_training_survives(run: object, kind: str) -> None:
    survive(run, [kind], seed=sorted(KINDS).index(kind))  # type: ignore[arg-type]


@needs_cuda
@pytest.mark.parametrize("kind", sorted(KINDS))
def test_training_survives_on_cuda(kind: str) -> None:
    """A run of its own for each: a gradient is changed before the update is recorded, all else before and after."""
    run = small_run(None, "cuda")
    survive(run, [kind], seed=0)
    if kind != "gradient":
        survive(run, [kind], seed=1)


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=needs_cuda)])
def test_an_update_leaves_out_steps_that_are_not_finite(device: str) -> None:
    """Nothing is put back here: neither weights nor moments changed. On CUDA, the update is a recording by then."""
    run = small_run(None, device)
    run.learn(2)
    run._collect(run.env.get_observations().to(device))
    run.alg.storage.returns[0, 0] = torch.nan
    before = {name: tensor.detach().clone() for name, tensor in run._learned_tensors().items()}
    run.alg.num_learning_epochs, tried = 1, run.alg.num_mini_batches
    run.alg.learn()
    skipped, total = run.alg.read_skipped().counts["policy and value"]
    assert (skipped, total) == (1, tried), "of the mini-batch that it is in"
    now = run._learned_tensors()
    assert all(bool(tensor.isfinite().all()) for tensor in now.values())
    steps = [tensor - before[name] for name, tensor in now.items() if name.endswith(".step") and "offset" not in name]
    assert {int(step) for step in steps} >= {tried - 1}, "a step that is left out does not count in Adam's bias"
    run._collect(run.env.get_observations().to(device))
    run.alg.storage.returns.fill_(torch.nan)
    before = {name: tensor.detach().clone() for name, tensor in run._learned_tensors().items()}
    run.alg.learn()
    assert run.alg.read_skipped().counts["policy and value"] == (tried, tried)
    for name, tensor in run._learned_tensors().items():
        if name.startswith(("actor.mlp", "critic.mlp", "optimizer")):
            assert torch.equal(tensor, before[name]), name


def test_what_was_not_finite_is_said_by_its_term(run: object, capsys: pytest.CaptureFixture[str]) -> None:
    from legged_gym.runners.on_policy_runner import OnPolicyRunner

    assert isinstance(run, OnPolicyRunner)
    terms = run.env.rewards.terms
    term, weight = terms[3]
    once = [1]

    def broken(env: object) -> torch.Tensor:
        value = term(env).clone()
        if once:
            value[once.pop()] = torch.nan
        return value

    terms[3] = (broken, weight)
    falls = []
    run.after_iteration = lambda scalars: falls.append(scalars["Train/broken_robots"])
    run.learn(1, init_at_random_ep_len=False)
    terms[3], run.after_iteration = (term, weight), None
    assert (
        f"warning: robots were reset because values were not finite: rew_{term.__name__} 1\n" in capsys.readouterr().out
    )
    assert falls == [1.0], "the robot was reset"


def test_a_robot_with_a_broken_action_falls_and_the_others_go_on(run: object) -> None:
    env = run.env  # type: ignore[attr-defined]
    actions = torch.zeros(env.num_envs, 6)
    env.reset()
    for _ in range(2):
        env.step(actions)
    actions[1, 2] = torch.nan
    obs, rewards, dones, _ = env.step(actions)
    assert dones.tolist() == [False, True, False, False] and env.episodes.fell[1]
    assert rewards[1] == 0.0 and all(bool(value.isfinite().all()) for value in (*obs.values(), rewards))


def test_who_stepped_the_environment_in_inference_mode_can_train_in_it_then() -> None:
    run = small_run(None)
    with torch.inference_mode():
        run.env.step(torch.zeros(run.env.num_envs, run.env.num_actions))
        shown = run.env.get_observations().clone()
        shown["policy"][0, 0] = torch.nan  # has to be put right, which only this mode allows
    assert shown["policy"].is_inference()
    run.env.get_observations = lambda: shown  # type: ignore[method-assign]
    run.learn(1)
    assert all(bool(value.isfinite().all()) for value in run._learned_tensors().values())


@pytest.mark.parametrize("replayed", [0, 80])
def test_a_run_that_learns_nothing_gives_up_with_its_last_good_checkpoint(tmp_path: Path, replayed: int) -> None:
    """Sound steps on replayed samples, though there be more of them, do not hide those of the policy."""
    options = {"train.runner.save_interval": 1000, "train.algorithm.imitation.replay_mini_batches": replayed}
    run = small_run(tmp_path / "run", **options)
    run.learn(1)
    good = {name: tensor.detach().clone() for name, tensor in run._learned_tensors().items()}
    run.alg.value_loss_coef = 1e38
    run.env.rewards._weights.mul_(1e25)
    with pytest.raises(TrainingBrokenError, match=r"not finite: value.*last good checkpoint is .*model_\d+\.pt"):
        run.learn(PATIENCE + 5)
    now = run._learned_tensors()
    assert all(torch.equal(good[name], now[name]) for name in good if name != "learning_rate")
    assert run.current_learning_iteration < PATIENCE + 2, "it must not go on for ever"
    newest = max((tmp_path / "run").glob("model_*.pt"), key=lambda path: int(path.stem.split("_")[1]))
    saved = load_checked(newest)
    assert torch.equal(saved["critic_state_dict"]["mlp.0.weight"], good["critic.mlp.0.weight"])


def test_weights_that_were_spoilt_are_taken_back(capsys: pytest.CaptureFixture[str]) -> None:
    run = small_run(None)
    run.learn(1)
    before = run.alg.actor.mlp[0].weight.detach().clone()
    with torch.no_grad():
        run.alg.actor.mlp[0].weight[0, 0] = torch.nan
    run.learn(1)
    assert "weights became infinite or not a number: the iteration is taken back" in capsys.readouterr().out
    assert torch.equal(run.alg.actor.mlp[0].weight, before)


def test_nothing_that_is_not_finite_is_saved_or_loaded(tmp_path: Path) -> None:
    path, broken = tmp_path / "model_1.pt", {"weights": {"a": torch.tensor([1.0, torch.nan])}}
    with pytest.raises(NotFiniteError, match=r"weights\.a is not finite"):
        save_atomically(broken, path)
    assert list(tmp_path.iterdir()) == []
    from legged_gym.utils import checkpoint

    torch.save({"format": checkpoint.FORMAT, "version": checkpoint.VERSION, **broken}, path)
    with pytest.raises(UserError, match=r"weights\.a is not finite"):
        load_checked(path)
