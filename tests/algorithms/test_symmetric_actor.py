"""An actor that treats left and right alike."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from tensordict import TensorDict

from legged_gym.algorithms.networks import SymmetricMLP
from legged_gym.runners.export import export_policy
from legged_gym.runners.on_policy_runner import OnPolicyRunner
from tests.runners.making import small_configs, small_run

INPUTS = ("history", "policy", "command")


MANY = {"env.env.num_envs": 12}
"""So many that some stand on the left foot and some on the right."""


def walked(run: OnPolicyRunner, steps: int = 7) -> TensorDict:
    """What its robots observe after some random steps."""
    torch.manual_seed(0)
    for _ in range(steps):
        obs, *_ = run.env.step(torch.randn(run.env.num_envs, 6))
    return obs


def reflected(obs: TensorDict, run: OnPolicyRunner) -> TensorDict:
    s = run.env.symmetry()
    mirrors = {"history": s.policy.repeated(10), "policy": s.policy, "command": s.command}
    return TensorDict({name: mirrors[name](obs[name]) for name in INPUTS}, batch_size=obs.batch_size)


def test_its_action_for_the_reflection_is_the_reflected_action() -> None:
    run = small_run(None, **MANY)
    run.learn(2)
    actor, s, obs = run.get_inference_policy(), run.env.symmetry(), walked(run)
    assert (obs["policy"][:, s.clock] >= 0.0).unique().numel() == 2
    other = reflected(obs, run)
    action, mirrored = actor(obs), actor(other)
    torch.testing.assert_close(mirrored, s.action(action), atol=1e-6, rtol=0.0)
    assert (mirrored - action).abs().max() > 0.01
    torch.testing.assert_close(
        actor.estimate(reflected(obs, run)), s.velocity(actor.estimate(obs)), atol=1e-6, rtol=0.0
    )
    assert torch.equal(run.alg._mean(obs), action), "what is trained is what acts"
    with torch.no_grad():
        actor.distribution.std_param.copy_(torch.linspace(0.1, 0.6, 6))
    actor.distribution.update(action)
    std = actor.output_std[0]
    assert torch.equal(std, std[s.action.rows]) and std.unique().numel() == 3, "and legs explore alike"


def test_without_symmetry_it_is_a_plain_network() -> None:
    run = small_run(None, **MANY, **{"train.policy.symmetric": False})
    obs = walked(run)
    assert not any(isinstance(module, SymmetricMLP) for module in run.alg.actor.modules())
    difference = run.alg.actor(reflected(obs, run)) - run.env.symmetry().action(run.alg.actor(obs))
    assert difference.abs().max() > 0.01


def test_both_kinds_load_each_others_checkpoints(tmp_path: Path) -> None:
    """A step on the left foot looks alike to both, so training can go on with symmetry where it began without."""
    plain = small_run(tmp_path / "plain", **{"train.policy.symmetric": False})
    plain.learn(1)
    run = small_run(None, **MANY)
    run.load(str(tmp_path / "plain" / "model_1.pt"))
    obs = walked(run)
    on_left = obs["policy"][:, run.env.symmetry().clock] >= 0.0
    same = (run.alg.actor(obs) == plain.alg.actor(obs)).all(-1)
    assert torch.equal(same, on_left) and 0 < on_left.sum() < len(on_left)


def test_the_exported_files_reflect_as_well(tmp_path: Path) -> None:
    ort = pytest.importorskip("onnxruntime")
    run = small_run(None, **MANY)
    run.learn(1)
    export_policy(run.alg.actor, tmp_path, 300, 30)
    encoder, policy = (ort.InferenceSession(str(tmp_path / f"{name}.onnx")) for name in ("encoder", "policy"))
    for obs in (walked(run), reflected(walked(run), run)):
        wanted = run.alg.actor(obs).detach().numpy()
        for i in range(len(wanted)):
            (velocity,) = encoder.run(None, {"obs": obs["history"][i].numpy()})
            inputs = np.concatenate([velocity, obs["policy"][i].numpy(), obs["command"][i].numpy()])
            np.testing.assert_allclose(policy.run(None, {"obs": inputs})[0], wanted[i], atol=1e-5)


def test_a_run_from_before_there_was_symmetry_has_none(tmp_path: Path) -> None:
    from legged_gym.utils.config import load_json, save_json

    cfg = small_configs()[1]
    assert cfg.policy.symmetric
    save_json(cfg, tmp_path / "train_cfg.json")
    data = json.loads((tmp_path / "train_cfg.json").read_text())
    del data["policy"]["symmetric"]
    (tmp_path / "train_cfg.json").write_text(json.dumps(data))
    assert not load_json(cfg, tmp_path / "train_cfg.json").policy.symmetric
