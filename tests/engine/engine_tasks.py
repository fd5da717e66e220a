"""Tasks that another process can import by name; those of the contract are shipped."""

import os
import time
from pathlib import Path


def process(place):
    """Which process this is, once another task has begun beside it."""
    place.touch()
    deadline = time.monotonic() + 60
    while len(list(place.parent.iterdir())) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return os.getpid()


def folder(_):
    return str(Path.cwd())


def variable(name):
    return os.environ.get(name)
