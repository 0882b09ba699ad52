"""A run's policy made into one that comes with the package, and used as such."""

import json
import sys
from dataclasses import replace
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from typing import Any

import pytest

from legged_gym import resources_dir
from legged_gym.evaluation import shipping
from legged_gym.evaluation.rows import SUITES
from legged_gym.options import commands, runs
from legged_gym.options.cli import run_main
from legged_gym.options.request import Request, parse_args
from legged_gym.options.resolve import resolve
from legged_gym.options.spec import AgentSpec
from legged_gym.scripts import evaluate, export_policy, train
from legged_gym.utils import package_version
from legged_gym.utils.checkpoint import load_checked
from legged_gym.utils.errors import UserError

SHORT = ("--suite=track", "--num_envs=3", "--time_scale=0.02", "--sim_device=cpu", "--rl_device=cpu")
PLACE = Path("PF_TRON1A") / "pointfoot_flat"


def run(monkeypatch: pytest.MonkeyPatch, script: Any, *argv: str) -> object:
    """Runs a script in this process and returns its exit code."""
    monkeypatch.setattr(sys, "argv", [script.__name__, *argv])
    with pytest.raises(SystemExit) as stop:
        run_main(script.main)
    return stop.value.code


@pytest.fixture
def policies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder in the place of the package's own policies."""
    monkeypatch.setattr(runs, "policies_dir", lambda: tmp_path / "policies")
    return tmp_path / "policies"


def test_a_shipped_policy_is_small_whole_and_acts_like_the_run(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, policies: Path, trained_run: Path
) -> None:
    argv = (f"--load_run={trained_run}", "--command=python train.py --x", *SHORT)
    for more in ((), ("--replace",)):  # the second time it replaces what is there
        assert run(monkeypatch, export_policy, *argv, *more) == 0
    folder = policies / PLACE
    assert {path.name for path in folder.iterdir()} == {
        *("model_1.pt", "env_cfg.json", "train_cfg.json", "encoder.onnx", "policy.onnx"),
        *("evaluate.json", "training.json"),
    }
    assert [path.name for path in folder.parent.iterdir()] == ["pointfoot_flat"], "nothing else is left behind"
    record = json.loads((folder / "training.json").read_text())
    assert record["commands"] == ["python train.py --x"] and record["robot_steps"] == 16 and record["iterations"] == 1
    env_cfg, train_cfg = (json.loads((folder / f"{name}_cfg.json").read_text()) for name in ("env", "train"))
    assert train_cfg["policy"]["actor_hidden_dims"] == [32, 16] and set(train_cfg) == {"policy", "estimator"}
    assert env_cfg["asset"] == {"robot_type": "PF_TRON1A"} and env_cfg["sim"] == {"dt": 0.005}
    assert env_cfg["gait"] and "backend" not in str(env_cfg) and "rewards" not in env_cfg
    assert record["env_cfg"]["rewards"] and record["train_cfg"]["algorithm"], "for the record"
    for run_folder in (folder, *(path.parent for path in (resources_dir() / "policies").rglob("train_cfg.json"))):
        estimator = json.loads((run_folder / "train_cfg.json").read_text())["estimator"]
        assert list(estimator) == ["hidden_dims"], "how it is trained is the machine's to say"
    lean = load_checked(folder / "model_1.pt")
    assert not [name for name in lean if "optim" in name or "rng" in name]
    assert (folder / "model_1.pt").stat().st_size < 0.6 * (trained_run / "model_1.pt").stat().st_size
    shipped = json.loads((folder / "evaluate.json").read_text())
    assert shipped["physics"] == "deployed"
    assert run(monkeypatch, evaluate, "--agent=pretrained", f"--json={tmp_path / 'again.json'}", *SHORT) == 0
    again = json.loads((tmp_path / "again.json").read_text())
    assert again["agent"] == "pretrained" and again["source"] == "pointfoot_flat/model_1.pt"
    assert again["rows"] == shipped["rows"] and list(again["rows"]) == [row.name for row in SUITES["track"]]


def test_a_second_policy_has_a_name_of_its_own(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, policies: Path, trained_run: Path
) -> None:
    argv = (f"--load_run={trained_run}", "--command=x", *SHORT)
    assert run(monkeypatch, export_policy, *argv) == 0
    hills = policies / "PF_TRON1A" / "hills"
    assert run(monkeypatch, export_policy, *argv, f"--out={hills}") == 0
    for agent, folder in (("pretrained", PLACE.name), ("pretrained:hills", "hills")):
        args = parse_args(evaluate.make_evaluate_parser(), [f"--agent={agent}", "--env.asset.robot_type=PF_TRON1A"])
        spec = resolve(args.request)
        assert spec.source == f"{folder}/model_1.pt" and spec.agent == AgentSpec("pretrained")


def test_training_goes_on_from_a_shipped_policy(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, trained_run: Path
) -> None:
    out = tmp_path / "shipped"
    assert run(monkeypatch, export_policy, f"--load_run={trained_run}", "--command=x", f"--out={out}", *SHORT) == 0
    options = ("--headless", "--resume", f"--load_run={out}", "--sim=mujoco", "--rl_device=cpu", "--num_envs=4")
    logs = tmp_path / "further"
    assert run(monkeypatch, train, *options, "--max_iterations=1", f"--log_root={logs}") == 0
    assert "note: model_1.pt holds networks only, so optimisers, rates and robots begin anew" in capsys.readouterr().out
    (file,) = logs.rglob("model_2.pt")
    before, after = load_checked(out / "model_1.pt"), load_checked(file)
    assert after["ppo_iteration"] == 2, "schedules go on"
    for name, weights in before["actor_state_dict"].items():
        change = (after["actor_state_dict"][name] - weights).abs().max()
        assert change < 0.3, f"{name} begins where the policy was"
    wider = [f"--train.policy.{name}_hidden_dims=32" for name in ("actor", "critic")]
    assert run(monkeypatch, train, *options, *wider, "--max_iterations=1", f"--log_root={logs}") == 2
    assert "does not fit this task, its networks or its config" in capsys.readouterr().err


