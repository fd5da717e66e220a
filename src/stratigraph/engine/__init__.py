"""Where tasks run: one interface, several engines."""

from stratigraph.engine.local import LocalEngine
from stratigraph.engine.protocol import Engine, Failure, Outcome

__all__ = ["Engine", "Failure", "LocalEngine", "Outcome"]
