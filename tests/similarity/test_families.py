"""Every other family against an independent implementation, a closed form, or a known case."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import textbook
from scipy import linalg, stats
from scipy.spatial.distance import pdist, squareform
from sklearn.linear_model import LinearRegression
from sklearn.neighbors import NearestNeighbors
from synthetic import gaussian, layers, rotation

from stratigraph.errors import InputError
from stratigraph.pairs.matrix import similarity_matrix
from stratigraph.similarity.catalog import ALIASES, MEASURES, find_measure
from stratigraph.similarity.inputs import as_matrix
from stratigraph.similarity.kernel_cka import (
    deconfounded_cka,
    deconfounded_measure,
    kernel_measure,
)
from stratigraph.similarity.measure import UndefinedWarning, score
from stratigraph.similarity.neighbours import neighbour_measure
from stratigraph.similarity.spectrum import (
    effective_rank,
    eigenspectrum,
    participation_ratio,
    power_law_exponent,
)

N = 60
X, Y, *_ = layers(N, (8, 12)).values()
WIDE, WIDER = layers(N, (90, 150), seed=3).values()


def of(name, x, y):
    return score(find_measure(name), x, y)


def canonical(x, y):
    """Canonical correlations from whitened covariances, the definition."""
    x, y = textbook.centred(x), textbook.centred(y)
    a, b = linalg.inv(linalg.sqrtm(x.T @ x)), linalg.inv(linalg.sqrtm(y.T @ y))
    return linalg.svdvals(a @ x.T @ y @ b)


def test_cca_family_is_its_definition():
    rho = canonical(X, Y)
    assert of("mean_cca", X, Y) == pytest.approx(rho.mean(), abs=1e-8)
    assert of("r2_cca", X, Y) == pytest.approx(np.mean(rho**2), abs=1e-8)


@pytest.mark.parametrize("name", ["mean_cca", "r2_cca", "linear_predictivity"])
def test_the_scale_of_one_column_changes_no_correlation(name):
    expected = of(name, X, Y)
    for scale in (1e-7, 1e-12, 1e9):
        scaled = X * np.append(np.ones(7), scale)
        assert of(name, scaled, Y) == pytest.approx(expected, abs=1e-9)
    single = (X * np.append(np.ones(7, np.float32), np.float32(1e-7))).astype(np.float32)
    assert of(name, single, Y) == pytest.approx(expected, abs=1e-6)


def test_a_direction_that_is_rounding_is_none():
    """Softmax outputs add up to 1: of p columns, p − 1 are of their own, stored as they may be."""
    soft = np.exp(gaussian(N, 4)) / np.exp(gaussian(N, 4)).sum(1, keepdims=True)
    expected = of("mean_cca", soft[:, :3], Y)
    for stored in (soft, soft.astype(np.float32), soft.astype(np.float32).astype(float)):
        assert of("mean_cca", np.hstack([stored, stored]), Y) == pytest.approx(expected, abs=1e-6)


def test_svcca_keeps_the_leading_variance():
    strong = np.hstack([X, 1e-4 * gaussian(N, 5)])
    assert of("svcca", strong, Y) == pytest.approx(of("svcca", X, Y), abs=1e-4)
    assert of("svcca", WIDE, WIDE) == pytest.approx(1)
    with pytest.raises(InputError, match=r"svcca: 99% of the variance takes \d+ directions"):
        of("svcca", gaussian(20, 500), gaussian(20, 3))


def test_pwcca_weights_by_use():
    x, y = textbook.centred(X), textbook.centred(Y)
    qx, qy = linalg.orth(x), linalg.orth(y)
    u, rho, _ = np.linalg.svd(qx.T @ qy, full_matrices=False)
    alpha = np.abs((qx @ u).T @ x).sum(1)
    assert of("pwcca", X, Y) == pytest.approx(alpha @ rho / alpha.sum(), abs=1e-8)


@pytest.mark.parametrize("name", ["mean_cca", "r2_cca", "pwcca", "linear_predictivity"])
def test_more_units_than_probes_are_refused(name):
    with pytest.raises(InputError, match=rf"{name}: 90 units but only 60 probes.* score is 1"):
        of(name, WIDE, Y)
    with pytest.raises(InputError, match=rf"{name}: 59 units but only 60 probes"):
        of(name, WIDE[:, :59], Y)  # which span all differences of the probes


def test_linear_predictivity_is_least_squares():
    expected = LinearRegression().fit(X, Y).predict(X)
    left = np.sum((Y - expected) ** 2) / np.sum(textbook.centred(Y) ** 2)
    assert of("linear_predictivity", X, Y) == pytest.approx(1 - left, abs=1e-6)


@pytest.mark.parametrize(("x", "y"), [(X, Y), (WIDE, Y)], ids=["narrow", "wide"])
def test_rsa_is_its_definition(x, y):
    d, e = pdist(x.astype(float), "sqeuclidean"), pdist(y.astype(float), "sqeuclidean")
    assert of("rsa_pearson", x, y) == pytest.approx(stats.pearsonr(d, e)[0], abs=1e-9)
    assert of("rsa_spearman", x, y) == pytest.approx(stats.spearmanr(d, e)[0], abs=1e-9)
    cosine = d @ e / np.linalg.norm(d) / np.linalg.norm(e)
    assert of("rsa_cosine", x, y) == pytest.approx(cosine, abs=1e-9)


def test_ranks_of_distances_that_differ_by_rounding_are_one():
    rng = np.random.default_rng(1)
    x, y = rng.integers(0, 3, (N, 4)), rng.integers(0, 3, (N, 5))
    d, e = pdist(x, "sqeuclidean"), pdist(y, "sqeuclidean")
    turned = x @ rotation(4) + 3
    assert of("rsa_spearman", turned, y) == pytest.approx(stats.spearmanr(d, e)[0], abs=1e-9)
    # One probe far off takes no digits from the distances between the others.
    x = np.vstack([x, 1e6 * np.ones((1, 4))])
    y = np.vstack([y, np.ones((1, 5))])
    d, e = pdist(x, "sqeuclidean"), pdist(y, "sqeuclidean")
    assert of("rsa_spearman", x, y) == pytest.approx(stats.spearmanr(d, e)[0], abs=1e-5)


def test_whitened_rsa_is_linear_cka():
    """Diedrichsen et al. 2021: with V the covariance of distance estimates, d'V⁻¹e is CKA."""
    n = 9
    x, y = gaussian(n, 4), gaussian(n, 6, 1)
    pairs = list(itertools.combinations(range(n), 2))
    contrast = np.zeros((len(pairs), n))
    for row, (i, j) in enumerate(pairs):
        contrast[row, i], contrast[row, j] = 1, -1
    v = np.linalg.inv((contrast @ contrast.T) ** 2)
    d, e = pdist(x, "sqeuclidean"), pdist(y, "sqeuclidean")
    whitened = d @ v @ e / math.sqrt((d @ v @ d) * (e @ v @ e))
    assert of("rsa_whitened", x, y) == pytest.approx(whitened, abs=1e-9)


