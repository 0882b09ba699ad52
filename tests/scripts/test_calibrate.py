"""A run calibrated from the command line."""

import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from legged_gym.evaluation import calibration
from legged_gym.evaluation.calibration import Response
from legged_gym.evaluation.suites import evaluation_cfg
from legged_gym.options import runs
from legged_gym.options.cli import run_main
from legged_gym.options.request import parse_args
from legged_gym.options.resolve import resolve
from legged_gym.scripts import calibrate
from legged_gym.utils.checkpoint import load_checked, save_atomically

ON_CPU = ("--num_envs=12", "--sim_device=cpu", "--rl_device=cpu")


def run(monkeypatch: pytest.MonkeyPatch, *argv: str) -> object:
    """Runs the script in this process and returns its exit code."""
    monkeypatch.setattr(sys, "argv", ["calibrate", *argv, *ON_CPU])
    with pytest.raises(SystemExit) as stop:
        run_main(calibrate.main)
    return stop.value.code


def test_a_calibrated_policy_does_what_it_is_asked(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Bent out of shape first, by a third in v_x and v_y, the policy that comes with the package is straight again.

    Under ideal physics: of 12 robots that it walks as deployed, one falls in every other run.
    """
    monkeypatch.setattr(calibrate, "evaluation_cfg", lambda *args: evaluation_cfg(*args, physics="ideal"))
    monkeypatch.setattr(calibration, "AVERAGING_TIME", 1.5)
    monkeypatch.setattr(calibration, "SETTLING_TIME", 1.0)
    source = tmp_path / "run"
    shutil.copytree(runs.policies_dir() / "PF_TRON1A" / "pointfoot_flat", source)
    (checkpoint,) = source.glob("model_*.pt")
    data = load_checked(checkpoint)
    data["actor_state_dict"]["mlp.0.weight"][:, -3:-1] *= 0.75
    save_atomically(data, checkpoint)
    assert run(monkeypatch, f"--load_run={source}") == 0
    gains = [
        [float(x) for x in line.split("achieves ")[1].split(" of the commanded")[0].split(", ")]
        for line in capsys.readouterr().out.splitlines()
        if "achieves" in line
    ]
    before, after = torch.tensor(gains).view(2, len(calibrate.DAMPINGS), 3).mean(1).tolist()
    assert max(before[:2]) < 0.85
    assert after == pytest.approx([1.0, 1.0, 1.0], abs=0.08)
    folder = tmp_path / "run_calibrated"
    assert (folder / checkpoint.name).is_file()
    assert "python -m legged_gym calibrate --load_run" in (folder / "command.txt").read_text()
    assert run(monkeypatch, f"--load_run={source}") == 2
    assert "is there already" in capsys.readouterr().err


def test_calibration_is_for_the_robot_as_deployed(monkeypatch: pytest.MonkeyPatch, trained_run: Path) -> None:
    seen: list[Any] = []

    def measured(env: Any, *_: Any) -> Response:
        seen.append(env.cfg)
        return Response(torch.eye(3) * len(seen), torch.ones(3) * len(seen), torch.zeros(3))

    monkeypatch.setattr(calibrate, "measure_response", measured)
    args = parse_args(calibrate.make_calibrate_parser(), [f"--load_run={trained_run}", *ON_CPU])
    response, _ = calibrate.measure(resolve(args.request))
    assert [cfg.control.damping for cfg in seen] == [2.5, 3.5], "as the maker's controller has it, and below"
    assert torch.equal(response.gain, 1.5 * torch.eye(3)) and torch.equal(response.offset, 1.5 * torch.ones(3))
    for cfg in seen:
        assert (cfg.control.action_delay, cfg.gait.ranges.frequency) == (0.01, (2.0, 2.0))
        assert cfg.noise.add_noise and cfg.control.clamp_targets and cfg.terrain.static_friction == 0.6


def test_a_policy_that_falls_is_not_calibrated(
    monkeypatch: pytest.MonkeyPatch, trained_run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, f"--load_run={trained_run}") == 2
    assert capsys.readouterr().err.startswith("error: 100% of the robots fell: calibrate a policy once it walks")
    assert not trained_run.with_name(trained_run.name + "_calibrated").exists()


@pytest.mark.parametrize("shared", [False, True])
def test_training_that_goes_on_begins_with_calibrated_weights(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, trained_run: Path, shared: bool
) -> None:
    """After `lg-denoise` these are the policy's own, one in memory with them: they are calibrated once."""
    source = tmp_path / "run"
    shutil.copytree(trained_run, source)
    (checkpoint,) = sorted(source.glob("model_*.pt"))[-1:]
    if shared:
        data = load_checked(checkpoint)
        save_atomically(data | {"newest_actor_state_dict": data["actor_state_dict"] | {}}, checkpoint)
    short = Response(0.8 * torch.eye(3), torch.tensor([0.1, 0.0, 0.0]), torch.zeros(3))
    monkeypatch.setattr(calibrate, "measure", lambda spec: (short, torch.ones(3)))
    assert run(monkeypatch, f"--load_run={source}") == 0
    before, after = (load_checked(folder / checkpoint.name) for folder in (source, tmp_path / "run_calibrated"))
    for name in ("actor_state_dict", "newest_actor_state_dict"):
        old, new = (data[name]["mlp.0.weight"][:, -3:] for data in (before, after))
        torch.testing.assert_close(new, old / 0.8)
        bias, moved = (data[name]["mlp.0.bias"] for data in (before, after))
        torch.testing.assert_close(moved, bias - old[:, 0] * 0.1 / 0.8)


@pytest.mark.parametrize("symmetric", [True, False])
def test_a_symmetric_policy_is_calibrated_alike_for_both_feet(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, trained_run: Path, symmetric: bool
) -> None:
    """Its first layer sees right steps reflected, so a drift to one side cannot be taken back there."""
    source = tmp_path / "run"
    shutil.copytree(trained_run, source)
    (checkpoint,) = sorted(source.glob("model_*.pt"))[-1:]
    drift = Response(torch.eye(3), torch.tensor([0.0, 0.1, 0.2]), torch.zeros(3))
    monkeypatch.setattr(calibrate, "measure", lambda spec: (drift, torch.ones(3)))
    assert run(monkeypatch, f"--load_run={source}", f"--train.policy.symmetric={symmetric}") == 0
    before, after = (
        load_checked(folder / checkpoint.name)["actor_state_dict"]["mlp.0.bias"]
        for folder in (source, tmp_path / "run_calibrated")
    )
    assert torch.equal(before, after) == symmetric
