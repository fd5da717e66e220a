"""The former name of `stratigraph.records`; it goes with the next version."""

from stratigraph.records import load_weights as load_weights, read_weights as read_weights
from stratigraph.renamed import warn_former

warn_former("stratigraph.snapshots", "stratigraph.records")
