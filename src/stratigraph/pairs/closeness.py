"""Is x closer to y than to z? Two scores that share x and its probes, and their difference.

Probe i is in group i mod G, and δ_(g) is the difference of the scores without group g. Then

    δ = s(x, y) − s(x, z),   s² = (G − 1)/G Σ_g (δ_(g) − δ̄)²,   δ ± t_{G−1} s,

and p is that of t = δ/s with G − 1 degrees of freedom, of both sides. The two scores are of the
same probes, so what these do to both cancels: the interval is narrower than those of either score
say, and they may overlap where the difference is plain. Distances are turned round: δ > 0 is
always closer to y.

The null is that x is as close to y as to z on probes that might have been drawn. It is tested for
these three representations; whether other seeds would agree, a study's findings say. Where x has
nothing to do with either, both scores are of order 1/n and so is their difference: the test then
finds one less often than its level says. `tests/pairs/test_closeness.py` has its level by
simulation.

Source: Efron & Stein 1981; Shao & Wu 1989 (leaving out d at a time).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy

from stratigraph.errors import InputError
from stratigraph.markup import html_table
from stratigraph.pairs.intervals import jackknife_scores
from stratigraph.similarity.measure import Measure

__all__ = ["Closeness", "compare_closeness"]


@dataclass(frozen=True)
class Closeness:
    """How much closer x is to y than to z.

    Attributes:
        measure: the measure used.
        to_y, to_z: the two scores.
        value: how much closer to y, in units of the score; below 0 means closer to z.
        error: its standard error over probes.
        lower, upper: the ends of its interval.
        p: two-sided, for x being as close to y as to z.
        confidence: confidence of the interval.
        probes: n.
        groups: number of groups of probes left out in turn.

    """

    measure: str
    to_y: float
    to_z: float
    value: float
    error: float
    lower: float
    upper: float
    p: float
    confidence: float
    probes: int
    groups: int

    @property
    def answer(self) -> str:
        """``closer to y``, ``closer to z`` or ``undecided``, by the interval."""
        if self.lower > 0:
            return "closer to y"
        return "closer to z" if self.upper < 0 else "undecided"

    def __str__(self) -> str:
        return (
            f"x is {self.answer}: {self.measure} {self.to_y:.3f} to y, {self.to_z:.3f} to z, "
            f"closer to y by {self.value:+.3f} [{self.lower:+.3f}, {self.upper:+.3f}], "
            f"p {self.p:.2g} ({self.probes} probes)"
        )

    def _repr_html_(self) -> str:
        rows = (
            ("to y", f"{self.to_y:.3f}"), ("to z", f"{self.to_z:.3f}"),
            ("closer to y by", f"{self.value:+.3f}"),
            (f"{self.confidence:.0%} interval", f"{self.lower:+.3f} to {self.upper:+.3f}"),
            ("p", f"{self.p:.2g}"), ("probes", f"{self.probes:,}"),
        )  # fmt: skip
        return html_table(f"x is {self.answer}, by {self.measure}", rows)


def compare_closeness(
    x: Any,
    y: Any,
    z: Any,
    measure: str | Measure = "debiased_cka",
    *,
    confidence: float = 0.95,
) -> Closeness:
    """Test whether x is closer to y than to z: the difference with its interval over probes, and p.

    Args:
        x: activations (n, p…), or a matrix with labels, which are joined.
        y: another representation of the same probes.
        z: a third.
        measure: a name of the catalogue, or a `Measure`; with a distance, smaller is closer.
        confidence: confidence of the interval.

    Raises:
        InputError: fewer than 8 probes or too few for the measure, representations that cannot be
            compared, or a confidence outside (0, 1).

    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> x = rng.normal(size=(200, 10))
    >>> y, z = x + 0.3 * rng.normal(size=(200, 10)), x + rng.normal(size=(200, 10))
    >>> compare_closeness(x, y, z).answer
    'closer to y'

    """
    if not 0 < confidence < 1:
        raise InputError(f"confidence: expected a number between 0 and 1, got {confidence!r}.")
    chosen, scores, without, n = jackknife_scores({"x": x}, {"y": y, "z": z}, measure)
    sign = 1.0 if chosen.itself else -1.0
    (to_y, to_z), groups = scores[0], len(without)
    less = sign * (without[:, 0, 0] - without[:, 0, 1])
    value = sign * float(to_y - to_z)
    error = math.sqrt((groups - 1) / groups * float(np.square(less - less.mean()).sum()))
    reach = error * float(scipy.stats.t.ppf((1 + confidence) / 2, groups - 1))
    if error > 0:
        p = 2 * float(scipy.stats.t.sf(abs(value) / error, groups - 1))
    else:  # without any of the groups it is the same: y is z, or the difference is of no probe
        p = 1.0 if value == 0 else math.nan if math.isnan(value) else 0.0
    return Closeness(
        chosen.name, float(to_y), float(to_z), value, error, value - reach, value + reach, p,
        confidence, n, groups,
    )  # fmt: skip
