"""What every store of objects promises."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from stratigraph.durable import Output
from stratigraph.errors import ConfigError, StorageError
from stratigraph.snapshots.objects import NoSuchObject, Objects, is_url


@pytest.fixture
def objects(store_url) -> Objects:
    return Objects(store_url)


def test_put_read_and_list(objects, tmp_path):
    assert objects.names("a") == []
    objects.put_all({"a/one": b"1", "a/two": b"22", "a/b/three": b""})
    assert objects.names("a") == ["b", "one", "two"]
    assert objects.read("a/two") == b"22"
    assert objects.read_all(["a/one", "a/b/three"]) == {"a/one": b"1", "a/b/three": b""}
    assert objects.read_all([]) == {}
    objects.put_all({"a/one": b"changed"})
    assert objects.read("a/one") == b"changed"
    with pytest.raises(NoSuchObject, match="a/none"):
        objects.read("a/none")
    (tmp_path / "file").write_bytes(b"x" * 100)
    objects.put_file("a/file", tmp_path / "file")
    output = Output(tmp_path / "back")
    objects.read_into("a/file", output, piece=7)
    output.close()
    assert (tmp_path / "back").read_bytes() == b"x" * 100
    objects.remove("a/b", "a/one", "a/none")
    assert objects.names("a") == ["file", "two"]


def test_one_creates_and_all_others_are_refused(objects):
    def create(number: int) -> int | None:
        try:
            objects.create("1.json", str(number).encode())
        except FileExistsError:
            return None
        return number

    with ThreadPoolExecutor(8) as pool:
        winners = [n for n in pool.map(create, range(24)) if n is not None]
    assert len(winners) == 1
    assert objects.read("1.json") == str(winners[0]).encode()
    # An answer may be lost on its way: the same bytes again are no rival.
    objects.create("1.json", str(winners[0]).encode())


def test_what_cannot_be_used_is_told():
    with pytest.raises(ConfigError, match=r"nowhere://x: this store cannot be used here"):
        Objects("nowhere://x")
    with pytest.raises(ConfigError, match=r"http is not known to create an object only where"):
        plain = Objects("memory://x")
        plain.protocol = "http"
        plain.check_writable()
    assert is_url("s3://a/b")
    assert not is_url("results/a")


def test_a_store_that_fails_is_told_with_its_place(monkeypatch):
    objects = Objects("memory://failing")

    def refuse(*arguments, **options):
        raise RuntimeError("the network is down")

    monkeypatch.setattr(objects._fs, "pipe", refuse, raising=False)
    with pytest.raises(StorageError, match=r"writing memory://failing/a failed: the network"):
        objects.put_all({"a": b""})
