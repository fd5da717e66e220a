"""What answers at an address and is no cluster: one error, within the seconds promised."""

from __future__ import annotations

import socket
import threading
import time

import pytest

from stratigraph.engine import ray_address
from stratigraph.engine.ray_address import HEADERS, SETTINGS, check_address
from stratigraph.errors import ConfigError

HELLO = bytes([0, 0, 0, SETTINGS, 0, 0, 0, 0, 0])
REFUSAL = bytes([0, 0, 1, HEADERS, 5, 0, 0, 0, 1, 0x88])  # of a method that is not known: no body
ANSWER = bytes([0, 0, 1, HEADERS, 4, 0, 0, 0, 1, 0x88, 0, 0, 5, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0])


@pytest.fixture
def answering(monkeypatch):
    """The address of a server that says some bytes to whoever comes, and then keeps silent."""
    monkeypatch.setattr(ray_address, "ASK_SECONDS", 0.3)
    listening = socket.create_server(("127.0.0.1", 0))
    held = []

    def start(said: bytes) -> str:
        def serve() -> None:
            connection, _ = listening.accept()
            held.append(connection)
            connection.recv(65536)
            connection.sendall(said)

        threading.Thread(target=serve, daemon=True).start()
        return f"127.0.0.1:{listening.getsockname()[1]}"

    yield start
    for connection in (*held, listening):
        connection.close()


@pytest.mark.parametrize(
    "said",
    [b"", b"HTTP/1.1 400 Bad Request\r\n\r\n", HELLO, HELLO + REFUSAL, HELLO[:5], b"\xff" * 9],
    ids=["silent", "http", "http2", "another grpc", "cut", "noise"],
)
def test_what_is_no_cluster_is_told(answering, said):
    address, began = answering(said), time.monotonic()
    with pytest.raises(ConfigError, match=rf"^--address: nothing answers at {address} \("):
        check_address(address)
    assert time.monotonic() - began < 2


def test_another_grpc_server_is_told():
    grpc = pytest.importorskip("grpc")
    from concurrent.futures import ThreadPoolExecutor

    server = grpc.server(ThreadPoolExecutor(1))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        with pytest.raises(ConfigError, match="what answers is not a cluster"):
            check_address(f"127.0.0.1:{port}")
    finally:
        server.stop(None)


def test_a_head_is_known_by_its_answer(answering):
    check_address(answering(HELLO + ANSWER))


def test_a_door_for_clients_need_only_speak_http_2(answering):
    check_address(f"ray://{answering(HELLO)}")


@pytest.mark.parametrize("name", ["RAY_USE_TLS", "RAY_AUTH_MODE"])
def test_a_cluster_with_secrets_is_rays_to_ask(name, monkeypatch):
    monkeypatch.setenv(name, "1")
    check_address("127.0.0.1:1")
