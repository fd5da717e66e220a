"""A version of a record at a URL: its files, checked on the way there and back.

``<place>/<token>-<hash>/`` holds the files of the record at a place and, last, its manifest, whose
hash it bears; or the one file of that name. It is never changed. Whether it counts is for a ledger
to say.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from stratigraph.durable import sha256
from stratigraph.errors import IntegrityError, StorageError
from stratigraph.snapshots.files import check_format, unsealed_json, write_file
from stratigraph.snapshots.objects import NoSuchObject, Objects
from stratigraph.snapshots.store import MANIFEST, Files, put_record

__all__ = ["check_version", "download", "hash_of", "upload", "version_name"]

AT_ONCE = 1 << 26  # bytes of objects that are in memory at a time


def version_name(token: int, digest: str) -> str:
    """What a version is called."""
    return f"{token:08d}-{digest}"


def hash_of(version: str) -> str:
    """The hash in a version's name."""
    return version.partition("-")[2]


class _Replaced(StorageError):
    """A record changed while it was being read."""


def upload(objects: Objects, path: Path, to: str, digest: str) -> None:
    """One version: its files, checked against its manifest as they are read, then the manifest."""
    if path.is_file():
        content = path.read_bytes()
        if hashlib.sha256(content).hexdigest() != digest:
            raise _Replaced(f"{path}: replaced while it was being published.")
        objects.put_all({f"{to}/{path.name}": content})
        return
    content = (path / MANIFEST).read_bytes()
    manifest = unsealed_json(content, path / MANIFEST)
    some: dict[str, bytes] = {}
    for name, facts in manifest["files"].items():
        file = path / name
        if sha256(file) != facts["sha256"]:
            if sha256(path / MANIFEST) != digest:
                raise _Replaced(f"{path}: replaced while it was being published.")
            raise IntegrityError(f"{file}: damaged; it is not published.")
        if facts["bytes"] > AT_ONCE:
            objects.put_file(f"{to}/{name}", file)
            continue
        some[f"{to}/{name}"] = file.read_bytes()
        if sum(map(len, some.values())) > AT_ONCE:
            objects.put_all(some)
            some = {}
    objects.put_all(some)
    objects.put_all({f"{to}/{MANIFEST}": content})


def download(objects: Objects, version: str, path: Path) -> None:
    """One version, into its place once all of it is here and has its hashes."""
    alone = f"{version}/{path.name}"  # of a single file
    record = MANIFEST in objects.names(version)
    named = f"{version}/{MANIFEST}" if record else alone
    content = objects.read(named)
    if hashlib.sha256(content).hexdigest() != hash_of(version.rpartition("/")[2]):
        raise IntegrityError(_differs(objects, named))
    if not record:
        write_file(path, content)
        return
    manifest = unsealed_json(content, f"{objects.url}/{named}")
    check_format(manifest["format"], path / MANIFEST)

    def fill(files: Files) -> None:
        for group in _groups(manifest["files"]):
            if len(group) == 1:
                files.written(group[0], partial(objects.read_into, f"{version}/{group[0]}"))
            else:
                found = objects.read_all(f"{version}/{name}" for name in group)
                for name in group:
                    files.add(name, found[f"{version}/{name}"])
            for name in group:
                if files.facts[name] != manifest["files"][name]:
                    raise IntegrityError(_differs(objects, f"{version}/{name}"))
        files.add(MANIFEST, content)

    put_record(path, fill)


def _groups(files: Mapping[str, Mapping[str, Any]]) -> Iterator[list[str]]:
    """Names of files that are small enough to be in memory together."""
    group: list[str] = []
    size = 0
    for name, facts in files.items():
        if group and size + facts["bytes"] > AT_ONCE:
            yield group
            group, size = [], 0
        group.append(name)
        size += facts["bytes"]
    if group:
        yield group


def _differs(objects: Objects, name: str) -> str:
    return f"{objects.url}/{name}: damaged; its bytes are not those that were written."


def check_version(objects: Objects, place: str, version: str) -> tuple[str, int, int]:
    """Read all of a version: (what is wrong or "", files, bytes)."""
    files = size = 0
    try:
        for name, expected in _listed(objects, f"{place}/{version}"):
            digest, length = objects.digest(f"{place}/{version}/{name}")
            files, size = files + 1, size + length
            if digest != expected:
                return _differs(objects, f"{place}/{version}/{name}"), files, size
    except NoSuchObject as error:
        return f"{error}: missing, though its catalogue lists it.", files, size
    except IntegrityError as error:
        return str(error), files, size
    return "", files, size


def _listed(objects: Objects, version: str) -> Iterator[tuple[str, str]]:
    """The files of a version, each with the hash that it should have; the manifest first."""
    place, _, name = version.rpartition("/")
    single = place.rpartition("/")[2]
    if objects.names(version) == [single]:
        yield single, hash_of(name)
        return
    yield MANIFEST, hash_of(name)
    manifest = unsealed_json(objects.read(f"{version}/{MANIFEST}"), f"{version}/{MANIFEST}")
    for file, facts in manifest["files"].items():
        yield file, facts["sha256"]
