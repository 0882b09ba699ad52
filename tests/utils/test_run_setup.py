"""Devices and simulators that go together, and what suits the machine."""

import pytest

from legged_gym.envs.pointfoot.pointfoot_flat_config import PointFootFlatCfg, PointFootFlatCfgPPO
from legged_gym.utils.cli import make_parser, parse_args
from legged_gym.utils.errors import UserError
from legged_gym.utils.machine import Machine, Scale
from legged_gym.utils.run_setup import apply_scale, choose_devices, settle_sim, sim_device
from legged_gym.utils.task_registry import TaskRegistry

CPU, GPU = Machine(2, 8.0, 0), Machine(16, 128.0, 1)


@pytest.fixture(params=["mujoco", "mujoco_warp"])
def auto_is(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """What "auto" stands for on this machine."""
    name: str = request.param
    monkeypatch.setattr("legged_gym.sim.registry.resolve_simulator", lambda asked: name if asked == "auto" else asked)
    return name


@pytest.mark.parametrize(
    ("argv", "backend", "device"),
    [
        ([], "auto", "cuda:0"),
        (["--sim_device=cpu"], "mujoco", "cpu"),
        (["--sim_device=cuda"], "auto", "cuda:0"),
        (["--sim=mujoco"], "mujoco", "cpu"),
        (["--sim=mujoco_warp", "--sim_device=cpu"], "mujoco_warp", "cpu"),
        (["--sim=mujoco_warp"], "mujoco_warp", "cuda:0"),
        (["--env.sim.backend=mujoco"], "mujoco", "cpu"),
    ],
)
@pytest.mark.parametrize("auto_is", ["mujoco_warp"], indirect=True)
def test_physics_runs_where_its_simulator_runs(
    registry: TaskRegistry, auto_is: str, argv: list[str], backend: str, device: str
) -> None:
    args = parse_args(make_parser("test"), argv)
    choose_devices(args, GPU)
    assert args.sim_device == device and args.rl_device == "cuda:0"
    env_cfg, _ = registry.get_cfgs("dummy")
    env_cfg.sim.backend = (args.sim or "auto") if not args.overrides else args.overrides[0].text
    settle_sim(args, env_cfg, GPU)
    assert args.sim_device == device and env_cfg.sim.backend == backend


@pytest.mark.parametrize("auto_is", ["mujoco_warp"], indirect=True)
def test_a_config_with_its_own_simulator_changes_the_choice(registry: TaskRegistry, auto_is: str) -> None:
    args = parse_args(make_parser("test"), [])
    choose_devices(args, GPU)
    env_cfg, _ = registry.get_cfgs("dummy")
    env_cfg.sim.backend = "mujoco"
    settle_sim(args, env_cfg, GPU)
    assert args.sim_device == "cpu"


def test_auto_without_cuda(registry: TaskRegistry, auto_is: str) -> None:
    args = parse_args(make_parser("test"), [])
    choose_devices(args, CPU)
    assert (args.sim_device, args.rl_device) == ("cpu", "cpu")


@pytest.mark.parametrize("backend", ["auto", "mujoco"])
@pytest.mark.parametrize("auto_is", ["mujoco"], indirect=True)
def test_the_cpu_simulator_refuses_cuda(auto_is: str, backend: str) -> None:
    with pytest.raises(UserError, match="--sim_device=cuda: the simulator mujoco runs on the CPU"):
        sim_device(backend, "cuda", GPU)
    assert sim_device(backend, None, GPU) == "cpu"


def test_unknown_simulators_list_the_known_ones() -> None:
    with pytest.raises(UserError, match="--sim: unknown simulator 'bullet'; known: auto, mujoco"):
        sim_device("bullet", None, CPU)


def test_the_machine_sets_robots_network_imitation_and_estimator() -> None:
    """What suits it replaces the task's; what a scale does not name stays the task's."""
    env_cfg, train_cfg = PointFootFlatCfg(), PointFootFlatCfgPPO()
    of_the_task = (train_cfg.algorithm.imitation.initial, train_cfg.algorithm.imitation.final)
    apply_scale(env_cfg, train_cfg, Scale(num_envs=7, hidden_dims=(5, 4)))
    assert env_cfg.env.num_envs == 7
    assert train_cfg.policy.actor_hidden_dims == train_cfg.policy.critic_hidden_dims == (5, 4)
    assert (train_cfg.algorithm.imitation.initial, train_cfg.algorithm.imitation.final) == of_the_task
    apply_scale(env_cfg, train_cfg, Scale(num_envs=7, hidden_dims=(5, 4), imitation={"initial": 3.0}))
    assert (train_cfg.algorithm.imitation.initial, train_cfg.algorithm.imitation.final) == (3.0, of_the_task[1])
    epochs, mini_batches = train_cfg.estimator.num_learning_epochs, train_cfg.estimator.num_mini_batches
    estimator = {"num_mini_batches": mini_batches + 1}
    apply_scale(env_cfg, train_cfg, Scale(num_envs=7, hidden_dims=(5, 4), estimator=estimator))
    assert (train_cfg.estimator.num_learning_epochs, train_cfg.estimator.num_mini_batches) == (epochs, mini_batches + 1)
