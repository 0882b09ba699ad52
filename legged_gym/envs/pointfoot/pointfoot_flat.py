"""The task `pointfoot_flat`: a point-foot biped walks at commanded velocities."""

from legged_gym.envs.base.legged_robot import LeggedRobot


class PointFootFlat(LeggedRobot):
    """The point-foot biped; see `LeggedRobot`."""
