"""What a network does with the probes, layer by layer."""

from stratigraph.activations.capture import (
    Captured,
    capture,
    check_repeats,
    reader,
    reading,
    select_layers,
)
from stratigraph.activations.extract import (
    DECODER_INPUTS,
    default_layers,
    layers_to_read,
    read_network,
)

__all__ = [
    "DECODER_INPUTS",
    "Captured",
    "capture",
    "check_repeats",
    "default_layers",
    "layers_to_read",
    "read_network",
    "reader",
    "reading",
    "select_layers",
]
