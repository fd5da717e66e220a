"""Embeddings that are already there: every format gives the score of the arrays, joined on ids."""

from __future__ import annotations

import zipfile
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet
import pytest
import torch
from safetensors.torch import save_file

import stratigraph as sg
from stratigraph.errors import DataError, InputError, StratigraphError, UnsafeFileError
from stratigraph.pairs.intervals import interval_matrix
from stratigraph.representations import rows as rows_of_files
from stratigraph.representations.load import is_file_of_representations

N = 60
RNG = np.random.default_rng(0)
X = RNG.normal(size=(N, 5)).astype(np.float32)
Y = (X @ RNG.normal(size=(5, 4)) + RNG.normal(size=(N, 4))).astype(np.float32)
NAMES = np.array([f"s{i:03d}" for i in range(N)])
ORDER = RNG.permutation(N)
TRUE = sg.debiased_cka(X, Y)


def frame(x, names):
    return pd.DataFrame(x, index=list(names), columns=[f"u{i}" for i in range(x.shape[1])])


def arrow_vectors(x, names, kind):
    values = pa.array(np.ascontiguousarray(x).ravel())
    if kind == "fixed":
        column = pa.FixedSizeListArray.from_arrays(values, x.shape[1])
    else:
        column = pa.ListArray.from_arrays(np.arange(0, x.size + 1, x.shape[1], np.int32), values)
    return pa.table({"sample_id": pa.array(names), "score": np.arange(len(x)), "vector": column})


def write_h5ad(path, x, names):
    with h5py.File(path, "w") as file:
        file["obsm/X_scVI"] = x
        file["X"] = np.ones((len(x), 9))
        file["varm/PCs"] = np.ones((9, 2))
        obs = file.create_group("obs")
        obs.attrs["_index"] = "cell"
        obs.create_dataset("cell", data=list(names), dtype=h5py.string_dtype())


def write(path, x, names):
    """The file, and how it is called: with ids, however the format has them."""
    kind = path.name
    if kind.endswith(".parquet"):
        if "vector" in kind:
            table = arrow_vectors(x, names, "fixed" if "fixed" in kind else "list")
            pa.parquet.write_table(table, path, row_group_size=17)
            return path, "sample_id"
        frame(x, names).to_parquet(path)
        return path, None
    if kind.endswith(".csv"):
        frame(x, names).to_csv(path)
        return path, None
    if kind.endswith(".tsv"):
        frame(x, names).rename_axis("sample_id").reset_index().to_csv(path, sep="\t", index=False)
        return path, "sample_id"
    if kind.endswith(".feather"):
        pa.feather.write_feather(arrow_vectors(x, names, "list"), path)
        return path, "sample_id"
    if kind.endswith(".arrow"):
        table = arrow_vectors(x, names, "fixed")
        with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_stream(sink, table.schema) as stream:
            stream.write_table(table, max_chunksize=13)
        return path, "sample_id"
    if kind.endswith(".npz"):
        save = np.savez_compressed if "packed" in kind else np.savez
        save(path, embeddings=x, sample_id=names, labels=np.arange(len(x)))
        return f"{path}:embeddings", "sample_id"
    if kind.endswith(".pt"):
        torch.save({"net": {"z": torch.from_numpy(x)}, "sample_id": list(map(str, names))}, path)
        return f"{path}:net.z", "sample_id"
    beside = path.with_suffix(".ids.txt")
    beside.write_text("\n".join(names))
    if kind.endswith(".safetensors"):
        save_file({"z": torch.from_numpy(x), "label": torch.arange(len(x))}, path)
        return path, beside
    if kind.endswith(".h5ad"):
        write_h5ad(path, x, names)
        return f"{path}:obsm/X_scVI", None
    if kind.endswith(".h5"):
        with h5py.File(path, "w") as file:
            file.create_dataset("nets/a/z", data=x, chunks=(7, 3), compression="gzip")
            file.create_dataset("sample_id", data=list(names), dtype=h5py.string_dtype())
        return f"{path}:nets/a/z", "sample_id"
    np.save(path, np.asfortranarray(x) if "columns" in kind else x)
    return path, beside


