"""Configuration of a training run."""

from dataclasses import dataclass, field
from typing import Any

from legged_gym.algorithms.config import AlgorithmCfg, DenoisingCfg, EstimatorCfg, PolicyCfg
from legged_gym.teacher.config import DcmCfg, OffsetCfg
from legged_gym.utils.config import Config, bounded, to_dict

STABILITY = ("touchdown", "error_x", "error_y", "delta_x", "delta_y", "distance")
"""Columns of the observation group `stability`.

`touchdown` is 1 where a step has just ended, with e_n in that step's frame M [m]. The others are of the step that is
planned now, by the LIP: its offset error against the b to go for, frame M [m], and the signed distance of the DCM to
the bounds of viability, negative inside [m]. All of it is 0 once the teacher has left.
"""


@dataclass
class TeacherInLoopCfg(Config):
    """The DCM teacher in the training loop."""

    enabled: bool = True
    """Without it, training is plain PPO."""
    driven_initial: float = bounded(1.0, ge=0, le=1)
    """Share of the robots that the teacher drives at the start."""
    driven_final: float = bounded(0.05, ge=0, le=1)
    """Share at the end; their transitions are left out of PPO's surrogate."""
    driven_decay_steps: int = bounded(60, ge=1)
    """Iterations from `driven_initial` to `driven_final`."""
    last_iteration: int = bounded(0, ge=0)
    """Updates after which the teacher is switched off, to save its time; 0: it stays to the end."""
    clock: str = bounded("driven", choices=("never", "driven", "all"))
    """Robots whose gait clock follows the step times that the teacher plans, if `dcm.timing` is on: none, those that it
    drives, or all. For the others it plans with the clock as it is."""
    offset_update: str = bounded("collection", choices=("never", "collection", "steps"))
    """When Δξ is trained: after each rollout or every `offset_update_steps`, in `dcm.offset.epochs` passes."""
    offset_update_steps: int = bounded(12, ge=1)
    """Policy steps between two updates, if `offset_update` is steps."""
    offset_file: str | None = None
    """A Δξ to start from, as train_teacher.py writes it."""
    foothold_reward: float = bounded(0.0, ge=0)
    """Reward of a step that lands right on the teacher's foothold p*; 0 switches it off."""
    foothold_width: float = bounded(0.05, gt=0)
    """Width s of its kernel exp(-|landed - p*|²/s²) [m]."""
    com_reward: float = bounded(0.0, ge=0)
    """Reward of a policy step with the centre of mass right on its planned path; 0 switches it off."""
    com_width: float = bounded(0.05, gt=0)
    """Width s of its kernel exp(-|c - planned|²/s²) [m]."""
    store_stability: bool = False
    """Store how stable the steps are beside the reference, as the observation group `stability`, to log it or to train
    on it; its columns are `STABILITY`."""
    dcm: DcmCfg = field(default_factory=lambda: DcmCfg(offset=OffsetCfg(enabled=True)))
    """The teacher itself."""


@dataclass
class RunnerCfg(Config):
    """Length of a run, its folder, checkpoints and curves."""

    num_steps_per_env: int = bounded(24, ge=1)
    """Policy steps per robot and iteration."""
    max_iterations: int = bounded(1500, ge=1)
    """Iterations of this run."""
    averaged_iterations: int = bounded(0, ge=0)
    """The policy that is judged, saved and deployed has the mean of the weights over about so many iterations. 0: ten,
    or on a GPU, where an update is less noisy, five. 1: the newest weights alone."""
    averaged_share: float = bounded(0.1, ge=0, le=0.2)
    """Share of the run so far that the mean goes back, if that is more."""
    save_interval: int = bounded(50, ge=1)
    """Iterations between two checkpoints."""
    save_seconds: float = bounded(45.0, ge=0, le=86400)
    """Longest time between two checkpoints [s], stretched where a save takes long; 0 saves by iterations only."""
    keep: tuple[int, int] = bounded((5, 10), ge=0)
    """Checkpoints that stay, as (newest, every): the newest ones (0: all), and one in `every` of those due by
    `save_interval` (0: none)."""
    update_threads: int = bounded(0, ge=0, le=1024)
    """Threads of an update on a CPU; 0 measures at the start and saves the choice here."""
    exact_resume: bool | None = None
    """Save the robots' state and the replayed samples beside the newest checkpoint: a resumed run then goes on bit for
    bit as if it had not stopped. None: only if physics and learning run on the CPU."""
    experiment_name: str = "pointfoot_flat"
    """Folder of this experiment's runs, in the folder of all runs."""
    run_name: str = ""
    """Added to the time in the name of the run's folder."""
    resume: bool = False
    """Go on from a checkpoint."""
    load_run: str = "-1"
    """Name of the run to load; -1 is the newest."""
    checkpoint: int = bounded(-1, ge=-1)
    """Iteration to load; -1 is the last."""
    logger: str = bounded("tensorboard", choices=("tensorboard", "wandb", "neptune"))
    """Service or files that curves go to."""


