"""Draw docs/images/growth.svg from what `similarity.py growth streaming --json FILE` measured.

python benchmarks/plot_growth.py FILE docs/images/growth.svg
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import matplotlib.pyplot as plt

PANELS = [
    (r"stored CKA, K = ([\d,]+)$", "representations K (n = 500)", "all pairs, CPU s", 2),
    (r"pair, p = (\d+)$", "units p (n = 500)", "one pair, CPU s", 0),
    (r"reduce_units, p = (\d+)$", "units p (n = 500)", "preparing one, CPU s", 1),
    (r"stream_cka, n = (\d+)$", "probes n (3 layers)", "streamed CKA, CPU s", 1),
]


def main() -> None:
    """One panel for each job: measured points, and the power of growth that is promised."""
    rows = json.loads(Path(sys.argv[1]).read_text())
    figure, axes = plt.subplots(1, len(PANELS), figsize=(13, 3), layout="constrained")
    for axis, (pattern, x, y, power) in zip(axes, PANELS, strict=True):
        found = [(re.search(pattern, row["name"]), row["cpu"]) for row in rows]
        points = sorted((int(m.group(1).replace(",", "")), cpu) for m, cpu in found if m)
        at, seconds = zip(*points, strict=True)
        axis.loglog(at, seconds, "o-", label="measured")
        bound = [seconds[0] * (a / at[0]) ** power for a in at]
        axis.loglog(at, bound, ":", color="gray", label=f"growth with power {power}")
        axis.set(xlabel=x, ylabel=y, ylim=(min(*seconds, *bound) / 2, max(*seconds, *bound) * 2))
        axis.set_xticks(at, [f"{a:,}" for a in at], rotation=30)
        axis.xaxis.minorticks_off()
        axis.legend(frameon=False, fontsize=8)
    figure.savefig(sys.argv[2], metadata={"Date": None})


if __name__ == "__main__":
    main()
