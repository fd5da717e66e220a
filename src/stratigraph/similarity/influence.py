"""How much hangs on which probes: the influence of each, and the fewest that turn a sign.

The influence of probe i is what the score loses without it,

    I_i = θ − θ_(−i),

in closed form for CKA (`left_out`). Influences add up like scores do: those of a contrast
Σ_p w_p θ_p are Σ_p w_p I_pi, and leaving out a set of few takes about the sum of theirs from it.

So the probes that hold up the sign of a contrast are looked for greedily: by influence, those that
speak for it first, until what is left is predicted to be of the other sign. The prediction is of
first order, so it is not believed: the contrast is computed anew without them, and the fewest are
the shortest head of that order which turns it. No fewer need be found by another order, so it is an
upper bound. A sign that a few probes in a thousand turn says little of others that might have been
drawn, whatever its interval.

Sources: Efron & Stein 1981; Broderick, Giordano & Meager 2020, arXiv 2011.14999 (the fewest data
that turn a sign); Davari et al. 2022, arXiv 2210.16156 (CKA can be moved by few points).
Cost: n²(p + q) for the kernels and n² for all influences.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from stratigraph.errors import InputError, suggest
from stratigraph.similarity.catalog import ALIASES
from stratigraph.similarity.kernels import kernels_of
from stratigraph.similarity.left_out import hsic_without_each

__all__ = ["INFLUENCED", "Turned", "fewest_to_turn", "probe_influence"]

INFLUENCED = ("debiased_cka", "linear_cka")
AT_ONCE = 16  # heads of the order that are computed anew in one pass


def probe_influence(x: Any, y: Any, measure: str = "debiased_cka") -> np.ndarray:
    """What CKA loses without each probe: θ − θ_(−i), float64 (n,).

    Positive if a probe makes x and y more alike. All NaN, with an `UndefinedWarning`, if x or y
    has no score; NaN for a probe without which there is none.

    Args:
        x: activations (n, p…).
        y: activations (n, q…) of the same probes.
        measure: ``debiased_cka`` or ``linear_cka``.

    Raises:
        InputError: fewer than 5 probes (biased 3), another measure, or x and y do not go together.

    >>> import numpy as np
    >>> x = np.random.default_rng(0).normal(size=(40, 5))
    >>> y = x.copy()
    >>> y[7] += 100  # one probe that is far from where it was
    >>> int(probe_influence(x, y).argmin())
    7

    """
    measure = ALIASES.get(measure, measure)
    if measure not in INFLUENCED:
        raise InputError(
            f"measure: expected {' or '.join(INFLUENCED)}, whose influences have a closed form, "
            f"got {measure!r}.{suggest(str(measure), INFLUENCED)}"
        )
    debiased = measure == "debiased_cka"
    found = kernels_of(x, y, least=5 if debiased else 3, measure=measure)
    if found.kernels is None:
        return np.full(found.probes, np.nan)
    one, other = found.kernels
    k, m = (kernel.matrix for kernel in found.kernels)
    (xy, xy_less), (xx, xx_less), (yy, yy_less) = (
        hsic_without_each(*pair, debiased) for pair in ((k, m), (k, k), (m, m))
    )
    known = ~(one.is_nothing(xx_less) | other.is_nothing(yy_less))
    with np.errstate(invalid="ignore", divide="ignore"):
        less = xy_less.cpu().numpy() / np.sqrt((xx_less * yy_less).cpu().numpy())
    return np.where(known, xy / np.sqrt(xx * yy) - less, np.nan)


@dataclass(frozen=True)
class Turned:
    """What turns a sign.

    Attributes:
        probes: the fewest that were found, those of most influence first; empty where none was.
        value: the statistic without them, computed anew; NaN where none was found.
        predicted: how many the influences alone predict; 0 where they predict that none do.

    """

    probes: np.ndarray
    value: float
    predicted: int


def fewest_to_turn(
    value: float,
    influence: np.ndarray,
    compute: Callable[[np.ndarray], np.ndarray],
    most: int | None = None,
) -> Turned:
    """The fewest probes without which a statistic is of the other sign (or 0).

    Args:
        value: the statistic of all probes.
        influence: of each probe on it (n,); NaN is none.
        compute: which probes are kept, bool (n, c) → the statistic of each column (c,).
        most: how many may be left out; by default half of them.

    """
    n = len(influence)
    most = n // 2 if most is None else most
    if not value or np.isnan(value):
        return Turned(np.empty(0, np.intp), np.nan, 0)
    support = np.sign(value) * np.nan_to_num(influence)
    order = np.argsort(-support, kind="stable")
    left = abs(value) - np.cumsum(support[order])
    predicted = int(np.argmax(left <= 0)) + 1 if (left <= 0).any() else 0
    low, high, found = 0, most, np.nan  # ``low`` do not turn it; ``high`` do, if ``found`` is known
    while low + 1 < high or (np.isnan(found) and low < high):
        top = high if np.isnan(found) else high - 1
        counts = np.unique(np.linspace(low + 1, top, min(AT_ONCE, top - low)).astype(int))
        kept = np.ones((n, len(counts)), dtype=bool)
        for column, count in enumerate(counts):
            kept[order[:count], column] = False
        values = np.asarray(compute(kept))
        turned = np.flatnonzero(np.sign(value) * values <= 0)
        if not len(turned):
            if np.isnan(found):
                break
            low = int(counts[-1])
            continue
        first = int(turned[0])
        high, found = int(counts[first]), float(values[first])
        low = int(counts[first - 1]) if first else low
    count = 0 if np.isnan(found) else high
    return Turned(order[:count], found, predicted)
