"""Embeddings that are already there: files of arrays and tables, read as far as they are needed."""

from stratigraph.representations.load import load_representations as load_representations
from stratigraph.representations.representation import (
    Representation as Representation,
    Representations as Representations,
)
