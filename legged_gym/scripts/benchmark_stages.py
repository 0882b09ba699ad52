"""Shows where the time of a training run goes: `python legged_gym/scripts/benchmark_stages.py --until_walking`.

It runs train.py in this process with the options that are given, without a window, and prints three tables by stage:
from the start of the process to the end of the first iteration, the mean of later iterations, and the whole run. With
a GPU stages wait for each other, so that each is charged with its own work: the run takes longer than without.
"""

import sys
import time

from legged_gym.utils import signals, startup

if __name__ == "__main__":
    signals.watch()  # before the slow imports
    startup.begins()

from legged_gym.evaluation.report import check_writable, write_json
from legged_gym.evaluation.stages import Stages, mean_iteration, table, wait_for_device, watch_training
from legged_gym.options import cli
from legged_gym.options.cli import Parser, run_main
from legged_gym.options.request import parse_args
from legged_gym.scripts import train

ITERATIONS = 14
"""Iterations, unless the user says how many or asks for the walking gate."""
WARM_UP = 4
"""Iterations that the mean leaves out: in them things are made that are made once."""


def make_stages_parser() -> Parser:
    """Build the parser of this script: that of train.py, and an option."""
    parser = train.make_train_parser()
    parser.description = "Show where the time of a training run goes, by stage."
    parser.add_argument("--json", type=cli.path, metavar="FILE", help="write the times here too")
    return parser


def main() -> None:
    """Train, and say where the time went."""
    ready = time.time()
    args = parse_args(make_stages_parser())
    if args.json is not None:
        check_writable(args.json)
    words = [word for i, word in enumerate(sys.argv) if i and not _is_json(word, sys.argv[i - 1])]
    ends = args.until_walking or args.request.sets("train.runner.max_iterations")
    sys.argv = ["train.py", *words, "--headless", *([] if ends else [f"--max_iterations={ITERATIONS}"])]
    stages = Stages(wait_for_device)
    stages.seconds["set-up: Python and imports"] = ready - train.STARTED
    watch_training(stages)
    stages.watch(train, "resolve", "set-up: config")
    train.main()
    after = stages.after_iterations
    tables: dict[str, dict[str, float]] = {
        "from the start of the process to the end of the first iteration": after[0] if after else {},
        f"an iteration, mean of those after the first {WARM_UP}": mean_iteration(after, WARM_UP),
        "the whole run": dict(stages.seconds),
    }
    for title, seconds in tables.items():
        if seconds:
            print("\n".join(table(title, seconds)))
    if args.json is not None:
        write_json(tables, args.json)


def _is_json(word: str, before: str) -> bool:
    """Tell whether a word of the command line belongs to the option `--json`."""
    return word == "--json" or word.startswith("--json=") or before == "--json"


if __name__ == "__main__":
    run_main(main)
