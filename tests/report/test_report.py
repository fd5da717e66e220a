"""The numbers behind the figures, and the file that shows them."""

from __future__ import annotations

import io
import re
from collections import Counter
from html.parser import HTMLParser
from types import SimpleNamespace

import numpy as np
import pytest

from stratigraph.records import write_text
from stratigraph.report import data as report_data, headline, reach_table, report_path, write_report
from stratigraph.report.answer import answer_words
from stratigraph.report.data import ReportData
from stratigraph.report.figures.style import new_figure, step_axis
from stratigraph.report.heat_data import heat_map
from stratigraph.report.image_data import traversal
from stratigraph.report.learning_data import curves
from stratigraph.study import load_study, probe_images


@pytest.fixture(scope="module")
def data(tiny_study):
    return ReportData(tiny_study)


def test_configurations_join_seeds(data):
    found = data.configurations
    assert [c.label for c in found] == ["beta_vae, beta = 1", "beta_vae, beta = 4"]
    assert [[run.config.seed for run in c.runs] for c in found] == [[0, 1], [0, 1]]


def test_heat_maps_keep_within_run_and_across_seeds_apart(tiny_study, data):
    runs = data.configurations[0].runs
    matrix = tiny_study.similarity("debiased_cka").values
    labels = tiny_study.labels("debiased_cka")

    def rows(run, step):
        chosen = (labels["run"] == run.run_id) & (labels["step"] == step)
        return np.flatnonzero(chosen)

    within = heat_map(data.scored["debiased_cka"], runs, 2, 12, across_seeds=False)
    blocks = [matrix[np.ix_(rows(run, 2), rows(run, 12))] for run in runs]
    np.testing.assert_allclose(within.values, np.mean(blocks, axis=0))
    assert within.pairs == 2
    across = heat_map(data.scored["debiased_cka"], runs, 2, 12, across_seeds=True)
    blocks = [matrix[np.ix_(rows(a, 2), rows(b, 12))] for a in runs for b in runs if a is not b]
    np.testing.assert_allclose(across.values, np.mean(blocks, axis=0))
    assert across.pairs == 1
    assert within.rows[0] == "input"
    assert within.rows[-1] == "decoder.output"


def test_no_heat_map_of_pairs_that_were_not_compared(data):
    runs = data.configurations[0].runs
    scored = data.scored["procrustes_similarity"]
    assert heat_map(scored, runs, 2, 5, across_seeds=True) is None


def test_curves_end_at_one(data):
    table = curves(data, data.scored["debiased_cka"])
    final = table[table["step"] == 12]
    np.testing.assert_allclose(final["mean"], 1, atol=1e-6)
    assert (table["low"] <= table["mean"] + 1e-12).all()
    assert (table["mean"] <= table["high"] + 1e-12).all()
    assert set(table["runs"]) == {2}


def test_a_traversal_moves_one_latent(tiny_study):
    run = next(iter(tiny_study.runs.values()))
    images = probe_images(run.config, tiny_study.config.probes)
    grid = traversal(run, images[:1], images, count=5)
    assert grid.images.shape == (10, 5, 32, 32, 1)
    assert grid.images.min() >= 0
    assert grid.images.max() <= 1
    order = [float(re.search(r": ([\d.]+) nats", label)[1]) for label in grid.labels]
    assert order == sorted(order, reverse=True)


def test_reach_table_counts_layers_and_runs(tiny_study, data):
    table = reach_table(data.scored["debiased_cka"]).set_index("part")
    assert table.loc["encoder", "layers"] == 4 * 5
    assert table.loc["decoder", "layers"] == 4 * 6
    assert table.loc["latents", "layers"] == 4 * 2
    assert (table["lower"] <= table["median"]).all()
    without = SimpleNamespace(findings=[], scored=data.scored)
    text = "\n".join(headline(tiny_study, without))
    assert f"encoder {table.loc['encoder', 'median']:,.0f} (" in text


class _Page(HTMLParser):
    def __init__(self):
        super().__init__()
        self.sources, self.alts, self.scripts, self.text = [], [], 0, []

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        self.scripts += tag == "script"
        self.sources += [v for k, v in attrs if k in ("src", "href")]
        if tag == "img":
            self.alts.append(values.get("alt"))

    def handle_data(self, data):
        self.text.append(data)


