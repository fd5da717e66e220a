"""Serving the page: on this machine alone, unless a host and a token are given."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import torch
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from stratigraph.errors import BusyError, ConfigError
from stratigraph.values import is_whole
from stratigraph.web.app import make_app
from stratigraph.web.guard import ADMITTED, LARGEST_HEAD

__all__ = ["LOCAL", "bind", "serve"]

LOCAL = ("127.0.0.1", "::1", "localhost")
SHORTEST_TOKEN = 16  # characters
PATIENCE = 10.0  # seconds in which a request must have come whole
IDLE = 15  # seconds that a connection may wait for its next request
MOST_CONNECTIONS = 256
MOST_STRANGERS = 64  # connections of which no request was let in yet


class _Patient(H11Protocol):
    """HTTP/1.1 that closes a connection whose request does not come to its end in time.

    The time of a request begins with its first byte, and no later byte lengthens it. Of connections
    whose requests were never let in, for they are silent or bring no token, there is room for some
    alone: the one that waits longest goes for the next.
    """

    _closing: asyncio.TimerHandle | None = None
    _coming = False
    _known = False

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._since = self.loop.time()
        self._make_room()
        self._begin()

    def _make_room(self) -> None:
        others = [one for one in self.connections if one is not self]
        strangers = [one for one in others if isinstance(one, _Patient) and not one._known]
        if len(strangers) >= MOST_STRANGERS:
            idle = [one for one in strangers if not one._answering()] or strangers
            min(idle, key=lambda one: one._since).transport.abort()

    def data_received(self, data: bytes) -> None:
        if not self._coming:
            self._begin()
        super().data_received(data)

    def on_response_complete(self) -> None:
        # What comes from now on is the next request; until then the server's own patience counts.
        self._coming = False
        self._known = self._known or bool(self.scope.get(ADMITTED))
        self._end()
        super().on_response_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        self._end()
        super().connection_lost(exc)

    def _begin(self) -> None:
        self._end()
        self._coming = True
        self._closing = self.loop.call_later(PATIENCE, self._too_slow)

    def _end(self) -> None:
        if self._closing is not None:
            self._closing.cancel()

    def _too_slow(self) -> None:
        if not self._answering():
            self.transport.close()

    def _answering(self) -> bool:
        """Whether a request has come whole, and its answer has not gone yet."""
        return self.cycle is not None and not self.cycle.response_complete


def bind(host: str, port: int) -> socket.socket:
    """A socket that listens; port 0 is any that is free.

    Raises:
        ConfigError: the port is not between 0 and 65535, or the host is none of this machine's.
        BusyError: the port is in use.

    """
    if not is_whole(port) or not 0 <= port <= 65535:
        raise ConfigError(f"--port: expected a number from 0 (any) to 65535, got {port!r}.")
    try:
        family, kind, *_, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except (OSError, UnicodeError) as error:
        raise ConfigError(
            f"--host: {host!r} is not an address of this machine ({error})."
        ) from error
    listening = socket.socket(family, kind)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind(address)
        listening.listen(128)
    except OSError as error:
        listening.close()
        if isinstance(error, PermissionError):
            raise ConfigError(f"--port: {port} may not be used by this user; try 8000.") from error
        if error.errno == 99:  # EADDRNOTAVAIL
            raise ConfigError(f"--host: {host!r} is not an address of this machine.") from error
        raise BusyError(
            f"--port: {port} on {host} is in use ({error.strerror}); give another, or 0 for any."
        ) from error
    return listening


def serve(
    study: str | Path,
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    token: str | None = None,
    names: Iterable[str] = (),
    trust: bool = False,
    ready: Callable[[str], None] = print,
) -> None:
    """Serve the page of a study until it is interrupted.

    Args:
        study: the study's folder, finished or still in training; nothing is written to it.
        host: the address to listen on; another than this machine's own loopback needs a token.
        port: 0 is any that is free.
        token: what every visitor must bring, at least 16 characters.
        names: other names that the page may be reached by, as behind a proxy.
        trust: run the modules that the study names, whoever made it: the page needs them to draw
            with a network of one's own.
        ready: told the page's address when it can be opened.

    Raises:
        ConfigError: a host without a token, a token too short, a port that is none.
        BusyError: the port is in use.
        DataError: the folder holds no study.

    """
    if token is None and not _is_loopback(host):
        raise ConfigError(
            f"--host {host}: anybody who reaches this machine could read the study; give a "
            f"--token of at least {SHORTEST_TOKEN} characters too, or leave --host out and use an "
            "SSH tunnel."
        )
    if token is not None and not (len(token) >= SHORTEST_TOKEN and token.isascii() and
                                  token.isprintable() and " " not in token):  # fmt: skip
        raise ConfigError(
            f"--token: expected at least {SHORTEST_TOKEN} printable characters without spaces; "
            "`python -c 'import secrets; print(secrets.token_urlsafe())'` makes one."
        )
    app = make_app(Path(study), token, {*names, *([] if _is_wildcard(host) else [host])}, trust)
    listening = bind(host, port)
    torch.set_num_threads(1)
    config = uvicorn.Config(
        app,
        http=_Patient,
        ws="none",
        lifespan="off",
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_keep_alive=IDLE,
        timeout_graceful_shutdown=2,
        limit_concurrency=MOST_CONNECTIONS,
        h11_max_incomplete_event_size=LARGEST_HEAD,
    )
    address = listening.getsockname()
    shown = "127.0.0.1" if _is_wildcard(host) else host
    shown = f"[{shown}]" if ":" in shown else shown
    with listening:
        ready(f"http://{shown}:{address[1]}/" + (f"?token={token}" if token else ""))
        uvicorn.Server(config).run(sockets=[listening])


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _is_wildcard(host: str) -> bool:
    try:
        return host == "" or ipaddress.ip_address(host).is_unspecified
    except ValueError:
        return False
