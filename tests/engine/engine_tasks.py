"""Tasks that another process can import by name."""

import os
import signal
from pathlib import Path

import torch


def square(x):
    return x * x


def fail_on_three(x):
    if x == 3:
        raise ValueError("three is not welcome")
    return x


class Bad(Exception):
    """Its arguments are not those that it was made of, so no pickle of it can be loaded."""

    def __init__(self, number, of):
        super().__init__(f"{number} of {of}")


def fail_badly_on_three(x):
    if x == 3:
        raise Bad("three", of="four")
    return x


def die_on_two(x):
    if x == 2:
        os._exit(9)
    return x


def signalled_on_two(x):
    if x == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return x


def threads(_):
    return torch.get_num_threads()


def say(x):
    from stratigraph.engine import tell

    for step in range(3):
        tell({"x": x, "step": step})
    return x


def say_and_wait(path):
    """Speak until somebody has heard, and says so by a file."""
    import time

    from stratigraph.engine import tell

    deadline = time.monotonic() + 60
    while not path.exists():
        assert time.monotonic() < deadline
        tell({"name": path.name})
        time.sleep(0.02)
    return path.name


def process(place):
    """Which process this is, once another task has begun beside it."""
    import time

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
