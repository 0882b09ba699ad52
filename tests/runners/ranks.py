"""Cases of several processes that train together on a CPU: `python -m tests.runners.ranks CASE [SIZE]`.

A process that has imported everything forks the ranks, as torchrun would start them.
"""

import copy
import os
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from legged_gym.evaluation.walking_gate import GateCfg, WalkingGate
from legged_gym.runners.health import PATIENCE, TrainingBrokenError
from legged_gym.runners.on_policy_runner import OnPolicyRunner
from legged_gym.utils import signals
from legged_gym.utils.checkpoint import load_checked
from legged_gym.utils.distributed import Group, current, joined
from legged_gym.utils.errors import UserError
from tests.campaign.trials import fork, wait
from tests.runners.making import small_run

OPTIONS: dict[str, Any] = {
    "train.algorithm.imitation.replay_mini_batches": 3,
    "train.algorithm.imitation.replay_batch_size": 32,
    "train.algorithm.imitation.decay_steps": 5,
    "train.teacher.driven_decay_steps": 5,
    "train.teacher.dcm.offset.epochs": 2,
    "env.curriculum.initial": 0.5,
    "env.curriculum.speed": 100.0,
}
"""The teacher, what is replayed of it, its own learning, and a curriculum that moves within a few iterations."""

Work = Callable[..., None]


def start(size: int, folder: Path, work: Work, *arguments: object) -> list[int]:
    """Fork ranks that do some work in a group; returns their process ids. What rank k says is in `said_k.txt`."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]

    def rank(k: int) -> None:
        places = {"RANK": k, "LOCAL_RANK": k, "WORLD_SIZE": size, "MASTER_PORT": port}
        os.environ |= {"MASTER_ADDR": "127.0.0.1"} | {name: str(value) for name, value in places.items()}
        torch.set_num_threads(1)
        with joined("cpu") as group:
            work(group, *arguments)

    return [fork(folder / f"said_{k}.txt", rank, k) for k in range(size)]


def said(folder: Path) -> str:
    """All that the ranks have said."""
    return "".join(path.read_text() for path in sorted(folder.glob("said_*.txt")))


def together(size: int, folder: Path, work: Work, *arguments: object) -> None:
    """Let ranks do some work, and raise if one of them fails."""
    codes = [wait(pid) for pid in start(size, folder, work, *arguments)]
    if any(codes):
        raise AssertionError(f"exit codes {codes}: {said(folder)}")


def shared(run: OnPolicyRunner) -> dict[str, Any]:
    """All that has to be the same in every rank, as bytes or numbers."""
    learned = {name: tensor.detach().numpy().tobytes() for name, tensor in run._learned_tensors().items()}
    return learned | {
        "difficulty": run.env.curriculum.difficulty.item(),
        "learning rate": run.alg.learning_rate,
        "imitation weight": run.alg.imitation_weight,
        "driven share": run.teacher.share if run.teacher is not None else None,
        "iteration": run.current_learning_iteration,
        "steps": run.logger.tot_timesteps,
    }


def must_be_equal(group: Group, run: OnPolicyRunner) -> dict[str, Any]:
    """Compare the ranks, of which each has robots of its own; returns what they share."""
    own = shared(run)
    first, *others = group.gather(own)
    for other in others:
        wrong = [name for name in first if first[name] != other[name]]
        assert not wrong, f"iteration {run.current_learning_iteration}: {wrong}"
    positions = group.gather(run.env.state.root_pos_w[:, 2].tolist())
    assert len({tuple(z) for z in positions}) == group.size, "robots do the same in two ranks"
    return own


# -- cases -------------------------------------------------------------------------------------------------------------


def equal(size: int, folder: Path) -> None:
    """After each of ten iterations all ranks hold the same, bit for bit; the first one alone says something."""

    def work(group: Group) -> None:
        run = small_run(folder / "run" if group.first else None, **OPTIONS)
        seen: list[dict[str, Any]] = []
        # In the middle of an iteration's end, so that a rank could not have fallen in step by itself meanwhile.
        run.after_iteration = lambda scalars: seen.append(must_be_equal(group, run))
        run.learn(10)
        assert len(seen) == 10 and run.current_learning_iteration == 10
        changing = {name for name in seen[0] if len({str(step[name]) for step in seen}) > 1}
        expected = {"difficulty", "learning rate", "imitation weight", "driven share", "steps"}
        expected |= {"actor.mlp.0.weight", "critic.mlp.0.weight", "actor.estimator.0.weight"}
        expected |= {"critic.obs_normalizer._mean", "offset.net.0.weight"}
        assert expected <= changing, f"never moved: {expected - changing}"
        assert seen[-1]["steps"] == 10 * size * run.env.num_envs * 16

    together(size, folder, work)
    assert (folder / "run" / "model_10.pt").is_file()


CASES: dict[str, Callable[[int, Path], None]] = {case.__name__: case for case in (equal,)}


def main(names: list[str], size: int) -> None:
    """Run cases; each says so when it holds."""
    for name in names:
        with tempfile.TemporaryDirectory() as folder:
            began = time.monotonic()
            CASES[name](size, Path(folder))
            print(f"{name}: holds for {size} ranks ({time.monotonic() - began:.1f} s)", flush=True)


if __name__ == "__main__":
    sizes = [int(word) for word in sys.argv[1:] if word.isdigit()]
    main([word for word in sys.argv[1:] if not word.isdigit()] or list(CASES), sizes[0] if sizes else 2)
