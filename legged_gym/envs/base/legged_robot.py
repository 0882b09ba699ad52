"""The legged robot environment: what the robot is asked, what it observes, what it earns, and when an episode ends."""

import math

import torch
from rsl_rl.env import VecEnv
from tensordict import TensorDict

from legged_gym.envs.base import observations, rewards
from legged_gym.envs.base.commands import Commands, GaitClock
from legged_gym.envs.base.disturbances import Disturbances
from legged_gym.envs.base.domain_rand import DomainRandomizer, Draws
from legged_gym.envs.base.ground import Plane, TiledGround
from legged_gym.envs.base.legged_robot_config import LeggedRobotCfg
from legged_gym.envs.base.observations import ObservationGroup
from legged_gym.sim.registry import make_simulator
from legged_gym.sim.robot_model import RobotModel, robot_urdf
from legged_gym.sim.simulator import SimOptions
from legged_gym.terrain.build import make_terrain
from legged_gym.utils.cuda_graph import Graphed
from legged_gym.utils.math import nobody, quat_from_yaw, quat_rotate, quat_rotate_inverse, rotate_yaw, yaw_from_quat


class LeggedRobot(VecEnv):
    """N biped robots on one simulator, stepped together.

    Frames: `_w` world, `_b` base, `_y` heading (the world turned by the base's yaw). Nothing in `step` waits for the
    device: no value is read back, no index list is made. On a GPU, what comes before and after physics is recorded in a
    CUDA graph at the third step, and the config is not looked at any more.
    """

    def __init__(self, cfg: LeggedRobotCfg, sim_device: str = "cpu", headless: bool = True) -> None:
        """Build the simulator and reset every robot.

        Args:
            cfg: The configuration; `cfg.seed` seeds torch's global generator.
            sim_device: Device of physics and of all buffers, e.g. "cpu" or "cuda:0".
            headless: Without a viewer.
        """
        self.cfg = cfg
        self.headless = headless
        torch.manual_seed(cfg.seed)
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
            terrain=make_terrain(cfg.terrain),
        )
        robot = RobotModel.from_urdf(robot_urdf(cfg.asset.robot_type, cfg.asset.file))
        sim, num_envs = cfg.sim, cfg.env.num_envs
        self.sim = make_simulator(sim.backend, robot, num_envs, options, sim_device, sim.process, sim.isaacgym)
        self.state = self.sim.state
        self.device = self.sim.device
        self.num_envs = cfg.env.num_envs
        self.num_actions = len(robot.joint_names)
        self.dt = self.sim.policy_dt
        self.max_episode_length = round(cfg.env.episode_length_s / self.dt)
        self._allocate()
        self._derive()
        self._measure(torch.ones_like(self.fell))
        self._build_observations()
        self._before_physics = Graphed(self._take_actions, self.device, copies=False)
        self._after_physics = Graphed(self._finish_step, self.device, owners=(self,))
        self.reset()
        self.viewer = None if headless else self.sim.open_viewer()
        """Shows robot 0 after each step; None without a window."""

    # -- set-up --------------------------------------------------------------------------------------------------------

    def _allocate(self) -> None:
        cfg, n, device, robot = self.cfg, self.num_envs, self.device, self.sim.robot
        self.difficulty = torch.tensor(cfg.curriculum.initial if cfg.curriculum.enabled else 1.0, device=device)
        """Difficulty of the curriculum, 0 to 1. Scalar."""
        self.commands = Commands(cfg.commands, n, self.difficulty)
        self.gait = GaitClock(cfg.gait, n, self.difficulty)
        self.randomizer = DomainRandomizer(cfg, self.sim, self.difficulty)
        self.disturbances = Disturbances(cfg.domain_rand, self.sim, self.difficulty)
        self.default_joint_pos = torch.tensor(cfg.init_state.default_joint_angles, device=device)
        self.actions = torch.zeros(n, self.num_actions, device=device)
        """What the policy asked for. Shape (N, J)."""
        self.applied_actions = torch.zeros(n, self.num_actions, device=device)
        """What the controller made of it: clamped, see `Simulator`; the robot's own last action. Shape (N, J)."""
        self._measured_before = torch.zeros(n, 6 + 2 * self.num_actions, device=device)
        """What the robot measured a policy step ago, see `_measure`."""
        self.last_actions = torch.zeros(n, 2, self.num_actions, device=device)
        """The actions one and two steps before `actions`."""
        self.last_joint_vel = torch.zeros(n, self.num_actions, device=device)
        self._episode_length = torch.zeros(n, dtype=torch.long, device=device)
        self._tilt_steps = torch.zeros(n, dtype=torch.long, device=device)
        self._push_phase = torch.randint(0, self._push_interval, (n,), device=device)
        self.fell = torch.zeros(n, dtype=torch.bool, device=device)
        """The robot fell in the last step (and was reset after it)."""
        self.timed_out = torch.zeros(n, dtype=torch.bool, device=device)
        """The episode ended by time in the last step, without a fall."""
        self.broke = torch.zeros(n, dtype=torch.bool, device=device)
        """The simulation of the robot left the finite numbers in the last step; counts as a fall."""
        self._down = torch.tensor((0.0, 0.0, -1.0), device=device).expand(n, 3)
        x, y, z = cfg.init_state.pos
        self._start_pos = torch.tensor((x, y, z + robot.zero_pose_height), device=device).expand(n, 3)
        widths = {"yaw": 1, "lin_vel": 3, "ang_vel": 3, "joint_pos": self.num_actions}
        columns = {name: [(0.0, *getattr(cfg.init_state, name))] * width for name, width in widths.items()}
        self.ground = self._make_ground()
        """Height of the ground around each robot, and which part of the terrain it walks on."""
        columns |= {"clock": [(0.0, 0.0, 1.0)]} | self.ground.start_columns()
        self._starts = Draws(columns, torch.ones((), device=device))
        """What is drawn at every reset, whatever the difficulty."""
        self.desired_contact = torch.zeros(n, len(robot.foot_names), device=device)
        """Contact that the clock asked for in the last step, 1 stance, 0 swing. Shape (N, F)."""
        self._recovery_left = torch.zeros(n, device=device)
        self.undisturbed = torch.ones(n, device=device)
        """0 while a robot recovers from a push, shove or trip: it may yield and step as it must. Shape (N,)."""
        self.gait_active = torch.ones(n, device=device)
        """1 where the gait terms of the reward apply."""
        self._terminating = self._bodies(cfg.asset.terminate_after_contacts_on)
        self.penalized_bodies = self._bodies(cfg.asset.penalize_contacts_on)
        self._feet = self._bodies(("foot",))
        self._body_masses = torch.as_tensor(robot.body_masses, dtype=torch.float32, device=device)  # (B,)
        limits = torch.as_tensor(robot.joint_limits, dtype=torch.float32, device=device)  # (J, 2)
        middle, half = limits.mean(-1), 0.5 * (limits[:, 1] - limits[:, 0]) * cfg.rewards.soft_dof_pos_limit
        self.soft_joint_limits = (middle - half, middle + half)
        scales = {term.__name__: getattr(cfg.rewards.scales, term.__name__) for term in rewards.TERMS}
        self.reward_terms = [(term, scales[term.__name__] * self.dt) for term in rewards.TERMS if scales[term.__name__]]
        self._reward_scales = torch.tensor([scale for _, scale in self.reward_terms], device=device).unsqueeze(-1)
        names = [term.__name__ for term, _ in self.reward_terms]
        self._episode_sums = torch.zeros(len(names), n, device=device)
        self._finished_sums = torch.zeros(len(names) + 3, device=device)
        """Over all episodes that ended since the last `episode_log`: reward sums, ends, falls, broken simulations."""
        self._steps_since_log = 0
        self._log_names = [f"rew_{name}" for name in names]

    def _make_ground(self) -> Plane:
        terrain, n, feet = self.sim.options.terrain, self.num_envs, len(self.sim.robot.foot_names)
        if terrain is None:
            return Plane(n, feet, self.device)
        return TiledGround(self.cfg.terrain, terrain, n, feet, self.dt, self.device)

    @property
    def _push_interval(self) -> int:
        return max(1, round(self.cfg.domain_rand.push_interval_s / self.dt))

    def _bodies(self, patterns: tuple[str, ...]) -> torch.Tensor:
        """Indices of the bodies whose name contains one of the patterns, on the device. Shape (K,)."""
        names = self.sim.robot.body_names
        rows = [i for i, name in enumerate(names) if any(pattern in name for pattern in patterns)]
        return torch.tensor(rows, dtype=torch.long, device=self.device)

    def _build_observations(self) -> None:
        noisy = self.cfg.noise.add_noise
        self.groups = {
            "policy": ObservationGroup(observations.policy_terms(self), self, noisy),
            "command": ObservationGroup(observations.command_terms(self), self),
            "velocity": ObservationGroup(observations.velocity_terms(self), self),
            "critic": ObservationGroup(observations.critic_terms(self), self),
            "teacher": ObservationGroup(observations.teacher_terms(self), self),
        }
        self.observation_terms = {name: group.layout for name, group in self.groups.items()}
        """Ordered (name, width) of every observation group; the history repeats the policy group."""
        width = sum(w for _, w in self.observation_terms["policy"])
        self._history = torch.zeros(self.num_envs, self.cfg.env.history_length, width, device=self.device)

    # -- rsl_rl's VecEnv -----------------------------------------------------------------------------------------------

    @property
    def episode_length_buf(self) -> torch.Tensor:
        """Policy steps since the last reset. Shape (N,)."""
        return self._episode_length

    @episode_length_buf.setter
    def episode_length_buf(self, value: torch.Tensor) -> None:
        self._episode_length.copy_(value)

    def get_observations(self) -> TensorDict:
        """Return the observation groups of the current instant, as fresh tensors."""
        return self._observations

    def step(self, actions: torch.Tensor) -> tuple[TensorDict, torch.Tensor, torch.Tensor, dict]:
        """Apply an action for one policy step.

        Args:
            actions: Joint targets relative to the default angles, in units of `action_scale`. Shape (N, J).

        Returns:
            Observations after the step (of the new episode where one ended), rewards (N,), dones (N,), and extras with
            `time_outs` (N,), the episodes that ended by time and not by a fall.
        """
        self.sim.step(self._before_physics(actions))
        self._steps_since_log += 1
        groups, reward, done, timed_out = self._after_physics()
        self._observations = TensorDict(groups, batch_size=[self.num_envs], device=self.device)
        if self.viewer is not None:
            self.viewer.update()
        return self._observations, reward, done, {"time_outs": timed_out}

    def reset(self) -> TensorDict:
        """Start a new episode with every robot and return the observations."""
        everyone = torch.ones_like(self.fell)
        self._reset(everyone)
        self._resample(everyone)
        self.randomizer.vary_delays()
        self.randomizer.refresh_bodies()
        # Again, for the centre of mass to follow from the new masses.
        self._place(everyone, self._starts.draw(self.num_envs))
        self.last_joint_vel.copy_(self.state.joint_vel)
        self._derive()
        self._observe(everyone)
        self._finished_sums.zero_()
        return self._observations

    def _take_actions(self, actions: torch.Tensor) -> torch.Tensor:
        """Remember the actions (N, J); returns the joint targets [rad]. Shape (N, J)."""
        clip = self.cfg.normalization.clip_actions
        self.last_actions[:, 1].copy_(self.last_actions[:, 0])
        self.last_actions[:, 0].copy_(self.actions)
        self.actions.copy_(actions.clamp(-clip, clip))
        return self.joint_zero + self.cfg.control.action_scale * self.actions

    def _finish_step(self) -> tuple[dict[str, torch.Tensor], torch.Tensor, torch.Tensor, torch.Tensor]:
        """Do all that follows physics; returns observation groups, rewards, dones and time-outs."""
        self._episode_length += 1
        self.gait.advance(self.dt)
        self.applied_actions.copy_((self.state.joint_target - self.joint_zero) / self.cfg.control.action_scale)
        self._derive()
        self.ground.add_progress(self.state, self.commands.command)
        self._check_termination()
        reward = self._compute_reward()
        done = self.fell | self.timed_out
        self._reset(done)
        self._resample(done | self._commands_due())
        pushed = self._push()
        swing = self.gait.desired_contact(1e-6) < 0.5
        pushed = pushed | self.disturbances.advance(self._episode_length, swing, done)
        self._recovery_left.copy_(torch.where(pushed, self.cfg.rewards.recovery_time, self._recovery_left))
        self.randomizer.vary_delays()
        self.sim.prepare()
        self.last_joint_vel.copy_(self.state.joint_vel)
        self._derive()
        return self._assemble(done), reward, done, self.timed_out

    # -- state ---------------------------------------------------------------------------------------------------------

    @property
    def joint_zero(self) -> torch.Tensor:
        """Joint angles the robot takes for its default ones: the default plus its calibration error. Shape (N, J)."""
        return self.default_joint_pos + self.randomizer.joint_zero_error

    def _derive(self) -> None:
        """Compute what observations, rewards and terminations share."""
        s = self.state
        vectors_w = torch.stack((s.root_lin_vel_w, s.root_ang_vel_w, self._down))  # (3, N, 3)
        vectors_b = quat_rotate_inverse(s.root_quat_xyzw.unsqueeze(0), vectors_w)
        self.base_lin_vel_b, self.base_ang_vel_b, self.projected_gravity_b = vectors_b.unbind()
        self.feet_force_w = s.contact_force_w.index_select(1, self._feet)  # (N, F, 3)
        self.ground.look(s)

    @property
    def yaw(self) -> torch.Tensor:
        """Heading of the base [rad]. Shape (N,)."""
        return yaw_from_quat(self.state.root_quat_xyzw)

    @property
    def base_lin_vel_y(self) -> torch.Tensor:
        """Velocity of the base [m/s]. Shape (N, 3)."""
        return rotate_yaw(-self.yaw, self.state.root_lin_vel_w)

    @property
    def mass(self) -> torch.Tensor:
        """Mass of the whole robot with its payload and its randomised links [kg]. Shape (N,)."""
        parameters = self.sim.parameters
        return parameters["link_mass_scale"] @ self._body_masses + parameters["base_mass_added"]

    @property
    def base_height(self) -> torch.Tensor:
        """Height of the base's origin over the ground around it [m]. Shape (N,)."""
        return self.state.root_pos_w[:, 2] - self.ground.under_base

    @property
    def feet_pos_y(self) -> torch.Tensor:
        """Feet relative to the base [m]. Shape (N, F, 3)."""
        return rotate_yaw(-self.yaw.unsqueeze(1), self.state.feet_pos_w - self.state.root_pos_w.unsqueeze(1))

    @property
    def feet_height(self) -> torch.Tensor:
        """Gap between the feet and the ground [m]. Shape (N, F)."""
        return self.state.feet_pos_w[..., 2] - self.sim.robot.foot_radius - self.ground.under_feet

    @property
    def feet_contact(self) -> torch.Tensor:
        """The foot touches the ground. Shape (N, F)."""
        return self.feet_force_w[..., 2] > 1.0

    def _measure(self, fresh: torch.Tensor) -> None:
        """Compute what the robot measures: an IMU with mounting error and bias, joints with an error of their zero.

        What is measured is some milliseconds old: between this policy step's and the last one's, which the robots in
        `fresh` (N,) do not have.
        """
        vectors_b = torch.stack((self.base_ang_vel_b, self.projected_gravity_b))  # (2, N, 3)
        ang_vel, gravity = quat_rotate(self.randomizer.imu_quat.unsqueeze(0), vectors_b).unbind()
        joint_pos = self.state.joint_pos - self.joint_zero
        now = torch.cat((ang_vel + self.randomizer.gyro_bias, gravity, joint_pos, self.state.joint_vel), dim=-1)
        shown = now
        if self.cfg.domain_rand.randomize_observation_delay:
            age = (self.randomizer.observation_age / self.dt).masked_fill(fresh, 0.0)
            shown = torch.lerp(now, self._measured_before, age.unsqueeze(-1))
            self._measured_before.copy_(now)
        widths = (3, 3, self.num_actions, self.num_actions)
        self.measured_ang_vel, self.measured_gravity, self.measured_joint_pos, self.measured_joint_vel = (
            part.contiguous() for part in shown.split(widths, dim=-1)
        )

    def _check_termination(self) -> None:
        cfg, s = self.cfg.termination, self.state
        feet, base = s.feet_lin_vel_w.square().sum(-1).amax(-1), s.root_lin_vel_w.square().sum(-1)
        finite = torch.isfinite(s.root_pos_w.sum(-1) + s.joint_vel.sum(-1) + s.root_ang_vel_w.sum(-1))
        self.broke = ~(finite & (torch.maximum(feet, base) < cfg.max_speed**2))
        touched = (s.contact_force_w.index_select(1, self._terminating).square().sum(-1) > cfg.contact_force**2).any(-1)
        tilted = -self.projected_gravity_b[:, 2] < math.cos(cfg.max_tilt)
        self._tilt_steps.copy_(torch.where(tilted, self._tilt_steps + 1, 0))
        self.fell = touched | (self._tilt_steps * self.dt > cfg.tilt_time) | self.broke
        over, left = self._episode_length >= self.max_episode_length, self.ground.left(s)
        self.timed_out = (over if left is None else over | left) & ~self.fell

    def _compute_reward(self) -> torch.Tensor:
        """Sum the weighted terms and keep each one's sum over the episode. Shape (N,)."""
        self.desired_contact = self.gait.desired_contact(self.cfg.rewards.gait_kappa)
        self.undisturbed = (self._recovery_left <= 0.0).float()
        self._recovery_left.sub_(self.dt).clamp_(min=0.0)
        stepping = ~self.commands.standing if not self.cfg.rewards.gait_when_standing else torch.ones_like(self.fell)
        self.gait_active = stepping * self.undisturbed
        terms = torch.stack([term(self) for term, _ in self.reward_terms]) * self._reward_scales  # (R, N)
        terms.masked_fill_(self.broke, 0.0)
        self._episode_sums += terms
        total = terms.sum(0)
        return total.clamp(min=0.0) if self.cfg.rewards.only_positive_rewards else total

    def episode_log(self) -> dict[str, float]:
        """Sum up the episodes that ended since the last call.

        Returns:
            Reward terms per second of a full episode (absent if none ended), falls per second and robot, robots whose
            simulation broke, difficulty, terrain levels. Waits for the device: call it once per iteration.
        """
        sums = self._finished_sums.tolist()
        robot_seconds = max(self._steps_since_log, 1) * self.dt * self.num_envs
        self._finished_sums.zero_()
        self._steps_since_log = 0
        ended, fell, broke = sums[-3:]
        log = {"fall_rate": fell / robot_seconds, "broken_robots": broke, "difficulty": self.difficulty.item()}
        log |= self.ground.episode_log()
        if ended:
            scale = 1.0 / (ended * self.cfg.env.episode_length_s)
            log |= {name: total * scale for name, total in zip(self._log_names, sums, strict=False)}
        return log

    def update_curriculum(self, fall_rate: float, robot_steps: int) -> None:
        """Make the task harder or easier, by how often robots fell [1/s] in the last `robot_steps`.

        Also gives the robots that were reset since the last call their new masses.
        """
        self.randomizer.refresh_bodies()
        cfg = self.cfg.curriculum
        if cfg.enabled:
            up, down = (low + (high - low) * self.difficulty for low, high in (cfg.fall_rate_up, cfg.fall_rate_down))
            change = (up > fall_rate).float() - (down < fall_rate).float()
            self.difficulty.add_(cfg.speed * 1e-6 * robot_steps * change).clamp_(0.0, 1.0)

    def state_dict(self) -> dict[str, torch.Tensor]:
        """Return what training has changed in the environment: the state of the curriculum."""
        return {"difficulty": self.difficulty} | self.ground.state_dict()

    def load_state_dict(self, state: dict[str, torch.Tensor]) -> None:
        """Take over what `state_dict` returned."""
        self.difficulty.copy_(state["difficulty"])
        self.ground.load_state_dict(state)

    # -- events --------------------------------------------------------------------------------------------------------

    def _reset(self, mask: torch.Tensor) -> None:
        """Start a new episode with the robots in `mask` (N,). Draws as much whoever they are."""
        episode, start = self.randomizer.draw(), self._starts.draw(self.num_envs)
        if nobody(mask):
            return
        ends = torch.cat((self._episode_sums, torch.stack((mask, self.fell, self.broke))))  # (R + 3, N)
        self._finished_sums += torch.where(mask, ends, 0.0).sum(-1)
        self.ground.finish(mask, self.fell)
        self.randomizer.reset(mask, episode)
        self.gait.reset(mask, start["clock"].squeeze(-1))
        self._place(mask, start)
        self.actions.masked_fill_(mask.view(-1, 1), 0.0)
        self.applied_actions.masked_fill_(mask.view(-1, 1), 0.0)
        self.last_actions.masked_fill_(mask.view(-1, 1, 1), 0.0)
        for buffer in (self._episode_sums, self._episode_length, self._tilt_steps, self._recovery_left):
            buffer.masked_fill_(mask, 0)

    def _place(self, mask: torch.Tensor, start: dict[str, torch.Tensor]) -> None:
        self.sim.reset(
            mask,
            root_pos_w=self.ground.start(self._start_pos, start, mask),
            root_quat_xyzw=quat_from_yaw(start["yaw"].squeeze(-1)),
            root_lin_vel_w=self.difficulty * start["lin_vel"],
            root_ang_vel_w=self.difficulty * start["ang_vel"],
            joint_pos=self.joint_zero + self.difficulty * start["joint_pos"],
            joint_vel=torch.zeros_like(self.actions),
        )

    def _commands_due(self) -> torch.Tensor:
        interval = max(1, round(self.cfg.commands.resampling_time / self.dt))
        return (self._episode_length % interval == 0) & (self._episode_length > 0)

    def _resample(self, mask: torch.Tensor) -> None:
        """Ask something else of the robots in `mask` (N,)."""
        self.commands.resample(mask)
        self.gait.resample(mask)

    def _push(self) -> torch.Tensor:
        """Kick the robots whose time has come; returns them. Shape (N,)."""
        if not self.cfg.domain_rand.push_robots:
            return torch.zeros_like(self.fell)
        due = ((self._episode_length + self._push_phase) % self._push_interval == 0) & (self._episode_length > 0)
        self.sim.push(due, self.randomizer.push_velocity())
        return due

    def shift_gait_clock(self, delta: torch.Tensor) -> None:
        """Move each robot's gait clock, as a teacher that adapts step timing asks. Shape (N,) [cycles]."""
        self.gait.shift(delta)

    def _observe(self, fresh: torch.Tensor) -> None:
        """Take the observations of this instant; see `_assemble`."""
        self._observations = TensorDict(self._assemble(fresh), batch_size=[self.num_envs], device=self.device)

    def observe_anew(self) -> TensorDict:
        """Take all observations of this instant again, without a past: for who has changed what they show."""
        self._observe(torch.ones_like(self.fell))
        return self._observations

    def _assemble(self, fresh: torch.Tensor) -> dict[str, torch.Tensor]:
        """Make all groups; the history of the robots in `fresh` (N,) starts with copies of the first observation."""
        self._measure(fresh)
        self.ground.look_around(self.state)
        groups = {name: group.compute(self) for name, group in self.groups.items()}
        clip = self.cfg.normalization.clip_observations
        for name in ("policy", "critic"):
            groups[name].clamp_(-clip, clip)
        newest = groups["policy"].unsqueeze(1)  # (N, 1, 30)
        older = torch.lerp(self._history[:, 1:], newest, fresh.view(-1, 1, 1).float())  # many times faster than `where`
        history = torch.cat((older, newest), dim=1)
        self._history.copy_(history)
        groups["history"] = history.flatten(1)
        return groups
