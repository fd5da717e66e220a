"""Where tasks run: one interface, several engines. `stratigraph.engine.ray` is imported by name."""

from stratigraph.engine.local import LocalEngine, one_thread
from stratigraph.engine.protocol import Engine, Failure, Outcome, progress_of
from stratigraph.engine.stop import ask_to_stop, listening, stopping, withdraw
from stratigraph.engine.words import Hear, tell

__all__ = [
    "Engine",
    "Failure",
    "Hear",
    "LocalEngine",
    "Outcome",
    "ask_to_stop",
    "listening",
    "one_thread",
    "progress_of",
    "stopping",
    "tell",
    "withdraw",
]
