"""What every store of objects promises."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from stratigraph.errors import ConfigError, StorageError
from stratigraph.remote import store as module
from stratigraph.remote.inventory import read_object
from stratigraph.remote.store import NoSuchObject, Store, open_store
from stratigraph.study.origin import is_url


@pytest.fixture
def store(store_url) -> Store:
    return open_store(store_url)


def test_put_read_and_list(store, tmp_path, monkeypatch):
    assert store.names("a") == store.walk("a") == []
    for name, content in {"a/one": b"1", "a/two": b"22", "a/b/three": b"", "ab": b"x"}.items():
        store.put(name, content)
    assert store.names("a") == ["b", "one", "two"]
    assert sorted(store.walk("a")) == ["a/b/three", "a/one", "a/two"]
    assert read_object(store, "a/two") == b"22"
    assert read_object(store, "a/b/three") == b""
    store.put("a/one", b"changed")
    assert read_object(store, "a/one") == b"changed"
    with pytest.raises(NoSuchObject, match="a/none"):
        read_object(store, "a/none")
    monkeypatch.setattr(module, "PIECE", 1 << 10)
    (tmp_path / "file").write_bytes(b"x" * 5000)
    store.put("a/file", tmp_path / "file")
    assert b"".join(store.pieces("a/file")) == b"x" * 5000
    store.remove(["a/b/three", "a/one", "a/none"])
    assert store.names("a") == ["file", "two"]


def test_large_objects_go_in_parts(store, tmp_path):
    content = bytes(range(256)) * (12 << 12)  # more than one part of S3's, and more than one piece
    (tmp_path / "file").write_bytes(content)
    store.put("large", tmp_path / "file")
    assert read_object(store, "large") == content


def test_one_creates_and_all_others_are_refused(store):
    def create(number: int) -> int | None:
        try:
            store.create("1.json", str(number).encode())
        except FileExistsError:
            return None
        return number

    with ThreadPoolExecutor(8) as pool:
        winners = [n for n in pool.map(create, range(24)) if n is not None]
    assert len(winners) == 1
    assert read_object(store, "1.json") == str(winners[0]).encode()


def test_removing_what_another_process_is_about_to_fill(store):
    """The folder of an object that goes may be another's, that has none in it yet."""

    def turn(number: int) -> None:
        for _ in range(20):
            store.put(f"a/{number % 2}/{number}", b"1")
            store.remove([f"a/{number % 2}/{number}"])

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(turn, range(4)))
    assert store.walk("a") == []


def test_what_cannot_be_used_is_told(monkeypatch):
    with pytest.raises(ConfigError, match=r"nowhere://x: this store cannot be used here \(nowhere"):
        open_store("nowhere://x")
    monkeypatch.setitem(sys.modules, "obstore.store", None)
    with pytest.raises(ConfigError, match=r"s3://x/y: .*; `pip install 'stratigraph\[s3\]'`"):
        open_store("s3://x/y")
    assert is_url("s3://a/b")
    assert not is_url("results/a")


def test_a_profile_names_region_endpoint_and_keys(s3_server, s3_url, tmp_path, monkeypatch):
    config = tmp_path / "config"
    config.write_text(
        f"[profile lab]\nregion = eu-north-1\nendpoint_url = {s3_server}\n"
        "aws_access_key_id = of-the-lab\naws_secret_access_key = secret\n"
    )
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION",
                 "AWS_ENDPOINT_URL"):  # fmt: skip
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    monkeypatch.setenv("AWS_PROFILE", "lab")
    store = open_store(s3_url)
    store.put("a", b"1")
    assert read_object(store, "a") == b"1"
    assert "eu-north-1" in repr(store._store.config)


def test_a_store_that_fails_is_told_with_its_place(tmp_path):
    (tmp_path / "file").touch()
    store = open_store(f"file://{tmp_path}/file")
    with pytest.raises(StorageError, match=rf"writing file://{tmp_path}/file/a failed: .* in the"):
        store.put("a", b"")
    assert store.names("a") == []
