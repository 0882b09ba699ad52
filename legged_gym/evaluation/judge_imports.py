"""All that a process imports that walks the gate beside training, for the server that is forked for it.

The process imports the training script, too, where its functions are; then most of what that imports is there. What
cannot be imported here is imported there, and says why it cannot be.
"""

import importlib
from contextlib import suppress

from legged_gym.utils import early_server, late_compiler, startup

startup.begins()
late_compiler.begins()
with early_server.leaving_with_parent(), suppress(Exception):
    for name in ("evaluation.showing", "evaluation.walking_gate", "options.setup", "options.tasks"):
        importlib.import_module(f"legged_gym.{name}")
    importlib.import_module("legged_gym.sim.mujoco.simulator")
startup.ends()
