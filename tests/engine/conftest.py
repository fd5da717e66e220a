"""Makes `engine_tasks` importable here and, through the path that loky hands on, in workers."""

import sys
from pathlib import Path

import pytest

from stratigraph.engine import LocalEngine

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(scope="session")
def ray_engine():
    """A real Ray on this machine, of two cores, as long as the tests last."""
    ray = pytest.importorskip("ray")
    from stratigraph.engine.ray import RayEngine

    yield RayEngine(workers=2)
    ray.shutdown()


@pytest.fixture(
    scope="module", params=["local 1", "local 2", pytest.param("ray", marks=pytest.mark.full)]
)
def engine(request):
    """Every engine in turn, each with the processes that it has from the first test on."""
    if request.param == "ray":
        return request.getfixturevalue("ray_engine")
    return LocalEngine(int(request.param[-1]))
