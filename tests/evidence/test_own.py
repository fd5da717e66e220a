"""A claim of one's own: docs/how-to/extending.md shows it; named, asked and answered."""

from __future__ import annotations

import re
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import stratigraph as sg
from stratigraph.cli.assess import tell_findings
from stratigraph.engine import LocalEngine
from stratigraph.errors import ConfigError
from stratigraph.evidence.answer import answer
from stratigraph.evidence.claims.encoder_first import encoder_first
from stratigraph.evidence.claims.numbers import (
    area,
    at_share,
    between_runs,
    observed,
    where,
    within_runs,
)
from stratigraph.evidence.claims.own import own_claims
from stratigraph.evidence.claims.parts import decoder, encoder, settling
from stratigraph.evidence.contrast import estimate
from stratigraph.evidence.evidence import Evidence, Pairs
from stratigraph.records import write_text
from stratigraph.report.findings import finding_rows
from stratigraph.stages import Progress, assess_study
from stratigraph.study.parse import parse_config
from stratigraph.study.yaml_file import parse_yaml
from stratigraph.testing.claims import CHECKS
from stratigraph.testing.planted import Plan, planted

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "extending.md"
MORE = """

def nothing(evidence):
    return None


def fails(evidence):
    return evidence.no_such_thing


def no_contrast(evidence):
    return [replace(one, contrasts={"debiased_cka": None}) for one in later(evidence)]


def below_nothing(evidence):
    return [replace(one, least=-1.0) for one in later(evidence)]


def not_plain(evidence):
    return [replace(one, details=[{"what": evidence}]) for one in later(evidence)]


def of_failed(evidence):
    number = len(evidence.to_final[evidence.cka])
    return [replace(one, key=f"{one.key}_{number}") for one in later(evidence)]


def again(evidence):
    return [replace(one, key="encoder_first") for one in later(evidence)]


number = 3
"""
STUDY = """
name: own
grid: {data: {name: sprites, size: 32}, objective: vae}
training: {steps: 10}
claims: CLAIMS
"""


@pytest.fixture
def mine(tmp_path, monkeypatch):
    """The page's module, with what is wrong beside it, where Python looks."""
    (block,) = re.findall(r"^```python\n# my_claims.py\n(.*?)^```", PAGE.read_text(), re.M | re.S)
    assert len(block.splitlines()) < 40
    text = "from dataclasses import replace\n" + block + MORE
    (tmp_path / "my_claims.py").write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path
    sys.modules.pop("my_claims", None)


def evidence_of(*decoders: float) -> Evidence:
    """A study of strengths 1 and 8, whose decoders settle at these steps."""
    one, other = (planted(Plan(decoder=step, probes=16, seeds=4), 0) for step in decoders)

    def joined(measure: str) -> Pairs:
        mine, theirs = one.to_final[measure], other.to_final[measure]
        weak = (mine.table["strength_x"] == 1).to_numpy()
        return Pairs(mine.table, np.where(weak[:, None], mine.values, theirs.values))

    return replace(one, to_final={measure: joined(measure) for measure in one.to_final})


def ask(evidence: Evidence, *names: str):
    return answer(evidence, "corrected", [encoder_first, *own_claims(names)])


@pytest.mark.parametrize("check", CHECKS)
def test_the_claim_of_the_page_keeps_what_claims_promise(mine, check):
    import my_claims

    check(my_claims.later)


def test_it_finds_what_was_planted_and_changes_no_other_verdict(mine):
    for steps, verdict in (((50, 400), "supported"), ((400, 50), "contradicted")):
        evidence = evidence_of(*steps)
        *others, found = ask(evidence, "my_claims:later")
        assert (found.question.key, found.question.claim) == ("decoder_later", 0)
        assert (found.question.family, found.verdict) == ("own", verdict)
        assert found.p_holm == found.p  # of a family of one
        assert len(found.entered.runs) == 8
        assert set(found.entered.layers) == {"decoder.dense1", "decoder.output"}
        without = ask(evidence)
        assert [one.p_holm for one in others] == pytest.approx(
            [one.p_holm for one in without], nan_ok=True
        )


