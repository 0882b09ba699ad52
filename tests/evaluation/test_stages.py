"""Times by stage."""

import pytest

from legged_gym.evaluation.stages import REST, Stages, mean_iteration, table


class Clock:
    """Time that passes when it is told to."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Worker:
    def __init__(self, clock: Clock) -> None:
        self.clock = clock

    def outer(self) -> str:
        self.clock.now += 1.0
        self.inner(2.0)
        self.clock.now += 4.0
        return "done"

    def inner(self, seconds: float) -> None:
        self.clock.now += seconds


def test_a_stage_within_another_one_counts_for_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    stages, worker = Stages(clock=clock), Worker(clock)
    for method in ("outer", "inner"):
        monkeypatch.setattr(Worker, method, getattr(Worker, method))  # to be put back
        stages.watch(Worker, method, method)
    clock.now += 8.0
    assert worker.outer() == "done"
    worker.inner(16.0)
    clock.now += 32.0
    stages.end_iteration()
    assert stages.seconds == {REST: 40.0, "outer": 5.0, "inner": 18.0}
    assert stages.after_iterations == [dict(stages.seconds)]


def test_a_whole_stage_keeps_what_happens_in_it_and_ends_with_an_exception() -> None:
    clock = Clock()
    stages = Stages(clock=clock)
    with pytest.raises(KeyError), stages.of("evaluation", whole=True):
        with stages.of("physics"):
            clock.now += 1.0
        raise KeyError
    with stages.of("physics"):
        clock.now += 2.0
    assert stages.seconds == {REST: 0.0, "evaluation": 1.0, "physics": 2.0}


def test_a_stage_may_be_told_by_the_call(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    stages, worker = Stages(clock=clock), Worker(clock)
    monkeypatch.setattr(Worker, "inner", Worker.inner)
    stages.watch(Worker, "inner", lambda worker, seconds: "long" if seconds > 5.0 else None)
    worker.inner(1.0)
    worker.inner(7.0)
    assert stages.seconds["long"] == 7.0 and stages.seconds[REST] == 1.0


def test_the_device_is_waited_for_at_both_ends_of_a_stage() -> None:
    clock = Clock()

    def wait() -> None:
        clock.now += queued.pop() if queued else 0.0

    queued: list[float] = []
    stages = Stages(wait, clock)
    with stages.of("physics"):
        queued.append(3.0)
    assert stages.seconds["physics"] == 3.0


def test_means_and_tables() -> None:
    after = [{"a": 5.0}, {"a": 6.0}, {"a": 8.0, "b": 4.0}, {"a": 10.0, "b": 8.0}]
    assert mean_iteration(after, 2) == {"a": 2.0, "b": 4.0}
    assert mean_iteration(after, 4) == {} and mean_iteration([], 4) == {}
    assert table("a run", {"a": 1.0, "b": 3.0, "c": 0.0}) == [
        "a run: 4.000 s",
        "          s   share  stage",
        "      3.000   75.0%  b",
        "      1.000   25.0%  a",
    ]
