"""Picture files as square images of bytes.

A network's input runs from 0 to 255, whatever the file holds:

8 bits a channel    as they are
16-bit grey         0 … 65535 is 0 … 255, and so is the range that ``values=(low, high)`` gives
float grey          [0, 1] is 0 … 255, or the range that is given; other values are refused
32-bit grey         by the range that is given; without one it is refused

Transparent pictures are laid over a background, white unless another is given. Of a file with
several pages nobody can know which is meant; it is refused.
"""

from __future__ import annotations

import math
import os
import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from stratigraph.errors import ConfigError, DataError
from stratigraph.values import is_number, is_whole

__all__ = ["Reading", "find_pictures", "read_pictures"]

SUFFIXES = {".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff"}
DROPPINGS = {"__MACOSX", "@eaDir", "$RECYCLE.BIN"}  # of file systems; hidden names are others
DEEP = {"I;16": 65535, "I;16B": 65535, "I;16L": 65535, "I;16N": 65535, "I": None, "F": 1}
TWELVE_BITS = 4095
WHITE_IS_ZERO, PHOTOMETRIC = 0, 262  # of TIFF
PREVIEWS = "MPO"  # a camera's JPEG, whose further pages are previews
LARGEST_SIZE = 1024
MOST_PIXELS = 2**26  # of a picture, 8192 × 8192: decoding takes some 16 bytes for each
LONGEST_SIDE = 65_535
DAMAGE = (
    UnidentifiedImageError, Image.DecompressionBombError, OSError, SyntaxError, ValueError,
    MemoryError, TypeError, struct.error,  # TypeError: a TIFF that does not say its size
)  # fmt: skip


@final
@dataclass(frozen=True)
class Reading:
    """How pictures become images.

    Args:
        size: rows and columns.
        colour: three channels, or one.
        background: under transparent pictures: a grey from 0 to 255, or red, green and blue.
        values: of deep pictures, those that become 0 and 255; None is the range of their type.

    """

    size: int = 64
    colour: bool = True
    background: Any = 255
    values: Any = None

    def __post_init__(self) -> None:
        if not is_whole(self.size) or not 1 <= self.size <= LARGEST_SIZE:
            raise ConfigError(f"size {self.size!r}; expected an integer from 1 to {LARGEST_SIZE}")
        if not isinstance(self.colour, bool):
            raise ConfigError(f"colour {self.colour!r}; expected true or false")
        under = self.background if isinstance(self.background, list | tuple) else [self.background]
        if len(under) not in (1, 3) or not all(is_whole(v) and 0 <= v <= 255 for v in under):
            raise ConfigError(
                f"background {self.background!r}; expected a grey from 0 to 255, or red, green "
                "and blue"
            )
        ends = self.values if isinstance(self.values, list | tuple) else ()
        numbers = [v for v in ends if is_number(v)]
        if self.values is not None and not (len(numbers) == len(ends) == 2 and ends[0] < ends[1]):
            raise ConfigError(
                f"values {self.values!r}; expected the lowest and the highest, such as [0, 4095]"
            )


def find_pictures(folder: Path) -> list[Path]:
    """The pictures in ``folder`` and below, each file once, in the order of their names.

    Hidden files and what file systems leave behind (``._x.png``, ``__MACOSX``) are passed over.
    Linked folders and files are followed; what is reached in two ways is taken under its own name.

    Raises:
        DataError: a folder cannot be read, or a link leads nowhere.

    """
    seen: set[Path] = set()
    found: dict[Path, Path] = {}  # where a picture is → what it is called here
    linked: list[Path] = []
    folders: list[Path] = [folder]
    links: list[Path] = []
    root = folder.resolve()
    while folders or links:
        place = folders.pop() if folders else links.pop(0)  # links last: own names come first
        real = place.resolve()
        if real in seen or (real != root and root.is_relative_to(real)):
            continue
        seen.add(real)
        for entry in _entries(place):
            path = place / entry.name
            picture = path.suffix.lower() in SUFFIXES
            if entry.is_dir():
                (links if entry.is_symlink() else folders).append(path)
            elif entry.is_symlink() and not path.exists():
                if picture or not path.suffix:
                    raise DataError(f"{path} is a link to {path.readlink()}, which does not exist")
            elif picture and entry.is_symlink():
                linked.append(path)
            elif picture and entry.is_file():
                found[real / entry.name] = path
    for path in linked:
        found.setdefault(path.resolve(), path)
    return sorted(found.values(), key=lambda path: path.relative_to(folder).as_posix())


