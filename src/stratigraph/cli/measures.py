"""``stratigraph measures``: every measure there is, with what it promises."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

__all__ = ["register"]


def measures(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for a program.")] = False,
) -> None:
    """List the measures: what a larger value means, invariances, cost and source."""
    from stratigraph.similarity.catalog import MEASURES

    invariances = ("rotation", "scale", "translation", "affine", "permutation")
    facts: list[dict[str, Any]] = [
        {
            "name": name,
            "larger": measure.larger,
            "bounds": measure.bounds,
            "invariant": [kind for kind in invariances if getattr(measure, kind)],
            "metric": measure.metric,
            "cost": measure.cost,
            "source": measure.source,
        }
        for name, measure in MEASURES.items()
    ]
    if as_json:
        typer.echo(json.dumps(facts, indent=1))
        return
    for fact in facts:
        typer.echo(f"{fact['name']}{'  (a metric)' if fact['metric'] else ''}")
        typer.echo(f"  larger      {fact['larger']}")
        typer.echo(f"  invariant   {', '.join(fact['invariant']) or 'to nothing'}")
        typer.echo(f"  cost        {fact['cost']}")
        typer.echo(f"  source      {fact['source']}")


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("measures")(measures)
