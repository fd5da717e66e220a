"""Scores of many pairs with probes left out: what an interval and an agreement need.

The probes are cut into G groups. With K⁰, L⁰ the Gram matrices of two representations (without
their diagonals for the debiased score), row sums r, s and totals R, S, HSIC is a function of

    A = Σ_ij K⁰_ij L⁰_ij,   B = r·s,   RS,

and each is known of any of the groups from sums over blocks of probes, taken once: with M_g 1 for
the groups that are kept, A_gh the sums of K⁰∘L⁰ over blocks and K_ig those of rows over groups,

    A = Σ_gh M_g A_gh M_h,   r_i = Σ_g M_g K_ig,   B and R over the probes that are kept.

So the score of all probes, those without each group, and those of halves of the groups cost one n²
pass a pair, like the score itself. The standard error over probes of any statistic of the scores θ
is √((G − 1)/G Σ_g (θ_(g) − θ̄)²).

The kernel of the input is regressed out of both (deconfounded) by what partial correlation does:
⟨K|C, L|C⟩ = ⟨K, L⟩ − ⟨K, C⟩⟨L, C⟩/⟨C, C⟩, each ⟨·,·⟩ an HSIC.

Sources: Song et al. 2012, eq. 5; Efron & Stein 1981; Shao & Wu 1989 (delete-d); Cui et al. 2022.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from stratigraph.pairs.blocks import Progress
from stratigraph.similarity.hsic import is_degenerate
from stratigraph.similarity.left_out import hsic_from_sums

__all__ = ["GROUPS", "HELD", "GroupScores", "groups_of", "pair_scores"]

GROUPS = 20
HELD = 512 * 2**20  # bytes of Gram matrices kept at hand


@dataclass(frozen=True)
class _Blocked:
    """A Gram matrix K of trace 1, (g·g, m·m) block by block, and its row sums of the groups kept.

    ``rows`` are (g·m, c), 0 where the probe is left out. Debiased, both are without the diagonal.
    ``inner`` is ‖K‖², ``dtype`` that of the features.
    """

    blocks: np.ndarray
    rows: np.ndarray
    inner: float
    dtype: np.dtype

    def degenerate(self, own: np.ndarray) -> np.ndarray:
        """Where an HSIC of it with itself is but rounding."""
        return np.asarray(is_degenerate(own, self.inner, 1.0, self.dtype))


def _kept_groups(groups: int, halves: int) -> np.ndarray:
    """Which groups are kept, (g, c): all, all but each, and both halves of so many splits."""
    kept = [np.ones((groups, 1)), 1 - np.eye(groups)]
    rng = np.random.default_rng(0)
    for _ in range(halves):
        half = np.isin(np.arange(groups), rng.permutation(groups)[: groups // 2])
        kept.append(np.stack([half, ~half], 1).astype(float))
    return np.concatenate(kept, 1)


def _block_sums(x: np.ndarray, kept: np.ndarray, debiased: bool) -> _Blocked:
    """The Gram matrix of coordinates (n, r), centred, its probes cut into groups.

    The probes of a group stand together; zeros fill the last places, and add nothing to any sum.
    """
    dtype, x = x.dtype, x.astype(np.float64)
    x -= x.mean(0)
    x /= np.linalg.norm(x) or 1.0
    gram = x @ x.T
    inner = float(np.square(gram).sum())
    if debiased:
        np.fill_diagonal(gram, 0.0)
    n, groups = len(gram), len(kept)
    members = -(-n // groups)
    size = members * groups
    # Probe i is in group i mod G: groups of sizes that differ by one at most.
    place = (np.arange(n) % groups) * members + np.arange(n) // groups
    padded = np.zeros((size, size))
    padded[np.ix_(place, place)] = gram
    four = padded.reshape(groups, members, groups, members)
    blocks = np.ascontiguousarray(four.transpose(0, 2, 1, 3)).reshape(groups * groups, -1)
    rows = (four.sum(axis=3).reshape(size, groups) @ kept) * np.repeat(kept, members, 0)
    return _Blocked(blocks, rows, inner, dtype)


def _hsic(
    k: _Blocked, m: _Blocked, kept: np.ndarray, sizes: np.ndarray, debiased: bool
) -> np.ndarray:
    """HSIC of the groups that are kept, (c,)."""
    groups = len(kept)
    inner = np.einsum("ij,ij->i", k.blocks, m.blocks).reshape(groups, groups)
    a = (kept * (inner @ kept)).sum(0)
    b = np.einsum("ic,ic->c", k.rows, m.rows)
    return np.asarray(hsic_from_sums(a, b, k.rows.sum(0) * m.rows.sum(0), sizes @ kept, debiased))


class GroupScores:
    """Scores of pairs of representations, the Gram matrices used last kept at hand.

    Args:
        read: gives the representation at a place, (n, p).
        measure: ``debiased_cka``, ``linear_cka``, or with a confounder ``deconfounded_cka``.
        groups: G.
        confounder: the place of the input, which is regressed out.
        halves: so many times the groups are split in two, and both halves scored.

    """

    def __init__(
        self,
        read: Callable[[int], np.ndarray],
        measure: str,
        groups: int,
        confounder: int | None,
        halves: int = 0,
    ) -> None:
        self.read, self.kept_groups = read, _kept_groups(groups, halves)
        self.debiased = measure != "linear_cka"
        self.kept: OrderedDict[int, tuple[_Blocked, np.ndarray]] = OrderedDict()
        self.sizes = np.zeros(0, dtype=np.intp)
        self.inputs: tuple[_Blocked, np.ndarray] | None = None
        if confounder is not None:
            self.inputs = self._prepare(confounder)

    def _prepare(self, row: int) -> tuple[_Blocked, np.ndarray]:
        coordinates = self.read(row)
        groups = len(self.kept_groups)
        self.sizes = np.bincount(np.arange(len(coordinates)) % groups, minlength=groups)
        blocked = _block_sums(coordinates, self.kept_groups, self.debiased)
        norm = self._hsic(blocked, blocked)
        return blocked, np.where(blocked.degenerate(norm), np.nan, norm)

    def _at(self, row: int) -> tuple[_Blocked, np.ndarray]:
        if row not in self.kept:
            blocked, norm = self._prepare(row)
            if self.inputs is not None:
                with_inputs = self._hsic(blocked, self.inputs[0])
                norm = np.stack([norm, with_inputs])
            self.kept[row] = blocked, norm
            while len(self.kept) * blocked.blocks.nbytes > HELD and len(self.kept) > 2:
                self.kept.popitem(last=False)
        self.kept.move_to_end(row)
        return self.kept[row]

    def _hsic(self, k: _Blocked, m: _Blocked) -> np.ndarray:
        return _hsic(k, m, self.kept_groups, self.sizes, self.debiased)

    def score(self, i: int, j: int) -> np.ndarray:
        """The score of all probes, without each group, and of each half: (1 + g + 2h,)."""
        (k, kk), (m, mm) = self._at(i), self._at(j)
        km = self._hsic(k, m)
        if self.inputs is not None:
            cc = self.inputs[1]
            km = km - kk[1] * mm[1] / cc
            kk, mm = _regress_out(k, kk, cc), _regress_out(m, mm, cc)
        with np.errstate(invalid="ignore", divide="ignore"):
            product = np.where((kk > 0) & (mm > 0), kk * mm, np.nan)
            return km / np.sqrt(product)


def _regress_out(k: _Blocked, norm: np.ndarray, cc: np.ndarray) -> np.ndarray:
    """What is left of ⟨K, K⟩ without the input's kernel; NaN where that is rounding."""
    rest = norm[0] - norm[1] ** 2 / cc
    return np.where(k.degenerate(rest), np.nan, rest)


def groups_of(n: int) -> int:
    """Into how many groups n probes are cut, of four probes or more; 0 for fewer than 8."""
    return min(GROUPS, n // 4) if n >= 8 else 0


def pair_scores(
    activations: Sequence[np.ndarray],
    pairs: np.ndarray,
    measure: str = "debiased_cka",
    groups: int = GROUPS,
    progress: Progress | None = None,
) -> np.ndarray:
    """The scores of pairs of activations, and those without each group of probes.

    Args:
        activations: each (n, p), of the same probes; probe i is in group i mod G.
        pairs: places in ``activations``, (m, 2).
        measure: ``debiased_cka`` or ``linear_cka``.
        groups: G.
        progress: called with (pairs done, all pairs).

    Returns:
        (m, 1 + G) float64.

    """
    scores = GroupScores(activations.__getitem__, measure, groups, None)
    found = np.empty((len(pairs), 1 + groups))
    for row, (i, j) in enumerate(pairs):
        found[row] = scores.score(int(i), int(j))
        if progress:
            progress(row + 1, len(pairs))
    return found
