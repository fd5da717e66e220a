"""The report of a study: numbers (`data`), then ink (`figures`), then one HTML file."""

from stratigraph.report.drawing import check_formats as check_formats
from stratigraph.report.headline import headline as headline, reach_table as reach_table
from stratigraph.report.write import (
    drawn_formats as drawn_formats,
    report_path as report_path,
    write_report as write_report,
)
