"""Figures are drawn once, by any number of processes, in the formats that were asked for."""

from __future__ import annotations

import io
import os
import signal
from functools import partial

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from stratigraph.cli.main import main
from stratigraph.errors import InputError
from stratigraph.records import read_json
from stratigraph.report import drawing, write_report
from stratigraph.report.drawing import FORMATS, Sketch, check_formats, draw, draw_all, plain_style
from stratigraph.report.figures import draw_convergence
from stratigraph.report.figures.bands import draw_bands
from stratigraph.report.figures.layout import add_scale
from stratigraph.report.figures.style import STYLE, name_power, new_figure, step_axis

BEGINS = {"webp": b"RIFF", "png": b"\x89PNG", "pdf": b"%PDF", "svg": b"<?xml"}


def line(height):
    figure = new_figure(3, 2)
    axis = figure.subplots()
    axis.plot([0, 10, 100], [0, height, 1])
    axis.set_title(f"to {height}")
    step_axis(axis, [0, 10, 100])
    return figure


def sketches(count):
    return [Sketch(f"line-{i}", partial(line, i / count), "measures") for i in range(count)]


def test_every_format_is_of_the_one_figure():
    picture = draw(sketches(1)[0], FORMATS)
    assert list(picture.files) == list(FORMATS)
    for name, content in picture.files.items():
        assert content.startswith(BEGINS[name])
    assert draw(sketches(1)[0], FORMATS) == picture
    assert (picture.width, picture.height) == (288, 192)  # 96 pixels an inch


def test_the_raster_is_what_matplotlib_draws():
    """To the pixel what `savefig` gives, but for colours that nobody tells apart."""
    picture = draw(sketches(1)[0])
    buffer = io.BytesIO()
    with plain_style():
        line(0.0).savefig(buffer, format="png", dpi="figure")
    ours, theirs = Image.open(io.BytesIO(picture.files["webp"])), Image.open(buffer)
    ours, theirs = np.asarray(ours, int), np.asarray(theirs.convert("RGB"), int)
    assert np.abs(ours - theirs).max() <= 8
    np.testing.assert_array_equal(ours[theirs == 255], 255)


@pytest.mark.parametrize("workers", [1, 2, 5, 40])
def test_pictures_come_in_the_order_of_the_sketches(workers):
    wanted = {sketch.name: draw(sketch) for sketch in sketches(7)}
    found = draw_all(sketches(7), workers=workers)
    assert list(found) == list(wanted)
    assert found == wanted
    assert draw_all([], workers=workers) == {}


def test_more_figures_than_a_pipe_holds_are_drawn(monkeypatch):
    monkeypatch.setattr(drawing, "MOST_IN_PIPE", 3)
    assert list(draw_all(sketches(5), workers=2)) == [f"line-{i}" for i in range(5)]


def killed_in_a_fork(parent, height):
    if os.getpid() != parent:
        os.kill(os.getpid(), signal.SIGKILL)
    return line(height)


def test_what_a_lost_process_took_is_drawn_all_the_same():
    own = [
        Sketch(sketch.name, partial(killed_in_a_fork, os.getpid(), i / 7))
        for i, sketch in enumerate(sketches(7))
    ]
    assert draw_all(own, workers=4) == draw_all(sketches(7))


def test_without_room_for_what_forks_draw_this_process_draws_all(monkeypatch):
    def full():
        raise OSError("no space left on device")

    monkeypatch.setattr(drawing.tempfile, "TemporaryFile", full)
    assert draw_all(sketches(3), workers=3) == draw_all(sketches(3))


def fail():
    raise ValueError("no such number")


@pytest.mark.parametrize("workers", [1, 3])
def test_an_error_is_raised_here_and_no_process_is_left(workers, monkeypatch):
    forks, fork = [], drawing._fork
    monkeypatch.setattr(drawing, "_fork", lambda *given: forks.append(fork(*given)) or forks[-1])
    with pytest.raises(ValueError, match="no such number"):
        draw_all([*sketches(2), Sketch("bad", fail), *sketches(2)], workers=workers)
    assert len(forks) == workers - 1
    for process, _ in forks:
        with pytest.raises(ChildProcessError):
            os.waitpid(process, os.WNOHANG)


def test_formats_are_checked_and_the_shown_one_is_always_there():
    assert check_formats([]) == ("webp",)
    assert check_formats([" SVG", "pdf", "pdf", ""]) == ("webp", "pdf", "svg")
    with pytest.raises(
        InputError, match=r"--formats: 'pfd' is not one of webp, png, pdf, svg\. Did"
    ):
        check_formats(["pfd"])


def suffixes(folder):
    return {path.suffix for path in (folder / "figures").iterdir()}


