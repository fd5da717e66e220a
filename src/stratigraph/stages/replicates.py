"""More replicates of a study, wherever it is at home."""

from __future__ import annotations

from stratigraph.home import find_home
from stratigraph.study import Study, load_study, set_replicates

__all__ = ["add_replicates"]


def add_replicates(study: Study, count: int) -> Study:
    """The study with ``count`` replicates of every configuration, kept and published.

    Raises:
        ConfigError: its grid gives seeds; fewer than there are; or more runs than a study holds.

    """
    find_home(study.path).keep_study_file(lambda: set_replicates(study.path, count))
    return load_study(study.path, trust=study.trusted)
