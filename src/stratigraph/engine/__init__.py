"""Where tasks run: one interface, several engines."""

from stratigraph.engine.local import LocalEngine, one_thread
from stratigraph.engine.protocol import Engine, Failure, Outcome

__all__ = ["Engine", "Failure", "LocalEngine", "Outcome", "one_thread"]
