"""What a network does with the probes, layer by layer."""

from stratigraph.activations.capture import Captured, capture
from stratigraph.activations.extract import (
    DECODER_INPUTS,
    default_layers,
    layers_to_read,
    read_network,
)
from stratigraph.activations.layers import select_layers
from stratigraph.activations.learned import Learned
from stratigraph.activations.reader import Reader, reader
from stratigraph.activations.state import undisturbed, unwrapped

__all__ = [
    "DECODER_INPUTS",
    "Captured",
    "Learned",
    "Reader",
    "capture",
    "default_layers",
    "layers_to_read",
    "read_network",
    "reader",
    "select_layers",
    "undisturbed",
    "unwrapped",
]
