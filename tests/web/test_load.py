"""The page stays up while a study trains: `benchmarks/page.py load`, judged."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest


def _loaded(root, clients, seconds):
    command = [sys.executable, str(root / "benchmarks" / "page.py"), "load"]
    command += ["--clients", str(clients), "--seconds", str(seconds)]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    found = json.loads(ran.stdout.splitlines()[-1])
    print(json.dumps(found))
    assert found["still_training"]
    assert set(found["codes"]) == {"200"}
    assert found["answers"] > clients * seconds
    return found


@pytest.mark.full
def test_nothing_fails_under_a_short_load(pytestconfig):
    _loaded(pytestconfig.rootpath, 8, 3)


@pytest.mark.slow
def test_thirty_two_clients_for_a_minute(pytestconfig):
    found = _loaded(pytestconfig.rootpath, 32, 60)
    assert found["p99_ms"] <= 250
    before, after = found["memory_mb"]
    assert after - before <= 50
