"""Run sizes and devices for the machine at hand."""

import os
import sys
from pathlib import Path

import pytest

from legged_gym.algorithms.config import EstimatorCfg
from legged_gym.utils import machine
from legged_gym.utils.errors import UserError
from legged_gym.utils.machine import Machine

SMALL, BIG = Machine(2, 7.5, 0), Machine(16, 128.0, 2)


def test_this_machine_is_described() -> None:
    here = machine.detect()
    assert 1 <= here.cores <= (os.cpu_count() or 1)
    assert str(SMALL) == "2 cores, 7.5 GiB memory, no CUDA"
    assert str(BIG) == "16 cores, 128.0 GiB memory, 2 CUDA devices"


@pytest.mark.parametrize(
    ("text", "cores"), [("max 100000", 10**6), ("150000 100000", 2), ("20000 100000", 1), ("", 10**6)]
)
def test_a_container_quota_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, cores: int) -> None:
    (tmp_path / "cpu.max").write_text(text)
    monkeypatch.setattr(machine, "_CGROUP", tmp_path)
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: range(10**6), raising=False)
    assert machine.usable_cores() == cores


def test_sizes_grow_with_the_machine() -> None:
    assert machine.suggest(SMALL, "cpu", "cpu").num_envs == 128
    assert machine.suggest(BIG, "cpu", "cpu").num_envs == 4096
    assert machine.suggest(BIG, "cuda:0", "cuda:0").num_envs == 8192
    train, usual = machine.suggest(BIG, "cuda:0", "cuda:0").train, EstimatorCfg()
    passes, parts = train["estimator.num_learning_epochs"], train["estimator.num_mini_batches"]
    assert passes < usual.num_learning_epochs and passes * parts >= usual.num_learning_epochs * usual.num_mini_batches


def test_what_helps_on_a_processor_is_for_learning_there() -> None:
    few, many = (machine.suggest(size, "cpu", "cpu", soon=True).train for size in (SMALL, BIG))
    assert few["algorithm.input_scaling"] and many["algorithm.input_scaling"]
    assert few["algorithm.num_learning_epochs"] == 4 and "algorithm.num_learning_epochs" not in many
    assert not machine.suggest(BIG, "cpu", "cuda:0", soon=True).train, "nobody has tried"
    on_a_gpu = machine.suggest(SMALL, "cuda:0", "cuda:0").train
    assert on_a_gpu["algorithm.input_scaling"] and on_a_gpu["denoising.run_share"] > 0.0, "there, always"
    assert not machine.suggest(SMALL, "cpu", "cpu").train, "a run that goes on learns to recover"


def test_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LOCAL_RANK", raising=False)
    assert machine.choose_device(None, SMALL, prefer_cuda=True) == "cpu"
    assert machine.choose_device(None, BIG, prefer_cuda=False) == "cpu"
    assert machine.choose_device(None, BIG, prefer_cuda=True) == "cuda:0"
    assert machine.choose_device("cuda", BIG, prefer_cuda=False) == "cuda:0"
    assert machine.choose_device("cuda:1", BIG, prefer_cuda=False) == "cuda:1"
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert machine.choose_device("cuda", BIG, prefer_cuda=True) == "cuda:1"


def test_processes_of_one_machine_share_it(monkeypatch: pytest.MonkeyPatch) -> None:
    cores, memory = machine.usable_cores(), machine.usable_memory_gib()
    monkeypatch.setenv("LOCAL_RANK", "1")
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    assert machine.usable_cores() == max(cores // 2, 1) and machine.usable_memory_gib() == pytest.approx(memory / 2)
    assert machine.choose_device("cuda:1", BIG, prefer_cuda=True) == "cuda:1"
    with pytest.raises(UserError, match="device 'cuda:0': torchrun has started 2 processes here"):
        machine.choose_device("cuda:0", BIG, prefer_cuda=True)
    monkeypatch.setenv("LOCAL_RANK", "2")
    with pytest.raises(UserError, match=r"device 'cuda:2' is not there: .* 2 CUDA devices"):
        machine.choose_device(None, BIG, prefer_cuda=True)


@pytest.mark.parametrize("asked", ["gpu", "cuda:x", "cuda0", "cpu:0", ""])
def test_unknown_devices(asked: str) -> None:
    with pytest.raises(UserError, match=f"unknown device '{asked}'; known: cpu, cuda, cuda:<index>"):
        machine.choose_device(asked, BIG, prefer_cuda=False)


def test_missing_devices_say_what_there_is() -> None:
    with pytest.raises(
        UserError, match=r"device 'cuda:0' is not there: this machine has 2 cores, 7.5 GiB memory, no CUDA"
    ):
        machine.choose_device("cuda:0", SMALL, prefer_cuda=False)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="other systems always have a display")
def test_no_display(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    with pytest.raises(UserError, match="add --headless"):
        machine.require_display()
    monkeypatch.setenv("DISPLAY", ":987")
    with pytest.raises(UserError, match="add --headless"):
        machine.require_display()
