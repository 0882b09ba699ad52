"""From what is asked for to what runs: defaults < machine < saved run < user; robots, agents, and what cannot be."""

import ast
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from legged_gym import resources_dir
from legged_gym.options import resolve as resolving
from legged_gym.options.request import Request, Setting
from legged_gym.options.resolve import resolve, summary
from legged_gym.options.setup import make_env, make_runner
from legged_gym.options.spec import RunSpec
from legged_gym.runners.config import LeggedRobotCfgPPO
from legged_gym.utils import distributed, machine
from legged_gym.utils.config import to_dict
from legged_gym.utils.distributed import Group
from legged_gym.utils.errors import UserError
from legged_gym.utils.machine import Scale
from legged_gym.utils.task_registry import TaskRegistry, task_registry
from tests.options.making import asked, parse, refusal, start

pytestmark = pytest.mark.usefixtures("registry")
PACKAGE = Path(resolving.__file__).parents[1]


# -- each option takes effect in one place -----------------------------------------------------------------------------


def test_an_option_is_applied_in_exactly_one_function() -> None:
    """What the user says is read as values in `_read_settings` and put into a config by one `_put` of `resolve`.

    What suits a robot (teacher.yaml) is read by the same function, and put there before.

    Nothing else in the package writes a field by its path but the suites and arms, which read no command line.
    """
    writers: dict[str, set[str]] = {}
    for file in PACKAGE.rglob("*.py"):
        for function in ast.walk(ast.parse(file.read_text())):
            if isinstance(function, ast.FunctionDef):
                called = {call.func.id for call in ast.walk(function) if _is_named_call(call)}
                for name in called & {"parse_field", "set_field", "set_by_path"}:
                    writers.setdefault(name, set()).add(f"{file.relative_to(PACKAGE)}:{function.name}")
    config = {f"utils/config.py:{name}" for name in ("set_by_path", "load_json", "from_dict")}
    assert writers.pop("parse_field") - config == {"options/resolve.py:_read_settings"}
    assert writers.pop("set_field") - config == {"options/resolve.py:_put"}
    assert writers.pop("set_by_path") == {"evaluation/suites.py:varied_cfg"}
    source = (PACKAGE / "options" / "resolve.py").read_text()
    assert source.count("_read_settings(") == 3 and source.count("_put(said") == 1
    users = [file.name for file in PACKAGE.rglob("*.py") if "request.settings" in file.read_text()]
    assert sorted(set(users) - {"resolve.py"}) == ["ablation.py", "benchmark.py", "evaluate.py", "request.py"]


def _is_named_call(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name)


