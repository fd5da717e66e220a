"""The user's own data: arrays, files, folders of pictures, torch data sets."""

import numpy as np
import pytest
import torch
from PIL import Image

from stratigraph.data import load_dataset
from stratigraph.errors import ConfigError, DataError, InputError, IntegrityError, UnsafeFileError

RNG = np.random.default_rng(0)
PIXELS = RNG.integers(0, 256, (5, 6, 7, 3), dtype=np.uint8)
EVERY = np.arange(5)
EXPECTED = np.moveaxis(PIXELS, -1, 1)


@pytest.fixture(params=["memory", "npy", "npz"])
def load(request, tmp_path):
    """Loads an array from memory, or through either kind of file."""

    def load(array, **options):
        if request.param == "memory":
            return load_dataset(array, **options)
        path = tmp_path / f"own.{request.param}"
        if request.param == "npy":
            np.save(path, array)
        else:
            np.savez_compressed(path, labels=np.zeros(3), images=array)
        return load_dataset(path, cache_dir=str(tmp_path / "cache"), **options)

    return load


def test_channels_are_found(load):
    np.testing.assert_array_equal(load(PIXELS).images(EVERY), EXPECTED)
    np.testing.assert_array_equal(load(EXPECTED.copy()).images(EVERY), EXPECTED)
    np.testing.assert_array_equal(load(PIXELS[..., 0].copy()).images(EVERY), EXPECTED[:, :1])


def test_channels_are_told(load):
    square = RNG.integers(0, 256, (4, 3, 5, 3), dtype=np.uint8)
    with pytest.raises(DataError, match=r"which axis of \(4, 3, 5, 3\) holds the channels"):
        load(square)
    assert load(square, channels="first").image_shape == (3, 5, 3)
    assert load(square, channels="last").image_shape == (3, 3, 5)
    with pytest.raises(ConfigError, match="channels 'middle'; allowed are 'first' and 'last'"):
        load(square, channels="middle")


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_floats_become_the_nearest_bytes(load, dtype):
    floats = (PIXELS / 255).astype(dtype)
    np.testing.assert_array_equal(load(floats).images(EVERY), EXPECTED)


def test_binary_arrays_keep_their_scale(load):
    bits = PIXELS > 100
    for array in (bits, bits.astype(np.uint8), bits.astype(np.float32)):
        dataset = load(array)
        assert dataset.max_value == 1
        np.testing.assert_array_equal(dataset.images(EVERY), np.moveaxis(bits, -1, 1))
        assert dataset.tensor(EVERY).max() == 1.0
    assert load(PIXELS).max_value == 255


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (
            PIXELS.astype(float),
            r"values from 0 to 255; floats are expected in \[0, 1\]\. Divide v",
        ),
        (PIXELS / 255 - 0.5, r"values from -0\.5 to 0\.5; floats are expected in \[0, 1\]"),
        (PIXELS.astype(np.int64), r"an array of int64; expected uint8, bool, or floats"),
        (PIXELS.astype(complex), "an array of complex128; expected uint8"),
        (np.array([[[np.nan, 0.5]]]), "1 values are NaN or infinite"),
        (np.array([[[np.inf, 0.5]]]), "1 values are NaN or infinite"),
        (PIXELS[:, 0, :, 0].copy(), r"an array of shape \(5, 7\); expected \(n, h, w\)"),
        (PIXELS[:0], r"an array of shape \(0, 6, 7, 3\)"),
    ],
)
def test_arrays_that_are_no_images(load, array, message):
    with pytest.raises(DataError, match=message):
        load(array)


def test_masked_arrays_are_refused():
    with pytest.raises(DataError, match="a masked array; fill or drop what is masked first"):
        load_dataset(np.ma.masked_equal(PIXELS, 3))


def test_objects_are_refused(tmp_path):
    np.save(tmp_path / "own.npy", np.array([{}, {}], dtype=object))
    with pytest.raises(UnsafeFileError, match="holds Python objects, and opening them would run"):
        load_dataset(tmp_path / "own.npy")


