from .assess import assess_study as assess_study
from .catalog import STAGES as STAGES
from .compare import compare_study as compare_study
from .export import export_study as export_study
from .latent_size import LatentSizeSettings as LatentSizeSettings, choose_latents as choose_latents
from .open import open_study as open_study
from .progress import Progress as Progress
from .repair import repair_study as repair_study
from .run import (
    run_chance as run_chance,
    run_stage as run_stage,
    run_stages as run_stages,
    run_study as run_study,
)
from .score import score_latents as score_latents
from .train import train_study as train_study
from .trainer import train_run as train_run
from .verify import verify_study as verify_study
