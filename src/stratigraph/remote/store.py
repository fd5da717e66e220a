"""Objects at a URL: put whole or not at all, and created only where there was none.

Three things are asked of a store, and no more: an object that is put is seen whole or not at all;
`create` fails, at the store and in one step, where an object of that name stands; and a listing
shows what was put before it. S3, Google's and Azure's stores promise all three (S3 creates by
``If-None-Match``), through `obstore`; of a folder the link of a flushed file does, through
`stratigraph.durable`.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from stratigraph.durable import create_new, make_folder, replacing
from stratigraph.errors import ConfigError, StorageError
from stratigraph.study.origin import spell_url

if TYPE_CHECKING:
    from obstore.store import ClientConfig, ObjectStore

__all__ = ["NoSuchObject", "Store", "open_store"]

PIECE = 1 << 22  # bytes of an object that are in memory at a time
FOLDERS = ("file", "local")
CLOUDS = ("s3", "s3a", "gs", "az", "abfs", "abfss")  # the last four were not tried here
ATTEMPTS = 8
AMAZON = ".amazonaws.com"
# Of a whole object on its way, which may be of gigabytes; and of a connection that went silent.
PATIENCE: ClientConfig = {"timeout": "1h", "read_timeout": "1m"}


class NoSuchObject(Exception):
    """There is no object of this name."""


class Store(Protocol):
    """The objects below a URL, by names like ``runs/3f2a/ledger/000000001.json``.

    Every method may raise `StorageError`: the store does not answer, or refuses.
    """

    url: str

    def names(self, folder: str) -> list[str]:
        """The names directly in a folder, which need not exist."""
        ...

    def walk(self, folder: str) -> list[str]:
        """The names of all objects below a folder, and of files that were to become some."""
        ...

    def pieces(self, name: str) -> Iterator[bytes]:
        """An object's bytes, in pieces; raises `NoSuchObject`."""
        ...

    def put(self, name: str, content: bytes | Path) -> None:
        """Put an object of these bytes, or of a file's, whole or not at all."""
        ...

    def create(self, name: str, content: bytes) -> None:
        """Put an object where there is none; raises `FileExistsError` if there is."""
        ...

    def remove(self, names: Iterable[str]) -> None:
        """Remove objects; one that is not there, or stays, harms nobody."""
        ...


def open_store(url: str) -> Store:
    """The store of a URL.

    Raises:
        ConfigError: no such store is known here, or what it needs is not installed.

    """
    url = spell_url(url)
    scheme = url.partition("://")[0]
    if scheme in FOLDERS:
        return _Folder(url)
    if scheme not in CLOUDS:
        raise ConfigError(
            f"{url}: this store cannot be used here ({scheme} is not one of file, "
            f"{', '.join(CLOUDS)})."
        )
    try:
        return _Cloud(url, _open_cloud(url, scheme))
    except Exception as error:  # whatever obstore or boto3 make of a bad name, region or profile
        more = "; `pip install 'stratigraph[s3]'`" if isinstance(error, ImportError) else ""
        raise ConfigError(f"{url}: this store cannot be used here ({error}){more}.") from None


class _Folder:
    """A folder that every reader and writer sees: objects are files."""

    def __init__(self, url: str) -> None:
        self.url, self._root = url, Path(url.partition("://")[2]).absolute()

    def names(self, folder: str) -> list[str]:
        with _storing("listing", self.url, folder):
            try:
                found = [path.name for path in (self._root / folder).iterdir()]
            except (FileNotFoundError, NotADirectoryError):
                return []
        return sorted(name for name in found if not name.startswith("."))

    def walk(self, folder: str) -> list[str]:
        found = os.walk(self._root / folder)  # passes over what goes while it walks
        paths = [Path(place, name) for place, _, names in found for name in names]
        return [path.relative_to(self._root).as_posix() for path in paths]

    def pieces(self, name: str) -> Iterator[bytes]:
        with _storing("reading", self.url, name), (self._root / name).open("rb") as source:
            while part := source.read(PIECE):
                yield part

    def put(self, name: str, content: bytes | Path) -> None:
        with _storing("writing", self.url, name):
            self._write(name, lambda path: _copy(content, path))

    def create(self, name: str, content: bytes) -> None:
        with _storing("writing", self.url, name):
            self._write(name, lambda path: create_new(path, content))

    def _write(self, name: str, write: Callable[[Path], None]) -> None:
        path = self._root / name
        for more in reversed(range(ATTEMPTS)):
            try:
                self._make_folder(path.parent)
                return write(path)
            except FileNotFoundError:  # another process removed a folder, empty still
                if not more:
                    raise
        return None

    def _make_folder(self, folder: Path) -> None:
        try:
            make_folder(folder)
        except FileExistsError as error:  # which says something else of an object
            raise NotADirectoryError(f"{error.filename}: a file is in the way") from None

    def remove(self, names: Iterable[str]) -> None:
        for name in names:
            path = self._root / name
            with contextlib.suppress(OSError):
                path.unlink()
                path.parent.rmdir()  # these fail, rightly, where anything is left
                path.parent.parent.rmdir()


