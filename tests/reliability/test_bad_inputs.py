"""The 75 bad inputs: each has a test, here or where its subject is tested; this file says where.

Numbers as in `TABLE`. What a person sees is part of the promise: the text names what was given,
what is allowed, and what to do.
"""

from __future__ import annotations

import ast
import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader

import stratigraph as sg
from stratigraph.cli.main import main
from stratigraph.errors import InputError
from stratigraph.records.files import sealed_text

TESTS = Path(__file__).parents[1]
SOURCE = TESTS.parent / "src"
INPUTS = "similarity/test_inputs.py"
CONFIG = "training/test_config.py::test_bad_values_are_said_with_their_names"
STUDY = "cli/test_cli.py::test_a_bad_study_is_told_in_one_line"
COMMAND = "cli/test_cli.py::test_a_bad_command_is_told_in_one_line"
YAML = "study/test_yaml_file.py"
WEIGHTS = "reliability/test_foreign_weights.py"
HERE = "reliability/test_bad_inputs.py"

TABLE = {
    **dict.fromkeys([*range(1, 8), *range(9, 11), *range(12, 20)],
                    f"{INPUTS}::test_refused_with_the_reason"),
    8: f"{INPUTS}::test_debiased_needs_four_probes",
    11: f"{INPUTS}::test_more_axes_are_flattened",
    20: f"{INPUTS}::test_quantised_tensors_are_refused",
    21: f"{INPUTS}::test_other_dtypes_work",
    22: f"{INPUTS}::test_constant_is_undefined_with_a_reason",
    23: f"{INPUTS}::test_constant_is_undefined_with_a_reason",
    24: f"{INPUTS}::test_a_spread_at_float32_resolution_is_told",
    25: f"{HERE}::test_25_cca_with_as_many_units_as_probes",
    26: f"{HERE}::test_26_extreme_scales",
    27: f"{INPUTS}::test_duplicated_probes_work",
    28: f"{INPUTS}::test_unknown_measure_suggests",
    29: "similarity/test_families.py::test_bandwidths_that_are_none",
    30: "activations/test_capture.py::test_unknown_layers_have_near_names",
    31: "activations/test_capture.py::test_a_layer_that_never_runs",
    32: "activations/test_capture.py::test_a_layer_that_returns_no_row_for_every_input",
    33: f"{HERE}::test_33_two_passes_that_differ",
    34: f"{HERE}::test_34_two_networks_that_saw_different_inputs",
    35: "activations/test_capture.py::test_bad_batch_sizes",
    36: CONFIG,
    37: f"{HERE}::test_37_more_memory_than_there_is",
    38: f"{YAML}::test_words_and_numbers",
    39: STUDY,
    40: f"{YAML}::test_refused",
    41: f"{YAML}::test_refused",
    42: f"{YAML}::test_an_alias_bomb_is_refused_at_once",
    43: f"{YAML}::test_files",
    44: f"{HERE}::test_44_an_empty_study_file",
    **dict.fromkeys([45, 46, 47, 48, 49], CONFIG),
    **dict.fromkeys([50, 52, 53], STUDY),
    51: COMMAND,
    54: f"{HERE}::test_54_names_that_are_paths",
    55: f"{HERE}::test_55_a_name_that_is_markup",
    56: "e2e/test_study.py::test_another_grid_in_the_same_folder_is_refused",
    57: f"{HERE}::test_57_a_study_folder_that_is_none",
    58: f"{HERE}::test_58_a_study_of_a_newer_version",
    59: COMMAND,
    60: COMMAND,
    61: f"{HERE}::test_61_a_port_that_is_none_or_taken",
    62: f"{HERE}::test_62_the_world_without_a_token",
    **dict.fromkeys([63, 64], f"{WEIGHTS}::test_files_that_are_no_weights"),
    65: f"{WEIGHTS}::test_weights_that_do_not_fit_are_listed_and_nothing_is_loaded",
    66: f"{WEIGHTS}::test_weights_that_do_not_fit_are_listed_and_nothing_is_loaded",
    67: f"{WEIGHTS}::test_a_whole_module_is_refused_with_how_to_convert",
    68: "stages/test_stop.py::test_a_run_does_not_go_on_under_other_conditions",
    69: "data/test_arrays.py::test_arrays_that_are_no_images",
    70: "data/test_published.py::test_an_npz_that_is_not_dsprites",
    71: "data/test_published.py::test_matrices_that_are_not_smallnorb",
    72: "data/test_published.py::test_a_cut_gzip_file",
    73: "data/test_download.py::test_a_wrong_hash_is_quarantined",
    74: "stages/test_stop.py::test_one_signal_stops_with_everything_saved",
    75: f"{HERE}::test_75_a_reader_that_stops",
}  # fmt: skip