def test_formats_that_were_asked_for_are_drawn_again(tiny_study, tmp_path, monkeypatch):
    """And no longer, once others are asked for."""
    few = {"measures-behave": sketches(2)}
    monkeypatch.setattr("stratigraph.report.write.sections", lambda data: few)
    page = write_report(tiny_study, tmp_path, formats=["pdf", "svg"])
    assert suffixes(tmp_path) == {".webp", ".pdf", ".svg", ".json"}
    assert "File: figures/line-1.webp, .pdf, .svg<" in page.read_text()
    before = {path.name: path.read_bytes() for path in (tmp_path / "figures").iterdir()}
    write_report(tiny_study, tmp_path)
    assert {path.name: path.read_bytes() for path in (tmp_path / "figures").iterdir()} == before
    assert read_json(tmp_path / "figures" / "manifest.json")["about"] == {
        "formats": ["webp", "pdf", "svg"]
    }
    with pytest.raises(SystemExit):
        main(["report", str(tiny_study.path), "--out", str(tmp_path), "--formats", "png"])
    assert suffixes(tmp_path) == {".webp", ".png", ".json"}
    write_report(tiny_study, tmp_path, formats=[])
    assert suffixes(tmp_path) == {".webp", ".json"}
    assert "File: figures/line-1.webp<" in page.read_text()


def test_a_figure_of_columns_is_called_by_what_they_share():
    """Its title was its last column's, which a variable of the same name had put in its place."""
    table = pd.DataFrame(
        {
            "configuration": ["beta = 1", "beta = 1", "beta = 8", "beta = 8"],
            "step": [0, 5, 0, 5], "layer": "z_mean", "part": "latents", "runs": 2,
            "mean": 0.5, "low": 0.4, "high": 0.6,
        }
    )  # fmt: skip
    labels = ["beta = 1", "beta = 8"]
    figure = draw_convergence({"debiased_cka": table}, labels, "beta_vae · sprites", 0.9)
    assert figure.get_suptitle() == "beta_vae · sprites"
    assert [axis.get_title() for axis in figure.axes] == ["beta = 1 (2 runs)", "beta = 8 (2 runs)"]


def test_a_panel_has_room_for_what_stands_around_it():
    """Nothing is cut off or covered: of two by two panels, a legend, a title and a scale."""
    with plain_style(), mpl.rc_context(STYLE):
        figure = new_figure(6, 4)
        axes = figure.subplots(2, 2, squeeze=False)
        for axis, high in zip(axes.ravel(), (1, 1000, 1e-7, 20), strict=True):
            axis.plot([0, 10, 100], [0, high, high / 2], label=f"to {high}")
            axis.set_title("one line\nand another")
            axis.set_ylabel("what is measured")
            step_axis(axis, [0, 10, 100])
        add_scale(figure, axes[0, 0].imshow(np.eye(2), aspect="auto"), "score")
        figure.legend(*axes[0, 1].get_legend_handles_labels(), loc="outside right center")
        figure.suptitle("All of them")
        figure.draw_without_rendering()
    boxes = [axis.get_tightbbox() for axis in figure.axes]
    boxes += [one.get_window_extent() for one in (*figure.legends, *figure.texts)]
    for place, box in enumerate(boxes):
        assert min(box.x0, box.y0) >= 0
        assert box.x1 <= figure.bbox.x1
        assert box.y1 <= figure.bbox.y1
        assert not any(box.overlaps(other) for other in boxes[:place])


def test_a_panel_is_measured_again_where_its_new_size_has_other_ticks():
    with plain_style():
        figure = new_figure(3, 0.9)
        axis = figure.subplots()
        axis.plot([0, 1], [0, 123456])
        axis.set_title("as high\nas the\npanel")
        figure.draw_without_rendering()
    assert axis.get_tightbbox().x0 >= 0


@pytest.mark.parametrize(
    ("value", "name"),
    [(0, "0"), (1, "10⁰"), (1000, "10³"), (-0.01, "−10⁻²"), (20, "20"), (-2.5, "−2.5")],
)
def test_powers_are_named_in_letters(value, name):
    assert name_power(value) == name


def test_an_interval_is_drawn_where_it_is_known():
    table = pd.DataFrame({"step": [4, 0, 1, 2, 3], "mean": 0.5, "low": 0.4, "high": 0.6})
    table.loc[table["step"] == 2, ["low", "high"]] = np.nan
    axis = new_figure(3, 2).subplots()
    draw_bands(axis, [(table, "blue", "-", "all"), (table.assign(low=np.nan), "red", "-", None)])
    (intervals,) = axis.collections
    spans = [path.get_extents().extents.tolist() for path in intervals.get_paths()]
    assert spans == [[0, 0.4, 1, 0.6], [3, 0.4, 4, 0.6]]
    assert [line.get_xdata().tolist() for line in axis.lines] == [[0, 1, 2, 3, 4]] * 2
