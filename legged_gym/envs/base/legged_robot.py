"""The legged robot environment: commands, observations, rewards, and the end of episodes.

`LeggedRobot` sets the order of events; each of its parts is a class of its own:

    state        poses, velocities and contacts, by frame     robot_state.py
    ground       its height, and which part each walks on     ground.py
    curriculum   how hard the task is                         curriculum.py
    commands     commanded velocities                         commands.py
    gait         the clock of the steps                       commands.py
    randomizer   what differs between robots                  domain_rand.py
    disturbances kicks, shoves and trips                      disturbances.py
    actions      the policy's last actions                    actions.py
    sensors      the robot's measurements                     sensors.py
    episodes     their age, and how they end                  episodes.py
    starts       where they begin                             starts.py
    rewards      the sum of the terms in rewards.py           reward_sum.py
    observer     the observation groups and the history       observations.py
    log          sums over episodes                           episodes.py
"""

from abc import abstractmethod
from typing import Any

import torch
from rsl_rl.env import VecEnv
from tensordict import TensorDict

from legged_gym.envs.base import observations
from legged_gym.envs.base.actions import Actions
from legged_gym.envs.base.commands import Commands, GaitClock
from legged_gym.envs.base.curriculum import Curriculum
from legged_gym.envs.base.disturbances import Disturbances
from legged_gym.envs.base.domain_rand import DomainRandomizer
from legged_gym.envs.base.episodes import EpisodeLog, Episodes
from legged_gym.envs.base.exact_state import exact_state, load_exact_state
from legged_gym.envs.base.extensions import load_functions
from legged_gym.envs.base.ground import Plane, TiledGround
from legged_gym.envs.base.legged_robot_config import LeggedRobotCfg
from legged_gym.envs.base.observations import Observer, Term
from legged_gym.envs.base.reward_sum import RewardSum, weighed_terms
from legged_gym.envs.base.robot_state import RobotState, bodies_named
from legged_gym.envs.base.sensors import Sensors
from legged_gym.envs.base.starts import Starts
from legged_gym.envs.base.symmetry import REMEDY, joint_mirror
from legged_gym.sim.registry import make_simulator, resolve_simulator
from legged_gym.sim.robot_model import RobotModel, robot_urdf
from legged_gym.sim.sim_options import SimOptions
from legged_gym.sim.simulator import Simulator
from legged_gym.terrain.terrain import Terrain
from legged_gym.utils.config import ConfigError
from legged_gym.utils.cuda_graph import Graphed
from legged_gym.utils.distributed import current
from legged_gym.utils.errors import UserError
from legged_gym.utils.math import known_empty
from legged_gym.utils.mirror import Symmetry


