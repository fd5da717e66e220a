"""Every claim is asked of every architecture and every objective."""

import dataclasses

import pytest

from stratigraph.engine import LocalEngine
from stratigraph.evidence.claims import CLAIMS
from stratigraph.latents.scores import SCORES
from stratigraph.models import architectures
from stratigraph.objectives import OBJECTIVES, SUPERVISED
from stratigraph.stages import STAGES, open_study, run_stage

# Small enough for seconds: 16 latents are one for each place of the KL autoencoder's map.
STUDY = """
name: kinds
grid:
  - data: {{name: sprites, size: 32, cache: false}}
    architecture:
{architectures}
    objective: {{vae: }}
    latents: 16
    seed: [0, 1]
  - data: {{name: sprites, size: 32, cache: false}}
    architecture: {{name: fully_connected, width: 8}}
    objective:
{objectives}
    latents: 16
    seed: [0, 1]
training: {{steps: 2, batch_size: 8, learning_rate: 1e-3, validation_images: 8,
  reconstruction: gaussian}}  # the likelihood that all of them work with
snapshots: {{kind: explicit, steps: [0, 1, 2]}}
probes: {{count: 16}}
measures:
  - {{name: debiased_cka, pairs: claims}}
  - {{name: procrustes_similarity, pairs: to_final}}
"""


def needed(kind):
    """What has to be given of an objective: 4 is a strength, a number of steps and of codes."""
    return {f.name: 4 for f in dataclasses.fields(kind) if f.default is dataclasses.MISSING}


@pytest.fixture
def quick_scores(monkeypatch):
    """Latents are scored by what every snapshot is scored by: no claim asks for the others."""
    quick = {name: score for name, score in SCORES.items() if score.quick}
    monkeypatch.setattr("stratigraph.stages.score.SCORES", quick)


@pytest.mark.full
@pytest.mark.timeout(1200)
def test_every_claim_of_every_architecture_and_objective(tmp_path, quick_scores):
    kinds = {**OBJECTIVES, **SUPERVISED}
    lines = [f"      {name}: {needed(kind)}" for name, kind in kinds.items()]
    file = tmp_path / "kinds.yaml"
    file.write_text(
        STUDY.format(
            architectures="\n".join(f"      - {name}" for name in architectures()),
            objectives="\n".join(lines),
        )
    )
    study = open_study(file, tmp_path / "out")
    for stage in list(STAGES)[:-1]:  # a report of 22 configurations takes longer than all the rest
        run_stage(stage, study, LocalEngine(1))
    assert {run.state["state"] for run in study.runs.values()} == {"done"}
    names = {run.config.architecture_name for run in study.runs.values()}
    assert names == {*architectures(), "fully_connected(width=8)"}
    asked = {found["claim"] for found in study.findings}
    assert asked == set(range(1, 20))
    assert len({found["key"] for found in study.findings}) >= len(CLAIMS)
    read = set(study.labels("debiased_cka")["run"])
    assert read == set(study.runs)