KINDS = [
    "plain.npy", "columns.npy", "a.npz", "packed.npz", "a.pt", "a.safetensors", "a.parquet",
    "vector.parquet", "fixed-vector.parquet", "a.csv", "a.tsv", "a.feather", "a.arrow", "a.h5",
    "a.h5ad",
]  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_every_format_is_read_and_joined_on_its_ids(kind, tmp_path):
    (tmp_path / "x").mkdir()
    path, ids = write(tmp_path / "x" / kind, X, NAMES)
    a = sg.load_representations(path, ids)
    (only,) = a.values()
    np.testing.assert_array_equal(np.asarray(only, np.float32), X)
    some = only.read(np.array([3, 1, 2]), slice(1, 4)).astype(np.float32)
    np.testing.assert_array_equal(some, X[[3, 1, 2], 1:4])
    assert list(only.ids) == list(NAMES)
    other = tmp_path / "y.parquet"
    frame(Y[ORDER], NAMES[ORDER]).to_parquet(other)
    b = sg.load_representations(other)
    assert sg.debiased_cka(a, b) == pytest.approx(TRUE, abs=1e-7)
    assert sg.similarity_matrix(b, a).item() == pytest.approx(TRUE, abs=1e-6)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.int8, torch.bool])
def test_other_dtypes_of_tensors(dtype, tmp_path):
    held = torch.from_numpy(X).mul(3).to(dtype)
    save_file({"z": held}, tmp_path / "z.safetensors")
    torch.save(held, tmp_path / "z.pt")
    for name in ("z.safetensors", "z.pt"):
        found = sg.load_representations(tmp_path / name)["z"]
        np.testing.assert_array_equal(np.asarray(found).astype(float), held.double().numpy())


def test_a_file_of_many(tmp_path):
    with h5py.File(tmp_path / "layers.h5", "w") as file:
        file["enc/0"], file["enc/1"], file["dec/0"], file["step"] = X, Y, X[:, :2], 7
    whole = sg.load_representations(tmp_path / "layers.h5")
    assert list(whole) == ["dec/0", "enc/0", "enc/1"]
    part = sg.load_representations(f"{tmp_path}/layers.h5:enc")
    assert list(part) == ["enc/0", "enc/1"]
    found = sg.similarity_matrix(part)
    assert found.sel(x="enc/0", y="enc/1").item() == pytest.approx(TRUE, abs=1e-6)
    with pytest.raises(InputError, match=r"x: expected one representation, got a mapping of 3"):
        sg.debiased_cka(whole, X)
    maps = RNG.normal(size=(N, 3, 4, 4))
    np.save(tmp_path / "maps.npy", maps)
    flat = sg.load_representations(tmp_path / "maps.npy")["maps"]
    assert flat.shape == (N, 48)
    np.testing.assert_array_equal(flat, maps.reshape(N, -1))


def test_rows_of_an_h5ad_are_its_cells(tmp_path):
    write_h5ad(tmp_path / "a.h5ad", X, NAMES)
    assert set(sg.load_representations(tmp_path / "a.h5ad")) == {"X", "obsm/X_scVI"}


def test_the_index_of_a_frame_counts_only_as_ids(tmp_path):
    """A frame's whole-number index, as pandas writes it, is no unit and is joined on."""
    for name, write_frame in (("csv", pd.DataFrame.to_csv), ("parquet", pd.DataFrame.to_parquet)):
        left, right = pd.DataFrame(X), pd.DataFrame(Y).iloc[ORDER]
        left.columns, right.columns = (map(str, c) for c in (left.columns, right.columns))
        write_frame(left, tmp_path / f"a.{name}")
        write_frame(right, tmp_path / f"b.{name}")
        a, b = (sg.load_representations(tmp_path / f"{which}.{name}") for which in "ab")
        assert a["a"].shape == (N, 5)
        assert sg.debiased_cka(a, b) == pytest.approx(TRUE, abs=1e-6)


def test_a_line_that_counts_the_columns_is_no_row(tmp_path):
    pd.DataFrame(X).to_csv(tmp_path / "a.csv", index=False)
    assert sg.load_representations(tmp_path / "a.csv")["a"].shape == X.shape


@pytest.mark.parametrize("kind", ["a.parquet", "a.feather", "a.npz", "a.pt", "a.h5"])
def test_what_may_be_ids_is_not_passed_over(kind, tmp_path):
    """Files with a column of vectors or an array, and ids beside it, are not paired by position."""
    for folder, x, names in (("left", X, NAMES), ("right", Y[ORDER], NAMES[ORDER])):
        (tmp_path / folder).mkdir()
        path = tmp_path / folder / kind
        if kind.endswith((".parquet", ".feather")):
            table = pd.DataFrame({"path": names, "vector": list(x)})
            (table.to_parquet if kind.endswith("t") else table.to_feather)(path)
        else:
            write(path, x, names)
    left, right = (sg.load_representations(tmp_path / side / kind) for side in ("left", "right"))
    with pytest.raises(InputError, match=r"(path|sample_id) may hold the ids of its rows"):
        sg.debiased_cka(left, right)
    with pytest.raises(InputError, match="may hold the ids"):
        sg.debiased_cka(left, frame(Y, NAMES))
    assert sg.debiased_cka(left, Y) == pytest.approx(TRUE, abs=1e-6)  # an array: as they stand
    assert sg.similarity_matrix(left).values == pytest.approx(1)