def test_bures_is_shape():
    k, m = (textbook.centred(v) @ textbook.centred(v).T for v in (X, Y))
    root = linalg.sqrtm(k).real
    fidelity = np.trace(linalg.sqrtm(root @ m @ root).real)
    normalised = fidelity / math.sqrt(np.trace(k) * np.trace(m))
    assert of("normalized_bures_similarity", X, Y) == pytest.approx(normalised, abs=1e-5)
    distance = math.sqrt(np.trace(k) + np.trace(m) - 2 * fidelity)
    assert of("bures_distance", X, Y) == pytest.approx(distance, rel=1e-5)
    assert of("angular_shape_distance", X, Y) == pytest.approx(math.acos(normalised), abs=1e-5)


def test_size_and_shape_is_the_best_rotation():
    x, y = textbook.centred(gaussian(N, 5)), textbook.centred(gaussian(N, 5, 1))
    turn, _ = linalg.orthogonal_procrustes(x, y)
    expected = np.linalg.norm(x @ turn - y)
    assert of("size_and_shape_distance", x, y) == pytest.approx(expected, rel=1e-10)
    assert of("size_and_shape_distance", x, x @ rotation(5)) < 1e-6
    assert of("size_and_shape_distance", x, 3 * x) == pytest.approx(2 * np.linalg.norm(x))


