"""Where tasks run: one interface, several engines."""

from stratigraph.engine.local import LocalEngine, one_thread
from stratigraph.engine.protocol import Engine, Failure, Outcome
from stratigraph.engine.stop import listening, stopping

__all__ = ["Engine", "Failure", "LocalEngine", "Outcome", "listening", "one_thread", "stopping"]
