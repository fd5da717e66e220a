"""What the latents do: regimes over training, and images that the real decoder draws.

The networks run on the CPU with one thread, so that a study in training keeps its cores.
"""

from __future__ import annotations

import io
import threading
from collections import OrderedDict

import numpy as np
import pandas as pd
import torch
from PIL import Image

from stratigraph.errors import InputError
from stratigraph.latents import REGIMES
from stratigraph.models import VAE
from stratigraph.records import record_exists, verified
from stratigraph.report.image_data import SPAN, to_image
from stratigraph.study import Run, observed_path, read_probes
from stratigraph.study.probes import KeptProbes
from stratigraph.study.state import CUT_SHORT
from stratigraph.training import DataFacts, RecordedConfig
from stratigraph.web.query import Answer, Query, defined
from stratigraph.web.watch import Watched

__all__ = ["decode", "latents", "posterior", "probes", "traversal"]

NETWORKS = 4  # kept in memory
ACROSS = 9  # steps of a traversal
REACH = 60.0  # nothing is decoded further from the origin


class _Networks:
    """The networks used last, by run and step."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.kept: OrderedDict[tuple[str, int], VAE] = OrderedDict()

    def at(self, run: Run, step: int, data: DataFacts) -> VAE:
        with self.lock:
            key = str(run.path), step
            if key not in self.kept:
                model = run.model(step, data).eval()
                assert isinstance(model, VAE)
                self.kept[key] = model
                while len(self.kept) > NETWORKS:
                    self.kept.popitem(last=False)
            self.kept.move_to_end(key)
            return self.kept[key]


_networks = _Networks()


def latents(watched: Watched, query: Query) -> Answer:
    """Active, mixed and passive latents of a run at each step; KL and information of each."""
    way = query.text("way", "corrected")
    study = watched.study(way)
    run = _vae(query.run(study, "run"))
    record = observed_path(run.path, study.way.folder)
    if not record_exists(record):
        ended = run.state["state"] in (*CUT_SHORT, "failed", "killed")
        raise InputError(
            f"the latents of run {run.run_id} were not observed, because it did not reach its "
            f"last step." if ended else
            f"the latents of run {run.run_id} have not been observed yet; this view fills once "
            "they have."
        )  # fmt: skip

    def read() -> pd.DataFrame:
        verified(record)
        return pd.read_parquet(record / "latents.parquet")

    table = watched.keep_record(("latents", way, run.run_id), record, read)
    if not len(table):
        raise InputError(f"nothing was observed about the latents of run {run.run_id}.")
    counts = pd.crosstab(table["step"], table["regime"]).reindex(
        columns=list(REGIMES), fill_value=0
    )
    # Every latent was observed at every step.
    ordered = table.sort_values(["latent", "step"])
    shape = -1, len(counts)
    kl = ordered["kl"].to_numpy().reshape(shape)
    regimes = ordered["regime"].to_numpy().reshape(shape)
    known = "information" in ordered  # not of studies of before it was observed
    carried = ordered["information"].to_numpy().reshape(shape) if known else None
    facts = {
        "steps": [int(step) for step in counts.index],
        "regimes": {name: [int(x) for x in counts[name]] for name in REGIMES},
        "latents": [
            {
                "latent": z,
                "kl": defined(kl[z]),
                "regimes": [str(r) for r in regimes[z]],
                **({"information": defined(carried[z])} if carried is not None else {}),
            }
            for z in range(len(kl))
        ],
        "total": defined(kl.sum(axis=0)),
    }
    return Answer(facts, None, lambda: table.assign(run=run.run_id))


def _vae(run: Run) -> Run:
    if run.config.gaussian:
        return run
    if isinstance(run.config, RecordedConfig):
        what = "was recorded without a posterior and has no latents"
    elif run.config.supervised:
        what = "is a classifier and has no latents"
    else:
        what = "has codes, and no mean or variance that could be varied"
    raise InputError(f"run {run.run_id} {what}; choose a VAE.")


def _read_query(watched: Watched, query: Query) -> tuple[Run, int]:
    run = _vae(query.run(watched.study("corrected"), "run"))
    if isinstance(run.config, RecordedConfig):
        raise InputError(
            f"run {run.run_id} was recorded elsewhere: without its network and data, nothing can "
            "be drawn."
        )
    steps = run.steps
    if not steps:
        raise InputError(f"run {run.run_id} has no snapshot yet; it is drawn once it has one.")
    step = query.whole("step", steps[-1])
    if step not in steps:
        raise InputError(
            f"run {run.run_id} has no snapshot at step {step}; it has {', '.join(map(str, steps))}."
        )
    return run, step


def _open_kept(watched: Watched, run: Run) -> KeptProbes:
    """What the study itself keeps of its probes: the data set is not opened, wherever it is."""
    study = watched.study("corrected")

    def read() -> KeptProbes:
        return read_probes(study.path, run.config, study.config.probes)

    return watched.keep(("probes", str(run.config.data)), read, of="always")


def probes(watched: Watched, query: Query) -> Answer:
    """The probes that reconstructions and traversals may start from, in one row."""
    run = query.run(watched.study("corrected"), "run")
    return _png(_open_kept(watched, run).images.permute(0, 2, 3, 1).numpy()[None])


def posterior(watched: Watched, query: Query) -> Answer:
    """Mean, standard deviation and KL of each latent for one probe."""
    run, step = _read_query(watched, query)
    mean, log_var = _encode(watched, run, step, query)
    kl = 0.5 * (mean.square() + log_var.exp() - log_var - 1)
    count = len(_open_kept(watched, run).images)
    return Answer(
        {
            "step": step,
            "probes": count,
            "mean": defined(mean.tolist()),
            "sd": defined((0.5 * log_var).exp().tolist()),
            "kl": defined(kl.tolist()),
        }
    )


def _encode(watched: Watched, run: Run, step: int, query: Query) -> tuple[torch.Tensor, ...]:
    kept = _open_kept(watched, run)
    probe = query.whole("probe", 0, most=len(kept.images) - 1)
    with torch.inference_mode():
        mean, log_var = _networks.at(run, step, kept).encode(kept.images[probe : probe + 1])
    return mean[0], log_var[0]


def decode(watched: Watched, query: Query) -> Answer:
    """What the decoder makes of latents ``z``; without them, of the mean of a probe."""
    run, step = _read_query(watched, query)
    if "z" in query.given:
        z = torch.tensor(query.numbers("z", run.config.latents, REACH))
    else:
        z = _encode(watched, run, step, query)[0]
    return _png(_decode(watched, run, step, z[None])[None])


def traversal(watched: Watched, query: Query) -> Answer:
    """Each latent moved from −2.5 to 2.5 around a probe's mean: a row a latent, in order."""
    run, step = _read_query(watched, query)
    centre = _encode(watched, run, step, query)[0]
    values = torch.linspace(-SPAN, SPAN, ACROSS)
    points = centre.repeat(len(centre), ACROSS, 1)
    for latent in range(len(centre)):
        points[latent, :, latent] = values
    images = _decode(watched, run, step, points.flatten(0, 1))
    return _png(images.reshape(len(centre), ACROSS, *images.shape[1:]))


def _decode(watched: Watched, run: Run, step: int, z: torch.Tensor) -> np.ndarray:
    network = _networks.at(run, step, _open_kept(watched, run))
    with torch.inference_mode():
        return to_image(network.decode(z), run.config.reconstruction)


def _png(images: np.ndarray) -> Answer:
    """Images (rows, columns, h, w, c) in [0, 1] as one picture, a pixel apart."""
    rows, columns, h, w, c = images.shape
    canvas = np.full((rows * (h + 1) - 1, columns * (w + 1) - 1, c), 255, np.uint8)
    for r in range(rows):
        for k in range(columns):
            tile = (255 * images[r, k]).round().astype(np.uint8)
            canvas[r * (h + 1) : r * (h + 1) + h, k * (w + 1) : k * (w + 1) + w] = tile
    picture = Image.fromarray(canvas[..., 0] if c == 1 else canvas)
    buffer = io.BytesIO()
    picture.save(buffer, "png")
    return Answer(png=buffer.getvalue())
