"""Trains a study at a URL, and is killed at its Nth inventory of a run: before it, or just after.

python killed.py STUDY_FILE URL N before|after
"""

import importlib
import os
import signal
import sys

from stratigraph.engine import LocalEngine
from stratigraph.remote import publication
from stratigraph.stages import open_study, run_stage

file, url, number, when = sys.argv[1:]
importlib.import_module("stratigraph.stages.trainer").CHECKPOINT_SECONDS = -1.0  # at every step
study = open_study(file, url)
real, count = publication.create_next, 0


def create(store: object, ledger: str, *rest: object) -> object:
    global count  # noqa: PLW0603
    count += ledger.startswith("runs/")
    last = count == int(number)
    if last and when == "before":
        os.kill(os.getpid(), signal.SIGKILL)
    made = real(store, ledger, *rest)
    if last:
        os.kill(os.getpid(), signal.SIGKILL)
    return made


publication.create_next = create
run_stage("train", study, LocalEngine(1))
