"""Several processes train one policy: cases of tests/runners/ranks.py with two ranks, and torchrun's own start."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from legged_gym import LEGGED_GYM_ROOT_DIR
from legged_gym.utils.checkpoint import load_checked

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork: each rank is a process of its own")
ENVIRONMENT = os.environ | {"OMP_NUM_THREADS": "1", "ROBOT_TYPE": "PF_TRON1A"}
CASES = ("equal", "as_one", "stop", "broken", "resume", "dead", "refused")


@pytest.fixture(scope="module")
def held() -> str:
    """What the cases say that hold; one process of its own imports all once and forks the ranks."""
    call = [sys.executable, "-m", "tests.runners.ranks", *CASES, "--keep_going"]
    done = subprocess.run(call, cwd=LEGGED_GYM_ROOT_DIR, env=ENVIRONMENT, capture_output=True, text=True, timeout=600)
    return done.stdout + done.stderr


@pytest.mark.parametrize("case", CASES)
def test_two_ranks(held: str, case: str) -> None:
    assert f"{case}: holds for 2 ranks" in held, held[-6000:]


def test_two_machines_and_a_rank_that_is_killed(tmp_path: Path) -> None:
    """Two nodes of one process each; the second one's dies: all end, the first says why, and the run can go on."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    small = ["--num_envs=4", "--train.runner.num_steps_per_env=8", "--train.runner.save_interval=1"]
    small += [f"--train.policy.{network}_hidden_dims=8" for network in ("actor", "critic")]
    small += ["--train.algorithm.imitation.replay_mini_batches=1"]
    options = ["--headless", "--sim=mujoco", "--rl_device=cpu", f"--log_root={tmp_path / 'logs'}", *small]
    nodes = []
    for node in range(2):
        call = [sys.executable, "-m", "torch.distributed.run", "--nnodes=2", f"--node_rank={node}"]
        call += ["--nproc_per_node=1", "--master_addr=127.0.0.1", f"--master_port={port}"]
        call += [str(LEGGED_GYM_ROOT_DIR / "legged_gym/scripts/train.py"), *options]
        with (tmp_path / f"said_{node}.txt").open("w") as said:
            nodes.append(subprocess.Popen(call, env=ENVIRONMENT, cwd=LEGGED_GYM_ROOT_DIR, stdout=said, stderr=said))
    try:
        limit = time.monotonic() + 240.0
        while len(list(tmp_path.rglob("model_*.pt"))) < 2:
            assert time.monotonic() < limit and all(node.poll() is None for node in nodes), _said(tmp_path)
            time.sleep(0.1)
        (rank,) = psutil.Process(nodes[1].pid).children()
        rank.send_signal(signal.SIGKILL)
        died = time.monotonic()
        codes = [node.wait(60) for node in nodes]
        took = time.monotonic() - died
    finally:
        for node in nodes:
            node.kill()
    first, second = _said(tmp_path)
    assert took < 10.0 and all(codes), (took, codes)
    assert re.findall(r"error: .*", first) == [
        "error: rank 1 has died: the others end, too; the last checkpoint is whole, go on from it with --resume"
    ]
    assert "4 robots in each of 2 processes, 8 together" in first
    assert "iteration" not in second, "the first rank alone speaks"
    newest = max(tmp_path.rglob("model_*.pt"), key=lambda path: int(path.stem.split("_")[1]))
    assert load_checked(newest)["iter"] >= 2


def _said(folder: Path) -> list[str]:
    return [(folder / f"said_{node}.txt").read_text() for node in range(2)]
