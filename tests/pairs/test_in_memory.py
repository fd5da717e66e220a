"""In memory: no bit depends on threads, whoever else uses them; each library gets its own back."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from synthetic import layers
from threadpoolctl import threadpool_info, threadpool_limits

from stratigraph.engine import one_thread
from stratigraph.machine import one_thread_each
from stratigraph.pairs.in_memory import InMemory
from stratigraph.pairs.matrix import similarity_matrix
from stratigraph.similarity import threads
from stratigraph.similarity.catalog import MEASURES
from stratigraph.similarity.threads import spread_over_threads

WIDTHS = (300, 5000, 10, 700)


def everything(rows, columns):
    return np.ones((rows.stop - rows.start, columns.stop - columns.start), bool)


def blas_threads():
    return {each["num_threads"] for each in threadpool_info() if each["user_api"] == "blas"}


def scores(measure, count, given=None):
    side = [torch.from_numpy(x) for x in (given or layers(600, WIDTHS)).values()]
    return InMemory(count).compare([side], MEASURES[measure], everything, None, None).all()


@pytest.mark.parametrize("measure", ["debiased_cka", "linear_cka", "rsa_cosine"])
def test_threads_do_not_change_a_bit(measure):
    want = scores(measure, 1)
    for count in (2, 4):
        assert np.array_equal(scores(measure, count), want)


@pytest.mark.parametrize("n", [60, 1100])  # cut by units, and by tiles
@pytest.mark.parametrize("count", [1, 2])
def test_few_wide_layers_are_cut_among_threads_without_changing_a_bit(n, count):
    random = np.random.default_rng(0)
    wide = {str(i): random.random((n, 4200), np.float32) - 0.3 for i in range(count)}
    assert np.array_equal(scores("debiased_cka", 8, wide), scores("debiased_cka", 1, wide))


def test_pairs_one_by_one_do_not_change_a_bit_with_threads(monkeypatch):
    a = layers(80, (30, 100, 4))
    found = []
    for count in (1, 3):
        monkeypatch.setattr(threads, "count_cores", lambda: 8)
        monkeypatch.setattr(torch, "get_num_threads", lambda count=count: count)
        found.append(similarity_matrix(a, None, "procrustes_similarity").values)
        monkeypatch.undo()
    assert np.array_equal(*found)


def test_a_process_that_uses_torch_meanwhile_gets_the_same_bits_and_its_threads_back():
    a = layers(600, WIDTHS)
    want = similarity_matrix(a).values
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    stop, ready = threading.Event(), threading.Event()
    weights = torch.ones(256, 256)

    def train():
        while not stop.is_set():
            weights @ weights
            ready.set()

    other = threading.Thread(target=train)
    other.start()
    try:
        assert ready.wait(60)
        with threadpool_limits(2, user_api="blas"):
            found = [similarity_matrix(a).values for _ in range(3)]
            assert blas_threads() == {2}
        assert torch.get_num_threads() == 2
    finally:
        stop.set()
        other.join()
        torch.set_num_threads(before)
    for values in found:
        assert np.array_equal(values, want)


@pytest.fixture
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    with threadpool_limits(2, user_api="blas"):
        yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("two_threads")
def test_whoever_leaves_last_gives_the_threads_back():
    with one_thread_each():
        with spread_over_threads(2) as (each, count):
            assert count == 2
            assert blas_threads() == {1}
            assert list(each(lambda x: x + 1, [1, 2, 3])) == [2, 3, 4]
        assert blas_threads() == {1}
        assert torch.get_num_threads() == 1
    assert blas_threads() == {2}
    assert torch.get_num_threads() == 2


def test_a_thread_beside_the_main_one_holds_blas_and_gives_back_what_it_had():
    """Threadpoolctl ≥ 3.8 lets one thread limit OpenBLAS, and does nothing for others."""
    seen = {}

    def compare():
        torch.set_num_threads(3)
        with spread_over_threads(2):
            seen["blas"] = blas_threads()
            with spread_over_threads(2):
                pass
            seen["torch within"] = torch.get_num_threads()
        seen["torch after"] = torch.get_num_threads()

    before = torch.get_num_threads()
    with threadpool_limits(2, user_api="blas"):
        with spread_over_threads(2):
            pass
        other = threading.Thread(target=compare)
        other.start()
        other.join()
        assert blas_threads() == {2}
    torch.set_num_threads(before)
    assert seen == {"blas": {1}, "torch within": 1, "torch after": 3}


def test_whoever_leaves_last_may_be_another_thread():
    inside, leave = threading.Event(), threading.Event()

    def hold():
        with one_thread_each():
            inside.set()
            leave.wait(20)

    with threadpool_limits(2, user_api="blas"):
        other = threading.Thread(target=hold)
        with one_thread_each():
            other.start()
            inside.wait(20)
        assert blas_threads() == {1}
        leave.set()
        other.join()
        assert blas_threads() == {2}


def test_an_engines_task_in_another_thread_is_on_one_thread_too():
    """The engine and a comparison hold the same libraries, whichever of them came first."""
    seen = []

    def hold():
        with one_thread():
            seen.append(blas_threads())

    with threadpool_limits(2, user_api="blas"):
        with spread_over_threads(2):
            other = threading.Thread(target=hold)
            other.start()
            other.join()
            assert blas_threads() == {1}
        other = threading.Thread(target=hold)
        other.start()
        other.join()
        assert blas_threads() == {2}
    assert seen == [{1}, {1}]


SCRIPT = """
import sys; sys.path.insert(0, {tests!r})
from synthetic import layers
from stratigraph.pairs.matrix import similarity_matrix
import hashlib
print(hashlib.sha256(similarity_matrix(layers(600, {widths!r})).values.tobytes()).hexdigest())
"""


def test_settings_of_openmp_and_openblas_do_not_change_a_bit():
    folder = str(Path(__file__).parents[1] / "similarity")
    want = hashlib.sha256(similarity_matrix(layers(600, WIDTHS)).values.tobytes()).hexdigest()
    environment = {**os.environ, "OMP_NUM_THREADS": "2", "OPENBLAS_NUM_THREADS": "3"}
    found = subprocess.run(
        [sys.executable, "-c", SCRIPT.format(tests=folder, widths=WIDTHS)],
        env=environment, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert found.stdout.strip() == want


FORKED = """
import os, sys; sys.path.insert(0, {tests!r})
import numpy as np, torch
from synthetic import layers
from stratigraph.pairs.matrix import similarity_matrix
torch.set_num_threads(2)
given = layers(600, (300, 900))
want = similarity_matrix(given).values
if child := os.fork():
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
os._exit(0 if np.array_equal(similarity_matrix(given).values, want) else 1)
"""


@pytest.mark.full
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_child_of_a_process_that_compared_compares_too():
    """It hung for ever, while inputs were looked at by torch's threads."""
    folder = str(Path(__file__).parents[1] / "similarity")
    script = FORKED.format(tests=folder)
    subprocess.run([sys.executable, "-c", script], check=True, timeout=240)