@dataclass
class TraceCfg(Config):
    """`trace.csv` in the run's folder: some robots, step by step, for analysis offline; columns in runners/trace.py."""

    robots: int = bounded(0, ge=0)
    """Number of robots, spread over the batch; 0 writes nothing."""
    every: int = bounded(10, ge=1)
    """One rollout out of this many is written."""


@dataclass
class LeggedRobotCfgPPO(Config):
    """Everything about how a task is learned."""

    seed: int = bounded(1, ge=0, le=2**32 - 1)
    """Seed of the networks."""
    policy: PolicyCfg = field(default_factory=PolicyCfg)
    estimator: EstimatorCfg = field(default_factory=EstimatorCfg)
    algorithm: AlgorithmCfg = field(default_factory=AlgorithmCfg)
    denoising: DenoisingCfg = field(default_factory=DenoisingCfg)
    runner: RunnerCfg = field(default_factory=RunnerCfg)
    teacher: TeacherInLoopCfg = field(default_factory=TeacherInLoopCfg)
    trace: TraceCfg = field(default_factory=TraceCfg)


WRITERS = {"tensorboard": "TensorboardWriter", "wandb": "WandbWriter", "neptune": "NeptuneWriter"}
"""Value of `RunnerCfg.logger` -> class in runners/curves.py."""


def _writer_cfg(logger: str, project: str) -> dict[str, Any]:
    """Name the writer of curves; a service files the run under `project`."""
    writer = {"class_name": f"legged_gym.runners.curves:{WRITERS[logger]}"}
    return writer if logger == "tensorboard" else writer | {"project_name": project}


def rsl_rl_cfg(cfg: LeggedRobotCfgPPO) -> dict[str, Any]:
    """Translate a training config into rsl_rl's nested dict."""
    policy, estimator = cfg.policy, to_dict(cfg.estimator)
    hidden_dims = estimator.pop("hidden_dims")
    network = {"activation": policy.activation}
    return {
        **to_dict(cfg.runner),
        "logger": _writer_cfg(cfg.runner.logger, cfg.runner.experiment_name),
        "has_teacher": cfg.teacher.enabled,
        "symmetric": policy.symmetric,
        "stored_groups": {"stability": len(STABILITY)} if cfg.teacher.enabled and cfg.teacher.store_stability else {},
        "obs_groups": {"actor": ["policy", "command"], "critic": ["critic"]},
        "algorithm": {
            "class_name": "legged_gym.algorithms.ppo:PPO",
            **to_dict(cfg.algorithm),
            "estimator": estimator,
        },
        "actor": {
            "class_name": "legged_gym.algorithms.networks:EstimatorActor",
            "hidden_dims": list(policy.actor_hidden_dims),
            "estimator_hidden_dims": list(hidden_dims),
            "distribution_cfg": {
                "class_name": "legged_gym.algorithms.networks:Gaussian",
                "init_std": policy.init_noise_std,
                "std_range": policy.noise_std_range,
            },
            **network,
        },
        "critic": {
            "class_name": "MLPModel",
            "hidden_dims": list(policy.critic_hidden_dims),
            "obs_normalization": policy.critic_obs_normalization,
            **network,
        },
    }
