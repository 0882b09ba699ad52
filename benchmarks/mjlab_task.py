"""This robot in mjlab, to compare with: its task, how fast it is, and a training that leaves policies behind.

`benchmarks/peer_mjlab.py` calls this as `python -m benchmarks.mjlab_task`, in an environment of its own (`make peer`):
mjlab 1.6 wants older versions of MuJoCo and rsl_rl than we do.

    python -m benchmarks.mjlab_task speed --num_envs=4096,8192 --json=FILE
    python -m benchmarks.mjlab_task train --num_envs=8192 --seconds=90 --policies=FOLDER

The task is mjlab's own flat velocity tracking, with its rewards, noise, pushes and randomisation. Ours are the robot
(the same MuJoCo spec, contacts between the legs included), gains, action scale, delay, time steps, solver limits,
commands, and the sizes of PPO. Where the two differ, mjlab has the easier task:

- it knows the true base velocity, with noise; our policies must tell it from the joints;
- its motors give their full torque at any speed;
- it has no gait clock, no teacher and no curriculum to compute.
"""

import argparse
import itertools
import json
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import mujoco
import numpy as np
import psutil
import torch
from mjlab.actuator import BuiltinPositionActuatorCfg
from mjlab.entity import EntityArticulationInfoCfg, EntityCfg
from mjlab.envs import ManagerBasedRlEnv, ManagerBasedRlEnvCfg
from mjlab.managers.reward_manager import RewardTermCfg
from mjlab.managers.termination_manager import TerminationTermCfg
from mjlab.rl import (
    MjlabOnPolicyRunner,
    RslRlModelCfg,
    RslRlOnPolicyRunnerCfg,
    RslRlPpoAlgorithmCfg,
    RslRlVecEnvWrapper,
)
from mjlab.sensor import ContactMatch, ContactSensorCfg, ObjRef, RingPatternCfg
from mjlab.tasks.velocity import mdp
from mjlab.tasks.velocity.velocity_env_cfg import make_velocity_env_cfg
from mjlab.utils.torch import configure_torch_backends

from legged_gym.envs.pointfoot.pointfoot_flat_config import PointFootFlatCfg, PointFootFlatCfgPPO
from legged_gym.evaluation.rows import FULL_BOX
from legged_gym.evaluation.speed import WARM_UP, measure_steps, rate
from legged_gym.sim.mujoco.spec import build_spec
from legged_gym.sim.robot_model import BASE_NAME, SIDES, RobotModel, robot_urdf
from legged_gym.sim.sim_options import SimOptions

_STARTED = psutil.Process().create_time()
"""When this process began: imports are part of the time to a walking robot, as in train.py."""
SAVE_EVERY = 5.0
"""Training time between two policies that are kept [s]."""
SOLVER_LIMITS = (6, 8)
"""Newton and line-search iterations, those of our simulator on a GPU."""
CONTACTS, ROWS = 14, 48
"""Room for contacts and rows of constraints of a robot, as much as ours has."""
IMU, FEET = "imu", tuple(f"foot_{side}" for side in SIDES)
"""Sites on the robot."""
POSTURE = {r"abad.*": 0.15, r"hip.*": 0.3, r"knee.*": 0.35}
"""How far joints may stray from the default pose [rad]: what mjlab gives a humanoid's roll, pitch and knee joints."""


def robot_spec(robot: RobotModel, options: SimOptions) -> mujoco.MjSpec:
    """Return our robot's spec without what mjlab adds itself: motors, ground, scenery; with the sites that it reads.

    Links on fixed joints are merged as in our model: mjlab would keep each as a body of its own, and step slower.
    """
    spec = build_spec(robot, options, ground=False, visuals=False)
    _merge_fixed_links(spec)
    for ours in (*spec.actuators, *spec.sensors, *spec.cameras, *spec.lights, *spec.materials, *spec.textures):
        spec.delete(ours)
    spec.body(BASE_NAME).add_site(name=IMU)
    for side, site in zip(SIDES, FEET, strict=True):
        spec.body(f"foot_{side}_Link").add_site(name=site, pos=[0.0, 0.0, -robot.foot_radius])
    for name, kind in (
        ("imu_ang_vel", mujoco.mjtSensor.mjSENS_GYRO),
        ("imu_lin_vel", mujoco.mjtSensor.mjSENS_VELOCIMETER),
    ):
        spec.add_sensor(name=name, type=kind, objtype=mujoco.mjtObj.mjOBJ_SITE, objname=IMU)
    spec.add_sensor(
        name="root_angmom",
        type=mujoco.mjtSensor.mjSENS_SUBTREEANGMOM,
        objtype=mujoco.mjtObj.mjOBJ_BODY,
        objname=BASE_NAME,
    )
    return spec


