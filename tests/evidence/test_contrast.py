"""Contrasts: scores in cells, their weights, and who enters."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from stratigraph.evidence.contrast import estimate, weigh


def rows(configs, replicates, side="gap", group="", **more) -> pd.DataFrame:
    names = [(c, r) for c in configs for r in range(replicates)]
    return pd.DataFrame(
        {
            "run_x": [f"{c}{r}" for c, r in names],
            "config_x": [c for c, _ in names],
            "stream_x": [f"{c}{r}" for c, r in names],
            "group": group,
            "side": side,
            **more,
        }
    )


def test_every_configuration_counts_alike_however_many_runs_it_has():
    table = pd.concat([rows("a", 5), rows("b", 2)], ignore_index=True)
    values = np.r_[np.zeros(5), np.ones(2)][:, None]
    found = estimate(weigh(table, values, {"gap": 1.0}))
    assert found.value == pytest.approx(0.5)
    assert (found.configurations, found.replicates) == (2, 2)


def test_groups_count_alike_and_must_have_every_side():
    one = pd.concat([rows("ab", 2, "+", "one"), rows("c", 2, "-", "one")], ignore_index=True)
    other = pd.concat([rows("d", 2, "+", "two"), rows("e", 2, "-", "two")], ignore_index=True)
    lone = rows("f", 2, "+", "three")
    table = pd.concat([one, other, lone], ignore_index=True)
    level = {"a": 1.0, "b": 3.0, "c": 0.5, "d": 7.0, "e": 1.0, "f": 100.0}
    values = table["config_x"].map(level).to_numpy()[:, None]
    contrast = weigh(table, values, {"+": 1.0, "-": -1.0})
    assert contrast.statistic(np.ones(len(contrast.runs), bool))[0] == pytest.approx(
        ((1 + 3) / 2 - 0.5 + 7 - 1) / 2
    )
    assert set(contrast.left_out) == {"f0", "f1"}
    assert "f0" not in set(contrast.runs["run"])


def test_levels_are_means_of_means_by_hand():
    rng = np.random.default_rng(0)
    parts = [
        rows("a", 2, layer="one"), rows("a", 3, layer="two"), rows("b", 2, layer="two"),
    ]  # fmt: skip
    table = pd.concat(parts, ignore_index=True)
    y = rng.standard_normal((len(table), 4))
    contrast = weigh(table, y, {"gap": 1.0}, ["layer"])
    two = (y[2:5].mean(0) + y[5:7].mean(0)) / 2
    expected = (y[:2].mean(0) + two) / 2
    np.testing.assert_allclose(contrast.statistic(np.ones(5, bool)), expected)
    # The kept table alone gives it again: weights of cells, and the mean within each.
    again = contrast.table.assign(y=contrast.values[:, 0])
    cells = again.groupby("cell").agg(weight=("weight", "first"), y=("y", "mean"))
    assert (cells["weight"] * cells["y"]).sum() == pytest.approx(expected[0])


def test_pairs_of_runs_fall_away_with_either_run():
    names = ["a0", "a1", "a2"]
    couples = [(0, 1), (0, 2), (1, 2)]
    table = pd.DataFrame(
        {
            **{f"run_{s}": [names[c[i]] for c in couples] for i, s in enumerate("xy")},
            **{f"stream_{s}": [names[c[i]] for c in couples] for i, s in enumerate("xy")},
            "config_x": "a", "config_y": "a", "group": "", "side": "pair",
        }
    )  # fmt: skip
    contrast = weigh(table, np.array([[1.0], [2.0], [4.0]]), {"pair": 1.0}, replicates=3)
    np.testing.assert_allclose(contrast.without_each()[:, 0], [4.0, 2.0, 1.0])
    # Arvesen 1969: (n − 1)/n of the sum of squares around their mean.
    expected = np.sqrt(2 / 3 * np.sum((np.array([4, 2, 1]) - 7 / 3) ** 2))
    assert estimate(contrast).error == pytest.approx(expected)


def test_a_configuration_with_too_few_replicates_does_not_enter_where_others_have_enough():
    table = pd.concat([rows("a", 3), rows("b", 1)], ignore_index=True)
    values = np.array([[1.0], [2.0], [3.0], [50.0]])
    contrast = weigh(table, values, {"gap": 1.0})
    assert estimate(contrast).value == pytest.approx(2.0)
    assert "too few replicates" in contrast.left_out["b0"]
    alone = weigh(rows("ab", 1), np.array([[1.0], [3.0]]), {"gap": 1.0})
    found = estimate(alone)
    assert found.value == pytest.approx(2.0)
    assert np.isnan(found.lower)


def test_undefined_scores_do_not_enter_and_nothing_left_is_no_contrast():
    values = np.array([[1.0], [np.nan], [3.0]])
    contrast = weigh(rows("a", 3), values, {"gap": 1.0}, left_out={"a1": "dead"})
    assert contrast.left_out == {"a1": "dead"}
    assert estimate(contrast).runs == 2
    assert weigh(rows("a", 3), np.full((3, 1), np.nan), {"gap": 1.0}) is None


def test_each_run_that_does_not_enter_has_its_own_reason():
    pair = [rows("a", 2, "+"), rows("b", 2, "-"), rows("c", 1, "-"), rows("d", 2, "other")]
    lone = rows("e", 2, "+", "alone")
    table = pd.concat([*pair, lone], ignore_index=True)
    values = np.ones((len(table), 1))
    values[1] = np.nan  # a1, so that a0 is one too few
    less = weigh(pd.concat([table, rows("f", 2, "+")], ignore_index=True),
                 np.r_[values, np.ones((2, 1))], {"+": 1.0, "-": -1.0})  # fmt: skip
    why = {run: reason.split()[0] for run, reason in less.left_out.items()}
    assert why == {"d0": "of", "d1": "of", "a1": "undefined:", "a0": "too", "c0": "too",
                   "e0": "nothing", "e1": "nothing"}  # fmt: skip
