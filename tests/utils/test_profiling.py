"""Counting what a recording holds."""

import time

import pytest
import torch

from legged_gym.utils.profiling import Call, profile, summarize


def test_a_recording_of_a_gpu_is_counted_by_hand() -> None:
    recorded = [
        Call("cudaLaunchKernel", False, 30, 0.003),
        Call("cuLaunchKernelEx", False, 10, 0.001),
        Call("cudaGraphLaunch", False, 20, 0.002),
        Call("cudaStreamSynchronize", False, 10, 0.5),
        Call("cudaStreamWaitEvent", False, 99, 0.001),  # queues a wait on the device: the host goes on
        Call("aten::add", False, 40, 0.9),
        Call("add_kernel", True, 500, 0.02),
        Call("solve_kernel", True, 100, 0.08),
        Call("Memcpy DtoD (Device -> Device)", True, 30, 0.01),
    ]
    result = summarize(recorded, calls=10, top=2)
    assert (result.host_launches, result.graph_launches, result.host_waits) == (6.0, 2.0, 1.0)
    assert (result.kernels, result.copies) == (60.0, 3.0)
    assert result.device_time == pytest.approx(0.011)
    assert [(c.name, c.count) for c in result.top] == [("solve_kernel", 10.0), ("add_kernel", 50.0)]
    lines = result.lines("step:")
    assert lines[0] == "step:" and "6.0 launches by the host (2.0 of graphs), 1.0 waits" in lines[1]
    assert lines[3].split() == ["8.000", "72.7%", "10.0", "solve_kernel"]


def test_on_a_cpu_the_functions_that_take_the_time_come_first() -> None:
    result = profile(lambda: (time.sleep(0.02), torch.zeros(3).sum()), 3, torch.device("cpu"))
    assert "sleep" in result.top[0].name
    assert result.top[0].count == 1.0 and 0.019 < result.top[0].time < 0.5
    assert any("'sum' of" in call.name for call in result.top)
    assert result.kernels == 0.0 and len(result.lines("x")) == 2 + len(result.top)
