"""What a study keeps of which probes its first finding hangs on is what the definition says."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from stratigraph.pairs.coordinates import read_coordinates
from stratigraph.similarity.cka import debiased_cka
from stratigraph.study import influence_path, probe_factors, representations_path


@pytest.fixture(scope="module")
def kept(tiny_study):
    folder = influence_path(tiny_study.path, "debiased_cka")
    return {path.stem: pd.read_parquet(path) for path in folder.glob("*.parquet")}


@pytest.fixture(scope="module")
def contrast(tiny_study):
    """Some probes → the area of the encoder less the decoder's, by trapezoids, from the files."""
    layers = {"encoder": [], "decoder": []}
    names = tiny_study.labels("debiased_cka")["layer"].unique()
    for name in names:
        if name.split(".")[0] in layers:
            layers[name.split(".")[0]].append(name)
    held = {
        (run.run_id, step, name): np.asarray(
            read_coordinates(representations_path(run.path, step) / f"{name}.npy")
        )
        for run in tiny_study.runs.values()
        for step in run.steps
        for name in (*layers["encoder"], *layers["decoder"])
    }

    def compute(probes):
        gaps = []
        for run in tiny_study.runs.values():
            time = np.log1p(run.steps)
            means = []
            for part in ("encoder", "decoder"):
                areas = []
                for name in layers[part]:
                    curve = [held[run.run_id, step, name][probes] for step in run.steps]
                    scores = [debiased_cka(one, curve[-1]) for one in curve]
                    areas.append(np.trapezoid(scores, time) / (time[-1] - time[0]))
                means.append(np.mean(areas))
            gaps.append(means[0] - means[1])
        return np.mean(gaps)

    return compute


def test_the_contrast_is_the_claims_and_its_influences_are_the_definitions(
    tiny_study, kept, contrast
):
    (turned,) = kept["turned"].to_dict("records")
    every = np.arange(turned["probes"])
    assert turned["data"] == "sprites" and turned["probes"] == 24
    assert turned["contrast"] == pytest.approx(contrast(every), abs=1e-6)
    found = next(f for f in tiny_study.findings if f["key"] == "encoder_first")
    assert turned["contrast"] == pytest.approx(
        found["estimates"]["debiased_cka"]["value"], abs=1e-6
    )
    probes = kept["probes"]
    assert probes["probe"].tolist() == every.tolist()
    for probe in (0, 11):
        expected = turned["contrast"] - contrast(np.delete(every, probe))
        assert probes["influence"][probe] == pytest.approx(expected, abs=1e-6)


def test_a_turned_sign_is_turned_by_these_and_not_by_fewer_of_them(kept, contrast):
    (turned,) = kept["turned"].to_dict("records")
    sign = np.sign(turned["contrast"])
    order = (-sign * kept["probes"]["influence"]).argsort(kind="stable").to_numpy()
    if turned["fewest"]:
        left = contrast(np.sort(order[turned["fewest"] :]))
        assert left == pytest.approx(turned["after"], abs=1e-6) and sign * left <= 0
        assert sign * contrast(np.sort(order[turned["fewest"] - 1 :])) > 0
    else:
        assert sign * contrast(np.sort(order[12:])) > 0


def test_a_value_is_left_out_with_all_of_its_probes(tiny_study, kept, contrast):
    run = next(iter(tiny_study.runs.values()))
    factors, names = probe_factors(run.config, tiny_study.config.probes)
    row = kept["without"].iloc[0]
    left = np.flatnonzero(factors[:, names.index(row["factor"])] != row["value"])
    assert len(left) == row["probes"]
    assert contrast(left) == pytest.approx(row["contrast"], abs=1e-6)


def test_halves_agree_on_some_order(tiny_study, kept):
    table = kept["agreement"].set_index("kind")
    assert {"over training", "encoder.conv1", "z_mean"} <= set(table.index)
    assert table["agreement"].between(-1, 1).all()
    assert (table["lowest"] <= table["agreement"]).all()
    assert table.loc["encoder.conv1", "pairs"] == 6  # of four runs
    other = influence_path(tiny_study.path, "procrustes_similarity")
    assert not other.exists()  # no closed form
