"""An interrupted comparison goes on from its blocks; what cannot fit is refused."""

from __future__ import annotations

import hashlib
import shutil
import tracemalloc
from collections import namedtuple
from dataclasses import replace

import numpy as np
import pytest
import torch
from synthetic import gaussian

from stratigraph import machine
from stratigraph.errors import InputError, StorageError
from stratigraph.pairs import by_vectors
from stratigraph.pairs.by_vectors import OutOfCore
from stratigraph.pairs.embedding import VECTORS
from stratigraph.pairs.matrix import similarity_matrix
from stratigraph.pairs.pairwise import all_pairs
from stratigraph.pairs.stored import compare_stored
from stratigraph.similarity.catalog import MEASURES
from stratigraph.similarity.packed import LAYOUT, packed_length, tiled_places
from stratigraph.similarity.reduction import reduce_units


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("stored")
    paths = []
    for seed in range(70):
        x = gaussian(40, 60, seed) if seed != 5 else np.ones((40, 3))
        paths.append(folder / f"{seed}.npy")
        np.save(paths[-1], reduce_units(x).coordinates)
    return paths


def stopping(after):
    def progress(done, total):
        if done == after:
            raise KeyboardInterrupt

    return progress


def counting(name, calls):
    measure = MEASURES[name]
    field = "write" if measure.write else "prepare"
    made = getattr(measure, field)

    def count(*args, **options):
        calls.append(1)
        return made(*args, **options)

    return replace(measure, **{field: count})


@pytest.mark.parametrize("name", ["debiased_cka", "procrustes_similarity"])
def test_an_interrupted_comparison_goes_on(files, tmp_path, name):
    whole = compare_stored(files, name)
    calls: list[int] = []
    measure = counting(name, calls)
    with pytest.raises(KeyboardInterrupt):
        compare_stored(files, measure, scratch=tmp_path, progress=stopping(2))
    before = len(calls)
    found = compare_stored(files, measure, scratch=tmp_path)
    total = []
    compare_stored(files, counting(name, total))
    assert 0 < before < len(total)
    assert len(calls) == len(total)
    assert np.array_equal(found.values, whole.values, equal_nan=True)
    assert found.reasons == whole.reasons
    assert "constant" in found.reasons[5]
    compare_stored(files, measure, scratch=tmp_path)
    assert len(calls) == len(total)


@pytest.mark.parametrize("name", ["debiased_cka", "procrustes_similarity"])
def test_a_torn_block_is_made_anew(files, tmp_path, name):
    whole = compare_stored(files, name, scratch=tmp_path)
    for path in tmp_path.glob("*.npz"):
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    found = compare_stored(files, name, scratch=tmp_path)
    assert np.array_equal(found.values, whole.values, equal_nan=True)
    assert not list(tmp_path.glob(".new-*"))


