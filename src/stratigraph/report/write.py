"""The report: every figure, and one HTML file that holds them and their numbers."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from itertools import chain
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from stratigraph.engine import one_thread
from stratigraph.errors import InputError, IntegrityError
from stratigraph.evidence import LEAST_ROOM
from stratigraph.machine import count_cores
from stratigraph.records import MANIFEST, Files, read_json, record_exists, write_record
from stratigraph.renamed import takes_former
from stratigraph.report import tables
from stratigraph.report.answer import answer_words
from stratigraph.report.data import THRESHOLD, ReportData
from stratigraph.report.drawing import SHOWN, Picture, Sketch, check_formats, draw_all
from stratigraph.report.findings import finding_rows, list_changes, reach_of
from stratigraph.report.interactive import explore
from stratigraph.report.questions import ask_in_order, rest_of
from stratigraph.report.sections import sections
from stratigraph.study import Study
from stratigraph.study.layout import page_path

__all__ = ["drawn_formats", "render", "report_path", "write_report"]


def report_path(study: Study) -> Path:
    """Where a study's report is."""
    return page_path(study.path)


@takes_former(out="to")
def write_report(
    study: Study,
    out: Path | None = None,
    *,
    formats: Iterable[str] | None = None,
    workers: int | None = None,
    data: ReportData | None = None,
) -> Path:
    """Draw every figure of a study and write its report; return the report's path.

    Args:
        study: a compared study.
        out: the folder that ``figures`` and ``report`` are written into; by default the study's
            own. The study is not written to where another is given.
        formats: of `drawing.FORMATS`, in which figures are drawn beside the report's own; by
            default those in which they were drawn before.
        workers: processes that draw; by default one for each core. The bytes are the same.
        data: the numbers of the report, where they were made.

    Raises:
        InputError: the study has no matrix of a similarity yet, or there is no such format.
        StorageError: the disk would not take it.

    """
    place = study.path if out is None else Path(out)
    drawn_in = check_formats(_formats_of(place / "figures") if formats is None else formats)
    data = data or ReportData(study)
    if not data.scored:
        raise InputError(
            f"study {study.config.name} has no similarity matrix to report on; run `stratigraph "
            "compare`, with at least one measure that is 1 for identical representations."
        )
    if not data.configurations:
        raise InputError(
            f"study {study.config.name} has no run that reached its last step, so nothing has a "
            f"final state to report on; `stratigraph list {study.path}` says why."
        )
    with one_thread():
        found = sections(data)
        told: dict[str, Any] = {}
        pictures = draw_all(
            list(chain(*found.values())),
            drawn_in,
            workers or count_cores(),
            lambda: told.update(page_facts(data)),
        )
        html = render(found, pictures, told)

    def figures(files: Files) -> None:
        for name, picture in sorted(pictures.items()):
            for form, content in picture.files.items():
                files.add(f"{name}.{form}", content)

    path = place / report_path(study).relative_to(study.path)
    write_record(place / "figures", figures, {"formats": list(drawn_in)})
    write_record(path.parent, lambda files: files.add(path.name, html.encode()))
    return path


def drawn_formats(study: Study) -> list[str]:
    """The formats in which a study's figures are."""
    return _formats_of(study.path / "figures")


def _formats_of(folder: Path) -> list[str]:
    """The formats that figures were asked for in, when they were drawn before."""
    if record_exists(folder):
        with suppress(IntegrityError):  # damaged: they are drawn anew
            return list(read_json(folder / MANIFEST)["about"].get("formats", []))
    return []


def page_facts(data: ReportData) -> dict[str, Any]:
    """What the page tells beside its figures."""
    study = data.study
    rows = finding_rows(data.findings)
    return {
        "study": study.config,
        "codes": any(not (c.gaussian or c.supervised) for c in study.config.runs),
        "representations": len(data.first.labels),
        "probes": data.probes,
        "explore": explore(data),
        "answer": answer_words(data.findings),
        "findings": rows,
        "reach": reach_of(rows),
        "ways": list_changes(data.findings, data.ways_compared),
        "threshold": THRESHOLD,
        "least_room": LEAST_ROOM,
        "arrivals": list(tables.reach_rows(data)),
        "runs": list(tables.run_rows(data)),
        "measures": list(tables.measure_rows(study)),
        "versions": tables.versions(),
    }


def render(
    found: Mapping[str, Sequence[Sketch]], pictures: Mapping[str, Picture], told: Mapping[str, Any]
) -> str:
    """The report as one HTML file, with its figures and its script in it."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("stratigraph.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
    )
    environment.filters["base64"] = lambda content: base64.b64encode(content).decode()
    environment.filters["joined"] = lambda text: Markup(" ").join(text.split())
    environment.filters["settings"] = vars
    environment.filters["columns"] = _columns
    environment.filters["cells"] = lambda row, columns: [_told(row.get(name)) for name in columns]
    environment.filters["unasked"] = lambda row: [row["claim"], row["statement"], row["why"]]
    return environment.get_template("report.html").render(
        sections=found,
        pictures=pictures,
        shown=SHOWN,
        questions=ask_in_order(told["findings"], found),
        rest=rest_of(found),
        **told,
    )


def _columns(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """The columns of a table whose rows may lack some."""
    return list(dict.fromkeys(name for row in rows for name in row))


def _told(value: object) -> object:
    """A value of a table as it is told: numbers to three places."""
    if isinstance(value, float):
        return f"{value:.3g}".replace("-", "−")
    return "–" if value is None else value
