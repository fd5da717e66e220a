"""Where tasks run: one interface, several engines. `stratigraph.engine.ray` is imported by name."""

from stratigraph.engine.local import (
    LocalEngine as LocalEngine,
    one_thread as one_thread,
)
from stratigraph.engine.protocol import Engine as Engine, Outcome as Outcome
from stratigraph.engine.stop import (
    ask_to_stop as ask_to_stop,
    listening as listening,
    stopping as stopping,
    withdraw as withdraw,
)
from stratigraph.engine.words import tell as tell
