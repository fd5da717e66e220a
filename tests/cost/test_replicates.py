"""What is expected before anything ran, from the spread of kept studies."""

from __future__ import annotations

import pytest

from stratigraph.cost.replicates import count_configurations, expect_replicates, read_spreads
from stratigraph.evidence.family import PRIMARY
from stratigraph.study import load_config

FILE = """
name: planned
grid:
  data: {name: sprites, size: 32, cache: false}
  architecture: fully_connected
  objective: {beta_vae: {beta: [1, 4]}, classification: {}}
  seed: {replicates: 4}
training: {steps: 2, batch_size: 8, validation_images: 16}
"""


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "planned.yaml"
    path.write_text(FILE)
    return load_config(path)


def test_the_table_is_of_primary_questions():
    table = read_spreads()
    assert set(table["question"]) <= set(PRIMARY)
    assert (table["spread"] > 0).all()


def test_more_configurations_take_fewer_replicates(config, tmp_path):
    assert count_configurations(config) == 2
    few = expect_replicates(config)
    path = tmp_path / "more.yaml"
    path.write_text(FILE.replace("[1, 4]", "[1, 2, 4, 8, 16]"))
    many = expect_replicates(load_config(path))
    for one, other in zip(few, many, strict=True):
        assert other.needed <= one.needed
        assert one.low <= one.needed <= one.high
        assert other.decided < one.decided
        assert one.replicates == 4
