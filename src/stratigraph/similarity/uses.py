"""When to use each measure, in a sentence: what it asks, and what to read beside it.

The documentation's table and ``stratigraph measures`` say the same; a test holds them together.
"""

from __future__ import annotations

__all__ = ["USES"]

USES: dict[str, str] = {
    "debiased_cka": (
        "The default for layers of any width: 0 for unrelated layers, so values can be compared "
        "between layers. Leading directions count by their squares; read Procrustes beside it."
    ),
    "linear_cka": (
        "For parity with published figures. With more units than probes it finds similarity where "
        "there is none."
    ),
    "rbf_cka": (
        "Whether neighbourhoods, rather than all distances, agree; the bandwidth is a share of the "
        "median distance."
    ),
    "debiased_rbf_cka": "The same without the bias of few probes: prefer it to rbf_cka.",
    "laplacian_cka": "As rbf_cka with heavier tails: less swayed by a few far probes.",
    "feature_corrected_cka": (
        "Of layers of which a sample of the units was read (reduce sample:512, recorded neurons): "
        "an estimate of debiased CKA of all of them, which plain CKA of the sample is not. Needs "
        "activations, not a study's stored coordinates."
    ),
    "procrustes_similarity": (
        "The share of the geometry that one rotation and scale explain: sees changes of small "
        "directions that CKA misses. Inflated where probes are few."
    ),
    "angular_shape_distance": (
        "A metric: to cluster or embed networks by their shapes, whatever their scale."
    ),
    "size_and_shape_distance": (
        "A metric that counts a change of scale too: how far a layer has moved in training."
    ),
    "mean_cca": (
        "Whether two layers hold the same linear information, however weighted; blind to which "
        "directions carry the variance, so noise counts as much. Many more probes than units."
    ),
    "r2_cca": "As mean_cca with squared correlations: weak ones count less.",
    "svcca": "CCA of the directions with 99 % of the variance, so that noise does not count.",
    "pwcca": (
        "CCA weighted by what the first layer's units use: does y hold what x does? Not symmetric."
    ),
    "linear_predictivity": (
        "How much of y a linear map of x explains: does x know enough to give y? Not symmetric."
    ),
    "rsa_pearson": (
        "Comparison with brains and behaviour by dissimilarities (squared distances), on a linear "
        "scale."
    ),
    "rsa_spearman": "The same by ranks: any monotone change of the distances is forgiven.",
    "rsa_cosine": "The same for ratios of distances, with a true zero; never negative.",
    "mutual_knn": (
        "Whether networks of different kinds or modalities agree on who is near whom; deaf to the "
        "large scale. Has chance level k/(n − 1), with ties too."
    ),
    "mutual_knn_cosine": (
        "The same where directions are what counts, as in embeddings for retrieval, and as Huh et "
        "al. 2024 plot it. An offset counts too."
    ),
    "cknna": "CKA between mutual neighbours alone: between mutual_knn and debiased_cka.",
    "permutation_similarity": (
        "Whether single units match one to one, as between seeds; a rotation of the units destroys "
        "it. Needs activations, not a study's stored coordinates."
    ),
    "soft_matching": "The same for layers of different widths.",
    "rtd": (
        "Whether clusters and loops of probes form at the same distances: shape that no linear "
        "measure sees. Slow; a few pairs, not a study."
    ),
}