def test_text_that_looks_like_numbers_is_text_where_zeros_lead(tmp_path):
    table = pd.DataFrame({"sample_id": [f"{i:03d}" for i in range(N)], "u": X[:, 0], "v": X[:, 1]})
    table.to_csv(tmp_path / "a.csv", index=False)
    held = sg.load_representations(tmp_path / "a.csv", ids="sample_id")["a"]
    assert held.ids[7] == "007"
    table["sample_id"] = range(N)
    table.to_csv(tmp_path / "b.csv", index=False)
    assert sg.load_representations(tmp_path / "b.csv", ids="sample_id")["b"].ids[7] == 7


def test_labels_given_as_they_are(tmp_path):
    np.save(tmp_path / "x.npy", X)
    np.save(tmp_path / "y.npy", Y[ORDER])
    np.save(tmp_path / "names.npy", NAMES[ORDER])
    pd.DataFrame({"who": NAMES, "age": 3}).to_csv(tmp_path / "people.csv", index=False)
    b = sg.load_representations(tmp_path / "y.npy", ids=tmp_path / "names.npy")
    for ids in (NAMES, list(NAMES), f"{tmp_path}/people.csv:who"):
        a = sg.load_representations(tmp_path / "x.npy", ids=ids)
        assert sg.debiased_cka(a, b) == pytest.approx(TRUE, abs=1e-7)


def make_wrong(folder):
    np.save(folder / "x.npy", X)
    np.savez(folder / "x.npz", a=X, line=np.arange(N))
    np.save(folder / "objects.npy", np.array([{"a": 1}, None]), allow_pickle=True)
    (folder / "cut.npy").write_bytes((folder / "x.npy").read_bytes()[:-40])
    (folder / "empty.npy").write_bytes(b"")
    (folder / "text.csv").write_text("a,b\n1,x\n2,y\n")
    (folder / "late.csv").write_text("a,b\n" + "1,2\n" * 300 + "1,x\n")
    (folder / "years.csv").write_text("2019,2020\n1.5,2\n2.5,3\n")
    (folder / "levels.csv").write_text(",,a\nx,0,1.5\nx,1,2.5\n")
    (folder / "named.csv").write_text("sample_id,b\n1,2\n2,3\n")
    (folder / "holes.csv").write_text("a,b\n1,\n2,3\n")
    (folder / "commas.csv").write_text("a;b\n" + "1,25;2,5\n3,5;4,75\n")
    (folder / "r.csv").write_text("a,b\n" + "p1,1.5,2\np2,3,4\n")
    (folder / "long.csv").write_text("a,b\n" + "1,2\n" * 300 + "1,5,2\n")
    (folder / "x.xlsx").write_bytes(b"PK")
    (folder / "broken.parquet").write_bytes(b"PAR1 nothing")
    (folder / "broken.h5").write_bytes(b"nothing at all")
    (folder / "broken.npz").write_bytes(b"PK\x03\x04nothing")
    (folder / "broken.safetensors").write_bytes(b"\x00" * 20)
    (folder / "few.txt").write_text("a\nb\n")
    uneven = pa.array([[1.0, 2.0], [1.0]])
    pa.parquet.write_table(pa.table({"v": uneven}), folder / "uneven.parquet")
    missing = pa.array([[1.0, 2.0], None])
    pa.parquet.write_table(pa.table({"v": missing}), folder / "missing.parquet")
    torch.save(torch.ones(3, 2).to_sparse(), folder / "sparse.pt")
    with h5py.File(folder / "sparse.h5ad", "w") as file:
        file["obs/_index"] = [1, 2]
        file.create_group("obsm")
        file.create_group("X").attrs["encoding-type"] = "csr_matrix"
    with zipfile.ZipFile(folder / "others.npz", "w") as archive:
        archive.writestr("a.npy", b"no array")
    torch.save(torch.zeros(1).expand(40, 2_000_000_000), folder / "repeated.pt")
    torch.save(torch.as_strided(torch.zeros(40), (40, 10**9), (1, 0)), folder / "strided.pt")
    torch.save(torch.empty(40, 5, device="meta"), folder / "meta.pt")
    with zipfile.ZipFile(folder / "twice.npz", "w") as archive:
        for name in ("a", "a.npy"):
            archive.writestr(name, (folder / "x.npy").read_bytes())
    with h5py.File(folder / "deep.h5", "w") as file:
        file["/".join("g" * 200)] = X


