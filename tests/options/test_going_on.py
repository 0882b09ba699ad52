"""Going on with a saved run: which one is meant, and what of it holds."""

import json
from pathlib import Path

import pytest

from legged_gym import resources_dir
from legged_gym.options.resolve import resolve
from legged_gym.utils.errors import UserError
from tests.options.making import asked, parse, refusal, start

pytestmark = pytest.mark.usefixtures("registry")


def test_resume_goes_on_with_the_configs_of_the_run() -> None:
    first = start("--num_envs=9", "--train.policy.actor_hidden_dims=3,4", "--run_name=first")
    second = start("--resume", "--max_iterations=2", "--env.commands.resampling_time=1")
    assert second.current_learning_iteration == 5
    assert second.cfg.policy.actor_hidden_dims == (3, 4) and second.env.cfg.env.num_envs == 9
    assert second.env.cfg.commands.resampling_time == 1.0
    assert second.log_dir != first.log_dir and not second.log_dir.endswith(("_first", "_"))
    assert second.cfg.runner.load_run == first.log_dir and second.cfg.runner.checkpoint == 3
    third = start("--resume", f"--load_run={Path(first.log_dir).name}", "--max_iterations=1")
    assert third.current_learning_iteration == 4
    assert start("--resume", f"--load_run={first.log_dir}/model_3.pt", "--max_iterations=1").cfg.runner.checkpoint == 3


def test_a_run_elsewhere_is_gone_on_with_elsewhere(logs: Path, tmp_path: Path) -> None:
    """With --log_root, runs are looked for there, by training and by what judges and shows."""
    elsewhere = f"--log_root={tmp_path / 'elsewhere'}"
    start("--run_name=here", "--max_iterations=7")
    assert "no run with a checkpoint in" in refusal(logs, elsewhere, "--resume")
    first = start(elsewhere)
    second = start(elsewhere, "--resume", "--experiment_name=dummy")
    assert second.current_learning_iteration == 6 and Path(second.log_dir).is_relative_to(tmp_path / "elsewhere")
    found = resolve(asked(elsewhere, f"--load_run={Path(first.log_dir).name}"))
    assert found.run == Path(first.log_dir) and found.source == f"{found.run.name}/model_3.pt"


def test_an_experiment_goes_on_under_its_name(logs: Path) -> None:
    first = start("--experiment_name=mine")
    assert Path(start("--resume", f"--load_run={first.log_dir}").log_dir).parent.parent == logs / "mine"


def test_a_run_of_another_version_is_resumed(capsys: pytest.CaptureFixture[str]) -> None:
    run = Path(start("--num_envs=9").log_dir)
    for name in ("env_cfg.json", "train_cfg.json"):
        cfg = json.loads((run / name).read_text())
        (run / name).write_text(json.dumps(cfg | {"removed": 1.0}))
    second = start("--resume")
    assert second.current_learning_iteration == 6 and second.env.cfg.env.num_envs == 9
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("warning:")]
    assert [run.name in line and "removed" in line for line in lines] == [True, True]
    saved = json.loads((Path(second.log_dir) / "env_cfg.json").read_text())
    assert "removed" not in saved
    with pytest.raises(UserError, match="unknown field 'removed'"):
        start("--resume", "--env.removed=1")


def test_a_run_of_before_is_found_and_gone_on_with() -> None:
    """Named without a year, its simulator left to the machine, its robot given by a file."""
    run = Path(start("--env.asset.robot_type=PF_P441A").log_dir)
    old = run.rename(run.with_name("Nov01_10-00-00_old"))
    cfg = json.loads((old / "env_cfg.json").read_text())
    cfg["sim"]["backend"] = "auto"
    cfg["asset"] = {"robot_type": None, "file": str(resources_dir() / "robots" / "PF_P441A" / "urdf" / "robot.urdf")}
    (old / "env_cfg.json").write_text(json.dumps(cfg))
    for argv in ([], ["--load_run=Nov01_10-00-00_old"]):
        spec = resolve(parse("--resume", "--env.asset.robot_type=PF_P441A", *argv))
        assert spec.run == old and spec.robot == "PF_P441A"
    assert resolve(parse("--resume", f"--load_run={old}")).robot == "PF_P441A"
    assert resolve(asked(f"--load_run={old}")).env_cfg.sim.backend != "auto"


def test_resume_that_cannot_be(logs: Path) -> None:
    assert "no run with a checkpoint in" in refusal(logs, "--resume")
    assert "add --resume" in refusal(logs, "--load_run=Nov01_00-00-00")
    assert "add --resume" in refusal(logs, "--checkpoint=3")
    run = Path(start().log_dir)
    assert f"there are: {run.name}" in refusal(logs, "--resume", "--load_run=Nov")
    assert "no checkpoint 7 in" in refusal(logs, "--resume", "--checkpoint=7")
    text = refusal(logs, "--resume", "--train.policy.actor_hidden_dims=1")
    assert "does not fit this task, its networks or its config (size mismatch for weights)" in text
    whole = (run / "model_3.pt").read_bytes()
    (run / "model_3.pt").write_bytes(whole[:-200])
    assert "is damaged or no checkpoint" in refusal(logs, "--resume")
