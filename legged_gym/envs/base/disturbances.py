"""Disturbances of walking robots: kicks change the base's velocity at once; shoves are lasting forces on the base,
trips on the swing foot.
"""

import torch

from legged_gym.envs.base.domain_rand_config import DomainRandCfg
from legged_gym.envs.base.episodes import Episodes
from legged_gym.sim.simulator import Simulator
from legged_gym.utils.cuda_graph import Queues
from legged_gym.utils.math import quat_rotate

_LEAST_SPEED = 0.1
"""Speed of the foot [m/s] below which the force of a trip shrinks in proportion, to zero at rest."""


class Force:
    """A force on each robot, constant in the world frame, that begins at the robot's own times and ends."""

    def __init__(self, interval: int, durations: tuple[float, float], num_envs: int, device: torch.device) -> None:
        """Allocate.

        Args:
            interval: Time from one beginning to the next [policy steps].
            durations: Shortest and longest duration [policy steps].
            num_envs: Number of robots N.
            device: Where they are.
        """
        self._interval, self._durations = interval, durations
        # Robots are disturbed at different times, so that every rollout contains some disturbances.
        self._phase = torch.randint(0, interval, (num_envs,), device=device)
        self._left = torch.zeros(num_envs, device=device)  # policy steps that the force still lasts
        self.force_w = torch.zeros(num_envs, 3, device=device)
        """The force that began last [N]. Shape (N, 3)."""

    def draw_steps(self) -> torch.Tensor:
        """Draw how long a force would last [policy steps]. Shape (N,)."""
        shortest, longest = self._durations
        return (shortest + (longest - shortest) * torch.rand_like(self._left)).round().clamp(min=1.0)

    def begins(self, episodes: Episodes) -> torch.Tensor:
        """Robots whose next force is due. Shape (N,)."""
        return episodes.is_every(self._interval, self._phase)

    def begin(self, mask: torch.Tensor, force_w: torch.Tensor, steps: torch.Tensor) -> None:
        """Begin a force (N, 3) [N] of `steps` (N,) policy steps for the robots in `mask` (N,)."""
        self.force_w.copy_(torch.where(mask.unsqueeze(-1), force_w, self.force_w))
        self._left.copy_(torch.where(mask, steps, self._left))

    def end(self, mask: torch.Tensor) -> None:
        """End the force on the robots in `mask` (N,)."""
        self._left.masked_fill_(mask, 0.0)

    @property
    def acting(self) -> torch.Tensor:
        """Robots whose force still lasts. Shape (N,)."""
        return self._left > 0.0

    def next(self) -> torch.Tensor:
        """Return the force during the next policy step [N], and count that step as done. Shape (N, 3)."""
        force = torch.where(self.acting.unsqueeze(-1), self.force_w, 0.0)
        self._left.sub_(1.0).clamp_(min=0.0)
        return force


