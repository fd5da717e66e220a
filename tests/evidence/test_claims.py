"""Claims on planted studies, whose answers are known. Rates over many: benchmarks/findings.py."""

from __future__ import annotations

from dataclasses import astuple, replace
from functools import cache

import numpy as np
import pandas as pd
import pytest

from stratigraph.evidence.answer import answer
from stratigraph.evidence.claims import CLAIMS, ask
from stratigraph.evidence.claims.collapse import collapse
from stratigraph.evidence.claims.disentangled_later import disentangled_later
from stratigraph.evidence.claims.encoder_first import encoder_first
from stratigraph.evidence.claims.encoder_first_everywhere import encoder_first_everywhere
from stratigraph.evidence.claims.encoder_first_in_data import encoder_first_in_data
from stratigraph.evidence.claims.gain_with_encoder import gain_with_encoder
from stratigraph.evidence.claims.generic_encoders import generic_encoders
from stratigraph.evidence.claims.kinds import kinds, kinds_of
from stratigraph.evidence.claims.lower_first import lower_first
from stratigraph.evidence.claims.means_alike import means_alike
from stratigraph.evidence.claims.shared_features import sharing
from stratigraph.evidence.contrast import estimate
from stratigraph.evidence.evidence import Pairs
from stratigraph.evidence.settling import areas, part_areas
from stratigraph.evidence.verdict import judge
from stratigraph.testing.claims import CHECKS, whole
from stratigraph.testing.planted import Plan, planted

ORDER = ("encoder_first", "encoder_first_progress", "encoder_first_everywhere")


@cache  # several tests ask the same plan
def verdicts(plan: Plan, seed: int) -> dict[str, str]:
    return {f.question.key: f.verdict for f in answer(planted(plan, seed), "corrected")}


@pytest.mark.parametrize("seed", [0, *(pytest.param(s, marks=pytest.mark.full) for s in (1, 2))])
def test_encoder_first_decoder_first_and_neither(seed):
    first = verdicts(Plan(encoder=20, decoder=400), seed)
    assert {first[key] for key in ORDER} == {"supported"}
    last = verdicts(Plan(encoder=400, decoder=20), seed)
    assert {last[key] for key in ORDER} == {"contradicted"}
    neither = verdicts(Plan(), seed)
    assert {neither[key] for key in ORDER} <= {"undecided", "negligible"}


def test_lower_layers_first():
    found = verdicts(Plan(lower=30), 0)
    assert found["lower_first_progress"] == "supported"
    assert verdicts(Plan(), 0)["lower_first_progress"] == "negligible"


OF_DATA = Plan(20, 300, collapse=((1.0, 0),), seeds=3, probes=40, data=("one", "another"))


def test_the_encoder_first_in_every_data_set():
    def judged(plan):
        evidence = planted(plan, 0)
        return [one.verdict for one in judge(encoder_first_in_data(evidence), "", evidence)]

    assert judged(OF_DATA) == ["supported", "supported"]
    # Where it is not first in one of them, it is not in every one, whatever the mean says.
    assert judged(replace(OF_DATA, turned=("another",))) == ["contradicted", "contradicted"]
    assert judged(replace(OF_DATA, data=("one",))) == ["not asked", "not asked"]


@pytest.mark.parametrize(
    ("encoder", "decoder", "expected"),
    [
        (1.0, 0.05, ["supported", "supported", "supported"]),
        (0.05, 1.0, ["contradicted", "contradicted", "contradicted"]),
        pytest.param(1.0, 1.0, ["supported", "contradicted", "negligible"], marks=pytest.mark.full),
    ],
)
def test_generic_encoders_and_specific_decoders(encoder, decoder, expected):
    evidence = planted(replace(OF_DATA, generic=encoder, generic_decoder=decoder), 0)
    asked = generic_encoders(evidence)
    assert [one.verdict for one in judge(asked, "corrected", evidence)] == expected
    rows = [row for row in asked[0].details if row["measure"] == "debiased_cka"]
    assert {(row["probes"], row["data"], row["other"]) for row in rows} == {
        ("one", "another", "one"),
        ("another", "another", "one"),
    }
    assert all(row["baseline"] > 0.8 for row in rows)
    assert all((row["across"] > 0.8) == (encoder == 1.0) for row in rows)
    assert "Before any training" in asked[0].note