def _merge_fixed_links(spec: mujoco.MjSpec) -> None:
    """Delete the links that MuJoCo merges as it compiles, and give the others the masses that they have then.

    Raises:
        ValueError: Such a link has a shape, which would be lost.
    """
    model = spec.compile()
    kept = {model.body(i).name for i in range(model.nbody)}
    for body in spec.bodies[1:]:
        if body.name in kept:
            compiled = model.body(body.name)
            body.mass, body.ipos, body.iquat = compiled.mass[0], compiled.ipos, compiled.iquat
            body.inertia, body.explicitinertial = compiled.inertia, True
            body.fullinertia[:] = np.nan
        elif body.geoms:
            raise ValueError(f"link {body.name} hangs on a fixed joint and has shapes: mjlab's robot would lack them")
        else:
            spec.delete(body)


def robot_cfg(robot: RobotModel, ours: PointFootFlatCfg) -> EntityCfg:
    """Return the robot as mjlab takes it: position servos with our gains, and our delay."""
    control, delay = ours.control, round(ours.control.action_delay / ours.sim.dt)
    options = SimOptions(timestep=ours.sim.dt, decimation=control.decimation, armature=ours.sim.armature)
    servos = BuiltinPositionActuatorCfg(
        target_names_expr=(".*_Joint",),
        stiffness=control.stiffness,
        damping=control.damping,
        effort_limit=float(robot.torque_limits[0]),
        delay_min_lag=delay,
        delay_max_lag=delay,
    )
    return EntityCfg(
        spec_fn=lambda: robot_spec(robot, options),
        init_state=EntityCfg.InitialStateCfg(pos=(0.0, 0.0, robot.zero_pose_height)),
        articulation=EntityArticulationInfoCfg(actuators=(servos,), soft_joint_pos_limit_factor=0.9),
    )


def task_cfg(robot: RobotModel, num_envs: int, seed: int) -> ManagerBasedRlEnvCfg:
    """Return mjlab's velocity task for our robot on a plane."""
    ours, cfg = PointFootFlatCfg(), make_velocity_env_cfg()
    cfg.seed, cfg.decimation, cfg.episode_length_s = seed, ours.control.decimation, ours.env.episode_length_s
    cfg.scene.num_envs, cfg.scene.entities = num_envs, {"robot": robot_cfg(robot, ours)}
    _set_physics(cfg, ours)
    _put_on_a_plane(cfg)
    _name_parts(cfg)
    cfg.actions["joint_pos"].scale = ours.control.action_scale
    command = cfg.commands["twist"]
    command.heading_command, command.ranges.heading = False, None
    command.ranges.lin_vel_x, command.ranges.lin_vel_y, command.ranges.ang_vel_z = FULL_BOX
    return cfg


def _set_physics(cfg: ManagerBasedRlEnvCfg, ours: PointFootFlatCfg) -> None:
    """Give the engine our time step, cone, solver limits and buffers."""
    cfg.sim.nconmax, cfg.sim.njmax = CONTACTS, ROWS
    options = cfg.sim.mujoco
    options.timestep, options.cone, options.jacobian = ours.sim.dt, "elliptic", "dense"
    options.iterations, options.ls_iterations = SOLVER_LIMITS


def _put_on_a_plane(cfg: ManagerBasedRlEnvCfg) -> None:
    """Leave out what only uneven ground needs, and the growth of commands: they are the gate's from the start."""
    cfg.scene.terrain.terrain_type, cfg.scene.terrain.terrain_generator = "plane", None
    cfg.scene.sensors = tuple(sensor for sensor in cfg.scene.sensors if sensor.name != "terrain_scan")
    for group in cfg.observations.values():
        del group.terms["height_scan"]
    del cfg.terminations["out_of_terrain_bounds"]
    cfg.curriculum = {}


