"""Turns the user's options into a run: the one place where an option takes effect.

Each config field has the value of the last of these that sets it: the task's default; the values that suit robot and
machine; the saved run; the script's preset; the user. The user wins, also on resume.
"""

import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from legged_gym.options import runs
from legged_gym.options.request import AGENTS, SCOPES, Request, Setting, with_agent
from legged_gym.options.spec import AgentSpec, RunSpec
from legged_gym.options.tasks import load_tasks
from legged_gym.runners.config import LeggedRobotCfgPPO
from legged_gym.sim.registry import SIMULATORS, resolve_simulator
from legged_gym.sim.robot_files import RobotFiles, find_robot
from legged_gym.sim.robot_model import RobotModel
from legged_gym.utils import machine
from legged_gym.utils.checkpoint import load_checked
from legged_gym.utils.checkpoint_names import iteration
from legged_gym.utils.config import Config, ConfigError, check, get_field, parse_field, read_json, set_field
from legged_gym.utils.distributed import current
from legged_gym.utils.errors import UserError, unknown_name
from legged_gym.utils.limits import check_run
from legged_gym.utils.task_registry import task_registry

Preset = Callable[[Any], Any]
"""Returns an environment's config with a script's changes; the user's options override these."""
Fields = dict[str, Any]
"""Values by path of their field, with its scope: `env.sim.dt`."""
_OF_THE_RUN = ("resume", "load_run", "checkpoint", "run_name", "max_iterations")
"""Fields of `train_cfg.runner` of a single run; a run that resumes it does not inherit them."""
_PATHS = ("env.asset.file", "train.teacher.offset_file")
"""Fields that hold a path from the user: saved in full, so that it is valid from any folder."""
_BELONGS_TO = {"onnx": "onnx", "offset": "teacher", "load_run": "checkpoint", "checkpoint": "checkpoint"}
"""Option -> the only agent that it applies to."""
_NOWHERE = object()


def resolve(
    request: Request, preset: Preset | None = None, most_robots: int | None = None, *, soon: bool = False
) -> RunSpec:
    """Resolves a request into a run.

    Args:
        request: The user's options.
        preset: The script's changes to the environment's config.
        most_robots: Bound on the number of robots that suits the machine; neither the user's nor a saved run's.
        soon: Whether the run ends at the first policy that walks.

    Returns:
        The run; nothing has been built or written yet.

    Raises:
        UserError: Anything that would stop the run later.
    """
    load_tasks(request.imports)
    here = machine.detect()
    cfgs: dict[str, Any] = dict(zip(SCOPES, task_registry.get_cfgs(request.task), strict=True))
    said = _read_settings(request.settings, cfgs)
    agent, policy = _read_agent(request)
    log_root = (request.log_root or runs.logs_root()).absolute()
    checkpoint = _find_checkpoint(agent, policy or request.task, said, cfgs, log_root)
    saved = {} if checkpoint is None else _read_run(checkpoint, cfgs)

    rl_device = machine.choose_device(request.rl_device, here, prefer_cuda=True)
    backend = _choose_backend(said, saved if agent is None else {}, cfgs["env"].sim.backend, request.sim_device, here)
    engine, sim_device = choose_engine(backend, request.sim_device, here)
    _put(saved, cfgs)
    if "env.env.num_envs" not in saved:  # a new run, or a shipped policy's, which has only what the policy depends on
        suiting = _read_settings(_robot_settings(_find_robot(said, cfgs["env"]), cfgs), cfgs)
        suiting |= _machine_fields(machine.suggest(here, sim_device, rl_device, soon), most_robots, cfgs["train"])
        _put({field: value for field, value in suiting.items() if field not in saved}, cfgs, may_lack=True)
    if preset is not None:
        cfgs["env"] = preset(cfgs["env"])
    derived = {} if agent is None else _decimation(said, cfgs["env"])
    _put(said | derived, cfgs)

    env_cfg, train_cfg = cfgs["env"], cfgs["train"]
    env_cfg.sim.backend = engine
    _name_source(train_cfg.runner, checkpoint if agent is None else None)
    robot = _name_robot(env_cfg, said)
    _check(cfgs)
    check_run(env_cfg, train_cfg, here, sim_device, learns=agent is None)
    return RunSpec(
        task=request.task,
        env_cfg=env_cfg,
        train_cfg=train_cfg,
        robot=robot,
        sim_device=sim_device,
        rl_device=rl_device,
        headless=request.headless,
        log_root=log_root,
        checkpoint=checkpoint,
        agent=agent,
        said=frozenset(said),
        imports=request.imports,
        argv=request.argv,
    )


