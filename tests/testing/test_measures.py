"""A measure that promises what it does not keep is found out, in words."""

from dataclasses import replace

import pytest

from stratigraph.similarity.catalog import MEASURES
from stratigraph.similarity.measure import Measure, Prepared
from stratigraph.testing.measures import CHECKS

CKA = MEASURES["debiased_cka"]
BIASED = MEASURES["linear_cka"]
COUNT = iter(range(10**9))


def uncentred(x):
    kernel = x @ x.T
    return Prepared(len(x), "kernel", (kernel / kernel.norm(),))


def centred(x):
    return uncentred(x - x.mean(dim=0))


def product(a, b):
    return float((a.parts[0] * b.parts[0]).sum())


def made(prepare):
    return Measure("mine", "here", "more alike", "O(n²)", prepare, product, biased=True)


def drifting(a, b):
    return CKA.compare(a, b) + 1e-6 * next(COUNT)


BROKEN = {  # check → a measure that it refuses, and what it says
    "symmetric": (replace(MEASURES["pwcca"], symmetric=True), "to exchange x and y moves the sco"),
    "bounds": (replace(CKA, bounds=(0.5, 1)), r"bounds=\(0.5, 1\), but a score lies outside"),
    "itself": (replace(CKA, itself=0.9), "itself=0.9, but .* is off by 0.1"),
    "metric": (replace(CKA, metric=True), "a detour is shorter, or it is some way from x to x"),
    "rotation": (replace(MEASURES["soft_matching"], rotation=True), "a rotation of one side's"),
    "scale": (replace(MEASURES["size_and_shape_distance"], scale=True), "promises scale=True, but"),
    "translation": (made(uncentred), "an offset of one side's units moves the score"),
    "affine": (replace(CKA, affine=True), r"affine map .* \(seed 0\)\. Mend the score, or promise"),
    "permutation": (made(lambda x: centred(x[:, :2])), "another order of one side's units"),
    "least": (replace(CKA, least=3), "least=3, but so few probes have no score"),
    "biased": (replace(MEASURES["linear_cka"], biased=False), "many units seem alike"),
    "description": (replace(CKA, source=""), "measure debiased_cka: source is empty; describe it"),
    "constant": (made(centred), "expected prepare.* why a constant representation has no score"),
    "repeated": (replace(CKA, compare=drifting), "the same two representations score"),
    "single_precision": (made(centred), "in float32, times 1e20, two .* score nan, and in float64"),
    "permuted_probes": (replace(CKA, permute=lambda x, order: x), r"permute\(\) gives 0\.\d+"),
    "vectors": (
        replace(CKA, embed=BIASED.embed, entries=BIASED.entries),
        "the cosine of embed.* is 0",
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_promise_that_is_not_kept(name):
    (check,) = (check for check in CHECKS if check.__name__ == f"check_{name}")
    measure, text = BROKEN[name]
    with pytest.raises(AssertionError, match=text):
        check(measure)


def test_a_matrix_that_is_changed_in_place():
    changing = replace(CKA, prepare=lambda x: CKA.prepare(x.mul_(2)))
    (check,) = (check for check in CHECKS if check.__name__ == "check_repeated")
    with pytest.raises(AssertionError, match="changes its input; work on a copy"):
        check(changing)


def test_rows_that_are_written_as_those_of_another_measure():
    (check,) = (check for check in CHECKS if check.__name__ == "check_vectors")
    with pytest.raises(AssertionError, match=r"the cosine of write.* is 0"):
        check(replace(CKA, embed=None, write=BIASED.write, entries=BIASED.entries))


def test_vectors_that_are_longer_than_they_say():
    (check,) = (check for check in CHECKS if check.__name__ == "check_vectors")
    with pytest.raises(AssertionError, match="entries says 64, a vector has"):
        check(replace(CKA, entries=lambda n: n))


def test_places_that_are_those_of_another_vector():
    (check,) = (check for check in CHECKS if check.__name__ == "check_permuted_probes")
    with pytest.raises(AssertionError, match=r"places\(\) puts the vector's numbers elsewhere"):
        check(replace(CKA, places=lambda n: CKA.places(n)[::-1, ::-1]))


def test_every_check_has_a_measure_that_fails_it():
    assert {f"check_{name}" for name in BROKEN} == {check.__name__ for check in CHECKS}
