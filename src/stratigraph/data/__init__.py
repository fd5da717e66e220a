"""Images to learn from: published sets, rendered ones, and the user's own.

===============  ===================================================================================
name             source
===============  ===================================================================================
`sprites`        dSprites, re-rendered here: the same factors, no download (`sprites`)
===============  ===================================================================================
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from stratigraph.data.dataset import Dataset, ImageSource, to_unit
from stratigraph.data.probes import draw_paper_probes, draw_probes
from stratigraph.data.splits import Split, split
from stratigraph.data.sprites import load_sprites
from stratigraph.errors import ConfigError, InputError, suggest

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
    "sprites": load_sprites,
}


def load_dataset(source: Any, **options: Any) -> Dataset:
    """A data set by its name, with the options of its loader.

    Raises:
        InputError: no set has this name.
        ConfigError: the set has no such option, or not this value of it.

    """
    if isinstance(source, str) and source in DATASETS:
        return _call(source, DATASETS[source], options)
    raise InputError(f"no data set is called {source!r}.{suggest(str(source), DATASETS)}")


def _call(name: str, loader: Callable[..., Dataset], options: dict[str, Any]) -> Dataset:
    known = [
        parameter.name
        for parameter in inspect.signature(loader).parameters.values()
        if parameter.kind is parameter.KEYWORD_ONLY
    ]
    for option in options:
        if option not in known:
            raise ConfigError(f"{name} has no option {option!r}.{suggest(option, known)}")
    return loader(**options)