def test_what_a_claim_must_not_be_is_said(mine):
    evidence = planted(Plan(probes=16, seeds=2), 0)
    with pytest.raises(ConfigError, match="my_claims:nothing: expected a list of Questions, got N"):
        ask(evidence, "my_claims:nothing")
    with pytest.raises(ConfigError, match="2 questions are called 'encoder_first'; give your own"):
        ask(evidence, "my_claims:again")
    for named, text in (
        ("fails", r"raised AttributeError: .*no_such_thing' \(my_claims.py, line \d+\)"),
        ("no_contrast", "decoder_later: debiased_cka: expected a Contrast, got None; where there"),
        ("below_nothing", "decoder_later: least: expected a distance, at least 0, got -1.0"),
        ("not_plain", "decoder_later: details: expected rows of plain values"),
    ):
        with pytest.raises(ConfigError, match=f"claims: my_claims:{named}: {text}"):
            ask(evidence, f"my_claims:{named}")
    runs = evidence.to_final["debiased_cka"].table["run_x"].unique()
    table = pd.DataFrame({"run": runs, "duplicate_of": "", "learned": runs != runs[0], "why": "no"})
    with pytest.raises(ConfigError, match="differ between all runs and those that learned"):
        ask(replace(evidence, runs=table), "my_claims:of_failed")
    for named, text in (
        ("my_claims:number", "my_claims:number: expected a function, got a int"),
        ("my_claims:latr", "my_claims has no 'latr'. Did you mean 'later'"),
        ("encoder_first", "claims: expected MODULE:NAME, a function of your own, got 'encoder_f"),
        ("{a: 1}", r"claims: expected MODULE:NAME, a function of your own, got \{'a': 1\}"),
        ('["my_claims:later", "my_claims:later"]', "claims: .* is in the list twice"),
    ):
        with pytest.raises(ConfigError, match=text):
            parse_config(parse_yaml(STUDY.replace("CLAIMS", named), "own.yaml"))
    config = parse_config(parse_yaml(STUDY.replace("CLAIMS", '["my_claims:later"]'), "own.yaml"))
    assert config.claims == ("my_claims:later",)
    assert config.plugins() == ["my_claims:later"]


def test_a_study_that_names_one_is_asked_it(mine, tiny_study, tmp_path):
    folder = tmp_path / "study"
    shutil.copytree(tiny_study.path, folder)
    text = (folder / "study.yaml").read_text().partition("# stratigraph format")[0]
    write_text(folder / "study.yaml", f'{text}\nclaims: ["my_claims:later"]\n')
    study = sg.load_study(folder, trust=True)
    rows = assess_study(study, LocalEngine(1), Progress(quiet=True))
    assert rows[-1]["key"] == "decoder_later"
    assert (rows[-1]["claim"], rows[-1]["family"]) == (0, "own")
    assert finding_rows(rows)[-1]["claim"] == "own"
    assert any(line.startswith(" –  ") and "decoder settles later" in line
               for line in tell_findings(rows))  # fmt: skip
    stranger = sg.load_study(folder)  # as if somebody else had made it
    assert stranger.findings == rows


def test_pieces_are_what_claims_of_the_list_are_made_of():
    evidence = planted(Plan(20, 300, probes=16, seeds=3), 0)
    pairs = evidence.to_final["debiased_cka"]
    whole = settling("similarity", encoder, decoder)(pairs)
    apart = within_runs(area(pairs, encoder), area(pairs, decoder))
    assert estimate(apart) == estimate(whole)
    assert apart.layers == whole.layers
    table = pairs.table
    early = at_share(pairs, decoder, 0.1)  # of 3,000 steps: the snapshot at 200
    own = (table["step_x"] == 200) & (table["part_x"] == "decoder")
    expected = pd.Series(pairs.values[own.to_numpy(), 0]).groupby(table["run_x"][own].to_numpy())
    assert early.values[:, 0] == pytest.approx(expected.mean()[early.table["run_x"]].to_numpy())
    sides = {"one": (1.0, where("strength", 1.0)), "other": (-1.0, where("strength", 8.0))}
    between = between_runs(early, sides)
    strength = early.table["strength_x"].to_numpy()
    gap = early.values[strength == 1, 0].mean() - early.values[strength == 8, 0].mean()
    assert estimate(between).value == pytest.approx(gap)
    assert between_runs(early, {"none": (1.0, where("objective", "vae"))}) is None


def test_what_was_observed_stands_in_the_place_of_scores():
    evidence = planted(Plan(probes=16, seeds=2), 0)
    pairs = evidence.to_final["debiased_cka"]
    assert np.isnan(observed(evidence, "decodable").values).all()
    keys = pairs.table[["run_x", "layer_x", "step_x"]].set_axis(["run", "layer", "step"], axis=1)
    layers = keys.assign(decodable=np.arange(len(keys)) / len(keys))
    known = replace(evidence, layers=layers.sample(frac=1, random_state=0))
    assert (observed(known, "decodable").values[:, 0] == layers["decodable"]).all()
