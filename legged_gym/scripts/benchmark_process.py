"""Measures the cost of a simulator's own process: `python legged_gym/scripts/benchmark_process.py --sim mujoco`.

Two environments with the same simulator, one in this process and one in a worker, take turns in short blocks under the
task's own randomisation, so that both see the same other load on the machine. Results are medians over the blocks. On a
CPU the processor time of all processes per step is compared, too: other programs hardly change it.

The floor is the cost of a worker that does next to nothing: the conversation, and on a GPU its two changes of context,
from one process to the other and back.
"""

import copy
import statistics
import time
from pathlib import Path
from typing import Any

import psutil
import torch

from legged_gym.evaluation import results
from legged_gym.evaluation.report import check_writable, write_json
from legged_gym.evaluation.speed import ACTION_NOISE, BLOCK, device_name, timed
from legged_gym.options import cli
from legged_gym.options.cli import Parser, run_main
from legged_gym.options.request import make_parser, parse_args
from legged_gym.options.resolve import resolve
from legged_gym.options.setup import make_env
from legged_gym.options.spec import RunSpec
from legged_gym.sim.process import memory
from legged_gym.sim.process.hosting import launch
from legged_gym.sim.process.protocol import Request
from legged_gym.sim.process.serve import Backend
from legged_gym.sim.registry import SIMULATORS
from legged_gym.utils import machine
from legged_gym.utils.errors import UserError

MAX_OVERHEAD = 0.05
"""Largest share of a policy step that a process of its own may cost."""
TIMEOUT = 60.0
"""Longest wait for the worker that does next to nothing [s]."""


def make_envs(spec: RunSpec) -> tuple[Any, Any]:
    """Build the environment in this process, and the one whose simulator is in a worker."""
    envs = []
    for enabled in (False, True):
        cfg = copy.deepcopy(spec.env_cfg)
        cfg.sim.process.enabled = enabled
        envs.append(make_env(spec, cfg))
    near, far = envs
    return near, far


class NextToNothing(Backend):
    """A stand-in for a simulator: one small operation."""

    def __init__(self, spec: dict[str, Any], shared: dict[str, torch.Tensor]) -> None:
        self._number = shared["number"]

    def apply(self, parameters: list[str], reset: bool, push: bool) -> None:
        """Apply nothing."""

    def step(self) -> None:
        """Add one."""
        self._number.add_(1.0)


SERVE = """
import sys
from legged_gym.scripts.benchmark_process import NextToNothing
from legged_gym.sim.process.serve import Server, open_channel
Server(open_channel(*map(int, sys.argv[1:])), dict, NextToNothing).run()
"""


def measure_floor(device: torch.device, repeats: int) -> float:
    """Time an operation here after one in the worker, and subtract the time of both operations here [s]."""
    shared = memory.create(memory.lay_out([("number", "float32", (1,)), ("other", "float32", (1,))]), device)
    worker = launch("next to nothing", ("-c", SERVE))
    number, other = shared.tensors.values()
    shared.hand_over()
    worker.ask(
        Request.BUILD,
        {"spec": {}, "memory": shared.describe()},
        timeout=TIMEOUT,
        descriptor=shared.descriptor(),
    )
    worker.wait_until(shared.is_handed_over, TIMEOUT)

    def near() -> None:
        for _ in range(BLOCK):
            number.add_(1.0)
            other.add_(1.0)

    def far() -> None:
        for _ in range(BLOCK):
            shared.hand_over()
            worker.ask(Request.STEP, {"parameters": [], "reset": False, "push": False}, timeout=TIMEOUT)
            worker.wait_until(shared.is_handed_over, TIMEOUT)
            other.add_(1.0)

    times = [(timed(near, device) / BLOCK, timed(far, device) / BLOCK) for _ in range(repeats + 2)][2:]
    steps = 2 * (repeats + 2) * BLOCK
    if number.item() != steps or other.item() != steps:
        raise RuntimeError(f"the worker took part in {number.item()} steps, expected {steps}")
    worker.close()
    return statistics.median(there - here for here, there in times)


def processor_time(pid: int) -> float:
    """Return the processor time that this process and process `pid` have spent so far [s]."""
    spent = [int(file.read_text().split()[0]) for file in Path("/proc", str(pid), "task").glob("*/schedstat")]
    if not spent:  # not Linux: coarser figures
        times = psutil.Process(pid).cpu_times()
        return time.process_time() + times.user + times.system
    return time.process_time() + 1e-9 * sum(spent)


