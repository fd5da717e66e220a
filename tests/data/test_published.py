"""The published formats, their traps of order, and files that are not what they should be."""

import gzip
import struct
import tarfile

import h5py
import numpy as np
import pytest

from stratigraph.data import dsprites, idx, load_dataset, shapes3d, smallnorb
from stratigraph.errors import ConfigError, DataError, UnsafeFileError

TRAINING = "smallnorb-5x46789x9x18x6x2x96x96-training-"


@pytest.fixture
def load(published, cache):
    def load(name, **options):
        return load_dataset(name, root=str(published.folder), cache_dir=cache, **options)

    return load


# dSprites


def test_dsprites_is_read_and_its_metadata_never_unpickled(published, load):
    path, images = published.dsprites()
    dataset = load("dsprites", verify=False)
    np.testing.assert_array_equal(dataset.images(np.arange(len(images)))[:, 0], images)
    assert dataset.max_value == 1
    assert dataset.factor_names == ("shape", "scale", "orientation", "x", "y")
    assert not (path.parent / "unpickled").exists()


def test_both_ends_of_the_orientation_are_one_image(published, load):
    published.dsprites()
    dataset = load("dsprites", verify=False)
    kept = dataset.factors(dataset.distinct())
    assert len(kept) == 3 * 2 * 39 * 2 * 2
    assert kept[:, 2].max() == 38


def test_dsprites_is_decoded_once(published, load, monkeypatch):
    published.dsprites()
    first = load("dsprites", verify=False)
    monkeypatch.setattr(dsprites, "_packed", lambda path: pytest.fail("decoded again"))
    assert load("dsprites", verify=False).fingerprint == first.fingerprint


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"imgs": None}, "lacks the array 'imgs'; it holds latents_values, latents_classes, meta"),
        ({"imgs": np.zeros((960, 64, 32), np.uint8)}, r"imgs is uint8 \(960, 64, 32\); expected"),
        ({"imgs": np.full((960, 64, 64), 255, np.uint8)}, "holds the value 255; expected 0 and 1"),
        ({"latents_classes": np.zeros((960, 6), np.int64)}, "not in the published order"),
        ({"latents_classes": np.zeros((960, 5), np.int64)}, r"latents_classes is int64 \(960, 5\)"),
    ],
)
def test_an_npz_that_is_not_dsprites(published, load, changes, message):
    published.dsprites(**changes)
    with pytest.raises(DataError, match=message):
        load("dsprites", verify=False)


def test_object_arrays_are_refused(published, load):
    published.dsprites(imgs=np.array([{}], dtype=object))
    with pytest.raises(UnsafeFileError, match="imgs holds Python objects, and opening them would"):
        load("dsprites", verify=False)


def test_a_file_that_is_not_the_published_one(published, load):
    path, _ = published.dsprites()
    with pytest.raises(DataError, match=r"its sha1 is [0-9a-f]{40}, but 3e0a46a9.* was published"):
        load("dsprites")
    assert path.exists()  # the user's own file is left where it is
    path.unlink()
    with pytest.raises(DataError, match=r"is not there; put dsprites_.*npz in root, or leave root"):
        load("dsprites")


# Cars3D


def test_cars3d_takes_its_order_from_the_list(published, load):
    published.cars3d()
    dataset = load("cars3d", size=32)
    assert dataset.image_shape == (3, 32, 32)
    for elevation, azimuth, car in ((0, 0, 0), (3, 23, 0), (1, 5, 1), (2, 0, 2)):
        image = dataset.images(dataset.index([[elevation, azimuth, car]]))
        named = (2, 0, 1)[car]  # list.txt: car_002, car_000, car_001
        assert np.unique(image).tolist() == [50 * named + 4 * azimuth + elevation]