def test_generic_encoders_say_what_they_lack():
    whole = planted(replace(OF_DATA, seeds=2, probes=16), 0)
    missing = {q.missing for q in generic_encoders(replace(whole, across={}))}
    assert missing == {"Its networks read the probes of their own data alone (`probes: data`)."}

    def less(mask):
        return replace(whole, across={m: p.where(mask(p.table)) for m, p in whole.across.items()})

    alone = less(lambda table: table["data_x"] == table["data_y"])
    assert {q.missing for q in generic_encoders(alone)} == {
        "The study has no two networks that differ in their data alone."
    }
    single = less(lambda table: (table["seed_x"] == 0) & (table["seed_y"] == 0))
    assert {q.missing for q in generic_encoders(single)} == {"The study has a single replicate."}


KINDS = ("encoder_first_of_a_kind_progress", "convolution_first_progress")


@pytest.mark.parametrize(
    ("plan", "place", "kind"),
    [
        (Plan(encoder=20, decoder=300), "supported", "undecided"),
        *(
            pytest.param(*one, marks=pytest.mark.full)
            for one in (
                (Plan(encoder=300, decoder=20), "contradicted", "undecided"),
                (Plan(), "negligible", "supported"),
            )
        ),
    ],
)
def test_the_place_of_a_part_and_its_kind_are_told_apart(plan, place, kind):
    """Crossed: what a convolution does at both places is no effect of being the encoder."""
    slow = 12.0 if kind == "supported" else 1.0
    crossed = replace(plan, collapse=((1.0, 0),), kinds=(("convolutional", 1.0), ("vit", slow)))
    found = verdicts(crossed, 0)
    assert [found[key] for key in KINDS] == [place, kind]
    assert found["transformers_progress"] == place
    assert found["fully_connected"] == "not asked"
    alone = replace(plan, collapse=((1.0, 0),), kinds=(("vit", 1.0),))
    assert {verdicts(alone, 0)[key] for key in KINDS} == {"not asked"}


def test_place_and_kind_are_asked_of_crossed_networks_alone():
    """Two kinds side by side are not crossed; a ladder's encoder is no kind of its own."""
    plan = Plan(encoder=20, decoder=300, seeds=2, collapse=((1.0, 0),))
    crossed = planted(replace(plan, kinds=(("convolutional", 1.0), ("vit", 12.0))), 0)

    def asked(names):
        kept = {}
        for measure, pairs in crossed.to_final.items():
            table = pairs.table.replace({"architecture_x": names})
            kept[measure] = Pairs(table, pairs.values).where(table["architecture_x"] != "left out")
        return {q.key: q for q in kinds(replace(crossed, to_final=kept))}

    names = set(crossed.to_final[crossed.cka].table["architecture_x"])
    (alone,) = (name for name in names if kinds_of(name) == ("vit", "vit"))
    beside = asked({name: "left out" for name in names if len(set(kinds_of(name))) == 2})
    ladder, without = asked({alone: "ladder"}), asked({alone: "left out"})
    for key in KINDS:
        assert beside[key].missing == "The study does not cross encoders and decoders of two kinds."
        assert without[key].contrasts
        for measure, found in without[key].contrasts.items():
            assert estimate(ladder[key].contrasts[measure]).value == estimate(found).value


def test_kinds_are_read_from_names():
    assert kinds_of("vit(depth=6, heads=2) → fully_connected") == ("vit", "fully_connected")
    assert kinds_of("fully_connected(depth=4)") == ("fully_connected", "fully_connected")
    assert kinds_of("mine:Encoder → vit(depth=2)") == ("mine:Encoder", "vit")


def test_the_deeper_part_is_the_one_with_twice_the_layers():
    evidence = planted(Plan(encoder=20, decoder=300, collapse=((1.0, 0),)), 0)

    def without(layer):
        kept = {m: p.where(p.table["layer_x"] != layer) for m, p in evidence.to_final.items()}
        found = answer(replace(evidence, to_final=kept), "corrected")
        return {f.question.key: f.verdict for f in found}

    even = without("none")
    assert even["deeper_encoder"] == even["deeper_decoder"] == "not asked"
    encoder = without("decoder.dense1")
    assert (encoder["deeper_encoder"], encoder["deeper_decoder"]) == ("supported", "not asked")
    decoder = without("encoder.conv1")
    assert (decoder["deeper_encoder"], decoder["deeper_decoder"]) == ("not asked", "supported")


