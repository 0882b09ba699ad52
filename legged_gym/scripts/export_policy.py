"""Ships a run's policy with the package: `python legged_gym/scripts/export_policy.py --load_run=RUN`.

Writes `resources/policies/<ROBOT_TYPE>/<task>/`, which `--agent pretrained` of play.py and evaluate.py reads, or
`--out=resources/policies/<ROBOT_TYPE>/<name>`, which `--agent pretrained:<name>` reads. The folder gets the checkpoint
without optimisers (training can go on from it with new ones), the configs as far as it needs them, `policy.onnx` and
`encoder.onnx`, the results of all suites as `evaluate.json`, and the training command in `training.json`. With
`--replace` an older policy is replaced once everything is written.
"""

import shutil
from pathlib import Path
from typing import Any

from legged_gym.evaluation import report, shipping
from legged_gym.evaluation.agents import PolicyAgent
from legged_gym.evaluation.loading import load_actor
from legged_gym.evaluation.rows import Row, select_rows
from legged_gym.evaluation.suites import nominal_cfg
from legged_gym.options import cli, runs
from legged_gym.options.cli import Parser, run_main
from legged_gym.options.request import make_parser, parse_args
from legged_gym.options.resolve import resolve
from legged_gym.options.setup import make_env
from legged_gym.options.spec import RunSpec
from legged_gym.scripts import evaluate
from legged_gym.utils.config import load_json
from legged_gym.utils.task_registry import task_registry


def make_export_parser() -> Parser:
    """Build the parser of this script."""
    parser = make_parser("Evaluate a run's policy and ship it with the package.", runs=True)
    add = parser.add_argument
    add("--out", type=cli.path, metavar="DIR", help="folder (default: resources/policies/<ROBOT_TYPE>/<task>)")
    add("--replace", action="store_true", help="replace the shipped policy that is there")
    add("--command", metavar="TEXT", help="command that trained the policy (default: the one noted in the run)")
    add("--suite", default="all", metavar="LIST", help="suites of evaluate.json (default: %(default)s)")
    add("--time_scale", type=float, default=1.0, metavar="X", help="factor on all durations, for a quick look")
    parser.set_defaults(headless=True, num_envs=256, seed=0, agent="checkpoint")
    return parser


def write_policy(spec: RunSpec, folder: Path, command: str | None = None) -> None:
    """Write everything but the evaluation into an existing folder.

    Args:
        spec: The run.
        folder: The folder.
        command: Command that trained the policy; None for the one that the run noted.
    """
    assert spec.checkpoint is not None  # for the type checker: the agent is a checkpoint
    record = {"task": spec.task, "robot": spec.robot} | shipping.training_record(spec.checkpoint, command)
    cfgs = zip(("env", "train"), task_registry.get_cfgs(spec.task), strict=True)
    env_cfg, train_cfg = (load_json(cfg, spec.checkpoint.with_name(f"{scope}_cfg.json")) for scope, cfg in cfgs)
    shipping.write_run(folder, spec.checkpoint, env_cfg, train_cfg, record)
    nominal = nominal_cfg(spec.env_cfg)
    nominal.env.num_envs = 1
    env = make_env(spec, nominal)
    *_, verdict = shipping.export_agent(PolicyAgent(load_actor(spec, env), spec.rl_device), env, folder)
    print(verdict)
    env.sim.close()
    (folder / "policy_jit.pt").unlink()  # for use from torch there is the checkpoint


def run(spec: RunSpec, folder: Path, rows: list[Row], command: str | None = None, time_scale: float = 1.0) -> None:
    """Export a run's policy into a folder, whole or not at all.

    Args:
        spec: The run.
        folder: The folder; its old content is replaced.
        rows: Rows of `evaluate.json`.
        command: Command that trained the policy; None for the one that the run noted.
        time_scale: Factor that the rows' durations have been multiplied by.
    """
    made = folder.with_name(f".{folder.name}.tmp")
    shutil.rmtree(made, ignore_errors=True)
    made.mkdir(parents=True)
    try:
        write_policy(spec, made, command)
        report.write_json(evaluate.run(spec, rows, time_scale=time_scale), made / "evaluate.json")
        shipping.put_in_place(made, folder)
    finally:
        shutil.rmtree(made, ignore_errors=True)


def main() -> None:
    """Export from the command line."""
    args = parse_args(make_export_parser())
    evaluate.check_request(args.request, "deployed")
    rows = select_rows(args.suite.split(","), args.time_scale)
    spec = resolve(args.request)
    folder: Any = args.out or runs.policies_dir() / spec.robot / spec.task
    shipping.check_target(folder, args.replace)
    run(spec, folder, rows, args.command, args.time_scale)
    size = sum(path.stat().st_size for path in folder.iterdir())
    print(f"policy: {folder} ({size / 1e6:.1f} MB)")


if __name__ == "__main__":
    run_main(main)
