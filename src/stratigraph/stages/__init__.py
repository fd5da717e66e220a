"""The stages of a study, wired: each reads a store, writes a store, skips what exists."""

from stratigraph.stages.assess import assess_study as assess_study
from stratigraph.stages.compare import compare_study as compare_study
from stratigraph.stages.current import STAGES as STAGES
from stratigraph.stages.export import export_study as export_study
from stratigraph.stages.latent_size import (
    LatentSizeSettings as LatentSizeSettings,
    choose_latents as choose_latents,
)
from stratigraph.stages.progress import Progress as Progress
from stratigraph.stages.run import (
    open_study as open_study,
    run_stage as run_stage,
    run_study as run_study,
)
from stratigraph.stages.score import score_latents as score_latents
from stratigraph.stages.train import train_run as train_run, train_study as train_study
from stratigraph.stages.verify import repair_study as repair_study, verify_study as verify_study