def test_encoders_and_latents_that_differ_across_strengths():
    same = verdicts(Plan(), 1)
    assert same["encoders_alike_across_strengths"] == "supported"
    assert same["latents_exception"] == "negligible"
    assert verdicts(Plan(alike=0.3), 1)["encoders_alike_across_strengths"] == "contradicted"
    assert verdicts(Plan(latents_alike=0.3), 1)["latents_exception"] == "supported"


def test_collapse_is_tracked_and_warned_of():
    plan = Plan(collapse=((1.0, 0), (2.0, 1), (4.0, 2), (8.0, 4)))
    findings = answer(planted(plan, 0), "corrected")
    questions = {f.question.key: f.question for f in findings}
    found = {f.question.key: f.verdict for f in findings}
    assert found["collapse_tracked"] == "supported"
    lead = questions["collapse_warning"].details[0]
    # Means shrink long before step 600, the first snapshot with passive latents.
    assert lead["step_score"] < lead["step_count"] == 600
    assert lead["doublings"] == pytest.approx(np.log2(600 / lead["step_score"]))
    nothing = {q.key: q for q in ask(planted(Plan(), 0))}
    assert "same in every run" in nothing["collapse_tracked"].missing


def test_one_seed_supports_nothing():
    found = answer(planted(Plan(encoder=20, decoder=400, seeds=1), 0), "corrected")
    assert not [f for f in found if f.question.family != "measures" and f.verdict == "supported"]


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("claim", CLAIMS)
def test_contract(claim, check):
    check(claim)


def test_questions_have_names_and_numbers_of_their_own():
    questions = ask(planted(Plan(), 0))
    assert len({q.key for q in questions}) == len(questions)
    assert {q.claim for q in questions} == set(range(1, 20))


def test_permuting_the_probes_of_one_run_leaves_no_similarity_across():
    """The null: nothing of one run's layers is in the other's."""
    evidence = planted(Plan(alike=0.0), 0)
    found = {f.question.key: f for f in answer(evidence, "corrected")}
    assert found["encoders_alike_across_strengths"].verdict != "supported"


def curve(steps, values, layer="encoder.conv1", part="encoder", run="r"):
    table = pd.DataFrame({"step_x": steps, "run_x": run, "layer_x": layer, "part_x": part})
    return table, np.asarray(values, dtype=float)[:, None]


def test_the_area_is_the_mean_over_the_logarithm_of_training():
    steps = np.array([0, 9, 99])
    table, values = curve(steps, [0.2, 0.6, 1.0])
    _, area, untrained = areas(Pairs(table, values))
    # log(1 + t) is 0, log 10, 2 log 10: two trapezoids of one width.
    assert area[0, 0] == pytest.approx((0.4 + 0.8) / 2)
    assert untrained[0, 0] == 0.2


def test_rows_may_stand_in_any_order_and_a_constant_layer_is_one():
    table, values = curve([99, 0, 9], [1.0, 1.0, 1.0])
    _, area, _ = areas(Pairs(table, values))
    assert area[0, 0] == pytest.approx(1.0)


def test_progress_is_pooled_by_room_and_nan_without_room():
    parts = [
        curve([0, 9, 99], [0.5, 0.75, 1.0]),
        curve([0, 9, 99], [0.999, 0.9, 1.0], layer="encoder.conv2"),
    ]
    pairs = Pairs(
        pd.concat([t for t, _ in parts], ignore_index=True), np.concatenate([v for _, v in parts])
    )
    everything = [lambda rows: np.ones(len(rows), dtype=bool)]
    _, (found,), _ = part_areas(pairs, everything, "progress")
    _, area, untrained = areas(pairs)
    assert found[0, 0] == pytest.approx((area - untrained).sum() / (1 - untrained).sum())
    only = [lambda rows: (rows["layer_x"] == "encoder.conv2").to_numpy()]
    _, (none,), _ = part_areas(pairs, only, "progress")
    assert np.isnan(none[0, 0])


