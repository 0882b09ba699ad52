"""Compares training with mjlab's, on one machine in one call: `python benchmarks/peer_mjlab.py --num_envs=4096,8192`.

Both train the same robot with a PPO of the same sizes; `benchmarks/mjlab_task.py` says where the tasks differ. mjlab
has an environment of its own: `make peer` makes it in build/peer, or give its Python with --python.

    steps/s       of the bare engine, of env.step, and of a training iteration
    walking gate  with --until_walking=SECONDS, both train for so long, and one judge, ours, tells when they walk

mjlab's policies are judged afterwards, one for each 5 s of its training, so its clock counts no evaluations; ours does.
They get the true base velocity, which ours have to tell from the joints.

Each part is a process of its own with a time limit. Its output goes to a folder, where a part that failed can be read;
the others go on, and the exit code is 1.
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from tensordict import TensorDict

from legged_gym.evaluation import results
from legged_gym.evaluation.metrics import Result
from legged_gym.evaluation.report import check_writable, write_json
from legged_gym.evaluation.rows import GATE, passes_walking_gate, select_rows
from legged_gym.evaluation.speed import device_name
from legged_gym.evaluation.suites import cannot_walk, evaluation_cfg, run_row
from legged_gym.evaluation.walking_gate import MISSED, PASSED
from legged_gym.options.cli import Parser, path, run_main
from legged_gym.options.request import parse_args
from legged_gym.options.resolve import resolve
from legged_gym.options.setup import make_env
from legged_gym.options.spec import RunSpec
from legged_gym.scripts.benchmark import make_benchmark_parser
from legged_gym.utils.errors import UserError

ROOT = Path(__file__).resolve().parents[1]
RATES = ("engine", "env_step", "iteration")
JUDGED = 128
"""Robots that walk the gate's row with a policy of mjlab's."""
NEVER: dict[str, Any] = {"seconds": None, "steps": None, "best": None}
"""What is said of one that does not pass the gate."""
PATIENCE = 30.0
"""How long a process may take to end once it was asked to [s]."""


class PeerAgent:
    """A policy of mjlab's in our environment: it sees what it has learned to see, with our sensors' noise."""

    def __init__(self, file: Path, env: Any) -> None:
        """Load a TorchScript function from observations (N, 30) to actions (N, 6)."""
        self._policy, self._env = torch.jit.load(file, map_location=env.device), env
        self._actions = torch.zeros(env.num_envs, env.num_actions, device=env.device)

    def reset(self, seed: int) -> None:
        """See `Agent.reset`."""
        self._actions.zero_()

    def act(self, obs: TensorDict) -> torch.Tensor:
        """See `Agent.act`. Velocity, angular velocity and gravity in the base frame; joints from their defaults."""
        scales, (angular, gravity, joints, speeds) = (
            self._env.cfg.normalization.obs_scales,
            obs["policy"][:, :18].split((3, 3, 6, 6), dim=-1),
        )
        command = torch.cat((obs["command"][:, :2] / scales.lin_vel, obs["command"][:, 2:] / scales.ang_vel), dim=-1)
        parts = (obs["velocity"], angular / scales.ang_vel, gravity, joints / scales.dof_pos, speeds / scales.dof_vel)
        self._actions = self._policy(torch.cat((*parts, self._actions, command), dim=-1))
        return self._actions


def judge(spec: RunSpec, files: Sequence[Path]) -> dict[str, Any]:
    """Judge policies of mjlab's in the order of their age, until one passes the walking gate.

    Args:
        spec: Says in which simulator.
        files: Named after the seconds and the robot-steps that they took, see `mjlab_task.train`.

    Returns:
        `seconds` and `steps` of the first that passes, or None; `best`: the result that came nearest to the gate.
    """
    row = select_rows(["track"])[0]
    env = make_env(spec, evaluation_cfg(spec.env_cfg, JUDGED, seed=0))
    verdict = dict(NEVER)
    for file in sorted(files):
        seconds, steps = file.stem.split("_")
        result = run_row(env, PeerAgent(file, env), row, seed=0, give_up=cannot_walk)
        print(f"mjlab after {float(seconds):.0f} s, {int(steps):,} robot-steps: {shown(result)}", flush=True)
        if verdict["best"] is None or result["survival"] >= verdict["best"]["survival"]:
            verdict["best"] = dict(result)
        if passes_walking_gate(result):
            verdict |= {"seconds": float(seconds), "steps": int(steps)}
            break
    env.sim.close()
    return verdict


def shown(result: Result) -> str:
    """Return survival and errors in a line."""
    return "  ".join(f"{name} {result[name]:.2f}" for name in ("survival", *GATE) if result[name] is not None)


class Parts:
    """Runs the parts of the comparison, one after the other, and notes which failed."""

    def __init__(self, folder: Path) -> None:
        """Write to this folder, which may be there."""
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.failed = folder, list[str]()

    def run(self, name: str, command: Sequence[str], limit: float, ends: bool = True) -> str:
        """Run a command from the repository's root, its output in `NAME.txt`.

        Args:
            name: Of the part.
            command: The words.
            limit: Time after which it is asked to end [s].
            ends: It is expected to end by itself before.

        Returns:
            Its output.
        """
        print(f"{name}: running, at most {limit:.0f} s", flush=True)
        log = self.folder / f"{name}.txt"
        paths = os.environ.get("PYTHONPATH") if command[0] == sys.executable else None  # mjlab's Python has its own
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, (str(ROOT), paths)))}
        with log.open("w") as output:
            try:
                process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=output, stderr=subprocess.STDOUT)
            except OSError as error:
                raise UserError(f"{command[0]}: cannot be run ({error.strerror}); `make peer` makes it") from None
            try:
                code = process.wait(limit)
            except subprocess.TimeoutExpired:
                code = _end(process) if ends else (_end(process), 0)[1]
            except BaseException:
                _end(process)
                raise
        text = log.read_text(errors="replace")
        if code:
            self.failed.append(name)
            last = text.strip().rpartition("\n")[2][:200]
            print(f"{name}: failed with exit code {code}: {last or 'no output'}; all of it: {log}", flush=True)
        return text


def _end(process: subprocess.Popen[bytes]) -> int:
    """Interrupt a process as Ctrl-C does, kill it if it does not end, and return its exit code."""
    process.send_signal(signal.SIGINT)
    try:
        return process.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()


def measure_speed(parts: Parts, spec: RunSpec, args: Any) -> dict[str, list[dict[str, Any]]]:
    """Measure ours, then mjlab; returns the rows of each that were measured."""
    sizes = f"--num_envs={','.join(map(str, args.sizes))}"
    counts = [sizes, f"--repeats={args.repeats}", f"--iterations={args.iterations}"]
    commands = {"ours": our_command(spec, "benchmark.py"), "mjlab": peer_command(spec, args, "speed")}
    rows: dict[str, list[dict[str, Any]]] = {}
    for name, command in commands.items():
        file = (parts.folder / f"{name}_speed.json").resolve()
        file.unlink(missing_ok=True)
        parts.run(f"{name}_speed", [*command, *counts, f"--json={file}"], args.limit)
        rows[name] = json.loads(file.read_text())["rows"] if file.is_file() else []
    return rows


def our_command(spec: RunSpec, script: str) -> list[str]:
    """Return the command of a part of ours."""
    command = [sys.executable, f"legged_gym/scripts/{script}", f"--robot={spec.env_cfg.asset.robot_type}"]
    command += [f"--sim={spec.env_cfg.sim.backend}", f"--sim_device={spec.sim_device}"]
    return [*command, f"--rl_device={spec.rl_device}", f"--seed={spec.env_cfg.seed}"]


def peer_command(spec: RunSpec, args: Any, what: str) -> list[str]:
    """Return the command of a part of mjlab's, with the networks that this machine gets."""
    widths = ",".join(map(str, spec.train_cfg.policy.actor_hidden_dims))
    command = [str(args.python), "-m", "benchmarks.mjlab_task", what, f"--robot={spec.env_cfg.asset.robot_type}"]
    return [*command, f"--hidden_dims={widths}", f"--device={spec.sim_device}", f"--seed={spec.env_cfg.seed}"]


