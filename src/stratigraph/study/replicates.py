"""How many replicates a study has: its state, beyond what its file says.

A study whose grid counts replicates (``seed: {replicates: 4}``) may be given more while it runs.
``replicates.json`` holds how many there are; each grid that counts its own has that many at least.
They are never fewer: a run that was trained is not lost.
"""

from __future__ import annotations

from pathlib import Path

from stratigraph.errors import ConfigError, DataError
from stratigraph.plugins import naming_only
from stratigraph.records import locked, read_json, read_text, remove_leftovers, write_json
from stratigraph.records.files import FORMAT
from stratigraph.study.exported import find_export
from stratigraph.study.layout import REPLICATES, STUDY_FILE
from stratigraph.study.parse import MOST_HELD, parse_config
from stratigraph.study.state import read_replicates
from stratigraph.study.yaml_file import parse_yaml
from stratigraph.values import check_whole

__all__ = ["set_replicates"]


def set_replicates(study: Path, count: int) -> None:
    """Give every configuration of a study ``count`` replicates; what else the file holds stays.

    Of a study at a URL, within `keep_study_file` of its home, which publishes it.

    Raises:
        ConfigError: its grid gives seeds, so it has no count; fewer than there are; or more runs
            than a study holds.
        DataError: the folder holds no study.

    """
    check_whole("replicates", count, 1)
    if not (study / STUDY_FILE).is_file() or find_export(study) is not None:
        raise DataError(f"{study}: there is no study to add replicates to.")
    text = read_text(study / STUDY_FILE)
    with locked(study, "replicates", wait=True):
        remove_leftovers(study, of=REPLICATES)
        now = read_replicates(study)
        with naming_only(study):
            values = parse_yaml(text, str(study / STUDY_FILE))
            held = parse_config(values, text, MOST_HELD, now).replicates
            if held is None:
                raise ConfigError(
                    f"{study}: its grid lists seeds, so replicates cannot be added; write `seed: "
                    "{replicates: N}` in its file, and run that with another --out."
                )
            if count < held:
                raise ConfigError(
                    f"replicates: expected at least the {held} that {study} has, got {count}."
                )
            parse_config(values, text, MOST_HELD, count)  # no more than a study holds
        if count > held:
            path = study / REPLICATES
            kept = read_json(path) if path.is_file() else {}
            write_json(path, {**kept, "format": FORMAT, "replicates": count})
