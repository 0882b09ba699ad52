"""The walking gate beside training: when it looks, what it notes, and that training does not notice."""

import itertools
import os
import re
import signal
import time
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from legged_gym.envs.pointfoot.pointfoot_flat import PointFootFlat
from legged_gym.envs.pointfoot.pointfoot_flat_config import PointFootFlatCfg, PointFootFlatCfgPPO
from legged_gym.evaluation import judge_beside
from legged_gym.evaluation.judge_beside import NICENESS, READY, JudgeBeside, JudgeLost, walk
from legged_gym.evaluation.rows import select_rows
from legged_gym.evaluation.suites import evaluation_cfg
from legged_gym.evaluation.walking_gate import GateCfg, WalkingGate
from legged_gym.runners.on_policy_runner import OnPolicyRunner
from legged_gym.utils.machine import torch_threads


class Policy(torch.nn.Module):
    """It acts by the first columns of the observation; `weight` is there to be told apart."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))

    def forward(self, obs: Any) -> torch.Tensor:
        return obs["policy"][:, :6]


class Training:
    """A runner whose robots follow the command with an error of `errors[iteration]` m/s in v_x."""

    def __init__(self, fake_env: type, cfg: GateCfg, errors: list[float], steps: int = 0) -> None:
        self.errors, self.interrupted, self.current_learning_iteration = errors, False, 0
        self.device, self.scalars = "cpu", {}
        self.logged_at: list[int] = []
        writer = SimpleNamespace(add_scalar=self.note)
        self.logger = SimpleNamespace(tot_timesteps=steps, writer=writer)
        self.training = True
        self.alg = SimpleNamespace(train_mode=lambda: setattr(self, "training", True))
        self.env = SimpleNamespace(cfg=PointFootFlatCfg(), device="cpu")
        self.env.cfg.env.num_envs = 4096
        self.policy = Policy()
        self.gate = WalkingGate(self, lambda cfg: self.build(fake_env, cfg), cfg, time.time())

    def note(self, tag: str, value: float, step: int) -> None:
        self.scalars.setdefault(tag, []).append(value)
        self.logged_at.append(step)

    def build(self, fake_env: type, cfg: Any) -> Any:
        self.cfg, self.walker = cfg, fake_env(num_envs=cfg.env.num_envs)
        return self.walker

    def get_inference_policy(self) -> Any:
        self.training = False
        return self.policy

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


def test_the_time_ends_when_a_policy_is_known_to_walk(fake_env: type, monkeypatch: pytest.MonkeyPatch) -> None:
    training = Training(fake_env, GateCfg(num_envs=3, every_steps=100), [0.1])
    evaluate = training.gate._evaluate
    monkeypatch.setattr(training.gate, "_evaluate", lambda: (time.sleep(1.2), evaluate())[1])
    training.iterate(100)
    passed = training.gate.passed
    assert passed is not None and passed["seconds"] >= passed["trained"] + 1.2
    numbers = [float(number) for number in re.findall(r"(\d+) s", training.gate.verdict())]
    assert numbers[0] > numbers[1], "the look is counted"


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


class ScriptedJudge:
    """Stands in for the other process: answers come when the test lets them."""

    def __init__(self) -> None:
        self.answers: list[Any] = []
        self.asked = self.begun = 0
        self.closed = self.slow = self.waited_for = False

    def answer(self) -> Any:
        self.asked += 1
        if self.slow and not self.waited_for:
            return None
        self.waited_for = False
        answer = self.answers.pop(0) if self.answers else None
        if isinstance(answer, Exception):
            raise answer
        return answer

    def begin(self, actor: Any) -> None:
        self.begun += 1

    def close(self) -> None:
        self.closed = True


class ScriptedJudges:
    """Stands in for the class: hands out scripted ones, and lets those answer that are waited for."""

    def __init__(self, *judges: ScriptedJudge) -> None:
        self._judges = iter(judges)
        self.waits: list[list[ScriptedJudge]] = []

    def __call__(self, make_env: Any, row: Any, stop: bool) -> ScriptedJudge:
        return next(self._judges)

    def wait(self, judges: list[ScriptedJudge], until: Any) -> None:
        self.waits.append(judges)
        for judge in judges:
            judge.waited_for = True


def result(error: float) -> dict[str, float]:
    return {"survival": 1.0, "rmse_vx": error, "rmse_vy": 0.1, "rmse_wz": 0.1}


@pytest.fixture
def beside(fake_env: type, monkeypatch: pytest.MonkeyPatch) -> Training:
    """A training whose gate is walked beside it."""
    return judged_beside(fake_env, monkeypatch, GateCfg(num_envs=3))


def judged_beside(fake_env: type, monkeypatch: pytest.MonkeyPatch, cfg: GateCfg) -> Training:
    training = Training(fake_env, cfg, [0.1] * 20)
    training.judge = ScriptedJudge()
    training.judges = ScriptedJudges(training.judge)
    monkeypatch.setattr("legged_gym.evaluation.walking_gate.JudgeBeside", training.judges)
    build = training.gate._make_env
    training.gate = WalkingGate(training, build, cfg, time.time(), beside=lambda: None)
    return training


def test_training_goes_on_while_another_process_looks(beside: Training) -> None:
    beside.iterate(100)
    assert beside.judge.begun == 0, "its robots do not stand yet"
    beside.judge.answers = [READY]
    for _ in range(3):
        beside.iterate(100)
    assert beside.judge.begun == 1, "one policy at a time"
    beside.judge.answers = [result(0.3)]
    beside.iterate(100)
    assert beside.judge.begun == 2 and not beside.interrupted
    with torch.no_grad():
        beside.policy.weight.add_(1.0)
    beside.iterate(100)
    beside.judge.answers = [result(0.15)]
    beside.iterate(100)
    assert beside.interrupted and beside.judge.begun == 2
    assert beside.gate.passed is not None and beside.gate.passed["steps"] == 500, "as of when the look began"
    assert beside.gate.passed["iteration"] == 5
    assert beside.policy.weight == 0.0, "the policy that passed is the run's"
    assert beside.scalars["Eval/rmse_vx"] == [0.3, 0.15]
    assert sorted(set(beside.logged_at)) == [500, 700], "as of now: services refuse what is older than the last curve"
    beside.gate.close()
    assert beside.judge.closed


def test_looks_that_are_due_are_waited_for(fake_env: type, monkeypatch: pytest.MonkeyPatch) -> None:
    training = judged_beside(fake_env, monkeypatch, GateCfg(stop=False, num_envs=3, every_steps=200))
    training.judge.answers, training.judge.slow = [READY, result(0.3), result(0.15)], True
    waits = []
    for _ in range(6):
        training.iterate(100)
        waits.append(len(training.judges.waits))
    assert waits == [0, 1, 1, 2, 2, 3], "at 200, 400 and 600 steps"
    assert training.judge.begun == 3 and training.scalars["Eval/rmse_vx"] == [0.3, 0.15] and not training.interrupted


def test_several_processes_look_in_turn(
    fake_env: type, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two looks of 4 s each, an iteration each second: one begins every 2 s, and the first that passes counts."""
    now = 100.0
    monkeypatch.setattr(time, "time", lambda: now)
    judges = [ScriptedJudge(), ScriptedJudge()]
    monkeypatch.setattr("legged_gym.evaluation.walking_gate.JudgeBeside", ScriptedJudges(*judges))
    training = Training(fake_env, GateCfg(num_envs=3), [0.1] * 40)
    training.gate = WalkingGate(training, training.gate._make_env, GateCfg(num_envs=3), now, lambda: None, judges=2)
    ends: dict[int, float] = {}
    begun_at: list[float] = []
    for number, judge in enumerate(judges):
        judge.answers = [READY]

        def begin(actor: Any, number: int = number) -> None:
            begun_at.append(now)
            ends[number] = now + 4.0

        judge.begin = begin
    while now < 118.0:
        now += 1.0
        for number, judge in enumerate(judges):
            if ends.get(number) == now:
                judge.answers = [result(0.3)]
        training.iterate(100)
    assert begun_at[:2] == [101.0, 102.0], "at once, before it is known how long one takes"
    later = [end - begin for begin, end in itertools.pairwise(begun_at[2:])]
    assert len(later) > 5 and set(later) == {2.0}
    judges[1].answers = [JudgeLost("its process has ended")]
    ends.pop(1, None)
    now += 1.0
    training.iterate(100)
    assert judges[1].closed and not judges[0].closed, "the other one goes on"
    judges[0].answers = [result(0.15)]
    now += 1.0
    training.iterate(100)
    assert training.interrupted and training.gate.passed is not None
    assert "training waits" not in capsys.readouterr().out