def resolve_other(request: Request, agent: str, option: str) -> RunSpec:
    """Resolve a request for another agent that differs in nothing else.

    Args:
        request: The request for the first agent.
        agent: Which one, see `with_agent`.
        option: The option that names it.

    Raises:
        UserError: As `resolve` does; it begins with the option, and tells of that one.
    """
    if not agent:
        raise UserError(f"{option}: got '', expected a run, a checkpoint or an agent")
    try:
        return resolve(with_agent(request, agent, option))
    except UserError as error:
        said = str(error).replace("--load_run", option).replace("--agent", option)
        raise UserError(said if said.startswith(option) else f"{option}: {said}") from None


def _read_settings(settings: Sequence[Setting], cfgs: Mapping[str, Config]) -> Fields:
    """Reads the user's texts as values of their fields; errors start with the option that was typed."""
    said: Fields = {}
    for setting in settings:
        scope, _, path = setting.field.partition(".")
        try:
            value = parse_field(cfgs[scope], path, setting.text)
        except ConfigError as error:
            raise ConfigError(f"{setting.option}: {str(error).removeprefix(path + ': ')}") from None
        if setting.field in _PATHS and value is not None:
            value = str(Path(value).expanduser().resolve())
        said[setting.field] = value
    return said


def _read_agent(request: Request) -> tuple[AgentSpec | None, str]:
    """Returns the agent, and the name of the shipped policy if one is named.

    Raises:
        UserError: It is unknown, or an option belongs to another agent.
    """
    if request.agent is None:
        return None, ""
    kind, _, policy = request.agent.partition(":")
    if policy and kind != "pretrained":
        raise UserError(f"--agent={request.agent}: only pretrained:POLICY has a part after the colon")
    if kind not in AGENTS:
        raise UserError(unknown_name("agent", kind, AGENTS))
    given = {"onnx": request.onnx is not None, "offset": request.offset is not None}
    given |= {name: request.sets(f"train.runner.{name}") for name in ("load_run", "checkpoint")}
    for option, owner in _BELONGS_TO.items():
        if given[option] and kind != owner:
            raise UserError(f"--{option} goes with --agent {owner}, not with --agent {kind}")
    if kind == "onnx" and request.onnx is None:
        raise UserError("--agent onnx needs --onnx=DIR, a folder with encoder.onnx and policy.onnx")
    return AgentSpec(kind, request.onnx, request.offset), policy


def _find_checkpoint(
    agent: AgentSpec | None, policy: str, said: Fields, cfgs: Mapping[str, Config], log_root: Path
) -> Path | None:
    """Finds the file to go on from, or the agent's policy; None if there is to be none."""

    def wanted(name: str) -> Any:
        return said.get(f"train.runner.{name}", get_field(cfgs["train"], f"runner.{name}"))

    load_run, number = wanted("load_run"), wanted("checkpoint")
    if agent is None and not wanted("resume"):
        if load_run != "-1" or number != -1:
            raise UserError("--load_run and --checkpoint name the checkpoint to go on from: add --resume")
        return None
    if agent is not None and agent.kind not in ("checkpoint", "pretrained"):
        return None
    if agent is not None and agent.kind == "pretrained":
        checkpoint = runs.shipped_checkpoint(policy, _find_robot(said, cfgs["env"]).name)
    else:
        parent = log_root / wanted("experiment_name")
        if not runs.is_path(load_run):
            parent /= _find_robot(said, cfgs["env"]).name
        try:
            checkpoint = runs.find_checkpoint(parent, load_run, number)
        except UserError as error:
            hint = "" if agent is None or load_run != "-1" else ", or --agent=pretrained"
            raise UserError(f"{error}{hint}") from None
    load_checked(checkpoint)
    return checkpoint


