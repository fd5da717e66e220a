"""Drawing: each figure once, on all cores.

A figure is laid out once and drawn once, on the raster that the report shows; from the same layout
it is written in the other formats that somebody asked for. Lossless WebP is both the smallest and
the quickest of rasters, so the report embeds the very bytes of ``figures/<name>.webp``. Before,
colours are rounded to the nearest of some levels (`ROUNDED`), which halves it: bands and smooth
edges mix thousands of colours that nobody tells apart. White and black stay what they are.

Sketches are drawn by this process and by forks of it, which take the next number from one pipe. A
fork has the numbers and the imported libraries at once, where a new process would import them for
longer than it draws; it draws on one thread, and writes nothing of a study.
What a fork did not hand back, this process draws: so a lost fork loses nothing, and an error is
raised where it can be seen. Bytes do not depend on who drew them.
"""

from __future__ import annotations

import gc
import io
import os
import pickle
import signal
import struct
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, BinaryIO

import matplotlib as mpl
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image, WebPImagePlugin  # noqa: F401 - or Pillow imports all of its formats

from stratigraph.errors import InputError, suggest

__all__ = [
    "FORMATS",
    "SHOWN",
    "Picture",
    "Sketch",
    "check_formats",
    "draw",
    "draw_all",
    "plain_style",
]

SHOWN = "webp"  # what the report embeds
ROUNDED = {"lines": 16, "images": 8}  # between levels of a channel; images are maps, and pictures
# No date in any of them: the same study draws the same bytes.
DATELESS = {"png": "Software", "pdf": "CreationDate", "svg": "Date"}
FORMATS = (SHOWN, *DATELESS)
# Letters that an editor can edit. Names within an SVG are hashes with a salt, which is else random.
WRITTEN: dict[Any, Any] = {"savefig.dpi": 150, "pdf.fonttype": 42, "svg.hashsalt": "stratigraph"}
# DejaVu is matplotlib's own: a dozen others are not looked for, text by text. Hinting would take a
# quarter of its time to set the letters of a line at uneven distances.
TEXT: dict[Any, Any] = {
    "font.sans-serif": ["DejaVu Sans"],
    "text.hinting": "no_hinting",
    "text.parse_math": False,  # a $ in a name is a $
}
PIXELS = 96  # of a page, to an inch
NUMBER = struct.Struct("=I")
PATIENCE = 60.0  # seconds that a fork may take for a figure when nothing is left to draw
LOOK = 0.005
OBJECTS = 50_000  # of a figure of some panels
MOST_IN_PIPE = 16_000  # numbers: the 64 KiB of a pipe hold them before anybody reads


@dataclass(frozen=True)
class Sketch:
    """A figure that is not drawn yet.

    Args:
        name: its file's.
        draw: what will draw it, with its numbers.
        kind: what its caption is found by; by default its name.
        facts: that its caption tells.

    """

    name: str
    draw: Callable[[], Figure]
    kind: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Picture:
    """A figure as it was drawn: the bytes of each format, and its size on the page."""

    files: dict[str, bytes]
    width: int
    height: int


def check_formats(names: Iterable[str]) -> tuple[str, ...]:
    """The formats of these names, the report's own among them.

    Raises:
        InputError: there is no such format.

    """
    asked = {name.strip().lower() for name in names} - {""}
    for name in sorted(asked.difference(FORMATS)):
        raise InputError(
            f"--formats: {name!r} is not one of {', '.join(FORMATS)}.{suggest(name, FORMATS)}"
        )
    return tuple(name for name in FORMATS if name == SHOWN or name in asked)


def draw(sketch: Sketch, formats: Sequence[str] = (SHOWN,)) -> Picture:
    """Lay a figure out, and draw it in some formats."""
    with plain_style():
        figure = sketch.draw()
        canvas = FigureCanvasAgg(figure)
        canvas.draw()  # type: ignore[no-untyped-call]
        figure.set_layout_engine("none")  # places are found: they are not looked for twice
        buffer = io.BytesIO()
        drawn = np.asarray(canvas.buffer_rgba())[..., :3]  # type: ignore[no-untyped-call]
        of_images = any(axis.images for axis in figure.axes)
        raster = Image.fromarray(_levels(ROUNDED["images" if of_images else "lines"])[drawn])
        raster.save(buffer, SHOWN, lossless=True, quality=80, method=0)
        files = {SHOWN: buffer.getvalue()}
        mpl.rcParams.update(WRITTEN)
        for name in formats:
            if name != SHOWN:
                buffer = io.BytesIO()
                figure.savefig(buffer, format=name, metadata={DATELESS[name]: None})
                files[name] = buffer.getvalue()
    width, height = (round(float(side) * PIXELS) for side in figure.get_size_inches())
    return Picture(files, width, height)