@pytest.mark.parametrize(
    ("path", "ids", "message"),
    [
        ("absent.npy", None, r"absent\.npy: no such file; expected representations \(\.npy, \.npz"),
        (".", None, "a folder, not a file"),
        ("x.xlsx", None, r"expected representations in one of the formats .*, got \.xlsx"),
        ("empty.npy", None, r"empty \(0 bytes\)"),
        ("cut.npy", None, r"declares \(60, 5\) of float32, 1200 bytes; 1,160 follow: cut or dam"),
        ("objects.npy", None, "holds Python objects, a pickle"),
        ("x.npz:b", None, r"nothing in it is called 'b'\. Known: a"),
        ("x.npz:line", None, "expected rows × units, got a single axis"),
        ("x.npy", "who", "no column and no file of ids is called 'who'"),
        ("x.npz", "lime", r"no column and no file of ids is called 'lime'.* Did you mean 'line'"),
        ("x.npy", "few.txt", "expected an id for each of its 60 rows, got 2"),
        ("x.npy", "text.csv", "expected one column of ids, got 2; name it, text.csv:a"),
        ("text.csv", None, r"expected columns of numbers, got 'b' \(text\); leave it out, or name"),
        ("late.csv", None, "column 'b' holds numbers at first, and text further on"),
        ("years.csv", None, "the first line, 2019, 2020, may be names or a row"),
        ("commas.csv", None, "the first line has 1 cells and the second 3; expected equally many"),
        ("r.csv", None, "the first line has 2 cells and the second 3; expected equally many"),
        ("long.csv", None, r"not readable as a table of numbers \(.*"),
        ("levels.csv", None, "2 columns have no name, like an index with several levels"),
        (
            "named.csv",
            None,
            "column 'sample_id' of numbers has a name that ids usually have; name it",
        ),
        ("broken.parquet", None, "not readable as Parquet"),
        ("broken.h5", None, "not readable as HDF5"),
        ("broken.npz", None, r"not a whole \.npz"),
        ("others.npz", None, "not an array in NumPy's format"),
        ("broken.safetensors", None, "not readable as safetensors"),
        ("uneven.parquet", None, "column 'v' holds vectors of different lengths"),
        ("missing.parquet", None, "column 'v' has missing vectors, or missing numbers"),
        ("sparse.pt", None, r"holds no matrix of rows × units \(.*it is sparse"),
        ("repeated.pt", None, "it repeats 4 bytes into 320,000,000,000; store it as it is"),
        ("strided.pt", None, "it repeats 160 bytes into 160,000,000,000"),
        ("meta.pt", None, "its numbers were not stored"),
        ("twice.npz", None, "holds two arrays called 'a'"),
        ("deep.h5", None, "groups within groups more than 100 deep"),
        ("sparse.h5ad:X", None, r"cannot be compared: it is sparse \(csr_matrix\)"),
    ],
)
def test_what_cannot_be_read_is_told(path, ids, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    make_wrong(tmp_path)
    with pytest.raises(StratigraphError, match=message) as raised:
        sg.load_representations(path, ids)
    kinds = (InputError, UnsafeFileError, DataError)
    assert isinstance(raised.value, kinds)


def test_what_pandas_writes_for_nan_is_nan(tmp_path):
    frame = pd.DataFrame({"u": X[:, 0], "v": (X[:, 1] * 9).round()})
    frame.loc[7, "u"] = np.nan
    frame.to_parquet(tmp_path / "a.parquet")
    held = {**sg.load_representations(tmp_path / "a.parquet"), "x": X}
    with pytest.warns(UserWarning, match=r"'a'.* 1 of 120 values .* \(nan\) at probe 7, unit 0"):
        found = sg.similarity_matrix(held)
    assert np.isnan(found.values).tolist() == [[True, True], [True, False]]
    frame["v"] = frame["v"].astype("Int64").mask(frame["v"] > 9)
    frame.to_parquet(tmp_path / "b.parquet")
    with pytest.raises(DataError, match=r"column 'v' has \d+ missing values"):
        sg.load_representations(tmp_path / "b.parquet")


def test_holes_are_told_where_they_are_compared(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    make_wrong(tmp_path)
    with pytest.raises(InputError, match=r"1 of 4 values are not finite.* at probe 0, unit 1"):
        sg.linear_cka(sg.load_representations("holes.csv"), X[:2])


def test_a_missing_library_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "h5py", None)
    (tmp_path / "a.h5").write_bytes(b"x")
    with pytest.raises(StratigraphError, match=r"HDF5 files need h5py, .* pip install h5py"):
        sg.load_representations(tmp_path / "a.h5")


@pytest.mark.parametrize("kind", ["packed.npz", "vector.parquet", "a.csv"])
def test_what_is_unpacked_to_the_disk_is_the_same_and_goes(kind, tmp_path, monkeypatch):
    monkeypatch.setattr(rows_of_files, "HOLD", 500)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "scratch"))
    (tmp_path / "scratch").mkdir()
    path, ids = write(tmp_path / kind, X, NAMES)
    held = sg.load_representations(path, ids)
    (only,) = held.values()
    assert len(list((tmp_path / "scratch").iterdir())) == 1
    np.testing.assert_array_equal(np.asarray(only, np.float32), X)
    del held, only
    assert list((tmp_path / "scratch").iterdir()) == []


