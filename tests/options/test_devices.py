"""Where a run runs: its devices and its simulator."""

import sys
from pathlib import Path

import pytest

from legged_gym.options.resolve import choose_engine, resolve
from legged_gym.utils import machine
from legged_gym.utils.errors import UserError
from tests.options.making import CPU, GPU, asked, on_gpu, parse, start

pytestmark = pytest.mark.usefixtures("registry")


@pytest.mark.parametrize(
    ("argv", "engine", "device"),
    [
        ([], "mujoco_warp", "cuda:0"),
        (["--sim_device=cpu"], "mujoco", "cpu"),
        (["--sim_device=cuda"], "mujoco_warp", "cuda:0"),
        (["--sim=mujoco"], "mujoco", "cpu"),
        (["--sim=mujoco_warp", "--sim_device=cpu"], "mujoco_warp", "cpu"),
        (["--sim=mujoco_warp"], "mujoco_warp", "cuda:0"),
        (["--env.sim.backend=mujoco"], "mujoco", "cpu"),
    ],
)
def test_physics_runs_where_its_simulator_runs(
    monkeypatch: pytest.MonkeyPatch, argv: list[str], engine: str, device: str
) -> None:
    on_gpu(monkeypatch)
    spec = resolve(parse(*argv))
    assert (spec.env_cfg.sim.backend, spec.sim_device, spec.rl_device) == (engine, device, "cuda:0")
    assert spec.env_cfg.env.num_envs == machine.suggest(GPU, device, device).num_envs


@pytest.mark.usefixtures("small_machine")
def test_without_a_gpu_all_runs_on_the_cpu() -> None:
    spec = resolve(parse())
    assert (spec.env_cfg.sim.backend, spec.sim_device, spec.rl_device) == ("mujoco", "cpu", "cpu")


def test_windows_has_no_simulator_in_a_process_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    with pytest.raises(UserError, match=r"--sim_process: .* needs Linux or macOS"):
        resolve(parse("--sim_process", task="pointfoot_flat"))
    assert resolve(parse(task="pointfoot_flat")).task == "pointfoot_flat"


def test_the_cpu_simulator_refuses_cuda() -> None:
    with pytest.raises(UserError, match="--sim_device=cuda: the simulator mujoco runs only on the CPU"):
        choose_engine("mujoco", "cuda", GPU)
    assert choose_engine("mujoco", None, GPU) == ("mujoco", "cpu")
    with pytest.raises(UserError, match="--sim: unknown simulator 'bullet'; known: auto, mujoco"):
        choose_engine("bullet", None, CPU)


def saved_with(run: str, backend: str) -> None:
    """Writes another simulator into the config of a run."""
    path = Path(run) / "env_cfg.json"
    path.write_text(path.read_text().replace('"backend": "mujoco"', f'"backend": "{backend}"'))


@pytest.mark.usefixtures("small_machine")
def test_a_run_of_a_gpu_is_judged_and_gone_on_with_where_there_is_none(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = start("--sim=mujoco").log_dir
    saved_with(run, "mujoco_warp")
    assert resolve(asked(f"--load_run={run}")).env_cfg.sim.backend == "mujoco"
    assert resolve(parse("--resume", f"--load_run={run}")).env_cfg.sim.backend == "mujoco"
    assert "mujoco_warp does not run here" in capsys.readouterr().out
    on_gpu(monkeypatch)
    assert resolve(asked(f"--load_run={run}", "--sim=mujoco_warp")).env_cfg.sim.backend == "mujoco_warp"
    assert resolve(parse("--resume", f"--load_run={run}")).sim_device == "cuda:0"


def test_a_run_of_the_cpu_goes_on_there_unless_the_user_says_otherwise(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = start("--sim=mujoco").log_dir
    on_gpu(monkeypatch)
    assert resolve(parse("--resume", f"--load_run={run}")).sim_device == "cpu"
    assert "--sim=auto moves it to the GPU" in capsys.readouterr().err
    for argv in ("--sim=auto", "--sim_device=cuda"):
        assert resolve(parse("--resume", f"--load_run={run}", argv)).env_cfg.sim.backend == "mujoco_warp"
    assert resolve(asked(f"--load_run={run}")).env_cfg.sim.backend == "mujoco_warp", "judged where the machine is best"
