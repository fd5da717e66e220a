"""Every example runs as its own lines say, and leaves what it promises."""

import runpy
from pathlib import Path

import pytest

from stratigraph.study import load_study

EXAMPLES = Path(__file__).parents[2] / "examples"
pytestmark = pytest.mark.filterwarnings("ignore")


def run(name, monkeypatch, folder, *arguments):
    monkeypatch.chdir(folder)
    monkeypatch.setattr("sys.argv", [name, *arguments])
    runpy.run_path(str(EXAMPLES / name), run_name="__main__")


def test_each_example_is_run_here():
    names = {path.name for path in EXAMPLES.glob("*.py")}
    assert names == {"transformers_layers.py", "diffusers_autoencoder.py", "scvi_vae.py"}


def test_transformers(monkeypatch, tmp_path, capsys):
    pytest.importorskip("transformers")
    run("transformers_layers.py", monkeypatch, tmp_path)
    told = capsys.readouterr().out
    assert "encoder.layer.2" in told
    assert "'layers.0.attention.q_proj': (60, 17, 32)" in told


def test_diffusers(monkeypatch, tmp_path, capsys):
    pytest.importorskip("diffusers")
    run("diffusers_autoencoder.py", monkeypatch, tmp_path, "here", "12")
    study = load_study(tmp_path / "here")
    (vae,) = study.runs.values()
    assert vae.steps == [0, 10, 12]
    kept = {path.stem for path in (vae.path / "representations" / "000000012").glob("*.npy")}
    assert {"encoder.conv_in", "encoder.mid_block", "decoder.conv_out", "quant_conv"} <= kept
    assert (vae.path / "representations" / "000000012" / "posterior.moments").is_file()
    assert not vae.config.supervised


def test_scvi(monkeypatch, tmp_path, capsys):
    run("scvi_vae.py", monkeypatch, tmp_path, "here", "30")
    study = load_study(tmp_path / "here")
    assert len(study.complete()) == 2
    for one in study.runs.values():
        losses = one.metrics["loss"].dropna()
        assert losses.iloc[-1] < losses.iloc[0]
