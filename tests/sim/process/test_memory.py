"""The memory that trainer and worker share."""

import gc
import json
import os

import torch

from legged_gym.sim.process import memory
from legged_gym.sim.robot_model import RobotModel
from tests.sim.process.making import host
from tests.sim.process.pool import pooled_workers


def test_fields_do_not_overlap() -> None:
    fields = memory.lay_out([("a", "uint8", (3,)), ("b", "float32", (2, 5)), ("c", "int32", (0,))])
    ends = [field.offset + field.size for field in fields]
    assert all(end <= later.offset for end, later in zip(ends, fields[1:], strict=False))
    assert all(field.offset % 64 == 0 for field in fields) and memory.total_size(fields) >= ends[-1]


def test_what_one_end_writes_the_other_end_reads() -> None:
    """And the memory lives as long as one of them."""
    fields = memory.lay_out([("a", "float32", (2, 3)), ("b", "uint8", (4,))])
    ours = memory.create(fields, torch.device("cpu"))
    description = json.loads(json.dumps(ours.describe()))
    descriptor = ours.descriptor()
    assert descriptor is not None
    theirs = memory.attach(description, lambda: os.dup(descriptor))
    ours.tensors["a"].copy_(torch.arange(6.0).view(2, 3))
    ours.tensors["b"][2] = 7
    assert theirs.tensors["a"].flatten().tolist() == [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]
    assert theirs.tensors["b"].tolist() == [0, 0, 7, 0]
    del ours
    theirs.tensors["a"].fill_(2.0)
    assert theirs.tensors["a"].sum() == 12.0


def test_a_worker_leaves_no_file_behind(pf_tron1a: RobotModel) -> None:
    """No name in /dev/shm, and no descriptor in the trainer."""
    with pooled_workers():
        host(pf_tron1a).close()
        gc.collect()
        before = sorted(os.listdir("/dev/shm")), len(os.listdir("/proc/self/fd"))
        for _ in range(3):
            host(pf_tron1a).close()
        gc.collect()
    assert (sorted(os.listdir("/dev/shm")), len(os.listdir("/proc/self/fd"))) == before
