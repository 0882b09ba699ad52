from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from torch import nn

from legged_gym.runners import export


@pytest.fixture
def actor() -> Any:
    torch.manual_seed(0)
    return SimpleNamespace(
        estimator=nn.Sequential(nn.Linear(300, 16), nn.ELU(), nn.Linear(16, 3)),
        mlp=nn.Sequential(nn.Linear(36, 16), nn.ELU(), nn.Linear(16, 6)),
    )


def test_files_have_the_controllers_shapes_and_act_alike(actor: Any, tmp_path: Path) -> None:
    files = export.export_policy(actor, tmp_path / "exported", 300, 30)
    assert [file.path.name for file in files] == ["encoder.onnx", "policy.onnx", "policy_jit.pt"]
    assert all(file.max_error < 1e-5 for file in files)
    sessions = {
        name: onnxruntime.InferenceSession(tmp_path / "exported" / f"{name}.onnx") for name in ("encoder", "policy")
    }
    for name, width, outputs in (("encoder", 300, 3), ("policy", 36, 6)):
        (source,), (target,) = sessions[name].get_inputs(), sessions[name].get_outputs()
        assert (source.shape, source.type) == ([width], "tensor(float)")
        assert (target.shape, target.type) == ([outputs], "tensor(float)")
    history, policy, command = torch.randn(300), torch.randn(30), torch.randn(3)
    with torch.no_grad():
        expected = actor.mlp(torch.cat((actor.estimator(history), policy, command))).numpy()
    (velocity,) = sessions["encoder"].run(None, {"obs": history.numpy()})
    (action,) = sessions["policy"].run(None, {"obs": np.concatenate((velocity, policy, command))})
    assert np.allclose(action, expected, atol=1e-5)
    jit = torch.jit.load(tmp_path / "exported" / "policy_jit.pt")
    assert np.allclose(jit(history, policy, command).detach().numpy(), expected, atol=1e-6)
    batch = [x.repeat(5, 1) for x in (history, policy, command)]
    assert np.allclose(jit(*batch).detach().numpy(), np.tile(expected, (5, 1)), atol=1e-5)


def test_a_file_that_acts_differently_is_not_written(
    actor: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def other_network(network: nn.Module, width: int) -> bytes:
        with torch.no_grad():
            network[0].weight.add_(0.01)
        data = written(network, width)
        with torch.no_grad():
            network[0].weight.sub_(0.01)
        return data

    written = export._onnx_bytes
    monkeypatch.setattr(export, "_onnx_bytes", other_network)
    with pytest.raises(RuntimeError, match=r"encoder\.onnx differs from torch by"):
        export.export_policy(actor, tmp_path / "exported", 300, 30)
    assert not (tmp_path / "exported").exists()


def test_the_actor_stays_as_it_is(actor: Any, tmp_path: Path) -> None:
    actor.mlp.train()
    before = {name: value.clone() for name, value in actor.mlp.state_dict().items()}
    export.export_policy(actor, tmp_path, 300, 30)
    assert actor.mlp.training
    assert all(torch.equal(value, before[name]) for name, value in actor.mlp.state_dict().items())
