"""What benchmarks/peer_mjlab.py does beside mjlab itself: observations for its policies, parts that fail, figures."""

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

from legged_gym.evaluation.results import load
from legged_gym.evaluation.suites import evaluation_cfg
from legged_gym.options.request import make_parser, parse_args
from legged_gym.options.resolve import resolve
from legged_gym.options.setup import make_env

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def peer() -> ModuleType:
    spec = importlib.util.spec_from_file_location("peer_mjlab", ROOT / "benchmarks" / "peer_mjlab.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Recorder(torch.nn.Module):
    """A policy that answers with the first joint velocities it sees, and keeps what it saw."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("seen", torch.zeros(4, 30))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.seen.copy_(x)
        return 0.1 * x[:, 15:21] + 0.5


def make(options: list[str]) -> tuple[Any, Any]:
    spec = resolve(
        parse_args(make_parser("test"), ["--headless", "--sim=mujoco", "--robot=PF_TRON1A", *options]).request
    )
    cfg = evaluation_cfg(spec.env_cfg, 4, seed=0)
    cfg.noise.add_noise = False
    return spec, make_env(spec, cfg)


def test_a_policy_of_mjlab_sees_the_state_in_its_own_units_and_order(peer: ModuleType, tmp_path: Path) -> None:
    torch.jit.script(Recorder()).save(tmp_path / "0001.0_100.pt")
    _, env = make(["--num_envs=4"])
    agent = peer.PeerAgent(tmp_path / "0001.0_100.pt", env)
    obs, actions = env.reset(), torch.zeros(4, 6)
    agent.reset(0)
    command = torch.tensor([0.4, -0.2, 0.3]).repeat(4, 1)
    for _ in range(12):
        env.commands.set(command, torch.ones(4, dtype=torch.bool))
        before, actions = actions, agent.act(obs)
        state, seen = env.state, agent._policy.seen
        assert torch.allclose(seen[:, 21:27], before)
        obs, *_ = env.step(actions)
    before, _ = actions, agent.act(obs)
    state, seen = env.state, agent._policy.seen
    parts = (state.base_lin_vel_b, state.base_ang_vel_b, state.projected_gravity_b, state.joint_pos, state.joint_vel)
    assert torch.allclose(seen, torch.cat((*parts, before, command), dim=-1), atol=1e-4)
    assert (state.base_lin_vel_b.abs() > 1e-2).any() and (state.joint_vel.abs() > 0.1).any()
    assert (seen[:, 8] < -0.9).all()
    env.sim.close()


def arguments(peer: ModuleType, folder: Path, *options: str) -> tuple[Any, Any]:
    """Returns a run on the CPU and the arguments of the script."""
    words = ["--sim=mujoco", "--sim_device=cpu", "--robot=PF_TRON1A", "--num_envs=8,16", f"--folder={folder}", *options]
    args = parse_args(peer.make_peer_parser(), words)
    return resolve(args.request), args


def test_a_part_that_fails_is_told_and_the_next_one_runs(
    peer: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    parts = peer.Parts(tmp_path)
    parts.run("bad", [sys.executable, "-c", "print('once'); raise SystemExit('out of memory')"], 60.0)
    assert parts.run("good", [sys.executable, "-c", "print('fine')"], 60.0) == "fine\n"
    assert parts.failed == ["bad"]
    assert "bad: failed with exit code 1: out of memory" in capsys.readouterr().out


def test_a_part_ends_at_its_limit_and_only_one_that_should_have_ended_has_failed(
    peer: ModuleType, tmp_path: Path
) -> None:
    parts, forever = peer.Parts(tmp_path), [sys.executable, "-u", "-c", "print('begun')\nwhile True: pass"]
    parts.run("stuck", forever, 1.0)
    assert "begun" in parts.run("long", forever, 1.0, ends=False)
    assert parts.failed == ["stuck"]


def test_what_was_measured_becomes_figures_with_the_ratio(peer: ModuleType, tmp_path: Path) -> None:
    spec, args = arguments(peer, tmp_path, "--until_walking=90")

    def row(num_envs: int, scale: float) -> dict[str, float]:
        rates = {name: scale * 1000.0 for name in peer.RATES}
        return {"num_envs": num_envs} | rates | {f"{name}_spread": 1.0 for name in rates}

    rows = {"ours": [row(8, 5.0), row(16, 6.0)], "mjlab": [row(16, 1.5)]}
    best = {"survival": 0.5, "rmse_vx": 0.3, "rmse_vy": None, "rmse_wz": 0.2}
    walks = {
        "ours": {"seconds": 71.0, "steps": 100, "best": None},
        "mjlab": {"seconds": None, "steps": None, "best": best},
    }
    peer.save_result(tmp_path / "result.json", spec, rows, walks, args)
    figures = load(tmp_path / "result.json")["figures"]
    assert figures["ours_16_robots"]["iteration_of_mjlab"] == {"value": 4.0}
    assert "iteration_of_mjlab" not in figures["ours_8_robots"]
    assert figures["ours_16_robots"]["to_the_gate"] == {"value": 71.0}
    assert figures["mjlab_16_robots"]["to_the_gate"] == {"above": 90.0}
    assert figures["mjlab_16_robots"]["rmse_vx"] == {"value": 0.3}
    assert json.loads((tmp_path / "result.json").read_text())["note"]
    table = "\n".join(peer.lines(rows, walks, 90.0))
    assert "4.0x" in table and "mjlab does not pass the walking gate, of 90 s; its best: survival 0.50" in table


def test_without_mjlab_one_line_says_how_to_get_it(peer: ModuleType, tmp_path: Path) -> None:
    sys_argv, sys.argv = sys.argv, ["peer_mjlab.py", "--num_envs=8", f"--python={tmp_path}/none"]
    try:
        with pytest.raises(peer.UserError, match="make peer"):
            peer.main()
    finally:
        sys.argv = sys_argv
