"""The claims that a study is asked, one file each: functions from `Evidence` to `Question`s.

=====  =============================================================================================
 1     the encoder is learned before the decoder (`encoder_first`)
 2     … for every strength, objective, architecture and data set (`encoder_first_everywhere`),
       and for every data set, over its configurations (`encoder_first_in_data`)
 3, 4  encoder layers are alike across strengths, and across objectives (`encoders_alike`)
 5     mean, variance and sample are the exception (`latents_exception`)
 6     CKA of mean and sample tracks collapse, and warns of it (`collapse`)
 7     DIP-VAE II departs from the other objectives in the latents (`dip_departs`)
 8     CKA and Procrustes lead to the same conclusions (`measures_agree`)
 9     claim 1 holds for fully-connected networks and transformers (`kinds`)
 10    the results are stable across seeds (`stable_across_seeds`)
 11    encoders and classifiers of the same trunk are alike (`classifiers_alike`)
 12    how the measures behave on matrices that share features (`shared_features`)
 13    CKA misses small changes, Procrustes overestimates with few probes (`shared_features`)
 14    inside the encoder, the lower layers settle first (`lower_first`)
 15    of one kind the encoder is first; at one place convolution is; deeper parts (`kinds`)
 16    encoders are generic, decoders specific to their data (`generic_encoders`)
 17    disentanglement is reached after the mean has settled (`disentangled_later`)
 18    networks whose means are alike are disentangled alike (`means_alike`)
 19    its gain comes while encoder and mean move, not the decoder (`gain_with_encoder`)
=====  =============================================================================================

Claims 1 to 13 are of Bonheme & Grzes 2022 (arXiv 2205.08399) or its code, claim 16 of their next
paper (arXiv 2304.10767), as far as this project knows them; every threshold and margin is ours.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence

from stratigraph.errors import ConfigError
from stratigraph.evidence.claims.classifiers_alike import classifiers_alike
from stratigraph.evidence.claims.collapse import collapse
from stratigraph.evidence.claims.dip_departs import dip_departs
from stratigraph.evidence.claims.disentangled_later import disentangled_later
from stratigraph.evidence.claims.encoder_first import encoder_first
from stratigraph.evidence.claims.encoder_first_everywhere import encoder_first_everywhere
from stratigraph.evidence.claims.encoder_first_in_data import encoder_first_in_data
from stratigraph.evidence.claims.encoders_alike import encoders_alike
from stratigraph.evidence.claims.gain_with_encoder import gain_with_encoder
from stratigraph.evidence.claims.generic_encoders import generic_encoders
from stratigraph.evidence.claims.kinds import kinds
from stratigraph.evidence.claims.latents_exception import latents_exception
from stratigraph.evidence.claims.lower_first import lower_first
from stratigraph.evidence.claims.means_alike import means_alike
from stratigraph.evidence.claims.measures_agree import measures_agree
from stratigraph.evidence.claims.own import OWN
from stratigraph.evidence.claims.shared_features import shared_features
from stratigraph.evidence.claims.stable_across_seeds import stable_across_seeds
from stratigraph.evidence.evidence import Evidence
from stratigraph.evidence.finding import Question

__all__ = ["CLAIMS", "ask"]

CLAIMS: tuple[Callable[[Evidence], list[Question]], ...] = (
    encoder_first,
    encoder_first_everywhere,
    encoder_first_in_data,
    encoders_alike,
    latents_exception,
    collapse,
    dip_departs,
    measures_agree,
    stable_across_seeds,
    classifiers_alike,
    shared_features,
    lower_first,
    kinds,
    generic_encoders,
    disentangled_later,
    means_alike,
    gain_with_encoder,
)


def ask(
    evidence: Evidence, claims: Sequence[Callable[[Evidence], list[Question]]] = CLAIMS
) -> list[Question]:
    """Every question, in the order of the claims, a user's own last.

    Raises:
        ConfigError: two questions have one key.

    """
    questions = [question for claim in claims for question in claim(evidence)]
    for key, count in Counter(question.key for question in questions).items():
        if count > 1:
            raise ConfigError(
                f"claims: {count} questions are called {key!r}; give your own another key."
            )
    return sorted(questions, key=lambda one: math.inf if one.claim == OWN else one.claim)