def test_the_order_of_the_layers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each layer sets one field more than the next: what shows through tells who goes before whom."""
    fields = ("env.env.num_envs", "env.seed", "env.commands.resampling_time", "train.estimator.num_mini_batches")
    monkeypatch.setattr(machine, "suggest", lambda *_: Scale(num_envs=7, train={"estimator.num_mini_batches": 5}))

    def values(spec: RunSpec) -> list[Any]:
        return [_get(spec, field) for field in fields]

    assert values(resolve(parse())) == [7, 1, 5.0, 5], "the machine goes before the task's defaults"
    runner = start("--num_envs=9", "--train.estimator.num_mini_batches=3")
    assert values(resolve(parse("--resume"))) == [9, 1, 5.0, 3], "the saved run goes before the machine"

    def preset(cfg: Any) -> Any:
        cfg.env.num_envs, cfg.seed, cfg.commands.resampling_time = 11, 12, 13.0
        return cfg

    spec = resolve(parse("--resume"), preset)
    assert values(spec) == [11, 12, 13.0, 3], "the script goes before the saved run"
    spec = resolve(parse("--resume", "--env.commands.resampling_time=2", "--seed=3"), preset)
    assert values(spec) == [11, 3, 2.0, 3], "and the user before all"
    assert spec.said == {"train.runner.resume", "env.commands.resampling_time", "env.seed", "train.seed"}
    assert spec.run == Path(runner.log_dir)
    both = resolve(parse("--num_envs=2", "--env.env.num_envs=3"))
    assert both.env_cfg.env.num_envs == 3, "a field by its own name goes before the option that stands for it"


def test_training_goes_on_from_a_shipped_policy_with_what_suits_machine_and_robot(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Its run has only fields that the policy depends on: the others must not fall back to the classes' defaults."""
    monkeypatch.setattr(machine, "suggest", lambda *_: Scale(num_envs=7, train={"estimator.num_mini_batches": 5}))
    shipped = resources_dir() / "policies" / "PF_TRON1A" / "pointfoot_flat"
    run = shutil.copytree(shipped, tmp_path / "run")
    cfg = json.loads((run / "env_cfg.json").read_text())
    (run / "env_cfg.json").write_text(json.dumps(cfg | {"asset": {"robot_type": "PF_P441A"}}))
    spec = resolve(parse("--resume", f"--load_run={run}", task="pointfoot_flat"))
    assert (spec.env_cfg.env.num_envs, spec.train_cfg.estimator.num_mini_batches) == (7, 5)
    assert spec.robot == "PF_P441A" and spec.env_cfg.rewards.base_height_target == 0.52
    policy = json.loads((run / "train_cfg.json").read_text())["policy"]
    assert spec.train_cfg.policy.noise_std_range == tuple(policy["noise_std_range"])


def _get(spec: RunSpec, field: str) -> Any:
    scope, *names = field.split(".")
    node: Any = spec.env_cfg if scope == "env" else spec.train_cfg
    for name in names:
        node = getattr(node, name)
    return node


def test_the_machine_sets_robots_and_estimator(monkeypatch: pytest.MonkeyPatch) -> None:
    """What suits it replaces usual values; a task's own stay, and so does what a scale does not name."""

    def train_cfg(**scale: Any) -> Any:
        monkeypatch.setattr(machine, "suggest", lambda *_: Scale(num_envs=7, **scale))
        spec = resolve(parse(task="pointfoot_flat"))
        assert spec.env_cfg.env.num_envs == 7
        return spec.train_cfg

    plain = train_cfg()
    estimator = train_cfg(train={"estimator.num_mini_batches": 16}).estimator
    assert (estimator.num_mini_batches, estimator.learning_rate) == (16, plain.estimator.learning_rate)
    assert plain.algorithm.num_mini_batches == 8 != LeggedRobotCfgPPO().algorithm.num_mini_batches
    own = train_cfg(train={"algorithm.num_mini_batches": 3}).algorithm
    assert own.num_mini_batches == 8, "the task's own value"


