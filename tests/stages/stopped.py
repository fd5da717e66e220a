"""Trains one run in a process of its own, so that it can be sent signals: FOLDER CONFIG WORKERS."""

import json
import sys
from pathlib import Path

from stratigraph.engine import LocalEngine
from stratigraph.stages.train import TrainTask, run_task

if __name__ == "__main__":
    task = TrainTask(Path(sys.argv[1]), json.loads(sys.argv[2]), "cpu", False)
    for outcome in LocalEngine(int(sys.argv[3])).map(run_task, [task]):
        print(outcome.value, outcome.failure)
