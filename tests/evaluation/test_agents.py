from pathlib import Path
from types import SimpleNamespace

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper
from tensordict import TensorDict
from torch import nn

from legged_gym.envs.pointfoot.pointfoot_flat import PointFootFlat
from legged_gym.envs.pointfoot.pointfoot_flat_config import PointFootFlatCfg
from legged_gym.evaluation.agents import OnnxAgent, OnnxNetwork, PolicyAgent, RandomAgent, TeacherAgent, ZeroAgent
from legged_gym.evaluation.suites import evaluation_cfg
from legged_gym.runners.export import export_policy
from legged_gym.teacher.config import BodyCfg, DcmCfg, OffsetCfg, TeacherCfg
from legged_gym.utils.checkpoint import save_atomically
from legged_gym.utils.errors import UserError


def observation(num_envs: int) -> TensorDict:
    generator = torch.Generator().manual_seed(0)
    widths = {"policy": 30, "history": 300, "command": 3}
    groups = {name: torch.randn(num_envs, width, generator=generator) for name, width in widths.items()}
    return TensorDict(groups, batch_size=[num_envs], device="cpu")


def save_graph(path: Path, nodes: list[onnx.NodeProto], initializers: list[onnx.TensorProto], width: int) -> None:
    source = helper.make_tensor_value_info("x", TensorProto.FLOAT, [width])
    target = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1])
    graph = helper.make_graph(nodes, "graph", [source], [target], initializers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    onnx.save(model, str(path))


def test_zero_and_random() -> None:
    obs = observation(5)
    assert torch.equal(ZeroAgent(6).act(obs), torch.zeros(5, 6))
    agent = RandomAgent(6)
    agent.reset(3)
    first = agent.act(obs)
    assert first.shape == (5, 6) and first.abs().max() <= 1.0 and first.std() > 0.3
    assert not torch.equal(agent.act(obs), first)
    torch.manual_seed(99)  # other people's random numbers do not disturb it
    agent.reset(3)
    assert torch.equal(agent.act(obs), first)


def test_onnx_agent_puts_the_pieces_together_as_the_actor_does(tmp_path: Path) -> None:
    estimator = nn.Sequential(nn.Linear(300, 8), nn.ELU(), nn.Linear(8, 3))
    mlp = nn.Sequential(nn.Linear(36, 16), nn.ELU(), nn.Linear(16, 6))
    export_policy(SimpleNamespace(estimator=estimator, mlp=mlp), tmp_path, 300, 30)
    obs = observation(7)
    with torch.no_grad():
        expected = mlp(torch.cat((estimator(obs["history"]), obs["policy"], obs["command"]), dim=-1))
    agent = OnnxAgent(tmp_path)
    assert agent.policy._batched is not None and agent.encoder._batched is not None
    assert torch.allclose(agent.act(obs), expected, atol=1e-5)
    agent.policy._batched = agent.encoder._batched = None
    assert torch.allclose(agent.act(obs), expected, atol=1e-5)


def test_a_graph_that_mixes_the_batch_is_run_one_by_one(tmp_path: Path) -> None:
    nodes = [helper.make_node("ReduceSum", ["x"], ["y"], keepdims=1)]  # over all axes: a batch would be summed up
    save_graph(tmp_path / "sum.onnx", nodes, [], 4)
    network = OnnxNetwork(tmp_path / "sum.onnx")
    assert network._batched is None
    batch = np.arange(8, dtype=np.float32).reshape(2, 4)
    assert np.array_equal(network(batch), [[6.0], [22.0]])


def test_unfit_onnx_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "text.onnx").write_text("hello")
    with pytest.raises(UserError, match="is no ONNX model"):
        OnnxNetwork(tmp_path / "text.onnx")
    with pytest.raises(UserError, match="no such file"):
        OnnxNetwork(tmp_path / "nothing.onnx")
    save_graph(tmp_path / "sum.onnx", [helper.make_node("ReduceSum", ["x"], ["y"], keepdims=1)], [], 4)
    with pytest.raises(UserError, match="takes 4 numbers, the environment gives 3"):
        OnnxNetwork(tmp_path / "sum.onnx")(np.zeros((2, 3), dtype=np.float32))


def test_policy_agent_returns_the_actors_action() -> None:
    obs = observation(2)
    assert torch.equal(PolicyAgent(lambda o: o["command"] * 2.0).act(obs), obs["command"] * 2.0)


def test_a_learned_offset_moves_the_teachers_foothold(tmp_path: Path) -> None:
    """Whether the config asks for one or not; a file of something else is refused."""
    cfg = PointFootFlatCfg()
    cfg.env.num_envs, cfg.asset.robot_type, cfg.sim.backend, cfg.sim.num_threads = 4, "PF_TRON1A", "mujoco", 1
    env = PointFootFlat(cfg)
    closed_form = TeacherAgent(env, TeacherCfg(offset=OffsetCfg(enabled=False)))
    parameters = closed_form.teacher.network.state_dict()
    learned = {name: torch.full_like(value, 0.05) for name, value in parameters.items()}
    save_atomically({"offset_network": learned}, tmp_path / "offset.pt")
    with_offset = TeacherAgent(env, TeacherCfg(offset=OffsetCfg(enabled=False)), tmp_path / "offset.pt")
    obs = env.get_observations()
    with torch.inference_mode():
        moved = with_offset.act(obs) - closed_form.act(obs)
    assert closed_form.output is not None and not closed_form.output.offset.any()
    assert with_offset.output is not None and (with_offset.output.offset.norm(dim=-1) > 1e-3).all()
    assert moved.abs().max() > 1e-3
    save_atomically({"actor_state_dict": {}}, tmp_path / "model_1.pt")
    with pytest.raises(UserError, match=r"model_1.pt: holds no offset for this teacher"):
        TeacherAgent(env, TeacherCfg(), tmp_path / "model_1.pt")
    with pytest.raises(UserError, match=r"other inputs or layers.*hidden_dims=64,64"):
        TeacherAgent(env, TeacherCfg(offset=OffsetCfg(hidden_dims=(8, 4))), tmp_path / "offset.pt")
    env.sim.close()


def test_a_teacher_that_holds_against_its_swing_leg_turns_less_within_a_step() -> None:
    cfg = PointFootFlatCfg()
    cfg.asset.robot_type, cfg.sim.backend, cfg.sim.num_threads = "PF_TRON1A", "mujoco", 1
    env = PointFootFlat(evaluation_cfg(cfg, 4, seed=0, physics="ideal"))
    turning = []
    for swing_yaw in (0.0, 0.5):
        agent = TeacherAgent(env, DcmCfg(body=BodyCfg(swing_yaw=swing_yaw)))
        obs = env.reset()
        env.commands.set(torch.tensor([[0.6, 0.0, 0.0]]).expand(4, 3), torch.ones(4, dtype=torch.bool))
        rates = []
        with torch.inference_mode():
            for _ in range(200):
                obs, *_ = env.step(agent.act(obs))
                rates.append(env.state.root_ang_vel_w[:, 2].clone())
        turning.append(float(torch.stack(rates[50:]).square().mean().sqrt()))
    env.sim.close()
    assert turning[1] < 0.93 * turning[0]
