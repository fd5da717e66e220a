"""``stratigraph measures``: every measure there is, with what it promises."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stratigraph.cli.options import AsJson, TableFile
from stratigraph.cli.tables import check_places, write_table
from stratigraph.terminal import tell, tell_json

if TYPE_CHECKING:
    from stratigraph.similarity.measure import Measure

__all__ = ["measures"]


Named = Annotated[
    list[str] | None, typer.Argument(help="Only these; all if none is given.", metavar="[NAME]…")
]
INVARIANCES = ("rotation", "scale", "translation", "affine", "permutation")


def measures(
    names: Named = None,
    out: TableFile = None,
    as_json: AsJson = False,
) -> None:
    """List the measures: what a larger value means, promises, cost, source, when to use each."""
    from stratigraph.similarity.catalog import ALIASES, MEASURES, find_measure

    check_places(None, out)
    chosen = [find_measure(name) for name in names] if names else list(MEASURES.values())
    facts = [_facts(measure, ALIASES) for measure in chosen]
    if out is not None:
        import pandas as pd

        write_table(pd.DataFrame(facts), out)
    if as_json:
        tell_json(facts)
        return
    for fact in facts:
        also = f"  (also {', '.join(fact['aliases'])})" if fact["aliases"] else ""
        tell(f"{fact['name']}{also}")
        tell(f"  larger      {fact['larger']}; {_bounds(fact['bounds'])}")
        tell(f"  promises    {', '.join(fact['promises'])}")
        tell(f"  invariant   {', '.join(fact['invariant']) or 'to nothing'}")
        tell(f"  cost        {fact['cost']}")
        tell(f"  source      {fact['source']}")
        lines = textwrap.wrap(fact["use"], 84)
        for head, line in zip(["use", *[""] * len(lines)], lines, strict=False):
            tell(f"  {head:<11} {line}")


def _facts(measure: Measure, aliases: dict[str, str]) -> dict[str, Any]:
    from stratigraph.pairs.network_ways import SUMMED
    from stratigraph.similarity.uses import USES

    promises = [
        "symmetric" if measure.symmetric else "not symmetric",
        *(["a metric"] if measure.metric else []),
        f"from {measure.least} probes on",
        *(["biased upwards where units outnumber probes"] if measure.biased else []),
        *(["streamed over inputs"] if measure.name in SUMMED else []),
        "in studies" if measure.rotation else "of activations, not in studies",
    ]
    return {
        "name": measure.name,
        "aliases": [alias for alias, name in aliases.items() if name == measure.name],
        "larger": measure.larger,
        "bounds": measure.bounds,
        "promises": promises,
        "invariant": [kind for kind in INVARIANCES if getattr(measure, kind)],
        "symmetric": measure.symmetric,
        "metric": measure.metric,
        "biased": measure.biased,
        "least": measure.least,
        "cost": measure.cost,
        "source": measure.source,
        "use": USES.get(measure.name, ""),  # a user's own says nothing of it
    }


def _bounds(bounds: tuple[float | None, float | None]) -> str:
    low, high = (f"{end:.3g}" if end is not None else "∞" for end in bounds)
    return f"from {'-∞' if low == '∞' else low} to {high}"