def walk(parts: Parts, spec: RunSpec, args: Any) -> dict[str, dict[str, Any]]:
    """Train both for `args.until_walking` seconds with as many robots as were asked for at most.

    Returns:
        Of each that could be trained, see `judge`.
    """
    num_envs, seconds = max(args.sizes), args.until_walking
    ours = [*our_command(spec, "train.py"), "--headless", "--until_walking", f"--num_envs={num_envs}"]
    ours += ["--max_iterations=1000000", f"--log_root={(parts.folder / 'runs').resolve()}"]
    found: dict[str, dict[str, Any]] = {}
    text = parts.run("ours_walk", ours, seconds, ends=False)
    passed = PASSED.search(text)
    if passed is not None:  # as for mjlab, whose policies are judged afterwards: until the policy was there
        found["ours"] = NEVER | {"seconds": float(passed[2]), "steps": int(passed[3].replace(",", ""))}
    elif MISSED.search(text):
        found["ours"] = dict(NEVER)
    else:
        parts.failed.append("ours_walk")
    policies = parts.folder / "policies"
    for old in policies.glob("*.pt"):
        old.unlink()
    peer = [*peer_command(spec, args, "train"), f"--num_envs={num_envs}", f"--seconds={seconds}"]
    parts.run("mjlab_walk", [*peer, f"--policies={policies.resolve()}"], seconds + args.limit)
    files = list(policies.glob("*.pt"))
    judged = judge(spec, files) if files else NEVER
    if "mjlab_walk" not in parts.failed or judged["seconds"] is not None:  # one that broke off may have walked later
        found["mjlab"] = judged
    return found


