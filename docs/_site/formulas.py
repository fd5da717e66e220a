r"""Each measure's formula, in LaTeX: X (n, p) and Y (n, q) hold the features of the same n probes.

Written as its module's text has it. A test sees that every measure has one.
"""

from __future__ import annotations

__all__ = ["FORMULAS"]

CCA = r"\rho_i = \sigma_i(Q_X^\top Q_Y)"
KERNEL = (
    r"\frac{\langle H K H,\, H L H\rangle_F}{\lVert H K H\rVert_F\,\lVert H L H\rVert_F},\qquad "
)
MEDIAN = r"\sigma = \operatorname{median}_{i<j} \lVert x_i - x_j\rVert"
RBF = rf"K_{{ij}} = e^{{-\lVert x_i - x_j\rVert^2 / 2\sigma^2}},\quad {MEDIAN}"
DISTANCES = r"D_{ij} = \lVert x_i - x_j\rVert^2,\quad E_{ij} = \lVert y_i - y_j\rVert^2 \quad (i<j)"
UNBIASED = (
    r"\frac{\langle\tilde K, \tilde L\rangle}{\sqrt{\langle\tilde K, \tilde K\rangle\,"
    r"\langle\tilde L, \tilde L\rangle}},\qquad \langle\tilde K, \tilde L\rangle = "
    r"\frac{1}{n(n-3)} \sum_{i\neq j} \tilde K_{ij}\tilde L_{ij}"
)

FORMULAS: dict[str, str] = {
    "linear_cka": (
        r"\frac{\lVert X^\top Y\rVert_F^2}{\lVert X^\top X\rVert_F\,\lVert Y^\top Y\rVert_F}"
        r" \qquad\text{(columns centred)}"
    ),
    "debiased_cka": UNBIASED + r",\quad \tilde K = U\text{-centred } XX^\top",
    "rbf_cka": KERNEL + RBF,
    "debiased_rbf_cka": UNBIASED + rf",\quad {RBF}",
    "laplacian_cka": (
        KERNEL + rf"K_{{ij}} = e^{{-\lVert x_i - x_j\rVert / \sigma}},\quad {MEDIAN}"
    ),
    "feature_corrected_cka": (
        r"\frac{\overline{h}(X, Y)}{\sqrt{\overline{h}(X, X)\,\overline{h}(Y, Y)}},\qquad "
        r"\overline{h}(X, X) = \operatorname{mean}_{a \neq b} h(x_a, x_b)"
    ),
    "procrustes_similarity": (
        r"\max_{R^\top R = I} \langle XR, Y\rangle = \lVert X^\top Y\rVert_*"
        r" \qquad\text{(centred, } \lVert X\rVert_F = \lVert Y\rVert_F = 1)"
    ),
    "angular_shape_distance": (
        r"\arccos \frac{\lVert X^\top Y\rVert_*}{\lVert X\rVert_F\,\lVert Y\rVert_F}"
    ),
    "size_and_shape_distance": (
        r"\min_{R^\top R = I} \lVert XR - Y\rVert_F = \sqrt{\lVert X\rVert_F^2 + "
        r"\lVert Y\rVert_F^2 - 2\lVert X^\top Y\rVert_*}"
    ),
    "mean_cca": rf"\frac{{1}}{{\min(r, s)}} \sum_i \rho_i,\qquad {CCA}",
    "r2_cca": rf"\frac{{1}}{{\min(r, s)}} \sum_i \rho_i^2,\qquad {CCA}",
    "svcca": (
        r"\text{mean CCA of the leading principal directions that hold } 99\,\% "
        r"\text{ of the variance}"
    ),
    "pwcca": (
        r"\frac{\sum_i \alpha_i \rho_i}{\sum_i \alpha_i},\qquad "
        r"\alpha_i = \sum_j \lvert\langle h_i, x_j\rangle\rvert,\quad "
        r"h_i \text{ the canonical variates of } X"
    ),
    "linear_predictivity": (
        r"R^2(X \to Y) = \frac{\lVert Q_X^\top Y\rVert_F^2}{\lVert Y\rVert_F^2},\qquad "
        r"Q_X \text{ an orthonormal basis of } X"
    ),
    "rsa_pearson": rf"\operatorname{{corr}}(D, E),\qquad {DISTANCES}",
    "rsa_spearman": (
        r"\operatorname{corr}(\operatorname{rank} D, \operatorname{rank} E),\qquad "
        rf"{DISTANCES}"
    ),
    "rsa_cosine": (rf"\frac{{D \cdot E}}{{\lVert D\rVert\,\lVert E\rVert}},\qquad {DISTANCES}"),
    "mutual_knn": (
        r"\frac{1}{nk}\sum_i \lvert N_X(i) \cap N_Y(i)\rvert,\qquad "
        r"N_X(i) \text{ the } k \text{ nearest probes of } i"
    ),
    "mutual_knn_cosine": (
        r"\frac{1}{nk}\sum_i \lvert N_X(i) \cap N_Y(i)\rvert,\qquad "
        r"\text{nearest by } \frac{x_i \cdot x_j}{\lVert x_i\rVert\,\lVert x_j\rVert}"
    ),
    "cknna": (
        r"\frac{\sum_{ij} A_{ij} K_{ij} L_{ij}}{\sqrt{\sum_{ij} W^X_{ij} K_{ij}^2}\,"
        r"\sqrt{\sum_{ij} W^Y_{ij} L_{ij}^2}},\qquad A = W^X \circ W^Y"
    ),
    "permutation_similarity": (
        r"\max_{\pi} \frac{\sum_i \langle x_i, y_{\pi(i)}\rangle}{\lVert X\rVert_F\,"
        r"\lVert Y\rVert_F},\qquad \pi \text{ matches units one to one}"
    ),
    "soft_matching": (
        r"\max_{T} \sum_{ij} T_{ij} \operatorname{corr}(x_i, y_j),\qquad "
        r"\sum_j T_{ij} = \tfrac1p,\ \sum_i T_{ij} = \tfrac1q,\ T \ge 0"
    ),
    "rtd": (
        r"\tfrac12\bigl(\mathrm{RTD}(w, v) + \mathrm{RTD}(v, w)\bigr),\qquad "
        r"\mathrm{RTD}(w, v) = \text{total length of the } H_1 \text{ bars between } "
        r"\min(w, v) \text{ and } w"
    ),
}
