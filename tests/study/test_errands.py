"""Errands: machines that see no file of the sender read and compare a study at a URL for it."""

from __future__ import annotations

from collections import namedtuple
from pathlib import Path

import numpy as np
import pytest

from stratigraph.engine import Failure, LocalEngine, Outcome, Portable
from stratigraph.errors import BusyError, StorageError
from stratigraph.pipeline import open_study, run_stage
from stratigraph.pipeline.compare import representation_table
from stratigraph.pipeline.extract import ExtractTask, extract_task, reading_digest
from stratigraph.similarity import blocks, by_directions, by_vectors, embedding, pairwise, travel
from stratigraph.similarity.matrix import compare_stored
from stratigraph.snapshots import ledger as ledger_module
from stratigraph.snapshots import remove_record, snapshot_path, write_file
from stratigraph.snapshots.ledger import Ledger
from stratigraph.snapshots.objects import Objects
from stratigraph.study import errands, load_study, representations_path
from stratigraph.study.errands import Errand, Errands, run_errand, spread
from stratigraph.study.remote import versions_of_run, written

STUDY = """
name: errands
grid:
  data: {name: sprites, size: 32, cache: false}
  objective:
    beta_vae: {beta: 1}
  latents: 3
  seed: [0]
training: {steps: 4, batch_size: 8, validation_images: 8, log_every: 2, validation: 0.001}
snapshots: {kind: explicit, steps: [0, 2, 4]}
probes: {count: 16}
activations: {layers: [input, z_mean, decoder.dense1]}
measures:
  - debiased_cka
  - {name: linear_cka, tolerance: 0.01}
  - {name: procrustes_similarity, pairs: [all]}
"""
STAGES = ("train", "extract", "compare")
AFTER = STAGES[1:]


class OtherMachine:
    """An engine whose tasks find nothing of the sender's: a disk of their own has its place."""

    name, workers = "other", 1

    def __init__(self, folder: Path) -> None:
        self.folder, self.disk = folder, folder.with_name("the-other-s-disk")
        self.labels: list[str] = []

    def map(self, function, tasks, *, tick=None, heard=None):
        self.disk.mkdir(exist_ok=True)
        for index, task in enumerate(tasks):
            self.labels.append(task.label)
            yield self.there(index, function, task)

    def everywhere(self, function, task):
        function(task)
        self.there(0, function, task)

    def there(self, index, function, task) -> Outcome:
        aside = self.folder.with_name("the-sender-s-disk")
        self.folder.rename(aside)
        self.disk.rename(self.folder)
        try:
            return Outcome(index, function(task))
        except Exception as error:
            return Outcome(index, failure=Failure("raised", str(error), error=error))
        finally:
            self.folder.rename(self.disk)
            aside.rename(self.folder)


