"""Studies with known answers: planted representations, scored as real ones are.

Nothing is trained. For each run (objective × strength × seed) and layer, the representation of n
probes with factors Z (n × 6) goes from an untrained to a final one,

    X_t = (1 − a_t) X_0 + a_t X_T + noise,    a_t = 1/(1 + (τ/t)²),

with the settling step τ of its part of the network planted: the encoder's before the decoder's,
after it, or the same. Each run's τ has a part of its seed and a part of its own, so that seeds
differ as they do in training. Mean and sample carry as many collapsed latents as the strength
plants, from a planted step on; latents are told apart by the regime rule on their variance. A score
of disentanglement rises to its end in the same way, with a step of its own. Of several data sets,
each network reads the probes of all as well (`planted_data`).

Used by the tests and by ``benchmarks/findings.py`` to measure how often a verdict is right.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
import pandas as pd

from stratigraph.engine import one_thread
from stratigraph.evidence.evidence import Evidence, Pairs
from stratigraph.evidence.trajectories import part_of
from stratigraph.pairs.group_sums import pair_scores
from stratigraph.similarity.procrustes import procrustes_similarity
from stratigraph.study.selection import claim_pairs
from stratigraph.testing.planted_data import plant_across

__all__ = ["Plan", "planted"]

LAYERS = (
    "input", "encoder.conv1", "encoder.conv2", "z_mean", "z_sample", "decoder.dense1",
    "decoder.output",
)  # fmt: skip
STEPS = (0, 10, 50, 200, 600, 3000)
LATENTS = 6


@dataclass(frozen=True)
class Plan:
    """What is true of a planted study.

    Attributes:
        encoder: the step at which the encoder has gone half of its way.
        decoder: the same for the decoder.
        head_start: how much of the encoder's final geometry its untrained layers have already.
        lower: how many times earlier the lower of two encoder layers settles.
        collapse: strength → latents that are passive at the end.
        collapse_step: when they collapse.
        alike: how much of the final encoder configurations share (1: all but noise).
        latents_alike: the same of mean and sample.
        disentangled: the step at which half of the gain in MIG is there; None for no scores.
        gains: by how much the gain of a strength is less than that of the one before.
        kinds: kinds of encoders and decoders, crossed if there are several, and how many times
            later a part of the kind settles than one of another.
        jitter: the standard deviation of log τ between seeds.
        seeds: how many.
        probes: how many.
        shared: whether a seed has a part in the luck of every configuration (format 1).
        data: data sets; the networks of each read the probes of all, if there are several.
        turned: those of them in which encoder and decoder change places.
        generic: how much of an encoder's layers networks of different data share on one set of
            probes.
        generic_decoder: the same of a decoder.

    """

    encoder: float = 100.0
    decoder: float = 100.0
    head_start: float = 0.0
    lower: float = 1.0
    collapse: tuple[tuple[float, int], ...] = ((1.0, 0), (8.0, 0))
    collapse_step: float = 300.0
    alike: float = 1.0
    latents_alike: float = 1.0
    disentangled: float | None = None
    gains: float = 0.0
    kinds: tuple[tuple[str, float], ...] = (("planted", 1.0),)
    jitter: float = 0.15
    seeds: int = 5
    probes: int = 120
    shared: bool = False
    data: tuple[str, ...] = ("planted",)
    turned: tuple[str, ...] = ()
    generic: float = 1.0
    generic_decoder: float = 1.0


def planted(plan: Plan, seed: int) -> Evidence:
    """The evidence of one planted study.

    Args:
        plan: what is true of it.
        seed: of everything random.

    """
    rng = np.random.default_rng(seed)
    n = plan.probes
    factors = rng.standard_normal((n, LATENTS))
    factors[:, :3] *= 2
    maps = {layer: rng.standard_normal((LATENTS, 12)) for layer in LAYERS}
    rows, xs, counts, scores = [], [], [], []
    of_seed = rng.standard_normal((plan.seeds, 2)) * plan.jitter
    for data, kinds, (strength, passive), number in itertools.product(
        plan.data, itertools.product(plan.kinds, repeat=2), plan.collapse, range(plan.seeds)
    ):
        (encoder, slow), (decoder, slower) = kinds
        architecture = encoder if encoder == decoder else f"{encoder} → {decoder}"
        run = f"{architecture} {strength:g}-{number}"
        run += "" if data == plan.data[0] else f" {data}"
        own = {  # what a configuration's final layers have that others' have not
            layer: np.random.default_rng([seed, int(strength * 10), i]).standard_normal((n, 12))
            for i, layer in enumerate(LAYERS)
        }
        luck = of_seed[number] if plan.shared else rng.standard_normal(2) * plan.jitter
        late = np.exp(luck + 0.5 * plan.jitter * rng.standard_normal(2))
        late = late * (slow, slower)
        if data in plan.turned:
            late = late * (plan.decoder / plan.encoder, plan.encoder / plan.decoder)
        half = None if plan.disentangled is None else plan.disentangled * late[0]
        gain = 0.5 - plan.gains * [s for s, _ in plan.collapse].index(strength)
        for step in STEPS:
            if half is not None:
                share = 1 / (1 + (half / step) ** 2) if step else 0.0
                value = gain * share + 0.002 * np.random.default_rng([number, step]).random()
                scores.append({"run": run, "step": step, "score": "mig", "value": value})
            mean = None
            for layer in LAYERS:
                x = _state(plan, rng, factors, maps, own, layer, step, late)
                if layer == "z_mean":
                    x, gone = _collapse(plan, x, passive, step)
                    mean = x
                    left = LATENTS - gone
                    counts.append({"run": run, "step": step, "active": left, "mixed": 0,
                                   "passive": gone, "kl": float(left)})  # fmt: skip
                if layer == "z_sample" and mean is not None:
                    noise = np.random.default_rng([seed, 99]).standard_normal(mean.shape)
                    spread = np.where(np.std(mean, axis=0) < 0.1, 1.0, 0.3)
                    x = mean + spread * noise
                rows.append({"run": run, "strength": strength, "seed": number, "step": step,
                             "layer": layer, "architecture": architecture,
                             "data": data})  # fmt: skip
                xs.append(x - x.mean(axis=0))
    tables = pd.DataFrame(counts), pd.DataFrame(scores)
    return _evidence(plan, pd.DataFrame(rows), xs, *tables, seed)


def _state(
    plan: Plan,
    rng: np.random.Generator,
    factors: np.ndarray,
    maps: dict[str, np.ndarray],
    own: dict[str, np.ndarray],
    layer: str,
    step: int,
    late: np.ndarray,
) -> np.ndarray:
    """A layer's representation at a step."""
    if layer == "input":
        return factors @ maps[layer]
    part = part_of(layer)
    half = (plan.encoder, plan.decoder)[part == "decoder"] * late[int(part == "decoder")]
    if layer == "encoder.conv1":
        half /= plan.lower
    gone = 1 / (1 + (half / step) ** 2) if step else 0.0
    shared = plan.alike if part in ("encoder", "decoder") else plan.latents_alike
    start = np.random.default_rng([7, LAYERS.index(layer), int(1e6 * late[0])])
    own_start = start.standard_normal((len(factors), 12))
    known = plan.head_start if part == "encoder" else 0.0
    first = np.sqrt(known) * factors @ maps[layer] + np.sqrt(1 - known) * 2 * own_start
    final = np.sqrt(shared) * factors @ maps[layer] + np.sqrt(1 - shared) * 3 * own[layer]
    x = (1 - gone) * first + gone * final + 0.05 * rng.standard_normal(first.shape)
    return x[:, :LATENTS] if layer == "z_mean" else x