@pytest.mark.parametrize(
    ("order", "message"),
    [
        (None, r"lacks data/cars/list\.txt, which gives the order"),
        (["car_000_mesh"], r"list\.txt names 1 cars and the archive holds 3; expected the same 3"),
        (["car_000_mesh"] * 3, r"list\.txt names 3 cars and the archive holds 3; expected the sam"),
    ],
)
def test_a_list_that_does_not_fit(published, load, order, message):
    published.cars3d(order=order)
    with pytest.raises(DataError, match=message):
        load("cars3d")


def member(name, kind=tarfile.REGTYPE, size=0):
    entry = tarfile.TarInfo(name)
    entry.type = kind
    entry.size = size
    entry.linkname = "/etc/passwd"
    return entry


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE])
def test_links_and_devices_under_an_expected_name(published, load, kind):
    published.cars3d(extra=[(member("data/cars/car_009_mesh.mat", kind), b"")])
    with pytest.raises(UnsafeFileError, match=r"car_009_mesh\.mat is not a regular file"):
        load("cars3d")


@pytest.mark.parametrize(
    "name", ["../../data/cars/list.txt", "/data/cars/list.txt", "data/cars/../../list.txt", "x"]
)
def test_unexpected_members_are_skipped_and_written_nowhere(published, load, tmp_path, name):
    published.cars3d(extra=[(member(name, size=4), b"evil")])
    before = {path for path in tmp_path.rglob("*") if path.is_file()}
    load("cars3d", size=32)
    after = {path for path in tmp_path.rglob("*") if path.is_file()}
    assert {path.suffix for path in after - before} == {".npy", ".sha256"}


def test_a_member_that_comes_twice(published, load):
    published.cars3d(extra=[(member("data/cars/list.txt", size=1), b"x")])
    with pytest.raises(DataError, match=r"list\.txt comes twice"):
        load("cars3d")


def test_cars3d_reads_no_other_archive(published, load, cache):
    path = published.cars3d()
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(DataError, match="its md5 is"):
        load("cars3d")
    with pytest.raises(ConfigError, match="cars3d has no option 'verify'"):
        load("cars3d", verify=False)


# SmallNORB


def test_smallnorb_is_sorted_unsigned_and_of_the_first_camera(published, load):
    published.smallnorb()
    dataset = load("smallnorb", size=32, verify=False)
    images = dataset.images(np.arange(200))
    np.testing.assert_array_equal(images[:, 0, 16, 16], np.arange(200) + 50)
    assert (images == images[:, :, :1, :1]).all()
    assert load("smallnorb", size=96, verify=False).image_shape == (1, 96, 96)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"dat": (0x1E3D4C56, np.zeros((100, 2, 96, 96), "<i2"))},
            r"declares int16 \(100, 2, 96, 96\); expected uint8",
        ),
        ({"cat": (0x01020304, np.zeros(100, "<i4"))}, "its magic number is 0x1020304"),
        ({"cat": (0x1E3D4C54, np.zeros(99, "<i4"))}, r"declares int32 \(99,\); expected int32"),
        ({"info": (0x1E3D4C54, np.ones((100, 4), "<i4"))}, "holds an odd azimuth"),
        ({"info": (0x1E3D4C54, np.full((100, 4), 88, "<i4"))}, "instance of row 0 is 88; allowed"),
        ({"info": (0x1E3D4C54, np.zeros((100, 4), "<i4"))}, "combinations of the factors have no"),
    ],
)
def test_matrices_that_are_not_smallnorb(published, load, changes, message):
    published.smallnorb(**changes)
    with pytest.raises(DataError, match=message):
        load("smallnorb", verify=False)


def test_a_cut_gzip_file(published, load):
    path = published.smallnorb() / f"{TRAINING}dat.mat.gz"
    content = path.read_bytes()
    path.write_bytes(content[:-20])
    with pytest.raises(DataError, match=r"dat\.mat\.gz is not a whole array"):
        load("smallnorb", verify=False)
    path.write_bytes(gzip.compress(gzip.decompress(content)[:-5]))
    with pytest.raises(DataError, match=r"dat\.mat\.gz ends in row 99"):
        load("smallnorb", verify=False)
    path.write_bytes(gzip.compress(gzip.decompress(content) + b"more"))
    with pytest.raises(DataError, match=r"it goes on after the \(100, 2, 96, 96\) values"):
        load("smallnorb", verify=False)
    path.write_bytes(gzip.compress(gzip.decompress(content)[:10]))
    with pytest.raises(DataError, match="it ends inside its header"):
        load("smallnorb", verify=False)


