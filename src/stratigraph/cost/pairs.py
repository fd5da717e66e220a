"""What comparing a study will cost: measured on a sample of its pairs, of calibrated networks.

By vectors, a representation costs as much as any other of its layer, and a pair as any other pair.
Pair by pair, whole blocks are drawn of those that a comparison will make, since what a block costs
depends on how many of its pairs are asked for: with weights w (how many blocks each stands for),
seconds s and pairs m of those drawn, and M pairs in all::

    seconds = M · Σ w s / Σ w m
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from stratigraph.engine import one_thread
from stratigraph.pairs.by_vectors import count_products
from stratigraph.pairs.coordinates import read_coordinates
from stratigraph.pairs.group_sums import groups_of
from stratigraph.pairs.influence import weigh_pairs
from stratigraph.pairs.jackknife import TASK_PAIRS, jackknife_pairs, order_in_tiles
from stratigraph.pairs.pair_by_pair import PAIR_BLOCK
from stratigraph.pairs.stored import compare_stored
from stratigraph.similarity.measure import Measure
from stratigraph.stages.compare import ask_in_order, in_blocks_order
from stratigraph.study import DECONFOUNDED, Selection, claim_pairs, study_measure

__all__ = ["Comparing", "compare_sample", "drawn_blocks", "influence_sample", "jackknife_sample"]

SAMPLED = 48  # representations of which vectors are made
LEAST_BLOCKS, MOST_BLOCKS = 4, 48  # of pairs, that are compared
BLOCK_SECONDS = 8.0  # after which no more are
LEFT_OUT = 8  # classes and values of factors, that are left out in turn
REPEATED = 3  # times that probes are left out of a pair once more


@dataclass(frozen=True)
class Comparing:
    """The pairs of one measure, sampled and compared in a worker."""

    measure: str
    table: pd.DataFrame
    files: list[Path]
    wanted: Selection
    pairs: int
    tolerance: float | None


def compare_sample(task: Comparing) -> tuple[float, str]:
    """Seconds of all pairs from some blocks of them, and the plan that was taken."""
    name = "debiased_cka" if task.measure == DECONFOUNDED else task.measure
    measure = study_measure(name)
    own = task.table[task.table["probes"] == task.table["probes"].iloc[0]]
    order = in_blocks_order(own, task.wanted.names)
    with one_thread():
        if measure.embed is None:
            return _seconds_by_pairs(task, measure, order)
        # Through vectors, or features: what is made once for each representation, then products.
        count = min(SAMPLED, len(order))
        rows = order[np.linspace(0, len(order) - 1, count).astype(int)]  # of every layer
        began = time.perf_counter()
        found = compare_stored([task.files[row] for row in rows], measure, tolerance=task.tolerance)
        each = (time.perf_counter() - began) / count
        n = len(read_coordinates(task.files[own.index[0]]))
        block = torch.rand(64, measure.entries(n))
        block @ block.T
        began = time.perf_counter()
        block @ block.T
        a_pair = (time.perf_counter() - began) / 64**2
        # A block is multiplied whole, however few of its pairs are asked for.
        asked = ask_in_order(task.wanted, order)
        share = len(task.table) / len(order)  # of all sets of probes
        products = share * count_products(measure, n, len(order), asked)
    return each * len(task.table) + a_pair * products, found.plan


def _seconds_by_pairs(task: Comparing, measure: Measure, order: np.ndarray) -> tuple[float, str]:
    """Of all pairs, from blocks of them that are drawn until there are enough."""
    plan, drawn = "", drawn_blocks(order, task.wanted)
    seconds = pairs = 0.0
    began = time.perf_counter()
    for number in range(-1, MOST_BLOCKS):  # the first is for the libraries to be loaded
        if number >= LEAST_BLOCKS and time.perf_counter() - began > BLOCK_SECONDS:
            break
        rows, wanted, weight = next(drawn)
        files = [task.files[row] for row in rows]
        started = time.perf_counter()
        plan = compare_stored(files, measure, wanted=wanted, tolerance=task.tolerance).plan
        if number >= 0:
            seconds += weight * (time.perf_counter() - started)
            pairs += weight * wanted.sum()
    return seconds / pairs * task.pairs, plan


def drawn_blocks(
    order: np.ndarray, wanted: Selection, seed: int = 0
) -> Iterator[tuple[np.ndarray, np.ndarray, float]]:
    """Blocks of pairs at random, without end, of those that hold a pair that is asked for.

    Yields:
        The representations of one side and then of the other, of which a comparison makes this very
        block; which pairs are asked for, each once, (k, k); and for how many blocks it stands.

    """
    rng = np.random.default_rng(seed)
    bands = range(0, len(order), PAIR_BLOCK)
    while True:
        start = int(rng.choice(bands))
        rows, others = order[start : start + PAIR_BLOCK], order[start:]
        asked = np.triu(wanted.block(rows, others))  # each pair once
        columns = range(0, len(others), PAIR_BLOCK)
        held = [at for at in columns if asked[:, at : at + PAIR_BLOCK].any()]
        at = int(rng.choice(held))
        block = asked[:, at : at + PAIR_BLOCK]
        weight = float(len(bands) * len(held))
        if at == 0:
            yield rows, block, weight
            continue
        both = np.concatenate([rows, others[at : at + PAIR_BLOCK]])
        whole = np.zeros((len(both), len(both)), dtype=bool)
        whole[: len(rows), len(rows) :] = block
        yield both, whole, weight


def jackknife_sample(task: Comparing) -> tuple[int, float]:
    """How many pairs findings read, and the seconds of leaving probes out of them.

    A task makes the Gram matrix of each representation in its pairs once: so what that
    takes, and what a pair takes, are told apart by pairs of one with itself, asked for repeatedly.
    """
    pairs = claim_pairs(task.table)
    pairs = pairs[task.wanted.of(pairs)]
    n = len(read_coordinates(task.files[0]))
    pairs = pairs[order_in_tiles(pairs, task.table["layer"].to_numpy()[pairs[:, 0]], n)]
    if not len(pairs):
        return 0, 0.0
    confounder = None
    if task.measure == DECONFOUNDED:
        confounder = int(task.table.index[task.table["layer"] == "input"][0])
    rows = np.unique(pairs)
    rows = rows[np.linspace(0, len(rows) - 1, min(SAMPLED, len(rows))).astype(int)]
    seconds = []
    with one_thread():
        for times in (1, 1, 1 + REPEATED):  # the first is for the libraries to be loaded
            own = np.repeat(rows, times)
            began = time.perf_counter()
            jackknife_pairs(
                task.files, np.stack([own, own], axis=1), task.measure,
                confounder=confounder, groups=groups_of(n),
            )  # fmt: skip
            seconds.append(time.perf_counter() - began)
    a_pair = max(seconds[2] - seconds[1], 0.0) / (REPEATED * len(rows))
    a_matrix = max(seconds[1] / len(rows) - a_pair, 0.0)
    starts = range(0, len(pairs), TASK_PAIRS)
    matrices = sum(len(np.unique(pairs[start : start + TASK_PAIRS])) for start in starts)
    return len(pairs), matrices * a_matrix + len(pairs) * a_pair


def influence_sample(task: Comparing) -> tuple[int, float]:
    """How many pairs claim 1 is made of, and the seconds of leaving each probe out of them.

    A pair makes both of its matrices here. In a study most share one, and the subsets that turn
    the contrast are looked for beside: about as much again.
    """
    table = task.table
    parts = table["layer"].str.startswith(("encoder.", "decoder."))
    own = table[parts & (table["objective"] != "classification")]
    if own.empty:
        return 0, 0.0
    rows = own.index[np.linspace(0, len(own) - 1, min(SAMPLED, len(own))).astype(int)]
    pairs = np.stack([rows, rows], axis=1)
    n = len(read_coordinates(task.files[rows[0]]))
    kept = np.random.default_rng(0).random((n, LEFT_OUT)) < 0.5
    weights = np.ones(len(pairs))
    with one_thread():
        weigh_pairs(task.files, pairs[:1], weights[:1], task.measure, kept)  # loads libraries
        began = time.perf_counter()
        weigh_pairs(task.files, pairs, weights, task.measure, kept)
        a_pair = (time.perf_counter() - began) / len(pairs)
    return len(own), len(own) * a_pair
