"""A page that is served by the command, as a user starts it, and what tests ask of it."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import Request, urlopen

import numpy as np
import pytest

FAILED = pytest.StashKey[bool]()


@dataclass(frozen=True)
class Served:
    """The page of a study at an address."""

    address: str
    path: Path
    pid: int

    @property
    def port(self) -> int:
        return int(self.address.split("//")[1].split("/")[0].rsplit(":", 1)[1])

    def get(self, path, **headers):
        """Status, headers and body of a GET."""
        request = Request(self.address.rstrip("/") + path, headers=headers)
        try:
            with urlopen(request, timeout=60) as answer:
                return answer.status, answer.headers, answer.read()
        except HTTPError as error:
            with error:
                return error.code, error.headers, error.read()

    def ask(self, view, **parameters):
        """A view's answer: facts, or facts and an array."""
        status, headers, body = self.get(f"/api/{view}?{urlencode(parameters)}")
        if status != 200:
            return status, json.loads(body)["error"]
        if headers["content-type"] == "application/json":
            return json.loads(body)
        if headers["content-type"] != "application/octet-stream":
            return body
        (length,) = struct.unpack("<I", body[:4])
        facts = json.loads(body[4 : 4 + length])
        return facts, np.frombuffer(body[4 + length :], "<f4").reshape(facts["shape"])

    def raw(self, request: bytes) -> bytes:
        """What comes back for some bytes, until the server has no more to say."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=60) as connection:
            parts = []
            with contextlib.suppress(OSError):  # it may hang up before it has heard all
                connection.sendall(request)
                connection.shutdown(socket.SHUT_WR)
            with contextlib.suppress(OSError):
                while part := connection.recv(65536):
                    parts.append(part)
        return b"".join(parts)


def start(path: Path, *options: str):
    """The command, started; and its page, once it says where that is."""
    process = subprocess.Popen(
        [sys.executable, "-m", "stratigraph", "serve", str(path), "--port", "0", *options],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line.startswith("http://"), line
    return process, Served(line.split()[0], path, process.pid)


def stop(process: subprocess.Popen) -> int:
    process.terminate()
    code = process.wait(timeout=30)
    assert process.stdout is not None
    process.stdout.close()
    return code


@pytest.fixture(scope="session")
def served(tiny_study) -> Iterator[Served]:
    """The page of the tiny study."""
    process, page = start(tiny_study.path)
    yield page
    assert stop(process) == 0


@pytest.fixture
def open_page(browser, request):
    """Opens an address; at the end nothing may have gone wrong, and nothing asked elsewhere."""
    pages, wrong = [], []

    def opened(address, **options):
        page = browser.new_page(**{"viewport": {"width": 1280, "height": 900}, **options})
        page.on(
            "console",
            lambda m: wrong.append(m.text) if m.type in ("error", "warning") else None,
        )
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("dialog", lambda dialog: (wrong.append(dialog.message), dialog.dismiss()))
        page.on(
            "request",
            lambda r: (
                r.url.startswith(("http://127.0.0.1:", "data:", "blob:")) or wrong.append(r.url)
            ),
        )
        page.goto(address)
        page.wait_for_selector("#view[data-drawn]", timeout=60_000)
        pages.append(page)
        return page

    yield opened
    shots = request.config.rootpath / "results" / "screenshots"
    # A picture of a long page takes longer than most tests: of what failed, or of all if asked for.
    shown = wrong or request.node.stash.get(FAILED, False) or "SCREENSHOTS" in os.environ
    for index, page in enumerate(page for page in pages if not page.is_closed()):
        if shown:
            shots.mkdir(parents=True, exist_ok=True)
            name = request.node.name.translate(str.maketrans("/[]<>:", "------"))[:80]
            page.screenshot(path=shots / f"{name}-{index}.png", full_page=True)
        page.close()
    assert wrong == []


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item):
    """Leave word for the fixtures of a test of how it went."""
    report = yield
    if report.when == "call":
        item.stash[FAILED] = report.failed
    return report