def test_smallnorb_is_a_folder(published, cache):
    published.smallnorb()
    with pytest.raises(ConfigError, match="is not a folder; it holds six files"):
        load_dataset("smallnorb", root=str(published.folder / f"{TRAINING}dat.mat.gz"))


def test_hashes_are_checked_before_anything_is_parsed(published, load, monkeypatch):
    published.smallnorb()
    monkeypatch.setattr(smallnorb, "_matrix", lambda *_: pytest.fail("parsed"))
    with pytest.raises(DataError, match=r"its sha256 is .*, but 5ffd6272a07d.* was published"):
        load("smallnorb")


# 3D Shapes


@pytest.mark.parametrize("size", [64, 32])
def test_shapes3d(published, load, size):
    _, images = published.shapes3d()
    dataset = load("shapes3d", size=size, verify=False)
    assert dataset.image_shape == (3, size, size)
    read = dataset.images(np.arange(len(images)))
    if size == 64:
        np.testing.assert_array_equal(read, np.moveaxis(images, -1, 1))
    else:
        # A reduction keeps the mean of an image.
        np.testing.assert_allclose(read.mean((1, 2, 3)), images.mean((1, 2, 3)), atol=1.0)


def test_an_h5_that_is_not_shapes3d(published, load):
    path, _ = published.shapes3d(images=np.zeros((96, 8, 8, 3), np.uint8))
    with pytest.raises(DataError, match=r"images is uint8 \(96, 8, 8, 3\); expected uint8 \(96, 6"):
        load("shapes3d", verify=False)
    with h5py.File(path, "w") as file:
        file["labels"] = np.zeros(3)
    with pytest.raises(DataError, match="lacks 'images'; it holds labels"):
        load("shapes3d", verify=False)
    path.write_bytes(b"\x89HDF\r\n\x1a\nand no more")
    with pytest.raises(DataError, match="is not a whole HDF5 file"):
        load("shapes3d", verify=False)


def test_the_published_shape_of_shapes3d():
    assert shapes3d.FACTOR_SIZES == (10, 10, 10, 8, 4, 15)
    assert np.prod(shapes3d.FACTOR_SIZES) == 480_000
    assert np.prod(smallnorb.FACTOR_SIZES) == 48_600


# The MNIST family


@pytest.mark.parametrize("joint", ["-", "."])
@pytest.mark.parametrize("suffix", [".gz", ""])
def test_idx_files_under_their_usual_names(published, load, joint, suffix):
    images, labels = published.idx(joint, suffix)
    dataset = load("kmnist")
    read = dataset.images(np.arange(40))
    np.testing.assert_array_equal(read[:, 0, 2:-2, 2:-2], images)  # training first, then test
    assert read.sum() == images.sum()  # the border is zero
    np.testing.assert_array_equal(dataset.factors(np.arange(40))[:, 0], labels)
    np.testing.assert_array_equal(load("kmnist", size=28).images([39])[0, 0], images[39])


def test_fashion_mnist_is_asked_of_debian(monkeypatch, tmp_path):
    monkeypatch.setitem(idx.DEBIAN, "fashion_mnist", str(tmp_path / "absent"))
    message = "is not there; `apt-get install dataset-fashion-mnist` puts it there, or give the"
    with pytest.raises(DataError, match=message):
        load_dataset("fashion_mnist")
    with pytest.raises(DataError, match="mnist is not downloaded; give the folder of its four fil"):
        load_dataset("mnist")


