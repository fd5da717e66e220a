"""What a network does with the probes, layer by layer."""

from stratigraph.activations.capture import capture, reading, select_layers
from stratigraph.activations.extract import (
    DECODER_INPUTS,
    default_layers,
    layers_to_read,
    read_network,
)

__all__ = [
    "DECODER_INPUTS",
    "capture",
    "default_layers",
    "layers_to_read",
    "read_network",
    "reading",
    "select_layers",
]
