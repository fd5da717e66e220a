"""The report of a study: numbers (`figure_data`), then ink (`figures`), then one HTML file."""

from stratigraph.report.headline import headline, reach_table
from stratigraph.report.write import report_path, write_report

__all__ = ["headline", "reach_table", "report_path", "write_report"]
