"""Drop: representations go once they were compared, unless the study file keeps them.

They are most of a study's bytes, and snapshots make them anew: what needs them again reads them
again (`stratigraph.stages.run`). Those of a recorded study nothing makes anew, and a working copy
of a study at a URL is a cache of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from stratigraph.home import find_home
from stratigraph.records import record_exists, remove_record
from stratigraph.study import Study, representations_path

__all__ = ["are_read", "drop_representations"]


def are_read(study: Study) -> bool:
    """Whether every snapshot's representations are there, read the study's way."""
    return all(map(record_exists, _records(study)))


def drop_representations(study: Study) -> int:
    """Remove the representations of a compared study, read any way; return how many records went.

    Raises:
        BusyError: another process works on the study.

    """
    home = find_home(study.path)
    if study.config.recorded or study.config.representations == "keep" or home.apart:
        return 0
    found = [
        record
        for way in (*study.ways(), *study.others())
        for record in _records(way)
        if record.exists()
    ]
    if found:
        with home.writing():
            for record in found:
                remove_record(record)
                if not any(record.parent.iterdir()):
                    record.parent.rmdir()
    return len(found)


def _records(study: Study) -> Iterator[Path]:
    for run in study.runs.values():
        for step in study.steps(run):
            yield representations_path(run.path, step, study.way.folder)