def _levels(step: int) -> np.ndarray:
    """Each value of a channel, 0 to 255, rounded to the nearest multiple of a step, or 255."""
    nearest = np.round(np.arange(256) / step) * step
    return np.minimum(nearest, 255).astype(np.uint8)


def draw_all(
    sketches: Sequence[Sketch],
    formats: Sequence[str] = (SHOWN,),
    workers: int = 1,
    meanwhile: Callable[[], object] = lambda: None,
) -> dict[str, Picture]:
    """Draw figures with so many processes: name → picture, in the order of the sketches.

    Args:
        sketches: what is drawn.
        formats: in which.
        workers: how many processes draw, this one among them.
        meanwhile: what this one does first, while others draw.

    """
    found: dict[int, Picture] = {}
    # A fork of a process whose libraries have threads of their own, as macOS's have, may hang.
    workers = min(workers, len(sketches)) if sys.platform == "linux" else 1
    with _freeze(), _numbers(min(len(sketches), MOST_IN_PIPE)) as queue:
        forks: list[tuple[int, BinaryIO]] = []
        try:
            with suppress(OSError):  # no more processes, or no room for what they draw: fewer draw
                for _ in range(workers - 1):
                    forks.append(_fork(sketches, formats, queue))
            meanwhile()
            for index in _take(queue):
                found[index] = draw(sketches[index], formats)
            for process, results in forks:
                if _has_ended(process, results):
                    found.update(_handed_back(results))
        finally:
            for process, results in forks:
                results.close()
                with suppress(ProcessLookupError, ChildProcessError):  # it ended as it should
                    os.kill(process, signal.SIGKILL)
                    os.waitpid(process, 0)
    for index, sketch in enumerate(sketches):
        if index not in found:
            found[index] = draw(sketch, formats)
    return {sketch.name: found[index] for index, sketch in enumerate(sketches)}


@contextmanager
def plain_style() -> Iterator[None]:
    """Within, matplotlib has its own defaults: no ``matplotlibrc`` of the folder rules."""
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(TEXT)
        yield


def _has_ended(process: int, results: BinaryIO) -> bool:
    """Wait for a fork; False for one that is silent for long, as where it waits for a lost lock."""
    size, since = -1, time.monotonic()
    while not os.waitpid(process, os.WNOHANG)[0]:
        now = os.fstat(results.fileno()).st_size
        if now != size:
            size, since = now, time.monotonic()
        elif time.monotonic() - since > PATIENCE:
            return False
        time.sleep(LOOK)
    return True


@contextmanager
def _freeze() -> Iterator[None]:
    """Within, garbage is looked for once a figure or so, and not in what was there before."""
    often = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(OBJECTS)
    try:
        yield
    finally:
        gc.set_threshold(*often)
        gc.unfreeze()


@contextmanager
def _numbers(count: int) -> Iterator[int]:
    """A pipe that holds the numbers below ``count``: each reader takes the next."""
    reading, writing = os.pipe()
    try:
        os.write(writing, b"".join(NUMBER.pack(index) for index in range(count)))
        os.close(writing)
        yield reading
    finally:
        os.close(reading)


def _take(queue: int) -> Iterator[int]:
    while number := os.read(queue, NUMBER.size):
        yield NUMBER.unpack(number)[0]


def _fork(sketches: Sequence[Sketch], formats: Sequence[str], queue: int) -> tuple[int, BinaryIO]:
    """A process that draws what it takes; and the file of what it drew, which has no name."""
    parent, results = os.getpid(), tempfile.TemporaryFile()  # noqa: SIM115
    with warnings.catch_warnings():
        # Python warns of locks that other threads hold now and nobody lets go of in the fork: it
        # takes none but those of matplotlib and Pillow, which draw in this thread alone, and of
        # torch, which decodes images on one thread (`write_report`), so without its pool's.
        warnings.simplefilter("ignore", DeprecationWarning)
        process = os.fork()
    if process:
        return process, results
    try:
        for index in _take(queue):
            if os.getppid() != parent:  # nobody waits any more, and locks are held by forks too
                break
            pickle.dump((index, draw(sketches[index], formats)), results)
        results.flush()
    finally:
        os._exit(0)  # nothing of the parent's is put away, told or flushed here


def _handed_back(results: BinaryIO) -> Iterator[tuple[int, Picture]]:
    results.seek(0)
    with suppress(EOFError, pickle.UnpicklingError):
        while True:
            yield pickle.load(results)  # noqa: S301 - of a file without a name, by our own fork
