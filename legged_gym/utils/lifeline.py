"""Tells processes that work together at once when one of them ends: a collective would wait for it for ever.

Every rank holds a connection to the first one. The kernel closes the connections of a process that ends,
however it ends. Keep-alive packets, which a busy process answers, too, detect a machine that goes down. A process that
ends by itself first says why: its last words are one line.
"""

import json
import os
import secrets
import selectors
import signal
import socket
import sys
import threading
import time
from typing import Any

from legged_gym.utils.errors import UserError
from legged_gym.utils.signals import WATCH

GRACE = 2.0
"""Time that a process has to end by itself once another one is lost [s]; then it is ended."""
CONNECT_TIMEOUT = 300.0
"""Time that the ranks have to come together [s]: one may have kernels to compile before."""
EXIT_CODE = 2
_IN_ORDER = ""
"""Last words of a process that leaves when all leave."""
_DIED = "has died: the others end, too; the last checkpoint is whole, go on from it with --resume"
_KEEPALIVE = {"TCP_KEEPIDLE": 3, "TCP_KEEPINTVL": 1, "TCP_KEEPCNT": 4}
"""Silence before a packet, between packets [s], and how many may stay unanswered; not all systems have all."""


class Lifeline:
    """The connections of one process, and the thread that listens to them."""

    def __init__(self, store: Any, rank: int, size: int, host: str) -> None:
        """Connect all ranks.

        Args:
            store: The first rank publishes its address here; a `torch.distributed.Store`.
            rank: Rank of this process.
            size: Number of ranks.
            host: Host of the first rank, as the others reach it.

        Raises:
            UserError: The first rank cannot be reached, or another one does not come.
        """
        self.rank = rank
        self.lost: str | None = None
        """The rank that was lost, and why."""
        self.speaks = rank == 0
        """This process tells the user of a loss."""
        self._leaving, self._news = False, threading.Event()
        self._parent: int | None = os.getppid()
        self._peers = _accept(store, size) if rank == 0 else {0: _connect(store, rank, host)}
        threading.Thread(target=self._listen, name="lifeline", daemon=True).start()

    def leave(self) -> None:
        """Announce that from now on others may leave, as this one is about to."""
        self._leaving = True

    def say(self, words: str = _IN_ORDER) -> None:
        """Leave, with last words on one line."""
        self._leaving = True
        self._send({"rank": self.rank, "words": words})

    def wait_for_loss(self, seconds: float) -> str | None:
        """Return the rank that was lost and why, after waiting for the news; None if none was lost."""
        self._news.wait(seconds)
        return self.lost

    def _send(self, message: dict[str, Any]) -> None:
        for peer in self._peers.values():
            try:
                peer.sendall(json.dumps(message).encode() + b"\n")
            except OSError:  # it has gone as well
                continue

    def _listen(self) -> None:
        """Wait for the end of a connection; if it comes out of order, this process has `GRACE` to end."""
        with selectors.DefaultSelector() as selector:
            for rank, peer in self._peers.items():
                selector.register(peer, selectors.EVENT_READ, rank)
            while selector.get_map():
                self._stop_if_orphaned()
                for key, _ in selector.select(timeout=1.0):
                    selector.unregister(key.fileobj)
                    message = _read(key.fileobj)
                    if message is None and not self._leaving:
                        self.speaks |= self.rank == 1  # the first one is dead and cannot
                        message = {"rank": key.data, "words": _DIED}
                    if message is not None and message["words"] != _IN_ORDER:
                        self._lose(message)
                        return

    def _stop_if_orphaned(self) -> None:
        """Stop as at a signal once torchrun has died, for nothing else would stop this process."""
        if self._parent is not None and os.getppid() != self._parent:
            self._parent = None
            os.kill(os.getpid(), signal.SIGTERM)

    def _lose(self, message: dict[str, Any]) -> None:
        WATCH.end()  # torchrun sends the others a signal, too, of which there is nothing to say
        self.lost = f"rank {message['rank']} {message['words']}"
        self._news.set()
        if self.rank == 0:
            self._send(message)
        time.sleep(GRACE)
        end(self.lost if self.speaks else None)


def end(words: str | None) -> None:
    """End this process whatever it is doing, with a line if there are words."""
    if words is not None:
        os.write(2, f"error: {words}\n".encode())
    os._exit(EXIT_CODE)


def end_within(seconds: float, code: int) -> threading.Timer:
    """End this process if it still runs in a while: the rest of a collective may hold it up.

    Returns:
        A function that calls it off.
    """
    sys.stdout.flush()
    timer = threading.Timer(seconds, os._exit, (code,))
    timer.daemon = True
    timer.start()
    return timer


def _accept(store: Any, size: int) -> dict[int, socket.socket]:
    """Wait for all other ranks; returns their connections by rank."""
    token = secrets.token_hex(8)
    peers: dict[int, socket.socket] = {}
    dual = socket.has_dualstack_ipv6()
    family = socket.AF_INET6 if dual else socket.AF_INET
    with socket.create_server(("", 0), family=family, dualstack_ipv6=dual, backlog=size) as server:
        store.set("lifeline", json.dumps([server.getsockname()[1], token]))
        server.settimeout(CONNECT_TIMEOUT)
        while len(peers) < size - 1:
            try:
                peer, _ = server.accept()
            except TimeoutError:
                missing = ", ".join(str(rank) for rank in range(1, size) if rank not in peers)
                raise UserError(
                    f"no word from rank {missing} in {CONNECT_TIMEOUT:.0f} s: have all been started?"
                ) from None
            peer.settimeout(GRACE)
            greeting = _read(peer)
            if greeting is not None and greeting.get("token") == token:  # not a stranger
                _keep_alive(peer)
                peers[greeting["rank"]] = peer
    return peers


def _connect(store: Any, rank: int, host: str) -> socket.socket:
    port, token = json.loads(store.get("lifeline"))
    try:
        peer = socket.create_connection((host, port), CONNECT_TIMEOUT)
    except OSError as error:
        raise UserError(f"rank 0 cannot be reached at {host}, port {port} ({error.strerror or error})") from None
    _keep_alive(peer)
    peer.sendall(json.dumps({"rank": rank, "token": token}).encode() + b"\n")
    return peer


def _keep_alive(peer: socket.socket) -> None:
    peer.settimeout(None)
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _KEEPALIVE.items():
        if hasattr(socket, name):
            peer.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


def _read(peer: Any) -> dict[str, Any] | None:
    """Read a line; None if the connection has ended without one."""
    try:
        with peer.makefile("rb", buffering=0) as stream:  # takes no more than the line
            line = stream.readline()
        return json.loads(line) if line.endswith(b"\n") else None
    except (OSError, ValueError):
        return None
