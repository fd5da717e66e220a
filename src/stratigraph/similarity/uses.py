"""When to use each measure, in a sentence: what it asks, and what to read with it.

The documentation's table and ``stratigraph measures`` say the same; a test checks that they do.
"""

from __future__ import annotations

__all__ = ["USES"]

USES: dict[str, str] = {
    "debiased_cka": (
        "The default for layers of any width: 0 for unrelated layers, so values can be compared "
        "between layers. Leading directions are weighted by their squares; read Procrustes too."
    ),
    "linear_cka": (
        "For comparison with published figures. With more units than probes it finds similarity "
        "where there is none."
    ),
    "rbf_cka": (
        "Whether neighbourhoods, rather than all distances, agree; the bandwidth is a share of the "
        "median distance."
    ),
    "debiased_rbf_cka": "The same without the bias from few probes: prefer it to rbf_cka.",
    "laplacian_cka": "Like rbf_cka with heavier tails: less sensitive to a few distant probes.",
    "feature_corrected_cka": (
        "For layers of which only a sample of units was read (reduce sample:512, recorded "
        "neurons): estimates the debiased CKA of all units, which plain CKA of the sample does "
        "not. Needs activations, not a study's stored coordinates."
    ),
    "procrustes_similarity": (
        "The share of the geometry that one rotation and scale explain: sees changes in small "
        "directions that CKA misses. Inflated when probes are few."
    ),
    "angular_shape_distance": (
        "A metric: to cluster or embed networks by their shapes, whatever their scale."
    ),
    "size_and_shape_distance": (
        "A metric that also counts changes of scale: how far a layer has moved in training."
    ),
    "mean_cca": (
        "Whether two layers hold the same linear information, however weighted; blind to which "
        "directions carry the variance, so noise counts equally. Needs many more probes than units."
    ),
    "r2_cca": "Like mean_cca with squared correlations: weak ones count less.",
    "svcca": "CCA of the directions with 99 % of the variance, so that noise does not count.",
    "pwcca": (
        "CCA weighted by what the first layer's units use: does y hold what x does? Not symmetric."
    ),
    "linear_predictivity": (
        "How much of y a linear map of x explains: does x know enough to predict y? Not symmetric."
    ),
    "rsa_pearson": (
        "Comparison with brains and behaviour by dissimilarities (squared distances), on a linear "
        "scale."
    ),
    "rsa_spearman": "The same for ranks: insensitive to any monotone change of the distances.",
    "rsa_cosine": "The same for ratios of distances, with a true zero; never negative.",
    "mutual_knn": (
        "Whether networks of different kinds or modalities agree on who is near whom; blind to the "
        "large scale. Its chance level is k/(n − 1), even with ties."
    ),
    "mutual_knn_cosine": (
        "The same where directions matter, as in embeddings for retrieval, and as Huh et al. 2024 "
        "plot it. Sensitive to an offset."
    ),
    "cknna": "CKA between mutual neighbours alone, midway between mutual_knn and debiased_cka.",
    "permutation_similarity": (
        "Whether single units match one to one, as between seeds; rotating the units destroys it. "
        "Needs activations, not a study's stored coordinates."
    ),
    "soft_matching": "The same for layers of different widths.",
    "rtd": (
        "Whether clusters and loops of probes form at the same distances: shape that no linear "
        "measure sees. Slow: for a few pairs, not a study."
    ),
}
