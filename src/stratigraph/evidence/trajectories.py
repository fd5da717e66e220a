"""How each layer approaches its final state.

With s_t the similarity of a layer at step t to the same layer of the same run at the last step T:

- the raw trajectory s_t, with s_T = 1 (for the measures whose self-similarity is 1);
- progress (s_t − s_0) / (1 − s_0), which an untrained network cannot have: random convolutions
  carry the geometry of the input, so s_0 is high before anything is learned. Where 1 − s_0 is
  below `LEAST_ROOM` the layer never had to move, and progress is NaN;
- the first step of a snapshot at which either reaches a threshold.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from stratigraph.study.study import Study

__all__ = ["LEAST_ROOM", "part_of", "similarity_to_final", "steps_to_reach"]

LEAST_ROOM = 0.02
PARTS = ("input", "encoder", "decoder", "head")

LABELS = (
    "run",
    "data",
    "architecture",
    "objective",
    "strength",
    "latents",
    "seed",
    "layer",
    "step",
)


def part_of(layer: str) -> str:
    """The part of the network a layer belongs to: input, encoder, latents, sample, decoder or head.

    Layers of a network of another kind, which was recorded, belong to the ``network``.

    The sample is apart from the latents' parameters: under shared noise a collapsed latent is the
    same noise at every step, so its similarity to itself says nothing about learning.
    """
    if layer == "z_sample":
        return "sample"
    if layer.startswith("z_"):
        return "latents"
    part = layer.split(".", 1)[0]
    return part if part in PARTS else "network"


def similarity_to_final(study: Study, measure: str) -> pd.DataFrame:
    """Every layer's similarity to its own final state, within its run.

    Returns:
        One row a run, layer and step: the labels of `LABELS`, ``part``, ``similarity``,
        ``untrained`` (its value at step 0; NaN without a snapshot there) and ``progress``.

    Raises:
        InputError: the study has no such matrix.

    """
    matrix = study.similarity(measure)
    every = study.labels(measure)[list(LABELS)]
    # A run that stopped before its last step has no final state to be similar to.
    labels = every[every["run"].isin(study.complete())]
    rows = labels.index.to_numpy()
    keys = pd.MultiIndex.from_frame(labels[["run", "layer", "step"]])
    steps = labels.groupby(["run", "layer"])["step"]

    def row_at(step: pd.Series) -> np.ndarray:
        """The matrix's row of the same run and layer at another step."""
        wanted = pd.MultiIndex.from_arrays([labels["run"], labels["layer"], step])
        return rows[keys.get_indexer(wanted)]

    first, final = steps.transform("min"), row_at(steps.transform("max"))
    values = np.asarray(matrix.values[rows, final], dtype=float)
    untrained = np.where(first == 0, matrix.values[row_at(first), final], np.nan)
    room = 1 - untrained
    with np.errstate(invalid="ignore", divide="ignore"):
        progress = np.where(room >= LEAST_ROOM, (values - untrained) / room, np.nan)
    return labels.assign(
        part=labels["layer"].map(part_of),
        similarity=values,
        untrained=untrained,
        progress=progress,
    )


def steps_to_reach(
    trajectories: pd.DataFrame, threshold: float = 0.9, column: str = "similarity"
) -> pd.DataFrame:
    """The first snapshot's step at which each layer of each run reaches a threshold.

    Args:
        trajectories: as `similarity_to_final` gives.
        threshold: of ``similarity`` or ``progress``.
        column: which of the two.

    Returns:
        One row a run and layer: run, layer, part, ``reached`` (a step; NaN where the trajectory
        is undefined) and ``untrained``.

    """
    keys = ["run", "layer"]
    ordered = trajectories.sort_values("step", kind="stable")
    first = ordered.drop_duplicates(keys).set_index(keys)
    above = ordered[ordered[column] >= threshold].drop_duplicates(keys).set_index(keys)
    # In the order of the table, whatever that of its steps.
    found = first.loc[pd.MultiIndex.from_frame(trajectories[keys].drop_duplicates())]
    reached = above["step"].reindex(found.index).astype(float)
    return found.assign(reached=reached).reset_index()[[*keys, "part", "reached", "untrained"]]
