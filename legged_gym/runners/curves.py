"""Writers of curves: TensorBoard files, and services on top of them; each tag has a description with its unit."""

import shlex
import sys
from typing import Any

from rsl_rl.utils.log_writer import LogWriter
from rsl_rl.utils.neptune_log_writer import NeptuneLogWriter
from rsl_rl.utils.wandb_log_writer import WandbLogWriter
from tensorboard.compat.proto.summary_pb2 import Summary, SummaryMetadata
from torch.utils.tensorboard import SummaryWriter

from legged_gym.utils.config import Config, fields_of, to_dict
from legged_gym.utils.errors import UserError

OWN = "of the robots that the policy drives"
DESCRIPTIONS = {
    "Metrics/error_vel_x": f"rms error of the forward velocity {OWN}, heading frame [m/s]",
    "Metrics/error_vel_y": f"rms error of the velocity to the left {OWN}, heading frame [m/s]",
    "Metrics/error_vel_yaw": f"rms error of the yaw rate {OWN} [rad/s]",
    "Metrics/survival": f"chance to last a whole episode, at the rate of falls {OWN} [1]",
    "Eval/survival": "share of the robots that end the row `track` upright, as deployed [1]",
    "Train/mean_reward": f"return of an episode, mean {OWN} from its start to its end",
    "Train/mean_episode_length": f"length of an episode, mean {OWN} from its start to its end [policy steps]",
    "Train/difficulty": "factor of the curriculum on commands, pushes and randomisation [0 to 1]",
    "Train/fall_rate": "falls of all robots, also of those that the teacher drives [1/s]",
    "Train/broken_robots": "robots whose simulation left the finite numbers [robots]",
    "Train/terrain_level": "mean row of the terrain, counted from 0 [rows]",
    "Policy/mean_std": "standard deviation of the exploration noise, mean of the joints [units of action_scale, rad]",
    "Loss/learning_rate": "step size of Adam [1]",
    "Loss/estimator": "mean squared error of the velocity estimate [m^2/s^2]",
    "Perf/total_fps": "policy steps of all robots per second of wall clock [1/s]",
    "Perf/collection_time": "duration of the rollout [s]",
    "Perf/learning_time": "duration of the update [s]",
    "Perf/total_steps": "policy steps of all robots since the run began [robot-steps]",
    "Perf/total_time": "training time since the run began, without evaluations [s]",
    "Teacher/driven_share": "share of the robots that the teacher drives [1]",
    "Teacher/weight": "how much the teacher's reference counts, mean of the robots [1]",
    "Teacher/offset_abs": "length of the learned offset of the capture point [m]",
    "Teacher/foothold_error_rms": "where feet landed against the planned foothold, rms [m]",
    "Teacher/dcm_offset_error_rms": "DCM offset at touchdown against the planned one, rms [m]",
    "Teacher/dcm_offset_error_without_offset_rms": "the same without the learned offset, to first order [m]",
}
"""Tag -> what the curve is, with its unit."""
KINDS = {
    "Reward/": "weighted reward term, of all robots, per second of a full episode",
    "Loss/": "mean over the updates of an iteration",
    "Eval/": "of the row `track` of evaluate.py, as deployed [SI units]",
    "Offset/": "training of the learned offset of the capture point",
    "Train/terrain_level_": "mean row of the robots on this kind of tile, counted from 0 [rows]",
    "Train/not_finite_": "values that were not finite [1]",
    "Sim/overflow_": "how often a buffer of the simulator overflowed [1]",
    "Quarantine/": "values that were not finite, in robots that were reset [1]",
}
"""Start of a tag -> the same, for groups of curves."""
FIRST_PAGE = {
    "Metrics": ("Metrics/error_vel_x", "Metrics/error_vel_y", "Metrics/error_vel_yaw", "Metrics/survival"),
    "Train": ("Train/mean_reward", "Train/mean_episode_length", "Train/difficulty", "Train/fall_rate"),
    "Reward": ("Reward/.*",),
}
"""TensorBoard's page Custom Scalars, most telling curves first: group -> tags."""


def describe(tag: str) -> str:
    """Return what a curve is, with its unit; nothing for tags of other origin."""
    found = (text for start, text in KINDS.items() if tag.startswith(start))
    return DESCRIPTIONS.get(tag) or next(found, "")


def config_text(scope: str, cfg: Any) -> str:
    """Return a config as Markdown, a field a line, each as the option that would set it."""
    flat = fields_of(cfg, to_dict(cfg)) if isinstance(cfg, Config) else cfg
    return as_code(f"--{scope}.{name}={value}" for name, value in flat.items())