def test_the_report_is_one_self_contained_file(tiny_study):
    page = _Page()
    page.feed(report_path(tiny_study).read_text())
    assert page.sources
    assert all(source.startswith(("data:image/webp", "#")) for source in page.sources)
    assert all(page.alts)
    assert page.scripts == 2  # the data and the code of Explore
    text = " ".join(page.text)
    needs = (
        "When layers reach 0.9", "across seeds", "What the networks make", "arXiv 2205.08399",
        "All findings", "Is the encoder learned before the decoder?", "questions were not asked",
        *answer_words(tiny_study.findings),
    )  # fmt: skip
    for needed in needs:
        assert needed in text
    for run in tiny_study.runs:
        assert run in text


def test_the_same_study_draws_the_same_bytes(tiny_study):
    folder = tiny_study.path / "figures"
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    html = report_path(tiny_study).read_bytes()
    write_report(tiny_study)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert report_path(tiny_study).read_bytes() == html


def test_any_number_of_processes_draws_the_same_bytes(tiny_study, tmp_path):
    page = write_report(tiny_study, tmp_path, workers=3)
    assert page.read_bytes() == report_path(tiny_study).read_bytes()
    for path in (tiny_study.path / "figures").iterdir():
        assert (tmp_path / "figures" / path.name).read_bytes() == path.read_bytes(), path.name


def test_a_report_computes_each_of_its_parts_once(tiny_study, tmp_path, without_ink, monkeypatch):
    asked = []
    for name in ("similarity_to_final", "_configurations", "gather", "probe_indices"):
        real = getattr(report_data, name)
        monkeypatch.setattr(
            report_data, name, lambda *given, n=name, f=real: asked.append(n) or f(*given)
        )
    write_report(tiny_study, tmp_path)
    assert Counter(asked) == {
        "similarity_to_final": 2, "_configurations": 1, "gather": 1, "probe_indices": 1,
    }  # fmt: skip


@pytest.mark.parametrize("payload", ["<img src=x onerror=alert(1)>", "</title><script>x</script>"])
def test_what_a_study_says_is_escaped(tiny_study, tmp_path, without_ink, payload):
    import shutil

    folder = tmp_path / "copy"
    shutil.copytree(tiny_study.path, folder)
    file = folder / "study.yaml"
    text = file.read_text().replace("Four VAEs of a few steps, to test the whole path.", payload)
    write_text(file, text)
    write_report(load_study(folder))
    html = report_path(load_study(folder)).read_text()
    assert payload not in html
    page = _Page()
    page.feed(html)
    assert page.scripts == 2  # the data and the code of Explore


def test_labels_say_what_tells_configurations_apart_and_no_more(tiny_study):
    from dataclasses import replace

    from stratigraph.training import RunConfig

    base = next(iter(tiny_study.runs.values()))

    def labels(*objectives):
        runs = {}
        for objective in objectives:
            config = RunConfig.from_dict({**base.config.to_dict(), "objective": objective})
            runs[config.run_id] = replace(base, config=config)
        study = SimpleNamespace(
            runs=runs,
            complete=lambda: list(runs),
            scores=lambda: ["any"],
            labels=lambda _: {"run": list(runs)},
        )
        return [c.label for c in ReportData(study).configurations]

    annealed = {"name": "annealed_vae", "c_max": 5, "gamma": 10}
    same = labels(annealed, {**annealed, "c_max": 25}, {"name": "beta_vae", "beta": 2})
    assert same == ["annealed_vae, c_max = 5", "annealed_vae, c_max = 25", "beta_vae, beta = 2"]
    differ = labels(annealed, {**annealed, "gamma": 1000})
    assert differ == [
        "annealed_vae, c_max = 5, gamma = 10",
        "annealed_vae, c_max = 5, gamma = 1000",
    ]


@pytest.mark.parametrize("drawn", [[], [3, 4]])
def test_an_axis_of_steps_without_the_untrained_network(drawn):
    figure = new_figure(2, 2)
    axis = figure.subplots()
    axis.plot(drawn, [1.0 for _ in drawn])
    step_axis(axis, [3, 4])
    figure.savefig(io.BytesIO(), format="pdf")
    assert axis.get_xscale() == ("log" if drawn else "linear")