def lines(rows: dict[str, list[dict[str, Any]]], walks: dict[str, dict[str, Any]], seconds: float) -> list[str]:
    """Return the comparison as a table, and who walked when."""
    table = [f"{'':<8}{'robots':>8}" + "".join(f"{name:>14}" for name in (*RATES, "no_teacher")) + "   policy steps/s"]
    for name, measured in rows.items():
        for row in measured:
            cells = (format(row[key], ",.0f") if key in row else "-" for key in (*RATES, "no_teacher"))
            table.append(f"{name:<8}{row['num_envs']:>8}" + "".join(f"{cell:>14}" for cell in cells))
    for ours, theirs in pairs(rows):
        times = "".join(f"{ours[key] / theirs[key]:>13.1f}x" for key in RATES if key in ours and key in theirs)
        table.append(f"{'ratio':<8}{ours['num_envs']:>8}{times}")
    for name, found in walks.items():
        when = "does not pass" if found["seconds"] is None else f"passes after {found['seconds']:.0f} s"
        best = f"; its best: {shown(found['best'])}" if found["best"] else ""
        table.append(f"{name} {when} the walking gate, of {seconds:.0f} s{best}")
    return table


def pairs(rows: dict[str, list[dict[str, Any]]]) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Return rows of ours and of mjlab with as many robots."""
    theirs = {row["num_envs"]: row for row in rows["mjlab"]}
    return [(row, theirs[row["num_envs"]]) for row in rows["ours"] if row["num_envs"] in theirs]


def save_result(file: Path, spec: RunSpec, rows: dict[str, Any], walks: dict[str, Any], args: Any) -> None:
    """Write what was measured as figures for the results page."""
    columns = {name: ("thousand robot-steps/s", 1) for name in RATES} | {"no_teacher": ("thousand robot-steps/s", 1)}
    columns |= {"iteration_of_mjlab": ("times", 1), "to_the_gate": ("s", 0), **results.ROW_COLUMNS}
    figures: dict[str, dict[str, results.Figure]] = {}
    for name, measured in rows.items():
        for row in measured:
            figures[f"{name}_{row['num_envs']}_robots"] = {
                key: {"value": row[key] / 1e3, "spread": row[f"{key}_spread"] / 1e3} for key in columns if key in row
            }
    for ours, theirs in pairs(rows):
        if "iteration" in ours and "iteration" in theirs:
            figures[f"ours_{ours['num_envs']}_robots"]["iteration_of_mjlab"] = {
                "value": ours["iteration"] / theirs["iteration"]
            }
    for name, found in walks.items():
        taken = {"above": args.until_walking} if found["seconds"] is None else {"value": found["seconds"]}
        row = figures.setdefault(f"{name}_{max(args.sizes)}_robots", {})
        row["to_the_gate"] = taken
        row |= results.of_rows({"best": found["best"]}, JUDGED)["best"] if found["best"] else {}
    note = (
        "mjlab 1.6, same robot, gains, delay, time steps, solver limits and PPO sizes. The rest is mjlab's own "
        "velocity task, which has neither gait clock nor teacher nor curriculum. Its policies get the true base "
        "velocity, and its clock counts no evaluations. Survival and errors are those of its best policy."
    )
    spread = "half of what lies between the quartiles of blocks, or iterations; of survival, the standard error"
    title, hardware = "Training beside mjlab, on one card in one call", results.gpu_name(spec.sim_device)
    results.save(file, title, "Speed", columns, figures, spread, [spec.env_cfg.seed], hardware, note)


def make_peer_parser() -> Parser:
    """Build the parser of this script."""
    parser = make_benchmark_parser()
    parser.description = "Compare training with mjlab's."
    parser.hide("profile", "starts")
    add = parser.add_argument
    add("--until_walking", type=float, default=0.0, metavar="SECONDS", help="train both so long, till the walking gate")
    add("--python", type=path, default=ROOT / "build/peer/bin/python", metavar="FILE", help="Python that has mjlab")
    add("--folder", type=path, default=ROOT / "build/peer_mjlab", metavar="DIR", help="where outputs of the parts go")
    add("--limit", type=float, default=1800.0, metavar="SECONDS", help="of each part (default: %(default).0f)")
    parser.set_defaults(sim="mujoco_warp")
    return parser


def main() -> int:
    """Compare from the command line."""
    args = parse_args(make_peer_parser())
    for file in filter(None, (args.json, args.result)):
        check_writable(file)
    changes = [setting.option for setting in args.request.settings if setting.option.startswith(("--env.", "--train."))]
    if changes:
        raise UserError(f"{changes[0]}: mjlab's task would not have it; the two are compared as they are")
    if not args.python.is_file():
        raise UserError(f"--python: no file {args.python}; `make peer` makes an environment for mjlab")
    spec, parts = resolve(args.request), Parts(args.folder)
    print(f"{device_name(spec.sim_device)}; outputs of all parts in {args.folder}")
    rows = measure_speed(parts, spec, args)
    write(spec, rows, {}, args)
    if args.until_walking:
        write(spec, rows, walk(parts, spec, args), args)
    return 1 if parts.failed else 0


def write(spec: RunSpec, rows: dict[str, Any], walks: dict[str, Any], args: Any) -> None:
    """Print the comparison as far as it is, and write it where the user wants it."""
    print("\n".join(lines(rows, walks, args.until_walking)), flush=True)
    if args.json is not None:
        write_json({"device": device_name(spec.sim_device), "speed": rows, "walking": walks}, args.json)
    if args.result is not None:
        save_result(args.result, spec, rows, walks, args)


if __name__ == "__main__":
    run_main(main)