class LeggedRobot(VecEnv):
    """N biped robots on one simulator, stepped together.

    Nothing in `step` waits for the device: no value is read back, no index list is made. On a GPU, what comes before
    and after physics is recorded in a CUDA graph at the third step, and the config is not looked at any more.
    """

    def __init__(self, cfg: LeggedRobotCfg, sim_device: str = "cpu", headless: bool = True) -> None:
        """Build the simulator and reset every robot.

        Args:
            cfg: The configuration; `cfg.seed` seeds torch's global generator, and the rank counts, too, where several
                processes train together: each has its own robots.
            sim_device: Device of physics and of all buffers, e.g. "cpu" or "cuda:0".
            headless: Without a viewer.
        """
        self.cfg = cfg
        self.headless = headless
        torch.manual_seed(current().own_seed(cfg.seed))
        self.sim = self._make_simulator(sim_device)
        robot = self.sim.robot
        self.device = self.sim.device
        self.num_envs = cfg.env.num_envs
        self.num_actions = len(robot.joint_names)
        self.dt = self.sim.policy_dt
        self.max_episode_length = round(cfg.env.episode_length_s / self.dt)
        self._make_parts()
        self._observations = TensorDict({}, batch_size=[self.num_envs], device=self.device)
        # Parts to which a step assigns new tensors; a recorded step has to give them the recorded ones again.
        rebound = (self.state, self.sensors, self.episodes, self.disturbances, self.rewards)
        self._before_physics = Graphed(self._apply_actions, self.device, copies=False)
        self._after_physics = Graphed(self._finish_step, self.device, owners=rebound)
        self.reset()
        self.viewer = None if headless else self.sim.open_viewer()
        """Shows robot 0 after each step; None without a window."""

    # -- set-up --------------------------------------------------------------------------------------------------------

    def _make_simulator(self, device: str) -> Simulator:
        cfg = self.cfg
        options = SimOptions(
            timestep=cfg.sim.dt,
            decimation=cfg.control.decimation,
            kp=cfg.control.stiffness,
            kd=cfg.control.damping,
            armature=cfg.sim.armature,
            joint_damping=cfg.sim.joint_damping,
            self_collisions=cfg.asset.self_collisions,
            clamp_targets=cfg.control.clamp_targets,
            motor_curve=cfg.control.motor_curve,
            num_threads=cfg.sim.num_threads,
            terrain=self.make_terrain(),
            engine=getattr(cfg.sim, resolve_simulator(cfg.sim.backend), None),  # the section with the engine's name
        )
        robot = RobotModel.from_urdf(robot_urdf(cfg.asset.robot_type, cfg.asset.file))
        return make_simulator(cfg.sim.backend, robot, cfg.env.num_envs, options, device, cfg.sim.process)

    def _make_parts(self) -> None:
        """Make what a step is made of, in this order: each part draws its share of the random numbers."""
        cfg, n, device = self.cfg, self.num_envs, self.device
        self.ground = self._make_ground()
        self.curriculum = Curriculum(cfg.curriculum, device)
        difficulty = self.curriculum.difficulty
        self.commands = Commands(cfg.commands, n, difficulty)
        self.gait = GaitClock(cfg.gait, n, difficulty)
        share = None  # of the randomisation, for each robot (N, 1)
        if not bool(self.ground.is_level.all()):
            share = torch.where(self.ground.is_level, 1.0, cfg.domain_rand.off_level_ground).unsqueeze(-1)
        self.randomizer = DomainRandomizer(cfg, self.sim, difficulty, share)
        self.disturbances = Disturbances(cfg.domain_rand, self.sim, difficulty, cfg.rewards.recovery_time, share)
        self.starts = Starts(cfg.init_state, self.sim, self.ground, difficulty)
        angles = cfg.init_state.default_joint_angles
        if len(angles) != self.num_actions:
            raise ConfigError(
                f"--env.init_state.default_joint_angles: got {len(angles)} angles, but {self.sim.robot.name} has "
                f"{self.num_actions} joints"
            )
        self.default_joint_pos = torch.tensor(angles, device=device)
        self._body_masses = torch.as_tensor(self.sim.robot.body_masses, dtype=torch.float32, device=device)  # (B,)
        self.state = RobotState(self.sim, self.ground)
        self.actions = Actions(n, self.num_actions, cfg.normalization.clip_actions, device)
        self.sensors = Sensors(self.randomizer, self.dt, n, self.num_actions)
        terminating = bodies_named(self.sim, cfg.asset.terminate_after_contacts_on)
        self.episodes = Episodes(cfg.termination, self.max_episode_length, self.dt, terminating, n)
        terms = weighed_terms(type(self), cfg)
        self.log = EpisodeLog(list(terms), n, self.dt, cfg.env.episode_length_s, device)
        self.rewards = RewardSum(list(terms.values()), cfg, self.sim, self.log)
        self._reset_events = [*load_functions(cfg.events.reset, "events.reset").values()]
        self._step_events = [*load_functions(cfg.events.step, "events.step").values()]
        self.sensors.measure(self.state, self.joint_zero, torch.ones_like(self.episodes.fell))
        self.observer = Observer(self.group_terms(), self)
        self.observation_terms = {name: group.layout for name, group in self.observer.groups.items()}
        """Ordered (name, width) of every observation group; the history repeats the policy group."""

    def _make_ground(self) -> Plane:
        terrain, n, feet = self.sim.options.terrain, self.num_envs, len(self.sim.robot.foot_names)
        if terrain is None:
            return Plane(n, feet, self.device)
        return TiledGround(self.cfg.terrain, terrain, n, feet, self.dt, self.device)

    # -- what makes a task ---------------------------------------------------------------------------------------------

    @abstractmethod
    def make_terrain(self) -> Terrain | None:
        """Build the map that the robots walk on; None for the plane z = 0."""

    def group_terms(self) -> dict[str, list[Term]]:
        """Return the terms of each observation group, in order; a task may override it to add some.

        The group `policy` gets noise and a history.
        """
        extra = self.cfg.observations
        return {
            "policy": observations.policy_terms(self) + observations.further_terms(extra.policy, "policy"),
            "command": observations.command_terms(self),
            "velocity": observations.velocity_terms(self),
            "critic": observations.critic_terms(self) + observations.further_terms(extra.critic, "critic"),
            "teacher": observations.teacher_terms(self),
        }

    def symmetry(self) -> Symmetry:
        """Return the reflection of the policy's observation and action, half a gait cycle later.

        Raises:
            UserError: The reflected robot or its gait is another one, or a term has no known reflection.
        """
        joints = joint_mirror(self.sim.robot, self.device)
        if not torch.equal(joints(self.default_joint_pos), self.default_joint_pos):
            raise UserError(f"init_state.default_joint_angles differ between left and right: {REMEDY}")
        if {self.cfg.gait.nominal.offset, *self.cfg.gait.ranges.offset} != {0.5}:
            raise UserError(f"gait.offset is not 0.5, so the right step is no reflection of the left one: {REMEDY}")
        group = self.observer.groups
        mirrors = {name: group[name].mirror(joints) for name in ("policy", "command", "velocity")}
        return Symmetry(**mirrors, action=joints, clock=group["policy"].column(observations.CLOCK))

    # -- rsl_rl's VecEnv -----------------------------------------------------------------------------------------------

    @property
    def episode_length_buf(self) -> torch.Tensor:
        """Policy steps since the last reset. Shape (N,)."""
        return self.episodes.length

    @episode_length_buf.setter
    def episode_length_buf(self, value: torch.Tensor) -> None:
        self.episodes.length.copy_(value)

    def get_observations(self) -> TensorDict:
        """Return the observation groups of the current instant, as fresh tensors."""
        return self._observations

    def step(self, actions: torch.Tensor) -> tuple[TensorDict, torch.Tensor, torch.Tensor, dict]:
        """Apply an action for one policy step.

        Args:
            actions: Joint targets relative to the default angles, in units of `action_scale`. Shape (N, J). A robot
                whose action is not finite breaks: that ends its episode as a fall does.

        Returns:
            Observations after the step (of the new episode where one ended), rewards (N,), dones (N,), and extras with
            `time_outs` (N,), the episodes that ended by time and not by a fall, and `velocity_error` (N, 3), by how
            much v_x, v_y [m/s] and w_z [rad/s] in the heading frame were off the command of the step.
        """
        self.sim.step(self._before_physics(actions))
        self.log.steps += 1
        groups, reward, done, timed_out, error = self._after_physics()
        self._observations = TensorDict(groups, batch_size=[self.num_envs], device=self.device)
        if self.viewer is not None:
            self.viewer.update()
        return self._observations, reward, done, {"time_outs": timed_out, "velocity_error": error}

    def reset(self) -> TensorDict:
        """Start a new episode with every robot and return the observations."""
        everyone = torch.ones_like(self.episodes.fell)
        self._reset(everyone)
        self._resample(everyone)
        self.randomizer.vary_delays()
        self.randomizer.refresh_bodies()
        # Again, for the centre of mass to follow from the new masses.
        self.starts.place(everyone, self.starts.draw(), self.joint_zero)
        self._call_reset_events(everyone)
        self.state.end_step()
        self.log.finished.zero_()
        return self._observe(everyone)

    def observe_anew(self) -> TensorDict:
        """Take all observations of this instant again, without history: call it after changing what they contain."""
        return self._observe(torch.ones_like(self.episodes.fell))

    # -- a step --------------------------------------------------------------------------------------------------------

    def _apply_actions(self, actions: torch.Tensor) -> torch.Tensor:
        """Remember the actions (N, J); returns the joint targets [rad]. Shape (N, J)."""
        self.actions.receive(actions)
        return self.joint_zero + self.cfg.control.action_scale * self.actions.now

    def _finish_step(self) -> tuple[dict[str, torch.Tensor], *tuple[torch.Tensor, ...]]:
        """Do all that follows physics; returns observation groups, rewards, dones, time-outs and velocity errors."""
        # What has happened.
        self.episodes.length += 1
        self.gait.advance(self.dt)
        self.actions.applied.copy_((self.state.joint_target - self.joint_zero) / self.cfg.control.action_scale)
        self.state.refresh()
        self.ground.add_progress(self.state, self.commands.command)
        error = self.state.velocity_y - self.commands.command
        # How it ends, and what it is worth.
        self.episodes.check(self.state, self.ground.left(self.state), self.actions.refused)
        self.disturbances.recover()
        reward = self.rewards.compute(self)
        done = self.episodes.done
        # What comes next: new episodes, new commands, disturbances.
        self._reset(done)
        if self.cfg.commands.reversing_share:
            self.commands.reverse(self.episodes.is_every(self._steps(self.cfg.commands.reversing_time)))
        self._resample(done | self.episodes.is_every(self._steps(self.cfg.commands.resampling_time)))
        self._call_reset_events(done)
        self.disturbances.advance(self.episodes, swing=self.gait.desired_contact(1e-6) < 0.5)
        if self._step_events:
            self.state.refresh()
        for event in self._step_events:
            event(self)
        self.randomizer.vary_delays()
        self.sim.prepare()
        # What is seen of it.
        self.state.end_step()
        return self._assemble(done), reward, done, self.episodes.timed_out, error

    def _reset(self, mask: torch.Tensor) -> None:
        """Start a new episode with the robots in `mask` (N,). Consumes the same random numbers for any mask."""
        episode, start = self.randomizer.draw(), self.starts.draw()
        if known_empty(mask):
            return
        self.log.finish(mask, self.episodes)
        self.ground.finish(mask, self.episodes.fell)
        self.randomizer.reset(mask, episode)
        self.gait.reset(mask, start["clock"].squeeze(-1))
        self.starts.place(mask, start, self.joint_zero)
        for part in (self.actions, self.observer, self.sensors, self.disturbances):
            part.forget(mask)
        self.episodes.begin(mask)

    def _call_reset_events(self, mask: torch.Tensor) -> None:
        """Call the user's own events for the robots in `mask` (N,), which begin an episode."""
        if self._reset_events:
            self.state.refresh()  # events see the robots where they have been placed
        for event in self._reset_events:
            event(self, mask)

    def _resample(self, mask: torch.Tensor) -> None:
        """Draw new commands and gaits for the robots in `mask` (N,)."""
        self.commands.resample(mask)
        self.gait.resample(mask)

    def _steps(self, interval: float) -> int:
        """Return a time between two events [s] in policy steps, at least one."""
        return max(1, round(interval / self.dt))

    def _observe(self, fresh: torch.Tensor) -> TensorDict:
        """Take the observations of this instant; see `_assemble`."""
        self._observations = TensorDict(self._assemble(fresh), batch_size=[self.num_envs], device=self.device)
        return self._observations

    def _assemble(self, fresh: torch.Tensor) -> dict[str, torch.Tensor]:
        """Make all observation groups; the robots in `fresh` (N,) have no past."""
        self.sensors.measure(self.state, self.joint_zero, fresh)
        self.ground.look_around(self.state)
        return self.observer.observe(self, fresh)

    @property
    def joint_zero(self) -> torch.Tensor:
        """Joint angles where the robot measures its default pose: default plus calibration error. Shape (N, J)."""
        return self.default_joint_pos + self.randomizer.joint_zero_error

    @property
    def mass(self) -> torch.Tensor:
        """Mass of the whole robot with its payload and its randomised links [kg]. Shape (N,)."""
        parameters = self.sim.parameters
        return parameters["link_mass_scale"] @ self._body_masses + parameters["base_mass_added"]

    # -- training ------------------------------------------------------------------------------------------------------

    def episode_log(self) -> dict[str, float]:
        """Sum up the episodes that ended since the last call: see `EpisodeLog.read`, and difficulty, terrain levels.

        Waits for the device: call it once per iteration.
        """
        log = self.log.read(self.actions.num_refused)
        return log | {"difficulty": self.curriculum.difficulty.item()} | self.ground.episode_log()

    def update_curriculum(self, fall_rate: float, steps: int) -> None:
        """Make the task harder or easier, by how often robots fell [1/s] in the last `steps` policy steps.

        Also gives the robots that were reset since the last call their new masses.
        """
        self.randomizer.refresh_bodies()
        self.curriculum.update(fall_rate, steps * self.dt)

    def shift_gait_clock(self, delta: torch.Tensor) -> None:
        """Move each robot's gait clock, as a teacher that adapts step timing asks. Shape (N,) [cycles]."""
        self.gait.shift(delta)

    def state_dict(self) -> dict[str, torch.Tensor]:
        """Return what training has changed in the environment: the state of the curriculum."""
        return {"difficulty": self.curriculum.difficulty} | self.ground.state_dict()

    def load_state_dict(self, state: dict[str, torch.Tensor]) -> None:
        """Take over what `state_dict` returned; without the curriculum, difficulty stays what it is."""
        if self.curriculum.cfg.enabled:
            self.curriculum.difficulty.copy_(state["difficulty"])
        self.ground.load_state_dict(state)

    def exact_state(self) -> dict[str, Any] | None:
        """Return all that the next step depends on, in place; None if the simulator cannot return its state."""
        return exact_state(self)

    def load_exact_state(self, state: dict[str, Any]) -> None:
        """Take over what `exact_state` returned.

        Raises:
            ValueError: The state has another number of robots, another robot or another kind of ground.
        """
        load_exact_state(self, state)