def as_code(lines: Any) -> str:
    """Return lines as a block of code in Markdown."""
    return "\n".join(f"    {line}" for line in lines)


class TensorboardWriter(SummaryWriter, LogWriter):
    """Writes scalars with what they are, configs and command line as text, and the layout of the first page."""

    def __init__(self, log_dir: str, **kwargs: Any) -> None:
        """Open a file in the run's folder."""
        super().__init__(log_dir, **({"flush_secs": 10} | kwargs))
        self._described: set[str] = set()

    def add_scalar(
        self,
        tag: str,
        scalar_value: float,
        global_step: int | None = None,
        walltime: float | None = None,
        new_style: bool = False,
        double_precision: bool = False,
    ) -> None:
        """Write a value; TensorBoard takes a tag's description from its first value."""
        if tag in self._described:
            super().add_scalar(tag, scalar_value, global_step, walltime, new_style, double_precision)
            return
        self._described.add(tag)
        plugin = SummaryMetadata.PluginData(plugin_name="scalars")
        metadata = SummaryMetadata(summary_description=describe(tag), plugin_data=plugin)
        value = Summary.Value(tag=tag, simple_value=float(scalar_value), metadata=metadata)
        self._get_file_writer().add_summary(Summary(value=[value]), global_step, walltime)

    def store_config(self, env_cfg: Any, train_cfg: Any) -> None:
        """Do nothing: rsl_rl calls it with its own config. Ours comes through `store_run`."""

    def store_run(self, env_cfg: Any, train_cfg: Any) -> None:
        """Write what ran as text, and how the first page is laid out."""
        self.add_text("command", as_code([shlex.join(sys.argv)]), 0)
        for scope, cfg in (("env", env_cfg), ("train", train_cfg)):
            self.add_text(f"config/{scope}", config_text(scope, cfg), 0)
        self.add_custom_scalars(
            {
                group: {tag.partition("/")[2].replace(".*", "all terms"): ["Multiline", [tag]] for tag in tags}
                for group, tags in FIRST_PAGE.items()
            }
        )

    def stop(self) -> None:
        """Complete the file."""
        self.close()


class WandbWriter(WandbLogWriter, TensorboardWriter):
    """The same, and Weights & Biases: `--logger=wandb`, without a network too (WANDB_MODE=offline)."""

    def __init__(self, **kwargs: Any) -> None:
        """Open a run there.

        Raises:
            UserError: The user is not logged in, or the service cannot be reached.
        """
        try:
            super().__init__(**kwargs)
        except _wandb().errors.Error as error:
            raise UserError(
                f"--logger=wandb: {str(error).splitlines()[0]} WANDB_MODE=offline keeps the curves on this machine"
            ) from None

    def store_config(self, env_cfg: Any, train_cfg: Any) -> None:
        """See `TensorboardWriter.store_config`."""

    def store_run(self, env_cfg: Any, train_cfg: Any) -> None:
        """Send what ran, too."""
        super().store_run(env_cfg, train_cfg)
        _wandb().config.update(_as_data(env_cfg, train_cfg))

    def stop(self) -> None:
        """Complete the file and the service's run."""
        super().stop()
        TensorboardWriter.stop(self)


class NeptuneWriter(NeptuneLogWriter, TensorboardWriter):
    """The same, and Neptune: `--logger=neptune`."""

    def store_config(self, env_cfg: Any, train_cfg: Any) -> None:
        """See `TensorboardWriter.store_config`."""

    def store_run(self, env_cfg: Any, train_cfg: Any) -> None:
        """Send what ran, too."""
        super().store_run(env_cfg, train_cfg)
        for name, data in _as_data(env_cfg, train_cfg).items():
            self.run[name] = data if isinstance(data, str) else str(data)

    def stop(self) -> None:
        """Complete the file and the service's run."""
        super().stop()
        TensorboardWriter.stop(self)


def _wandb() -> Any:
    import wandb

    return wandb


def _as_data(env_cfg: Any, train_cfg: Any) -> dict[str, Any]:
    """Return command line and configs as plain data."""
    cfgs = {"env_cfg": env_cfg, "train_cfg": train_cfg}
    data = {name: to_dict(cfg) if isinstance(cfg, Config) else cfg for name, cfg in cfgs.items()}
    return {"command": shlex.join(sys.argv)} | data
