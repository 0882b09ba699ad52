"""All that a process imports that walks the gate beside training, for the server that is forked for it."""

from legged_gym.utils import startup

startup.begins()
import legged_gym.scripts.train  # noqa: E402  the process looks for its functions there
import legged_gym.sim.mujoco.simulator  # noqa: E402, F401  otherwise imported with the first robots

startup.ends()