def test_a_shipped_policy_is_replaced_only_if_asked(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, trained_run: Path
) -> None:
    argv = f"--load_run={trained_run}", f"--out={tmp_path / 'shipped'}", *SHORT

    def commands() -> list[str]:
        return json.loads((tmp_path / "shipped" / "training.json").read_text())["commands"]

    assert run(monkeypatch, export_policy, "--command=first", *argv) == 0
    assert run(monkeypatch, export_policy, "--command=second", *argv) == 2
    assert "a shipped policy is there already; add --replace" in capsys.readouterr().err
    assert commands() == ["first"]


def test_the_command_is_what_the_run_noted(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, policies: Path, trained_run: Path
) -> None:
    for name in ("model_1.pt", "env_cfg.json", "train_cfg.json"):
        (tmp_path / name).write_bytes((trained_run / name).read_bytes())
    monkeypatch.setenv("ROBOT_TYPE", "PF_TRON1A")
    spec = resolve(Request("pointfoot_flat", argv=("--run_name=a b",)))
    commands.note_command(tmp_path, "train", spec)
    more = replace(spec, argv=("--resume",), checkpoint=tmp_path / "model_1.pt")
    commands.note_command(tmp_path, "train", more)
    code = commands.revision()
    assert shipping.training_record(tmp_path / "model_1.pt", None)["commands"] == [
        f"ROBOT_TYPE=PF_TRON1A python -m legged_gym train '--run_name=a b'  # {code}",
        f"ROBOT_TYPE=PF_TRON1A python -m legged_gym train --resume  # {code}",
    ]


def test_a_run_that_goes_on_from_a_shipped_policy_notes_its_commands_too(tmp_path: Path) -> None:
    (tmp_path / "shipped").mkdir()
    (tmp_path / "shipped" / shipping.TRAINING_FILE).write_text(json.dumps({"commands": ["first", "second"]}))
    spec = replace(
        resolve(Request("pointfoot_flat", argv=("--resume",))), checkpoint=tmp_path / "shipped" / "model_1.pt"
    )
    commands.note_command(tmp_path, "train", spec)
    *before, last = (tmp_path / commands.FILE).read_text().splitlines()
    assert before == ["first", "second"]
    assert "legged_gym train --resume" in last


def test_a_copy_that_is_not_installed_trains_without_a_version(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def not_installed(name: str) -> str:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(commands, "LEGGED_GYM_ROOT_DIR", tmp_path)
    monkeypatch.setattr(package_version, "version", not_installed)
    commands.note_command(tmp_path, "train", resolve(Request("pointfoot_flat")))
    assert (tmp_path / commands.FILE).read_text().endswith("# version unknown\n")


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        ([], "give the command that trained the policy, as --command="),
        (["--command=x", "--out=FOREIGN"], "is there already and is no shipped policy"),
        (["--command=x", "--out=FOREIGN", "--replace"], "is there already and is no shipped policy"),
        (["--command=x", "--suite=trak"], "unknown suite 'trak'"),
    ],
)
def test_bad_input_is_one_line_and_nothing_is_written(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    policies: Path,
    trained_run: Path,
    argv: list[str],
    message: str,
) -> None:
    (tmp_path / "foreign").mkdir()
    (tmp_path / "foreign" / "thesis.tex").write_text("years of work")
    argv = [word.replace("FOREIGN", str(tmp_path / "foreign")) for word in argv]
    assert run(monkeypatch, export_policy, f"--load_run={trained_run}", *SHORT, *argv) == 2
    output, errors = capsys.readouterr()
    assert len(errors.splitlines()) == 1 and message in errors
    assert output == "", "refused before any work"
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["thesis.tex"]


def test_without_a_shipped_policy_the_others_are_listed(policies: Path, tmp_path: Path) -> None:
    (policies / "PF_P441A" / "pointfoot_flat").mkdir(parents=True)
    (policies / "PF_P441A" / "pointfoot_flat" / "model_3.pt").touch()
    with pytest.raises(UserError, match="for robot PF_TRON1A by the name pointfoot_flat; there are: PF_P441A/point"):
        runs.shipped_checkpoint("pointfoot_flat", "PF_TRON1A")


def test_every_policy_of_the_package_opens(monkeypatch: pytest.MonkeyPatch) -> None:
    for file in runs.policies_dir().glob(f"*/*/{shipping.TRAINING_FILE}"):
        monkeypatch.setenv("ROBOT_TYPE", file.parts[-3])
        args = parse_args(evaluate.make_evaluate_parser(), [f"--agent=pretrained:{file.parts[-2]}"])
        spec = resolve(args.request)
        assert spec.checkpoint is not None and spec.checkpoint.parent == file.parent
        assert spec.env_cfg.asset.robot_type == file.parts[-3]
        assert json.loads((file.parent / "evaluate.json").read_text())["rows"]
        assert (file.parent / "policy.onnx").is_file() and (file.parent / "encoder.onnx").is_file()
