"""Other people's trainings and networks: a recorder, callbacks and a metric, each a thin extra."""

from stratigraph.integrations.recorder import Recorder, record

__all__ = ["Recorder", "record"]
