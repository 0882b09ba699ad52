"""Cases of several processes that train together on a CPU: `python -m tests.runners.ranks --ranks=8 --robots=16`.

A process that has imported everything forks the ranks, as torchrun would start them.
"""

import argparse
import os
import signal
import socket
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from tensordict import TensorDict

from legged_gym.algorithms.ppo import PPO
from legged_gym.algorithms.rollout import packed
from legged_gym.envs.pointfoot.pointfoot_flat import PointFootFlat
from legged_gym.envs.pointfoot.pointfoot_flat_config import PointFootFlatCfg
from legged_gym.evaluation.rows import GATE
from legged_gym.evaluation.walking_gate import GateCfg, WalkingGate
from legged_gym.runners.config import LeggedRobotCfgPPO
from legged_gym.runners.health import PATIENCE, TrainingBrokenError
from legged_gym.runners.on_policy_runner import OnPolicyRunner
from legged_gym.runners.teachers import make_teacher
from legged_gym.teacher.offset_trainer import OffsetTrainer
from legged_gym.utils import signals
from legged_gym.utils.checkpoint import load_checked
from legged_gym.utils.distributed import ALONE, Group, joined
from legged_gym.utils.errors import UserError
from tests.algorithms import test_recorded_update as recorded
from tests.campaign.trials import fork, wait
from tests.runners.making import small_run

ROLLOUT = 12
"""Policy steps of an iteration."""
OPTIONS: dict[str, Any] = {
    "env.env.num_envs": 4,
    "train.algorithm.imitation.replay_mini_batches": 3,
    "train.algorithm.imitation.replay_batch_size": 32,
    "train.algorithm.imitation.decay_steps": 5,
    "train.teacher.driven_decay_steps": 5,
    "train.teacher.dcm.offset.epochs": 1,
    "train.algorithm.num_learning_epochs": 2,
    "train.estimator.num_learning_epochs": 1,
    "train.runner.num_steps_per_env": ROLLOUT,
    "env.curriculum.initial": 0.5,
    "env.curriculum.pace": 0.05,
}
"""The teacher, what is replayed of it, its own learning, and a curriculum that moves within a few iterations."""

LAST = {"train.denoising.run_share": 0.4}
"""Two of five iterations are the last ones, in which the policy learns to act through noise."""

Work = Callable[..., None]


def start(size: int, folder: Path, work: Work, *arguments: object) -> list[int]:
    """Fork ranks that do some work in a group; returns their process ids. What rank k says is in `said_k.txt`."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]

    def rank(k: int) -> None:
        places = {"RANK": k, "LOCAL_RANK": k, "WORLD_SIZE": size, "MASTER_PORT": port}
        os.environ |= {"MASTER_ADDR": "127.0.0.1", "ROBOT_TYPE": "PF_TRON1A"} | {
            name: str(value) for name, value in places.items()
        }
        torch.set_num_threads(1)
        with joined("cpu") as group:
            work(group, *arguments)

    return [fork(folder / f"said_{k}.txt", rank, k) for k in range(size)]


@contextmanager
def patched(module: Any, name: str, value: object) -> Iterator[None]:
    """Give a module's constant another value for a while."""
    before = getattr(module, name)
    setattr(module, name, value)
    try:
        yield
    finally:
        setattr(module, name, before)


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
    must_differ(group, run.env.state.root_pos_w, "robots do the same")
    return own


def must_differ(group: Group, tensor: torch.Tensor, otherwise: str) -> None:
    """Check that a tensor is another one in each rank."""
    assert len(set(group.gather(tensor.numpy().tobytes()))) == group.size, f"{otherwise} in two ranks"


# -- cases -------------------------------------------------------------------------------------------------------------


def equal(size: int, folder: Path) -> None:
    """After each of ten iterations all ranks hold the same, bit for bit; the first one alone says something."""

    def work(group: Group) -> None:
        run = small_run(folder / "run" if group.first else None, **OPTIONS)
        must_differ(group, run.env.commands.command, "robots begin alike")
        must_differ(group, torch.get_rng_state(), "the noise is the same")
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
        assert seen[-1]["steps"] == 10 * size * run.env.num_envs * ROLLOUT

    together(size, folder, work)
    assert (folder / "run" / "model_10.pt").is_file()


def as_one(size: int, folder: Path) -> None:
    """An update of 64 robots in each rank is that of all of them in one process: the same gradients, the same steps."""

    def work(group: Group) -> None:
        for compare in (_same_policy_step, _same_offset_step):
            compare(group)

    together(size, folder, work)


ROBOTS, STEPS = 64, 6


