"""Makes the folder that goes onto the robot: `python legged_gym/scripts/deploy.py --load_run=RUN --out=DIR`.

It holds the networks with a description inside, the controller's parameters, a proof that the files answer like the
trained networks, and a short trial by the controller's contract in other simulators. If the maker's controller cannot
run a policy, one line says why. docs/deploy.md goes on from there.
"""

import re
import shutil
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from legged_gym.deployment import bundle, parity
from legged_gym.deployment.bundle import FILES, RECORD
from legged_gym.deployment.judge import ENGINES, Setup
from legged_gym.deployment.networks import OnnxNetworks
from legged_gym.evaluation import report
from legged_gym.evaluation.loading import load_actor
from legged_gym.evaluation.rows import Row, select_rows
from legged_gym.evaluation.suites import nominal_cfg
from legged_gym.options import cli, commands
from legged_gym.options.cli import Parser, run_main
from legged_gym.options.request import make_parser, parse_args
from legged_gym.options.resolve import resolve
from legged_gym.options.setup import make_env
from legged_gym.options.spec import RunSpec
from legged_gym.runners.export import export_policy
from legged_gym.scripts import sim2sim
from legged_gym.utils.checkpoint import load_checked
from legged_gym.utils.errors import UserError

SUITE = "track_slow,push_1.0,friction_0.4,stand"
"""Rows of the trial."""
ROBOTS = 16
"""Number of robots of each row."""


def make_deploy_parser() -> Parser:
    """Build the parser of this script."""
    parser = make_parser("Make the folder that goes onto the robot.", agent=True)
    add = parser.add_argument
    add("--out", type=cli.path, metavar="DIR", help="folder to make")
    add("--replace", action="store_true", help="replace the folder, if deploy.py has made it")
    add(
        "--suite",
        default=SUITE,
        metavar="LIST",
        help="rows of the trial in other simulators, or none (default: %(default)s; deployed: the full list)",
    )
    add(
        "--engine", metavar="LIST", help="simulators of the trial: mujoco, drake (default: both, if Drake is installed)"
    )
    add("--num_procs", type=int, metavar="N", help="processes of the trial (default: one for each core)")
    add("--time_scale", type=float, default=1.0, metavar="X", help="factor on all durations, for a quick look")
    parser.set_defaults(headless=True, num_envs=ROBOTS)
    return parser


def choose_engines(wanted: str | None) -> list[str]:
    """Return the engines of the trial.

    Raises:
        UserError: One of the names is unknown.
    """
    if wanted is None:
        return [name for name in ENGINES if name != "drake" or find_spec("pydrake") is not None]
    names = [name.strip() for name in wanted.split(",")]
    for name in names:
        if name not in ENGINES:
            raise UserError(f"--engine: got '{name}', known: {', '.join(ENGINES)}")
    return names


def check_target(folder: Path | None, replace: bool) -> Path:
    """Return the folder to write.

    Raises:
        UserError: No folder is named, or something else is there.
    """
    if folder is None:
        raise UserError("--out: name the folder to make")
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        if not (folder / RECORD).is_file():
            raise UserError(f"{folder}: is there already and was not made by deploy.py; give another --out=DIR")
        if not replace:
            raise UserError(f"{folder}: was deployed before; add --replace, or give another --out=DIR")
    return folder.absolute()


def training_of(checkpoint: Path) -> dict[str, Any]:
    """Return a checkpoint's origin: file, size of the training, commands and commit as far as they were noted."""
    data, folder = load_checked(checkpoint), checkpoint.parent
    noted: list[str] = []
    if (folder / commands.FILE).is_file():
        noted = (folder / commands.FILE).read_text().splitlines()
    elif (folder / "training.json").is_file():
        noted = report.read_json(folder / "training.json")["commands"]
    commits = re.findall(r"# .*?(?:revision|version) ([\w.+-]+)", "\n".join(noted))
    return {
        "run": folder.name,
        "checkpoint": checkpoint.name,
        "iterations": data["iter"],
        "robot_steps": data.get("total_steps"),
        "commands": noted,
        "commit": commits[-1] if commits else "not noted",
    }


def export(spec: RunSpec, folder: Path) -> nn.ModuleDict:
    """Write encoder.onnx and policy.onnx.

    Returns:
        The trained networks, `encoder` and `policy`.

    Raises:
        UserError: The checkpoint is broken, or has other inputs than the controller gives.
    """
    cfg = nominal_cfg(spec.env_cfg)
    cfg.env.num_envs = 1
    env = make_env(spec, cfg)
    try:
        widths = {name: sum(width for _, width in terms) for name, terms in env.observation_terms.items()}
        bundle.check_widths(widths)
        actor = load_actor(spec, env)
        export_policy(actor, folder, cfg.env.history_length * widths["policy"], widths["policy"], widths["command"])
    except RuntimeError as error:
        raise UserError(f"{spec.checkpoint}: {error}") from None
    finally:
        env.sim.close()
    (folder / "policy_jit.pt").unlink()  # the controller does not load it
    OnnxNetworks(folder)  # checks widths and types, as the controller loads them
    return nn.ModuleDict({"encoder": actor.estimator, "policy": actor.mlp}).to("cpu").eval()