def test_an_undefined_layer_leaves_the_others_of_its_run():
    parts = [
        curve([0, 9, 99], [np.nan, 0.5, 1.0], layer="dead"),
        curve([0, 9, 99], [0.2, 0.6, 1.0]),
    ]
    pairs = Pairs(
        pd.concat([t for t, _ in parts], ignore_index=True), np.concatenate([v for _, v in parts])
    )
    everything = [lambda rows: np.ones(len(rows), dtype=bool)]
    _, (found,), _ = part_areas(pairs, everything, "similarity")
    assert found[0, 0] == pytest.approx(0.6)


def test_measures_on_shared_features_as_the_reference_values_have_them():
    """Values computed for this project from the published set-up (50 features; see paper.md)."""
    known = {  # (share, probes): Procrustes, biased CKA
        (0.8, 50): (0.950, 0.903), (0.5, 50): (0.869, 0.744), (0.0, 50): (0.752, 0.511),
        (0.8, 290): (0.855, 0.835), (0.5, 290): (0.657, 0.580), (0.0, 290): (0.346, 0.146),
        (0.8, 970): (0.825, 0.813), (0.5, 970): (0.581, 0.532), (0.0, 970): (0.197, 0.051),
    }  # fmt: skip
    means = sharing().groupby(["share", "probes"]).mean(numeric_only=True)
    for key, (procrustes, cka) in known.items():
        assert means.loc[key, "procrustes_similarity"] == pytest.approx(procrustes, abs=0.015)
        assert means.loc[key, "linear_cka"] == pytest.approx(cka, abs=0.015)
    for share in (0.8, 0.5, 0.0):
        assert means.loc[(share, 970), "debiased_cka"] == pytest.approx(share, abs=0.015)


def test_without_procrustes_the_claims_are_judged_by_cka_alone():
    evidence = planted(Plan(encoder=20, decoder=400), 0)
    alone = replace(
        evidence,
        **{
            kind: {"debiased_cka": getattr(evidence, kind)["debiased_cka"]}
            for kind in ("to_final", "final", "within")
        },
    )
    found = {f.question.key: f for f in answer(alone, "corrected")}
    assert found["encoder_first"].verdict == "supported"
    assert "CKA alone" in found["encoder_first"].why
    assert found["measures_agree"].verdict == "not asked"


def test_pairs_that_one_measure_was_not_asked_for_are_not_ranked():
    """Procrustes with `pairs: to_final`, as in studies/quick.yaml: none of two runs."""
    evidence = planted(Plan(encoder=20, decoder=400), 0)
    across = evidence.final["procrustes_similarity"]
    unknown = replace(across, values=np.full_like(across.values, np.nan))
    less = replace(evidence, final={**evidence.final, "procrustes_similarity": unknown})
    found = {q.key: q for q in ask(less)}
    assert found["measures_agree"].contrasts
    assert not found["measures_agree_across_runs"].contrasts
    assert "lacks one of the measures" in found["measures_agree_across_runs"].missing


def test_configurations_that_share_seeds_have_the_freedom_of_their_seeds():
    """Twelve configurations of which each is the same seeds' luck: one witness of the spread."""
    evidence = planted(Plan(encoder=20, decoder=400, seeds=3, probes=40), 0)

    def freedom(streams):
        def change(pairs):
            table = pairs.table.assign(
                stream_x=pairs.table[f"{streams}_x"], stream_y=pairs.table[f"{streams}_y"]
            )
            return Pairs(table, pairs.values)

        kept = {measure: change(pairs) for measure, pairs in evidence.to_final.items()}
        questions = encoder_first_everywhere(replace(evidence, to_final=kept))
        return estimate(questions[0].contrasts["procrustes_similarity"]).freedom

    assert freedom("seed") < freedom("run")


def test_progress_is_not_asked_without_a_snapshot_of_the_untrained_network():
    """An undefined primary question would go on to be looked at until the budget is out."""
    first = whole()["the encoder first"]
    later = {m: p.where(p.table["step_x"] > 0) for m, p in first.to_final.items()}
    asked = (encoder_first, encoder_first_everywhere, lower_first)
    found = {q.key: q for q in ask(replace(first, to_final=later), asked)}
    for key in ("encoder_first", "encoder_first_everywhere", "lower_first"):
        assert not found[key].missing
        assert found[f"{key}_progress"].missing.startswith("There is no snapshot of the untrained")
    (_, over_data) = encoder_first_in_data(replace(first, to_final=later))
    assert over_data.missing.startswith("There is no snapshot of the untrained")


