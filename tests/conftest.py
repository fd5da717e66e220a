"""What all tests share: a small study, made once."""

from __future__ import annotations

from pathlib import Path

import pytest

TINY = """
name: tiny
description: Four VAEs of a few steps, to test the whole path.
grid:
  data: {name: sprites, size: 32, cache: false}
  objective:
    beta_vae: {beta: [1, 4]}
  seed: [0, 1]
training: {steps: 12, batch_size: 16, learning_rate: 1e-3, validation_images: 32, log_every: 5}
snapshots: {kind: log, count: 4, first: 2}
probes: {count: 24}
measures:
  - debiased_cka
  - {name: procrustes_similarity, pairs: claims}
"""


@pytest.fixture(scope="session")
def tiny_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of a study that takes seconds."""
    path = tmp_path_factory.mktemp("studies") / "tiny.yaml"
    path.write_text(TINY)
    return path


@pytest.fixture(scope="session")
def tiny_study(tiny_file: Path, tmp_path_factory: pytest.TempPathFactory):
    """That study, run by one worker. Tests read it and leave it as it is."""
    from stratigraph.engine import LocalEngine
    from stratigraph.pipeline import run_study

    out = tmp_path_factory.mktemp("out") / "tiny"
    return run_study(tiny_file, out, engine=LocalEngine(1))
