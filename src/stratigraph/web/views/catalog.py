"""What the page can be asked for, by name: each a pure function from a study to an answer."""

from __future__ import annotations

from collections.abc import Callable

from stratigraph.web.query import Answer, Query
from stratigraph.web.views.heat import curve, heat
from stratigraph.web.views.latents import decode, latents, posterior, probes, traversal
from stratigraph.web.views.overview import losses, overview, states
from stratigraph.web.views.pair import pair
from stratigraph.web.views.training import convergence, glance, models
from stratigraph.web.watch import Watched

__all__ = ["VIEWS"]

VIEWS: dict[str, Callable[[Watched, Query], Answer]] = {
    "convergence": convergence,
    "curve": curve,
    "decoded": decode,
    "glance": glance,
    "heat": heat,
    "latents": latents,
    "losses": losses,
    "models": models,
    "overview": overview,
    "pair": pair,
    "posterior": posterior,
    "probes": probes,
    "states": states,
    "traversal": traversal,
}
