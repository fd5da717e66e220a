"""Stratigraph reads how a network learns, layer by layer.

The public names below are loaded when they are first used: importing the package does nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_HOME = {
    "RunConfig": "stratigraph.training",
    "capture": "stratigraph.activations.capture",
    "compare": "stratigraph.similarity.networks",
    "debiased_cka": "stratigraph.similarity.cka",
    "import_checkpoints": "stratigraph.integrations.import_checkpoints",
    "linear_cka": "stratigraph.similarity.cka",
    "load_dataset": "stratigraph.data",
    "load_study": "stratigraph.home",
    "procrustes_similarity": "stratigraph.similarity.procrustes",
    "record": "stratigraph.integrations.begin",
    "run_study": "stratigraph.pipeline",
    "similarity_matrix": "stratigraph.similarity.matrix",
    "train": "stratigraph.pipeline.train",
}

__all__ = [
    "RunConfig",
    "__version__",
    "capture",
    "compare",
    "debiased_cka",
    "import_checkpoints",
    "linear_cka",
    "load_dataset",
    "load_study",
    "procrustes_similarity",
    "record",
    "run_study",
    "similarity_matrix",
    "train",
]

if TYPE_CHECKING:
    from stratigraph.activations.capture import capture
    from stratigraph.data import load_dataset
    from stratigraph.home import load_study
    from stratigraph.integrations.begin import record
    from stratigraph.integrations.import_checkpoints import import_checkpoints
    from stratigraph.pipeline import run_study
    from stratigraph.pipeline.train import train
    from stratigraph.similarity.cka import debiased_cka, linear_cka
    from stratigraph.similarity.matrix import similarity_matrix
    from stratigraph.similarity.networks import compare
    from stratigraph.similarity.procrustes import procrustes_similarity
    from stratigraph.training import RunConfig


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(importlib.import_module(_HOME[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