class Disturbances:
    """Kicks robots, writes the simulator's external forces, and tracks which robots still recover from either."""

    def __init__(
        self,
        cfg: DomainRandCfg,
        sim: Simulator,
        difficulty: torch.Tensor,
        recovery_time: float,
        share: torch.Tensor | None = None,
    ) -> None:
        """Allocate.

        Args:
            cfg: How often, how long, how hard.
            sim: Its `wrench_w` is written, if there are shoves or trips at all.
            difficulty: Factor on kicks, impulses and forces, 0 to 1. Scalar tensor.
            recovery_time: How long a robot counts as disturbed afterwards [s].
            share: Factor on them for each robot. Shape (N, 1); None for 1.
        """
        self._cfg, self._sim, self._difficulty = cfg, sim, difficulty
        self._share = torch.ones(sim.num_envs, 1, device=sim.device) if share is None else share
        dt, n, device = sim.policy_dt, sim.num_envs, sim.device
        self._lid_b = torch.tensor([0.0, 0.0, sim.robot.lid_height], device=device)
        self.shove = Force(max(1, round(cfg.shove_interval_s / dt)), _steps(cfg.shove_duration_range, dt), n, device)
        self.trip = Force(max(1, round(cfg.trip_interval_s / dt)), _steps(cfg.trip_duration_range, dt), n, device)
        self._at = torch.zeros(n, 1, device=device)
        """Point where a shove acts: 0 at the base's centre of mass, 1 at the lid. Shape (N, 1)."""
        self._foot = torch.zeros(n, 2, device=device)
        """1 for the foot that is tripped. Shape (N, F)."""
        self._order = torch.arange(2, 0, -1, device=device)
        """Falls from the first foot to the last. Shape (F,)."""
        self._kick_interval = max(1, round(cfg.push_interval_s / dt))
        self._kick_phase = torch.randint(0, self._kick_interval, (n,), device=device)
        self.kick_w = torch.zeros(n, 3, device=device)
        """Velocity kick of the last step, zero for most [m/s]. Shape (N, 3)."""
        self._queues = Queues(device, 3)
        self._recovery_time, self._dt = recovery_time, dt
        self._recovery_left = torch.zeros(n, device=device)
        self.undisturbed = torch.ones(n, device=device)
        """0 while a robot recovers: it may yield and step as it must. Shape (N,)."""

    def recover(self) -> None:
        """Let a policy step pass for the robots that recover; sets `undisturbed`."""
        self.undisturbed = (self._recovery_left <= 0.0).float()
        self._recovery_left.sub_(self._dt).clamp_(min=0.0)

    @property
    def recovering(self) -> torch.Tensor:
        """Which robots were disturbed within the recovery time, up to now. Shape (N,), bool."""
        return self._recovery_left > 0.0

    def forget(self, mask: torch.Tensor) -> None:
        """Let the robots in `mask` (N,) begin an episode undisturbed."""
        self._recovery_left.masked_fill_(mask, 0.0)

    def advance(self, episodes: Episodes, swing: torch.Tensor) -> None:
        """Kick the robots whose time has come, and set the forces of the next policy step.

        Args:
            episodes: How old each robot's episode is, and which have just ended.
            swing: Feet that the clock has in the air. Shape (N, F), bool.
        """
        kicked, *pressed = self._queues.run(
            lambda: self._aim_kick(episodes), lambda: self._shove(episodes), lambda: self._trip(episodes, swing)
        )
        if self._cfg.push_robots:
            self._sim.push(kicked, self.kick_w)  # only now, for it changes the velocities that trips are aimed by
        disturbed = torch.stack((kicked, *pressed)).any(0)
        self._recovery_left.copy_(torch.where(disturbed, self._recovery_time, self._recovery_left))

    def _aim_kick(self, episodes: Episodes) -> torch.Tensor:
        """Draw the kicks of the robots that are due; returns these. Shape (N,)."""
        if not self._cfg.push_robots:
            return torch.zeros_like(episodes.done)
        due = episodes.is_every(self._kick_interval, self._kick_phase)
        self.kick_w = torch.where(due.unsqueeze(-1), self.draw_kicks(), 0.0)
        return due

    def _strength(self, most: float) -> torch.Tensor:
        """Largest disturbance that each robot may get now, in the units of `most`. Shape (N, 1)."""
        return self._difficulty * most * self._share

    def draw_kicks(self) -> torch.Tensor:
        """Draw a velocity change for every robot: random direction, random size up to the maximum [m/s].

        Returns:
            World frame. Shape (N, 3).
        """
        u, v = torch.rand(2, self._sim.num_envs, device=self._sim.device)
        angle, size = 2.0 * torch.pi * u, self._strength(self._cfg.max_push_vel_xy).squeeze(-1) * v
        return torch.stack((size * torch.cos(angle), size * torch.sin(angle), torch.zeros_like(size)), dim=-1)

    def _shove(self, episodes: Episodes) -> torch.Tensor:
        """Shove the robots that are due, and go on with shoves that last; returns the robots shoved. Shape (N,)."""
        if not self._cfg.shove_robots:
            return torch.zeros_like(episodes.done)  # a task's own events may use the external forces
        self.shove.end(episodes.done)
        due, state = self.shove.begins(episodes), self._sim.state
        u, v, w = torch.rand(3, len(due), device=due.device)
        steps = self.shove.draw_steps()
        # The next step has to absorb the impulse, so that is drawn: a short shove is strong, a long one weak.
        impulse = self._strength(self._cfg.max_shove_impulse).squeeze(-1) * v
        size = impulse / (steps * self._sim.policy_dt)
        angle = 2.0 * torch.pi * u
        force = torch.stack((size * torch.cos(angle), size * torch.sin(angle), torch.zeros_like(size)), dim=-1)
        self.shove.begin(due, force, steps)
        self._at.copy_(torch.where(due.unsqueeze(-1), w.unsqueeze(-1), self._at))
        acting, force = self.shove.acting, self.shove.next()
        lever = quat_rotate(state.root_quat_xyzw, self._at * self._lid_b)
        self._sim.wrench_w[:, 0, :3] = force
        self._sim.wrench_w[:, 0, 3:] = torch.linalg.cross(lever, force)
        return acting

    def _trip(self, episodes: Episodes, swing: torch.Tensor) -> torch.Tensor:
        """Hold back the swinging foot of the robots that are due, and go on with others; returns all of these (N,)."""
        if not self._cfg.trip_robots:
            return torch.zeros_like(episodes.done)
        self.trip.end(episodes.done)
        due, state = self.trip.begins(episodes), self._sim.state
        ranked = swing * self._order  # cumsum, which would tell the first one, too, takes ten times as long on a GPU
        foot = (swing & (ranked == ranked.amax(-1, keepdim=True))).float()  # one, if both swing
        velocity = (foot.unsqueeze(-1) * state.feet_lin_vel_w).sum(1)[:, :2]  # (N, 2)
        against = -velocity / velocity.norm(dim=-1, keepdim=True).clamp(min=_LEAST_SPEED)
        size = self._strength(self._cfg.max_trip_force) * torch.rand(len(due), 1, device=due.device)
        force = torch.cat((size * against, torch.zeros_like(size)), dim=-1)
        self.trip.begin(due, force, self.trip.draw_steps())
        self._foot.copy_(torch.where(due.unsqueeze(-1), foot, self._foot))
        acting = self.trip.acting
        self._sim.wrench_w[:, 1:, :3] = self._foot.unsqueeze(-1) * self.trip.next().unsqueeze(1)
        return acting


def _steps(durations: tuple[float, float], dt: float) -> tuple[float, float]:
    """Convert durations [s] to policy steps of dt [s]."""
    return durations[0] / dt, durations[1] / dt