def test_every_bad_input_has_a_test():
    assert set(TABLE) == set(range(1, 76))
    for number, place in TABLE.items():
        file, _, name = place.partition("::")
        tree = ast.parse((TESTS / file).read_text())
        found = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
        assert name in found, f"{number}: {place} is not there"


def refused(capsys, *arguments: object) -> tuple[int, str]:
    """The exit code and standard error of a command."""
    with pytest.raises(SystemExit) as stopped:
        main([str(argument) for argument in arguments])
    told = capsys.readouterr().err
    assert "Traceback" not in told
    return int(stopped.value.code or 0), told


def test_25_cca_with_as_many_units_as_probes():
    x = np.random.default_rng(0).normal(size=(20, 20))
    with pytest.raises(InputError, match=r"20 units.*20 probes|20 probes.*20 units"):
        sg.similarity_matrix({"x": x, "y": x[:, :3]}, measure="mean_cca")


@pytest.mark.parametrize("scale", [1e20, 1e-20])
def test_26_extreme_scales(scale):
    random = np.random.default_rng(0)
    x, y = random.normal(size=(30, 5)), random.normal(size=(30, 4))
    assert sg.linear_cka(x * scale, y) == pytest.approx(sg.linear_cka(x, y), abs=1e-9)
    assert sg.procrustes_similarity(x * scale, y) == pytest.approx(
        sg.procrustes_similarity(x, y), abs=1e-9
    )


def test_33_two_passes_that_differ():
    class Noisy(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.last = nn.Linear(3, 3), nn.Linear(3, 3)

        def forward(self, x):
            return self.last(torch.nn.functional.dropout(self.first(x), training=True))

    with pytest.raises(InputError, match=r"layer last: .* second pass, in eval mode; it draws ran"):
        sg.capture(Noisy(), torch.ones(20, 3))


def test_34_two_networks_that_saw_different_inputs():
    a, b = nn.Linear(3, 4), nn.Linear(3, 4)
    a, b = nn.Sequential(a), nn.Sequential(b)
    inputs = torch.rand(20, 3)
    # A loader that shuffles gives another order each time it is read.
    loader = DataLoader(inputs, batch_size=5, shuffle=True, generator=torch.Generator())
    text = r"^a and b: they were captured from different inputs.*sg\.compare.*dict\(a\)"
    with pytest.raises(InputError, match=text):
        sg.similarity_matrix(sg.capture(a, loader), sg.capture(b, loader))
    # An iterator goes on where the first network left it, and then has nothing more.
    batches = iter([inputs])
    sg.capture(a, batches)
    with pytest.raises(InputError, match=r"^inputs: no batches. An iterator gives its batches"):
        sg.capture(b, batches)
    # The same inputs, cut otherwise, are the same; sg.compare shows both every batch.
    again = sg.capture(b, [inputs[:3], inputs[3:]])
    want = sg.similarity_matrix(sg.capture(a, inputs), again)
    for both in (loader, iter([inputs[:8], inputs[8:]])):
        np.testing.assert_allclose(sg.compare(a, b, both), want, atol=1e-6)


def test_37_more_memory_than_there_is(monkeypatch):
    from stratigraph import machine

    monkeypatch.setattr(machine.os, "sysconf", lambda name: 100)
    x = np.random.default_rng(0).normal(size=(30, 5))
    with pytest.raises(InputError, match=r"need about .* GB, and this machine has"):
        sg.similarity_matrix({str(i): x for i in range(40)})


@pytest.mark.parametrize("content", ["", "\n\n", "# nothing\n"])
def test_44_an_empty_study_file(capsys, tmp_path, content):
    (tmp_path / "study.yaml").write_text(content)
    code, told = refused(capsys, "run", tmp_path / "study.yaml", "--out", tmp_path / "out")
    assert code == 2
    assert "study.yaml" in told
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["../x", "a/b", '"a\\0b"', "x" * 300, "-x", "''", ".."])
def test_54_names_that_are_paths(capsys, tmp_path, tiny_file, name):
    path = tmp_path / "s.yaml"
    path.write_text(tiny_file.read_text().replace("name: tiny", f"name: {name}"))
    code, told = refused(capsys, "train", path, "--out", tmp_path / "out")
    assert code == 2, told
    assert "name: expected 1 to 100" in told or "not readable" in told or "line 2" in told
    assert not (tmp_path / "out").exists()


def test_55_a_name_that_is_markup(tiny_study, tmp_path, without_ink):
    """It works, and stands in the report as text."""
    import shutil

    from stratigraph.stages import run_stage

    folder = tmp_path / "study"
    shutil.copytree(tiny_study.path, folder)
    name = "<img onerror=alert(1)>"
    text = tiny_study.config.text.replace("name: tiny", f"name: '{name}'")
    (folder / "study.yaml").write_bytes(sealed_text(text))
    study = sg.load_study(folder)
    assert study.config.name == name
    run_stage("report", study)
    html = (folder / "report" / "index.html").read_text()
    assert name not in html
    assert "&lt;img onerror=alert(1)&gt;" in html