def test_the_saved_config_is_what_runs(logs: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Built from the files alone, a run is the same: simulator, robot and paths are written out."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(resources_dir() / "robots" / "PF_P441A", tmp_path / "mine")
    runner = start("--num_envs=7", "--run_name=mine", "--seed=3", "--env.asset.file=mine/urdf/robot.urdf")
    run = Path(runner.log_dir)
    assert sorted(path.name for path in run.iterdir()) == ["env_cfg.json", "model_3.pt", "train_cfg.json"]
    saved = json.loads((run / "env_cfg.json").read_text())
    assert saved == json.loads(json.dumps(to_dict(runner.env.cfg)))
    assert saved["env"]["num_envs"] == 7 and saved["seed"] == 3 and saved["sim"]["backend"] in ("mujoco", "mujoco_warp")
    assert saved["asset"]["robot_type"] == str(tmp_path / "mine" / "urdf" / "robot.urdf")
    assert saved["asset"]["file"] is None, "which says the same in another way"
    monkeypatch.chdir("/")
    assert resolve(parse("--resume", f"--load_run={run}")).robot == "mine"
    assert (runner.env.sim_device, runner.env.headless, runner.device) == ("cpu", True, "cpu")


def test_a_path_of_the_users_may_begin_at_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    spec = resolve(parse("--train.teacher.offset_file=~/x.pt", "--log_root=~/runs", task="pointfoot_flat"))
    assert spec.train_cfg.teacher.offset_file == str(tmp_path / "x.pt") and spec.log_root == tmp_path / "runs"


@pytest.mark.parametrize("task", ["pointfoot_flat", "pointfoot_rough"])
@pytest.mark.parametrize("profile", [None, "mixed", "flat"])
def test_a_switch_of_the_ground_changes_the_ground_only(task: str, profile: str | None) -> None:
    """Whoever builds the task's environment without the command line sees the same config."""
    argv = [] if profile is None else [f"--env.terrain.profile={profile}"]
    spec = resolve(parse("--sim=mujoco", *argv, task=task))
    expected, _ = task_registry.get_cfgs(task)
    expected.sim.backend, expected.asset.robot_type = "mujoco", spec.robot
    expected.env.num_envs = spec.env_cfg.env.num_envs
    expected.terrain.profile = profile or expected.terrain.profile
    assert spec.env_cfg == expected and spec.train_cfg.runner.experiment_name == task


def test_the_tasks_differ_in_ground_commands_gait_and_chance() -> None:
    (flat, _), (rough, _) = task_registry.get_cfgs("pointfoot_flat"), task_registry.get_cfgs("pointfoot_rough")
    assert flat.terrain.is_plane and not rough.terrain.is_plane
    assert flat.gait.ranges.swing_height == (0.05, 0.15) and rough.gait.ranges.swing_height == (0.08, 0.16)
    assert flat.commands.straight_share == 0.0 < rough.commands.straight_share
    assert rough.rewards == flat.rewards
    assert rough.domain_rand.max_push_vel_xy == flat.domain_rand.max_push_vel_xy
    assert rough.domain_rand.off_level_ground < flat.domain_rand.off_level_ground == 1.0


# -- robots ------------------------------------------------------------------------------------------------------------


def test_the_robot_chooses_the_folder(logs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROBOT_TYPE", "PF_P441A")
    assert Path(start().log_dir).parent == logs / "dummy" / "PF_P441A"
    monkeypatch.setenv("ROBOT_TYPE", "PF_P441Z")
    assert "unknown ROBOT_TYPE 'PF_P441Z', known: PF_P441A" in refusal(logs)


def test_robots_of_the_same_file_name_have_folders_of_their_own(logs: Path, tmp_path: Path) -> None:
    """Each one goes on with its own run, not with the other's."""
    files = {}
    for name in ("first", "second"):
        shutil.copytree(resources_dir() / "robots" / "PF_P441A", tmp_path / name)
        files[name] = f"--env.asset.file={tmp_path / name / 'urdf' / 'robot.urdf'}"
    made = {name: Path(start(file).log_dir) for name, file in files.items()}
    assert {run.parent.name for run in made.values()} == {"first", "second"}
    for name, file in files.items():
        assert resolve(parse("--resume", file)).run == made[name]


def test_another_robot_than_the_saved_one(tmp_path: Path) -> None:
    shutil.copytree(resources_dir() / "robots" / "PF_P441A", tmp_path / "mine")
    run = start(f"--env.asset.file={tmp_path / 'mine' / 'urdf' / 'robot.urdf'}").log_dir
    assert resolve(parse("--resume", f"--load_run={run}", "--env.asset.robot_type=PF_P441B")).robot == "PF_P441B"


# -- agents ------------------------------------------------------------------------------------------------------------


def test_agents_and_where_they_come_from(tmp_path: Path) -> None:
    run = start().log_dir
    spec = resolve(asked(f"--load_run={run}", "--seed=4"))
    assert spec.agent is not None and spec.title == f"checkpoint {Path(run).name}/model_3.pt"
    assert not spec.train_cfg.runner.resume
    assert resolve(asked("--agent=zero")).title == "zero" and resolve(asked("--agent=zero")).checkpoint is None
    exported = resolve(asked(f"--onnx={tmp_path}"))
    assert exported.agent is not None and exported.agent.onnx == tmp_path and exported.title == f"onnx {tmp_path.name}"


def test_an_agent_keeps_its_rate_with_another_physics_step() -> None:
    request = Request("pointfoot_flat", agent="zero", settings=(Setting("--env.sim.dt", "env.sim.dt", "0.01"),))
    assert resolve(request).env_cfg.control.decimation == 2
    training = Request("pointfoot_flat", settings=request.settings)
    assert resolve(training).env_cfg.control.decimation == 4, "a switch changes what it says and nothing else"


# -- what cannot be ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        ("--sim=gazebo", "--sim: unknown simulator 'gazebo'; known: auto, mujoco"),
        ("--sim_device=cuda:99", "device 'cuda:99' is not there"),
        ("--rl_device=tpu", "unknown device 'tpu'"),
        ("--run_name=a/b", "--run_name: got 'a/b', expected printable characters without slashes"),
        ("--experiment_name=", "--experiment_name: got ''"),
        ("--env.asset.robot_type=PF", "unknown ROBOT_TYPE 'PF'"),
        ("--env.asset.file=/no/robot.urdf", "no such URDF file: /no/robot.urdf"),
        ("--num_envs=0", "--num_envs: got 0, expected int, >= 1"),
        ("--max_iterations=-1", "--max_iterations: got -1, expected int, >= 1"),
        ("--env.commands.resampling_time=fast", "--env.commands.resampling_time: got 'fast', expected float, > 0"),
        (
            "--env.commands.resampling_tme=3",
            "--env.commands.resampling_tme: unknown field 'resampling_tme'; did you mean",
        ),
        ("--env.comands.resampling_time=3", "unknown field 'comands'; did you mean 'commands'?"),
        ("--train.policy=3", "--train.policy: is a section; set one of its fields: actor_hidden_dims"),
        ("--import=no_such_package", "--import=no_such_package: no such package, neither installed nor in"),
        ("--import=a/b", "--import=a/b: expected the name of a package"),
    ],
)
def test_bad_input_writes_nothing(logs: Path, argv: str, message: str) -> None:
    assert message in refusal(logs, argv)