@torch.inference_mode()
def measure(near: Any, far: Any, repeats: int) -> torch.Tensor:
    """Time policy steps of both environments in turn.

    Args:
        near: The environment in this process.
        far: The one whose simulator is in a worker.
        repeats: Blocks of each; two more at the start are not counted.

    Returns:
        Time and processor time of a policy step [s], of each environment, block by block. Shape (repeats, 2, 2).
    """
    generator = torch.Generator().manual_seed(0)
    shape = (near.num_envs, near.num_actions)
    actions = [(ACTION_NOISE * torch.randn(shape, generator=generator)).to(near.device) for _ in range(BLOCK)]

    def block(env: Any) -> tuple[float, float]:
        def steps() -> None:
            for action in actions:
                env.step(action)

        before = processor_time(far.sim.worker_pid)
        took = timed(steps, env.device)
        return took / BLOCK, (processor_time(far.sim.worker_pid) - before) / BLOCK

    with machine.torch_threads(1):  # as in the rollouts of training
        return torch.tensor([(block(near), block(far)) for _ in range(repeats + 2)][2:], dtype=torch.float64)


def run(spec: RunSpec, repeats: int) -> dict[str, Any]:
    """Measure, and print the result.

    Args:
        spec: The run.
        repeats: Blocks of each.

    Returns:
        The JSON's content.

    Raises:
        UserError: The simulator can run in a worker only.
    """
    sim, num_envs = spec.env_cfg.sim.backend, spec.env_cfg.env.num_envs
    if SIMULATORS[sim].own_process:
        raise UserError(f"--sim={sim}: it always has a process of its own, there is nothing to compare it with")
    near, far = make_envs(spec)
    times = measure(near, far, repeats)
    for env in (near, far):
        env.sim.close()
    floor = measure_floor(near.device, repeats)
    (here, processor_here), (there, processor_there) = times.quantile(0.5, 0).tolist()
    overhead, processor_overhead = (times[:, 1] / times[:, 0] - 1.0).quantile(0.5, 0).tolist()
    print(f"{device_name(spec.sim_device)}; {sim}, {num_envs} robots, {repeats} blocks of {BLOCK} steps each")
    print(f"policy step in this process {1e3 * here:.3f} ms, in a worker {1e3 * there:.3f} ms")
    verdict = "within" if overhead <= MAX_OVERHEAD else "above"
    print(f"overhead {100 * overhead:+.1f} % (median of the blocks' ratios), {verdict} {100 * MAX_OVERHEAD:.0f} %")
    if near.device.type == "cpu":
        change = f"{1e3 * processor_here:.3f} ms, with a worker {1e3 * processor_there:.3f} ms"
        print(f"processor time in this process {change}: {100 * processor_overhead:+.1f} %")
    print(f"with a worker that does next to nothing: +{1e3 * floor:.3f} ms, {100 * floor / here:.1f} % of the former")
    row = {"sim": sim, "num_envs": num_envs, "here": here, "worker": there, "overhead": overhead, "floor": floor}
    row["overhead_quartiles"] = (times[:, 1] / times[:, 0] - 1.0).quantile(torch.tensor([0.25, 0.75]).double()).tolist()
    return row | {"processor_overhead": processor_overhead}


def make_process_parser() -> Parser:
    """Build the parser of this script."""
    parser = make_parser("Compare a simulator in this process with the same one in a worker.")
    parser.add_argument("--repeats", type=int, default=40, help="blocks of each (default: %(default)s)")
    parser.add_argument("--json", type=cli.path, metavar="FILE", help="write the results here too")
    results.add_option(parser)
    parser.set_defaults(headless=True, num_envs=512)
    return parser


def save_result(path: Path, spec: RunSpec, row: dict[str, Any]) -> None:
    """Write the cost of a worker as figures for the results page."""
    low, high = row["overhead_quartiles"]
    figures = {
        f"{row['sim']}_{row['num_envs']}_robots": {
            "here": {"value": 1e3 * row["here"]},
            "worker": {"value": 1e3 * row["worker"]},
            "cost": {"value": 100.0 * row["overhead"], "spread": 50.0 * (high - low)},
        }
    }
    columns = {"here": ("ms", 2), "worker": ("ms", 2), "cost": ("%", 1)}
    title, spread = "What a worker costs a policy step", "half of what lies between the quartiles of blocks"
    hardware = results.gpu_name(spec.sim_device)
    results.save(path, title, "Speed", columns, figures, spread, [spec.env_cfg.seed], hardware)


def main() -> None:
    """Benchmark from the command line."""
    args = parse_args(make_process_parser())
    if args.repeats < 1:
        raise UserError(f"--repeats: got {args.repeats}, expected a number >= 1")
    for file in filter(None, (args.json, args.result)):
        check_writable(file)
    spec = resolve(args.request)
    content = run(spec, args.repeats)
    if args.json is not None:
        write_json(content, args.json)
    if args.result is not None:
        save_result(args.result, spec, content)


if __name__ == "__main__":
    run_main(main)