def test_names_of_files_are_told_from_those_of_studies():
    for name in ("a.npy", "dir/a.NPZ:x", "a.h5ad:obsm/X", "b.parquet"):
        assert is_file_of_representations(name)
    for name in ("study.yaml", "results/quick", "s3://bucket/study"):
        assert not is_file_of_representations(name)


def test_memory_is_said_in_words_too(tmp_path):
    np.save(tmp_path / "x.npy", X)
    held = sg.load_representations(tmp_path / "x.npy")
    for compare in (sg.similarity_matrix, interval_matrix):
        assert compare(held, {"y": Y}, memory="2 GB").item() == pytest.approx(TRUE, abs=1e-6)
        with pytest.raises(InputError, match=r"^memory: expected a number of bytes, .*got 'much'"):
            compare(held, {"y": Y}, memory="much")


def _make_hdf5(kind: str, file: Any) -> None:
    if kind == "external":
        file.create_dataset("x", (20, 3), "u1", external=[("/etc/passwd", 0, 60)])
    elif kind == "virtual":
        layout = h5py.VirtualLayout((20, 3), "f4")
        layout[:] = h5py.VirtualSource("/etc/passwd", "x", (20, 3))
        file.create_virtual_dataset("x", layout)
    else:
        shape, chunks, more = {
            "rows": ((2**40, 8), (1024, 8), {}),
            "units": ((20, 2**33), (1, 2**20), {}),
            "packed": ((20, 2**27), (1, 2**22), {"compression": "gzip"}),
            "contiguous": ((2**30, 8), None, {}),
            "chunk": ((4, 2**28), (1, 2**28), {}),
            "nothing": ((2**50, 0), (1024, 1), {"maxshape": (None, None)}),
        }[kind]
        file.create_dataset("x", shape, "f4", chunks=chunks, **more)


@pytest.mark.parametrize(
    ("kind", "why"),
    [
        ("rows", "it declares 35,184,372,088,832 bytes, of which the file holds 0; at most 1,100"),
        ("units", "of which the file holds 0"),
        ("packed", "of which the file holds 0"),
        ("contiguous", "of which the file holds 0"),
        ("chunk", "of which the file holds 0"),
        ("nothing", "which holds nothing"),
        ("external", "its values are in other files, which are not read"),
        ("virtual", "its values are in other files, which are not read"),
    ],
)
def test_hdf5_that_declares_more_than_it_holds(tmp_path, kind, why):
    """Refused by what the file says of itself, before a byte is unpacked."""
    with h5py.File(tmp_path / "a.h5", "w") as file:
        _make_hdf5(kind, file)
    with pytest.raises(DataError, match=why):
        sg.load_representations(tmp_path / "a.h5")
    with h5py.File(tmp_path / "a.h5", "a") as file:
        file["good"] = np.eye(5)
    assert list(sg.load_representations(tmp_path / "a.h5")) == ["good"]


def test_hdf5_that_is_packed_a_thousandfold_is_read(tmp_path):
    """A layer that never fires, of 100 MB in 100 KB."""
    with h5py.File(tmp_path / "a.h5", "w") as file:
        held = file.create_dataset(
            "x", (4000, 6250), "f4", chunks=(400, 6250), compression="gzip", compression_opts=9
        )
        held[:] = np.zeros((4000, 6250), np.float32)
    (found,) = sg.load_representations(tmp_path / "a.h5").values()
    assert found.shape == (4000, 6250)
