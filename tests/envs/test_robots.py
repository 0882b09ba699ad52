"""Robots in the environment: the values that suit each of them, and one of the user's own that walks."""

import re
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml  # type: ignore[import-untyped]

import legged_gym.envs  # noqa: F401  registers the tasks
from legged_gym import LEGGED_GYM_ROOT_DIR
from legged_gym.envs.pointfoot.pointfoot_flat import PointFootFlat
from legged_gym.evaluation.suites import nominal_cfg
from legged_gym.options.request import make_parser, parse_args
from legged_gym.options.resolve import resolve
from legged_gym.runners.teachers import make_teacher
from legged_gym.sim.robot_model import RobotModel, find_robot, robot_types, robot_urdf
from legged_gym.utils.errors import UserError
from legged_gym.utils.task_registry import task_registry
from tests.sim.own_robots import LINK_NAMES, own_robot


def cfgs(*argv: str) -> tuple[Any, Any]:
    """The configs of a training run with these options."""
    spec = resolve(parse_args(make_parser("test", training=True), ["--headless", "--sim=mujoco", *argv]).request)
    return spec.env_cfg, spec.train_cfg


def test_the_defaults_are_those_of_the_default_robot() -> None:
    """What teacher.yaml says of the PF_TRON1A changes nothing: tests and scripts that build a config get its values."""
    env_cfg, train_cfg = cfgs("--robot=PF_TRON1A")
    plain_env, plain_train = task_registry.get_cfgs("pointfoot_flat")
    assert env_cfg.rewards == plain_env.rewards and train_cfg.teacher == plain_train.teacher
    assert len(find_robot("PF_TRON1A").tuning()) >= 4


@pytest.mark.parametrize("name", robot_types())
def test_every_robot_is_asked_for_a_height_that_it_has(name: str) -> None:
    """The reward's target leaves the knees bent, and no robot is asked to walk lower than its legs fold."""
    env_cfg, train_cfg = cfgs(f"--robot={name}")
    robot = RobotModel.from_urdf(robot_urdf(name))
    hips = env_cfg.rewards.base_height_target + robot.abad_pos_b[0, 2]
    assert 0.3 < hips < train_cfg.teacher.dcm.body.hip_height < 0.9 * (0.6 + robot.foot_radius)
    assert env_cfg.rewards.base_height_target < robot.zero_pose_height


def tuned(folder: Path, text: str) -> Path:
    """A robot of the user's with this teacher.yaml."""
    own_robot(folder)
    (folder / "teacher.yaml").write_text(text)
    return folder


def test_a_robots_values_go_before_the_tasks_and_the_users_before_both(tmp_path: Path) -> None:
    values = "env.rewards.base_height_target: 0.5\ntrain.teacher.dcm.stepping.stance_width: 0.2\n"
    folder = tuned(tmp_path / "own", values + "env.commands.ranges.lin_vel_x: [-0.3, 0.4]\n")
    env_cfg, train_cfg = cfgs(f"--robot={folder}")
    assert env_cfg.rewards.base_height_target == 0.5 and train_cfg.teacher.dcm.stepping.stance_width == 0.2
    assert env_cfg.commands.ranges.lin_vel_x == (-0.3, 0.4)
    assert env_cfg.asset.robot_type == str(folder / "urdf" / "robot.urdf"), "the saved config must find it again"
    env_cfg, train_cfg = cfgs(f"--robot={folder}", "--env.rewards.base_height_target=0.55")
    assert env_cfg.rewards.base_height_target == 0.55 and train_cfg.teacher.dcm.stepping.stance_width == 0.2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("env.rewards.base_hight_target: 0.5", "teacher.yaml: env.rewards.*unknown field 'base_hight_target'"),
        ("train.teacher.dcm.body.hip_height: tall", "teacher.yaml: train.*hip_height: got 'tall', expected float, > 0"),
        ("base_height_target: 0.5", "teacher.yaml: base_height_target: the name of a value begins with env. or train."),
        ("- 0.5", "teacher.yaml: holds list, expected names and values"),
    ],
)
def test_wrong_values_are_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        cfgs(f"--robot={tuned(tmp_path / 'own', text)}")


def test_what_the_docs_show_is_right(tmp_path: Path) -> None:
    """docs/add_a_robot.md: its link names are those of the robot that these tests walk, its values are options."""
    text = (LEGGED_GYM_ROOT_DIR / "docs" / "add_a_robot.md").read_text()
    links, motor, values = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    assert yaml.safe_load(links) == yaml.safe_load(LINK_NAMES)
    folder = tuned(tmp_path / "own", values)
    (folder / "robot.yaml").write_text(links + motor)
    env_cfg, train_cfg = cfgs(f"--robot={folder}")
    robot = RobotModel.from_urdf(robot_urdf(folder))
    assert (robot.corner_speeds == 9.0).all() and (robot.no_load_speeds == 15.0).all()
    assert env_cfg.rewards.base_height_target == 0.52 and train_cfg.teacher.dcm.body.hip_height == 0.474


@pytest.mark.parametrize("name", [*robot_types(), "own"])
def test_every_robot_walks_with_the_teacher(tmp_path: Path, name: str) -> None:
    """Three seconds forward, as deployed: none falls, and each gets ahead."""
    asked = own_robot(tmp_path / "own", original="PF_P441B") if name == "own" else name
    env_cfg, train_cfg = cfgs(f"--robot={asked}", "--num_envs=4", "--env.sim.num_threads=1")
    env_cfg = nominal_cfg(env_cfg, "deployed")
    env = PointFootFlat(env_cfg)
    assert env.sim.robot.name == name
    teacher, obs = make_teacher(train_cfg.teacher.dcm, env, "cpu"), env.reset()
    env.commands.set(torch.tensor([0.4, 0.0, 0.0]).expand(4, 3), torch.ones(4, dtype=torch.bool))
    start, fallen = env.state.root_pos_w[:, :2].clone(), torch.zeros(4, dtype=torch.bool)
    for _ in range(round(3.0 / env.dt)):
        obs, _, dones, _ = env.step(teacher.step(obs["teacher"]).action)
        fallen |= dones
    distance = (env.state.root_pos_w[:, :2] - start).norm(dim=-1)
    env.sim.close()
    assert not fallen.any() and (distance > 0.6).all() and (distance < 1.8).all()
