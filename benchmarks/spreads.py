"""How far replicates spread in kept studies: the table that `stratigraph plan` guesses by.

    python benchmarks/spreads.py [STUDY …]      # by default the kept ones, studies/results/*

For each primary question of each study: its estimate, and its standard error over replicates times
√(configurations × replicates) (`stratigraph.cost.replicates`).
"""

from __future__ import annotations

import math
import sys
from pathlib import Path

import pandas as pd

import stratigraph as sg
from stratigraph.evidence.family import PRIMARY
from stratigraph.stages.assess import findings_of

ROOT = Path(__file__).parents[1]
TABLE = ROOT / "src" / "stratigraph" / "cost" / "spreads.csv"


def spreads(path):
    """The rows of one study."""
    for finding in findings_of(sg.load_study(path)):
        question = finding.question
        one = next(iter(finding.estimates.values()), None)
        if question.key not in PRIMARY or one is None or one.parts:
            continue
        if math.isfinite(one.error_replicates):
            yield {
                "question": question.key, "study": path.name, "value": one.value,
                "spread": one.error_replicates * math.sqrt(one.runs), "null": one.null,
                "least": question.least, "one_sided": question.one_sided,
                "configurations": one.configurations, "runs": one.runs, "freedom": one.freedom,
            }  # fmt: skip


def main():
    paths = [Path(name) for name in sys.argv[1:]] or sorted((ROOT / "studies/results").iterdir())
    table = pd.DataFrame([row for path in paths for row in spreads(path)])
    table.to_csv(TABLE, index=False, float_format="%.4g")
    print(table.to_string())


if __name__ == "__main__":
    main()