def prove_parity(networks: nn.ModuleDict, folder: Path, model: Path) -> tuple[dict[str, Any], list[str]]:
    """Compare the files in a folder with the trained networks, and keep the observations there.

    Returns:
        Results by output, and the lines of the report.

    Raises:
        UserError: Files and networks differ by more than rounding.
    """

    def batch(name: str) -> parity.Batch:
        return lambda inputs: networks[name](torch.from_numpy(inputs)).numpy()

    recording = parity.record_observations(OnnxNetworks(folder), model)
    with torch.inference_mode():
        outputs = parity.compare(recording, batch("encoder"), batch("policy"))
    if failed := parity.failed(outputs):
        raise UserError(f"the exported files differ from torch by more than {parity.TOLERANCE:g}: {', '.join(failed)}")
    histories, inputs = np.stack(recording.histories), np.stack(recording.inputs)
    np.savez_compressed(folder / "observations.npz", histories=histories, inputs=inputs)
    return outputs, parity.report(outputs, len(recording.inputs))


def judge(
    engines: list[str],
    rows: list[Row],
    robots: int,
    num_procs: int | None,
    seed: int,
    model: Path,
    spec: RunSpec,
    folder: Path,
    time_scale: float,
) -> tuple[dict[str, Any], list[str]]:
    """Try the files in a folder by the contract.

    Returns:
        Results by engine, and the lines of the verdict.
    """
    results: dict[str, Any] = {}
    lines: list[str] = []
    for name in engines if rows else ():
        content = sim2sim.run(Setup(folder, name, model), spec.robot, rows, robots, seed, num_procs, spec.title)
        results[name] = {"engine": content["engine"], "rows": content["rows"], "left_out": content["left_out"]}
        survival = ", ".join(f"{row} {result['survival']:.2f}" for row, result in content["rows"].items())
        lines.append(f"{content['engine']}, survival of {robots} robots a row: {survival}")
        if time_scale == 1.0:
            lines += report.verdict(content["rows"])
    if not lines:
        lines = ["not tried in other simulators (--suite none)"]
    elif time_scale != 1.0:
        lines.append(f"durations were multiplied by {time_scale:g}: no verdict")
    return results, lines


def write_bundle(spec: RunSpec, trial: Callable[..., tuple[Any, list[str]]], folder: Path) -> list[str]:
    """Write everything into an existing folder.

    Args:
        spec: The run of the policy.
        trial: `judge` with all arguments but the policy and the folder.
        folder: The folder.

    Returns:
        Lines to print about the bundle.
    """
    assert spec.checkpoint is not None  # for the type checker: the agent is a checkpoint
    networks = export(spec, folder)
    _, model = sim2sim.model_file(spec.robot, None)
    seed = int(spec.env_cfg.seed)
    tried, verdict = trial(seed, model, spec, folder)
    content = bundle.description(spec.robot, spec.task, training_of(spec.checkpoint))
    evaluated = spec.checkpoint.with_name("evaluate.json")
    results = {"sim2sim": tried, "evaluate": report.read_json(evaluated)["rows"] if evaluated.is_file() else None}
    for name in FILES:
        bundle.write_metadata(folder / name, content | {"results": results})
    outputs, parity_lines = prove_parity(networks, folder, model)
    (folder / "params.yaml").write_text(bundle.controller_params())
    report.write_json(content | {"results": results, "parity": outputs, "verdict": verdict}, folder / RECORD)
    lines = [*parity_lines, "", *verdict]
    title = f"{spec.task} for {spec.robot}: {spec.source}, commit {content['training']['commit']}"
    (folder / "report.txt").write_text("\n".join([title, "", *lines]) + "\n")
    return lines


def main() -> None:
    """Deploy from the command line."""
    args = parse_args(make_deploy_parser())
    kind = (args.request.agent or "").partition(":")[0]
    if kind not in ("checkpoint", "pretrained"):
        raise UserError(f"--agent {kind} cannot be deployed: give checkpoint or pretrained")
    if args.num_envs < 1 or (args.num_procs is not None and args.num_procs < 1):
        raise UserError("--num_envs, --num_procs: expected a number >= 1")
    folder = check_target(args.out, args.replace)
    engines = choose_engines(args.engine)
    rows = [] if args.suite == "none" else select_rows(args.suite.split(","), args.time_scale)
    spec = resolve(args.request)
    bundle.check_contract(spec.env_cfg)
    made = folder.with_name(f".{folder.name}.tmp")
    shutil.rmtree(made, ignore_errors=True)
    made.mkdir(parents=True)
    try:
        trial = partial(judge, engines, rows, args.num_envs, args.num_procs, time_scale=args.time_scale)
        lines = write_bundle(spec, trial, made)
        if folder.exists():
            shutil.rmtree(folder)
        made.replace(folder)
    finally:
        shutil.rmtree(made, ignore_errors=True)
    print("\n".join(lines))
    print(
        f"deployed: {folder} ({', '.join(sorted(path.name for path in folder.iterdir()))}); go on with docs/deploy.md"
    )


if __name__ == "__main__":
    run_main(main)
