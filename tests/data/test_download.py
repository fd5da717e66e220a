"""Downloads, from a server on this machine: pinned, atomic, tried again, quarantined."""

import hashlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from stratigraph.data import download
from stratigraph.data.download import PublishedFile, fetch
from stratigraph.errors import DataError, StorageError

CONTENT = bytes(range(256)) * 40


@pytest.fixture
def server():
    """Answers from `server.answers`, a status and a body each; the last one stays."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            server.requests += 1
            status, body = server.answers[0]
            if len(server.answers) > 1:
                server.answers.pop(0)
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.answers, server.requests = [(200, CONTENT)], 0
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def pauses(monkeypatch):
    seen = []
    monkeypatch.setattr(download.time, "sleep", seen.append)
    return seen


@pytest.fixture
def file(server):
    known = f"sha256:{hashlib.sha256(CONTENT).hexdigest()}"
    return PublishedFile("data.bin", f"http://127.0.0.1:{server.server_port}/data.bin", known)


def test_a_file_is_fetched_once(server, file, tmp_path):
    path = fetch(file, tmp_path / "downloads")
    assert path.read_bytes() == CONTENT
    assert fetch(file, tmp_path / "downloads") == path
    assert server.requests == 1
    assert [left.name for left in path.parent.iterdir()] == ["data.bin"]


def test_a_failing_server_is_asked_again(server, file, tmp_path, pauses):
    server.answers = [(503, b"busy"), (500, b"no"), (200, CONTENT)]
    assert fetch(file, tmp_path).read_bytes() == CONTENT
    assert pauses == [2.0, 4.0]


def test_a_server_that_goes_on_failing(server, file, tmp_path, pauses):
    server.answers = [(404, b"no")]
    with pytest.raises(
        DataError, match=r"no download after 3 attempts \(404.*give its place as ro"
    ):
        fetch(file, tmp_path)
    assert server.requests == 3
    assert not list(tmp_path.iterdir())


def test_a_wrong_hash_is_quarantined(server, file, tmp_path):
    server.answers = [(200, CONTENT[:-1])]
    message = (
        r"http://127.*its sha256 is .*, but .* was published.*kept as .*data\.bin\.quarantined"
    )
    with pytest.raises(DataError, match=message):
        fetch(file, tmp_path)
    assert [left.name for left in tmp_path.iterdir()] == ["data.bin.quarantined"]
    server.answers = [(200, CONTENT)]
    assert fetch(file, tmp_path).read_bytes() == CONTENT


def test_a_web_page_is_shown(server, file, tmp_path):
    server.answers = [(200, b"\n<!DOCTYPE html><title>Log in</title>")]
    with pytest.raises(DataError, match=r"is a web page, not data; it begins with .*DOCTYPE html"):
        fetch(file, tmp_path)


def test_a_file_that_changed_in_the_cache(file, tmp_path):
    fetch(file, tmp_path).write_bytes(CONTENT[1:])
    with pytest.raises(DataError, match="remove it, and fetch it again"):
        fetch(file, tmp_path)


def test_a_folder_that_cannot_be(file, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StorageError, match=r"data\.bin: "):
        fetch(file, tmp_path / "file" / "downloads")