class TwoMachines(OtherMachine):
    """Two such machines, which take turns."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.disks = [folder.with_name(f"disk-{number}") for number in range(2)]
        self.times: dict[Path, set[int]] = {}

    def map(self, function, tasks, *, tick=None, heard=None):
        for index, task in enumerate(tasks):
            self.disk = self.disks[index % 2]
            self.disk.mkdir(exist_ok=True)
            yield self.there(index, function, task)
            for path in self.disk.rglob(".scratch-*/*.np[yz]"):
                self.times.setdefault(path, set()).add(path.stat().st_mtime_ns)

    def written(self, name: str) -> dict[Path, int]:
        """How often each file of this name was written."""
        return {path: len(times) for path, times in self.times.items() if path.match(f"{name}-*")}


class Idle:
    """What cannot travel is done here; it is told to do nothing."""

    def map(self, function, tasks, *, tick=None, heard=None):
        assert not list(tasks)
        return iter(())


def results(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for place in ("runs", "similarity", "jackknife", "probes")
        for path in sorted((folder / place).rglob("*"))
        if path.is_file() and path.name not in ("state.json", "config.json", ".lock")
    }


@pytest.fixture(scope="module")
def study_file(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("errands") / "errands.yaml"
    path.write_text(STUDY)
    return path


@pytest.fixture(scope="module")
def whole(study_file) -> dict[str, bytes]:
    """What the study leaves in a folder."""
    study = open_study(study_file, study_file.parent / "whole")
    for stage in STAGES:
        run_stage(stage, study, LocalEngine(1))
    return results(study.path)


@pytest.fixture(params=["file", pytest.param("s3", marks=pytest.mark.slow)])
def trained(request, study_file, tmp_path, monkeypatch):
    """The study at a URL, trained and not read yet."""
    monkeypatch.setenv("STRATIGRAPH_WORK", str(tmp_path / "work"))
    url = f"file://{tmp_path}/store"
    if request.param == "s3":
        url = request.getfixturevalue("s3_url")
    study = open_study(study_file, url)
    run_stage("train", study, LocalEngine(1))
    return study, url


def extraction(study) -> ExtractTask:
    run = next(iter(study.runs.values()))
    about = reading_digest(study, run)
    record = representations_path(run.path, 2)
    probes, reading = study.config.probes, study.config.activations
    return ExtractTask(run.path, run.config.to_dict(), 2, probes, reading, record, about)


def errand(study, url: str, token: int, sender: str = "somebody else") -> Errand:
    task = extraction(study)
    place = snapshot_path(task.run, 2).relative_to(study.path).as_posix()
    reads = {place: versions_of_run(task.run)[place]}
    return Errand(extract_task, task, study.path, url, token, reads, sender)


def test_another_machine_reads_and_compares_with_the_same_bits(
    trained, whole, tmp_path, monkeypatch
):
    study, url = trained
    other = OtherMachine(study.path)
    monkeypatch.setattr(errands, "LocalEngine", Idle)
    for stage in AFTER:
        run_stage(stage, study, other)
    assert results(study.path) == whole
    kinds = ["compare block", "compare: directions", "compare: leave", "compare: vectors"]
    kinds += ["extract", "observe", "score"]
    assert (
        sorted({next(k for k in kinds if label.startswith(k)) for label in other.labels}) == kinds
    )
    assert sum(label.startswith("extract") for label in other.labels) == 3
    assert not list(other.disk.rglob("values.npy"))
    for place in (study.path, other.disk):
        assert not list(place.rglob(".scratch-*"))  # what it made for the comparison is gone again
    monkeypatch.setenv("STRATIGRAPH_WORK", str(tmp_path / "a third"))
    assert results(load_study(url).path) == whole


@pytest.mark.parametrize(
    ("measure", "tolerance", "made"),
    [("debiased_cka", None, "vectors"), ("debiased_cka", 0.01, "kept")],
)
def test_each_machine_makes_what_it_needs_once(trained, monkeypatch, measure, tolerance, made):
    """Vectors and directions stay where they were made; a machine that lacks some makes them."""
    monkeypatch.setattr(by_vectors, "EMBED_BLOCK", 2)
    monkeypatch.setattr(by_vectors, "PRODUCT_BLOCK", 4)
    monkeypatch.setattr(by_directions, "KEEP_BLOCK", 2)
    monkeypatch.setattr(by_directions, "PRODUCT_BLOCK", 4)
    study, _ = trained
    run_stage("extract", study, LocalEngine(1))
    files = representation_table(study).files
    scratch = study.path / "similarity" / ".scratch-of-a-test"
    alone = compare_stored(files, measure, tolerance=tolerance)
    with written(study.path) as publisher:
        machines = TwoMachines(study.path)
        engine = Errands(machines, publisher, Idle())
        found = compare_stored(files, measure, tolerance=tolerance, engine=engine, scratch=scratch)
        assert np.array_equal(found.values, alone.values)
        assert not list(scratch.glob(f"{made}-*"))  # nothing of it is on the sender's disk
        assert all(list(disk.rglob(f"{made}-*")) for disk in machines.disks)
        assert set(machines.written(made).values()) == {1}


@pytest.mark.parametrize("tolerance", [None, 0.01])
@pytest.mark.parametrize("why", ["little is left", "it is full"])
def test_a_machine_whose_disk_is_short_makes_them_in_memory(trained, monkeypatch, tolerance, why):
    """Of each block anew; and the sender's disk, which holds none of them, is not asked."""
    study, _ = trained
    run_stage("extract", study, LocalEngine(1))
    files = representation_table(study).files
    scratch = study.path / "similarity" / ".scratch-of-a-test"
    alone = compare_stored(files, tolerance=tolerance)
    usage = namedtuple("usage", "total used free")
    if why == "little is left":
        monkeypatch.setattr(travel.shutil, "disk_usage", lambda path: usage(100, 96, 4))
    full: list[Path] = []

    def refuse(path, *parts):
        if path.name.startswith(("vectors-", "kept-")):
            full.append(path)
            raise StorageError("no space left")
        return write_file(path, *parts)

    for module in (embedding, blocks):
        monkeypatch.setattr(module, "write_file", refuse)
    with written(study.path) as publisher:
        machines = TwoMachines(study.path)
        engine = Errands(machines, publisher, Idle())
        found = compare_stored(
            files, tolerance=tolerance, engine=engine, scratch=scratch, disk=None
        )
        assert np.array_equal(found.values, alone.values)
        assert bool(full) == (why == "it is full")
        assert not [path for path in machines.times if path.match("vectors-*")]
        monkeypatch.undo()


