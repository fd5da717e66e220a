"""Whether a run learned: a criterion set before any of its layers is compared.

With e the held-out error of a run at its last step (reconstruction, or a classifier's
cross-entropy, in nats an image), f that of the best constant answer and e* the least of the study's
runs of the same data and likelihood, it learned if it closes half of the gap,

    f − e ≥ ½ (f − e*),

and if there is a gap: f − e* ≥ r/100, with r the room below the floor
(`stratigraph.training.floor`). Otherwise the best run itself answers as a constant does, and none
of them learned.

A classifier's error is its cross-entropy and not its accuracy: it is what was trained for, and
every version kept it at every snapshot. Its constant answer is how often each value occurs, of
which the commonest class is the decision.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

__all__ = ["LEAST", "SHARE", "judge_runs"]

SHARE = 0.5  # of the gap, that a run has to close
LEAST = 0.01  # of the room, that the gap has to be


def judge_runs(
    errors: Mapping[str, float], floor: float, room: float
) -> tuple[float, dict[str, tuple[bool, str]]]:
    """The least error of runs, and whether each learned, with a sentence where it did not.

    Args:
        errors: run → its error, of runs of the same data and likelihood; NaN or infinite of one
            whose network answers with no number.
        floor: of the best constant answer.
        room: below the floor.

    """
    best = min((error for error in errors.values() if math.isfinite(error)), default=math.nan)
    gap = floor - best
    found = {}
    for run, error in errors.items():
        if not math.isfinite(error):
            found[run] = False, "its held-out error is not a finite number"
        elif not gap >= LEAST * room or gap <= 0:
            found[run] = (
                False,
                f"no run of these data is below the best constant answer ({floor:.4g} nats) by a "
                f"hundredth of what there is to gain; the best has {best:.4g}",
            )
        elif floor - error >= SHARE * gap:
            found[run] = True, ""
        elif error >= floor:
            found[run] = (
                False,
                f"its held-out error, {error:.4g} nats, is not below that of the best constant "
                f"answer ({floor:.4g})",
            )
        else:
            found[run] = (
                False,
                f"its held-out error, {error:.4g} nats, closes {100 * (floor - error) / gap:.0f} % "
                f"of the gap from the best constant answer ({floor:.4g}) to the best run "
                f"({best:.4g}), less than half",
            )
    return best, found
