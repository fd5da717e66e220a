"""What the command does before it imports anything of others.

The current folder may be a stranger's study, and Python looks into it first where it was started as
``python -m``, or where PYTHONPATH has an empty entry: then a file of the study named like a library
would be run in its place, here or in a worker.
"""

from __future__ import annotations

import os
import sys

__all__ = ["leave_current_folder"]


def leave_current_folder() -> None:
    """Look into the current folder only where PYTHONPATH names it, here and in workers."""
    here = os.path.realpath(os.curdir)
    if os.path.realpath(__file__).startswith(here + os.sep):
        return  # it is where we are from
    given = [entry for entry in os.environ.get("PYTHONPATH", "").split(os.pathsep) if entry]
    if not any(os.path.realpath(entry) == here for entry in given):
        sys.path[:] = [entry for entry in sys.path if entry and os.path.realpath(entry) != here]
    if "PYTHONPATH" in os.environ:
        os.environ["PYTHONPATH"] = os.pathsep.join(given)
    # Of the processes that are started from here on, which Python starts by `-m` and `-c`.
    os.environ["PYTHONSAFEPATH"] = "1"
