"""Other people's trainings and networks: a recorder, callbacks and a metric, each a thin extra."""

from stratigraph.integrations.begin import record
from stratigraph.integrations.recorder import Recorder

__all__ = ["Recorder", "record"]
