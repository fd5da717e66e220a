"""What the tests of several stages train on."""

from __future__ import annotations

import numpy as np
import pytest


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A file of 80 pictures of noise."""
    path = tmp_path_factory.mktemp("data") / "pictures.npy"
    images = np.random.default_rng(0).integers(0, 256, (80, 1, 32, 32), dtype=np.uint8)
    np.save(path, images)
    return str(path)