def test_57_a_study_folder_that_is_none(capsys, tmp_path, tiny_file):
    (tmp_path / "file").write_text("")
    (tmp_path / "link").symlink_to(tmp_path / "absent")
    for place in ("file", "link"):
        code, told = refused(capsys, "train", tiny_file, "--out", tmp_path / place)
        assert code == 6
        assert f"{place}: expected a folder, or nothing; choose another --out" in told


def test_58_a_study_of_a_newer_version(capsys, tmp_path, tiny_file):
    folder = tmp_path / "study"
    folder.mkdir()
    sealed = sealed_text(tiny_file.read_text()).replace(b"format 1,", b"format 9,")
    (folder / "study.yaml").write_bytes(sealed)
    for command in (["list", folder], ["run", tiny_file, "--out", folder]):
        code, told = refused(capsys, *command)
        assert code == 2
        assert "written in format 9, this version reads up to 1; upgrade" in told
    assert (folder / "study.yaml").read_bytes() == sealed


def test_61_a_port_that_is_none_or_taken(tiny_study, capsys):
    code, told = refused(capsys, "serve", tiny_study.path, "--port", 70000)
    assert code == 2
    assert "--port: expected a number from 0 (any) to 65535, got 70000" in told
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, told = refused(capsys, "serve", tiny_study.path, "--port", port)
    assert code == 5
    assert f"--port: {port} on 127.0.0.1 is in use" in told


def test_62_the_world_without_a_token(tiny_study, capsys):
    code, told = refused(capsys, "serve", tiny_study.path, "--host", "0.0.0.0")
    assert code == 2
    assert "--token" in told
    assert "SSH tunnel" in told


def test_75_a_reader_that_stops(tiny_study):
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [sys.executable, "-m", "stratigraph", "measures"],
        stdout=writing,
        stderr=subprocess.PIPE,
        env={"PYTHONPATH": str(SOURCE), "PATH": ""},
        check=False,
    )
    os.close(writing)
    assert done.stderr == b""


@pytest.mark.skipif(os.name != "posix" or os.getuid() != 0, reason="needs another user's rights")
def test_a_study_that_may_only_be_read(tiny_study, tmp_path, without_ink):
    """Training says so before its first step; what only reads works, the report elsewhere too."""
    import shutil

    from stratigraph.engine import LocalEngine
    from stratigraph.errors import StorageError
    from stratigraph.report import write_report
    from stratigraph.stages import run_stage, verify_study

    folder = Path("/tmp") / f"read-only-{os.getpid()}"
    shutil.copytree(tiny_study.path, folder)
    shutil.rmtree(next((folder / "runs").iterdir()) / "snapshots" / "000000012")
    before = verify_study(folder).bytes
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.setuid(65534)
            study = sg.load_study(folder)
            with pytest.raises(StorageError, match="Permission denied"):
                run_stage("train", study, LocalEngine(1))
            assert not list(folder.rglob("checkpoint"))
            with pytest.raises(StorageError, match="Permission denied"):
                run_stage("report", study)
            assert study.similarity("debiased_cka").shape[0] > 10
            code = 0
        finally:
            os._exit(code)
    try:
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert write_report(sg.load_study(folder), tmp_path).is_file()
        assert verify_study(folder).bytes == before
    finally:
        shutil.rmtree(folder)


@pytest.mark.skipif(os.name != "posix" or os.getuid() != 0, reason="needs another user's rights")
def test_files_that_may_not_be_read(tiny_study):
    """One line that names the file; of a study's own, with the code of the disk."""
    import contextlib
    import shutil
    import tempfile

    place = Path(tempfile.mkdtemp(dir="/tmp"))
    place.chmod(0o755)
    np.save(place / "a.npy", np.random.default_rng(0).standard_normal((8, 3)))
    shutil.copytree(tiny_study.path, place / "study")
    (place / "said").touch()
    (place / "said").chmod(0o666)
    shutil.copytree(place / "study", place / "other")
    for name in ("a.npy", "study/findings.json", "other/study.yaml"):
        (place / name).chmod(0)
    given = {
        3: [["compare", str(place / "a.npy")]],
        6: [["power", str(place / "study")], ["list", str(place / "other")]],
    }
    try:
        for code, commands in given.items():
            for arguments in commands:
                with contextlib.suppress(SystemExit):  # so that its modules are there to a user
                    main(arguments)
                child = os.fork()
                if child == 0:
                    try:
                        with (place / "said").open("w") as sys.stderr:
                            os.setuid(65534)
                            main(arguments)
                    except SystemExit as ended:
                        os._exit(ended.code)
                    finally:
                        os._exit(99)
                assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == code
                said = (place / "said").read_text()
                assert said.count("\n") == 1
                assert "Permission denied" in said
                assert str(place) in said
    finally:
        shutil.rmtree(place)
