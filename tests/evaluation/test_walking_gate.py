"""The walking gate beside training: when it looks, what it notes, and that training does not notice."""

import time
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from legged_gym.envs.pointfoot.pointfoot_flat_config import PointFootFlatCfg
from legged_gym.evaluation.suites import cannot_walk, evaluation_cfg
from legged_gym.evaluation.walking_gate import GateCfg, WalkingGate


class Training:
    """A runner whose robots follow the command with an error of `errors[iteration]` m/s in v_x."""

    def __init__(self, fake_env: type, cfg: GateCfg, errors: list[float], steps: int = 0) -> None:
        self.errors, self.interrupted, self.current_learning_iteration = errors, False, 0
        self.device, self.scalars = "cpu", {}
        writer = SimpleNamespace(add_scalar=lambda tag, value, step: self.scalars.setdefault(tag, []).append(value))
        self.logger = SimpleNamespace(tot_timesteps=steps, writer=writer)
        self.training = True
        self.alg = SimpleNamespace(train_mode=lambda: setattr(self, "training", True))
        self.env = SimpleNamespace(cfg=PointFootFlatCfg(), device="cpu")
        self.env.cfg.env.num_envs = 4096
        self.gate = WalkingGate(self, lambda cfg: self.build(fake_env, cfg), cfg, time.time())

    def build(self, fake_env: type, cfg: Any) -> Any:
        self.cfg, self.walker = cfg, fake_env(num_envs=cfg.env.num_envs)
        return self.walker

    def get_inference_policy(self) -> Any:
        self.training = False
        return lambda obs: obs["policy"][:, :6]

    def iterate(self, steps: int) -> None:
        self.walker.error = torch.tensor([self.errors[self.current_learning_iteration], 0.0, 0.0])
        self.current_learning_iteration += 1
        self.logger.tot_timesteps += steps
        self.gate.check({})
        assert self.training, "whatever the evaluation switched off is on again"


@pytest.fixture(autouse=True)
def plain_observations(monkeypatch: pytest.MonkeyPatch, fake_env: type) -> None:
    """The fake environment's observations as the policy agent wants them."""

    class Groups(dict):
        device = "cpu"

        def to(self, device: object) -> "Groups":
            return self

    for name in ("reset", "step"):
        real = getattr(fake_env, name)
        wrap = (lambda r: Groups(r)) if name == "reset" else (lambda r: (Groups(r[0]), *r[1:]))
        monkeypatch.setattr(fake_env, name, lambda *a, real=real, wrap=wrap: wrap(real(*a)))


def test_it_looks_every_so_many_steps_and_stops_at_the_first_policy_that_walks(fake_env: type) -> None:
    training = Training(fake_env, GateCfg(num_envs=3, every_steps=200), [0.9, 0.9, 0.3, 0.21, 0.1, 0.1, 0.1])
    for _ in range(7):
        training.iterate(100)
        if training.interrupted:
            break
    assert training.scalars["Eval/rmse_vx"] == pytest.approx([0.9, 0.21, 0.1], abs=1e-4), "at 200, 400, 600 steps"
    assert training.gate.passed is not None and training.gate.passed["steps"] == 600
    assert training.gate.passed["iteration"] == 6 and training.gate.passed["seconds"] >= 0.0
    assert training.walker.num_envs == 3, "not as many as are trained"
    assert training.cfg == evaluation_cfg(training.env.cfg, 3, seed=0, physics="deployed")
    assert "walking gate passed after" in training.gate.verdict() and "600 robot-steps" in training.gate.verdict()


def test_a_run_that_is_gone_on_with_is_counted_from_there(fake_env: type, capsys: pytest.CaptureFixture[str]) -> None:
    training = Training(fake_env, GateCfg(num_envs=3, every_steps=200), [0.9, 0.9, 0.1, 0.1], steps=5000)
    for _ in range(3):
        training.iterate(100)
    assert "not passed" in training.gate.verdict() and "300 robot-steps" in training.gate.verdict()
    training.iterate(100)
    assert training.gate.passed is not None and training.gate.passed["steps"] == 400
    first, last = capsys.readouterr().out.splitlines()
    assert first.startswith("walking gate: survival 1.00  rmse_vx 0.90") and "rmse_vx 0.10" in last


def test_a_hopeless_row_is_cut_short_if_training_waits_to_end(fake_env: type) -> None:
    lengths = {}
    for stop in (True, False):
        for error in (0.9, 0.22, 0.1):
            training = Training(fake_env, GateCfg(num_envs=3, every_steps=1, stop=stop), [error])
            training.iterate(1)
            lengths[stop, error] = len(training.walker.commands_seen)
            assert (training.gate.passed is not None) == (error < 0.2)
            assert training.interrupted == (stop and error < 0.2)
    assert lengths == {
        **{(True, 0.9): 150, (True, 0.22): 1000, (True, 0.1): 1000},
        **{(False, 0.9): 1000, (False, 0.22): 1000, (False, 0.1): 1000},
    }


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (0.22, [104.0, 112.0, 120.0, 128.0]),  # near: all that a quarter of the time allows, with 1 s for the next one
        (0.90, [104.0, 115.0]),  # far: after one that ends 6 s after the beginning, a pause of 9 s, then one of 25 s
    ],
)
def test_looks_take_their_share_of_the_time_and_pause_while_the_policy_is_far(
    fake_env: type, monkeypatch: pytest.MonkeyPatch, error: float, expected: list[float]
) -> None:
    """Looks of 2 s, an iteration each second."""
    now = 100.0
    monkeypatch.setattr(time, "time", lambda: now)
    training = Training(fake_env, GateCfg(num_envs=3, time_share=0.25, lost_pause=1.5), [error] * 30)
    looks = []
    evaluate = training.gate._evaluate

    def slow() -> Any:
        nonlocal now
        looks.append(now)
        now += 2.0
        return evaluate()

    monkeypatch.setattr(training.gate, "_evaluate", slow)
    while now < 130.0:
        now += 1.0
        training.iterate(1)
    assert looks == expected
    assert training.gate.evaluation_time == pytest.approx(2.0 * len(expected))


def test_training_draws_the_numbers_it_would_have_drawn(fake_env: type) -> None:
    torch.manual_seed(3)
    expected = torch.rand(4)
    torch.manual_seed(3)
    training = Training(fake_env, GateCfg(num_envs=3, every_steps=1), [0.1])
    training.iterate(1)
    assert torch.equal(torch.rand(4), expected)


@pytest.mark.parametrize(
    ("change", "hopeless"),
    [
        ({}, False),
        ({"survival": 0.94}, True),
        ({"rmse_vx": 0.24}, False),
        ({"rmse_vx": 0.26}, True),
        ({"rmse_wz": 0.38}, True),
        ({"rmse_vx": None, "rmse_vy": None, "rmse_wz": None}, False),
    ],
)
def test_what_cannot_walk(change: dict[str, float | None], hopeless: bool) -> None:
    edge = {"survival": 0.96, "rmse_vx": 0.1, "rmse_vy": 0.1, "rmse_wz": 0.1}
    assert cannot_walk(edge | change) is hopeless
