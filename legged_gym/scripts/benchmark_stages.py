"""Shows where the time of a training run goes: `python legged_gym/scripts/benchmark_stages.py --until_walking`.

It runs train.py in this process with the options that are given, without a window, and prints three tables by stage:
from the start of the process to the end of the first iteration, the mean of later iterations, and the whole run. With
a GPU stages wait for each other, so that each is charged with its own work: the run takes longer than without.
"""

import contextlib
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from legged_gym.utils import signals, startup

if __name__ == "__main__":
    signals.watch()  # before the slow imports
    startup.begins()

from legged_gym.evaluation.report import check_writable, write_json
from legged_gym.evaluation.stages import Stages, mean_iteration, table, wait_for, watch_training
from legged_gym.options import cli
from legged_gym.options.cli import Parser, run_main
from legged_gym.options.request import make_parser, parse_args
from legged_gym.options.spec import RunSpec
from legged_gym.scripts import train

ITERATIONS = 14
"""Iterations, unless the user says how many or asks for the walking gate."""
WARM_UP = 4
"""Iterations that the mean leaves out: in them things are made that are made once."""


def make_stages_parser() -> Parser:
    """Build the parser of this script: that of train.py without viewers, and an option."""
    parser = make_parser("Show where the time of a training run goes, by stage.", training=True)
    parser.add_argument("--until_walking", action="store_true", help="the way to the walking gate")
    parser.add_argument(
        "--evaluate_every", type=int, default=0, metavar="STEPS", help="log an evaluation every so many robot-steps"
    )
    parser.add_argument("--json", type=cli.path, metavar="FILE", help="write the times here too")
    return parser


@contextlib.contextmanager
def log_root(words: list[str]) -> Iterator[list[str]]:
    """Give the option that puts the run into a folder that is thrown away, unless the user has named one."""
    if any(word.startswith("--log_root") for word in words):
        yield []
        return
    with tempfile.TemporaryDirectory() as folder:
        yield [f"--log_root={folder}"]


def main() -> None:
    """Train, and say where the time went."""
    ready = time.time()
    devices: list[str] = []
    stages = Stages(lambda: wait_for(devices))
    stages.seconds["set-up: Python and imports"] = ready - train.STARTED
    args = parse_args(make_stages_parser())
    if args.json is not None:
        check_writable(args.json)
    words = [word for i, word in enumerate(sys.argv) if i and not _is_json(word, sys.argv[i - 1])]
    ends = args.until_walking or args.request.sets("train.runner.max_iterations")
    watch_training(stages)
    stages.watch(train, "resolve", "set-up: config")
    trained = train.train

    def train_on(spec: RunSpec, *rest: Any) -> Any:
        devices.extend({spec.sim_device, spec.rl_device})
        return trained(spec, *rest)

    train.train = train_on  # type: ignore[assignment]
    with log_root(words) as folder:
        length = [] if ends else [f"--max_iterations={ITERATIONS}"]
        sys.argv = ["train.py", *words, "--headless", *length, *folder]
        train.main()
    report(stages, args.json)


def report(stages: Stages, file: Path | None) -> None:
    """Print the tables, and write them; of several processes the first one."""
    after = stages.after_iterations
    tables = {
        "from the start of the process to the end of the first iteration": after[0] if after else {},
        f"an iteration, mean of those after the first {WARM_UP}": mean_iteration(after, WARM_UP),
        "the whole run": dict(stages.seconds),
    }
    tables = {title: seconds for title, seconds in tables.items() if seconds}
    for title, seconds in tables.items():
        print("\n".join(table(title, seconds)))
    if file is not None and os.environ.get("RANK", "0") == "0":
        write_json(tables, file)


def _is_json(word: str, before: str) -> bool:
    """Tell whether a word of the command line belongs to the option `--json`."""
    return word == "--json" or word.startswith("--json=") or before == "--json"


if __name__ == "__main__":
    run_main(main)
