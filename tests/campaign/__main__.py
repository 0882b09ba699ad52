"""Runs the campaign: `python -m tests.campaign KIND --n=N --seed=S --jobs=J`."""

import argparse
import contextlib
import functools
import os
import sys
import tempfile
import time
from pathlib import Path

from tests.campaign import bad_inputs, kills, soak
from tests.campaign.trials import Tally, in_batches, in_jobs

KINDS = ("kills", "faults", *bad_inputs.KINDS, "injections", "soak")


def main() -> int:
    """Run it; returns 0 if nothing failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kinds", nargs="*", metavar="KIND", help=f"of {', '.join(KINDS)} (default: all)")
    parser.add_argument("--n", type=int, default=100, help="trials of each kind; minutes / 10 of soak (default: 100)")
    parser.add_argument("--seed", type=int, help="of the first trial (default: from the clock)")
    parser.add_argument(
        "--jobs", type=int, default=1, help="processes that share the trials, but for soak (default: 1)"
    )
    args = parser.parse_args()
    seed = int(time.time()) % 10**8 if args.seed is None else args.seed
    if unknown := set(args.kinds) - set(KINDS):
        parser.error(f"unknown: {', '.join(sorted(unknown))}; known: {', '.join(KINDS)}")
    if args.n < 1 or args.jobs < 1:
        parser.error("--n and --jobs: expected a number >= 1")
    failures = 0
    for kind in args.kinds or KINDS:
        tally, start = Tally(), time.monotonic()
        jobs = 1 if kind == "soak" else args.jobs
        print(f"{kind}: n {args.n}, seed {seed}, jobs {jobs}", flush=True)
        with tempfile.TemporaryDirectory(prefix="campaign_") as name:
            in_jobs(jobs, functools.partial(run_kind, kind), args.n, seed, Path(name), tally)
        print(f"{kind}: {tally} in {time.monotonic() - start:.0f} s", flush=True)
        failures += len(tally.failures)
    return 1 if failures else 0


def run_kind(kind: str, count: int, seed: int, folder: Path, tally: Tally) -> None:
    """Run so many trials of a kind."""
    if kind == "kills":
        kills.kill(count, seed, folder, tally)
    elif kind == "faults":
        kills.fault(count, seed, folder, tally)
    elif kind in bad_inputs.KINDS:
        in_batches(kind, bad_inputs.KINDS[kind], count, seed, folder, tally)
    else:
        quiet = Tally()
        with Path(os.devnull).open("w") as nothing, contextlib.redirect_stdout(nothing):
            if kind == "injections":
                soak.injections(count, seed, folder, quiet)
            else:
                soak.soak(count / 10.0, folder, quiet)
        for text in quiet.failures:
            print(f"FAILED: {text}", flush=True)
        tally.add(quiet)


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # children of `fork` have no threads but their own
    os.environ.setdefault("ROBOT_TYPE", "PF_TRON1A")
    sys.exit(main())
