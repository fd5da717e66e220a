from .activations.capture import capture as capture
from .data.catalog import load_dataset as load_dataset
from .errors import (
    BusyError as BusyError,
    ConfigError as ConfigError,
    DataError as DataError,
    InputError as InputError,
    IntegrityError as IntegrityError,
    StorageError as StorageError,
    StratigraphError as StratigraphError,
    UnsafeFileError as UnsafeFileError,
    UntrustedError as UntrustedError,
)
from .home import load_study as load_study
from .integrations.begin import record as record
from .integrations.import_checkpoints import import_checkpoints as import_checkpoints
from .pairs.calibrate import calibrate as calibrate
from .pairs.closeness import compare_closeness as compare_closeness
from .pairs.matrix import similarity_matrix as similarity_matrix
from .pairs.networks import compare as compare
from .report.plots import (
    plot_convergence as plot_convergence,
    plot_findings as plot_findings,
    plot_heatmap as plot_heatmap,
    plot_map as plot_map,
    plot_power as plot_power,
)
from .report.power import power as power
from .representations.load import load_representations as load_representations
from .similarity.cka import debiased_cka as debiased_cka, linear_cka as linear_cka
from .similarity.influence import probe_influence as probe_influence
from .similarity.procrustes import procrustes_similarity as procrustes_similarity
from .similarity.stochastic_shape import (
    Gaussians as Gaussians,
    stochastic_shape_distance as stochastic_shape_distance,
)
from .similarity.uncertainty import cka_interval as cka_interval
from .stages.run import run_study as run_study
from .stages.trainer import train as train
from .study.run import Run as Run
from .study.study import Study as Study
from .training.config import RunConfig as RunConfig
from .version import __version__ as __version__
