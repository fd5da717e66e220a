"""Which pairs a selection asks for."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings, strategies as st

from stratigraph.study import SELECTIONS, select_pairs

LABELS = pd.DataFrame(
    [
        (run, step, layer, "p" if run != "c" else "q")
        for run in "abc"
        for step in (0, 5, 9)
        for layer in ("encoder.conv1", "z_mean")
    ],
    columns=["run", "step", "layer", "probes"],
)


def pairs(*names: str) -> set[tuple[int, int]]:
    return {tuple(map(int, pair)) for pair in np.argwhere(select_pairs(LABELS, names))}


@given(st.sets(st.sampled_from(SELECTIONS), min_size=1))
@settings(deadline=None, max_examples=40)
def test_symmetric_with_the_diagonal_and_of_one_set_of_probes(names):
    chosen = select_pairs(LABELS, sorted(names))
    assert (chosen == chosen.T).all()
    assert chosen.diagonal().all()
    probes = LABELS["probes"].to_numpy()
    assert not chosen[probes[:, None] != probes[None, :]].any()


@given(st.sets(st.sampled_from(SELECTIONS), min_size=2))
@settings(deadline=None, max_examples=40)
def test_a_list_is_the_union_of_its_names(names):
    assert pairs(*names) == set().union(*(pairs(name) for name in names))


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("all", lambda a, b: True),
        ("within_run", lambda a, b: a.run == b.run),
        ("same_step", lambda a, b: a.step == b.step),
        ("same_layer", lambda a, b: a.layer == b.layer),
        ("trajectory", lambda a, b: a.run == b.run and a.layer == b.layer),
        (
            "to_final",
            lambda a, b: a.run == b.run and a.layer == b.layer and 9 in (a.step, b.step),
        ),
        ("aligned", lambda a, b: a.layer == b.layer and a.step == b.step),
        ("final", lambda a, b: a.step == b.step == 9),
        (
            "claims",
            lambda a, b: (
                (a.run == b.run and a.layer == b.layer and 9 in (a.step, b.step))
                or (a.layer == b.layer and a.step == b.step == 9)
                or (a.run == b.run and a.step == b.step and a.layer == b.layer == "z_mean")
            ),
        ),
    ],
)
def test_against_the_definition(name, meant):
    rows = list(LABELS.itertuples(index=False))
    expected = {
        (i, j)
        for i, a in enumerate(rows)
        for j, b in enumerate(rows)
        if a.probes == b.probes and (i == j or meant(a, b))
    }
    assert pairs(name) == expected
