"""What cannot be built or learned from is refused in one line, before anything is written."""

import pytest

from legged_gym.algorithms.config import AlgorithmCfg, EstimatorCfg, PolicyCfg
from legged_gym.envs.pointfoot.pointfoot_flat_config import PointFootFlatCfg, PointFootFlatCfgPPO
from legged_gym.sim.registry import resolve_simulator
from legged_gym.utils.config import Config, ConfigError, check, set_by_path
from legged_gym.utils.errors import UserError
from legged_gym.utils.limits import check_run, estimated_gib, renderer_fault
from legged_gym.utils.machine import Machine

REPLAY = "train__algorithm__imitation__replay"
HERE = Machine(cores=2, memory_gib=4.0, cuda_devices=0)


def cfgs(**fields: str) -> tuple[PointFootFlatCfg, PointFootFlatCfgPPO]:
    env_cfg, train_cfg = PointFootFlatCfg(), PointFootFlatCfgPPO()
    env_cfg.env.num_envs = 64
    for path, text in fields.items():
        scope, _, rest = path.replace("__", ".").partition(".")
        set_by_path(env_cfg if scope == "env" else train_cfg, rest, text)
    return env_cfg, train_cfg


def test_default_runs_fit() -> None:
    for robots, memory in ((64, 2.0), (256, 2.0), (4096, 16.0)):
        check_run(*cfgs(env__env__num_envs=str(robots)), Machine(2, memory, 0))
    check_run(*cfgs(env__env__num_envs="8192"), Machine(8, 16.0, 1), "cuda:0")


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"env__env__num_envs": "1000000000"}, r"needs about \d.* GiB .* for 1,000,000,000 robots.*has 4\.0 GiB"),
        ({"train__runner__num_steps_per_env": "1000000"}, "needs about"),
        ({"env__env__history_length": "1000000"}, "needs about"),
        ({f"{REPLAY}_mini_batches": "80", f"{REPLAY}_samples": "99999999"}, "needs about"),
        ({f"{REPLAY}_mini_batches": "80", f"{REPLAY}_batch_size": "1000000"}, "needs about"),
        ({"train__policy__actor_hidden_dims": "16384,16384,16384"}, "needs about"),
        ({"env__sim__num_threads": "1000000000"}, "there are 2 cores"),
        ({"env__env__num_envs": "1", "train__runner__num_steps_per_env": "1"}, "8 mini-batches of 1 samples"),
        ({"train__estimator__num_mini_batches": "1000"}, r"--train\.estimator\.num_mini_batches: 1000 mini-batches"),
    ],
)
def test_runs_that_cannot_be(fields: dict[str, str], text: str) -> None:
    with pytest.raises(UserError, match=text) as caught:
        check_run(*cfgs(**fields), HERE)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("train.algorithm.num_learning_epochs", "5000000"),
        ("train.estimator.num_learning_epochs", "5000000"),
        ("train.algorithm.imitation.replay_mini_batches", "99999999"),
        ("train.teacher.dcm.offset.epochs", "1000000"),
        ("train.teacher.dcm.offset.hidden_dims", "32,1000000000000000000000"),
        ("train.teacher.dcm.offset.preview_steps", "2000000"),
        ("train.teacher.dcm.timing.candidates", "1000000"),
        ("env.control.decimation", "100000000"),
        ("env.domain_rand.trip_interval_s", "7e30"),
        ("env.commands.resampling_time", "1e30"),
        ("env.env.episode_length_s", "1e30"),
    ],
)
def test_what_no_one_would_wait_for_is_refused(path: str, text: str) -> None:
    with pytest.raises(ConfigError, match=r"<= [\d.e+]+$"):
        cfgs(**{path: text})


def test_an_estimate_is_near_what_was_measured() -> None:
    """366 MiB with 16 robots, 483 with 512 on a plane, 547 on a terrain: 24 steps, small networks, 1 thread."""
    small, large = (
        estimated_gib(*cfgs(env__env__num_envs=str(n), train__runner__num_steps_per_env="24"), Machine(1, 4.0, 0))
        for n in (16, 512)
    )
    assert 0.35 < small < 0.6 and 0.1 < large - small < 0.35


@pytest.mark.parametrize(
    ("cfg", "path", "text"),
    [
        (PolicyCfg, "actor_hidden_dims", "()"),
        (PolicyCfg, "critic_hidden_dims", "1000000000"),
        (EstimatorCfg, "hidden_dims", "()"),
        (PolicyCfg, "activation", "leaky"),
        (PolicyCfg, "noise_std_range", "2,1"),
        (AlgorithmCfg, "learning_rate", "1e6"),
        (PointFootFlatCfg, "seed", "1" + "0" * 30),
        (PointFootFlatCfg, "normalization.clip_actions", "1e39"),
        (PointFootFlatCfg, "normalization.clip_observations", "1e39"),
        (PointFootFlatCfg, "sim.process.timeout", "1e10"),
        (PointFootFlatCfg, "env.episode_length_s", "0.005"),
    ],
)
def test_values_that_cannot_be_meant(cfg: type[Config], path: str, text: str) -> None:
    built = cfg()
    with pytest.raises(ConfigError) as caught:
        set_by_path(built, path, text)
        check(built)
    assert "\n" not in str(caught.value) and path.split(".")[-1] in str(caught.value)


def test_mujoco_warp_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"pip install -e '\.\[gpu\]', or --sim=mujoco"):
        resolve_simulator("mujoco_warp")
    assert resolve_simulator("auto") == "mujoco"


@pytest.mark.parametrize(
    ("value", "library", "text"),
    [
        ("osmesa", None, "apt install libosmesa6"),
        ("egl", None, "apt install libegl1"),
        ("vulkan", None, "unknown; known: egl, osmesa, glfw"),
        ("osmesa", "libOSMesa.so", None),
        ("glfw", None, None),
        ("", None, None),
    ],
)
def test_renderers(monkeypatch: pytest.MonkeyPatch, value: str, library: str | None, text: str | None) -> None:
    monkeypatch.setenv("MUJOCO_GL", value)
    monkeypatch.setattr("legged_gym.utils.limits.find_library", lambda name: library)
    fault = renderer_fault()
    assert fault is None if text is None else text in str(fault)
