"""VQ-VAE: the two penalties by loops, what each moves, and what a full codebook costs."""

import numpy as np
import pytest
import torch

from stratigraph.models.quantised import Codes
from stratigraph.objectives import build_objective
from stratigraph.objectives.vq_vae import distance, perplexity
from stratigraph.testing.passes import codes, given, pictures

BOOK = np.random.default_rng(3).normal(size=(5, 8))


def made(of, **parameters):
    objective = build_objective("vq_vae", codes=5, **parameters)
    return objective.terms(given(objective, of, *pictures(len(of.encoded))))


@pytest.mark.parametrize("commitment", [0, 0.25, 2])
def test_terms_against_loops(commitment):
    of, _ = codes(BOOK)
    found = made(of, commitment=commitment)
    encoded = of.encoded.detach().numpy()
    total = 0.0
    for image in encoded:
        for position in image:
            total += min(((position - entry) ** 2).sum() for entry in BOOK)
    want = (1 + commitment) * total / len(encoded)
    assert found.regulariser.item() == pytest.approx(want, rel=1e-12)
    assert found.loss.item() == pytest.approx((found.reconstruction + found.regulariser).item())
    assert found.kl.item() == pytest.approx(3 * np.log(5))


def test_a_codebook_that_holds_the_encoders_vectors_costs_nothing():
    vectors = torch.tensor(BOOK)
    chosen = torch.tensor([[0, 1, 2], [3, 4, 0]])
    found = made(Codes(vectors[chosen].requires_grad_(), vectors[chosen], chosen))
    assert found.regulariser.item() == 0
    assert found.loss.item() == found.reconstruction.item()


def test_what_each_penalty_moves():
    of, book = codes(BOOK)
    found = made(of, commitment=0.25)
    encoded, entries = torch.autograd.grad(found.regulariser, [of.encoded, book])
    away = (of.encoded - of.vectors).detach()
    torch.testing.assert_close(encoded, 0.25 * 2 * away / 6)
    want = torch.zeros_like(book)
    for image in range(6):
        for position in range(3):
            want[of.chosen[image, position]] -= 2 * away[image, position] / 6
    torch.testing.assert_close(entries, want)
    unused = sorted(set(range(5)) - set(of.chosen.flatten().tolist()))
    assert (entries[unused] == 0).all()


def test_gradients():
    of, book = codes(BOOK)
    encoded = of.encoded.detach()
    assert torch.autograd.gradcheck(lambda b: distance(encoded, b[of.chosen]), (book,))
    entries = of.vectors.detach()
    assert torch.autograd.gradcheck(lambda e: distance(e, entries), (of.encoded,))


def test_perplexity():
    assert perplexity(torch.tensor([[0, 1], [2, 3]]), 4).item() == pytest.approx(4)
    assert perplexity(torch.tensor([[2, 2], [2, 2]]), 4).item() == pytest.approx(1)
    chosen = torch.tensor([[0, 0, 0, 1]])
    want = np.exp(-(0.75 * np.log(0.75) + 0.25 * np.log(0.25)))
    assert perplexity(chosen, 100).item() == pytest.approx(want, rel=1e-6)