def test_a_uint8_file_is_read_where_it_lies(tmp_path):
    np.save(tmp_path / "own.npy", PIXELS)
    dataset = load_dataset(tmp_path / "own.npy", cache_dir=str(tmp_path / "cache"), name="mine")
    assert dataset.name == "mine"
    assert not (tmp_path / "cache").exists()
    dataset.prepare()
    changed = PIXELS.copy()
    changed[0, 0, 0, 0] ^= 1
    np.save(tmp_path / "own.npy", changed)
    with pytest.raises(IntegrityError, match=r"its SHA-256 is .*; it was .* when it was loaded"):
        dataset.prepare()
    (tmp_path / "own.npy").unlink()
    with pytest.raises(DataError, match=r"own\.npy is gone"):
        dataset.images([0])


def test_which_array_of_an_npz(tmp_path):
    np.savez(tmp_path / "two.npz", a=PIXELS, b=PIXELS + 1)
    with pytest.raises(DataError, match="holds a, b; say which are the images with key="):
        load_dataset(tmp_path / "two.npz")
    options = {"cache_dir": str(tmp_path / "cache")}
    second = load_dataset(tmp_path / "two.npz", key="b", **options)
    np.testing.assert_array_equal(second.images(EVERY), EXPECTED + 1)
    with pytest.raises(DataError, match="lacks the array 'c'; it holds a, b"):
        load_dataset(tmp_path / "two.npz", key="c")
    np.save(tmp_path / "one.npy", PIXELS)
    with pytest.raises(ConfigError, match="holds one array and has no key 'a'"):
        load_dataset(tmp_path / "one.npy", key="a")


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (
            lambda data: data[:-1],
            r"declares \(5, 6, 7, 3\) of uint8, 630 bytes; 629 follow",
        ),
        (lambda data: data + b"x", r"630 bytes; 631 follow"),
        (lambda data: data[:20], r"is not a whole \.npy array"),
        (
            lambda data: b"<!DOCTYPE html><title>404</title>",
            r"is a web page, not data; it begins w",
        ),
        (lambda data: b"", "is empty"),
        (
            lambda data: data.replace(b"(5, 6, 7, 3), }", b"(5000000000000, 6, 7, 3), }"),
            "declares uint8 .*, and holds|is not a whole",
        ),
        (lambda data: data.replace(b"False", b"True "), "is in Fortran order"),
    ],
)
def test_npy_files_that_are_not_whole(tmp_path, spoil, message):
    path = tmp_path / "own.npy"
    np.save(path, PIXELS)
    path.write_bytes(spoil(path.read_bytes()))
    with pytest.raises(DataError, match=message):
        load_dataset(path)


def test_npz_files_that_are_not_whole(tmp_path):
    path = tmp_path / "own.npz"
    np.savez_compressed(path, images=PIXELS)
    content = path.read_bytes()
    path.write_bytes(content[:-30])
    with pytest.raises(DataError, match=r"is not a whole \.npz archive: File is not a zip file"):
        load_dataset(path)
    middle = len(content) // 2
    path.write_bytes(content[:middle] + bytes(8) + content[middle + 8 :])
    with pytest.raises(DataError, match=r"is not a whole .*Bad CRC-32 for file 'images"):
        load_dataset(path)


def test_pictures_are_sorted_squared_and_resized(tmp_path):
    folder = tmp_path / "pictures"
    (folder / "b").mkdir(parents=True)
    for name, value in (("b/1.png", 30), ("c.jpg", 90), ("a.bmp", 10)):
        Image.new("RGB", (40, 24), (value, value, value)).save(folder / name)
    (folder / "notes.txt").write_text("not a picture")
    options = {"cache_dir": str(tmp_path / "cache")}
    colour = load_dataset(str(folder), size=16, **options)
    assert colour.name == "pictures"
    assert colour.image_shape == (3, 16, 16)
    assert colour.images([0, 1, 2])[:, 0, 8, 8].tolist() == [10, 30, 90]
    grey = load_dataset(folder, size=16, colour=False, **options)
    assert grey.image_shape == (1, 16, 16)
    # A picture that changes is decoded anew.
    Image.new("RGB", (50, 50), (70, 70, 70)).save(folder / "a.bmp")
    again = load_dataset(folder, size=16, **options)
    assert again.images([0])[0, 0, 8, 8] == 70
    assert again.fingerprint != colour.fingerprint


def test_a_wide_picture_is_cut_not_squeezed(tmp_path):
    pixels = np.zeros((20, 60, 3), dtype=np.uint8)
    pixels[:, 20:40] = 200
    Image.fromarray(pixels).save(tmp_path / "wide.png")
    dataset = load_dataset(tmp_path, size=20, cache_dir=str(tmp_path / "cache"))
    assert (dataset.images([0]) == 200).all()


