"""What every data set promises, whatever it is made of."""

import pickle

import numpy as np
import pytest
import torch
from PIL import Image

from stratigraph.data import Dataset, load_dataset, split
from stratigraph.errors import ConfigError, InputError
from stratigraph.testing.datasets import CHECKS


class Squares(torch.utils.data.Dataset):
    """A map-style set of the user's."""

    def __len__(self):
        return 12

    def __getitem__(self, index):
        return torch.full((3, 8, 8), index / 12), index


def make(name, folder, patch, published_in):
    published = published_in(folder / "published", patch)
    options = {"root": str(published.folder), "cache_dir": str(folder / "cache")}
    unpinned = options | {"verify": False}
    rng = np.random.default_rng(5)
    if name == "sprites":
        return load_dataset("sprites", cache=False)
    if name == "sprites_colour_32":
        return load_dataset("sprites", size=32, colour=True, cache=False)
    if name == "solids":
        return load_dataset("solids", size=16, cache=False)
    if name == "dsprites":
        published.dsprites()
        return load_dataset(name, **unpinned)
    if name == "cars3d":
        published.cars3d()
        return load_dataset(name, **options)
    if name == "smallnorb":
        published.smallnorb()
        return load_dataset(name, **unpinned)
    if name == "shapes3d":
        published.shapes3d()
        return load_dataset(name, **unpinned)
    if name == "mnist":
        published.idx()
        return load_dataset(name, **options)
    if name == "array":
        return load_dataset(rng.integers(0, 256, (9, 8, 10, 3), dtype=np.uint8))
    if name == "tensor":
        return load_dataset(torch.rand(9, 1, 8, 8))
    if name == "npy":
        np.save(folder / "own.npy", rng.integers(0, 256, (9, 8, 10), dtype=np.uint8))
        return load_dataset(folder / "own.npy")
    if name == "npz":
        np.savez(folder / "own.npz", images=rng.random((9, 3, 8, 8)), other=np.zeros(3))
        return load_dataset(str(folder / "own.npz"), cache_dir=options["cache_dir"])
    if name == "folder":
        for i in range(5):
            pixels = rng.integers(0, 256, (20, 30, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(published.folder / f"{i}.png")
        return load_dataset(published.folder, size=16, cache_dir=options["cache_dir"])
    return load_dataset(Squares())


NAMES = [
    "sprites",
    "sprites_colour_32",
    "solids",
    "dsprites",
    "cars3d",
    "smallnorb",
    "shapes3d",
    "mnist",
    "array",
    "tensor",
    "npy",
    "npz",
    "folder",
    "torch",
]


@pytest.fixture(scope="module", params=NAMES)
def made(request, tmp_path_factory, published_in):
    with pytest.MonkeyPatch.context() as patch:
        return request.param, make(
            request.param, tmp_path_factory.mktemp("set"), patch, published_in
        )


@pytest.fixture
def dataset(made) -> Dataset:
    return made[1]


@pytest.mark.parametrize("check", CHECKS)
def test_contract(dataset, check):
    check(dataset)


def test_a_pickle_of_it_is_small(made):
    name, dataset = made
    if name not in ("array", "tensor"):  # these carry their images
        assert len(pickle.dumps(dataset.prepare())) < 2_000


def test_what_has_no_grid_says_so(dataset):
    if dataset.labels is not None or not dataset.factor_sizes:
        with pytest.raises(InputError, match=r"has no factors|has any number of images"):
            dataset.index(dataset.factors([0]))


def test_it_splits(dataset):
    parts = split(dataset, 0.25, seed=1)
    together = np.sort(np.concatenate([parts.train, parts.validation]))
    np.testing.assert_array_equal(together, dataset.distinct())


@pytest.mark.parametrize(
    ("indices", "message"),
    [
        ([-1], r"index -1; it has images 0 to \d+"),
        ([10**9], r"index 1000000000; it has images 0 to \d+"),
        ([0.5], "indices are float64; expected integers"),
        ([True], "indices are bool; expected integers"),
        (3, r"indices of shape \(\); expected \(b,\)"),
    ],
)
def test_indices_out_of_range(dataset, indices, message):
    with pytest.raises(InputError, match=message):
        dataset.images(indices)


def test_a_loaded_set_is_taken_as_it_is(dataset):
    assert load_dataset(dataset) is dataset
    with pytest.raises(ConfigError, match=r"has no option 'size'\. It takes none"):
        load_dataset(dataset, size=3)


def test_every_set_has_its_own_fingerprint(tmp_path_factory, published_in):
    prints = set()
    for name in NAMES:
        with pytest.MonkeyPatch.context() as patch:
            folder = tmp_path_factory.mktemp("set")
            prints.add(make(name, folder, patch, published_in).fingerprint)
    assert len(prints) == len(NAMES)
