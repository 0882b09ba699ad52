"""All that a process imports that walks the gate beside training, for the server that is forked for it.

The process imports the training script, too, where its functions are; then most of what that imports is there.
"""

import importlib

from legged_gym.utils import startup

startup.begins()
for name in ("evaluation.showing", "evaluation.walking_gate", "options.setup", "options.tasks", "sim.mujoco.simulator"):
    importlib.import_module(f"legged_gym.{name}")
startup.ends()