def _name_parts(cfg: ManagerBasedRlEnvCfg) -> None:
    """Tell the task's terms which parts of the robot they are about; a base or an abad on the ground is a fall."""
    (heights,) = (sensor for sensor in cfg.scene.sensors if sensor.name == "foot_height_scan")
    heights.frame = tuple(ObjRef(type="site", name=site, entity="robot") for site in FEET)
    heights.pattern = RingPatternCfg.single_ring(radius=0.03, num_samples=6)
    terrain = ContactMatch(mode="body", pattern="terrain")
    feet = ContactSensorCfg(
        name="feet_ground_contact",
        primary=ContactMatch(mode="geom", pattern=r"foot_._collision", entity="robot"),
        secondary=terrain,
        fields=("found", "force"),
        reduce="netforce",
        track_air_time=True,
    )
    fallen = ContactSensorCfg(
        name="fallen",
        primary=ContactMatch(mode="geom", pattern=(r"base_collision", r"abad_._collision"), entity="robot"),
        secondary=terrain,
        fields=("found",),
    )
    itself = ContactMatch(mode="subtree", pattern=BASE_NAME, entity="robot")
    legs = ContactSensorCfg(
        name="self_collision",
        primary=itself,
        secondary=itself,
        fields=("found", "force"),
        reduce="none",
        history_length=cfg.decimation,
    )
    cfg.scene.sensors += (feet, fallen, legs)
    cfg.terminations["fallen"] = TerminationTermCfg(func=mdp.illegal_contact, params={"sensor_name": fallen.name})
    cfg.events["foot_friction"].params["asset_cfg"].geom_names = (r"foot_._collision",)
    cfg.events["base_com"].params["asset_cfg"].body_names = (BASE_NAME,)
    rewards = cfg.rewards
    for speed in ("standing", "walking", "running"):  # a point foot steps to stand
        rewards["pose"].params[f"std_{speed}"] = POSTURE
    for name in ("upright", "body_ang_vel"):
        rewards[name].params["asset_cfg"].body_names = (BASE_NAME,)
    for name in ("foot_clearance", "foot_slip"):
        rewards[name].params["asset_cfg"].site_names = FEET
    rewards["body_ang_vel"].weight, rewards["angular_momentum"].weight = -0.05, -0.02  # as for a humanoid
    rewards["self_collisions"] = RewardTermCfg(
        func=mdp.self_collision_cost, weight=-1.0, params={"sensor_name": legs.name, "force_threshold": 10.0}
    )


def runner_cfg(hidden_dims: tuple[int, ...], seed: int) -> RslRlOnPolicyRunnerCfg:
    """Return mjlab's PPO for velocity tasks, with the sizes of ours: networks, rollout, epochs, mini-batches."""
    ours = PointFootFlatCfgPPO()
    algorithm = ours.algorithm
    network = {"hidden_dims": hidden_dims, "activation": ours.policy.activation, "obs_normalization": True}
    noise = {"class_name": "GaussianDistribution", "init_std": 1.0, "std_type": "scalar"}
    return RslRlOnPolicyRunnerCfg(
        seed=seed,
        actor=RslRlModelCfg(distribution_cfg=noise, **network),
        critic=RslRlModelCfg(**network),
        algorithm=RslRlPpoAlgorithmCfg(
            num_learning_epochs=algorithm.num_learning_epochs,
            num_mini_batches=algorithm.num_mini_batches,
            entropy_coef=0.01,
        ),
        num_steps_per_env=ours.runner.num_steps_per_env,
        upload_model=False,
    )


class Training:
    """A task of mjlab and its runner, which tells after each iteration that it is over."""

    def __init__(self, num_envs: int, args: argparse.Namespace) -> None:
        """Build both for so many robots; nothing is written."""
        configure_torch_backends()
        cfg, self.cfg = (
            task_cfg(RobotModel.from_urdf(robot_urdf(args.robot)), num_envs, args.seed),
            runner_cfg(args.hidden_dims, args.seed),
        )
        self.env = RslRlVecEnvWrapper(ManagerBasedRlEnv(cfg, args.device))
        self.runner = MjlabOnPolicyRunner(self.env, asdict(self.cfg), None, args.device)
        self.runner.logger.log = self._end_iteration
        self.after_iteration = lambda: None
        self.iterations = 0

    def _end_iteration(self, **_: Any) -> None:
        """Take the logger's place: wait for the device, as ours does, and print nothing."""
        if self.env.device.type == "cuda":
            torch.cuda.synchronize(self.env.device)
        self.iterations += 1
        self.after_iteration()

    @property
    def steps(self) -> int:
        """Robot-steps so far."""
        return self.iterations * self.cfg.num_steps_per_env * self.env.num_envs

    def time_iterations(self, count: int) -> list[float]:
        """Return how long training iterations take [s], once those that warm up are over."""
        ends: list[float] = []
        self.after_iteration = lambda: ends.append(time.perf_counter())
        self.runner.learn(WARM_UP + count + 1, init_at_random_ep_len=True)
        ends = ends[WARM_UP:]
        return [b - a for a, b in itertools.pairwise(ends)]


