"""What an autoencoder is trained for, one objective a file (`catalog`)."""

from stratigraph.objectives.catalog import (
    OBJECTIVES as OBJECTIVES,
    SUPERVISED as SUPERVISED,
    Objective as Objective,
    build_objective as build_objective,
    check_likelihood as check_likelihood,
    codebook_of as codebook_of,
    error_of as error_of,
    evaluate as evaluate,
    parts_of as parts_of,
    simplest as simplest,
)
from stratigraph.objectives.classification import Classification as Classification
from stratigraph.objectives.passes import Parts as Parts, Pass as Pass, Terms as Terms
from stratigraph.objectives.terms import RECONSTRUCTIONS as RECONSTRUCTIONS