def test_processes_of_one_machine_share_what_they_make(trained):
    """Two that multiply the same vectors: one of them makes each, and both have its bits."""
    study, _ = trained
    run_stage("extract", study, LocalEngine(1))
    table = representation_table(study)
    files = [file for file in table.files for _ in range(40)]  # two blocks of products a side
    scratch = study.path / "similarity" / ".scratch-of-a-test"
    alone = compare_stored(files)

    class Apart(LocalEngine):
        """This machine, as if nothing of the sender's were on it."""

        apart = True

        def map(self, function, tasks, *, tick=None, heard=None):
            for path in scratch.glob("vectors-*"):
                path.unlink()  # those that were made for their norms
            sent = [task.away() for task in tasks]
            assert all(task.travels for task in sent)
            yield from super().map(function, sent, tick=tick, heard=heard)

    found = compare_stored(files, engine=Apart(2), scratch=scratch)
    assert np.array_equal(found.values, alone.values)
    assert len(list(scratch.glob("vectors-*.npy"))) == 12
    assert not list(scratch.glob(".new-*"))


def test_what_is_compared_already_is_not_compared_again(trained):
    study, _ = trained
    other = OtherMachine(study.path)
    run_stage("extract", study, other)
    files = representation_table(study).files
    scratch = study.path / "similarity" / ".scratch-of-a-test"
    with written(study.path) as publisher:
        engine = Errands(other, publisher, LocalEngine(1))
        first = compare_stored(files, "procrustes_similarity", engine=engine, scratch=scratch)
        blocks = [label for label in other.labels if label.startswith("compare block")]
        assert len(list(scratch.glob("pairs-*.npz"))) == len(blocks) > 0
        other.labels.clear()
        again = compare_stored(files, "procrustes_similarity", engine=engine, scratch=scratch)
    assert other.labels == []
    assert np.array_equal(first.values, again.values)
    assert np.isfinite(first.values).all()


