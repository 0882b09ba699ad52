"""Time from the start of a training run to the walking gate, for several seeds, one run after the other.

    python benchmarks/time_to_gate.py --seeds=1,2,3,4,5 [--limit=200] [--result FILE] [OPTIONS OF train.py]

Each run is `train.py --headless --until_walking` in a process of its own, as a user starts it, on a machine that does
nothing else. A run that does not pass within the limit counts as longer than that.
"""

import argparse
import re
import signal
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from legged_gym.evaluation import results
from legged_gym.evaluation.walking_gate import MISSED, PASSED
from legged_gym.options import cli
from legged_gym.options.cli import run_main
from legged_gym.utils.errors import UserError

ROOT = Path(__file__).resolve().parents[1]
COLUMNS = {"to_the_gate": ("s", 0), "to_its_policy": ("s", 0), "robot_steps": ("million", 2)}


def run(seed: int, limit: float, options: Sequence[str]) -> dict[str, results.Figure]:
    """Train until the policy walks, or for `limit` seconds.

    Returns:
        Seconds from the start of the process until a policy was known to walk, and until it was there; its robot-steps
        [millions].

    Raises:
        UserError: The run ended without a verdict.
    """
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "legged_gym/scripts/train.py", "--headless", "--until_walking", f"--seed={seed}"]
        command += ["--max_iterations=1000000", f"--log_root={folder}", *options]
        process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        try:
            output, _ = process.communicate(timeout=limit)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGINT)
            output, _ = process.communicate()
    passed, missed = PASSED.search(output), MISSED.search(output)
    if passed is not None:
        print(f"seed {seed}: {passed[0]}", flush=True)
        known, there, steps = (int(number.replace(",", "")) for number in passed.groups())
        kind = "value"
    elif missed is not None:
        print(f"seed {seed}: {missed[0]}", flush=True)
        known, steps = (int(number.replace(",", "")) for number in missed.groups())
        there, kind = known, "above"
    else:
        last = output.strip().rpartition("\n")[2] or "no output"
        raise UserError(f"seed {seed}: the run ended with exit code {process.returncode}: {last}")
    return {"to_the_gate": {kind: known}, "to_its_policy": {kind: there}, "robot_steps": {kind: steps / 1e6}}


def median(figures: Sequence[results.Figure]) -> results.Figure:
    """Median of times, some of which are only known to be longer."""
    middle = statistics.median_high([figure.get("value", float("inf")) for figure in figures])
    if middle < float("inf"):
        return {"value": middle}
    return {"above": min(figure["above"] for figure in figures if "above" in figure)}


def main() -> None:
    """Measure from the command line."""
    parser = argparse.ArgumentParser(description="Time to the walking gate.", epilog="Other options go to train.py.")
    parser.add_argument("--seeds", default="1,2,3,4,5", help="comma-separated (default: %(default)s)")
    parser.add_argument("--limit", type=float, default=200.0, metavar="SECONDS", help="of each run (default: 200)")
    parser.add_argument("--result", type=cli.path, metavar="FILE", help="write the figures here")
    args, options = parser.parse_known_args()
    if not re.fullmatch(r"\d+(,\d+)*", args.seeds):
        raise UserError(f"--seeds: got {args.seeds}, expected numbers as 1,2,3")
    seeds = [int(seed) for seed in args.seeds.split(",")]
    hardware = results.this_machine()
    figures = {f"seed_{seed}": run(seed, args.limit, options) for seed in seeds}
    figures["median"] = {name: median([row[name] for row in figures.values()]) for name in COLUMNS}
    kind, middle = next(iter(figures["median"]["to_the_gate"].items()))
    print(f"median of {len(seeds)}: {'more than ' if kind == 'above' else ''}{middle:.0f} s")
    if args.result is not None:
        title = "From the start of the process to the walking gate, as deployed"
        results.save(args.result, title, "Walking", COLUMNS, figures, "", seeds, hardware)


if __name__ == "__main__":
    run_main(main)