@pytest.mark.parametrize("kernel", ["rbf", "laplacian"])
@pytest.mark.parametrize("debiased", [False, True])
def test_kernel_cka_is_its_definition(kernel, debiased):
    kernels = []
    for v in (WIDE, Y):
        d = squareform(pdist(v.astype(float)))
        d /= np.median(pdist(v.astype(float)))
        kernels.append(np.exp(-(d**2) / 2 / 0.7**2) if kernel == "rbf" else np.exp(-d / 0.7))
    if debiased:
        h = textbook.hsic_unbiased
    else:
        c = np.eye(N) - 1 / N
        h = lambda a, b: np.sum((c @ a @ c) * (c @ b @ c))  # noqa: E731
    k, m = kernels
    expected = h(k, m) / math.sqrt(h(k, k) * h(m, m))
    measure = kernel_measure(kernel, 0.7, debiased=debiased)
    assert score(measure, WIDE, Y) == pytest.approx(expected, abs=1e-9)
    assert score(measure, WIDE * 1e9, Y + 100) == pytest.approx(score(measure, WIDE, Y), abs=1e-4)


@pytest.mark.parametrize("bandwidth", [0, -1, math.nan, math.inf, "wide"])
def test_bandwidths_that_are_none(bandwidth):
    with pytest.raises(InputError, match="bandwidth: expected a positive multiple of the median"):
        kernel_measure("rbf", bandwidth)
    with pytest.raises(InputError, match=r"no kernel is named 'rfb'.* Did you mean 'rbf'"):
        kernel_measure("rfb")


def test_deconfounding_removes_what_only_the_input_explains():
    inputs = gaussian(400, 10)
    x, y = (inputs @ rotation(10, s) + 0.4 * gaussian(400, 10, s + 9) for s in (1, 2))
    assert of("debiased_cka", x, y) > 0.6
    assert abs(deconfounded_cka(x, y, inputs)) < 0.05
    assert deconfounded_cka(x, x, inputs) == pytest.approx(1, abs=1e-10)
    matrix = similarity_matrix({"x": x, "y": y}, measure=deconfounded_measure(inputs))
    assert matrix.item(0, 1) == pytest.approx(deconfounded_cka(x, y, inputs), abs=1e-6)
    with pytest.warns(UndefinedWarning, match="no more than the input's geometry"):
        assert np.isnan(deconfounded_cka(x, inputs * 3, inputs))
    with pytest.raises(InputError, match=r"inputs: expected the same 60 probes"):
        deconfounded_cka(X, Y, inputs)


def test_deconfounding_is_partial_correlation():
    inputs = gaussian(N, 6)
    vectors = []
    for v in (X, Y, inputs):
        k = textbook.centred(v) @ textbook.centred(v).T
        np.fill_diagonal(k, 0)
        n = len(k)
        k = k - k.sum(0) / (n - 2) - k.sum(1)[:, None] / (n - 2) + k.sum() / ((n - 1) * (n - 2))
        vectors.append(k[np.triu_indices(n, 1)])
    a, b, c = np.array(vectors) / np.linalg.norm(vectors, axis=1)[:, None]
    expected = (a @ b - (a @ c) * (b @ c)) / math.sqrt((1 - (a @ c) ** 2) * (1 - (b @ c) ** 2))
    assert deconfounded_cka(X, Y, inputs) == pytest.approx(expected, abs=1e-9)


def test_neighbours_are_those_of_scikit_learn():
    found = [
        NearestNeighbors(n_neighbors=10).fit(v).kneighbors(return_distance=False) for v in (X, Y)
    ]
    shared = [len(set(a) & set(b)) / 10 for a, b in zip(*found, strict=True)]
    assert of("mutual_knn", X, Y) == pytest.approx(np.mean(shared), abs=1e-12)
    kernels = [textbook.centred(v) @ textbook.centred(v).T for v in (X, Y)]
    masked = []
    for kernel, nearest in zip(kernels, found, strict=True):
        mask = np.zeros_like(kernel)
        np.put_along_axis(mask, nearest, 1.0, 1)
        masked.append(kernel * mask)
    a, b = masked
    expected = np.sum(a * b) / np.linalg.norm(a) / np.linalg.norm(b)
    assert of("cknna", X, Y) == pytest.approx(expected, abs=1e-9)
    with pytest.raises(InputError, match=r"neighbours: expected a whole number"):
        neighbour_measure(0)
    with pytest.raises(InputError, match=r"mutual_knn needs at least 12 probes"):
        of("mutual_knn", X[:11], Y[:11])


