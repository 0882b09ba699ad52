"""The conversation between a simulator's process and the trainer's: requests, replies, and how they travel.

A message is a header and a JSON object. The trainer asks, the worker answers with the number of the request; bulk data
does not come this way, see `memory`. Python 3.8, standard library only.
"""

from __future__ import annotations

import enum
import json
import socket
import struct
import time
from typing import Any, NamedTuple

VERSION = 3
"""Of this conversation; both ends must have the same."""

_MAGIC = b"LGYM"
_HEADER = struct.Struct("<4sHHQI")
"""Magic, version, kind of message, number of the request, bytes of the payload."""
MAX_PAYLOAD = 64 * 2**20
"""[bytes]"""


PLACEMENT = ("root_pos_w", "root_quat_xyzw", "root_lin_vel_w", "root_ang_vel_w", "joint_pos", "joint_vel")
"""The fields of the simulators' `Placement`, which a worker of another Python cannot import."""
BODY_PARAMETERS = ("base_mass_added", "base_com_offset", "link_mass_scale", "link_inertia_scale", "armature")
"""The parameters that change masses, inertias, rotors or centres of mass."""


class Request(enum.IntEnum):
    """What the trainer may ask. The payloads are built in `simulator` and read in `serve`."""

    HELLO = 1
    """Who are you? The first request. Answers versions; an import that failed is answered here."""
    BUILD = 2
    """Build a simulator around shared memory; takes as long as it takes."""
    STEP = 3
    """Take over parameters, resets and pushes, then advance a policy step and write the state: one round trip."""
    STEP_ENGINE = 4
    """Take over the same, advance the engine, and write nothing."""
    COUNT_OVERFLOWS = 5
    """Count what the engine ran out of."""
    RELEASE = 6
    """Free the simulator; another may be built. The worker ends when the trainer closes the connection."""
    TAKE = 7
    """Take over parameters, resets and pushes only: the trainer goes on meanwhile, and asks for the step later."""


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
    """The engine's own objection to what was asked, meant for the user."""
    BROKEN = "broken"
    """Anything else; the worker has printed a traceback."""


class Message(NamedTuple):
    """A request or a reply."""

    kind: int
    number: int
    payload: dict[str, Any]


class ProtocolError(Exception):
    """What came is not of this conversation, or not of this version of it."""


class Closed(Exception):
    """The other end is gone."""


class Channel:
    """One end of the conversation, over a connected stream socket."""

    def __init__(self, connection: socket.socket) -> None:
        """Take over a socket."""
        self._connection = connection

    def send(self, kind: int, number: int, payload: dict[str, Any] | None = None, timeout: float | None = None) -> None:
        """Send a message.

        Args:
            kind: A `Request` or a `Reply`.
            number: Number of the request.
            payload: What belongs to it.
            timeout: Longest wait for the other end to read [s]; None waits for ever.

        Raises:
            Closed: The other end is gone.
            TimeoutError: It did not read in time.
        """
        body = json.dumps(payload).encode() if payload else b""
        self._connection.settimeout(timeout)
        try:
            self._connection.sendall(_HEADER.pack(_MAGIC, VERSION, int(kind), number, len(body)) + body)
        except socket.timeout as error:  # not yet TimeoutError in Python 3.8
            raise TimeoutError from error
        except OSError as error:
            raise Closed(str(error)) from error

    def receive(self, timeout: float | None = None) -> Message:
        """Wait for a message.

        Args:
            timeout: Longest wait for all of it [s]; None waits for ever.

        Raises:
            Closed: The other end is gone.
            ProtocolError: What came is no message of this version.
            TimeoutError: It did not come in time.
        """
        due = None if timeout is None else time.monotonic() + timeout
        magic, version, kind, number, size = _HEADER.unpack(self._read(_HEADER.size, due))
        if magic != _MAGIC:
            raise ProtocolError(f"got {magic!r}, which is no message")
        if version != VERSION:
            raise ProtocolError(f"the other end speaks version {version}, this one {VERSION}")
        if size > MAX_PAYLOAD:
            raise ProtocolError(f"got a message of {size} bytes, {MAX_PAYLOAD} are allowed")
        try:
            payload = json.loads(self._read(size, due)) if size else {}
        except ValueError as error:
            raise ProtocolError(f"got a payload that is no JSON: {error}") from error
        if not isinstance(payload, dict):
            raise ProtocolError(f"got a payload of type {type(payload).__name__}, expected an object")
        return Message(kind, number, payload)

    def _read(self, size: int, due: float | None) -> bytes:
        parts = []
        while size:
            if due is None:
                self._connection.settimeout(None)
            else:
                left = due - time.monotonic()
                if left <= 0.0:
                    raise TimeoutError
                self._connection.settimeout(left)
            try:
                part = self._connection.recv(size)
            except socket.timeout as error:  # not yet TimeoutError in Python 3.8
                raise TimeoutError from error
            except OSError as error:
                raise Closed(str(error)) from error
            if not part:
                raise Closed("end of the stream")
            parts.append(part)
            size -= len(part)
        return b"".join(parts)

    def send_descriptor(self, descriptor: int) -> None:
        """Send an open file along; the other end must be waiting for one.

        Raises:
            Closed: The other end is gone.
        """
        rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, struct.pack("@i", descriptor))
        try:
            self._connection.sendmsg([b"d"], [rights])
        except OSError as error:
            raise Closed(str(error)) from error

    def receive_descriptor(self) -> int:
        """Wait for an open file.

        Raises:
            Closed: The other end is gone.
            ProtocolError: Something else came.
        """
        self._connection.settimeout(None)
        data, rights, _, _ = self._connection.recvmsg(1, socket.CMSG_SPACE(struct.calcsize("@i")))
        if not data:
            raise Closed("end of the stream")
        if not rights:
            raise ProtocolError(f"got {data!r}, expected an open file")
        return int(struct.unpack("@i", rights[0][2])[0])

    def close(self) -> None:
        """Close this end."""
        self._connection.close()
