"""Options that would do nothing are refused; what cannot work is told before a folder is begun."""

from __future__ import annotations

import pytest

from stratigraph.cli.main import main


def told(capsys, *arguments: object) -> tuple[int, str]:
    with pytest.raises(SystemExit) as stopped:
        main([str(one) for one in arguments])
    return stopped.value.code or 0, capsys.readouterr().err


IDLE = [
    ("compare", "STUDY", "--json"),
    ("compare", "STUDY", "--measure", "linear_cka"),
    ("compare", "STUDY", "--null-within", "shape"),
    ("compare", "STUDY", "--reduce", "spatial"),
    ("compare", "STUDY", "--device", "cpu"),
    ("compare", "STUDY", "--batch-size", "7"),
    ("compare", "STUDY", "--inputs", "x.npy"),
    ("compare", "STUDY", "--factory", "a:b"),
    ("compare", "--model", "a.safetensors", "--trust"),
    *((command, "STUDY", "--max-runs", "5") for command in ("run", "train", "extract", "compare")),
    *((command, "STUDY", "--max-runs", "5") for command in ("assess", "report", "plan")),
    *((command, "FILE", "--trust") for command in ("run", "train", "extract", "compare")),
    *((command, "FILE", "--trust") for command in ("assess", "report", "plan", "latent-size")),
    ("verify", "STUDY", "--workers", "2"),
    ("verify", "STUDY", "--device", "cpu"),
    ("verify", "STUDY", "--quiet"),
    ("verify", "STUDY", "--trust"),
    ("run", "STUDY", "--trust"),
    ("report", "STUDY", "--out", "OUT", "--quiet"),
    ("--work", "file:///x", "list", "STUDY"),
    ("export", "STUDY", "--out", "OUT", "--tracker", "tensorboard", "--format", "csv"),
    ("--work", "OUT", "list", "STUDY"),
]


@pytest.mark.parametrize("arguments", IDLE, ids=" ".join)
def test_it_is_refused(arguments, tiny_study, tiny_file, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    places = {"STUDY": tiny_study.path, "FILE": tiny_file, "OUT": tmp_path / "out"}
    code, said = told(capsys, *(places.get(one, one) for one in arguments))
    assert code == 2
    named = [one for one in arguments if one.startswith("--")]
    assert any(said.startswith(f"stratigraph: {one}: it is only for") for one in named), said
    assert said.endswith("; leave it out.\n")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("size: 32", "size: 48", "sprites: size 48"),
        ("size: 32", "size: 32, hue: 3", "sprites has no option 'hue'"),
        ("count: 24", "count: 900000", "900000 probes requested from the validation part"),
        ("probes:", "activations: {layers: ['encoder.conv9*']}\nprobes:", "encoder.conv9"),
        ("name: sprites, size: 32, cache: false", "name: ./absent.npy", "absent.npy"),
    ],
)
def test_what_cannot_work_begins_no_folder(
    old, new, message, tiny_file, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    text = tiny_file.read_text()
    assert old in text
    (tmp_path / "study.yaml").write_text(text.replace(old, new))
    for command in ("run", "train"):
        code, said = told(capsys, command, "study.yaml", "--out", "begun")
        assert code in (2, 3)
        assert message in said
        assert [path.name for path in tmp_path.iterdir()] == ["study.yaml"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--device", "cuda:7"), "device: 'cuda:7' cannot be used here"),
        (("--workers", "0"), "workers: expected 1 to 1024, got 0"),
        (("--engine", "rey"), "--engine: unknown name 'rey'"),
        (("--address", "auto"), "--address: it is only for a cluster"),
    ],
)
def test_a_machine_that_cannot_begins_no_folder(
    options, message, tiny_file, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    code, said = told(capsys, "train", tiny_file, "--out", "begun", *options)
    assert code == 2
    assert message in said
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", ["extract", "compare", "assess", "report"])
def test_a_later_stage_begins_no_study(command, tiny_file, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    code, said = told(capsys, command, tiny_file, "--out", "begun")
    assert code == 3
    assert f"there is no study there; `stratigraph run {tiny_file} --out begun`" in said
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("formats", ["bogus", ""])
def test_formats_that_are_none_begin_nothing(formats, tiny_study, capsys):
    code, said = told(capsys, "report", tiny_study.path, "--formats", formats)
    assert code == 2
    assert "--formats: " in said
