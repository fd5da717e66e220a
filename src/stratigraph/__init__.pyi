from .activations.capture import capture as capture
from .data.catalog import load_dataset as load_dataset
from .home import load_study as load_study
from .integrations.begin import record as record
from .integrations.import_checkpoints import import_checkpoints as import_checkpoints
from .pairs.calibrate import calibrate as calibrate
from .pairs.matrix import similarity_matrix as similarity_matrix
from .pairs.networks import compare as compare
from .representations.load import load_representations as load_representations
from .similarity.cka import debiased_cka as debiased_cka, linear_cka as linear_cka
from .similarity.influence import probe_influence as probe_influence
from .similarity.procrustes import procrustes_similarity as procrustes_similarity
from .similarity.stochastic_shape import (
    Gaussians as Gaussians,
    stochastic_shape_distance as stochastic_shape_distance,
)
from .stages.run import run_study as run_study
from .stages.trainer import train as train
from .training.config import RunConfig as RunConfig
from .version import __version__ as __version__