def _entries(place: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(place) as held:
            entries = sorted(held, key=lambda entry: entry.name)
    except OSError as error:
        raise DataError(f"{place} cannot be read ({error.strerror})") from None
    return [e for e in entries if not e.name.startswith(".") and e.name not in DROPPINGS]


def read_pictures(files: list[Path], reading: Reading) -> Iterator[np.ndarray]:
    """The images of picture files, one a time: uint8 (1, c, h, w).

    Raises:
        DataError: one cannot be read, or its values have no known range.

    """
    top, deep = 0.0, files[0]
    for file in files:
        try:
            with _opened(file) as picture:
                pages = getattr(picture, "n_frames", 1)
                if pages > 1 and picture.format != PREVIEWS:
                    raise DataError(f"{file} holds {pages} pictures; save each as a separate file")
                if picture.mode in DEEP:
                    pixels, highest = _scaled(file, picture, reading)
                    if DEEP[picture.mode] != 1 and highest > top:
                        top, deep = highest, file
                else:
                    pixels = _flat(file, picture, reading)
        except DAMAGE as error:
            raise DataError(f"{file} cannot be read as a picture: {error}") from error
        yield pixels
    if reading.values is None and 0 < top <= TWELVE_BITS:
        raise DataError(
            f"{deep}: its values reach {top:g} of 65535, and no other 16-bit picture in the "
            "folder goes beyond: they would be nearly black. Give their range, such as "
            f"values=(0, {TWELVE_BITS}) for 12-bit pictures, or values=(0, 65535) if they really "
            "are dark"
        )


@contextmanager
def _opened(file: Path) -> Iterator[Image.Image]:
    """A picture whose size is looked at before it is decoded."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # ours is lower
        picture = Image.open(file)
    with picture:
        sides = picture.size
        if max(sides) > LONGEST_SIDE or math.prod(sides) > MOST_PIXELS:
            raise DataError(
                f"{file}: {sides[0]:,} × {sides[1]:,} pixels; at most {MOST_PIXELS:,} are decoded, "
                f"and {LONGEST_SIDE:,} a side. Save it smaller"
            )
        yield picture


def _flat(file: Path, picture: Image.Image, reading: Reading) -> np.ndarray:
    """A picture of 8 bits a channel, or fewer."""
    if reading.values is not None:
        raise DataError(
            f"{file} has 8 bits a channel (mode {picture.mode}); values={list(reading.values)} is "
            "for 16-bit and float pictures. Leave it out, or keep the two kinds in two folders"
        )
    upright = ImageOps.exif_transpose(picture)
    if upright.has_transparency_data:
        upright = upright.convert("RGBA")
        under = reading.background
        colour = tuple(under) if isinstance(under, list | tuple) else (under,)
        behind = Image.new("RGBA", upright.size, (*(colour * (3 // len(colour))), 255))
        upright = Image.alpha_composite(behind, upright)
    upright = upright.convert("RGB" if reading.colour else "L")
    square = ImageOps.fit(upright, (reading.size, reading.size), Image.Resampling.LANCZOS)
    pixels = np.asarray(square).reshape(reading.size, reading.size, -1)
    return np.moveaxis(pixels, -1, 0)[None]


def _scaled(file: Path, picture: Image.Image, reading: Reading) -> tuple[np.ndarray, float]:
    """A grey picture of more than 8 bits, scaled by its range, and its highest value."""
    if "transparency" in picture.info or _tag(picture) == WHITE_IS_ZERO:
        what = "a transparent value" if "transparency" in picture.info else "white as 0"
        raise DataError(
            f"{file} stores {what} in more than 8 bits; save it as 8-bit, or plain grey"
        )
    grey = np.asarray(ImageOps.exif_transpose(picture)).astype(np.float64)
    top = 65535 if picture.format == "PNG" else DEEP[picture.mode]
    if reading.values is not None:
        low, high = reading.values
    elif top is None:
        raise DataError(
            f"{file} holds 32-bit numbers, from {grey.min():g} to {grey.max():g}; say which "
            "values become black and white with values=(low, high)"
        )
    else:
        low, high = 0, top
    # The negation also catches NaN.
    if not (grey.min() >= low and grey.max() <= high):
        raise DataError(
            f"{file} holds values from {grey.min():g} to {grey.max():g}; expected {low:g} to "
            f"{high:g}. Say which values become black and white with values=(low, high)"
        )
    unit = Image.fromarray(((grey - low) / (high - low)).astype(np.float32))
    square = ImageOps.fit(unit, (reading.size, reading.size), Image.Resampling.LANCZOS)
    pixels = np.rint(np.clip(np.asarray(square), 0, 1) * 255).astype(np.uint8)
    return np.repeat(pixels[None, None], 3 if reading.colour else 1, axis=1), float(grey.max())


def _tag(picture: Image.Image) -> Any:
    return getattr(picture, "tag_v2", {}).get(PHOTOMETRIC)