def _collapse(plan: Plan, mean: np.ndarray, passive: int, step: int) -> tuple[np.ndarray, int]:
    """The mean with its last latents shrunk as they collapse, and how many are passive by count.

    The means shrink from the beginning, and the variance reaches the prior's only at the planted
    step: so the similarity of mean and sample falls before the latents can be counted.
    """
    if not passive:
        return mean, 0
    shrunk = mean.copy()
    shrunk[:, -passive:] *= 1 / (1 + (step / (0.02 * plan.collapse_step)) ** 2)
    return shrunk, passive if step >= plan.collapse_step else 0


def _evidence(
    plan: Plan,
    labels: pd.DataFrame,
    xs: list[np.ndarray],
    counts: pd.DataFrame,
    scored: pd.DataFrame,
    seed: int,
) -> Evidence:
    several = len(plan.data) > 1
    of_data = labels["data"].map(" {}".format) if several else ""
    labels = labels.assign(
        stream=labels["seed"].map("seed {}".format) if plan.shared else labels["run"],
        config=labels["architecture"] + labels["strength"].map(" beta_vae {:g}".format) + of_data,
        but_strength=labels["architecture"] + of_data,
        but_objective="planted" + of_data,
        but_data=labels["architecture"] + labels["strength"].map(" {:g}".format),
        objective="beta_vae", supervised=False, probes="planted" + of_data,
        part=labels["layer"].map(part_of), last=labels["step"] == STEPS[-1],
    )  # fmt: skip
    pairs = claim_pairs(labels)
    with one_thread():  # small matrices: threads would only wait for each other
        scores = {
            "debiased_cka": pair_scores(xs, pairs, "debiased_cka"),
            "procrustes_similarity": np.array(
                [[1.0 if i == j else procrustes_similarity(xs[i], xs[j])] for i, j in pairs]
            ),
        }
    table = Pairs.label(labels, pairs)
    split = {measure: Pairs(table, values).split() for measure, values in scores.items()}
    to_final, final, within = (
        {measure: parts[kind] for measure, parts in split.items()} for kind in range(3)
    )
    runs = labels[["run", "config", "stream"]].drop_duplicates().reset_index(drop=True)
    shares = {
        "encoder": plan.generic, "latents": plan.generic_decoder, "decoder": plan.generic_decoder,
    }  # fmt: skip
    across = plant_across(labels, shares, plan.probes, seed) if several else {}
    return Evidence(
        "debiased_cka", to_final, final, within, latents=counts,
        runs=runs.assign(duplicate_of="", learned=None, why=""), probes=plan.probes,
        across=across, scores=scored,
    )  # fmt: skip
