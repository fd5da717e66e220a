"""A version of a record at a URL: its files, checked on the way there and back.

``<place>/<number>-<hash>/`` holds the files of the record at a place and, last, its manifest, whose
hash it bears; or the one file of that name. It is never changed. Whether it counts is for an
inventory to say.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from stratigraph.durable import Output, sha256
from stratigraph.errors import IntegrityError, StorageError
from stratigraph.records.files import check_format, unsealed_json, write_file
from stratigraph.records.store import MANIFEST, Files, put_record
from stratigraph.remote.inventory import read_object
from stratigraph.remote.store import NoSuchObject, Store

__all__ = ["check_version", "download", "hash_of", "number_of", "upload", "version_name"]


def version_name(number: int, digest: str) -> str:
    """What a version is called."""
    return f"{number:08d}-{digest}"


def number_of(version: str) -> int:
    """The number of the inventory that a version was put for; of what is none, -1."""
    number = version.partition("-")[0]
    return int(number) if number.isdigit() else -1


def hash_of(version: str) -> str:
    """The hash of what a version is of: of a record's manifest, or of a file."""
    return version.partition("-")[2]


def upload(store: Store, path: Path, place: str, version: str) -> None:
    """Put one version at a URL, checked against its hashes.

    Raises:
        IntegrityError: what stands here is damaged.
        StorageError: it was replaced meanwhile; or the store refuses.

    """
    to = f"{place}/{version}"
    if path.is_file():
        content = path.read_bytes()
        _check_same(path, hashlib.sha256(content).hexdigest(), version)
        store.put(f"{to}/{path.name}", content)
        return
    content = (path / MANIFEST).read_bytes()
    for name, facts in unsealed_json(content, path / MANIFEST)["files"].items():
        if sha256(path / name) != facts["sha256"]:
            _check_same(path, sha256(path / MANIFEST), version)
            raise IntegrityError(f"{path / name}: damaged; it is not published.")
        store.put(f"{to}/{name}", path / name)
    # As long as the manifest stands, so do the files that were read.
    _check_same(path, sha256(path / MANIFEST), version)
    store.put(f"{to}/{MANIFEST}", content)


def _check_same(path: Path, digest: str, version: str) -> None:
    if digest != hash_of(version):
        raise StorageError(f"{path}: replaced while it was being published.")


def download(store: Store, path: Path, place: str, version: str) -> None:
    """Put one version into its place here once all of it has arrived and has its hashes.

    Raises:
        NoSuchObject: a file of it is not there.
        IntegrityError: one is not what was written.

    """
    content, expected = _read_first(store, place, version)
    if expected is None:
        write_file(path, content)
        return

    def fill(files: Files) -> None:
        for name, digest in expected.items():

            def write(output: Output, name: str = name) -> None:
                for part in store.pieces(name):
                    output.write(part)

            file = name.rpartition("/")[2]
            files.write(file, write)
            _check(store, name, files.facts[file]["sha256"], digest)
        files.add(MANIFEST, content)

    put_record(path, fill)


def check_version(store: Store, place: str, version: str) -> tuple[str, int, int]:
    """Read all of a version: (what is wrong or "", files, bytes)."""
    files = size = 0
    try:
        content, expected = _read_first(store, place, version)
        files, size = 1, len(content)
        for name, digest in (expected or {}).items():
            sums = hashlib.sha256()
            for part in store.pieces(name):
                sums.update(part)
                size += len(part)
            files += 1
            _check(store, name, sums.hexdigest(), digest)
    except NoSuchObject as error:
        return f"{error}: missing, though its inventory lists it.", files, size
    except IntegrityError as error:
        return str(error), files, size
    return "", files, size


def _read_first(store: Store, place: str, version: str) -> tuple[bytes, dict[str, str] | None]:
    """The object whose hash a version bears, checked: a manifest, or a single file.

    With a manifest come the hashes that all other objects of the version should have.
    """
    at, name = f"{place}/{version}", place.rpartition("/")[2]
    single = name in store.names(at)
    first = f"{at}/{name if single else MANIFEST}"
    content = read_object(store, first)
    _check(store, first, hashlib.sha256(content).hexdigest(), hash_of(version))
    if single:
        return content, None
    manifest = unsealed_json(content, f"{store.url}/{first}")
    check_format(manifest["format"], f"{store.url}/{first}")
    return content, {f"{at}/{file}": facts["sha256"] for file, facts in manifest["files"].items()}


def _check(store: Store, name: str, found: str, expected: str) -> None:
    if found != expected:
        raise IntegrityError(
            f"{store.url}/{name}: damaged; its bytes are not those that were written."
        )