def test_another_machine_goes_on_from_the_blocks_that_are_done(
    trained, whole, tmp_path, monkeypatch
):
    study, url = trained
    monkeypatch.setattr(pairwise, "PAIR_BLOCK", 2)
    blocks = 15  # pairs of the five blocks that nine representations make
    run_stage("extract", study, LocalEngine(1))
    scored, calls = pairwise._scored, []

    def some(task):
        if len(calls) == 6:
            raise KeyboardInterrupt
        calls.append(task)
        return scored(task)

    monkeypatch.setattr(pairwise, "_scored", some)
    with pytest.raises(KeyboardInterrupt):
        run_stage("compare", study, LocalEngine(1))
    monkeypatch.setenv("STRATIGRAPH_WORK", str(tmp_path / "elsewhere"))
    left = list((tmp_path / "work").rglob("pairs-*.npz"))
    assert len(left) == 6
    place = left[0].parent.relative_to(study.path).as_posix()
    objects = Objects(url)
    there = objects.names(f"unfinished/{place}")
    assert there == sorted(path.name for path in left)
    objects.put_all({f"unfinished/{place}/{there[0]}": b"damaged since"})

    calls.clear()
    monkeypatch.setattr(pairwise, "_scored", lambda task: calls.append(task) or scored(task))
    other = load_study(url)
    assert other.path != study.path
    run_stage("compare", other, LocalEngine(1))
    assert len(calls) == blocks - 5
    assert results(other.path) == whole
    assert objects.names("unfinished/similarity") == []
    calls.clear()
    run_stage("compare", study, LocalEngine(1))  # the first takes up what the other made
    assert (calls, results(study.path)) == ([], whole)


def test_an_errand_commits_nothing_and_a_zombie_s_harms_nobody(trained, monkeypatch):
    study, url = trained
    stages = Ledger(Objects(url), "ledgers/stages")
    other = OtherMachine(study.path)
    other.disk.mkdir()
    with pytest.raises(BusyError, match="fell silent"), written(study.path) as publisher:
        own = errand(study, url, publisher.token)
        _, (place, version) = other.there(0, run_errand, own).value
        again = other.there(0, run_errand, own).value
        assert again == (None, (place, version))
        assert place not in stages.head().entries
        assert stages.objects.names(place) == [version]
        monkeypatch.setattr(ledger_module, "LEASE_SECONDS", 0.0)  # the sender fell silent
        next_one = stages.acquire()
        monkeypatch.undo()
        assert not version.startswith(f"{next_one.token:08d}")
        publisher.take(place, version)  # and what it publishes at its end is refused
    assert place not in stages.head().entries
    next_one.release()


def test_on_the_sender_s_disk_nothing_travels(trained):
    study, url = trained
    with written(study.path) as publisher:
        engine = spread(_InProcess(), publisher)
        task = extraction(study)
        assert isinstance(task, Portable)
        (outcome,) = engine.map(extract_task, [task])
        assert outcome.failure is None
        place = task.record.relative_to(study.path).as_posix()
        assert Objects(url).names(place) == []
    assert len(Objects(url).names(place)) == 1


def test_what_the_store_lacks_is_done_here_and_failures_are_told(trained):
    study, url = trained
    other = OtherMachine(study.path)
    task = extraction(study)
    with written(study.path) as publisher:
        here = Errands(other, publisher, LocalEngine(1))
        for record in (study.path / ".remote").glob(f"runs-{task.run.name}-ledger.json"):
            record.unlink()  # as if nothing had been published
        (outcome,) = here.map(extract_task, [task])
        assert outcome.failure is None
        assert other.labels == []
        remove_record(task.record)
        lost = errand_of_nothing(study, url, publisher.token)
        other.disk.mkdir(exist_ok=True)
        failure = other.there(0, run_errand, lost).failure
        assert isinstance(failure.error, StorageError)
        assert "gone from the store while it was asked for" in failure.message


def errand_of_nothing(study, url: str, token: int) -> Errand:
    run = next(iter(study.runs.values()))
    place = snapshot_path(run.path, 2).relative_to(study.path).as_posix()
    reads = {place: f"00000009-{'0' * 64}"}
    return Errand(extract_task, extraction(study), study.path, url, token, reads, "another")


class _InProcess(LocalEngine):
    """A cluster whose only machine is this one."""

    name = "cluster"

    def __init__(self) -> None:
        super().__init__(1)
