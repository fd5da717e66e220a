"""Other people's trainings and networks: a recorder, callbacks and a metric, each a thin extra."""
