"""The rendered sprites: against published frames, against themselves, and their cache."""

from pathlib import Path

import numpy as np
import pytest

from stratigraph.data import load_dataset
from stratigraph.data.rendering import FACTOR_SIZES, render, render_all_packed
from stratigraph.errors import ConfigError

FRAMES = Path(__file__).parent.parent / "golden" / "dsprites_frames.npz"


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def built(cache):
    return load_dataset("sprites", size=32, cache=True, cache_dir=str(cache))


def test_frames_of_the_published_set():
    # 320 frames of dsprites_ndarray_co1sh3sc6or40x32y32_64x64.npz (Matthey et al., 2017).
    with np.load(FRAMES) as frames:
        published = np.unpackbits(frames["images"], axis=1).reshape(-1, 1, 64, 64)
        factors = frames["factors"].astype(np.int64)
    sprites = load_dataset("sprites", cache=False)
    rendered = sprites.images(sprites.index(factors))
    wrong = (rendered != published).sum(axis=(1, 2, 3))
    assert (wrong == 0).sum() == 298
    assert wrong.max() == 2


def test_factors_are_those_of_dsprites():
    sprites = load_dataset("sprites", cache=False)
    assert sprites.factor_names == ("shape", "scale", "orientation", "x", "y")
    assert sprites.factor_sizes == (3, 6, 40, 32, 32)
    assert len(sprites) == 737_280
    assert sprites.image_shape == (1, 64, 64)
    assert sprites.index([[0, 0, 0, 0, 1]]) == 1  # y is the fastest


@pytest.mark.parametrize("size", [32, 64])
def test_blocks_of_the_cache_equal_the_textbook_form(size):
    # The cache is built from windows around the sprites; `render` evaluates every pixel.
    blocks = render_all_packed(size)
    rng = np.random.default_rng(0)
    for block_number in range(90):
        block = next(blocks)
        if block_number % 11:
            continue
        places = rng.integers(0, 1024, 40)
        indices = block_number * 1024 + places
        factors = np.stack(np.unravel_index(indices, FACTOR_SIZES), axis=1)
        expected = np.packbits(render(factors, size).reshape(40, -1), axis=1)
        np.testing.assert_array_equal(block[places], expected)


def test_the_cache_and_the_renderer_agree(built):
    indices = np.random.default_rng(1).integers(0, len(built), 3000)
    rendered = load_dataset("sprites", size=32, cache=False)
    np.testing.assert_array_equal(built.images(indices), rendered.images(indices))
    assert built.fingerprint == rendered.fingerprint


def test_the_half_size_samples_the_same_geometry():
    indices = np.random.default_rng(2).integers(0, 737_280, 200)
    large = load_dataset("sprites", cache=False).images(indices).mean(axis=(1, 2, 3))
    small = load_dataset("sprites", cache=False, size=32).images(indices).mean(axis=(1, 2, 3))
    np.testing.assert_allclose(small, large, atol=0.01)


def test_orientations_0_and_39_are_the_same_image_and_left_out():
    sprites = load_dataset("sprites", cache=False)
    first = np.array([[s, k, 0, 3, 30] for s in range(3) for k in range(6)])
    last = first + np.array([0, 0, 39, 0, 0])
    np.testing.assert_array_equal(
        sprites.images(sprites.index(first)), sprites.images(sprites.index(last))
    )
    distinct = sprites.distinct()
    assert len(distinct) == 718_848
    assert sprites.factors(distinct)[:, 2].max() == 38


def test_colours_are_corners_of_the_cube(built, cache):
    coloured = load_dataset("sprites", size=32, colour=True, cache_dir=str(cache))
    assert coloured.factor_names[0] == "colour"
    assert coloured.image_shape == (3, 32, 32)
    assert len(coloured) == 6 * len(built)
    assert coloured.max_value == 1
    indices = np.array([5, 70_000, 700_000])
    grey = built.images(indices)
    red = coloured.images(indices)
    np.testing.assert_array_equal(red[:, :1], grey)
    assert not red[:, 1:].any()
    yellow = coloured.images(indices + len(built))
    np.testing.assert_array_equal(yellow, np.concatenate([grey, grey, 0 * grey], axis=1))
    # Every colour is another set of channels, and none is black.
    one = coloured.images(5 + len(built) * np.arange(6)).any(axis=(2, 3))
    assert len({tuple(channels) for channels in one.tolist()}) == 6
    assert one.any(axis=1).all()


def test_prepare_builds_once(tmp_path):
    sprites = load_dataset("sprites", size=32, cache_dir=str(tmp_path))
    assert not list(tmp_path.iterdir())
    assert sprites.images([0]).sum() > 0  # on the fly
    sprites.prepare()
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["sprites-r1-32.npy", "sprites-r1-32.npy.sha256"]
    written = (tmp_path / names[0]).stat().st_mtime_ns
    sprites.prepare()
    assert (tmp_path / names[0]).stat().st_mtime_ns == written


def test_a_damaged_cache_is_built_anew(built, tmp_path):
    damaged = load_dataset("sprites", size=32, cache_dir=str(tmp_path))
    source = built.source.cache
    content = bytearray(source.read_bytes())
    content[50_000_000] ^= 1
    (tmp_path / source.name).write_bytes(content)
    checksum = source.name + ".sha256"
    (tmp_path / checksum).write_text((source.parent / checksum).read_text())
    with pytest.warns(UserWarning, match="rebuilding the sprites: .*SHA-256"):
        damaged.prepare()
    assert (tmp_path / source.name).read_bytes() == source.read_bytes()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": 48}, r"sprites: size 48; allowed are 32 and 64"),
        ({"colour": "yes"}, r"sprites: colour 'yes'; expected true or false"),
        ({"cache": 1}, r"sprites: cache 1; expected true or false"),
        ({"colours": True}, r"sprites has no option 'colours'\. Did you mean 'colour'\?"),
    ],
)
def test_wrong_options(options, message):
    with pytest.raises(ConfigError, match=message):
        load_dataset("sprites", **options)