def test_values_that_contradict_each_other_name_their_option() -> None:
    with pytest.raises(UserError, match=r"^--env\.commands\.ranges: CommandRangesCfg\.lin_vel_x: low 2\.0 is above"):
        resolve(parse("--env.commands.ranges.lin_vel_x=2,1", task="pointfoot_flat"))


# -- what is built from it ---------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("small_machine")
def test_the_machine_is_said_in_a_line() -> None:
    line = summary(resolve(parse("--num_envs=7", "--train.policy.actor_hidden_dims=5,4")))
    assert "7 robots, actor 5-4, physics on cpu" in line


@pytest.mark.usefixtures("small_machine")
def test_the_robots_of_several_processes_are_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(distributed, "_current", Group(rank=1, size=4))
    line = summary(resolve(parse("--num_envs=700")))
    assert "700 robots in each of 4 processes, 2,800 together, actor" in line


def test_a_runner_that_writes_nothing(monkeypatch: pytest.MonkeyPatch, logs: Path) -> None:
    spec = resolve(parse())
    assert make_runner(spec, make_env(spec), write=False).log_dir is None
    monkeypatch.setattr(distributed, "_current", Group(rank=1, size=2))
    assert make_runner(spec, make_env(spec)).log_dir is None and not logs.exists()


def test_a_runner_that_cannot_be_built_leaves_no_directory(registry: TaskRegistry, logs: Path) -> None:
    def broken(*args: object) -> None:
        raise RuntimeError("broken")

    registry._tasks["dummy"] = type(registry.get("dummy"))(*list(vars(registry.get("dummy")).values())[:3], broken)
    spec = resolve(parse())
    with pytest.raises(RuntimeError, match="broken"):
        make_runner(spec, make_env(spec))
    assert not (logs / "dummy").exists()
