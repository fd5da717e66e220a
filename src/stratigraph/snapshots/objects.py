"""Objects at a URL: whole or not there, and created only where there was none.

Two things are asked of a store, and no more: an object that is put is seen whole or not at all,
and `Objects.create` fails, at the store and in one step, where an object of that name stands. S3,
Google's and Azure's stores promise both (S3 by ``If-None-Match``); of ``file://`` the link of a
flushed file does, and ``memory://`` is one process. Listings are never cached.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from stratigraph.durable import Output, fresh_beside, make_folder, replacing, sync
from stratigraph.errors import ConfigError, StorageError

__all__ = ["NoSuchObject", "Objects", "is_url", "spelled"]

# Whose `create` is one step at the store. The last two were not tried here.
CREATING = ("file", "local", "memory", "s3", "s3a", "gs", "gcs", "abfs", "az")
ALONE = ("memory",)  # of this process
_creating = threading.Lock()  # memory:// looks and then puts


def is_url(text: str | Path) -> bool:
    """Whether this names a place by its URL (``s3://…``) rather than by its path."""
    return isinstance(text, str) and "://" in text


def spelled(url: str) -> str:
    """The one spelling of a URL: a scheme is the same in capitals, and a last slash says nothing.

    >>> spelled("FILE:///data/Study/")
    'file:///data/Study'
    """
    scheme, _, rest = url.rstrip("/").partition("://")
    return f"{scheme.lower()}://{rest}"


class NoSuchObject(Exception):
    """There is no object of this name."""


class Objects:
    """The objects below a URL, by names like ``runs/3f2a/config.json``.

    Args:
        url: ``s3://bucket/path``, ``file:///path``, ``memory://name`` or another of fsspec's.

    Raises:
        ConfigError: no such store is known here, or what it needs is not installed.

    """

    def __init__(self, url: str) -> None:
        try:
            from fsspec.core import url_to_fs
        except ImportError:
            raise ConfigError(
                f"{url}: fsspec is not installed; `pip install 'stratigraph[s3]'`."
            ) from None
        self.url = spelled(url)
        self.protocol = self.url.partition("://")[0]
        try:
            self._fs, root = url_to_fs(self.url, use_listings_cache=False)
        except (ImportError, ValueError) as error:
            more = "; `pip install 'stratigraph[s3]'`" if self.protocol.startswith("s3") else ""
            raise ConfigError(f"{url}: this store cannot be used here ({error}){more}.") from None
        self._root = root.rstrip("/")
        self._local = self.protocol in ("file", "local")

    @property
    def alone(self) -> bool:
        """Whether no other process sees them."""
        return self.protocol in ALONE

    def check_writable(self) -> None:
        """Refuse a store of which it is not known that it creates in one step.

        Raises:
            ConfigError: it is such a one.

        """
        if self.protocol not in CREATING:
            raise ConfigError(
                f"{self.url}: {self.protocol} is not known to create an object only where there is "
                f"none, by which one writer is told from another; studies are written to "
                f"{', '.join(CREATING)}, and read from any."
            )

    def names(self, folder: str) -> list[str]:
        """The names directly in a folder, which need not exist."""
        with self._storing("listing", folder):
            try:
                found = self._fs.ls(self._at(folder), detail=False, refresh=True)
            except (FileNotFoundError, NotADirectoryError):
                return []
        names = (entry.rstrip("/").rpartition("/")[2] for entry in found)
        return sorted(name for name in names if name and not name.startswith("."))

    def read(self, name: str) -> bytes:
        """An object's bytes.

        Raises:
            NoSuchObject: there is none of that name.

        """
        with self._storing("reading", name):
            return bytes(self._fs.cat_file(self._at(name)))

    def read_all(self, names: Iterable[str]) -> dict[str, bytes]:
        """The bytes of several objects, at once where the store can."""
        wanted = list(names)
        if len(wanted) > 1:
            with contextlib.suppress(NoSuchObject), self._storing("reading", wanted[0]):
                found = self._fs.cat([self._at(name) for name in wanted], on_error="raise")
                at = {self._fs._strip_protocol(path): bytes(part) for path, part in found.items()}
                return {name: at[self._at(name)] for name in wanted}
        return {name: self.read(name) for name in wanted}  # and which is missing, if one is

    def read_into(self, name: str, output: Output, piece: int = 1 << 24) -> None:
        """An object's bytes into a file, a piece at a time."""
        with self._storing("reading", name), self._fs.open(self._at(name), "rb") as source:
            while part := source.read(piece):
                output.write(part)

    def digest(self, name: str, piece: int = 1 << 24) -> tuple[str, int]:
        """The SHA-256 of an object's bytes, and their number.

        Raises:
            NoSuchObject: there is none of that name.

        """
        sums, size = hashlib.sha256(), 0
        with self._storing("reading", name), self._fs.open(self._at(name), "rb") as source:
            while part := source.read(piece):
                sums.update(part)
                size += len(part)
        return sums.hexdigest(), size

    def put_all(self, objects: Mapping[str, bytes]) -> None:
        """Put several objects, each whole or not at all, at once where the store can."""
        with self._storing("writing", next(iter(objects), "")):
            if not self._local:
                self._fs.pipe({self._at(name): content for name, content in objects.items()})
                return
            for name, content in objects.items():
                path = Path(self._at(name))
                make_folder(path.parent)
                with replacing(path) as output:
                    output.write(content)

    def put_file(self, name: str, path: Path) -> None:
        """Put a file's bytes, whole or not at all, in pieces where the store can."""
        if self._local:
            self.put_all({name: path.read_bytes()})
            return
        with self._storing("writing", name):
            self._fs.put_file(str(path), self._at(name))

    def create(self, name: str, content: bytes) -> None:
        """Put an object where there is none.

        Raises:
            FileExistsError: there is one, and it is not this very one: the answer to a first
                attempt may have been lost on its way here.

        """
        try:
            with self._storing("writing", name):
                if self._local:
                    _link(Path(self._at(name)), content)
                elif self.alone:
                    with _creating:
                        self._fs.pipe_file(self._at(name), content, mode="create")
                else:
                    self._fs.pipe_file(self._at(name), content, mode="create")
        except FileExistsError:
            with contextlib.suppress(NoSuchObject):
                if self.read(name) == content:
                    return
            raise

    def remove(self, *names: str) -> None:
        """Remove objects, or folders of them; one that is not there, or stays, harms nobody."""
        for name in names:
            with contextlib.suppress(Exception):
                if self._local:
                    path = Path(self._at(name))
                    shutil.rmtree(path) if path.is_dir() else path.unlink()
                else:
                    self._fs.rm(self._at(name), recursive=True)

    def _at(self, name: str) -> str:
        return f"{self._root}/{name}" if name else self._root

    @contextmanager
    def _storing(self, what: str, name: str) -> Iterator[None]:
        """Whatever a store's own library raises is a StorageError that says what was tried."""
        try:
            yield
        except FileExistsError:
            raise
        except FileNotFoundError:
            raise NoSuchObject(f"{self.url}/{name}") from None
        except Exception as error:
            if _is(error, "PreconditionFailed", "ConditionalRequestConflict"):
                raise FileExistsError(name) from None
            raise StorageError(
                f"{what} {self.url}/{name} failed: {str(error) or type(error).__name__}. What was "
                "committed there before is whole; the same command goes on."
            ) from error


def _is(error: BaseException, *codes: str) -> bool:
    """Whether a store said one of these, in whatever its library makes of it."""
    chain: list[Any] = [error, error.__cause__, error.__context__]
    return any(code in str(getattr(e, "response", "")) + str(e) for e in chain for code in codes)


def _link(path: Path, content: bytes) -> None:
    """A flushed file under a name that nothing has: the link is one step, and fails if one has."""
    make_folder(path.parent)
    fresh = fresh_beside(path)
    output = Output(fresh)
    try:
        try:
            output.write(content)
            output.sync()
        finally:
            output.close()
        os.link(fresh, path)
    finally:
        fresh.unlink(missing_ok=True)
    sync(path.parent)