def test_fashion_mnist_is_found_where_debian_puts_it(published, monkeypatch, cache):
    images, _ = published.idx()
    monkeypatch.setitem(idx.DEBIAN, "fashion_mnist", str(published.folder))
    dataset = load_dataset("fashion_mnist", size=28, cache_dir=cache)
    np.testing.assert_array_equal(dataset.images(np.arange(40))[:, 0], images)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("train-labels-idx1-ubyte", b"", "is empty"),
        ("train-labels-idx1-ubyte", b"\0\0\x08\x01\0\0", "it ends inside its header"),
        (
            "train-labels-idx1-ubyte",
            b"\0\0\x08\x03\0\0\0\x1e",
            "magic number is 0x00000803; expected 0x00000801",
        ),
        ("train-labels-idx1-ubyte", b"\0\0\x08\x01\0\0\0\x02\x01\x0c", "holds the label 12"),
        ("train-labels-idx1-ubyte", b"\0\0\x08\x01\0\0\0\x02\x01", "ends in row 1"),
        ("train-labels-idx1-ubyte", b"\0\0\x08\x01\0\0\0\x01\x01\x01", "goes on after the 1 items"),
        (
            "train-images-idx3-ubyte",
            b"\0\0\x08\x03" + struct.pack(">3I", 30, 64, 64),
            r"declares \(30, 64, 64\); expected \('n', 28, 28\)",
        ),
        (
            "train-images-idx3-ubyte",
            b"\0\0\x08\x03" + struct.pack(">3I", 2**32 - 1, 28, 28),
            "n at most 10000000",
        ),
        (
            "train-images-idx3-ubyte",
            b"\0\0\x08\x03" + struct.pack(">3I", 1, 28, 28) + bytes(784),
            "holds 1 images, and train-labels-idx1-ubyte 30 labels",
        ),
        ("train-images-idx3-ubyte", b"<html><body>Not here</body>", r"web page, .* b'<html><body"),
    ],
)
def test_idx_files_that_are_not_whole(published, load, name, content, message):
    published.idx(suffix="")
    (published.folder / name).write_bytes(content)
    with pytest.raises(DataError, match=message):
        load("mnist")


def test_the_root_of_torchvision(tmp_path, published_in, monkeypatch, cache):
    published = published_in(tmp_path / "MNIST" / "raw", monkeypatch)
    images, labels = published.idx(suffix="")
    for root in (tmp_path, tmp_path / "MNIST", tmp_path / "MNIST" / "raw"):
        dataset = load_dataset("mnist", root=str(root), size=28, cache_dir=cache)
        np.testing.assert_array_equal(dataset.images(np.arange(40))[:, 0], images)
        np.testing.assert_array_equal(dataset.factors(np.arange(40))[:, 0], labels)
    with pytest.raises(DataError, match="is where torchvision keeps MNIST; load it as mnist"):
        load_dataset("kmnist", root=str(tmp_path / "MNIST" / "raw"), cache_dir=cache)
    with pytest.raises(DataError, match=r"lacks train-images.* and so does its folder KMNIST/raw"):
        load_dataset("kmnist", root=str(tmp_path), cache_dir=cache)
    with pytest.raises(DataError, match=r"It holds MNIST: load it as mnist, with root="):
        load_dataset(tmp_path)
    with pytest.raises(DataError, match=r"It holds IDX files: load it as mnist, say, with root="):
        load_dataset(tmp_path / "MNIST" / "raw")


def test_a_missing_idx_file(published, load):
    published.idx()
    (published.folder / "t10k-images-idx3-ubyte.gz").unlink()
    with pytest.raises(DataError, match=r"lacks t10k-images-idx3-ubyte\.gz of mnist \(or t10k-ima"):
        load("mnist")


@pytest.mark.parametrize(
    ("name", "allowed"),
    [
        ("cars3d", "64, 32"),
        ("smallnorb", "64, 32, 96"),
        ("shapes3d", "64, 32"),
        ("mnist", "32, 28"),
    ],
)
def test_sizes(name, allowed):
    with pytest.raises(ConfigError, match=f"{name}: size 48; allowed are {allowed}"):
        load_dataset(name, size=48)
