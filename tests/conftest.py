"""What all tests share: a small study, made once."""

from __future__ import annotations

import fcntl
import logging
import os
import shutil
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from threadpoolctl import threadpool_limits

# pytest-xdist runs a process for each core. Threads within them, and within the commands that they
# start, would only wait for each other: a small matrix took seventy times as long.
for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")
torch.set_num_threads(1)
threadpool_limits(1)


@pytest.fixture(autouse=True, scope="session")
def own_state(tmp_path_factory: pytest.TempPathFactory):
    """Notes of which studies are trusted, apart from those of whoever runs the tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STRATIGRAPH_STATE", str(tmp_path_factory.mktemp("state")))
        yield


TINY = """
name: tiny
description: Four VAEs of a few steps, to test the whole path.
grid:
  data: {name: sprites, size: 32, cache: false}
  objective:
    beta_vae: {beta: [1, 4]}
  seed: [0, 1]
training: {steps: 12, batch_size: 16, learning_rate: 1e-3, validation_images: 32, log_every: 5}
snapshots: {kind: log, count: 4, first: 2}
probes: {count: 24}
measures:
  - debiased_cka
  - {name: procrustes_similarity, pairs: claims}
representations: keep
"""


@pytest.fixture(scope="session")
def tiny_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of a study that takes seconds."""
    path = tmp_path_factory.mktemp("studies") / "tiny.yaml"
    path.write_text(TINY)
    return path


def made_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """What the first worker who needs it makes in a folder, and all others find there."""
    root = factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        root = root.parent  # of all workers
    with (root / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (root / name).exists():
            fresh = root / f"{name}.new-{os.getpid()}"
            make(fresh)
            fresh.rename(root / name)
    return root / name


@pytest.fixture(scope="session")
def tiny_study(tiny_file: Path, tmp_path_factory: pytest.TempPathFactory):
    """That study, run by one worker, and a copy for each. Tests read it and leave it as it is."""
    from stratigraph.engine import LocalEngine
    from stratigraph.stages import run_study
    from stratigraph.study import load_study

    made = made_once(
        tmp_path_factory, "tiny", lambda out: run_study(tiny_file, out, engine=LocalEngine(1))
    )
    out = tmp_path_factory.mktemp("out") / "tiny"
    shutil.copytree(made, out)
    return load_study(out)


@pytest.fixture(scope="session")
def blank_figures():
    """Within it reports have all of their words and numbers, and nothing is drawn."""
    from stratigraph.report.drawing import Picture

    def blank(sketches, formats, workers, meanwhile):
        meanwhile()
        return {one.name: Picture(dict.fromkeys(formats, b""), 1, 1) for one in sketches}

    @contextmanager
    def within() -> Iterator[None]:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("stratigraph.report.write.draw_all", blank)
            yield

    return within


@pytest.fixture
def without_ink(blank_figures) -> Iterator[None]:
    """In this test no figure is drawn; in `tests/report` all are."""
    with blank_figures():
        yield


@pytest.fixture(scope="session")
def s3_server():
    """The address of an S3 server on this machine, as long as the tests last."""
    pytest.importorskip("obstore")
    server = pytest.importorskip("moto.server").ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server.start()
    yield "http://{}:{}".format(*server.get_host_and_port())
    server.stop()


@pytest.fixture(params=["file", pytest.param("s3", marks=pytest.mark.full)])
def store_url(request, tmp_path, monkeypatch) -> str:
    """A URL of each kind of store in turn, where nothing is yet; working copies are apart."""
    monkeypatch.setenv("STRATIGRAPH_WORK", str(tmp_path / "work"))
    if request.param == "file":
        return f"file://{tmp_path}/store"
    return request.getfixturevalue("s3_url")


@pytest.fixture
def s3_url(s3_server, tmp_path, monkeypatch) -> str:
    """A new bucket."""
    import boto3

    monkeypatch.setenv("STRATIGRAPH_WORK", str(tmp_path / "work"))
    for name, value in {
        "AWS_ACCESS_KEY_ID": "any",
        "AWS_SECRET_ACCESS_KEY": "any",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": s3_server,
        "NO_PROXY": "127.0.0.1",
    }.items():
        monkeypatch.setenv(name, value)
    bucket = f"bucket-{uuid.uuid4().hex}"
    boto3.client("s3").create_bucket(Bucket=bucket)
    return f"s3://{bucket}/studies/one"


@pytest.fixture(scope="session")
def browser():
    """A real browser: one a process, since Playwright is started once in each."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        pytest.skip("no chromium to open the page with; `make test` as root installs it")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield opened
        opened.close()
