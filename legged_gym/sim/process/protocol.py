"""The protocol between a simulator's process and the trainer's: requests, replies, and how they travel.

A message is a header and a JSON object. The trainer asks, the worker answers with the number of the request; bulk data
does not come this way, see `memory`. Python 3.8, standard library only.
"""

from __future__ import annotations

import enum
import json
import os
import socket
import struct
from multiprocessing import reduction
from multiprocessing.connection import Connection
from typing import Any, NamedTuple

VERSION = 4
"""Version of this protocol; both ends must have the same."""
_MAGIC = b"LGYM"
_HEADER = struct.Struct("<4sHHQ")
"""Magic, version, kind of message, number of the request."""
MAX_SIZE = 64 * 2**20
"""Longest message [bytes]: a larger length means that the bytes are no message."""
PLACEMENT = ("root_pos_w", "root_quat_xyzw", "root_lin_vel_w", "root_ang_vel_w", "joint_pos", "joint_vel")
"""The fields of the simulators' `Placement`, which a worker of another Python cannot import."""
BODY_PARAMETERS = ("base_mass_added", "base_com_offset", "link_mass_scale", "link_inertia_scale", "armature")
"""The parameters that change masses, inertias, rotors or centres of mass."""


class Request(enum.IntEnum):
    """Requests of the trainer. The payloads are built in `simulator` and read in `serve`."""

    HELLO = 1
    """The first request. The reply has the worker's versions, or says which import failed."""
    BUILD = 2
    """Build a simulator around shared memory; has a timeout of its own."""
    STEP = 3
    """Apply parameters, resets and pushes, then advance a policy step and write the state: one round trip."""
    STEP_ENGINE = 4
    """Apply the same, advance the engine, and write nothing."""
    COUNT_OVERFLOWS = 5
    """Count overflows of the engine's buffers."""
    RELEASE = 6
    """Free the simulator; another may be built. The worker ends when the trainer closes the connection."""
    APPLY = 7
    """Apply parameters, resets and pushes only: the trainer goes on meanwhile, and requests the step later."""


class Reply(enum.IntEnum):
    """How a request ended."""

    DONE = 100
    FAILED = 101
    """The payload has `failure`, one of `Failure`, and `text`."""


class Failure(str, enum.Enum):
    """Why a request failed."""

    NO_ENGINE = "no_engine"
    """The engine's package is not installed in the worker's interpreter."""
    NO_LIBPYTHON = "no_libpython"
    """The engine's library does not find libpython."""
    NO_PACKAGE = "no_package"
    """numpy or torch is missing or cannot be imported."""
    NO_SUCH_REQUEST = "no_such_request"
    """This worker does not serve such a request."""
    REFUSED = "refused"
    """The engine refused the request; the text is meant for the user."""
    BROKEN = "broken"
    """Anything else; the worker has printed a traceback."""


class Message(NamedTuple):
    """A request or a reply."""

    kind: int
    number: int
    payload: dict[str, Any]


class ProtocolError(Exception):
    """The bytes received are no message of this protocol's version."""


class Closed(Exception):
    """The other end is gone."""


class Channel:
    """One end of the protocol: messages as bytes over a `multiprocessing` connection.

    Two versions of Python read each other's bytes, but not each other's pickles: none are sent.
    """

    def __init__(self, connection: socket.socket) -> None:
        """Take over a connected stream socket."""
        connection.setblocking(True)
        self._socket = connection
        self._connection = Connection(os.dup(connection.fileno()))
        self._limits: dict[int, float | None] = {socket.SO_SNDTIMEO: None, socket.SO_RCVTIMEO: None}
        """The time-outs in force [s]. Setting one costs half a message, so it is set only when it changes."""

    def send(self, kind: int, number: int, payload: dict[str, Any] | None = None, timeout: float | None = None) -> None:
        """Send a message.

        Args:
            kind: A `Request` or a `Reply`.
            number: Number of the request.
            payload: Its arguments or results.
            timeout: Longest wait for the other end to read on [s]; None waits for ever.

        Raises:
            Closed: The other end is gone.
            TimeoutError: The other end did not read in time.
        """
        body = json.dumps(payload).encode() if payload else b""
        self._limit_wait(socket.SO_SNDTIMEO, timeout)
        try:
            self._connection.send_bytes(_HEADER.pack(_MAGIC, VERSION, int(kind), number) + body)
        except BlockingIOError as error:
            raise TimeoutError from error
        except OSError as error:
            raise Closed(str(error)) from error

    def receive(self, timeout: float | None = None) -> Message:
        """Wait for a message.

        Args:
            timeout: Longest wait for it, or for more of it [s]; None waits for ever.

        Raises:
            Closed: The other end is gone.
            ProtocolError: The bytes received are no message of this version.
            TimeoutError: No message came in time.
        """
        self._limit_wait(socket.SO_RCVTIMEO, timeout)
        try:
            return _parse(self._connection.recv_bytes(MAX_SIZE))
        except BlockingIOError as error:
            raise TimeoutError from error
        except EOFError as error:
            raise Closed("end of the stream") from error
        except OSError as error:
            if not self._connection.readable:  # it has given up on bytes whose length is none
                raise ProtocolError("the bytes received are no message") from error
            raise Closed(str(error)) from error

    def _limit_wait(self, option: int, timeout: float | None) -> None:
        """Let the kernel end a wait: `Connection` itself has a time-out for the first byte of a message only."""
        if self._limits[option] == timeout:
            return
        self._limits[option] = timeout
        microseconds = 0 if timeout is None else max(1, round(1e6 * timeout))  # 0 waits for ever
        self._socket.setsockopt(socket.SOL_SOCKET, option, struct.pack("@ll", *divmod(microseconds, 10**6)))

    def send_descriptor(self, descriptor: int) -> None:
        """Send an open file along; the other end must be waiting for one.

        Raises:
            Closed: The other end is gone.
        """
        try:
            reduction.send_handle(self._connection, descriptor, None)  # Windows asks for whom
        except OSError as error:
            raise Closed(str(error)) from error

    def receive_descriptor(self) -> int:
        """Wait for an open file.

        Raises:
            Closed: The other end is gone.
            ProtocolError: Something else was received.
        """
        self._limit_wait(socket.SO_RCVTIMEO, None)
        try:
            return int(reduction.recv_handle(self._connection))
        except EOFError as error:
            raise Closed("end of the stream") from error
        except RuntimeError as error:
            raise ProtocolError(f"expected an open file: {error}") from error

    def close(self) -> None:
        """Close this end."""
        self._connection.close()
        self._socket.close()


def _parse(data: bytes) -> Message:
    """Read a message, or raise a `ProtocolError`."""
    if len(data) < _HEADER.size or not data.startswith(_MAGIC):
        raise ProtocolError(f"got {data[:4]!r}, which is no message")
    _, version, kind, number = _HEADER.unpack_from(data)
    if version != VERSION:
        raise ProtocolError(f"the other end speaks version {version}, this one {VERSION}")
    try:
        payload = json.loads(data[_HEADER.size :]) if len(data) > _HEADER.size else {}
    except ValueError as error:
        raise ProtocolError(f"got a payload that is no JSON: {error}") from error
    if not isinstance(payload, dict):
        raise ProtocolError(f"got a payload of type {type(payload).__name__}, expected an object")
    return Message(kind, number, payload)
