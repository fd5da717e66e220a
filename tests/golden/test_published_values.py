"""Scores that published packages give for the same arrays, to the digits that they print.

Made once with rsatoolbox 0.3.2 (`rdm.compare` of squared Euclidean distances), repsim 0.1.5
(`cka(…, "linear", "gretton")`), pytorch-cka 1.1.3 (`cka_from_features`) and cka-pytorch 1.1.3
(`hsic1`), in float64, by `benchmarks/peers.py`.
"""

from __future__ import annotations

import numpy as np
import pytest

from stratigraph.pairs.matrix import similarity_matrix
from stratigraph.similarity.catalog import MEASURES
from stratigraph.similarity.measure import score

PUBLISHED = {
    "linear_cka": (0.808931165674, "rsatoolbox cosine_cov, repsim"),
    "debiased_cka": (0.766143087509, "pytorch-cka, cka-pytorch"),
    "rsa_cosine": (0.953959478084, "rsatoolbox cosine"),
    "rsa_pearson": (0.694296124584, "rsatoolbox corr"),
    "rsa_spearman": (0.709260913922, "rsatoolbox spearman"),
}


def arrays():
    rng = np.random.default_rng(7)
    x = rng.normal(size=(40, 12))
    y = x[:, :8] @ rng.normal(size=(8, 90)) + rng.normal(size=(40, 90))
    return x, y


@pytest.mark.parametrize("name", PUBLISHED)
def test_as_published(name):
    x, y = arrays()
    value, source = PUBLISHED[name]
    assert score(MEASURES[name], x, y) == pytest.approx(value, abs=2e-12), source
    whole = similarity_matrix({"x": x, "y": y}, measure=name).to_numpy()
    assert whole[0, 1] == pytest.approx(value, abs=1e-7)


def test_procrustes_as_rsatoolbox_bures():
    """rsatoolbox takes matrix roots, which keep half the digits; numpy's singular values all."""
    x, y = arrays()
    found = score(MEASURES["procrustes_similarity"], x, y)
    assert found == pytest.approx(0.847696807303, abs=1e-7)
    x, y = x - x.mean(0), y - y.mean(0)
    exact = np.linalg.norm(x.T @ y, "nuc") / np.linalg.norm(x) / np.linalg.norm(y)
    assert found == pytest.approx(exact, abs=1e-12)