def test_a_disk_without_room_is_refused_before_anything_is_written(files, tmp_path, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(by_vectors.shutil, "disk_usage", lambda path: usage(1, 1, 1000))
    with pytest.raises(
        StorageError, match=r"need at least 0\.0 GB there, and 0\.0 GB are available"
    ):
        compare_stored(files, scratch=tmp_path)
    assert list(tmp_path.iterdir()) == []
    monkeypatch.undo()
    assert shutil.disk_usage(tmp_path).free > 0


def test_vectors_in_another_layout_are_not_read(files, tmp_path, monkeypatch):
    """As after an upgrade: the same numbers in another order would be other scores, silently."""
    monkeypatch.setattr(by_vectors, "EMBED_BLOCK", 4)
    monkeypatch.setattr(by_vectors, "PRODUCT_BLOCK", 8)
    whole = compare_stored(files, scratch=tmp_path / "whole")
    part = tmp_path / "part"
    with pytest.raises(KeyboardInterrupt):
        compare_stored(files, scratch=part, progress=stopping(20))
    vectors = sorted(part.glob(f"{VECTORS}*"))
    assert vectors
    for path in vectors:
        path.rename(path.with_name(path.name.replace(VECTORS, "packed-")))
    found = compare_stored(files, scratch=part)
    assert np.array_equal(found.values, whole.values, equal_nan=True)
    assert not list(part.glob("packed-*"))


def test_a_change_of_the_layout_raises_its_number():
    """Whoever changes the order of a packed row sees this fail, and raises `LAYOUT` too."""
    places = b"".join(tiled_places(1100, diagonal).tobytes() for diagonal in (True, False))
    assert (LAYOUT, hashlib.sha256(places).hexdigest()[:16]) == (2, "665cd82be917bc50")


@pytest.mark.parametrize("count", [1, 2])
def test_vectors_that_do_not_fit_are_made_by_panels(files, tmp_path, monkeypatch, count):
    """With the same bits, on little more disk than was allowed, interrupted and gone on with."""
    monkeypatch.setattr(by_vectors, "EMBED_BLOCK", 4)
    monkeypatch.setattr(by_vectors, "PRODUCT_BLOCK", 8)
    whole = compare_stored(files, scratch=tmp_path / "whole")
    each = 4 * packed_length(40, diagonal=False)
    largest = 0

    def watch(done, total):
        nonlocal largest
        kept = (tmp_path / "part").glob(f"{VECTORS}*.npy")
        largest = max(largest, sum(path.stat().st_size for path in kept))

    calls: list[int] = []
    measure = counting("debiased_cka", calls)
    limit = (16 + 8 * count) * each
    with pytest.raises(KeyboardInterrupt):
        compare_stored(files, measure, scratch=tmp_path / "part", disk=limit, progress=stopping(4))
    found = compare_stored(files, measure, scratch=tmp_path / "part", disk=limit, progress=watch)
    assert np.array_equal(found.values, whole.values, equal_nan=True)
    assert found.reasons == whole.reasons
    assert 0 < largest <= limit + 1024 * 8
    assert len(calls) > len(files)  # some were made again
    again = len(calls)
    compare_stored(files, measure, scratch=tmp_path / "part", disk=limit)
    assert len(calls) == again  # all products are there: no vector is needed
    with pytest.raises(StorageError, match="Make room"):
        compare_stored(files, scratch=tmp_path / "none", disk=15 * each)


def test_products_go_square_by_square(files, tmp_path, monkeypatch):
    """Of more vectors than memory holds, few are read from the disk more than once or twice."""
    whole = compare_stored(files)
    monkeypatch.setattr(by_vectors, "EMBED_BLOCK", 4)
    monkeypatch.setattr(by_vectors, "PRODUCT_BLOCK", 8)
    each = 4 * packed_length(40, diagonal=False)
    monkeypatch.setattr(by_vectors, "physical_memory", lambda: 2 * 48 * each)  # three blocks a side
    read: list[tuple] = []
    multiply = by_vectors._multiply

    def watch(task):
        name = [int(word) for word in task.path.stem.split("-")[1:]]
        read.append((name, {*task.left, *task.right}))
        return multiply(task)

    def fetched(order, held=12):
        """How many chunks come from the disk, where the last twelve are in memory."""
        count, recent = 0, []
        for _, wanted in order:
            count += len(wanted - set(recent))
            recent = ([path for path in recent if path not in wanted] + sorted(wanted))[-held:]
        return count

    monkeypatch.setattr(by_vectors, "_multiply", watch)
    found = compare_stored(files, scratch=tmp_path)
    assert np.allclose(found.values, whole.values, rtol=0, atol=1e-12, equal_nan=True)
    assert len(read) == 45  # pairs of nine blocks, of two chunks each
    assert fetched(read) < fetched(sorted(read, key=lambda entry: entry[0])) / 1.8


def test_a_block_that_is_lost_after_the_comparison_is_told(files, tmp_path):
    found = compare_stored(files, scratch=tmp_path)
    next(tmp_path.glob("product-*.npz")).unlink()
    with pytest.raises(StorageError, match="gone or damaged since it was written; compare again"):
        found.values  # noqa: B018


@pytest.mark.parametrize("measure", ["debiased_cka", "procrustes_similarity"])
def test_a_job_larger_than_the_machine_is_refused(files, measure, monkeypatch):
    monkeypatch.setattr(machine.os, "sysconf", lambda name: 90)
    with pytest.raises(InputError, match=r"this machine has 0\.0 GB; compare fewer"):
        compare_stored(files, measure)
    with pytest.raises(InputError, match="20 × 20 representations of 20 probes need about"):
        similarity_matrix({str(s): gaussian(20, 3, s) for s in range(20)}, measure=measure)


def test_nothing_of_the_size_of_the_matrix_is_in_memory(tmp_path):
    """1,500 × 1,500 scores take 18 MB; comparing them and reading rows takes a third of that."""
    count = 1500
    sources = [torch.from_numpy(gaussian(8, 9, seed)) for seed in range(count)]
    asked = []

    def wanted(rows, columns):
        asked.append((rows.stop - rows.start) * (columns.stop - columns.start))
        return np.ones((rows.stop - rows.start, columns.stop - columns.start), bool)

    tracemalloc.start()
    try:
        found = all_pairs(
            sources,
            None,
            MEASURES["debiased_cka"],
            OutOfCore(folder=tmp_path),
            wanted=wanted,
        )
        some = found.rows(np.array([1400, 3]))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 8 * count**2 / 3
    assert max(asked) <= 256 * count
    whole = found.all()
    assert np.array_equal(some, whole[[1400, 3]])
    assert np.array_equal(whole, whole.T)
    assert whole[3, 1400] == pytest.approx(
        MEASURES["debiased_cka"].compare(
            *(MEASURES["debiased_cka"].prepare(sources[i]) for i in (3, 1400))
        ),
        abs=1e-6,
    )
