"""Every measure, by name."""

from __future__ import annotations

from stratigraph.errors import InputError, suggest
from stratigraph.plugins import is_plugin, load_plugin
from stratigraph.similarity.cca import MEAN_CCA, PWCCA, R2_CCA, SVCCA
from stratigraph.similarity.cka import DEBIASED_CKA, LINEAR_CKA
from stratigraph.similarity.kernel_cka import kernel_measure
from stratigraph.similarity.matching import PERMUTATION_SIMILARITY, SOFT_MATCHING
from stratigraph.similarity.measure import Measure
from stratigraph.similarity.neighbours import CKNNA, MUTUAL_KNN, MUTUAL_KNN_COSINE
from stratigraph.similarity.predictivity import LINEAR_PREDICTIVITY
from stratigraph.similarity.procrustes import PROCRUSTES_SIMILARITY
from stratigraph.similarity.rsa import RSA_COSINE, RSA_PEARSON, RSA_SPEARMAN
from stratigraph.similarity.sampled_cka import FEATURE_CORRECTED_CKA
from stratigraph.similarity.shape import ANGULAR_SHAPE_DISTANCE, SIZE_AND_SHAPE_DISTANCE
from stratigraph.similarity.topology import RTD

__all__ = ["ALIASES", "MEASURES", "find_measure"]

MEASURES: dict[str, Measure] = {
    "linear_cka": LINEAR_CKA,
    "debiased_cka": DEBIASED_CKA,
    "rbf_cka": kernel_measure("rbf"),
    "debiased_rbf_cka": kernel_measure("rbf", debiased=True),
    "laplacian_cka": kernel_measure("laplacian"),
    "feature_corrected_cka": FEATURE_CORRECTED_CKA,
    "procrustes_similarity": PROCRUSTES_SIMILARITY,
    "angular_shape_distance": ANGULAR_SHAPE_DISTANCE,
    "size_and_shape_distance": SIZE_AND_SHAPE_DISTANCE,
    "mean_cca": MEAN_CCA,
    "r2_cca": R2_CCA,
    "svcca": SVCCA,
    "pwcca": PWCCA,
    "linear_predictivity": LINEAR_PREDICTIVITY,
    "rsa_pearson": RSA_PEARSON,
    "rsa_spearman": RSA_SPEARMAN,
    "rsa_cosine": RSA_COSINE,
    "mutual_knn": MUTUAL_KNN,
    "mutual_knn_cosine": MUTUAL_KNN_COSINE,
    "cknna": CKNNA,
    "permutation_similarity": PERMUTATION_SIMILARITY,
    "soft_matching": SOFT_MATCHING,
    "rtd": RTD,
}

# What people type: short names, and names of what is the same thing (each equality is tested).
ALIASES = {
    "cka": "debiased_cka",
    "procrustes": "procrustes_similarity",
    "normalized_bures_similarity": "procrustes_similarity",
    "bures_distance": "size_and_shape_distance",
    "rsa_whitened": "linear_cka",
}


def find_measure(measure: str | Measure) -> Measure:
    """A measure by its name, or ``module:name``; a `Measure` of one's own passes through.

    Raises:
        InputError: no measure has this name; near names are suggested.
        ConfigError: a module that was named cannot be imported.

    """
    if isinstance(measure, Measure):
        return measure
    if measure in MEASURES:
        return MEASURES[measure]
    if measure in ALIASES:
        return MEASURES[ALIASES[measure]]
    if is_plugin(measure):
        found = load_plugin("measure", measure)
        if not isinstance(found, Measure):
            raise InputError(
                f"measure: expected {measure} to be a stratigraph.similarity.measure.Measure, got "
                f"a {type(found).__name__}."
            )
        return found
    raise InputError(
        f"measure: no measure is named {measure!r}." + suggest(measure, [*MEASURES, *ALIASES])
    )
