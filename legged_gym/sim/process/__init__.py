"""A simulator in a process of its own: the conversation, the shared memory, and both ends of them.

`protocol`, `memory` and `serve` are also read by the interpreter of Isaac Gym: Python 3.8, standard library, numpy and
torch, and nothing of this package but each other.
"""