def test_data_of_which_nothing_collapses_lend_no_runs_to_the_error_of_ranks():
    first = whole()["the encoder first"]

    def beside(pairs: Pairs) -> Pairs:
        """The same once more, as other data, on which no latent is passive."""
        names = [f"{name}_{side}" for name in ("run", "config", "stream", "data") for side in "xy"]
        other = pairs.table.assign(**{name: "other " + pairs.table[name] for name in names})
        table = pd.concat([pairs.table, other], ignore_index=True)
        return Pairs(table, np.concatenate([pairs.values, pairs.values]))

    other = first.latents.assign(run="other " + first.latents["run"], passive=0)
    within = {measure: beside(pairs) for measure, pairs in first.within.items()}
    latents = pd.concat([first.latents, other], ignore_index=True)
    alone, both = (
        {q.key: q.contrasts["debiased_cka"] for q in collapse(evidence)}
        for evidence in (first, replace(first, within=within, latents=latents))
    )
    for key in ("collapse_tracked", "collapse_warning"):
        np.testing.assert_equal(*(astuple(estimate(one[key])) for one in (both, alone)))
        assert set(both[key].left_out) >= set(other["run"])
    assert list(both["collapse_tracked"].runs["run"]) == list(alone["collapse_tracked"].runs["run"])


SCORED = Plan(collapse=((1.0, 0),), seeds=4, probes=24)
OF_SCORES = (disentangled_later, means_alike, gain_with_encoder)


def of_scores(evidence):
    return {f.question.key: f for f in answer(evidence, "corrected", OF_SCORES)}


@pytest.mark.parametrize(
    ("plan", "later", "encoder"),
    [
        (replace(SCORED, encoder=20, decoder=600, disentangled=600), "supported", "contradicted"),
        (replace(SCORED, encoder=600, decoder=20, disentangled=20), "contradicted", "contradicted"),
        (replace(SCORED, encoder=100, decoder=900, disentangled=75), "negligible", "supported"),
    ],
)
def test_when_disentanglement_is_reached_and_with_which_part(plan, later, encoder):
    found = of_scores(planted(plan, 0))
    assert found["disentangled_later"].verdict == later
    assert found["gain_with_encoder"].verdict == encoder
    rows = found["gain_with_encoder"].question.details
    assert {row["layer"] for row in rows} >= {"encoder.conv1", "z_mean", "decoder.output"}


def test_means_alike_disentangle_alike_or_not():
    evidence = planted(replace(SCORED, seeds=9, probes=8, disentangled=100), 0)
    rng = np.random.default_rng(0)
    runs = evidence.scores["run"].unique()
    ends = dict(zip(runs, rng.random(len(runs)), strict=True))
    scores = evidence.scores.assign(value=evidence.scores["run"].map(ends))

    def verdict(similarity):
        final = {}
        for measure, pairs in evidence.final.items():
            apart = np.abs(pairs.table["run_x"].map(ends) - pairs.table["run_y"].map(ends))
            final[measure] = Pairs(pairs.table, similarity(apart.to_numpy())[:, None])
        found = of_scores(replace(evidence, final=final, scores=scores))
        return found["means_alike_disentangle_alike"].verdict

    assert verdict(lambda apart: 1 - apart) == "supported"
    assert verdict(lambda apart: apart) == "contradicted"
    assert verdict(lambda apart: rng.random(len(apart))) == "undecided"
    none = of_scores(replace(evidence, scores=scores[:0]))
    assert none["means_alike_disentangle_alike"].verdict == "not asked"


def test_a_score_that_gains_nothing_says_nothing_of_when():
    evidence = planted(replace(SCORED, disentangled=20), 0)

    def missing(scores):
        asked = ask(replace(evidence, scores=scores), OF_SCORES)
        return {q.key: q.missing for q in asked if q.claim != 18}

    flat = missing(evidence.scores.assign(value=0.1))
    assert all(told.startswith("No run") for told in flat.values())
    once = missing(evidence.scores[evidence.scores["step"] == 3000])
    assert set(once.values()) == {"The latents were scored at one step only."}
    none = missing(evidence.scores[:0])
    assert all(told.startswith("No latents were scored") for told in none.values())
