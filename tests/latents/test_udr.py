"""UDR against its definition, and on networks whose latents are known to be the same or not."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy

from stratigraph.errors import ConfigError, InputError
from stratigraph.latents.scores.udr import UDRSettings, agreement, udr


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def posterior(mean, active=None):
    """A posterior of narrow latents, the others at the prior."""
    z = mean.shape[1]
    alive = np.ones(z, dtype=bool) if active is None else np.asarray(active)
    return np.where(alive, mean, 0.0), np.broadcast_to(np.where(alive, -3.0, 0.0), mean.shape)


def by_the_paper(relation):
    """Equation by equation: arXiv 1905.12614, section 4."""
    d_a, d_b = relation.shape
    total = 0.0
    for b in range(d_b):
        column = [relation[a, b] for a in range(d_a)]
        total += max(column) ** 2 / sum(column)
    for a in range(d_a):
        total += max(relation[a]) ** 2 / sum(relation[a])
    return total / (d_a + d_b)


def test_it_is_the_papers_formula(rng):
    for shape in ((3, 3), (2, 5), (4, 1)):
        relation = rng.random(shape)
        assert agreement(relation) == pytest.approx(by_the_paper(relation), rel=1e-12)
    assert agreement(np.eye(4)) == 1
    assert agreement(np.full((4, 4), 0.5)) == pytest.approx(0.125)  # 0.25 / (4 · 0.5)
    assert agreement(np.zeros((0, 3))) == 0


def test_permuted_flipped_and_bent_latents_are_the_same(rng):
    mean = rng.standard_normal((400, 4))
    other = np.tanh(-3 * mean[:, [2, 0, 3, 1]])
    found = udr({"a": posterior(mean), "b": posterior(other)})
    # Of independent latents chance correlations remain, about √(2/(π n)) each.
    assert found["a"].score > 0.85
    turned = mean @ np.linalg.qr(rng.standard_normal((4, 4)))[0]
    assert udr({"a": posterior(mean), "b": posterior(turned)})["a"].score < 0.6
    assert found["a"].by_latent.shape == (4,)


def test_uninformative_latents_do_not_enter(rng):
    mean = rng.standard_normal((200, 3))
    whole = udr({"a": posterior(mean[:, :2]), "b": posterior(mean[:, :2])})["a"].score
    padded = udr({
        "a": posterior(mean, [True, True, False]), "b": posterior(mean, [True, True, False]),
    })  # fmt: skip
    assert padded["a"].score == pytest.approx(whole)
    assert np.isnan(padded["a"].by_latent[2])
    dead = udr({"a": posterior(mean, [False] * 3), "b": posterior(mean)})
    assert dead["a"].score == dead["b"].score == 0
    assert dead["a"].note == "no latent is informative"


def test_it_is_the_median_over_the_other_networks(rng):
    mean = rng.standard_normal((300, 3))
    networks = {
        name: posterior(mean @ rng.standard_normal((3, 3)) if name in "cd" else mean)
        for name in "abcd"
    }
    ranks = {
        name: np.abs(scipy.stats.spearmanr(networks["a"][0], own[0]).statistic[:3, 3:])
        for name, own in networks.items()
    }
    expected = np.median([by_the_paper(ranks[name]) for name in "bcd"])
    assert udr(networks)["a"].score == pytest.approx(expected, rel=1e-9)


def test_the_lasso_tells_a_rotation_apart(rng):
    mean = rng.standard_normal((300, 3))
    turned = mean @ np.linalg.qr(rng.standard_normal((3, 3)))[0]
    settings = UDRSettings(relation="lasso")
    same = udr({"a": posterior(mean), "b": posterior(mean[:, [1, 2, 0]])}, settings)["a"].score
    other = udr({"a": posterior(mean), "b": posterior(turned)}, settings)["a"].score
    assert same == pytest.approx(0.9, abs=0.02)  # a coefficient of 1 less the penalty
    assert other < same - 0.2


def test_a_network_alone_and_unlike_probes(rng):
    mean = rng.standard_normal((50, 2))
    alone = udr({"a": posterior(mean)})["a"]
    assert math.isnan(alone.score)
    assert alone.reason == "there is no other network like it"
    with pytest.raises(InputError, match="expected the same probes"):
        udr({"a": posterior(mean), "b": posterior(mean[:40])})
    with pytest.raises(ConfigError, match="relation: expected spearman or lasso"):
        UDRSettings(relation="pearson")