def _copy(content: bytes | Path, path: Path) -> None:
    with replacing(path) as output:
        if isinstance(content, bytes):
            output.write(content)
            return
        with content.open("rb") as source:
            while part := source.read(PIECE):
                output.write(part)


class _Cloud:
    """A store that obstore knows."""

    def __init__(self, url: str, store: ObjectStore) -> None:
        import obstore

        self.url, self._store, self._do = url, store, obstore

    def names(self, folder: str) -> list[str]:
        with _storing("listing", self.url, folder):
            try:
                found = self._do.list_with_delimiter(self._store, folder)
            except FileNotFoundError:
                return []
        paths = [*found["common_prefixes"], *(each["path"] for each in found["objects"])]
        return sorted(path.rpartition("/")[2] for path in paths)

    def walk(self, folder: str) -> list[str]:
        with _storing("listing", self.url, folder):
            some = self._do.list(self._store, folder, chunk_size=1000)
            return [each["path"] for chunk in some for each in chunk]

    def pieces(self, name: str) -> Iterator[bytes]:
        with _storing("reading", self.url, name):
            for part in self._do.get(self._store, name).stream(PIECE):
                yield bytes(part)

    def put(self, name: str, content: bytes | Path) -> None:
        with _storing("writing", self.url, name):
            self._do.put(self._store, name, content)

    def create(self, name: str, content: bytes) -> None:
        with _storing("writing", self.url, name):
            self._do.put(self._store, name, content, mode="create", use_multipart=False)

    def remove(self, names: Iterable[str]) -> None:
        with contextlib.suppress(Exception):
            self._do.delete(self._store, list(names))


def _open_cloud(url: str, scheme: str) -> ObjectStore:
    from obstore.store import from_url

    if not scheme.startswith("s3"):
        return from_url(url, client_options=PATIENCE)
    import boto3
    from obstore.auth.boto3 import Boto3CredentialProvider

    # Region, endpoint and credentials as boto3 finds them: variables, profiles, roles.
    session = boto3.Session()
    region = session.region_name or "us-east-1"
    endpoint = session.client("s3", region_name=region).meta.endpoint_url
    options: dict[str, Any] = {"region": region, "client_options": PATIENCE}
    if AMAZON not in endpoint:
        options |= {"endpoint": endpoint, "client_options": {**PATIENCE, "allow_http": True}}
    if session.get_credentials() is not None:
        options["credential_provider"] = Boto3CredentialProvider(session)
    return from_url(url, **options)


@contextmanager
def _storing(what: str, url: str, name: str) -> Iterator[None]:
    """Whatever a store's own library raises is a StorageError that says what was tried."""
    try:
        yield
    except FileExistsError:
        raise
    except Exception as error:
        if isinstance(error, FileNotFoundError) and what == "reading":
            raise NoSuchObject(f"{url}/{name}") from None
        if type(error).__name__ in ("AlreadyExistsError", "PreconditionError"):
            raise FileExistsError(name) from None
        told = (str(error) or type(error).__name__).partition("\n")[0]
        raise StorageError(
            f"{what} {url}/{name} failed: {told}. What was published there before is whole; the "
            "same command resumes."
        ) from error
