"""The former name of `stratigraph.records`; it goes with the next version."""

import warnings

from stratigraph.records import load_weights as load_weights, read_weights as read_weights

warnings.warn(
    "stratigraph.snapshots is called stratigraph.records now", DeprecationWarning, stacklevel=2
)
