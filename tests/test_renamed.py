"""Former names: they work for one version more, and say so."""

import pytest
import torch
from torch import nn

import stratigraph as sg
from stratigraph.cli.main import main
from stratigraph.errors import InputError


def test_a_former_argument_works_and_says_so(tmp_path):
    with pytest.warns(
        DeprecationWarning, match=r"^to= is called out= now; .* next version$"
    ) as told:
        recorder = sg.record(nn.Sequential(nn.Tanh()), torch.randn(8, 2), to=tmp_path / "mine")
    assert told[0].filename == __file__
    recorder.close()
    assert sg.load_study(tmp_path / "mine").runs
    with pytest.raises(InputError, match=r"^to: the former name of out, which was given too"):
        sg.record(nn.Linear(2, 2), torch.randn(8, 2), to=tmp_path, out=tmp_path)


def test_a_former_name_is_checked_as_the_new_one(tiny_file, tmp_path):
    with (
        pytest.warns(DeprecationWarning, match="most_runs= is called max_runs= now"),
        pytest.raises(sg.ConfigError, match="4 runs, more than 1"),
    ):
        sg.run_study(tiny_file, tmp_path / "out", most_runs=1)


def test_a_former_option_works_and_says_so(tiny_study, tmp_path, monkeypatch):
    monkeypatch.setattr("stratigraph.report.write.sections", lambda data: {})
    with (
        pytest.warns(DeprecationWarning, match="--to is called --out now"),
        pytest.raises(SystemExit) as ended,
    ):
        main(["report", str(tiny_study.path), "--to", str(tmp_path)])
    assert not ended.value.code
    assert (tmp_path / "report" / "index.html").is_file()
