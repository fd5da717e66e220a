"""Is x closer to y than to z: the sign, the interval, and the level of the test."""

import numpy as np
import pytest

import stratigraph as sg
from stratigraph.errors import InputError
from stratigraph.pairs.intervals import interval_matrix

RNG = np.random.default_rng(0)
X = RNG.normal(size=(120, 6))
NEAR, FAR = X + 0.3 * RNG.normal(size=X.shape), X + 2 * RNG.normal(size=X.shape)


@pytest.mark.parametrize(
    "measure", ["cka", "linear_cka", "procrustes", "mutual_knn", "angular_shape_distance"]
)
def test_the_nearer_one_is_closer_by_any_measure(measure):
    found, turned = (sg.compare_closeness(X, *pair, measure) for pair in ((NEAR, FAR), (FAR, NEAR)))
    assert found.answer == "closer to y"
    assert turned.answer == "closer to z"
    assert found.p == pytest.approx(turned.p)
    assert found.p < 0.01
    assert (found.value, found.lower) == pytest.approx((-turned.value, -turned.upper))
    scores = sg.similarity_matrix({"x": X}, {"y": NEAR, "z": FAR}, measure).values[0]
    assert (found.to_y, found.to_z) == pytest.approx(tuple(scores))


def test_scores_of_the_same_probes_move_together():
    """What the shared probes do to both cancels: the interval is that of the difference."""
    other = NEAR + 0.2 * RNG.normal(size=X.shape)
    alone = interval_matrix({"x": X}, {"y": NEAR, "z": other})
    widths = (alone["upper"] - alone["lower"]).values[0]
    found = sg.compare_closeness(X, NEAR, other)
    assert found.upper - found.lower < 0.8 * np.hypot(*widths)


def test_a_copy_is_as_close_as_what_it_is_of():
    found = sg.compare_closeness(X, NEAR, NEAR.copy())
    assert (found.value, found.p, found.answer) == (0, 1, "undecided")


def test_what_it_shows_in_a_notebook_and_a_terminal():
    found = sg.compare_closeness(X, NEAR, FAR)
    assert str(found).startswith("x is closer to y: debiased_cka 0.9")
    assert '<th scope="row">probes</th><td>120</td>' in found._repr_html_()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"z": FAR[:50]}, r"^z: expected the same 120 probes as x, got 50 rows"),
        ({"confidence": 95}, r"^confidence: expected a number between 0 and 1, got 95"),
        ({"x": X[:6], "y": X[:6], "z": X[:6]}, r"^x: expected enough probes to leave groups"),
        ({"y": np.where(X > 2, np.nan, X)}, r"^y: expected finite values"),
    ],
)
def test_what_cannot_be_tested_is_said(change, message):
    with pytest.raises(InputError, match=message):
        sg.compare_closeness(**{"x": X, "y": NEAR, "z": FAR, **change})


@pytest.mark.full
@pytest.mark.parametrize("measure", ["debiased_cka", "procrustes_similarity"])
@pytest.mark.parametrize(
    ("kind", "n", "p"),
    [("noise", 40, 5), ("noise", 100, 5), ("noise", 60, 100), ("heavy", 100, 5),
     ("rotated", 100, 5), ("unrelated", 100, 5)],
)  # fmt: skip
def test_its_level_is_right(kind, n, p, measure):
    """Where x is as close to y as to z, it finds a difference in no more than 5 % of cases.

    Of 600 draws at a level of 5 %, more than 46 come about once in a thousand times.
    """
    rng = np.random.default_rng(1)
    draws = [sg.compare_closeness(*_draw(kind, n, p, rng), measure).p for _ in range(600)]
    assert (np.array(draws) < 0.05).sum() <= 46


def _draw(kind, n, p, rng):
    """x, and two that are as close to it: drawn alike, given x."""
    x = rng.standard_t(3, size=(n, p)) if kind == "heavy" else rng.normal(size=(n, p))
    if kind == "unrelated":
        return x, rng.normal(size=(n, p)), rng.normal(size=(n, p))
    if kind == "rotated":
        x *= np.geomspace(1, 0.1, p)
        maps = [np.linalg.qr(rng.normal(size=(p, p)))[0] for _ in range(2)]
    else:
        maps = [rng.normal(size=(p, p)) / np.sqrt(p)] * 2
    return x, *(x @ one + x.std() * rng.normal(size=(n, p)) for one in maps)


@pytest.mark.full
def test_its_interval_holds_the_difference():
    """The truth is the difference of 20,000 probes; 95 % of intervals of 100 hold it, or more."""
    rng = np.random.default_rng(2)
    maps = [rng.normal(size=(5, 5)) for _ in range(2)]

    def draw(n):
        x = rng.normal(size=(n, 5))
        return x, *(
            x @ one + s * rng.normal(size=(n, 5)) for one, s in zip(maps, (1, 2), strict=True)
        )

    many = draw(20_000)
    truth = sg.debiased_cka(many[0], many[1]) - sg.debiased_cka(many[0], many[2])
    held = [found.lower <= truth <= found.upper
            for found in (sg.compare_closeness(*draw(100)) for _ in range(600))]  # fmt: skip
    assert sum(held) >= 600 - 46