def test_the_last_look_is_waited_for(beside: Training) -> None:
    beside.judge.answers = [READY]
    beside.iterate(100)
    beside.judge.answers, beside.judge.slow = [result(0.15)], True
    with torch.no_grad():
        beside.policy.weight.add_(1.0)
    beside.gate.finish()
    assert len(beside.judges.waits) == 1 and beside.judge.begun == 1 and beside.policy.weight == 0.0
    beside.gate.close()
    assert beside.judge.closed and "walking gate passed" in beside.gate.verdict()


@pytest.mark.parametrize("stop", [True, False])
def test_the_last_looks_of_several_processes_are_waited_for(
    fake_env: type, monkeypatch: pytest.MonkeyPatch, stop: bool
) -> None:
    """One process looks, one is free, one still starts: only the first is waited for, after a pass before, too."""
    judges = [ScriptedJudge(), ScriptedJudge(), ScriptedJudge()]
    scripted = ScriptedJudges(*judges)
    monkeypatch.setattr("legged_gym.evaluation.walking_gate.JudgeBeside", scripted)
    cfg = GateCfg(num_envs=3, stop=stop)
    training = Training(fake_env, cfg, [0.1] * 20)
    training.gate = WalkingGate(training, training.gate._make_env, cfg, time.time(), lambda: None, judges=3)
    judges[0].answers, judges[1].answers = [READY], [READY]
    training.iterate(100)
    training.iterate(100)
    assert [judge.begun for judge in judges] == [1, 1, 0]
    judges[0].answers, judges[1].answers = [result(0.15)], [result(0.18)]
    judges[1].slow = judges[2].slow = True
    training.gate.finish()
    assert training.interrupted == stop and training.gate.passed is not None
    assert training.scalars["Eval/rmse_vx"] == ([0.15] if stop else [0.15, 0.18])
    assert scripted.waits == ([] if stop else [[judges[1]]]), "not for the one that starts"


