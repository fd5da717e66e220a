"""What a network does with the probes, layer by layer."""

from stratigraph.activations.capture import (
    capture as capture,
    check_repeats as check_repeats,
    reader as reader,
    reading as reading,
)
from stratigraph.activations.extract import (
    DECODER_INPUTS as DECODER_INPUTS,
    default_layers as default_layers,
    layers_to_read as layers_to_read,
    read_network as read_network,
)
from stratigraph.activations.layers import select_layers as select_layers
