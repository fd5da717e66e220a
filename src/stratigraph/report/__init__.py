"""The report of a study: numbers (`figure_data`), then ink (`figures`), then one HTML file."""

from stratigraph.report.drawing import check_formats
from stratigraph.report.headline import headline, reach_table
from stratigraph.report.write import drawn_formats, report_path, write_report

__all__ = [
    "check_formats",
    "drawn_formats",
    "headline",
    "reach_table",
    "report_path",
    "write_report",
]
