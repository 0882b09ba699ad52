"""Trains arms with and without the teacher on several seeds with one budget, and compares how fast they learn to walk.

`python legged_gym/scripts/ablation.py --arms ppo,dcm,dcm+offset,raibert --seeds 0,1,2 --max_iterations 500 --out DIR`

Each arm and seed is a run of train.py in a process of its own. Started again with the same DIR, finished runs are kept
and an unfinished one goes on from its last checkpoint.
"""

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from legged_gym.evaluation.ablation import ARMS, Run, draw, read_run, summary
from legged_gym.utils import runs
from legged_gym.utils.cli import Parser, run_main
from legged_gym.utils.errors import UserError, unknown_name

_SCRIPTS = Path(__file__).parent


def _parser() -> Parser:
    parser = Parser(
        description="Compare training with and without the teacher.",
        allow_abbrev=False,
        epilog="Further options go to train.py as they are, for example --num_envs=256 --env.commands.standing_share=0",
    )
    add = parser.add_argument
    add("--task", default="pointfoot_flat")
    add("--arms", default=",".join(ARMS), help="comma-separated (default: %(default)s)")
    add("--seeds", default="0,1,2", help="comma-separated (default: %(default)s)")
    add("--max_iterations", type=int, default=500, metavar="N", help="budget of each run (default: %(default)s)")
    add("--evaluate_every", type=int, default=200_000, metavar="STEPS", help="robot-steps between two evaluations")
    add("--suite", default="track,push", help="evaluated at the end of each run (default: %(default)s)")
    add("--jobs", type=int, default=1, metavar="N", help="runs side by side (default: %(default)s)")
    add("--out", type=Path, required=True, metavar="DIR", help="where runs, ablation.json and ablation.png go")
    return parser


def _train(args: Any, arm: str, seed: int, extra: list[str]) -> Path:
    """Train one arm with one seed, or what is left of it; returns the directory of its last part."""
    root = args.out.resolve() / f"{arm}_seed{seed}"
    command = [sys.executable, str(_SCRIPTS / "train.py"), f"--task={args.task}", "--headless", f"--seed={seed}"]
    command += [f"--evaluate_every={args.evaluate_every}", f"--log_root={root}", *extra]
    command += [f"--train.{path}={value}" for path, value in ARMS[arm].items()]
    parts = sorted(root.glob("*/*/*/"), key=lambda path: path.stat().st_mtime) if root.is_dir() else []
    done = max((iteration for part in parts for iteration in runs.checkpoints(part)), default=0)
    if done < args.max_iterations:
        if done:
            last = next(part for part in reversed(parts) if done in runs.checkpoints(part))
            command += ["--resume", f"--load_run={last}"]
        root.mkdir(parents=True, exist_ok=True)
        with (root / "train.log").open("a") as log:
            command += [f"--max_iterations={args.max_iterations - done}"]
            code = subprocess.run(command, stdout=log, stderr=subprocess.STDOUT, check=False).returncode
        if code:
            raise UserError(f"{arm}, seed {seed}: train.py ended with exit code {code}; see {root / 'train.log'}")
    return root


def _evaluate(args: Any, root: Path) -> dict[str, Any]:
    """Evaluate the last checkpoint of a run, once."""
    path = root / "evaluate.json"
    if not path.is_file():
        newest = max(root.glob("*/*/*/"), key=lambda part: max(runs.checkpoints(part), default=-1))
        command = [sys.executable, str(_SCRIPTS / "evaluate.py"), f"--task={args.task}", f"--load_run={newest}"]
        command += [f"--suite={args.suite}", f"--json={path}"]
        with (root / "evaluate.log").open("w") as log:
            subprocess.run(command, stdout=log, stderr=subprocess.STDOUT, check=True)
    return json.loads(path.read_text())["rows"]


def _run(args: Any, arm: str, seed: int, extra: list[str]) -> tuple[Run, dict[str, Any]]:
    root = _train(args, arm, seed, extra)
    rows = _evaluate(args, root)
    run = read_run(arm, seed, root)
    gate = f"gate after {run.gate['steps'] / 1e6:.2f} M steps, {run.gate['seconds']:.0f} s" if run.gate else "no gate"
    print(f"{arm}, seed {seed}: {gate}, track survival {rows['track']['survival']:.3f}", flush=True)
    return run, rows


def main() -> None:
    """Run the ablation from the command line."""
    args, extra = _parser().parse_known_args()
    arms = [name.strip() for name in args.arms.split(",") if name.strip()]
    for arm in arms:
        if arm not in ARMS:
            raise UserError(unknown_name("arm", arm, ARMS))
    try:
        seeds = [int(seed) for seed in args.seeds.split(",")]
    except ValueError:
        raise UserError(f"--seeds: got '{args.seeds}', expected whole numbers like 0,1,2") from None
    args.out.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(args.jobs) as pool:
        futures = [pool.submit(_run, args, arm, seed, extra) for arm in arms for seed in seeds]
        results = [future.result() for future in futures]
    learned = [run for run, _ in results]
    content = {
        "budget_iterations": args.max_iterations,
        "arms": summary(learned),
        "runs": [{"arm": r.arm, "seed": r.seed, "gate": r.gate, "rows": rows} for r, rows in results],
    }
    (args.out / "ablation.json").write_text(json.dumps(content, indent=2) + "\n")
    draw(learned, args.out / "ablation.png")
    print(json.dumps(content["arms"], indent=2))
    print(f"figure: {args.out / 'ablation.png'}")


if __name__ == "__main__":
    run_main(main)
