"""Stands in for Isaac Gym in the tests: the part of its interface that our worker uses, on MuJoCo. Python 3.8.

Names, argument orders, shapes, dtypes and the order of calls are Isaac Gym's, and it is stricter: where Isaac Gym
prints an error and goes on, this raises. Environment variables change what is written down nowhere, or is of use to a
test:
STANDIN_VELOCITY=origin|com, the point whose velocity states give; STANDIN_REVERSED=1, another order of the links;
STANDIN_RECORD=FILE, where all parameters are written.
"""

import sys

__version__ = "stand-in"

if "torch" in sys.modules:
    raise ImportError("PyTorch was imported before isaacgym modules.  Please import torch after isaacgym modules.")
