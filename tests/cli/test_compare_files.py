"""``stratigraph compare a.npy b.npy``: joined, printed, drawn and written, in the shell's words."""

from __future__ import annotations

import json

import h5py
import numpy as np
import pandas as pd
import pytest
import xarray

import stratigraph as sg
from stratigraph.cli.main import main

N = 200
RNG = np.random.default_rng(0)
X = RNG.normal(size=(N, 6))
Y = X @ RNG.normal(size=(6, 5)) + RNG.normal(size=(N, 5))
IDS = np.array([f"s{i:03d}" for i in range(N)])
ORDER = RNG.permutation(N)
TRUE = sg.debiased_cka(X, Y)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.save("a.npy", X)
    np.save("b.npy", Y)
    left, right = (pd.DataFrame(m).add_prefix("u") for m in (X, Y))
    left.assign(sample_id=IDS).to_csv("a.csv", index=False)
    right.assign(sample_id=IDS).iloc[ORDER].to_parquet("b.parquet")
    np.savez("layers.npz", enc=X, dec=Y, even=np.eye(N), sample_id=IDS)
    (tmp_path / "ids.txt").write_text("\n".join(IDS))
    (tmp_path / "shuffled.txt").write_text("\n".join(IDS[ORDER]))
    np.save("shuffled.npy", Y[ORDER])
    (tmp_path / "seed1").mkdir()
    np.save("seed1/a.npy", Y)
    return tmp_path


def run(capsys, *arguments):
    with pytest.raises(SystemExit) as stopped:
        main(["compare", *map(str, arguments)])
    said = capsys.readouterr()
    return stopped.value.code or 0, said.out, said.err


def score(out):
    return float(out.splitlines()[1].split()[1])


@pytest.mark.parametrize(
    "arguments",
    [
        ("a.npy", "b.npy"),
        ("a.csv", "b.parquet", "--ids", "sample_id"),
        ("a.npy", "shuffled.npy", "--ids", "ids.txt", "--ids", "shuffled.txt"),
        ("layers.npz:enc", "b.parquet", "--ids", "sample_id"),
    ],
    ids=" ".join,
)
def test_two_files(arguments, folder, capsys):
    code, out, err = run(capsys, *arguments)
    assert (code, err) == (0, "")
    assert score(out) == pytest.approx(TRUE, abs=6e-4)
    how = "joined on their ids" if "--ids" in arguments else "row by row"
    assert out.endswith(f"debiased_cka of 200 rows, {how}\n")


def test_chance_in_words_in_json_and_in_a_table(folder, capsys):
    code, out, _ = run(capsys, "a.npy", "b.npy", "--null", 19, "--interval", "--out", "t.csv")
    assert code == 0
    assert "] (p 0.050)" in out
    best = next(line for line in out.splitlines() if line.startswith("best of all: "))
    want = sg.calibrate(X, Y, null=19)
    assert best == f"best of all: {TRUE:.3f}, p 0.050, calibrated {want.calibrated.item():.3f}"
    assert "chance: probes of y permuted 19 times, seed 0\n" in out
    table = pd.read_csv("t.csv")
    assert table["p"].tolist() == table["p_row"].tolist() == table["p_matrix"].tolist() == [0.05]

    code, out, _ = run(capsys, "layers.npz:enc", "layers.npz:dec", "b.npy", "--null", 19, "--json")
    found = json.loads(out)
    assert code == 0
    assert np.shape(found["p"]) == (3, 3)
    assert found["p_row"] == [0.05] * 3
    assert found["p_matrix"] == 0.05
    assert found["null"] == "probes of a copy permuted 19 times, seed 0"


def test_chance_within_classes_of_a_file(folder, capsys):
    classes = np.arange(len(X)) % 4
    np.savetxt("classes.txt", classes, fmt="%d")
    code, out, err = run(
        capsys, "a.npy", "b.npy", "--null", 19, "--null-within", "classes.txt", "--json"
    )
    assert (code, err) == (0, "")
    want = sg.calibrate(X, Y, null=19, groups=classes)
    assert json.loads(out)["threshold"][0][0] == pytest.approx(want["threshold"].item())
    assert "within 4 groups" in json.loads(out)["null"]
    code, _, err = run(capsys, "a.npy", "b.npy", "--null", 19, "--null-within", "none.txt")
    assert code == 3 and "no file of" in err


def test_a_file_of_many_as_json_with_reasons(folder, capsys):
    with pytest.warns(UserWarning, match="equidistant"):
        code, out, _ = run(capsys, "layers.npz", "--json")
    found = json.loads(out)
    assert code == 0
    assert found["x"] == found["y"] == ["enc", "dec", "even"]
    assert found["values"][0][1] == pytest.approx(TRUE, abs=1e-6)
    assert found["values"][2] == [None] * 3
    assert json.loads(found["reasons"])["even"].startswith("equidistant")
    assert found["representations"]["dec"]["shape"] == [N, 5]


def test_names_tell_files_apart(folder, capsys):
    _, out, _ = run(capsys, "a.npy", "seed1/a.npy")
    assert out.splitlines()[0].split() == ["seed1/a.npy:a"]
    with pytest.warns(UserWarning):
        _, out, _ = run(capsys, "a.npy", "b.npy", "layers.npz", "--explain")
    assert out.splitlines()[0].split() == ["a", "b", "enc", "dec", "even"]
    assert "plan: " in out
    assert "enc: 200 × 6, layers.npz:enc" in out
    for name, values in (("a.h5", X), ("b.h5", Y)):
        with h5py.File(name, "w") as file:
            file["obsm/X_pca"] = values
    _, out, _ = run(capsys, "a.h5:obsm/X_pca", "b.h5:obsm/X_pca")
    assert out.splitlines()[0].split() == ["b"]


