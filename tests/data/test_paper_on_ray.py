"""The published grid begun on Ray: every configuration of `studies/paper.yaml`, 50 steps of it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from stratigraph.data import cars3d, dsprites, smallnorb
from stratigraph.home import load_study

ROOT = Path(__file__).parents[2]
# Read at the start of every process of Ray's: their readers expect small files, too.
SHRUNK = """
from stratigraph.data import cars3d, dsprites, smallnorb

cars3d.FACTOR_SIZES, cars3d.FILE = {cars}, cars3d.PublishedFile({file!r}, "", {known!r})
dsprites.FACTOR_SIZES = {sprites}
smallnorb.FACTOR_SIZES, smallnorb.ROWS = {norb}, {rows}
"""


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_every_configuration_begins_and_is_read_to_its_report(published, tmp_path):
    pytest.importorskip("ray")
    published.dsprites()
    published.cars3d()
    published.smallnorb()
    (tmp_path / "small").mkdir()
    (tmp_path / "small" / "sitecustomize.py").write_text(
        SHRUNK.format(
            cars=cars3d.FACTOR_SIZES,
            file=cars3d.FILE.name,
            known=cars3d.FILE.known_hash,
            sprites=dsprites.FACTOR_SIZES,
            norb=smallnorb.FACTOR_SIZES,
            rows=smallnorb.ROWS,
        )
    )
    paper = yaml.safe_load((ROOT / "studies" / "paper.yaml").read_text())
    root = {"root": str(published.folder)}
    paper["grid"]["data"] = [
        {"name": "cars3d", **root},
        {"name": "smallnorb", "verify": False, **root},
        {"name": "dsprites", "verify": False, **root},
    ]
    paper["grid"]["seed"] = [0]
    paper["training"]["steps"] = 50
    paper["snapshots"] = {"kind": "explicit", "steps": [0, 10, 50]}
    paper["probes"]["count"] = 200
    file, out = tmp_path / "paper.yaml", tmp_path / "out"
    file.write_text(yaml.safe_dump(paper))
    places = {
        "PYTHONPATH": os.pathsep.join([str(tmp_path / "small"), str(ROOT / "src")]),
        "STRATIGRAPH_CACHE": str(tmp_path / "cache"),
    }
    command = [sys.executable, "-m", "stratigraph", "run", file, "--out", out]
    done = subprocess.run(
        [*command, "--engine", "ray", "--workers", "2"],
        env=os.environ | places,
        capture_output=True,
        text=True,
        check=False,
        timeout=3000,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]

    study = load_study(out)
    runs = study.runs.values()
    assert len(runs) == 3 * 4 * 5
    assert {run.state["state"] for run in runs} == {"done"}
    assert {run.config.data["name"] for run in runs} == {"cars3d", "smallnorb", "dsprites"}
    assert study.measures() == ["linear_cka", "debiased_cka", "procrustes_similarity"]
    labels = study.labels("debiased_cka")
    assert labels.groupby("run")["step"].unique().map(list).map([0, 10, 50].__eq__).all()
    assert {one["claim"] for one in study.findings} >= {1, 2, 3, 4, 5}
    assert (out / "report" / "index.html").is_file()
    print(done.stdout[-3000:])
