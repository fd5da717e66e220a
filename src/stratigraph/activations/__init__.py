"""What a network does with the probes, layer by layer."""

from stratigraph.activations.capture import (
    Captured as Captured,
    capture as capture,
    reading as reading,
)
from stratigraph.activations.extract import (
    DECODER_INPUTS as DECODER_INPUTS,
    default_layers as default_layers,
    layers_to_read as layers_to_read,
    read_network as read_network,
)
from stratigraph.activations.layers import select_layers as select_layers
from stratigraph.activations.learned import Learned as Learned
from stratigraph.activations.reader import Reader as Reader, reader as reader
from stratigraph.activations.state import undisturbed as undisturbed, unwrapped as unwrapped
