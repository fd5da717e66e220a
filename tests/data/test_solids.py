"""The rendered solids: their bytes, what each factor changes, and their cache."""

import hashlib
import itertools

import numpy as np
import pytest

from stratigraph.data import load_dataset
from stratigraph.data.bodies import (
    BASE,
    CONE,
    CUBE,
    CYLINDER,
    ELEVATION,
    FACTOR_SIZES,
    HALF_HEIGHT,
    LAMP,
    LAMP_HEIGHT,
    LEAN,
    MEET,
    RING,
    SPHERE,
    TIP,
    TUBE,
    render,
    render_all,
)
from stratigraph.errors import ConfigError

# Over 200 solids at 20 × 20. Only operations that IEEE 754 rounds exactly make them, so they are
# the same on every machine; another value means other pixels: raise `bodies.RENDERER`.
GOLDEN = "35c420e040f7fc1ef9baf608dbd821d681c2955fc24e09483c20671294e62df6"


@pytest.fixture(scope="module")
def small():
    return load_dataset("solids", size=20, cache=False)


def test_bytes_are_those_of_every_machine(small):
    indices = np.random.default_rng(0).integers(0, len(small), 200)
    assert hashlib.sha256(small.images(indices).tobytes()).hexdigest() == GOLDEN


def test_cosines_are_rounded_where_no_last_digit_of_a_library_matters():
    angles = np.array([*ELEVATION, *LAMP, LAMP_HEIGHT, LEAN, *(15.0 * np.arange(24))])
    for values in (np.cos(np.radians(angles)), np.sin(np.radians(angles))):
        digits = values * 1e9
        assert (np.abs(np.abs(digits - np.floor(digits)) - 0.5) > 1e-4).all()


def test_grey_is_the_luma(small):
    grey = load_dataset("solids", size=20, colour=False, cache=False)
    some = [5, 70_000, 143_999]
    rgb = small.images(some).astype(float)
    luma = 0.299 * rgb[:, :1] + 0.587 * rgb[:, 1:2] + 0.114 * rgb[:, 2:]
    assert np.abs(grey.images(some) - luma).max() <= 0.51
    assert grey.image_shape == (1, 20, 20)
    assert grey.fingerprint != small.fingerprint


def test_factors():
    solids = load_dataset("solids", cache=False)
    assert solids.factor_names == ("hue", "shape", "scale", "elevation", "azimuth", "light")
    assert solids.factor_sizes == (10, 5, 4, 5, 24, 6)
    assert len(solids) == 144_000
    assert solids.image_shape == (3, 64, 64)


def test_every_step_of_every_factor_is_seen(small):
    rng = np.random.default_rng(1)
    sizes = np.array(small.factor_sizes)
    for factor, size in enumerate(sizes):
        for shape in range(5):
            grid = np.tile(rng.integers(0, sizes), (size, 1))
            grid[:, 1] = shape
            grid[:, factor] = np.arange(size)
            images = small.images(small.index(grid)).astype(int)
            apart = np.abs(images[:, None] - images[None]).max(axis=(2, 3, 4))
            assert apart[~np.eye(size, dtype=bool)].min() >= 24, (factor, shape)


SURFACES = {
    "sphere": lambda x, y, z: np.sqrt(x**2 + y**2 + z**2) - SPHERE,
    "cube": lambda x, y, z: np.maximum(np.maximum(abs(x), abs(y)), abs(z)) - CUBE,
    "cylinder": lambda x, y, z: np.maximum(np.hypot(x, y) - CYLINDER, abs(z) - HALF_HEIGHT),
    "cone": lambda x, y, z: np.maximum(np.hypot(x, y) - CONE * (TIP - z), BASE - z),
    "torus": lambda x, y, z: np.hypot(np.hypot(x, y) - RING, z) - TUBE,
}


@pytest.mark.parametrize("body", MEET)
def test_rays_meet_a_body_where_they_first_enter_it(body):
    # Against small steps along each ray through the body's own inequality.
    rng = np.random.default_rng(3)
    d = rng.standard_normal(3)
    d /= np.linalg.norm(d)
    o = rng.uniform(-1, 1, (3, 300)) - 4 * d[:, None]
    hits = MEET[body](tuple(o), tuple(d))
    steps = np.linspace(1, 7, 12001)
    points = o[:, :, None] + steps * d[:, None, None]
    inside = SURFACES[body](*points) <= 0
    met = inside.any(axis=1)
    grazing = np.abs(SURFACES[body](*points)).min(axis=1) < 0.03
    found = hits.distance < np.inf
    assert (found == met)[~grazing].all()
    assert 30 < met.sum() < 270
    both = met & found & (~grazing | (inside.sum(axis=1) > 100))
    first = steps[inside.argmax(axis=1)]
    np.testing.assert_allclose(hits.distance[both], first[both], atol=2e-3)
    # Normals point out of the body, towards whoever looks.
    facing = sum(n * a for n, a in zip(hits.normal, d, strict=True))
    assert (facing[both] < 1e-6).all()


def test_blocks_of_the_cache_equal_single_images():
    blocks = np.concatenate(list(itertools.islice(render_all(20), 30)))
    factors = np.stack(np.unravel_index(np.arange(len(blocks)), FACTOR_SIZES), axis=1)
    np.testing.assert_array_equal(blocks, render(factors, 20))


@pytest.mark.full
def test_the_cache_and_the_renderer_agree(tmp_path):
    built = load_dataset("solids", size=8, cache_dir=str(tmp_path))
    assert not list(tmp_path.iterdir())
    built.prepare()
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["solids-r1-8.npy", "solids-r1-8.npy.sha256"]
    rendered = load_dataset("solids", size=8, cache=False)
    indices = np.random.default_rng(2).integers(0, len(built), 300)
    np.testing.assert_array_equal(built.images(indices), rendered.images(indices))
    assert built.fingerprint == rendered.fingerprint


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": 4}, "solids: size 4; expected a whole number from 8 to 256"),
        ({"size": 32.0}, r"solids: size 32\.0; expected a whole number"),
        ({"cache": "no"}, "solids: cache 'no'; expected true or false"),
        ({"colour": 3}, "solids: colour 3; expected true or false"),
        ({"colours": True}, r"solids has no option 'colours'\. Did you mean 'colour'"),
    ],
)
def test_wrong_options(options, message):
    with pytest.raises(ConfigError, match=message):
        load_dataset("solids", **options)
