"""Where a study is at home: in its folder, or at the URL that the folder is the working copy of.

A stage is given the home of its study, and writes a folder in either case. Only here is it asked
which of the two it is; `stratigraph.remote` is loaded for a URL alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from stratigraph import study as studies
from stratigraph.paths import check_path
from stratigraph.records import locked
from stratigraph.study.origin import find_origin, is_url

if TYPE_CHECKING:
    from stratigraph.remote import RemoteHome
    from stratigraph.study import Study

__all__ = ["Home", "LocalHome", "find_folder", "find_home", "load_study"]

Home: TypeAlias = "LocalHome | RemoteHome"


class LocalHome:
    """A study's folder, which is its home: there is nothing to fetch or to publish.

    `stratigraph.remote.RemoteHome` has the same methods.
    """

    apart = False  # whether other machines do not see the folder

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def fetch(self) -> None:
        """Bring the folder up to date."""

    def keep_study_file(self, write: Callable[[], None]) -> None:
        """Write the study's file, by a function that does."""
        write()

    @contextmanager
    def writing(self, stage: str = "") -> Iterator[None]:
        """Be the one that writes the study's results, its ``report``, or its runs (``train``).

        Raises:
            BusyError: another process is; the message names it.

        """
        with locked(self.folder, stage):
            yield

    @contextmanager
    def writing_run(self, run: Path) -> Iterator[Callable[[], None]]:
        """Be the one that trains a run; what is yielded publishes what it has kept so far.

        Raises:
            BusyError: another process trains it.

        """
        with locked(run):
            yield lambda: None

    def is_published(self, path: Path) -> bool:
        """Whether the study's file, or all that the folder holds of a run, is at home."""
        return True

    def read_published(self, runs: Sequence[Path]) -> list[None]:
        """What is known at home of each run, if that is elsewhere."""
        return [None for _ in runs]


def find_home(folder: Path) -> Home:
    """The home of the study in a folder.

    Raises:
        ConfigError: the store at its URL cannot be used here.

    """
    url = find_origin(folder)
    if url is None:
        return LocalHome(folder)
    from stratigraph.remote import RemoteHome

    return RemoteHome(folder, url)


def find_folder(source: str | Path, *, light: bool = False, new: bool = True) -> Path:
    """The folder of a study: itself, or a URL's working copy, brought up to date.

    Args:
        source: a path, or a URL.
        light: without weights, representations and results.
        new: whether a URL may be of a study that is not there yet.

    Raises:
        ConfigError: no such store can be used here.
        DataError: a study has to be there, and none is.
        StorageError: the store does not answer.
        IntegrityError: what it holds is damaged.

    """
    if not is_url(source):
        return check_path(source)
    from stratigraph.remote import bring_working_copy

    return bring_working_copy(str(source), light=light, new=new)


def load_study(source: str | Path, trust: bool = False) -> Study:
    """The study in a folder, or at a URL (whose working copy is updated first).

    Modules that a study names are imported if you made it on this machine, or trust it;
    otherwise it opens for reading without them (`stratigraph.plugins`).

    Args:
        source: the folder or URL.
        trust: import and run the modules that the study names, whoever made it.

    Raises:
        DataError: there is no study.
        ConfigError: its study file is not valid, or a newer version wrote it.
        IntegrityError: its study file is damaged, or was edited in place.

    """
    return studies.load_study(find_folder(source, new=False), trust)
