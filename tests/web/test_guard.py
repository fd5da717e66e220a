"""Who may ask the page: hosts, methods, tokens, paths, sizes, slowness."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from contextlib import ExitStack, contextmanager, suppress

import pytest
import uvicorn

from stratigraph.errors import BusyError, ConfigError
from stratigraph.web import serve, server
from stratigraph.web.app import make_app
from stratigraph.web.guard import HEADERS, host_name
from stratigraph.web.server import bind

from .conftest import start, stop

FOREIGN = [
    "evil.example", "evil.example:{port}", "127.0.0.1.evil.example", "localhost.evil.example",
    "evil.example:80@127.0.0.1", "127.0.0.1@evil.example", "127.0.0.1, evil.example",
    "evil.example, 127.0.0.1", "10.0.0.1:{port}", "0.0.0.0:{port}", "127.1:{port}", "2130706433",
    "0x7f000001", "[::ffff:7f00:1]", "[::1", "127.0.0.1:99999", "127.0.0.1:port", "", "..", "/",
]  # fmt: skip
METHODS = ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"]


def _status(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])


def test_a_foreign_host_gets_nothing_by_any_method(served):
    refused = 0
    for host in FOREIGN:
        for method in METHODS:
            line = f"{method} /api/overview HTTP/1.1\r\n"
            head = f"Host: {host.format(port=served.port)}\r\nConnection: close\r\n\r\n"
            answer = served.raw((line + head).encode())
            assert _status(answer) in (400, 421), (host, method, answer[:80])
            assert b"tiny" not in answer
            refused += 1
    assert refused == len(FOREIGN) * len(METHODS) == 140


@pytest.mark.parametrize("head", ["", "Host: localhost\r\nHost: evil.example\r\n"])
def test_a_missing_or_second_host_is_refused(served, head):
    answer = served.raw(f"GET / HTTP/1.1\r\n{head}Connection: close\r\n\r\n".encode())
    assert _status(answer) in (400, 421)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.1:{port}", "localhost:9000", "LOCALHOST"])
def test_this_machine_may_be_asked_by_its_names_and_through_tunnels(served, host):
    line = f"GET / HTTP/1.1\r\nHost: {host.format(port=served.port)}\r\nConnection: close\r\n\r\n"
    assert _status(served.raw(line.encode())) == 200


@pytest.mark.parametrize("method", METHODS[2:])
def test_nothing_can_be_changed(served, method):
    head = f"{method} /api/overview HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\n\r\nabcd"
    answer = served.raw(head.encode())
    assert _status(answer) == 405
    assert b"allow: GET, HEAD" in answer


def test_no_path_leaves_the_page(served):
    ups = [
        "../", "..%2f", "%2e%2e/", "%2e%2e%2f", "..\\", "..%5c", "%252e%252e%252f", "..%c0%af",
        "%c0%ae%c0%ae/", "....//", "..;/", "..%00/",
    ]  # fmt: skip
    run = next(iter((served.path / "runs").iterdir())).name
    targets = [
        "etc/passwd", "proc/self/environ", "study.yaml", "findings.json", f"runs/{run}/config.json",
    ]  # fmt: skip
    secrets = [b"root:", b"PATH=", b"beta_vae", b'"estimates"', b'"batch_size"']
    asked = 0
    for up in ups:
        for depth in range(1, 7):
            for target in targets:
                for base in ("/static/", "/api/", "/"):
                    line = f"GET {base}{up * depth}{target} HTTP/1.1\r\n"
                    answer = served.raw(
                        (line + "Host: localhost\r\nConnection: close\r\n\r\n").encode()
                    )
                    assert _status(answer) in (400, 404), (line, answer[:100])
                    assert not any(secret in answer for secret in secrets), line
                asked += 1
    assert asked == 360


def test_every_answer_tells_the_browser_what_it_may_do(served):
    for path in ("/", "/static/main.js", "/api/overview", "/api/nothing", "/nowhere"):
        _, headers, _ = served.get(path)
        for name, value in HEADERS.items():
            assert headers[name] == value
        assert "access-control-allow-origin" not in headers
    assert "unsafe-inline" not in HEADERS["content-security-policy"]


def test_long_queries_and_heads_are_refused_and_the_page_stays(served):
    status, _, body = served.get(f"/api/heat?y_runs={'a' * 9000}")
    assert status == 414
    assert b"8192" in body
    many = "".join(f"X-{i}: {'a' * 1000}\r\n" for i in range(200))
    answer = served.raw(f"GET / HTTP/1.1\r\nHost: localhost\r\n{many}\r\n".encode())
    assert not answer or _status(answer) in (400, 431)  # or the connection was reset
    assert served.get("/")[0] == 200


@pytest.mark.parametrize("size", [33_000, 60_000, 200_000])
@pytest.mark.parametrize("many", [True, False])
def test_a_head_over_the_limit_is_refused_though_it_comes_in_one_piece(served, size, many):
    """The parser measures heads that are not whole yet; 60 KB may come whole at once."""
    lines = "".join(f"X-{i}: {'a' * 90}\r\n" for i in range(size // 100))
    head = lines if many else f"X: {'a' * size}\r\n"
    answer = served.raw(f"GET /api/overview HTTP/1.1\r\nHost: localhost\r\n{head}\r\n".encode())
    assert not answer or _status(answer) in (400, 431)
    assert b"tiny" not in answer
    assert served.get("/", **{"X-Small": "a" * 30_000})[0] == 200


@pytest.mark.parametrize("line", ["Content-Length: 5", "Transfer-Encoding: chunked"])
def test_a_request_with_a_body_is_refused(served, line):
    request = f"GET /api/overview HTTP/1.1\r\nHost: localhost\r\n{line}\r\n\r\nhello"
    answer = served.raw(request.encode())
    assert _status(answer) in (400, 413)
    assert answer.count(b"HTTP/1.1") == 1


@contextmanager
def serving(app):
    """The page in a thread of this process; the port that it listens on."""
    config = uvicorn.Config(
        app, http=server._Patient, lifespan="off", log_level="warning",
        limit_concurrency=server.MOST_CONNECTIONS,
    )  # fmt: skip
    running = uvicorn.Server(config)
    listening = bind("127.0.0.1", 0)
    thread = threading.Thread(
        target=lambda: asyncio.run(running.serve(sockets=[listening])), daemon=True
    )
    thread.start()
    try:
        yield listening.getsockname()[1]
    finally:
        running.should_exit = True
        thread.join(20)
        assert not thread.is_alive()


def ask(connection: socket.socket, more: str = "") -> bytes:
    """The start of what a connection is answered."""
    head = f"HEAD /static/icon.svg HTTP/1.1\r\nHost: localhost\r\n{more}\r\n"
    connection.sendall(head.encode())
    return connection.recv(65536)


def test_sockets_without_a_token_hold_nobody(tiny_study):
    """400 that say nothing, say half of something, or have no token: who has one is answered."""
    with serving(make_app(tiny_study.path, TOKEN)) as port, ExitStack() as opened:

        def connect() -> socket.socket:
            return opened.enter_context(socket.create_connection(("127.0.0.1", port), timeout=20))

        key = f"Authorization: Bearer {TOKEN}\r\n"
        friend = connect()
        assert ask(friend, key).startswith(b"HTTP/1.1 200")
        began = time.monotonic()
        for index in range(400):
            stranger = connect()
            with suppress(OSError):
                if index % 3 == 1:
                    stranger.sendall(b"GET / HTTP/1.1\r\nHost: local")
                elif index % 3 == 2:
                    assert ask(stranger).startswith((b"HTTP/1.1 401", b"HTTP/1.1 503"))
        assert ask(connect(), key).startswith(b"HTTP/1.1 200")
        assert ask(friend, key).startswith(b"HTTP/1.1 200")  # it was not let go
        assert time.monotonic() - began < server.PATIENCE


def test_a_request_that_never_ends_is_let_go(tiny_study, monkeypatch):
    monkeypatch.setattr(server, "PATIENCE", 0.3)
    with serving(make_app(tiny_study.path)) as port:
        _are_let_go(port)


def _are_let_go(port: int) -> None:
    slow = socket.create_connection(("127.0.0.1", port), timeout=20)
    slow.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow: ")
    silent = socket.create_connection(("127.0.0.1", port), timeout=20)
    began = time.monotonic()
    assert slow.recv(100) == b""
    assert silent.recv(100) == b""
    assert time.monotonic() - began < 15
    # Nor may one that has been answered drip its next request.
    dripping = socket.create_connection(("127.0.0.1", port), timeout=20)
    dripping.sendall(b"GET /static/icon.svg HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert dripping.recv(65536).startswith(b"HTTP/1.1 200")
    began = time.monotonic()
    dripping.settimeout(0.05)
    closed = False
    while not closed and time.monotonic() - began < 15:
        try:
            dripping.sendall(b"G")
            closed = dripping.recv(100) == b""
        except TimeoutError:
            continue
        except OSError:
            closed = True
    assert closed
    dripping.close()
    patient = socket.create_connection(("127.0.0.1", port), timeout=20)
    patient.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    assert patient.recv(100).startswith(b"HTTP/1.1 200")
    for connection in (slow, silent, patient):
        connection.close()


TOKEN = "a-token-for-the-tests"


def test_with_a_token_nothing_is_shown_without_it(tiny_study):
    process, page = start(tiny_study.path, "--host", "0.0.0.0", "--token", TOKEN)
    try:
        assert page.address.endswith(f"?token={TOKEN}")
        base = page.address.split("?")[0]
        plain = type(page)(base, page.path, page.pid)
        for path in ("/", "/static/main.js", "/api/overview", "/?token=wrong", "/?token="):
            status, headers, body = plain.get(path)
            assert status == 401
            assert b"token" in body
            assert b"tiny" not in body
            assert headers["www-authenticate"] == 'Bearer realm="stratigraph"'
        for told in (TOKEN, f"Basic {TOKEN}", f"Bearer  {TOKEN}", f"Bearer{TOKEN}", "Bearer"):
            assert plain.get("/api/overview", Authorization=told)[0] == 401
        assert plain.get("/api/overview", Authorization=f"bearer {TOKEN}")[0] == 200
        assert plain.get("/api/overview", Authorization=f"Bearer {TOKEN}")[0] == 200
        assert plain.get("/api/overview", Authorization="Bearer wrong")[0] == 401
        answer = plain.raw(
            f"GET /?token={TOKEN} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode()
        ).decode()
        assert " 303 " in answer.splitlines()[0]
        assert "location: /\r\n" in answer  # without the token
        deep = f"GET /heat?y_step=last&token={TOKEN} HTTP/1.1\r\nHost: localhost\r\n"
        deep = plain.raw(f"{deep}Connection: close\r\n\r\n".encode()).decode()
        assert "location: /heat?y_step=last\r\n" in deep
        cookie = next(
            line.split(": ", 1)[1] for line in answer.splitlines() if line.startswith("set-cookie")
        )
        assert "HttpOnly" in cookie
        assert TOKEN not in cookie
        assert plain.get("/api/overview", Cookie=cookie.split(";")[0])[0] == 200
        name = cookie.split("=")[0]  # of this page's own: another's token does not displace it
        assert name.startswith("stratigraph-")
        assert plain.get("/api/overview", Cookie=f"{name}=wrong")[0] == 401
        assert plain.get("/api/overview", Cookie=f'{name}="')[0] == 401
    finally:
        assert stop(process) == 0


@pytest.mark.parametrize(
    ("given", "error", "said"),
    [
        ({"host": "0.0.0.0"}, ConfigError, "--token"),
        ({"host": "::"}, ConfigError, "--token"),
        ({"host": "192.0.2.7"}, ConfigError, "--token"),
        ({"host": "0.0.0.0", "token": "short"}, ConfigError, "16"),
        ({"token": "with spaces in it, quite long"}, ConfigError, "without spaces"),
        ({"port": 70000}, ConfigError, "70000"),
        ({"port": -1}, ConfigError, "-1"),
        ({"host": "no.such.host.invalid", "token": TOKEN}, ConfigError, "not an address"),
        ({"host": "192.0.2.7", "token": TOKEN, "port": 0}, ConfigError, "not an address"),
    ],
)
def test_what_cannot_be_served_says_why(tiny_study, given, error, said):
    with pytest.raises(error, match=said):
        serve(tiny_study.path, **given)


def test_a_port_in_use_is_busy(tiny_study):
    with bind("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(BusyError, match=f"{port} on 127.0.0.1 is in use"):
            serve(tiny_study.path, port=port)


@pytest.mark.parametrize(
    ("header", "name"),
    [
        ("localhost", "localhost"), ("LocalHost:80", "localhost"), ("[::1]:80", "::1"),
        ("[::1]", "::1"), ("127.0.0.1:", None), ("[::1]80", None), ("a:b:c", None), ("", None),
        (":80", None), ("host:65536", None), ("host:٣", None),
    ],
)  # fmt: skip
def test_the_name_in_a_host_header(header, name):
    assert host_name(header) == name