class Stepper:
    """An environment of mjlab as our measurement of steps takes it, see `legged_gym.evaluation.speed`."""

    def __init__(self, env: RslRlVecEnvWrapper) -> None:
        """Wrap."""
        self._env, self.sim = env, self
        self.num_envs, self.num_actions, self.device = env.num_envs, env.num_actions, env.device

    def step(self, action: torch.Tensor) -> None:
        """Do a policy step."""
        self._env.step(action)

    def step_engine(self) -> None:
        """Do the physics of a policy step, nothing else."""
        env = self._env.unwrapped
        for _ in range(env.cfg.decimation):
            env.sim.step()


def measure(num_envs: int, args: argparse.Namespace) -> dict[str, Any]:
    """Measure one robot count.

    Returns:
        A row as benchmark.py writes it, in policy steps per second of all robots together.
    """
    training = Training(num_envs, args)
    row: dict[str, Any] = {"sim": "mjlab", "num_envs": num_envs}
    (row["engine"], row["engine_spread"]), (row["env_step"], row["env_step_spread"]) = measure_steps(
        Stepper(training.env), args.repeats
    )
    if args.iterations:
        seconds = training.time_iterations(args.iterations)
        row["iteration"], row["iteration_spread"] = rate(training.cfg.num_steps_per_env * num_envs, seconds)
    training.env.close()
    return row


class Enough(Exception):
    """The time for training is over."""


def train(num_envs: int, args: argparse.Namespace) -> None:
    """Train for `args.seconds`, and leave policies in `args.policies`.

    Each is a TorchScript function from observations (N, 30) to actions (N, 6), named after the time since this process
    began [s] and the robot-steps done: `0012.3_1048576.pt`.
    """
    args.policies.mkdir(parents=True, exist_ok=True)
    training = Training(num_envs, args)
    last = time.time()

    def look() -> None:
        nonlocal last
        now = time.time()
        over = now - _STARTED >= args.seconds
        if over or now - last >= SAVE_EVERY:
            last = now
            policy = torch.jit.script(training.runner.alg.get_policy().as_jit()).cpu()
            policy.save(args.policies / f"{now - _STARTED:06.1f}_{training.steps}.pt")
            print(f"mjlab: {now - _STARTED:.0f} s, {training.steps:,} robot-steps", flush=True)
        if over:
            raise Enough

    training.after_iteration = look
    try:
        training.runner.learn(10**9, init_at_random_ep_len=True)
    except Enough:
        training.env.close()


def numbers(text: str) -> tuple[int, ...]:
    """Read a comma-separated list."""
    return tuple(int(part) for part in text.split(","))


def main() -> None:
    """Measure, or train, from the command line."""
    parser = argparse.ArgumentParser(description="Our robot in mjlab; benchmarks/peer_mjlab.py calls this.")
    parser.add_argument("what", choices=("speed", "train"))
    parser.add_argument("--robot", help="name of a robot, or its folder (default: $ROBOT_TYPE, or PF_TRON1A)")
    parser.add_argument("--num_envs", type=numbers, default=(8192,), metavar="LIST", help="robot counts; train: one")
    parser.add_argument("--hidden_dims", type=numbers, default=(512, 256, 128), metavar="LIST", help="hidden layers")
    parser.add_argument("--device", default="cuda:0")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=20, help="blocks of engine and env.step")
    parser.add_argument("--iterations", type=int, default=5, help="timed training iterations; 0 for none")
    parser.add_argument("--json", type=Path, metavar="FILE", help="where rows of speed go")
    parser.add_argument("--seconds", type=float, default=60.0, help="how long to train, from the process's start")
    parser.add_argument("--policies", type=Path, default=Path("build/peer_policies"), help="folder for policies")
    args = parser.parse_args()
    if args.what == "train":
        train(args.num_envs[0], args)
        return
    rows: list[dict[str, Any]] = []
    for num_envs in args.num_envs:
        rows.append(measure(num_envs, args))
        print(json.dumps(rows[-1]), flush=True)
        if args.json is not None:
            args.json.write_text(json.dumps({"rows": rows}, indent=2))


if __name__ == "__main__":
    main()