def test_neighbours_by_cosine_are_those_of_scikit_learn():
    found = [
        NearestNeighbors(n_neighbors=10, metric="cosine").fit(v).kneighbors(return_distance=False)
        for v in (X, Y)
    ]
    shared = [len(set(a) & set(b)) / 10 for a, b in zip(*found, strict=True)]
    for scale in (1e-200, 1, 1e200):
        expected = pytest.approx(np.mean(shared), abs=1e-12)
        assert of("mutual_knn_cosine", scale * X.astype(float), Y) == expected
    # Lengths do not count, and a row of zeros is far from all but another one.
    lengths = np.random.default_rng(0).uniform(0.1, 10, (len(X), 1))
    assert of("mutual_knn_cosine", X, lengths * X) == pytest.approx(1, abs=1e-12)
    assert of("mutual_knn", X, lengths * X) < 0.9
    silent = np.abs(X)
    silent[[3, 8]] = 0
    assert np.isfinite(of("mutual_knn_cosine", silent, Y))
    by_cosine = neighbour_measure(1, cosines=True).prepare(as_matrix(silent)).parts[0]
    nearest = by_cosine.reshape(len(X), -1).fill_diagonal_(-1).argmax(1)
    assert (nearest[3], nearest[8]) == (8, 3)
    others = [i for i in range(len(X)) if i not in (3, 8)]
    assert not {3, 8} & set(nearest[others].tolist())


def test_matching_finds_the_best_of_all_permutations():
    x, y = textbook.centred(gaussian(30, 5)), textbook.centred(gaussian(30, 5, 1))
    gains = x.T @ y
    best = max(sum(gains[i, p[i]] for i in range(5)) for p in itertools.permutations(range(5)))
    best /= np.linalg.norm(x) * np.linalg.norm(y)
    assert of("permutation_similarity", x, y) == pytest.approx(best, abs=1e-12)
    shuffled = x[:, [3, 1, 4, 0, 2]]
    assert of("permutation_similarity", x, shuffled) == pytest.approx(1)
    assert of("soft_matching", x, shuffled * [1, 2, 3, 4, 5]) == pytest.approx(1)


def test_soft_matching_splits_units():
    x = gaussian(30, 3)
    assert of("soft_matching", x, np.repeat(x, 2, axis=1)) == pytest.approx(1, abs=1e-9)
    dead = np.hstack([x, np.ones((30, 3))])
    assert of("soft_matching", x, dead) == pytest.approx(0.5, abs=0.2)


def test_measures_of_units_need_the_units(tmp_path):
    from stratigraph.pairs.stored import compare_stored

    with pytest.raises(InputError, match="depends on the units themselves"):
        compare_stored([tmp_path / "x.npy"], "soft_matching")


def test_spectra_of_known_covariances():
    flat = linalg.orth(textbook.centred(gaussian(80, 20)))
    assert effective_rank(flat) == pytest.approx(20)
    assert participation_ratio(flat * 1e15 + 3e15) == pytest.approx(20, rel=1e-3)
    assert len(eigenspectrum(gaussian(10, 400))) == 9
    decaying = linalg.orth(textbook.centred(gaussian(300, 120))) * np.arange(1, 121) ** -0.6
    assert power_law_exponent(decaying) == pytest.approx(1.2, abs=1e-6)
    np.testing.assert_allclose(
        eigenspectrum(X), np.linalg.eigvalsh(np.cov(X.T))[::-1] / np.trace(np.cov(X.T)), atol=1e-6
    )
    with pytest.raises(InputError, match="expected at least 5 eigenvalues in ranks 10 to 500"):
        power_law_exponent(X)
    with pytest.warns(UndefinedWarning, match="constant"):
        assert math.isnan(effective_rank(np.ones((5, 3))))


@pytest.mark.parametrize("name", MEASURES)
def test_every_measure_fills_a_matrix(name):
    a = {"x": X, "y": Y, "z": gaussian(N, 12)}
    matrix = similarity_matrix(a, measure=name)
    for i, x in enumerate(a.values()):
        for j, y in enumerate(a.values()):
            assert matrix.item(i, j) == pytest.approx(of(name, x, y), abs=1e-6)


def test_aliases_name_measures():
    assert set(ALIASES.values()) <= set(MEASURES)
    assert not set(ALIASES) & set(MEASURES)
