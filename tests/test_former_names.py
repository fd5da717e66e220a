"""Names of rooms that were called otherwise go on working for a version, with a warning."""

from __future__ import annotations

import importlib
import sys

import pytest


@pytest.mark.parametrize(
    ("old", "new", "name"),
    [("pipeline", "stages", "choose_latents"), ("snapshots", "records", "load_weights")],
)
def test_a_former_name_is_the_same_thing(old, new, name, monkeypatch):
    monkeypatch.delitem(sys.modules, f"stratigraph.{old}", raising=False)
    with pytest.warns(DeprecationWarning, match=f"is called stratigraph.{new} now"):
        former = importlib.import_module(f"stratigraph.{old}")
    assert getattr(former, name) is getattr(importlib.import_module(f"stratigraph.{new}"), name)
