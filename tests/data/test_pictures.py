"""Pictures of every depth and kind, and what else lies in a folder of them."""

import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from stratigraph.data import load_dataset
from stratigraph.errors import ConfigError, DataError

RAMP = np.linspace(0, 1, 64 * 64).reshape(64, 64)


@pytest.fixture
def load(tmp_path):
    def load(**options):
        return load_dataset(tmp_path / "own", cache_dir=str(tmp_path / "cache"), **options)

    (tmp_path / "own").mkdir()
    return load


def png(array, kind):
    """A 16-bit PNG by its specification; Pillow writes grey ones alone."""

    def chunk(name, data):
        return (
            struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        )

    height, width = array.shape[:2]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in array)
    header = struct.pack(">IIBBBBB", width, height, 16, kind, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


DEEP = (RAMP * 65535).round().astype(np.uint16)


@pytest.mark.parametrize("colour", [True, False])
@pytest.mark.parametrize(
    ("name", "pixels"),
    [
        ("a.png", DEEP),
        ("a.tif", DEEP),
        ("a.tiff", DEEP.astype(">u2")),
        ("a.tif", RAMP.astype(np.float32)),
        ("a.png", (RAMP * 255).round().astype(np.uint8)),
    ],
)
def test_a_ramp_is_a_ramp_at_every_depth(tmp_path, load, name, pixels, colour):
    Image.fromarray(pixels).save(tmp_path / "own" / name)
    image = load(colour=colour).images([0])[0]
    assert image.shape == (3 if colour else 1, 64, 64)
    assert image.mean() == pytest.approx(127.5, abs=0.01)  # not white (torchvision 2218)
    np.testing.assert_allclose(image[0], RAMP * 255, atol=0.51)


def test_sixteen_bits_a_channel(tmp_path, load):
    for kind, channels in ((2, 3), (4, 2), (6, 4)):
        pixels = np.stack([DEEP] * channels, axis=-1)
        pixels[..., 3 if channels == 4 else 1] |= 0 if channels == 3 else 65535  # opaque
        (tmp_path / "own" / f"{kind}.png").write_bytes(png(pixels, kind))
    images = load().images([0, 1, 2])
    np.testing.assert_allclose(images, np.broadcast_to(RAMP * 255, images.shape), atol=1)


@pytest.mark.parametrize(
    ("pixels", "said"),
    [
        ((RAMP * 255).astype(np.float32), r"values from 0 to 255; expected 0 to 1\. Say which"),
        ((RAMP - 0.5).astype(np.float32), r"values from -0\.5 to 0\.5; expected 0 to 1"),
        (np.full((4, 4), np.nan, np.float32), "values from nan to nan"),
        ((RAMP * 255).astype(np.int32), "holds 32-bit numbers, from 0 to 255; say which"),
        ((RAMP * 4095).astype(np.uint16), r"values reach 4095 of 65535, and no other 16-bit"),
    ],
)
def test_values_without_a_known_range(tmp_path, load, pixels, said):
    Image.fromarray(pixels).save(tmp_path / "own" / "a.tif")
    with pytest.raises(DataError, match=said):
        load()
    if np.isfinite(pixels).all():
        ends = (float(pixels.min()), float(pixels.max()))
        np.testing.assert_allclose(
            load(values=ends).images([0])[0, 0], RAMP * 255, atol=1
        )  # whole numbers are cut


def test_the_range_is_of_deep_pictures(tmp_path, load):
    Image.fromarray(np.zeros((4, 4), np.uint8)).save(tmp_path / "own" / "a.png")
    with pytest.raises(DataError, match=r"a\.png has 8 bits a channel \(mode L\); values=\[0, 9\]"):
        load(values=[0, 9])
    for options, said in (
        ({"values": [9, 0]}, r"values \[9, 0\]; expected the lowest and the highest"),
        ({"values": [0, 1, 2]}, "expected the lowest and the highest"),
        ({"background": 256}, "background 256; expected a grey from 0 to 255, or red"),
        ({"background": [1, 2]}, r"background \[1, 2\]; expected a grey"),
    ):
        with pytest.raises(ConfigError, match=said):
            load(**options)


def test_transparent_pictures_lie_over_a_background(tmp_path, load):
    hidden = np.zeros((8, 8, 4), np.uint8)
    hidden[..., :3] = (200, 10, 10)  # a colour that nobody sees
    hidden[:4, :, 3] = 255
    hidden[4:6, :, 3] = 128
    Image.fromarray(hidden).save(tmp_path / "own" / "a.png")
    palette = Image.new("P", (8, 8), 1)
    palette.putpalette([0, 0, 0, 200, 10, 10])
    palette.save(tmp_path / "own" / "b.png", transparency=1)
    for background, colour in ((255, (255, 255, 255)), (0, (0, 0, 0)), ([0, 0, 90], (0, 0, 90))):
        images = load(size=8, background=background).images([0, 1])
        assert images[0, :, 0, 0].tolist() == [200, 10, 10]
        assert images[0, :, 7, 0].tolist() == list(colour)
        half = np.array([200, 10, 10]) * 128 / 255 + np.array(colour) * 127 / 255
        np.testing.assert_allclose(images[0, :, 4, 0], half, atol=1)
        assert images[1, :, 0, 0].tolist() == list(colour)
    assert load(size=8).images([0])[0, :, 7, 0].tolist() == [255, 255, 255]


def test_several_pages_are_refused(tmp_path, load):
    pages = [Image.new("L", (4, 4), value) for value in (1, 2)]
    pages[0].save(tmp_path / "own" / "a.tif", save_all=True, append_images=pages[1:])
    with pytest.raises(DataError, match=r"a\.tif holds 2 pictures; save each"):
        load()


def test_droppings_are_passed_over_and_links_followed_once(tmp_path, load):
    folder, elsewhere = tmp_path / "own", tmp_path / "elsewhere"
    for place, value in ((folder / "a", 10), (elsewhere, 30), (folder / "c", 50)):
        place.mkdir()
        Image.new("L", (4, 4), value).save(place / "x.png")
    (folder / "b").symlink_to(elsewhere, target_is_directory=True)
    # Two ways to c, one to the folder itself, and one to a folder around it.
    for name, target in (("0", folder / "c"), ("loop", folder), ("above", tmp_path)):
        (folder / name).symlink_to(target, target_is_directory=True)
    (folder / "a" / "y.png").symlink_to(folder / "c" / "x.png")
    for name in ("._x.png", ".hidden/x.png", "__MACOSX/x.png", ".ipynb_checkpoints/x.png"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(b"no picture")
    dataset = load(size=4, colour=False)
    assert dataset.images(np.arange(len(dataset)))[:, 0, 0, 0].tolist() == [10, 30, 50]
    (folder / "gone.png").symlink_to(tmp_path / "nowhere.png")
    with pytest.raises(DataError, match=r"gone\.png is a link to .*nowhere\.png, which does not"):
        load()
    (folder / "gone.png").unlink()
    (folder / "d").symlink_to(tmp_path / "unmounted")
    with pytest.raises(DataError, match=r"d is a link to .*unmounted, which does not exist"):
        load()
