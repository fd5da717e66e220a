"""What all tests share: a small study, made once."""

from __future__ import annotations

import logging
import os
import shutil
import uuid
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
"""


@pytest.fixture(scope="session")
def tiny_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of a study that takes seconds."""
    path = tmp_path_factory.mktemp("studies") / "tiny.yaml"
    path.write_text(TINY)
    return path


@pytest.fixture(scope="session")
def tiny_study(tiny_file: Path, tmp_path_factory: pytest.TempPathFactory):
    """That study, run by one worker. Tests read it and leave it as it is."""
    from stratigraph.engine import LocalEngine
    from stratigraph.pipeline import run_study

    out = tmp_path_factory.mktemp("out") / "tiny"
    return run_study(tiny_file, out, engine=LocalEngine(1))


@pytest.fixture(scope="session")
def s3_server():
    """The address of an S3 server on this machine, as long as the tests last."""
    pytest.importorskip("obstore")
    server = pytest.importorskip("moto.server").ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server.start()
    yield "http://{}:{}".format(*server.get_host_and_port())
    server.stop()


@pytest.fixture(params=["file", "s3"])
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