def _read_run(checkpoint: Path, cfgs: Mapping[str, Config]) -> Fields:
    """Reads the configs of a checkpoint's run, without the fields of that run alone."""
    saved = {
        f"{scope}.{path}": value
        for scope, cfg in cfgs.items()
        for path, value in read_json(cfg, checkpoint.with_name(f"{scope}_cfg.json")).items()
    }
    own = {f"train.runner.{name}" for name in _OF_THE_RUN}
    return {field: value for field, value in saved.items() if field not in own}


def _choose_backend(said: Fields, saved: Fields, default: str, device: str | None, here: machine.Machine) -> str:
    """Returns the user's simulator, or that of the run to resume, if it runs here, or the default.

    An agent is judged in the simulator that suits the machine, whichever it was trained in.
    """
    if "env.sim.backend" in said:
        return said["env.sim.backend"]
    backend = saved.get("env.sim.backend", default)
    without_gpu = backend == "mujoco_warp" and not here.cuda_devices
    without_cpu = backend == "mujoco" and device is not None and device.startswith("cuda")
    if backend != default and (without_gpu or without_cpu):
        print(f"note: the run's simulator {backend} does not run here, so {default} replaces it; --sim chooses another")
        return default
    if backend == "mujoco" and "env.sim.backend" in saved and device is None and resolve_simulator("auto") != backend:
        print(
            "note: the run goes on in mujoco on the CPU, as it began; --sim=auto moves it to the GPU", file=sys.stderr
        )
    return backend


def choose_engine(backend: str, device: str | None, here: machine.Machine) -> tuple[str, str]:
    """Returns the simulator, and the device of physics that goes with it.

    Args:
        backend: Name of a simulator, or "auto".
        device: The user's device; None leaves the choice.
        here: The machine's resources.

    Returns:
        The simulator's name, never "auto", and `"cpu"` or `"cuda:<index>"`.

    Raises:
        UserError: Simulator or device are unknown, not there, or do not go together.
    """
    try:
        engine = resolve_simulator(backend)
    except ValueError as error:
        raise UserError(f"--sim: {error}") from None
    if backend == "auto" and device == "cpu":
        engine = "mujoco"
    cpu_only = SIMULATORS[engine].cpu_only
    chosen = machine.choose_device(device, here, prefer_cuda=not cpu_only)
    if cpu_only and chosen != "cpu":
        raise UserError(
            f"--sim_device={device}: the simulator {engine} runs only on the CPU; "
            "for CUDA: pip install -e '.[gpu]', then --sim=auto"
        )
    return engine, chosen


def _find_robot(said: Fields, env_cfg: Any) -> RobotFiles:
    """Finds the user's robot, or else the config's; the user's robot overrides a saved file."""
    robot_type, file = (said.get(f"env.asset.{name}", getattr(env_cfg.asset, name)) for name in ("robot_type", "file"))
    overruled = "env.asset.robot_type" in said and "env.asset.file" not in said
    return find_robot(robot_type, None if overruled else file)


def _robot_settings(files: RobotFiles, cfgs: Mapping[str, Config]) -> list[Setting]:
    """Returns the settings for a robot, from teacher.yaml in its folder; those of unknown sections are left out.

    Raises:
        UserError: An entry is no option.
    """
    file, settings = files.folder / "teacher.yaml", []
    for field, text in files.tuning().items():
        scope, _, path = field.partition(".")
        if scope not in cfgs:
            raise UserError(f"{file}: {field}: the name of a value begins with env. or train.")
        if hasattr(cfgs[scope], path.partition(".")[0]):
            settings.append(Setting(f"{file}: {field}", field, text))
    return settings


