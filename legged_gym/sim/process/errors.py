"""Errors of a worker, each with its remedy. All are one line for the user."""

from legged_gym.sim.process.protocol import Failure
from legged_gym.utils.errors import UserError


class WorkerError(UserError):
    """The simulator's process could not do what it was asked."""


class WorkerLost(WorkerError):
    """The worker is gone, or has been ended; another one could take over."""


class WorkerDied(WorkerLost):
    """The worker's process ended."""


class WorkerHung(WorkerLost):
    """The worker did not answer in time and was killed."""


class ProtocolMismatch(WorkerError):
    """The worker speaks another version of the protocol."""


class InterpreterMissing(WorkerError):
    """The worker's Python is missing, or cannot run it."""


class LibPythonMissing(WorkerError):
    """The worker's Python or its engine does not find libpython."""


class MemoryNotShared(WorkerError):
    """The device's memory cannot be shared with another process."""


class EngineMissing(WorkerError):
    """The engine is not installed in the worker's Python."""


class PackageMissing(WorkerError):
    """A package that the worker needs is not installed in its Python."""


class RequestRefused(WorkerError):
    """The engine refuses the request."""


class WorkerBroken(WorkerError):
    """An error in the worker; its traceback is on stderr."""


FAILURES: dict[Failure, type[WorkerError]] = {
    Failure.NO_ENGINE: EngineMissing,
    Failure.NO_LIBPYTHON: LibPythonMissing,
    Failure.NO_PACKAGE: PackageMissing,
    Failure.NO_SUCH_REQUEST: ProtocolMismatch,
    Failure.REFUSED: RequestRefused,
    Failure.BROKEN: WorkerBroken,
}
"""The error for each way in which a worker reports a failure."""

REMEDIES: dict[type[WorkerError], str] = {
    WorkerDied: "if memory ran out, take fewer robots (--num_envs); --env.sim.process.restarts=N lets training go on"
    " with a new worker",
    WorkerHung: "if it was only slow, raise --env.sim.process.timeout (.start_timeout, if it was at its first step);"
    " --env.sim.process.restarts=N lets training go on with a new worker",
    ProtocolMismatch: "both ends must come from one version of this package: check that no older copy is on the path",
}
"""Remedies that do not depend on the engine."""
