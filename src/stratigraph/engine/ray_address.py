"""Whether a Ray cluster answers at an address, asked before Ray is: ten seconds at most.

Ray itself would try for minutes where something else answers, for ever where a socket is silent,
and print its own log. What says that it is one is its head, called as each of its own programs
calls it: over gRPC, which is HTTP/2 (RFC 9113), by a method that every head has. A few frames do,
so that nothing has to be installed which a plain Ray does not bring.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator

from stratigraph.errors import ConfigError

__all__ = ["CONNECT_SECONDS", "check_address"]

CONNECT_SECONDS = 5.0
ASK_SECONDS = 5.0
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
METHOD = b"/ray.rpc.NodeInfoGcsService/CheckAlive"
DATA, HEADERS, SETTINGS, GOAWAY = 0, 1, 4, 7  # kinds of frames
END_STREAM, END_HEADERS = 1, 4


def check_address(address: str) -> None:
    """Refuse a place where no head of a Ray cluster answers.

    Raises:
        ConfigError: none does.

    """
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    # A connection that is encrypted, or asks for a secret, is Ray's to make.
    hidden = {"RAY_USE_TLS", "RAY_AUTH_MODE"} & os.environ.keys()
    if address in ("auto", "local") or not colon or hidden:
        return
    try:
        place = host.strip("[]"), int(port)
        with socket.create_connection(place, timeout=CONNECT_SECONDS) as connection:
            # Ray's client has its own door, with other methods.
            _ask(connection, address, b"" if address.startswith("ray://") else METHOD)
    except (OSError, ValueError, OverflowError) as error:
        raise ConfigError(
            f"--address: nothing answers at {address} ({error}); expected auto, or the HOST:PORT "
            "that `ray start --head` printed."
        ) from None


def _ask(connection: socket.socket, address: str, method: bytes) -> None:
    """Call a method without arguments; without one, see that HTTP/2 is spoken.

    Raises:
        ValueError: what answers has no such method, or does not speak so.
        OSError: nothing answers in time.

    """
    asked = PREFACE + _frame(SETTINGS, 0, 0, b"")
    if method:
        asked += _frame(HEADERS, END_HEADERS, 1, _headers(method, address.encode()))
        asked += _frame(DATA, END_STREAM, 1, bytes(5))  # not compressed, no bytes
    connection.sendall(asked)
    for number, (kind, flags, stream) in enumerate(_frames(connection)):
        if not number and kind != SETTINGS:
            break
        if not method or (kind, stream) == (DATA, 1):
            return
        if kind == GOAWAY or (kind == HEADERS and flags & END_STREAM):
            break  # an answer without a body is a refusal
    raise ValueError("what answers is not a cluster")


def _frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return len(payload).to_bytes(3) + bytes([kind, flags]) + stream.to_bytes(4) + payload


def _headers(method: bytes, authority: bytes) -> bytes:
    """The headers of a gRPC call, by HPACK's fixed table where it has them (RFC 7541)."""

    def text(value: bytes) -> bytes:
        return bytes([min(len(value), 126)]) + value[:126]

    post, http = b"\x83", b"\x86"
    path, host = b"\x04" + text(method), b"\x01" + text(authority)
    kind, trailers = (
        b"\x0f\x10" + text(b"application/grpc"),
        b"\0" + text(b"te") + text(b"trailers"),
    )
    return post + http + path + host + kind + trailers


def _frames(connection: socket.socket) -> Iterator[tuple[int, int, int]]:
    """Kind, flags and stream of each frame that comes within the time."""
    until = time.monotonic() + ASK_SECONDS

    def read(count: int) -> bytes:
        found = b""
        while len(found) < count:
            connection.settimeout(max(until - time.monotonic(), 1e-3))
            more = connection.recv(min(count - len(found), 65536))
            if not more:
                raise ValueError("what answers is not a cluster")
            found += more
        return found

    while True:
        head = read(9)
        read(int.from_bytes(head[:3]))
        yield head[3], head[4], int.from_bytes(head[5:])