def _algorithm(robots: int, group: Group) -> PPO:
    """One that has stored a rollout of that many robots."""
    with patched(recorded, "NUM_ENVS", robots), patched(recorded, "NUM_STEPS", STEPS):
        alg = recorded.algorithm("cpu", group, mixed=False)  # rounding depends on the size of a batch
        with torch.inference_mode():
            for _ in range(STEPS):
                obs = recorded.observations("cpu")
                alg.act(obs)
                done = torch.rand(robots) < 0.1
                alg.process_env_step(obs, torch.rand(robots), done, {"time_outs": done})
    return alg


def _same_policy_step(group: Group) -> None:
    torch.manual_seed(1)  # the same whole in every rank
    whole = _algorithm(group.size * ROBOTS, ALONE)
    last = TensorDict({"critic": torch.rand(group.size * ROBOTS, recorded.WIDTHS["critic"])}, [group.size * ROBOTS])
    own = _algorithm(ROBOTS, group)
    for network in ("actor", "critic"):
        getattr(own, network).load_state_dict(getattr(whole, network).state_dict())
    mine = slice(group.rank * ROBOTS, (group.rank + 1) * ROBOTS)
    for name in ("rewards", "dones", "values", "actions", "actions_log_prob"):
        getattr(own.storage, name).copy_(getattr(whole.storage, name)[:, mine])
    own.storage.observations.copy_(whole.storage.observations[:, mine])
    with torch.inference_mode():
        whole.storage.distribution_params[0].add_(0.2)  # far enough for the learning rate to change
        for part, parts in zip(own.storage.distribution_params, whole.storage.distribution_params, strict=True):
            part.copy_(parts[:, mine])
        whole.compute_returns(last)
        own.compute_returns(last[mine])
    torch.testing.assert_close(own.storage.advantages, whole.storage.advantages[:, mine], rtol=1e-4, atol=1e-5)
    rows = torch.randperm(ROBOTS * STEPS)[: ROBOTS * STEPS // 2]
    step, robot = rows // ROBOTS, rows % ROBOTS
    everywhere = [step * (group.size * ROBOTS) + k * ROBOTS + robot for k in range(group.size)]
    for alg, batch in ((whole, torch.cat(everywhere)), (own, rows)):
        for weight in (alg._imitation_weight, alg._imitation_share):
            weight.fill_(0.5)
        samples = packed(alg.storage)[batch]
        (count,) = alg._own_samples(samples.unsqueeze(0))
        alg.losses = alg._learn(samples, count)
        alg.estimator_loss = alg.estimator_trainer.step(batch)
        alg._update_normalization()
    driven = own.storage.observations["teacher_driven"].flatten()[rows].sum().item()
    assert len(set(group.gather(driven))) > 1, "as many samples count in all ranks: nothing is tested"
    torch.testing.assert_close(own.losses, whole.losses, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(own.estimator_loss, whole.estimator_loss)
    assert own.learning_rate == whole.learning_rate != own._initial_learning_rate
    for ours, theirs in zip(own.policy_parameters(), whole.policy_parameters(), strict=True):
        torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-3, atol=1e-6)
    for network in ("actor", "critic"):
        ours, theirs = getattr(own, network).state_dict(), getattr(whole, network).state_dict()
        theirs.pop("obs_normalizer.count", None)  # the normaliser looks at torch's processes, whoever is alone
        torch.testing.assert_close({name: ours[name] for name in theirs}, dict(theirs), rtol=1e-3, atol=2e-5)


def _same_offset_step(group: Group) -> None:
    steps, robots = 4, 4

    def trainer(count: int, group: Group) -> OffsetTrainer:
        cfg = LeggedRobotCfgPPO().teacher.dcm
        torch.manual_seed(2)
        env_cfg = PointFootFlatCfg()
        env_cfg.env.num_envs, env_cfg.sim.num_threads = count, 1
        teacher = make_teacher(cfg, PointFootFlat(env_cfg), "cpu")
        torch.manual_seed(3)
        for parameter in teacher.network.parameters():
            torch.nn.init.normal_(parameter, std=0.1)
        return OffsetTrainer(teacher, steps, group)

    whole, own = trainer(group.size * robots, ALONE), trainer(robots, group)
    torch.manual_seed(4)
    mine = slice(group.rank * robots, (group.rank + 1) * robots)
    for name, values in whole._data.items():
        values.copy_(torch.rand_like(values) * 0.1)
        own._data[name].copy_(values[:, mine])
    rows = torch.arange(len(own._data["weight"]) * robots)
    step, robot = rows // robots, rows % robots
    everywhere = torch.cat([step * (group.size * robots) + k * robots + robot for k in range(group.size)])
    ours, theirs = own._minibatch(rows), whole._minibatch(everywhere)
    torch.testing.assert_close(ours[:-1], theirs[:-1], rtol=1e-4, atol=1e-7)  # the last is a mean of all, not by weight
    for mine_, others in zip(own.teacher.network.parameters(), whole.teacher.network.parameters(), strict=True):
        torch.testing.assert_close(mine_.grad, others.grad, rtol=1e-3, atol=1e-7)


def stop(size: int, folder: Path) -> None:
    """The gate, which the first rank looks at, stops all after the same iteration; so does a signal to the last."""

    def passed(group: Group) -> None:
        run = small_run(folder / "gate" if group.first else None, **OPTIONS)
        if group.first:
            gate = WalkingGate(run, lambda cfg: None, GateCfg(every_steps=1), started=time.time())
            good = {"survival": 1.0} | dict.fromkeys(GATE, 0.0)
            gate._evaluate = lambda: good if run.current_learning_iteration == 2 else {**good, "survival": 0.0}
            run.after_iteration = gate.check
        run.learn(100)
        assert group.gather(run.current_learning_iteration) == [2] * size

    def interrupted(group: Group) -> None:
        run = small_run(folder / "signal" if group.first else None, **OPTIONS)
        if group.rank == size - 1:
            run.after_iteration = lambda scalars: os.kill(os.getpid(), signal.SIGTERM)
        with signals.stopping(run, None):
            run.learn(100)
        assert group.gather(run.current_learning_iteration) == [1] * size

    together(size, folder, passed)
    together(size, folder, interrupted)
    assert (folder / "gate" / "model_2.pt").is_file() and (folder / "signal" / "model_1.pt").is_file()


def last(size: int, folder: Path) -> None:
    """In the last iterations, too, all ranks hold the same; who is stopped before them stops the others."""

    def work(group: Group) -> None:
        run = small_run(folder / "run" if group.first else None, **OPTIONS, **LAST)
        run.learn(5)
        must_be_equal(group, run)
        averaged = b"".join(p.detach().numpy().tobytes() for p in run.averaged.actor.parameters())
        assert len(set(group.gather(averaged))) == 1, "policies that are saved differ"
        assert group.gather(run.current_learning_iteration) == [5] * size
        assert run.logger.tot_timesteps == 5 * size * run.env.num_envs * ROLLOUT

    def stopped(group: Group) -> None:
        run = small_run(folder / "stopped" if group.first else None, **OPTIONS, **LAST)
        if group.first:
            run.before_end = lambda: setattr(run, "interrupted", True)  # as the gate's last look may
        run.learn(5)
        assert group.gather(run.current_learning_iteration) == [3] * size

    def interrupted(group: Group) -> None:
        run = small_run(folder / "interrupted" if group.first else None, **OPTIONS, **LAST)
        log = run.logger.log_iteration
        if group.rank == size - 1:
            run.logger.log_iteration = lambda it, *more: setattr(run, "interrupted", it >= 3) or log(it, *more)
        run.learn(5)
        assert group.gather(run.current_learning_iteration) == [3] * size

    for part in (work, stopped, interrupted):
        together(size, folder, part)
    assert (folder / "run" / "model_5.pt").is_file()
    for name in ("stopped", "interrupted"):
        assert {path.name for path in (folder / name).glob("model_*.pt")} == {"model_3.pt"}


def broken(size: int, folder: Path) -> None:
    """Numbers that are not finite in the last rank's rollouts are left out by all, and in the end all give up."""

    def work(group: Group) -> None:
        run = small_run(folder / "run" if group.first else None, **OPTIONS)
        run.learn(1)
        good = must_be_equal(group, run)
        run.alg.value_loss_coef = 1e38
        if group.rank == size - 1:
            run.env.rewards._weights.mul_(1e25)
        run.after_iteration = lambda scalars: must_be_equal(group, run)
        try:
            run.learn(PATIENCE + 5)
        except TrainingBrokenError as error:
            text = str(error)
        assert run.current_learning_iteration < PATIENCE + 2 and "not finite: value" in text
        now = must_be_equal(group, run)
        assert now["critic.mlp.0.weight"] == good["critic.mlp.0.weight"], "of the last good iteration"
        assert ("model_1" in text) == group.first

    together(size, folder, work)


def resume(size: int, folder: Path) -> None:
    """A run goes on in another number of processes, from where it was."""

    def train(group: Group, name: str, source: Path | None, iteration: int, steps: int) -> None:
        run = small_run(folder / name if group.first else None, **OPTIONS)
        if source is not None:
            run.load(str(source))
        must_differ(group, torch.get_rng_state(), "the noise is the same")
        run.learn(2)
        own = must_be_equal(group, run)
        assert (own["iteration"], own["steps"]) == (iteration, steps)

    rollout = OPTIONS["env.env.num_envs"] * ROLLOUT
    together(size, folder, train, "many", None, 2, 2 * size * rollout)
    together(1, folder, train, "one", folder / "many" / "model_2.pt", 4, 2 * (size + 1) * rollout)
    together(size, folder, train, "again", folder / "one" / "model_4.pt", 6, 2 * (2 * size + 1) * rollout)
    assert load_checked(folder / "again" / "model_6.pt")["iter"] == 6


def dead(size: int, folder: Path) -> None:
    """Whichever rank is killed, the others end within 10 s, one line says why, and the last checkpoint is whole.

    So it is for ranks that wait in a collective, which gloo breaks off, and for those that hang elsewhere.
    """

    def work(group: Group, victim: int, hang: bool) -> None:
        run = small_run(
            folder / f"run_{victim}" if group.first else None, **OPTIONS | {"train.runner.save_interval": 1}
        )

        def after(scalars: dict[str, float]) -> None:
            if run.current_learning_iteration == 3 and group.rank == victim:
                (folder / f"killed_{victim}").touch()
                os.kill(os.getpid(), signal.SIGKILL)
            if run.current_learning_iteration == 3 and hang:
                time.sleep(1000.0)

        run.after_iteration = after
        with signals.stopping(run, None):
            run.learn(1000)

    for victim, hang in ((0, True), (size - 1, False)):
        for log in folder.glob("said_*.txt"):
            log.unlink()
        codes = [wait(pid) for pid in start(size, folder, work, victim, hang)]
        took = time.time() - (folder / f"killed_{victim}").stat().st_mtime
        assert codes == [-signal.SIGKILL if k == victim else 2 for k in range(size)], (codes, said(folder))
        assert took < 10.0, f"{took:.1f} s"
        errors = [line for line in said(folder).splitlines() if not line.startswith(("iteration", "note:", "walking"))]
        assert len(errors) == 1 and errors[0].startswith(f"error: rank {victim} has died: "), errors
        newest = max((folder / f"run_{victim}").glob("model_*.pt"), key=lambda path: path.stat().st_mtime)
        assert load_checked(newest)["iter"] in (2, 3)


def refused(size: int, folder: Path) -> None:
    """A rank with other options, and one that meets an error of its own: one line, and no rank is left."""

    def other(group: Group) -> None:
        small_run(None, **OPTIONS | {"train.algorithm.gamma": 0.9 if group.rank == size - 1 else 0.99})

    def failing(group: Group) -> None:
        run = small_run(None, **OPTIONS)
        if group.rank == size - 1:
            raise UserError("the disk is on fire")
        run.learn(1000)

    for work, expected in (
        (other, f"--train.algorithm.gamma is 0.99 in rank 0 and 0.9 in rank {size - 1}"),
        (failing, f"error: rank {size - 1} has ended: the disk is on fire"),
    ):
        for log in folder.glob("said_*.txt"):
            log.unlink()
        codes = [wait(pid) for pid in start(size, folder, work)]
        errors = [line for line in said(folder).splitlines() if not line.startswith(("iteration", "note:"))]
        assert codes == [2] * size and len(errors) == 1 and expected in errors[0], (codes, errors)


CASES: dict[str, Callable[[int, Path], None]] = {
    case.__name__: case for case in (equal, as_one, stop, last, broken, resume, dead, refused)
}


def main(names: list[str], size: int, keep_going: bool) -> None:
    """Run cases; each says so when it holds."""
    for name in names:
        with tempfile.TemporaryDirectory() as folder:
            began = time.monotonic()
            try:
                CASES[name](size, Path(folder))
            except AssertionError:
                if not keep_going:
                    raise
                traceback.print_exc()
                continue
            print(f"{name}: holds for {size} ranks ({time.monotonic() - began:.1f} s)", flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.runners.ranks", description=__doc__)
    parser.add_argument("cases", nargs="*", default=list(CASES), metavar="CASE", help=f"of {', '.join(CASES)}")
    parser.add_argument("--ranks", type=int, default=2, help="processes (default: %(default)s)")
    parser.add_argument("--robots", type=int, default=4, help="robots of each (default: %(default)s)")
    parser.add_argument("--keep_going", action="store_true", help="do the other cases, too, if one does not hold")
    return parser


if __name__ == "__main__":
    given = _parser().parse_args()
    OPTIONS["env.env.num_envs"] = given.robots
    main(given.cases, given.ranks, given.keep_going)