def test_folders_that_are_no_data(tmp_path):
    with pytest.raises(DataError, match=r"holds no pictures; expected files that end in \.bmp"):
        load_dataset(tmp_path)
    (tmp_path / "a.png").write_bytes(b"<html>")
    with pytest.raises(DataError, match=r"a\.png cannot be read as a picture"):
        load_dataset(tmp_path, cache_dir=str(tmp_path / "cache"))
    for options, message in (
        ({"size": 0}, "size 0; expected an integer from 1 to 1024"),
        ({"colour": 1}, "colour 1; expected true or false"),
        ({"colour": True, "sizes": 3}, r"a folder has no option 'sizes'\. Did you mean 'size'"),
    ):
        with pytest.raises(ConfigError, match=message):
            load_dataset(tmp_path, **options)


def test_torch_sets():
    floats = torch.from_numpy(EXPECTED / np.float32(255))
    for items in (
        torch.utils.data.TensorDataset(floats, torch.arange(5)),
        torch.utils.data.TensorDataset(torch.from_numpy(EXPECTED.copy())),
        [(image, "label") for image in floats],
        list(EXPECTED),
    ):
        dataset = load_dataset(items)
        np.testing.assert_array_equal(dataset.images(EVERY), EXPECTED)
        assert dataset.max_value == 255
    grey = load_dataset([torch.rand(4, 5) > 0.5, torch.ones(4, 5).bool()], name="grey")
    assert grey.image_shape == (1, 4, 5)
    assert grey.tensor([1]).unique().tolist() == [1.0]


def test_torch_items_have_the_axes_of_arrays():
    last = torch.from_numpy(PIXELS)
    for items in (list(last), torch.utils.data.TensorDataset(last), list(last / 255)):
        dataset = load_dataset(items)  # (pixel-cnn-pp 21)
        assert dataset.image_shape == load_dataset(PIXELS).image_shape == (3, 6, 7)
        np.testing.assert_array_equal(dataset.images(EVERY), EXPECTED)
    square = RNG.integers(0, 256, (2, 3, 5, 3), dtype=np.uint8)
    with pytest.raises(DataError, match=r"which axis of \(1, 3, 5, 3\) holds the channels"):
        load_dataset(list(square))
    for channels in ("first", "last"):
        dataset = load_dataset(list(square), channels=channels)
        expected = load_dataset(square, channels=channels)
        np.testing.assert_array_equal(dataset.images([0, 1]), expected.images([0, 1]))


def test_binary_torch_sets_keep_their_scale():
    bits = (PIXELS > 100).astype(np.uint8)
    assert load_dataset(list(bits)).tensor(EVERY).max() == 1.0
    changing = list(bits)
    dataset = load_dataset(changing)
    changing[2] = PIXELS[2]
    with pytest.raises(DataError, match=r"item 2 holds bytes up to 2.*hold only 0 and 1"):
        dataset.images([2])
    black = [torch.zeros(1, 4, 4), torch.zeros(1, 4, 4)]  # of floats, 1 is always white
    assert load_dataset(black).max_value == 255


@pytest.mark.parametrize(
    ("items", "message"),
    [
        (
            [torch.rand(3, 4, 4) * 255],
            r"item 0 holds values from .*; floats are expected in \[0, 1",
        ),
        ([torch.full((1, 4, 4), torch.nan)], "item 0 holds values from nan to nan"),
        ([torch.zeros(3, 4, 4, dtype=torch.int64)], "item 0 is of int64; expected uint8"),
        (["picture.png"], "item 0 is str; expected an image"),
        ([torch.zeros(2, 3, 4, 4)], r"item 0 is \(2, 3, 4, 4\); expected an image"),
    ],
)
def test_torch_items_that_are_no_images(items, message):
    with pytest.raises(DataError, match=message):
        load_dataset(items)


def test_torch_sets_that_cannot_be_read():
    dataset = load_dataset([torch.zeros(1, 4, 4), torch.zeros(1, 5, 5)])
    with pytest.raises(DataError, match=r"item 1 is an image of shape \(1, 5, 5\); the first is"):
        dataset.images([1])
    with pytest.raises(InputError, match="list has no items"):
        load_dataset([])

    class Stream(torch.utils.data.IterableDataset):
        def __iter__(self):
            return iter(())

    with pytest.raises(InputError, match="Stream is not a map-style data set"):
        load_dataset(Stream())