@pytest.mark.parametrize("measure", ["debiased_cka", "procrustes_similarity"])
def test_intervals_are_the_jackknife_over_groups(measure, folder, capsys):
    code, out, _ = run(capsys, "a.npy", "b.npy", "--interval", "--measure", measure, "--json")
    assert code == 0
    found = json.loads(out)
    parts = [
        sg.similarity_matrix(
            {"a": X[np.arange(N) % 20 != g]}, {"b": Y[np.arange(N) % 20 != g]}, measure
        ).item()
        for g in range(20)
    ]
    error = np.sqrt(19 / 20 * np.sum((parts - np.mean(parts)) ** 2))
    half = (found["upper"][0][0] - found["lower"][0][0]) / 2
    assert half == pytest.approx(2.093024 * error, rel=1e-4)
    assert found["interval"].startswith("95%, leaving out 20 groups")
    _, out, _ = run(capsys, "a.npy", "b.npy", "--interval", "--measure", measure)
    lower, upper = found["lower"][0][0], found["upper"][0][0]
    assert f"[{lower:.3f}, {upper:.3f}]" in out


def test_one_with_holes_has_no_interval_and_the_others_have(folder, capsys):
    holes = Y.copy()
    holes[3, 1] = np.nan
    np.savez("holes.npz", a=X, holes=holes, b=Y)
    with pytest.warns(UserWarning, match="NaN for 'holes'"):
        _, out, _ = run(capsys, "holes.npz", "--interval", "--json")
    found = json.loads(out)
    assert found["x"] == ["a", "holes", "b"]
    assert "the first (nan) at probe 3, unit 1" in json.loads(found["reasons"])["holes"]
    _, out, _ = run(capsys, "a.npy", "b.npy", "--interval", "--json")
    alone = json.loads(out)
    for end in ("values", "lower", "upper"):
        assert found[end][1] == [None] * 3
        assert found[end][0][2] == pytest.approx(alone[end][0][0], abs=1e-9)


@pytest.mark.parametrize("table", ["scores.parquet", "scores.csv", "scores.nc"])
def test_tables_and_pictures_are_written(table, folder, capsys):
    with pytest.warns(UserWarning, match="equidistant"):
        run(capsys, "layers.npz", "--interval", "--out", table, "--figure", "heat.png")
    assert (folder / "heat.png").read_bytes().startswith(b"\x89PNG")
    if table.endswith("nc"):
        with xarray.open_dataarray(table) as found:
            assert found.sel(x="enc", y="dec").item() == pytest.approx(TRUE, abs=1e-6)
        return
    found = pd.read_parquet(table) if table.endswith("parquet") else pd.read_csv(table)
    assert list(found) == ["x", "y", "measure", "value", "lower", "upper", "probes"]
    row = found[(found["x"] == "enc") & (found["y"] == "dec")].iloc[0]
    assert row["value"] == pytest.approx(TRUE, abs=1e-6)
    assert row["lower"] < row["value"] < row["upper"]


def test_rows_without_ids_beside_some_are_said(folder, capsys):
    pd.DataFrame(X, index=IDS).add_prefix("u").to_parquet("named.parquet")
    code, out, err = run(capsys, "named.parquet", "b.npy")
    assert code == 0
    assert score(out) == pytest.approx(TRUE, abs=6e-4)
    assert "b.npy: without ids, so row by row as in named.parquet; --ids names theirs." in err


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (("a.npy", "absent.npy"), 3, "absent.npy: no such file; expected representations"),
        (("a.npy", "study.yaml"), 2, "study.yaml: not a file of representations"),
        (("a.csv", "b.parquet"), 3, "a.csv: expected columns of numbers, got 'sample_id' (text)"),
        (
            ("a.npy", "b.npy", "--ids", "ids.txt", "--ids", "ids.txt", "--ids", "ids.txt"),
            2,
            "--ids: expected once for all files, or once for each; got 3 for 2",
        ),
        (("a.npy", "b.npy", "--figure", "heat.gif"), 2, "--figure: expected a file that ends in"),
        (("a.npy", "b.npy", "--out", "scores"), 2, "--out: expected a file that ends in .parquet"),
        (("a.npy", "b.npy", "--measure", "cca"), 2, "measure: no measure is named 'cca'"),
        (("a.npy", "b.npy", "--layers", "x"), 2, "--layers: it is not of files"),
        (("a.npy", "b.npy", "--workers", "2"), 2, "--workers: it is not of files"),
        (("a.npy", "--model", "b.safetensors"), 2, "files of representations or --model, got both"),
        (("results/quick", "--ids", "x"), 2, "--ids: it is only for files of representations"),
        (("results/a", "results/b"), 2, "expected one study, or files of representations, got 2"),
    ],
)
def test_a_bad_command_is_told_in_one_line(arguments, code, text, folder, capsys):
    found, out, err = run(capsys, *arguments)
    assert (found, out) == (code, "")
    assert err.startswith("stratigraph: ")
    assert text in err
    assert "Traceback" not in err


def test_different_ids_fail_loudly(folder, capsys):
    (folder / "others.txt").write_text("\n".join(["new", *IDS[1:]]))
    code, _, err = run(capsys, "a.npy", "b.npy", "--ids", "ids.txt", "--ids", "others.txt")
    assert code == 2
    assert (
        "a['a'] and b['b']: expected the same ids, but 1 of a['a'] are not in b['b'] ('s000')"
        in err
    )