def test_a_user_who_stops_training_waits_for_no_look(beside: Training, capsys: pytest.CaptureFixture[str]) -> None:
    beside.judge.answers = [READY]
    beside.iterate(100)
    beside.interrupted = True
    beside.judge.answers = [JudgeLost("its process has ended"), JudgeLost("its process has ended")]
    asked = beside.judge.asked
    beside.gate.check({})
    beside.judge.answers = []
    beside.gate.finish()
    assert beside.judge.asked == asked + 1 and beside.judge.begun == 1 and not beside.judges.waits
    assert capsys.readouterr().out == "", "no word of the lost process, and no robots made anew"


def test_a_last_look_that_is_lost_is_said(beside: Training, capsys: pytest.CaptureFixture[str]) -> None:
    beside.judge.answers = [READY]
    beside.iterate(100)
    beside.judge.answers = [JudgeLost("its process has ended")]
    beside.gate.finish()
    assert "a look at the walking gate beside training is lost (its process has ended)" in capsys.readouterr().out
    assert "not passed" in beside.gate.verdict()


def test_without_the_other_process_training_waits_for_looks(
    beside: Training, capsys: pytest.CaptureFixture[str]
) -> None:
    beside.judge.answers = [JudgeLost("its process has ended")]
    beside.gate._began -= 100.0
    beside.iterate(100)
    assert beside.judge.closed and beside.scalars["Eval/rmse_vy"] == [pytest.approx(0.2)], "the robots' own error"
    beside.iterate(100)
    said = capsys.readouterr().out
    assert "a process for the walking gate is lost (its process has ended)" in said and "training waits" in said
    assert beside.gate.passed is not None and beside.interrupted


def heard(judge: JudgeBeside) -> Any:
    """What a process says next."""
    JudgeBeside.wait([judge], until=lambda: False)
    return judge.answer()


def few_robots() -> Any:
    """Two robots of the flat task."""
    cfg = evaluation_cfg(PointFootFlatCfg(), 2, seed=0)
    cfg.sim.backend, cfg.sim.num_threads = "mujoco", 1
    return PointFootFlat(cfg, "cpu", True)


def no_robots() -> Any:
    raise ValueError("there is no robot")


def test_the_other_process_judges_as_this_one_does() -> None:
    row = select_rows(["track"], 0.02)[0]
    judge = JudgeBeside(few_robots, row, stop=False)
    try:
        env = few_robots()
        actor = OnPolicyRunner(env, PointFootFlatCfgPPO(), device="cpu").get_inference_policy()
        with torch_threads(1):
            expected = walk(env, actor, row, "cpu", stop=False)
        assert heard(judge) == READY
        judge.begin(actor)
        assert heard(judge) == expected and expected["survival"] is not None
        nice = [os.getpriority(os.PRIO_PROCESS, pid) for pid in (0, judge._process.pid)]
        assert nice[1] == min(nice[0] + NICENESS, 19), "training goes before"
        for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1"):
            os.kill(judge._process.pid, getattr(signal, name))
        judge.begin(actor)
        assert heard(judge) == expected, "signals that end training leave it alone"
        judge._process.kill()
        with pytest.raises(JudgeLost, match="its process has ended"):
            heard(judge)
    finally:
        judge.close()


def test_on_windows_the_other_process_steps_back_too(monkeypatch: pytest.MonkeyPatch) -> None:
    set_to: list[object] = []
    monkeypatch.delattr(os, "nice")
    monkeypatch.setattr(judge_beside.psutil, "BELOW_NORMAL_PRIORITY_CLASS", "below", raising=False)
    monkeypatch.setattr(judge_beside.psutil, "Process", lambda: SimpleNamespace(nice=set_to.append))
    judge_beside._step_back()
    assert set_to == ["below"]


def test_what_cannot_be_sent_is_said() -> None:
    judge = JudgeBeside(lambda: None, select_rows(["track"])[0], stop=True)
    with pytest.raises(JudgeLost, match="pickle"):
        heard(judge)
    judge.close()
    judge = JudgeBeside(no_robots, select_rows(["track"])[0], stop=True)
    policy = Policy()
    policy.unsendable = lambda: None
    with pytest.raises(JudgeLost, match="pickle"):
        judge.begin(policy)
    judge.close()


def test_a_process_without_robots_says_why() -> None:
    judge = JudgeBeside(no_robots, select_rows(["track"])[0], stop=True)
    try:
        with pytest.raises(JudgeLost, match="ValueError: there is no robot"):
            heard(judge)
    finally:
        judge.close()
