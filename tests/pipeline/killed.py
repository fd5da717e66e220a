"""Trains a study at a URL, and is killed at its Nth commit: before it, or just after it.

python killed.py STUDY_FILE URL N before|after
"""

import os
import signal
import sys

from stratigraph.engine import LocalEngine
from stratigraph.pipeline import open_study, run_stage
from stratigraph.snapshots.ledger import Ledger

file, url, number, when = sys.argv[1:]
sys.modules["stratigraph.pipeline.train"].CHECKPOINT_SECONDS = -1.0  # at every step
study = open_study(file, url)
real, commits = Ledger.create, []


def create(ledger: Ledger, head: object) -> None:
    if ledger.folder.startswith("runs/"):
        commits.append(head)
    last = len(commits) == int(number)
    if last and when == "before":
        os.kill(os.getpid(), signal.SIGKILL)
    real(ledger, head)
    if last:
        os.kill(os.getpid(), signal.SIGKILL)


Ledger.create = create
run_stage("train", study, LocalEngine(1))
