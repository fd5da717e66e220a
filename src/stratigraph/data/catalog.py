"""Images to learn from: published sets, rendered ones, and the user's own.

===============  ===================================================================================
name             source
===============  ===================================================================================
`sprites`        dSprites, re-rendered here: the same factors, no download
`solids`         shaded bodies in colour, rendered here: no download
`dsprites`       Matthey, Higgins, Hassabis & Lerchner, 2017, *dSprites: Disentanglement testing
                 sprites dataset*
`cars3d`         Reed, Zhang, Zhang & Lee, 2015, *Deep visual analogy-making*, NeurIPS
`smallnorb`      LeCun, Huang & Bottou, 2004, *Learning methods for generic object recognition with
                 invariance to pose and lighting*, CVPR
`shapes3d`       Burgess & Kim, 2018, *3D Shapes dataset*
`fashion_mnist`  Xiao, Rasul & Vollgraf, 2017, *Fashion-MNIST: a novel image dataset for
                 benchmarking machine learning algorithms*
`mnist`          LeCun, Bottou, Bengio & Haffner, 1998, *Gradient-based learning applied to document
                 recognition*, Proceedings of the IEEE
`kmnist`         Clanuwat et al., 2018, *Deep learning for classical Japanese literature*
===============  ===================================================================================

A path loads the user's own ``.npy`` or ``.npz`` file or folder of pictures; an array, a tensor or a
map-style torch data set is taken as it is. Each loader's options are plain JSON values, so that a
study writes a set as ``{name: sprites, size: 32, colour: true}``.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor
from torch.utils.data import Dataset as TorchDataset

from stratigraph.data.arrays import load_array, load_array_file
from stratigraph.data.cars3d import load_cars3d
from stratigraph.data.dataset import Dataset, ImageSource, to_unit
from stratigraph.data.dsprites import load_dsprites
from stratigraph.data.factors import add_factors
from stratigraph.data.folders import load_folder
from stratigraph.data.idx import loader as idx_loader
from stratigraph.data.probes import draw_paper_probes, draw_probes
from stratigraph.data.shapes3d import load_shapes3d
from stratigraph.data.smallnorb import load_smallnorb
from stratigraph.data.solids import load_solids
from stratigraph.data.splits import Split, split
from stratigraph.data.sprites import load_sprites
from stratigraph.data.torch_sets import load_torch
from stratigraph.errors import ConfigError, DataError, InputError, suggest
from stratigraph.paths import user_path

__all__ = [
    "DATASETS",
    "Dataset",
    "ImageSource",
    "Split",
    "draw_paper_probes",
    "draw_probes",
    "load_dataset",
    "split",
    "to_unit",
]

DATASETS: dict[str, Callable[..., Dataset]] = {
    "cars3d": load_cars3d,
    "dsprites": load_dsprites,
    "fashion_mnist": idx_loader("fashion_mnist"),
    "kmnist": idx_loader("kmnist"),
    "mnist": idx_loader("mnist"),
    "shapes3d": load_shapes3d,
    "smallnorb": load_smallnorb,
    "solids": load_solids,
    "sprites": load_sprites,
}

FACTOR_OPTIONS = ("factors", "factor_names")  # of the user's own data, whatever its kind


def load_dataset(source: Any, **options: Any) -> Dataset:
    """A data set by name, or your own by path or as an object, with its options.

    A name of the catalogue takes precedence over a path; ``./sprites`` is the path.

    >>> sprites = load_dataset("sprites", size=32)
    >>> sprites.factor_names, sprites.factor_sizes
    (('shape', 'scale', 'orientation', 'x', 'y'), (3, 6, 40, 32, 32))
    >>> sprites.images(sprites.index([[0, 5, 0, 16, 16], [2, 5, 0, 16, 16]])).shape
    (2, 1, 32, 32)

    Raises:
        InputError: no data set has this name, or such an object cannot be read.
        ConfigError: the data set has no such option, or does not take this value.
        DataError: a file is missing, or is not what its format says.

    """
    if isinstance(source, Dataset):
        return _call(source.name, lambda: source, options)
    if isinstance(source, str) and source in DATASETS:
        return _call(source, DATASETS[source], options)
    if isinstance(source, str | Path):
        return _from_path(source, options)
    if isinstance(source, Tensor):
        source = source.detach().cpu().numpy()
    if isinstance(source, np.ndarray):
        return _own("an array", load_array, options, source)
    if isinstance(source, TorchDataset | Sequence):
        return _own("a torch data set", load_torch, options, source)
    raise InputError(
        f"a data set cannot be made from {type(source).__name__}; expected a name, a path, an "
        f"array, a tensor, or a map-style torch data set.{suggest('', DATASETS)}"
    )


def _from_path(source: str | Path, options: dict[str, Any]) -> Dataset:
    path = user_path(source)
    if path.is_dir():
        return _own("a folder", load_folder, options, path)
    if path.suffix in (".npy", ".npz"):
        return _own(f"a {path.suffix} file", load_array_file, options, path)
    if path.is_file():
        raise DataError(f"{path}: expected a .npy or .npz file, or a folder of pictures")
    if isinstance(source, Path) or os.sep in source:
        raise DataError(f"{path} is not there; expected a .npy or .npz file, or a folder")
    raise InputError(f"no data set or file is called {source!r}.{suggest(source, DATASETS)}")


def _own(
    name: str, loader: Callable[..., Dataset], options: dict[str, Any], source: Any
) -> Dataset:
    """The user's own images, of any kind, with the factors that are given beside them."""
    left = {key: value for key, value in options.items() if key not in FACTOR_OPTIONS}
    dataset = _call(name, loader, left, source, more=FACTOR_OPTIONS)
    factors, names = (options.get(key) for key in FACTOR_OPTIONS)
    if factors is None:
        if names is not None:
            raise ConfigError(f"{name}: factor_names {names!r} without factors; give factors=…")
        return dataset
    archive = source if isinstance(source, Path) and source.suffix == ".npz" else None
    return add_factors(dataset, factors, names, archive)


def _call(
    name: str,
    loader: Callable[..., Dataset],
    options: dict[str, Any],
    *values: Any,
    more: tuple[str, ...] = (),
) -> Dataset:
    known = [
        parameter.name
        for parameter in inspect.signature(loader).parameters.values()
        if parameter.kind is parameter.KEYWORD_ONLY
    ]
    known += more
    for option in options:
        if option not in known:
            hint = suggest(option, known) if known else " It takes none."
            raise ConfigError(f"{name} has no option {option!r}.{hint}")
    return loader(*values, **options)