def _machine_fields(scale: machine.Scale, most_robots: int | None, train_cfg: Config) -> Fields:
    """Returns the fields that suit the machine; where the task has training values of its own, those stay."""
    usual = LeggedRobotCfgPPO()
    fields: Fields = {"env.env.num_envs": min(scale.num_envs, most_robots or scale.num_envs)}
    for name, value in scale.train.items():
        if get_field(train_cfg, name) == get_field(usual, name):
            fields[f"train.{name}"] = value
    return fields


def _put(fields: Fields, cfgs: Mapping[str, Config], *, may_lack: bool = False) -> None:
    """Writes values into the configs; fields that a config lacks are left out if that may be."""
    for field, value in fields.items():
        scope, _, path = field.partition(".")
        if may_lack and get_field(cfgs[scope], path, _NOWHERE) is _NOWHERE:
            continue
        set_field(cfgs[scope], path, value)


def _decimation(said: Fields, env_cfg: Any) -> Fields:
    """With another physics step, changes the number of physics steps too, so that a policy still runs at its rate."""
    if "env.sim.dt" not in said or "env.control.decimation" in said:
        return {}
    dt, policy_dt = said["env.sim.dt"], env_cfg.policy_dt
    steps = round(policy_dt / dt)
    if steps < 1 or abs(steps * dt - policy_dt) > 1e-6:
        raise UserError(
            f"--env.sim.dt: {dt:g} s does not divide the policy step of {policy_dt:g} s; "
            "set --env.control.decimation too"
        )
    return {"env.control.decimation": steps}


def _name_source(runner: Any, checkpoint: Path | None) -> None:
    """Notes the checkpoint that training resumes, if any, and checks the names of folders."""
    runner.resume = checkpoint is not None
    runner.load_run = "-1" if checkpoint is None else str(checkpoint.parent.resolve())
    runner.checkpoint = -1 if checkpoint is None else iteration(checkpoint)
    runs.check_name("--experiment_name", runner.experiment_name)
    runs.check_name("--run_name", runner.run_name, may_be_empty=True)


def _name_robot(env_cfg: Any, said: Fields) -> str:
    """Checks the robot and returns its name; the config gets its place, so that the saved one has it, too."""
    files = _find_robot(said, env_cfg)
    env_cfg.asset.robot_type, env_cfg.asset.file = files.reference, None
    return RobotModel.from_urdf(files.urdf).name


def _check(cfgs: Mapping[str, Config]) -> None:
    """Checks both configs across fields; errors name the option that sets a field."""
    for scope, cfg in cfgs.items():
        try:
            check(cfg)
        except ConfigError as error:
            raise ConfigError(f"--{scope}.{error}") from None
    _check_system(cfgs["env"])


def _check_system(env_cfg: Config) -> None:
    """Refuses a simulator in a process of its own where processes cannot share memory as it needs."""
    apart = get_field(env_cfg, "sim.backend") == "isaacgym" or get_field(env_cfg, "sim.process.enabled", False)
    if apart and sys.platform == "win32":
        raise UserError("--sim_process: a simulator in a process of its own needs Linux or macOS")


def summary(spec: RunSpec) -> str:
    """Returns a line about the run: what runs where, and its size."""
    layers = getattr(spec.train_cfg.policy, "actor_hidden_dims", ())
    network = f", actor {'-'.join(map(str, layers))}" if layers else ""
    robots, processes = spec.env_cfg.env.num_envs, current().size
    each = "" if processes == 1 else f" in each of {processes} processes, {robots * processes:,} together"
    return (
        f"{machine.detect()}: {robots} robots{each}{network}, physics on {spec.sim_device}, "
        f"learning on {spec.rl_device} (change with --num_envs, --train.policy.*, --sim_device, --rl_device)"
    )
