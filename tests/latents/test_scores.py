"""Disentanglement scores: closed forms, what they promise, and the order of known codes."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from sklearn.metrics import mutual_info_score

from stratigraph.errors import InputError
from stratigraph.latents.scores import (
    SCORES,
    BetaVAESettings,
    DCISettings,
    FactorVAESettings,
    IRSSettings,
    MIGSettings,
    ModularitySettings,
    beta_vae_score,
    completeness,
    dci,
    disentanglement,
    disentanglement_scores,
    factor_grid,
    factor_vae_score,
    find_score,
    irs,
    known_codes,
    mig,
    modularity,
    modularity_of,
    sap,
)
from stratigraph.latents.scores.factor_vae import majority
from stratigraph.latents.scores.groups import Groups
from stratigraph.latents.scores.mutual_information import mutual_information
from stratigraph.latents.scores.table import read_table

EXACT = 1e-6  # what the project promises of closed forms; most are met to rounding
GRID = factor_grid(3, 4, 5, 6)
RNG = np.random.default_rng(0)
SMALL = {
    "dci": DCISettings(trees=5),
    "factor_vae": FactorVAESettings(votes=1000, tested=1000),
    "beta_vae": BetaVAESettings(points=1000, tested=1000),
}
HALF_BIT = 0.25 * math.log(4) + 0.75 * math.log(4 / 3)  # entropy of (1/4, 3/4), nats


def score_of(name, codes, factors=GRID):
    return SCORES[name].of(codes, factors, SMALL.get(name))


# Closed forms


def test_mutual_information_of_a_table_by_hand():
    # Of eight rows, the latent's sign agrees with the factor in six.
    factor = np.array([0, 0, 0, 0, 1, 1, 1, 1])
    codes = np.array([[-1.0], [-1], [-1], [1], [1], [1], [1], [-1]])
    found, entropies = mutual_information(codes, factor[:, None], np.array([2]), bins=2)
    assert found[0, 0] == pytest.approx(math.log(2) - HALF_BIT, abs=1e-12)
    assert entropies == pytest.approx([math.log(2)])


def test_mutual_information_is_scikit_learns_of_numpys_bins():
    codes, factor = RNG.standard_normal((500, 3)), RNG.integers(0, 7, 500)
    codes[:, 0] += factor
    found, _ = mutual_information(codes, factor[:, None], np.array([7]), bins=20)
    for j, latent in enumerate(codes.T):
        edges = np.histogram(latent, 20)[1][:-1]
        assert found[j, 0] == pytest.approx(mutual_info_score(np.digitize(latent, edges), factor))


def test_mig_by_hand():
    # The first latent has 1 − h(1/4) of the factor's one bit, the second nothing.
    factor = np.array([[0], [0], [0], [0], [1], [1], [1], [1]])
    codes = np.array([[-1, 0], [-1, 1], [-1, 0], [1, 1], [1, 0], [1, 1], [1, 0], [-1, 1]])
    found = mig(codes, factor, MIGSettings(bins=2))
    assert found.score == pytest.approx(1 - HALF_BIT / math.log(2), abs=EXACT)
    assert found.matrix[:, 0] == pytest.approx([math.log(2) - HALF_BIT, 0])


def test_one_code_far_off_is_noted_where_bins_are_as_wide_as_the_codes_reach():
    codes = known_codes("perfect", GRID).astype(float)
    names = {"mig": mig, "modularity": modularity}
    names["sap"] = lambda c, f: sap(c, f, categorical=[0])
    assert all(score(codes, GRID).note == "" for score in names.values())
    assert mig(RNG.standard_normal((2000, 2)) ** 3, GRID[:1].repeat(2000, 0) + 0).note == ""
    codes[3, 1] = 1e6
    for score in names.values():
        assert "others of latent 1 in few of the 20 bins" in score(codes, GRID).note
    assert mig(codes, GRID).by_factor[1] == pytest.approx(0, abs=0.05)


def test_mig_of_a_factor_in_two_latents_is_zero():
    codes = known_codes("perfect", GRID)
    found = mig(np.concatenate([codes, codes[:, :1]], axis=1), GRID)
    assert found.by_factor == pytest.approx([0, 1, 1, 1], abs=EXACT)
    assert found.score == pytest.approx(0.75, abs=EXACT)


def test_sap_is_the_gap_of_known_correlations():
    # Of independent v and w of equal variance, 2v + w has R² 4/5 and 1/5; w has 0 and 1.
    v, w = (factor_grid(4, 4) - 1.5).T
    found = sap(np.stack([2 * v + w, w], axis=1), factor_grid(4, 4))
    assert found.matrix == pytest.approx(np.array([[0.8, 0.2], [0, 1]]), abs=EXACT)
    assert found.score == pytest.approx(0.8, abs=EXACT)


def test_sap_of_a_category_is_the_gap_of_balanced_accuracies():
    # Perfectly told by one latent, and by chance, 1/3, by the others, whatever the order of values.
    factors = GRID.copy()
    codes = known_codes("perfect", GRID)
    codes[:, 0] = np.array([0.0, 7.0, 3.0])[factors[:, 0]]
    found = sap(codes, factors, categorical=[0])
    assert found.by_factor[0] == pytest.approx(1 - 1 / 3, abs=EXACT)
    assert sap(codes, factors).by_factor[0] < 0.25
    # Two of the values share a bin: two thirds are told.
    codes[:, 0] = np.array([0.0, 0.0, 1.0])[factors[:, 0]]
    assert sap(codes, factors, categorical=[0]).matrix[0, 0] == pytest.approx(2 / 3, abs=EXACT)


def test_modularity_of_a_matrix_by_hand():
    score, each = modularity_of(np.array([[1.0, 0.5], [0.0, 2.0], [0.0, 0.0]]))
    assert each == pytest.approx([0.75, 1, 0], abs=EXACT)
    assert score == pytest.approx(1.75 / 3, abs=EXACT)
    assert modularity_of(np.ones((2, 5)))[0] == pytest.approx(0, abs=EXACT)


@pytest.mark.parametrize("unknown", [2, 3, 4, 6])
def test_a_latent_of_what_no_factor_tells_is_not_modular_by_rounding(unknown):
    # The last latent holds a factor that the table does not have, and is independent of the others.
    grid = factor_grid(3, 5, 7, unknown)
    found = modularity(known_codes("perfect", grid), grid[:, :3])
    assert found.matrix[3].tolist() == [0, 0, 0]
    assert found.by_latent == pytest.approx([1, 1, 1, 0], abs=EXACT)
    assert found.score == pytest.approx(0.75, abs=EXACT)


def test_explicitness_is_one_where_values_are_separable_and_a_half_for_noise():
    grid = np.tile(factor_grid(2, 2), (100, 1))
    asked = ModularitySettings(explicit=True)
    found = modularity(known_codes("perfect", grid), grid, asked)
    assert found.parts["explicitness"] == pytest.approx(1, abs=EXACT)
    turned = modularity(known_codes("rotated", grid), grid, asked)
    assert turned.parts["explicitness"] == pytest.approx(1, abs=EXACT)
    noise = modularity(known_codes("noise", grid), grid, asked)
    assert noise.parts["explicitness"] == pytest.approx(0.5, abs=0.1)


def test_dci_of_importances_by_hand():
    importance = np.array([[3.0, 1.0], [0.0, 4.0]])
    h = HALF_BIT / math.log(2)
    score, each = disentanglement(importance)
    assert each == pytest.approx([1 - h, 1], abs=EXACT)
    assert score == pytest.approx((4 * (1 - h) + 4) / 8, abs=EXACT)
    fifth = 0.2 * math.log2(5) + 0.8 * math.log2(1.25)
    score, each = completeness(importance)
    assert each == pytest.approx([1, 1 - fifth], abs=EXACT)
    assert score == pytest.approx((3 + 5 * (1 - fifth)) / 8, abs=EXACT)


def test_dci_leaves_out_what_is_not_used():
    score, each = disentanglement(np.array([[2.0, 0.0], [0.0, 0.0], [0.0, 1.0]]))
    assert score == pytest.approx(1, abs=EXACT)
    assert np.isnan(each[1])
    assert math.isnan(disentanglement(np.zeros((2, 2)))[0])
    with pytest.raises(InputError, match="expected finite numbers"):
        disentanglement(np.array([[-1.0, 0.0]]))


def test_irs_by_hand():
    # 2a + b is 0, 1, 2, 3, at most 1.5 from its mean: 0.5 where a is held, 1 where b is.
    grid = factor_grid(2, 2)
    a, b = grid.T
    found = irs(2 * a[:, None] + b[:, None], grid)
    assert found.matrix == pytest.approx(np.array([[2 / 3, 1 / 3]]), abs=EXACT)
    assert found.score == pytest.approx(2 / 3, abs=EXACT)
    both = irs(np.stack([2 * a + b, a, np.ones(4)], axis=1), grid, IRSSettings(quantile=1.0))
    assert both.by_latent[:2] == pytest.approx([2 / 3, 1], abs=EXACT)
    assert np.isnan(both.by_latent[2])
    assert both.score == pytest.approx((1.5 * 2 / 3 + 0.5) / 2, abs=EXACT)  # weighted by reach


def test_irs_does_not_count_groups_of_one():
    factors = np.array([[0, 0], [1, 0], [2, 1], [3, 1]])
    found = irs(np.array([[0.0], [1], [2], [3]]), factors)
    assert np.isnan(found.matrix[0, 0])
    assert found.score == pytest.approx(1 - 0.5 / 1.5, abs=EXACT)


def test_the_majority_classifier_by_hand():
    assert majority(np.array([[8, 2], [1, 9]]), np.array([[4, 1], [2, 3]])) == pytest.approx(0.7)


def test_factors_that_cannot_be_told_apart_are_half_right():
    # Both columns are the same factor, so no vote or classifier can say which was held.
    grid = factor_grid(4, 5)
    factors = grid[:, [0, 0]]
    codes = known_codes("perfect", grid)
    for score in (factor_vae_score(codes, factors), beta_vae_score(codes, factors)):
        assert score.score == pytest.approx(0.5, abs=0.03)


def test_a_vote_is_the_latent_of_least_normalised_variance():
    # Latent 1 moves a tenth as much as latent 0 throughout, which is not to win it the votes.
    codes = known_codes("perfect", factor_grid(6, 6)) * [10.0, 1.0]
    assert factor_vae_score(codes, factor_grid(6, 6)).matrix.tolist() == [[1, 0], [0, 1]]


# Draws


def test_draws_are_of_the_group_and_pairs_differ():
    factors = RNG.integers(0, (3, 40), (60, 2))
    table = read_table(np.ones((60, 1)) * np.arange(60)[:, None], factors)
    groups, rng = Groups(table), np.random.default_rng(1)
    factor, row = groups.draw(rng, 200)
    one, other = groups.pairs(rng, factor, row, 5)
    members = groups.members(rng, factor, row, 7)
    assert (one != other).all()
    for drawn in (one, other, members):
        held = factors[drawn, factor[:, None]]
        assert (held == factors[row, factor][:, None]).all()
    # Every member of the largest group is drawn in time.
    value = np.bincount(factors[:, 0]).argmax()
    wanted = np.flatnonzero(factors[:, 0] == value)
    many = groups.members(rng, np.zeros(1, int), wanted[:1], 2000)
    assert set(many[0]) == set(wanted)


# The order of known codes


FIVE = factor_grid(3, 4, 5, 6, 7)


@pytest.mark.parametrize("name", SCORES)
def test_perfect_is_above_rotated_is_above_noise(name):
    # Rotations differ in how much they mix: the mean over a few.
    perfect, *others = (
        [SCORES[name].of(known_codes(kind, FIVE, seed), FIVE).score for seed in seeds]
        for kind, seeds in (("perfect", [0]), ("rotated", [0, 1, 2]), ("noise", [0, 1, 2]))
    )
    rotated, noise = np.mean(others, axis=1)
    assert perfect == pytest.approx([1], abs=EXACT)
    assert rotated < 1 - 0.03
    assert noise < rotated - 0.03


def test_the_chance_of_votes_and_classifier():
    noise = known_codes("noise", GRID)
    for name in ("factor_vae", "beta_vae"):
        assert SCORES[name].of(noise, GRID).score == pytest.approx(1 / 4, abs=0.06)


def test_a_factor_of_many_values_in_few_rows_is_scored_without_a_word(recwarn):
    factors = np.stack([np.arange(40) % 30, np.arange(40) % 3], axis=1)
    assert math.isfinite(dci(known_codes("perfect", factors), factors).score)
    assert not recwarn.list


def test_dci_parts_follow_the_codes():
    perfect, noise = (dci(known_codes(kind, GRID), GRID) for kind in ("perfect", "noise"))
    assert perfect.parts == pytest.approx({"completeness": 1, "informativeness": 1}, abs=EXACT)
    assert noise.parts["informativeness"] < 0.35


# Promises


CHANGES = {
    "permutation": lambda c: c[:, ::-1],
    "sign": lambda c: c * np.where(np.arange(c.shape[1]) % 2, -1.0, 1.0),
    "scale": lambda c: c * (0.5 + 3.0 * np.arange(c.shape[1])),
    "global scale": lambda c: c * 0.037,
}


def mixed_codes():
    return known_codes("rotated", GRID) + 0.3 * np.random.default_rng(5).standard_normal(GRID.shape)


@pytest.mark.parametrize(
    ("name", "change"), [(name, change) for name in SCORES for change in SCORES[name].invariant]
)
def test_promised_invariances_hold(name, change):
    codes = mixed_codes()
    before, after = score_of(name, codes), score_of(name, CHANGES[change](codes))
    assert after.score == pytest.approx(before.score, abs=1e-9)


@pytest.mark.parametrize(
    ("name", "change"),
    [("irs", "scale"), ("beta_vae", "scale"), ("factor_vae", "global scale")],
)
def test_what_is_not_promised_fails_on_a_witness(name, change):
    codes = mixed_codes()
    before, after = score_of(name, codes).score, score_of(name, CHANGES[change](codes)).score
    assert change not in SCORES[name].invariant
    assert not abs(before - after) <= 1e-9


@pytest.mark.parametrize("name", SCORES)
def test_neither_offset_nor_labels_of_values_count(name):
    codes = mixed_codes()
    moved = score_of(name, codes + 1e4)
    # Ordered factors keep their distances; those that are names may be any.
    assert moved.score == pytest.approx(score_of(name, codes).score, abs=1e-3)
    renamed = score_of(name, codes, 3 * GRID + 11)
    assert renamed.score == pytest.approx(score_of(name, codes).score, abs=1e-12)


@pytest.mark.parametrize("name", SCORES)
def test_the_same_seed_gives_the_same_bits(name):
    codes = mixed_codes()
    one, two = score_of(name, codes), score_of(name, codes)
    assert one.score == two.score
    assert one.n == len(GRID)
    settings = SCORES[name].settings()
    if hasattr(settings, "seed"):
        small = dataclasses.replace(SMALL[name], seed=7) if name in SMALL else settings
        other = SCORES[name].of(codes, GRID, small)
        assert other.score == pytest.approx(one.score, abs=0.1)


# What is undefined


@pytest.mark.parametrize("name", SCORES)
def test_constant_codes_have_no_score_but_a_reason(name):
    found = score_of(name, np.full((len(GRID), 4), 3.7))
    assert math.isnan(found.score)
    assert found.reason == "every latent is constant"


@pytest.mark.parametrize("name", SCORES)
def test_factors_that_do_not_vary_are_left_out(name):
    codes = known_codes("perfect", GRID)
    padded = np.insert(GRID, 2, 5, axis=1)
    found = score_of(name, codes, padded)
    assert found.score == pytest.approx(score_of(name, codes).score, abs=1e-12)
    if found.by_factor.size:
        assert np.isnan(found.by_factor).tolist() == [False, False, True, False, False]
    if found.matrix.size:
        assert found.matrix.shape == (4, 5)
    alone = score_of(name, codes, np.zeros_like(GRID))
    assert math.isnan(alone.score)
    assert "0 of 4 factors vary" in alone.reason


@pytest.mark.parametrize("name", SCORES)
def test_a_constant_latent_beside_a_perfect_code(name):
    codes = np.concatenate([known_codes("perfect", GRID), np.zeros((len(GRID), 1))], axis=1)
    # Modularity counts it 0, as its source does; no other score minds.
    expected = 0.8 if name == "modularity" else 1
    assert score_of(name, codes).score == pytest.approx(expected, abs=EXACT)


def test_collapsed_latents_do_not_vote():
    codes = known_codes("perfect", GRID)
    quiet = RNG.standard_normal((len(GRID), 2)) * 0.01
    found = factor_vae_score(np.concatenate([codes, quiet], axis=1), GRID)
    assert found.score == 1
    assert np.isnan(found.matrix[4:]).all()
    none = factor_vae_score(quiet, GRID)
    assert math.isnan(none.score)
    assert none.reason == "no latent's variance reaches 0.05"


def test_scores_that_compare_latents_need_two():
    for name in ("mig", "sap", "dci"):
        found = score_of(name, known_codes("perfect", GRID)[:, :1])
        assert found.reason == "there is 1 latent; it needs 2"


def test_rows_without_companions_cannot_be_drawn():
    factors = np.stack([np.arange(9), np.arange(9)[::-1]], axis=1)
    for name in ("factor_vae", "beta_vae"):
        found = score_of(name, RNG.standard_normal((9, 2)), factors)
        assert found.reason == "rows share a value of fewer than 2 factors"
    assert irs(RNG.standard_normal((9, 2)), factors).reason == "no two rows share a factor's value"


# Bad input


@pytest.mark.parametrize("name", SCORES)
@pytest.mark.parametrize(
    ("codes", "factors", "said"),
    [
        (np.zeros(5), GRID, r"codes: expected numbers \(n, z\)"),
        (np.zeros((5, 2)), GRID, r"factors: expected whole numbers \(5, f\)"),
        (np.zeros((len(GRID), 2)), GRID * 0.5, "type float64"),
        (np.full((len(GRID), 2), np.nan), GRID, "got nan in row 0, latent 0"),
    ],
)
def test_bad_tables_are_refused(name, codes, factors, said):
    with pytest.raises(InputError, match=said):
        SCORES[name].of(codes, factors)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: MIGSettings(bins=1), "bins: expected a whole number ≥ 2, got 1"),
        (lambda: IRSSettings(quantile=0), "quantile: expected a number > 0"),
        (lambda: DCISettings(train=1.0), "≤ 0.99, got 1.0"),
        (lambda: FactorVAESettings(pruned=-1), "pruned: expected a variance"),
        (lambda: find_score("mgi"), "Did you mean 'mig'"),
        (lambda: known_codes("prefect", GRID), "Did you mean 'perfect'"),
        (lambda: sap(np.eye(4), np.eye(4, dtype=int), categorical=[9]), "0 to 3, got"),
    ],
)
def test_bad_settings_are_refused(make, said):
    with pytest.raises(InputError, match=said):
        make()


def test_all_at_once():
    codes = known_codes("perfect", GRID)
    found = disentanglement_scores(codes, GRID, ["mig", "sap"], categorical=[0])
    assert list(found) == ["mig", "sap"]
    assert found["mig"].score == pytest.approx(1)
    assert found["sap"].score == pytest.approx((2 / 3 + 3) / 4)
